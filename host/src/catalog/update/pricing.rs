//! The source's prices as a rate card. What is unknown stays unknown: a zero that the entry
//! doesn't declare by its name, a price that can't be kept exactly, a component that the gateway
//! doesn't meter.

use turnpike_ledger::PicoUsd;

use crate::catalog::update::source::{Cost, Model, TierOf};
use crate::catalog::{Derived, Kind, Mode, RateCard, Rates, Tier, per_million};

/// Makers that charge a fee per request that the source doesn't list: their token prices alone
/// would bill too little.
const FEES_NOT_LISTED: [&str; 1] = ["perplexity"];

/// What sellers charge for a search of the web that their own tool makes, in dollars per million,
/// by seller and beginning of the model's name there. The source doesn't have it; the lists that
/// do are named in `host/catalog/README.md`. Left out is what depends on more than the model.
const SEARCHES: [(&str, &str, &str); 6] = [
    ("anthropic", "claude-", "10000"),
    ("google", "gemini-3", "14000"),
    ("openai", "gpt-5", "10000"),
    ("openai", "o1", "10000"),
    ("openai", "o3", "10000"),
    ("openai", "o4", "10000"),
];

/// What one search costs at this seller.
fn search(provider: &str, wire: &str) -> Option<PicoUsd> {
    let known =
        |(seller, model, _): &&(&str, &str, &str)| *seller == provider && wire.starts_with(model);
    let (_, _, price) = SEARCHES.iter().find(known)?;
    per_million(price).ok()
}

/// The rate card of one entry.
///
/// # Errors
/// Says why the entry has no price that can be relied on.
pub(super) fn rate_card(
    provider: &str,
    wire: &str,
    vendor: &str,
    kind: Kind,
    fact: &Model,
) -> Result<RateCard, String> {
    if has_fee(vendor) {
        return Err("its fee per request is not in the source".to_owned());
    }
    let cost = fact.cost.as_ref().ok_or("the source has none")?;
    let free = is_declared_free(wire);
    let mut base = rates(cost, vendor, free)?;
    base.search = search(provider, wire);
    if free {
        let zero = base.input == Some(PicoUsd(0)) && base.output == Some(PicoUsd(0));
        let reason = "its name says free and its price says otherwise";
        return if zero {
            Ok(RateCard { base, free, ..RateCard::default() })
        } else {
            Err(reason.into())
        };
    }
    let missing = base.input.is_none() || (base.output.is_none() && kind == Kind::Chat);
    if missing {
        return Err("the source says 0, which here means unknown".to_owned());
    }
    let mut tiers = tiers(cost, vendor)?;
    tiers.sort_by_key(|tier| tier.above_input_tokens);
    let mut modes = modes(fact, vendor)?;
    halved(provider, wire, base, &mut modes);
    let derived = Derived { hour: base.cache_write_long.is_some(), ..Derived::default() };
    Ok(RateCard { base, tiers, modes, free, derived, ..RateCard::default() })
}

/// What the maker's list has beside the tokens: its price of a search, and of what is served as a
/// batch or when there is room.
pub(super) fn complete(provider: &str, wire: &str, card: &mut RateCard) {
    card.base.search = card.base.search.or_else(|| search(provider, wire));
    halved(provider, wire, card.base, &mut card.modes);
}

/// Whether the maker charges a fee per request that the first source leaves out.
pub(super) fn has_fee(vendor: &str) -> bool {
    FEES_NOT_LISTED.contains(&vendor)
}

/// A provider that sells says "free" in the name when zero is meant.
fn is_declared_free(wire: &str) -> bool {
    wire.ends_with(":free") || wire.ends_with("-free")
}

fn rates(cost: &Cost, vendor: &str, free: bool) -> Result<Rates, String> {
    let mut rates = Rates::default();
    for (component, raw) in cost {
        let item = match component.as_str() {
            "input" => "input",
            "output" => "output",
            "cache_read" | "cached_input" => "cache-read",
            "cache_write" | "cached_write" => "cache-write-short",
            "reasoning" => "reasoning",
            "input_audio" => "input-audio",
            "output_audio" => "output-audio",
            "tiers" | "tier" | "context_over_200k" => continue,
            other => return Err(format!("it charges for {other}, which is not metered")),
        };
        let price = per_million(raw.get()).map_err(|e| e.to_string())?;
        if let Some(slot) = rates.slot(item).filter(|_| free || price.0 > 0) {
            *slot = Some(price);
        }
    }
    if vendor == "anthropic" {
        rates.cache_write_long = long_write(&rates);
    }
    Ok(rates)
}

