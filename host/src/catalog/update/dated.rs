//! What a second source adds to an offer's prices and where it contradicts the first: lists by the
//! day from which they count, prices that the first source leaves out, differences over 1 %.
//! Takes nothing over from a list whose plain prices contradict.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use turnpike_ledger::PicoUsd;

use crate::catalog::genai::{InForce, ModelPrices, PriceBook, PriceList};
use crate::catalog::{Derived, Later, RateCard, Rates, to_per_million};

use super::pricing;

/// Differences up to one part in so many are not worth a person's eye.
const TOLERATED: u128 = 100;

/// The catalogue's names of providers, and the second source's where they differ.
const NAMES: [(&str, &str); 5] = [
    ("amazon-bedrock", "aws"),
    ("fireworks-ai", "fireworks"),
    ("google-vertex", "google"),
    ("togetherai", "together"),
    ("xai", "x-ai"),
];

/// One price on which the sources differ by more than 1 %.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Disagreement {
    /// The offer's id.
    pub offer: String,
    /// The item, as `bill.quantity` names it.
    pub item: &'static str,
    /// Dollars per million units, by models.dev and by genai-prices.
    pub prices: [String; 2],
}

/// A list that counted before the one in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Earlier {
    /// The day on which it ceased.
    pub(super) until: String,
    pub(super) rates: Rates,
}

/// What the second source has to say about one offer.
#[derive(Debug, Default)]
pub(super) struct Second {
    pub(super) earlier: Vec<Earlier>,
    pub(super) disagreements: Vec<Disagreement>,
}

/// The second source's name for a provider.
pub(super) fn name_of(provider: &str) -> &str {
    NAMES.iter().find(|(ours, _)| *ours == provider).map_or(provider, |(_, theirs)| theirs)
}

/// The whole card of an offer whose maker charges a fee that the first source leaves out: the
/// second source's, if it has the fee.
pub(super) fn with_fee(
    (provider, wire): (&str, &str),
    book: &PriceBook,
    at: Timestamp,
) -> Option<(RateCard, Vec<Earlier>)> {
    let model = book.find(name_of(provider), wire)?;
    let list = model.at(at).filter(|list| !list.rounded && list.card.is_priced())?;
    list.card.base.request.or(list.card.base.search)?;
    let derived = Derived { whole: true, ..list.card.derived };
    let later = later((provider, wire), model, at);
    let card = RateCard { later, derived, ..list.card.clone() };
    Some((card, earlier(model, at)))
}

/// Completes the card of an offer from the second source's list in force at `at`.
pub(super) fn complete(
    card: &mut RateCard,
    (offer, provider, wire): (&str, &str, &str),
    book: &PriceBook,
    at: Timestamp,
) -> Second {
    let mut second = Second::default();
    let Some(model) = book.find(name_of(provider), wire) else { return second };
    let Some(list) = model.at(at).filter(|list| !list.rounded) else { return second };
    second.disagreements = disagreements(offer, card.base, list.card.base);
    let same = card.base.input == list.card.base.input && card.base.output == list.card.base.output;
    if !same || card.base.input.is_none() || card.free {
        return second;
    }
    fill(&mut card.base, list.card.base);
    for tier in &mut card.tiers {
        if let Ok(theirs) = list.card.rates(tier.above_input_tokens.saturating_add(1), None) {
            fill(&mut tier.rates, theirs);
        }
    }
    card.later = later((provider, wire), model, at);
    second.earlier = earlier(model, at);
    second
}

/// Sets what is not known and has a price that is no zero.
fn fill(rates: &mut Rates, mut theirs: Rates) {
    for item in Rates::ITEMS {
        let known = theirs.slot(item).and_then(|price| *price).filter(|price| !price.is_zero());
        if let Some(slot) = rates.slot(item).filter(|slot| slot.is_none()) {
            *slot = known;
        }
    }
}

fn disagreements(offer: &str, mut ours: Rates, mut theirs: Rates) -> Vec<Disagreement> {
    let mut all = Vec::new();
    for item in Rates::ITEMS {
        let price = |rates: &mut Rates| rates.slot(item).and_then(|price| *price);
        let (Some(one), Some(two)) = (price(&mut ours), price(&mut theirs)) else { continue };
        if differ(one, two) {
            let prices = [to_per_million(one), to_per_million(two)];
            all.push(Disagreement { offer: offer.to_owned(), item, prices });
        }
    }
    all
}

/// By more than one per cent of the larger.
fn differ(one: PicoUsd, two: PicoUsd) -> bool {
    let apart = one.0.abs_diff(two.0);
    apart.saturating_mul(TOLERATED) > one.0.max(two.0)
}

/// Lists that begin after `at`, with what the seller's have beside the tokens.
pub(super) fn later(
    (provider, wire): (&str, &str),
    model: &ModelPrices,
    at: Timestamp,
) -> Vec<Later> {
    let later = model.lists.iter().filter_map(|list| {
        let from = begins(list).filter(|from| *from > at)?;
        let from_ms = u64::try_from(from.as_millisecond()).ok()?;
        let mut card = list.card.clone();
        pricing::complete(provider, wire, &mut card);
        Some(Later { from_ms, card })
    });
    let mut later: Vec<Later> = later.filter(|later| later.card.is_priced()).collect();
    later.sort_by_key(|later| later.from_ms);
    later
}

/// Lists that had ceased by `at`, each at the beginning of the next.
pub(super) fn earlier(model: &ModelPrices, at: Timestamp) -> Vec<Earlier> {
    let mut dated: Vec<(Option<Timestamp>, &PriceList)> =
        model.lists.iter().filter(|list| !daily(list)).map(|list| (begins(list), list)).collect();
    dated.sort_by_key(|(from, _)| *from);
    let ends = dated.iter().skip(1).map(|(from, _)| *from);
    let ended = dated.iter().zip(ends).filter_map(|((_, list), until)| {
        let until = until.filter(|until| *until <= at)?;
        let until = until.to_zoned(TimeZone::UTC).date().to_string();
        Some(Earlier { until, rates: list.card.base })
    });
    ended.collect()
}

fn daily(list: &PriceList) -> bool {
    matches!(list.when, InForce::Daily(..))
}

fn begins(list: &PriceList) -> Option<Timestamp> {
    match list.when {
        InForce::Since(day) => Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp()),
        InForce::Always | InForce::Daily(..) => None,
    }
}
