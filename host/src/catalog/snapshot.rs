//! The catalogue as text: a header line, then one offer a line, sorted by id, so that a change of
//! a price is a change of one line. Reads and writes that form; knows nothing of its sources.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalog::price::{PriceError, per_million, to_per_million};
use crate::catalog::{
    CatalogError, Derived, Kind, Later, Modalities, Mode, Offer, Quality, RateCard, Rates, Tier,
};

/// The form of the lines; a reader refuses another one.
const FORM: u32 = 1;

/// Offers in one snapshot at most: forty times the source of today, so more is a mistake.
const OFFERS_MAX: usize = 40_000;

/// The most that a quality can be.
const PERMILLE_MAX: u16 = 1000;

/// The first line: where the facts come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Always [`FORM`].
    pub turnpike_catalog: u32,
    pub source: String,
    pub licence: String,
    /// The day, or month, that the facts are of.
    pub as_of: String,
    pub offers: usize,
}

/// One line: an [`Offer`] as text. Absent means no, unknown or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    pub(super) id: &'a str,
    pub(super) wire: &'a str,
    pub(super) name: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) family: Option<&'a str>,
    pub(super) kind: &'a str,
    #[serde(borrow)]
    pub(super) dialects: Vec<&'a str>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) context: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prompt: Option<u32>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) answer: u32,
    #[serde(rename = "in", borrow)]
    pub(super) input: Vec<&'a str>,
    #[serde(rename = "out", borrow)]
    pub(super) output: Vec<&'a str>,

    /// Of: tools, structured-output, reasoning, open-weights, deprecated, beta, free, estimated.
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    pub(super) is: Vec<&'a str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) released: Option<&'a str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) knowledge: Option<&'a str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<&'a str>,
    pub(super) general: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<u16>,
    /// The model that these figures are taken from, where it was not measured itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) like: Option<&'a str>,
    /// Items of it whose price is an estimate; `input` stands for prompts and answers.
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    pub(super) derived: Vec<&'a str>,
    /// Dollars per million of each unit.
    #[serde(default, borrow, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) usd_per_million: Prices<'a>,
    /// The same by prompt length: applies above so many input tokens.
    #[serde(default, borrow, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) above: BTreeMap<u64, Prices<'a>>,
    /// The same by service tier.
    #[serde(default, borrow, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) served: BTreeMap<&'a str, Prices<'a>>,
    /// Lists that take the place of the ones above, by the day from which they count.
    #[serde(default, borrow, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) from: BTreeMap<Cow<'a, str>, Dated<'a>>,
    /// Prices that were in force until a day. For the record: nothing is priced by them any more.
    #[serde(default, borrow, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) until: BTreeMap<Cow<'a, str>, Prices<'a>>,
}

/// A whole list that counts from a day on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dated<'a> {
    #[serde(borrow)]
    pub(super) usd_per_million: Prices<'a>,
    #[serde(default, borrow, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) above: BTreeMap<u64, Prices<'a>>,
    #[serde(default, borrow, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) served: BTreeMap<&'a str, Prices<'a>>,
}

/// Price texts by item, as `bill.quantity` names it.
pub(super) type Prices<'a> = BTreeMap<&'a str, Cow<'a, str>>;

