//! Models that only the second source has: what a maker sells itself, at its own price. The price
//! is that source's, or there is none; what such a model can is taken from whoever else sells it,
//! else from the nearest of its family, and marked as estimated. Leaves out what nothing is known
//! of.

use jiff::Timestamp;

use super::dated::{self, Earlier};
use super::kinship::Spelling;
use super::naming::identify;
use super::source::{Limit, Modalities, Model, Provider, Source};
use super::{pricing, select};
use crate::catalog::genai::{ModelPrices, PriceBook};
use crate::catalog::{Kind, RateCard};

/// Sellers that are makers, each with its name as a maker.
const MAKERS: [(&str, &str); 11] = [
    ("anthropic", "anthropic"),
    ("cohere", "cohere"),
    ("deepseek", "deepseek"),
    ("google", "google"),
    ("minimax", "minimax"),
    ("mistral", "mistral"),
    ("moonshotai", "moonshotai"),
    ("openai", "openai"),
    ("xai", "xai"),
    ("zai", "zhipuai"),
    ("zhipuai", "zhipuai"),
];

/// Parts of names of models that are not for text, beside those of the first source.
const OTHER_WORK: [&str; 5] = ["audio", "live", "realtime", "ft:", "search"];

/// How the names of those begin that their makers have switched off, by their lists of
/// deprecations.
const SWITCHED_OFF: [&str; 10] = [
    "claude-2",
    "claude-3-5-haiku",
    "gemini-1.",
    "gemini-flash-1.5",
    "gemini-pro",
    "gpt-3.5-turbo-0613",
    "gpt-3.5-turbo-16k",
    "gpt-4-32k",
    "gpt-4-vision",
    "o1-mini",
];

/// A model of the second source on its way to a draft.
pub(super) struct Added {
    pub(super) seller: &'static str,
    pub(super) wire: String,
    pub(super) kind: Kind,
    pub(super) dialects: Vec<&'static str>,
    pub(super) fact: Model,
    pub(super) card: RateCard,
    pub(super) earlier: Vec<Earlier>,
    /// What it can was taken from its family.
    pub(super) estimated: bool,
    /// When the model that it follows came out: it is no older.
    pub(super) since: Option<String>,
}

/// What a model was found to be.
struct Found {
    fact: Model,
    estimated: bool,
    since: Option<String>,
}

/// Every model that is to be added, and what was left out with the reason.
pub(super) fn models(
    source: &Source,
    book: &PriceBook,
    at: Timestamp,
) -> (Vec<Added>, Vec<String>) {
    let (mut added, mut notes) = (Vec::new(), Vec::new());
    for (seller, maker) in MAKERS {
        let listed = source.providers.get(seller);
        let Some((listed, prices)) = listed.zip(book.provider(dated::name_of(seller))) else {
            continue;
        };
        let missing = prices
            .models
            .iter()
            .filter(|model| !listed.models.keys().any(|wire| model.rule.fits(wire)));
        for model in missing.filter(|model| is_known_well(model)) {
            for wire in names(model, listed) {
                let named = identify(seller, &wire);
                let listed_so = |known: &String| identify(seller, known).model == named.model;
                if named.vendor != maker || listed.models.keys().any(listed_so) {
                    continue;
                }
                let id = format!("{maker}/{}@{seller}", named.model);
                match add((seller, maker, &wire), model, (source, listed), at) {
                    Ok(one) => added.extend(one),
                    Err(reason) => notes.push(format!("{id}: left out, {reason}")),
                }
            }
        }
    }
    (added, notes)
}

/// Whether it is still sold, and the file itself keeps the entry: those that it took over from
/// resellers, at their prices, have no window.
fn is_known_well(model: &ModelPrices) -> bool {
    let off = SWITCHED_OFF.iter().any(|begin| model.id.starts_with(begin));
    model.context.is_some() && !off && !OTHER_WORK.iter().any(|part| model.id.contains(part))
}

/// The name of a model, and the shorter one under which its maker serves it without the day.
fn names(model: &ModelPrices, listed: &Provider) -> Vec<String> {
    let small = listed.models.keys().all(|wire| wire.bytes().all(|b| !b.is_ascii_uppercase()));
    let own = match small.then(|| model.id.to_ascii_lowercase()) {
        Some(lower) if model.rule.fits(&lower) => lower,
        _ => model.id.clone(),
    };
    let shorter = model
        .rule
        .spelled()
        .into_iter()
        .filter(|name| own.strip_prefix(*name).is_some_and(|rest| rest.starts_with('-')));
    let shorter: Vec<String> = shorter.map(str::to_owned).collect();
    std::iter::once(own).chain(shorter).collect()
}