/// Anthropic's list: keeping a prompt for five minutes costs 1.25 times the input, for an hour
/// twice the input. The source has only the first; the second follows where the first holds, and
/// is marked as an estimate.
fn long_write(rates: &Rates) -> Option<PicoUsd> {
    let (input, short) = (rates.input?.0, rates.cache_write_short?.0);
    let holds = short.checked_mul(4)? == input.checked_mul(5)?;
    if holds { input.checked_mul(2).map(PicoUsd) } else { None }
}

fn tiers(cost: &Cost, vendor: &str) -> Result<Vec<Tier>, String> {
    let Some(raw) = cost.get("tiers") else { return Ok(Vec::new()) };
    let entries: Vec<Cost> = serde_json::from_str(raw.get()).map_err(|e| e.to_string())?;
    let mut tiers = Vec::with_capacity(entries.len());
    for entry in &entries {
        let of = entry.get("tier").map_or("null", |raw| raw.get());
        let of: TierOf = serde_json::from_str(of).map_err(|e| e.to_string())?;
        if of.by.as_deref().is_some_and(|by| by != "context") {
            return Err(format!("its tiers go by {}", of.by.unwrap_or_default()));
        }
        tiers.push(Tier { above_input_tokens: of.size, rates: rates(entry, vendor, false)? });
    }
    Ok(tiers)
}

/// Sellers whose lists give half of every token price for what is served as a batch.
const BATCH_HALVES: [&str; 5] = ["anthropic", "google", "groq", "mistral", "openai"];
/// The same for what is served when there is room, by seller and beginning of the model's name.
const FLEX_HALVES: [(&str, &str); 5] = [
    ("google", "gemini-2.5"),
    ("google", "gemini-3"),
    ("openai", "gpt-5"),
    ("openai", "o3"),
    ("openai", "o4-mini"),
];

/// Adds the modes at half the price, where every half is exact and the source has none of its own.
fn halved(provider: &str, wire: &str, mut base: Rates, modes: &mut Vec<Mode>) {
    let mut half = Rates { search: base.search, request: base.request, ..Rates::default() };
    for item in Rates::ITEMS
        .into_iter()
        .filter(|item| !matches!(*item, "search" | "hosted-call" | "request"))
    {
        let Some(price) = base.slot(item).and_then(|price| *price) else { continue };
        if price.0 % 2 != 0 {
            return;
        }
        if let Some(slot) = half.slot(item) {
            *slot = Some(PicoUsd(price.0 / 2));
        }
    }
    let flex = |(seller, model): &(&str, &str)| *seller == provider && wire.starts_with(model);
    let offered =
        [("batch", BATCH_HALVES.contains(&provider)), ("flex", FLEX_HALVES.iter().any(flex))];
    for (served, _) in offered.into_iter().filter(|(_, offered)| *offered) {
        if !modes.iter().any(|mode| mode.served == served) {
            modes.push(Mode { served: served.to_owned(), rates: half });
        }
    }
    modes.sort_by(|a, b| a.served.cmp(&b.served));
}

/// Service tiers with prices of their own, by what the response calls them.
fn modes(fact: &Model, vendor: &str) -> Result<Vec<Mode>, String> {
    let Some(experimental) = &fact.experimental else { return Ok(Vec::new()) };
    let mut modes = Vec::new();
    for mode in experimental.modes.values() {
        let body = mode.provider.as_ref().and_then(|own| own.body.as_ref());
        let served = body.and_then(|body| body.service_tier.as_ref().or(body.speed.as_ref()));
        if let (Some(served), Some(cost)) = (served, &mode.cost) {
            modes.push(Mode { served: served.clone(), rates: rates(cost, vendor, false)? });
        }
    }
    modes.sort_by(|a, b| a.served.cmp(&b.served));
    Ok(modes)
}