/// Shares one allocation between the many offers of a vendor, family or dialect set.
#[derive(Default)]
struct Interner<'a>(HashMap<&'a str, Arc<str>>);

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The checksum that is kept beside the snapshot, in lower-case hexadecimal.
pub fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the canonical text: same offers, same bytes.
pub(super) fn encode(header: &Header, lines: &[Line<'_>]) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string(header)?;
    text.push('\n');
    for line in lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    Ok(text)
}

/// A header of the form that this version writes.
pub(super) fn header(source: &str, licence: &str, as_of: &str, offers: usize) -> Header {
    let own = str::to_owned;
    Header {
        turnpike_catalog: FORM,
        source: own(source),
        licence: own(licence),
        as_of: own(as_of),
        offers,
    }
}

/// Splits a snapshot into its header and parsed lines.
pub(super) fn lines(text: &str) -> Result<(Header, Vec<Line<'_>>), CatalogError> {
    let mut rows = text.lines().enumerate();
    let bad =
        |row: usize, reason: String| CatalogError::Line { line: row.saturating_add(1), reason };
    let (_, first) = rows.next().ok_or_else(|| bad(0, "the snapshot is empty".to_owned()))?;
    let header: Header = serde_json::from_str(first).map_err(|e| bad(0, e.to_string()))?;
    if header.turnpike_catalog != FORM {
        let found = header.turnpike_catalog;
        return Err(bad(0, format!("form {found} is not the form {FORM} this version reads")));
    }
    let mut parsed = Vec::with_capacity(header.offers.min(OFFERS_MAX));
    for (row, line) in rows.filter(|(_, line)| !line.is_empty()) {
        if parsed.len() >= OFFERS_MAX {
            return Err(bad(row, format!("more than {OFFERS_MAX} offers")));
        }
        parsed.push(serde_json::from_str::<Line<'_>>(line).map_err(|e| bad(row, e.to_string()))?);
    }
    if parsed.len() != header.offers {
        let reason = format!("{} offers, but the header says {}", parsed.len(), header.offers);
        return Err(bad(0, reason));
    }
    Ok((header, parsed))
}

/// Reads a snapshot into offers, in the order of the text.
pub(super) fn decode(text: &str) -> Result<(Header, Vec<Arc<Offer>>), CatalogError> {
    let (header, lines) = lines(text)?;
    let mut names = Interner::default();
    let mut offers = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let row = index.saturating_add(2);
        let offer =
            offer(line, &mut names).map_err(|reason| CatalogError::Line { line: row, reason })?;
        offers.push(Arc::new(offer));
    }
    Ok((header, offers))
}

fn offer<'a>(line: &Line<'a>, names: &mut Interner<'a>) -> Result<Offer, String> {
    let parts = line.id.split_once('@');
    let (model, place) = parts.ok_or_else(|| format!("id {:?} has no provider", line.id))?;
    let provider = place.split_once(':').map_or(place, |(provider, _)| provider);
    let vendor = model.split_once('/').map(|(vendor, _)| vendor);
    let vendor = vendor.ok_or_else(|| format!("id {:?} has no vendor", line.id))?;
    let kind = Kind::from_label(line.kind).ok_or_else(|| format!("no kind {:?}", line.kind))?;
    let is = |label: &str| line.is.contains(&label);
    let input = Modalities::parse(&line.input);
    Ok(Offer {
        id: Arc::from(line.id),
        vendor: names.get(vendor),
        model: names.get(model),
        provider: names.get(provider),
        upstream_model: Arc::from(line.wire),
        display_name: names.get(line.name),
        family: line.family.map(|family| names.get(family)),
        kind,
        dialects: line.dialects.iter().map(|label| names.get(label)).collect(),
        context_tokens: line.context,
        input_tokens: line.prompt,
        output_tokens: line.answer,
        input,
        output: Modalities::parse(&line.output),
        tools: is("tools"),
        structured_output: is("structured-output"),
        reasoning: is("reasoning"),
        open_weights: is("open-weights"),
        rates: rate_card(line, is("free")).map_err(|e| e.to_string())?,
        quality: Quality {
            general_permille: line.general.min(PERMILLE_MAX),
            code_permille: line.code.map(|code| code.min(PERMILLE_MAX)),
            agent_permille: line.agent.map(|agent| agent.min(PERMILLE_MAX)),
            data_permille: line.data.map(|data| data.min(PERMILLE_MAX)),
            measured: line.like.is_none(),
            reasoning: is("reasoning"),
            vision: input.image,
            declared: false,
        },
        like: line.like.map(|like| names.get(like)),
        deprecated: is("deprecated"),
        beta: is("beta"),
        estimated: is("estimated"),
        released: line.released.map(|date| names.get(date)),
        knowledge: line.knowledge.map(|date| names.get(date)),
        region: line.region.map(|region| names.get(region)),
        zero_retention: false,
        given_away: is("free"),
    })
}

fn rate_card(line: &Line<'_>, free: bool) -> Result<RateCard, PriceError> {
    let mut later = Vec::with_capacity(line.from.len());
    let derived = Derived::of(&line.derived);
    for (day, list) in &line.from {
        let from_ms = crate::clock::day_start_s(day).saturating_mul(1000);
        if from_ms == 0 {
            return Err(PriceError::NotADay(day.to_string()));
        }
        let card = lists(&list.usd_per_million, &list.above, &list.served)?;
        let derived = Derived { hour: false, ..derived };
        later.push(Later { from_ms, card: RateCard { derived, ..card } });
    }
    let card = lists(&line.usd_per_million, &line.above, &line.served)?;
    Ok(RateCard { free, later, derived, ..card })
}

fn lists(
    base: &Prices<'_>,
    above: &BTreeMap<u64, Prices<'_>>,
    served: &BTreeMap<&str, Prices<'_>>,
) -> Result<RateCard, PriceError> {
    let tier = |(above, prices): (&u64, &Prices<'_>)| {
        rates(prices).map(|rates| Tier { above_input_tokens: *above, rates })
    };
    let mode = |(served, prices): (&&str, &Prices<'_>)| {
        rates(prices).map(|rates| Mode { served: (*served).to_owned(), rates })
    };
    Ok(RateCard {
        base: rates(base)?,
        tiers: above.iter().map(tier).collect::<Result<_, _>>()?,
        modes: served.iter().map(mode).collect::<Result<_, _>>()?,
        ..RateCard::default()
    })
}

/// Reads price texts by item. An item that no bucket has is refused as a misspelling.
pub(super) fn rates(prices: &Prices<'_>) -> Result<Rates, PriceError> {
    let mut rates = Rates::default();
    for (item, text) in prices {
        let slot = rates.slot(item);
        let slot = slot.ok_or_else(|| PriceError::UnknownItem((*item).to_owned()))?;
        *slot = Some(per_million(text)?);
    }
    Ok(rates)
}

/// The reverse of [`rates`].
pub(super) fn price_texts(mut rates: Rates) -> Prices<'static> {
    let mut prices = Prices::new();
    for item in Rates::ITEMS {
        if let Some(price) = rates.slot(item).and_then(|slot| *slot) {
            prices.insert(item, to_per_million(price).into());
        }
    }
    prices
}

// === impl Interner ===

impl<'a> Interner<'a> {
    fn get(&mut self, name: &'a str) -> Arc<str> {
        Arc::clone(self.0.entry(name).or_insert_with(|| Arc::from(name)))
    }
}