/// Makes the entry; `None` for what neither chats nor embeds.
fn add(
    (seller, maker, wire): (&'static str, &str, &str),
    model: &ModelPrices,
    (source, listed): (&Source, &Provider),
    at: Timestamp,
) -> Result<Option<Added>, String> {
    let list = model.at(at).filter(|list| !list.rounded).ok_or("its price is not exact")?;
    let Found { fact, estimated, since } =
        known_of(wire, maker, model, (source, listed)).ok_or("nothing is known of what it can")?;
    let Some(kind) = select::kind(seller, wire, &fact) else { return Ok(None) };
    let base = list.card.base;
    if list.card.free || base.input.is_none() || (base.output.is_none() && kind == Kind::Chat) {
        return Err("it has no price for input and output".to_owned());
    }
    let mut card = list.card.clone();
    // Nobody else has the price.
    card.derived.whole = true;
    pricing::complete(seller, wire, &mut card);
    card.later = dated::later((seller, wire), model, at);
    let dialects = select::dialects(seller, wire, &listed.npm, &fact);
    let earlier = dated::earlier(model, at);
    let wire = wire.to_owned();
    Ok(Some(Added { seller, wire, kind, dialects, fact, card, earlier, estimated, since }))
}

/// What the sources have of the model under another seller's name, else of its family.
fn known_of(
    wire: &str,
    maker: &str,
    model: &ModelPrices,
    (source, listed): (&Source, &Provider),
) -> Option<Found> {
    let id = identify(maker, wire).model;
    let is_it = |(name, _): &(&String, &Model)| {
        let (vendor, short) = name.split_once('/').unwrap_or_default();
        vendor == maker && identify(vendor, short).model == id
    };
    let elsewhere = select::PROVIDERS.iter().filter_map(|seller| {
        let sold = source.providers.get(*seller)?.models.iter();
        let same = |(wire, _): &(&String, &Model)| {
            let named = identify(seller, wire);
            named.vendor == maker && named.model == id
        };
        sold.into_iter().find(same)
    });
    let chats =
        || listed.models.iter().filter(|(wire, fact)| select::kind(maker, wire, fact).is_some());
    let names = || chats().map(|(wire, _)| wire.as_str());
    let spelling = Spelling::of(wire);
    let outdated = model.deprecated || spelling.is_outdated(names());
    let retiring = || outdated.then(|| "deprecated".to_owned());
    let same = source.models.iter().find(is_it).or_else(|| elsewhere.into_iter().next());
    if let Some((_, known)) = same {
        let mut fact = fact_of(model, known, Some(known));
        // How it stands elsewhere is another seller's: it may go on with what its maker retires.
        if !is_listed_by(maker, &id, source) {
            fact.status = retiring();
        }
        return Some(Found { fact, estimated: false, since: None });
    }
    let kin = spelling.nearest(names())?;
    let known = listed.models.get(kin)?;
    let mut fact = fact_of(model, known, None);
    let says = |word: &str| spelling.words.iter().any(|it| it == word);
    fact.reasoning = (fact.reasoning || says("reasoning")) && !says("non");
    fact.status = retiring();
    let since = (!outdated).then(|| known.release_date.clone()).flatten();
    Some(Found { fact, estimated: true, since })
}

/// Whether the maker sells it at another of its addresses, by the first source.
fn is_listed_by(maker: &str, model: &str, source: &Source) -> bool {
    let sellers = MAKERS.iter().filter(|(_, it)| *it == maker);
    let listed = sellers.filter_map(|(seller, _)| Some((*seller, source.providers.get(*seller)?)));
    listed.into_iter().any(|(seller, provider)| {
        provider.models.keys().any(|wire| identify(seller, wire).model == model)
    })
}

/// An entry with the abilities of `known`; with the dates and the standing of `same`, where that is
/// the very model.
fn fact_of(model: &ModelPrices, known: &Model, same: Option<&Model>) -> Model {
    let answer = known.limit.as_ref().and_then(|limit| limit.output);
    let answer = answer.map(|answer| model.context.map_or(answer, |context| answer.min(context)));
    let modalities = Modalities {
        input: known.modalities.input.clone(),
        output: known.modalities.output.clone(),
    };
    Model {
        name: model.name.clone().unwrap_or_else(|| model.id.clone()),
        family: same.and_then(|same| same.family.clone()),
        reasoning: known.reasoning,
        tool_call: known.tool_call,
        structured_output: known.structured_output,
        open_weights: same.is_some_and(|same| same.open_weights),
        release_date: same.and_then(|same| same.release_date.clone()),
        knowledge: same.and_then(|same| same.knowledge.clone()),
        status: same.and_then(|same| same.status.clone()),
        limit: Some(Limit { context: model.context, input: None, output: answer }),
        modalities,
        cost: None,
        experimental: None,
        provider: None,
        benchmarks: Vec::new(),
    }
}
