//! Rebuilds the catalogue from public sources: source text in, canonical text out. Pure, so that
//! the same source always gives the same bytes; reading and writing files is the caller's. Leaves
//! out what the gateway can't serve, and says so.

use std::collections::{BTreeMap, BTreeSet};

mod added;
mod benchmarks;
mod dated;
mod estimate;
mod kinship;
pub mod media;
mod naming;
mod pricing;
mod ranks;
mod relatives;
mod select;
mod source;
mod structured;

pub use dated::Disagreement;
use dated::{Earlier, Second};
use estimate::Evidence;
use naming::{Identity, identify};
use relatives::Estimate;
use source::{Model, Source};

use crate::catalog::genai::PriceBook;
use crate::catalog::snapshot::{self, Line};
use crate::catalog::{CatalogError, Kind, Later, RateCard, sha256_hex};

/// Named in the header of the snapshot.
const MODELS_DEV: &str = "models.dev (github.com/anomalyco/models.dev)";
const GENAI_PRICES: &str = "genai-prices (github.com/pydantic/genai-prices)";
/// That of both.
const LICENCE: &str = "MIT";
/// Day of a month that is given without one: what was announced for the first is in force.
const DAY_OF_MONTH: &str = "28";

/// A rebuilt catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The snapshot, for `host/catalog/snapshot.jsonl`.
    pub text: String,
    /// Its checksum, for the file beside it.
    pub sha256: String,
    pub offers: usize,
    /// Different catalogue ids among the offers.
    pub models: usize,
    /// What a person should look at: offers left without a price, names that collided.
    pub notes: Vec<String>,
    /// Prices on which the sources differ by more than 1 %, by offer. The first source counts.
    pub disagreements: Vec<Disagreement>,
}

/// What a catalogue is made of.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The JSON of models.dev: who sells what, limits, modalities, prices, benchmarks.
    pub models_dev: &'a str,
    /// The second opinion about prices, which also knows when lists begin to count.
    pub genai_prices: Option<&'a PriceBook>,
}

