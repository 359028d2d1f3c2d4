//! One price list of a model: from when or at which hours it is in force, and its rates, exact to
//! the pico-dollar. Tiers that the file states per component become rates for the whole request.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Time};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::value::RawValue;
use turnpike_ledger::PicoUsd;

use crate::catalog::price::{PriceError, per_million};
use crate::catalog::{RateCard, Rates, Tier};

/// Digits after the point that a price per million can have.
const DECIMALS_MAX: usize = 6;
/// Units in the file's count of requests and searches, whose prices are per so many.
const PER_THOUSAND: u128 = 1_000;

/// A list and when it counts.
#[derive(Debug)]
pub struct PriceList {
    pub when: InForce,
    pub card: RateCard,
    /// A price had more decimals than a whole number of pico-dollars per token, and was rounded.
    pub rounded: bool,
}

/// When a list is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InForce {
    Always,
    /// From the start of that day, UTC.
    Since(Date),
    /// Every day from one time until before another, UTC.
    Daily(Time, Time),
}

#[derive(Deserialize)]
struct Conditional<'a> {
    #[serde(default)]
    constraint: Option<Constraint>,
    #[serde(borrow)]
    prices: Components<'a>,
}

#[derive(Deserialize)]
struct Constraint {
    start_date: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
}

type Components<'a> = BTreeMap<String, &'a RawValue>;

#[derive(Deserialize)]
struct Tiered<'a> {
    #[serde(borrow)]
    base: &'a RawValue,
    #[serde(borrow)]
    tiers: Vec<TierText<'a>>,
}

#[derive(Deserialize)]
struct TierText<'a> {
    start: u64,
    #[serde(borrow)]
    price: &'a RawValue,
}

/// One component's price by the length of the prompt, and whether it was rounded.
struct Component {
    item: &'static str,
    base: PicoUsd,
    tiers: BTreeMap<u64, PicoUsd>,
}

// === impl InForce ===

impl InForce {
    pub fn covers(&self, at: Timestamp) -> bool {
        let at = at.to_zoned(TimeZone::UTC);
        match self {
            Self::Always => true,
            Self::Since(day) => at.date() >= *day,
            Self::Daily(from, until) => at.time() >= *from && at.time() < *until,
        }
    }

    fn of(constraint: Option<Constraint>) -> Result<Self, String> {
        let Some(constraint) = constraint else { return Ok(Self::Always) };
        let time = |text: Option<String>| {
            let text = text.ok_or("a list is in force at no known time")?;
            let plain = text.trim_end_matches('Z');
            plain.parse::<Time>().map_err(|error| format!("{text:?} is no time: {error}"))
        };
        match constraint.start_date {
            Some(day) => {
                let day = day.parse().map_err(|error| format!("{day:?} is no day: {error}"));
                Ok(Self::Since(day?))
            }
            None => Ok(Self::Daily(time(constraint.start_time)?, time(constraint.end_time)?)),
        }
    }
}

/// The lists of one model, in the file's order.
pub(super) fn lists(prices: &RawValue) -> Result<Vec<PriceList>, String> {
    let plain = |error: serde_json::Error| error.to_string();
    let all: Vec<Conditional<'_>> = if prices.get().starts_with('[') {
        serde_json::from_str(prices.get()).map_err(plain)?
    } else {
        let prices = serde_json::from_str(prices.get()).map_err(plain)?;
        vec![Conditional { constraint: None, prices }]
    };
    all.into_iter()
        .map(|list| {
            let (card, rounded) = card(&list.prices)?;
            Ok(PriceList { when: InForce::of(list.constraint)?, card, rounded })
        })
        .collect()
}

fn card(components: &Components<'_>) -> Result<(RateCard, bool), String> {
    let mut rounded = false;
    let mut parts = Vec::with_capacity(components.len());
    for (name, raw) in components {
        parts.push(component(name, raw, &mut rounded)?);
    }
    let starts: BTreeSet<u64> = parts.iter().flat_map(|part| part.tiers.keys().copied()).collect();
    let rates = |above: Option<u64>| {
        let mut rates = Rates::default();
        for part in &parts {
            let reached = above.and_then(|above| part.tiers.range(..=above).next_back());
            let price = reached.map_or(part.base, |(_, price)| *price);
            if let Some(slot) = rates.slot(part.item) {
                *slot = Some(price);
            }
        }
        rates
    };
    let tiers =
        starts.iter().map(|start| Tier { above_input_tokens: *start, rates: rates(Some(*start)) });
    let base = rates(None);
    let free = base.input == Some(PicoUsd(0)) && base.output.is_none_or(|price| price.0 == 0);
    let card = RateCard { base, tiers: tiers.collect(), free, ..RateCard::default() };
    Ok((card, rounded))
}

fn component(name: &str, raw: &RawValue, rounded: &mut bool) -> Result<Component, String> {
    let (item, unit) = item(name).ok_or_else(|| format!("it charges for {name:?}"))?;
    let mut price = |text: &str| {
        let (price, was_rounded) = whole(text).map_err(|error| error.to_string())?;
        *rounded |= was_rounded;
        Ok::<_, String>(PicoUsd(price.0.saturating_mul(unit)))
    };
    if !raw.get().starts_with('{') {
        return Ok(Component { item, base: price(raw.get())?, tiers: BTreeMap::new() });
    }
    let tiered: Tiered<'_> = serde_json::from_str(raw.get()).map_err(|e| e.to_string())?;
    let mut tiers = BTreeMap::new();
    for tier in &tiered.tiers {
        tiers.insert(tier.start, price(tier.price.get())?);
    }
    Ok(Component { item, base: price(tiered.base.get())?, tiers })
}

/// What a component is here, and how many times a price per million it is.
fn item(name: &str) -> Option<(&'static str, u128)> {
    Some(match name {
        "input_mtok" => ("input", 1),
        "output_mtok" => ("output", 1),
        "cache_read_mtok" => ("cache-read", 1),
        "cache_write_mtok" => ("cache-write-short", 1),
        "cache_write_1h_mtok" => ("cache-write-long", 1),
        "output_reasoning_mtok" => ("reasoning", 1),
        "input_audio_mtok" => ("input-audio", 1),
        "output_audio_mtok" => ("output-audio", 1),
        "input_image_mtok" => ("input-image", 1),
        "output_image_mtok" => ("output-image", 1),
        "input_video_mtok" => ("input-video", 1),
        "output_video_mtok" => ("output-video", 1),
        "cache_audio_read_mtok" => ("cache-read-audio", 1),
        "cache_image_read_mtok" => ("cache-read-image", 1),
        "output_citation_mtok" => ("citation", 1),
        "requests_kcount" => ("request", PER_THOUSAND),
        "web_searches_kcount" => ("search", PER_THOUSAND),
        _ => return None,
    })
}

/// A price as a whole number of pico-dollars, and whether it had to be rounded to one: some prices
/// of the file are quotients or went through a float.
fn whole(text: &str) -> Result<(PicoUsd, bool), PriceError> {
    let exact = per_million(text);
    let Err(PriceError::TooFine(_)) = exact else { return exact.map(|price| (price, false)) };
    let (units, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let kept = fraction.get(..DECIMALS_MAX).unwrap_or(fraction);
    let next = fraction.as_bytes().get(DECIMALS_MAX).copied().unwrap_or(b'0');
    let price = per_million(&format!("{units}.{kept}"))?;
    Ok((PicoUsd(price.0.saturating_add(u128::from(next >= b'5'))), true))
}