/// Why a source can't become a catalogue.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    #[error("the source is not models.dev data: {0}; give the JSON with `providers` and `models`")]
    Source(#[source] serde_json::Error),
    #[error("the source of media prices is not LiteLLM's list: {0}")]
    Media(#[source] serde_json::Error),
    #[error("{0:?} is no date; write the day or month of the source, like 2026-07")]
    Date(String),
    #[error("the source has no provider {0:?}, which the catalogue must have; is it cut off")]
    ProviderMissing(&'static str),
    #[error("host/catalog/ranks.toml is damaged: {0}")]
    Ranks(String),
    #[error("the catalogue can't be written: {0}")]
    Write(#[source] serde_json::Error),
    #[error(transparent)]
    Invalid(#[from] CatalogError),
}

/// One offer on its way from the source to a line.
struct Draft<'a> {
    id: String,
    model: String,
    /// Who sells it, by the catalogue's name.
    seller: &'a str,
    wire: &'a str,
    region: Option<String>,
    kind: Kind,
    dialects: Vec<&'static str>,
    card: RateCard,
    earlier: Vec<Earlier>,
    fact: &'a Model,
    /// What it can was taken from its family.
    estimated: bool,
    /// It came out no earlier than on this day.
    since: Option<&'a str>,
}

/// Makes the catalogue from sources of the day or month `as_of`.
///
/// # Errors
/// When the first isn't models.dev data, or lacks a provider that must be there.
pub fn from_sources(sources: &Sources<'_>, as_of: &str) -> Result<Update, UpdateError> {
    let at = moment(as_of).ok_or_else(|| UpdateError::Date(as_of.to_owned()))?;
    let source: Source = serde_json::from_str(sources.models_dev).map_err(UpdateError::Source)?;
    let (mut notes, mut disagreements) = (Vec::new(), Vec::new());
    let added = sources.genai_prices.map(|book| added::models(&source, book, at));
    let (added, left_out) = added.unwrap_or_default();
    let mut drafts: BTreeMap<String, Draft<'_>> = BTreeMap::new();
    for name in select::PROVIDERS {
        let provider = source.providers.get(name).ok_or(UpdateError::ProviderMissing(name))?;
        for (wire, fact) in &provider.models {
            if let Some(kind) = select::kind(name, wire, fact) {
                let dialects = select::dialects(name, wire, &provider.npm, fact);
                let mut draft = draft(name, wire, fact, (kind, dialects), &mut notes);
                if let Some(book) = sources.genai_prices
                    && !fee(&mut draft, name, book, at, &mut notes)
                {
                    let id = (draft.id.as_str(), name, wire.as_str());
                    let second = dated::complete(&mut draft.card, id, book, at);
                    let Second { earlier, disagreements: found } = second;
                    draft.earlier = earlier;
                    disagreements.extend(found);
                }
                insert(&mut drafts, draft, name, &mut notes);
            }
        }
    }
    notes.extend(left_out);
    for one in &added {
        let draft = one.draft();
        notes.push(format!("{}: added, only {GENAI_PRICES} has it", draft.id));
        insert(&mut drafts, draft, one.seller, &mut notes);
    }
    let evidence = evidence(&source, &drafts);
    let estimates = relatives::priors(&evidence).map_err(UpdateError::Ranks)?;
    let mut lines = Vec::with_capacity(drafts.len());
    for draft in drafts.values() {
        if let Some(estimate) = estimates.get(draft.model.as_str()) {
            lines.push(line(draft, estimate));
        }
    }
    let from = match sources.genai_prices {
        Some(_) => format!("{MODELS_DEV}, {GENAI_PRICES}"),
        None => MODELS_DEV.to_owned(),
    };
    let header = snapshot::header(&from, LICENCE, as_of, lines.len());
    let text = snapshot::encode(&header, &lines).map_err(UpdateError::Write)?;
    // What was written must be readable: a pair of checks on the same bytes.
    crate::catalog::Catalog::parse(&text)?;
    Ok(Update {
        sha256: sha256_hex(&text),
        offers: lines.len(),
        models: estimates.len(),
        text,
        notes,
        disagreements: {
            disagreements.sort();
            disagreements
        },
    })
}

/// The disagreements as the file beside the catalogue lists them, one a line.
pub fn disagreements_text(disagreements: &[Disagreement]) -> String {
    let line = |d: &Disagreement| {
        let [one, two] = &d.prices;
        format!("{} {} {one} {two}\n", d.offer, d.item)
    };
    let head = "# offer, item, dollars per million by models.dev and by genai-prices\n";
    std::iter::once(head.to_owned()).chain(disagreements.iter().map(line)).collect()
}

/// The moment that a day or month stands for.
fn moment(as_of: &str) -> Option<jiff::Timestamp> {
    let whole = match as_of.len() {
        7 => format!("{as_of}-{DAY_OF_MONTH}"),
        _ => as_of.to_owned(),
    };
    let day: jiff::civil::Date = whole.parse().ok()?;
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// What changed between two snapshots, one line per offer: added, removed, or changed.
///
/// # Errors
/// When one of them can't be read.
pub fn diff(old: &str, new: &str) -> Result<Vec<String>, CatalogError> {
    let (_, old) = snapshot::lines(old)?;
    let (_, new) = snapshot::lines(new)?;
    let before: BTreeMap<&str, &Line<'_>> = old.iter().map(|line| (line.id, line)).collect();
    let after: BTreeMap<&str, &Line<'_>> = new.iter().map(|line| (line.id, line)).collect();
    let ids: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut changes = Vec::new();
    for id in ids {
        match (before.get(id), after.get(id)) {
            (None, Some(_)) => changes.push(format!("+ {id}")),
            (Some(_), None) => changes.push(format!("- {id}")),
            (Some(old), Some(new)) if old != new => changes.push(change(id, old, new)),
            _ => {}
        }
    }
    Ok(changes)
}

fn change(id: &str, old: &Line<'_>, new: &Line<'_>) -> String {
    let mut parts = Vec::new();
    let items: BTreeSet<&&str> =
        old.usd_per_million.keys().chain(new.usd_per_million.keys()).collect();
    for item in items {
        let price = |line: &Line<'_>| {
            line.usd_per_million.get(*item).map_or("unknown".to_owned(), ToString::to_string)
        };
        let (before, after) = (price(old), price(new));
        if before != after {
            parts.push(format!("{item} {before} -> {after}"));
        }
    }
    if old.above != new.above || old.served != new.served {
        parts.push("tiers".to_owned());
    }
    if old.from != new.from || old.until != new.until {
        parts.push("lists of other days".to_owned());
    }
    if parts.is_empty() {
        parts.push("facts".to_owned());
    }
    format!("~ {id}: {}", parts.join(", "))
}

/// Turns one entry of the source into a draft.
fn draft<'a>(
    provider: &'a str,
    wire: &'a str,
    fact: &'a Model,
    (kind, dialects): (Kind, Vec<&'static str>),
    notes: &mut Vec<String>,
) -> Draft<'a> {
    let Identity { vendor, model, region } = identify(provider, wire);
    let model = format!("{vendor}/{model}");
    let place = region
        .as_ref()
        .map_or_else(|| provider.to_owned(), |region| format!("{provider}:{region}"));
    let id = format!("{model}@{place}");
    let card = pricing::rate_card(provider, wire, &vendor, kind, fact).unwrap_or_else(|reason| {
        notes.push(format!("{id}: no price, {reason}"));
        RateCard::default()
    });
    Draft {
        id,
        model,
        seller: provider,
        wire,
        region,
        kind,
        dialects,
        card,
        earlier: Vec::new(),
        fact,
        estimated: false,
        since: None,
    }
}

/// Takes the second source's card for an offer with a fee that the first leaves out, and says
/// whether it did.
fn fee(
    draft: &mut Draft<'_>,
    provider: &str,
    book: &PriceBook,
    at: jiff::Timestamp,
    notes: &mut Vec<String>,
) -> bool {
    let vendor = draft.model.split('/').next().unwrap_or_default();
    let card = pricing::has_fee(vendor).then(|| dated::with_fee((provider, draft.wire), book, at));
    let Some((card, earlier)) = card.flatten() else { return false };
    (draft.card, draft.earlier) = (card, earlier);
    let unpriced = format!("{}: no price", draft.id);
    notes.retain(|note| !note.starts_with(&unpriced));
    true
}

/// Two spellings of one model by one provider: the shorter name keeps the plain id, the other
/// gets its own name as catalogue id.
fn insert<'a>(
    drafts: &mut BTreeMap<String, Draft<'a>>,
    draft: Draft<'a>,
    provider: &str,
    notes: &mut Vec<String>,
) {
    let Some(there) = drafts.remove(&draft.id) else {
        drafts.insert(draft.id.clone(), draft);
        return;
    };
    let (plain, mut other) =
        if draft.wire.len() < there.wire.len() { (draft, there) } else { (there, draft) };
    notes.push(format!("{}: also sold as {}", plain.id, other.wire));
    let vendor = other.model.split('/').next().unwrap_or_default();
    let own = other.wire.rsplit('/').next().unwrap_or(other.wire).to_ascii_lowercase();
    other.model = format!("{vendor}/{own}").replace('@', "-");
    other.id = format!("{}@{provider}", other.model);
    drafts.insert(plain.id.clone(), plain);
    drafts.insert(other.id.clone(), other);
}

/// Gathers, per catalogue id, what all sellers and the model table say.
fn evidence(source: &Source, drafts: &BTreeMap<String, Draft<'_>>) -> BTreeMap<String, Evidence> {
    let mut evidence: BTreeMap<String, Evidence> = BTreeMap::new();
    let mut prices: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for draft in drafts.values() {
        let known = evidence.entry(draft.model.clone()).or_default();
        add_facts(known, draft.fact);
        known.embedding = draft.kind == Kind::Embedding;
        known.since = known.since.take().or_else(|| draft.since.map(str::to_owned));
        if let Some(price) = draft.card.base.output {
            prices.entry(&draft.model).or_default().push(price);
            let (model, place) = draft.id.split_once('@').unwrap_or_default();
            if model.split('/').next() == Some(place) {
                known.output_price = Some(price);
            }
        }
    }
    for (model, mut prices) in prices {
        prices.sort();
        let middle = prices.get(prices.len() / 2).copied();
        if let Some(known) = evidence.get_mut(model) {
            known.output_price = known.output_price.or(middle);
        }
    }
    for (name, fact) in &source.models {
        let (vendor, short) = name.split_once('/').unwrap_or_default();
        let Identity { model, .. } = identify(vendor, short);
        if let Some(known) = evidence.get_mut(&format!("{vendor}/{model}")) {
            add_facts(known, fact);
        }
    }
    evidence
}

fn add_facts(known: &mut Evidence, fact: &Model) {
    known.reasoning |= fact.reasoning;
    if let Some(date) = &fact.release_date {
        let earlier = known.released.as_ref().is_none_or(|there| date < there);
        if earlier {
            known.released = Some(date.clone());
        }
    }
    for benchmark in &fact.benchmarks {
        known.scores.add(benchmark);
    }
}

fn line<'a>(draft: &'a Draft<'a>, estimate: &'a Estimate) -> Line<'a> {
    let fact = draft.fact;
    let [code, agent, data] = estimate.fields;
    let tokens = |count: Option<u64>| u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX);
    let limit = fact.limit.as_ref();
    let context = tokens(limit.and_then(|limit| limit.context));
    let prompt = limit.and_then(|limit| limit.input).map(|input| tokens(Some(input)));
    let status = |status: &str| fact.status.as_deref() == Some(status);
    let keeps_schema = draft.kind == Kind::Chat
        && fact
            .structured_output
            .unwrap_or_else(|| structured::documented(draft.seller, draft.wire));
    let flags = [
        ("tools", fact.tool_call),
        ("structured-output", keeps_schema),
        ("reasoning", fact.reasoning),
        ("open-weights", fact.open_weights),
        ("deprecated", status("deprecated")),
        ("beta", status("beta") || status("alpha")),
        ("free", draft.card.free),
        ("estimated", draft.estimated),
    ];
    Line {
        id: &draft.id,
        wire: draft.wire,
        name: &fact.name,
        family: fact.family.as_deref(),
        kind: draft.kind.label(),
        dialects: draft.dialects.clone(),
        context,
        prompt: prompt.filter(|prompt| *prompt > 0 && *prompt < context),
        answer: tokens(limit.and_then(|limit| limit.output)),
        input: fact.modalities.input.iter().map(String::as_str).collect(),
        output: fact.modalities.output.iter().map(String::as_str).collect(),
        is: flags.iter().filter(|(_, set)| *set).map(|(label, _)| *label).collect(),
        released: fact.release_date.as_deref(),
        knowledge: fact.knowledge.as_deref(),
        region: draft.region.as_deref(),
        general: estimate.general,
        code,
        agent,
        data,
        like: estimate.like.as_deref(),
        derived: draft.card.derived.items(),
        usd_per_million: snapshot::price_texts(draft.card.base),
        above: above(&draft.card),
        served: served(&draft.card),
        from: draft.card.later.iter().map(later).collect(),
        until: draft
            .earlier
            .iter()
            .map(|list| (list.until.as_str().into(), snapshot::price_texts(list.rates)))
            .collect(),
    }
}

fn above(card: &RateCard) -> BTreeMap<u64, snapshot::Prices<'_>> {
    let tiers = card.tiers.iter();
    tiers.map(|tier| (tier.above_input_tokens, snapshot::price_texts(tier.rates))).collect()
}

fn served(card: &RateCard) -> BTreeMap<&str, snapshot::Prices<'_>> {
    let modes = card.modes.iter();
    modes.map(|mode| (mode.served.as_str(), snapshot::price_texts(mode.rates))).collect()
}

fn later(list: &Later) -> (std::borrow::Cow<'_, str>, snapshot::Dated<'_>) {
    let dated = snapshot::Dated {
        usd_per_million: snapshot::price_texts(list.card.base),
        above: above(&list.card),
        served: served(&list.card),
    };
    (crate::clock::day_of(list.from_ms).into(), dated)
}

// === impl Added ===

impl added::Added {
    fn draft(&self) -> Draft<'_> {
        let Identity { vendor, model, region } = identify(self.seller, &self.wire);
        let model = format!("{vendor}/{model}");
        Draft {
            id: format!("{model}@{}", self.seller),
            model,
            seller: self.seller,
            wire: &self.wire,
            region,
            kind: self.kind,
            dialects: self.dialects.clone(),
            card: self.card.clone(),
            earlier: self.earlier.clone(),
            fact: &self.fact,
            estimated: self.estimated,
            since: self.since.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests;
