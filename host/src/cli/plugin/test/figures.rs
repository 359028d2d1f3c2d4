//! The offers of a route's case and the quantities of a bill's, as a case writes them and as a
//! policy is asked. Every figure may be left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::Value;
use turnpike_ledger::PicoUsd;

use crate::policy::{AttrValue, BillCall, Classification, Figures, Objective, Offers, Quantity};

use super::cases::attr;

/// What a route policy is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    #[serde(default)]
    pub(super) task: Task,
    candidates: Vec<Candidate>,
    #[serde(default)]
    objective: Wanted,
}

/// The classification that it is given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Task {
    task: String,
    difficulty: f64,
    confidence: f64,
    needs: Vec<String>,
    context_tokens: u32,
    attrs: BTreeMap<String, Value>,
}

impl Default for Task {
    fn default() -> Self {
        Self {
            task: "chat".to_owned(),
            difficulty: 0.5,
            confidence: 0.9,
            needs: Vec::new(),
            context_tokens: 0,
            attrs: BTreeMap::new(),
        }
    }
}

/// An offer with its figures; those that are left out are those of an offer that nobody has asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Candidate {
    offer: String,
    #[serde(default = "middling")]
    quality: f64,
    #[serde(default)]
    cost_usd: f64,
    cost_worst_usd: Option<f64>,
    #[serde(default = "usual_first_token")]
    first_token_ms: f64,
    first_token_p95_ms: Option<f64>,
    #[serde(default = "usual_speed")]
    tokens_per_second: f64,
    #[serde(default = "always")]
    availability: f64,
    #[serde(default)]
    in_flight: f64,
    #[serde(default)]
    marks: u8,
    #[serde(default)]
    attrs: BTreeMap<String, Value>,
}

fn middling() -> f64 {
    0.5
}

fn usual_first_token() -> f64 {
    700.0
}

fn usual_speed() -> f64 {
    60.0
}

fn always() -> f64 {
    1.0
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    profile: String,
    quality_floor: f64,
    cost_ceiling_usd: f64,
    first_token_ceiling_ms: f64,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            profile: "balanced".to_owned(),
            quality_floor: 0.0,
            cost_ceiling_usd: 0.0,
            first_token_ceiling_ms: 0.0,
        }
    }
}

impl Route {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.candidates.is_empty() {
            bail!("route needs at least one candidate");
        }
        let values = self.candidates.iter().flat_map(|it| it.attrs.values());
        for value in values.chain(self.task.attrs.values()) {
            attr(value.clone())?;
        }
        Ok(())
    }

    pub(super) fn figures(&self) -> Figures {
        let mut out = Figures::with_capacity(self.candidates.len());
        for it in &self.candidates {
            out.quality.push(it.quality);
            out.cost_usd.push(it.cost_usd);
            out.cost_worst_usd.push(it.cost_worst_usd.unwrap_or(it.cost_usd));
            out.first_token_ms.push(it.first_token_ms);
            out.first_token_p95_ms.push(it.first_token_p95_ms.unwrap_or(it.first_token_ms));
            out.tokens_per_second.push(it.tokens_per_second);
            out.availability.push(it.availability);
            out.in_flight.push(it.in_flight);
            out.marks.push(it.marks);
        }
        out
    }

    pub(super) fn objective(&self) -> Objective {
        Objective {
            profile: self.objective.profile.clone(),
            quality_floor: self.objective.quality_floor,
            cost_ceiling_usd: self.objective.cost_ceiling_usd,
            first_token_ceiling_ms: self.objective.first_token_ceiling_ms,
        }
    }

    pub(super) fn classification(&self) -> Classification {
        let it = &self.task;
        Classification {
            task: it.task.clone(),
            difficulty: it.difficulty,
            confidence: it.confidence,
            needs: it.needs.clone(),
            context_tokens: it.context_tokens,
            attrs: attrs(&it.attrs),
        }
    }

    pub(super) fn offers(&self) -> Arc<dyn Offers> {
        let row = |it: &Candidate| (it.offer.clone(), attrs(&it.attrs));
        Arc::new(Rows(self.candidates.iter().map(row).collect()))
    }

    /// The offers' names, by row.
    pub(super) fn names(&self) -> Vec<&str> {
        self.candidates.iter().map(|it| it.offer.as_str()).collect()
    }
}

/// What [`Route::check`] has seen to be attributes.
fn attrs(values: &BTreeMap<String, Value>) -> Vec<(String, AttrValue)> {
    values.iter().filter_map(|(name, it)| Some((name.clone(), attr(it.clone()).ok()?))).collect()
}

/// Offers with their attributes.
struct Rows(Vec<(String, Vec<(String, AttrValue)>)>);

impl Offers for Rows {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn id(&self, row: usize) -> Option<&str> {
        self.0.get(row).map(|(offer, _)| offer.as_str())
    }

    fn attr(&self, row: usize, name: &str) -> Option<AttrValue> {
        let (_, attrs) = self.0.get(row)?;
        attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }
}

/// What a bill policy is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bill {
    #[serde(default = "chat")]
    task: String,
    #[serde(default = "some_offer")]
    offer: String,
    /// Item, count, official price of one in US dollars.
    quantities: Vec<(String, u32, String)>,
    #[serde(default = "yes")]
    settled: bool,
    #[serde(default)]
    attrs: BTreeMap<String, Value>,
}

fn chat() -> String {
    "chat".to_owned()
}

fn some_offer() -> String {
    "lab/model@provider".to_owned()
}

fn yes() -> bool {
    true
}

impl Bill {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.call().map(drop)
    }

    pub(super) fn call(&self) -> anyhow::Result<BillCall> {
        let quantity = |(item, count, price): &(String, u32, String)| {
            let price: PicoUsd = price
                .parse()
                .ok()
                .with_context(|| format!("the price {price:?} of {item} is no decimal of USD"))?;
            Ok(Quantity { item: item.clone(), count: *count, unit_price_pico: price.0 })
        };
        let attrs = self.attrs.iter().map(|(name, it)| Ok((name.clone(), attr(it.clone())?)));
        Ok(BillCall {
            task: self.task.clone(),
            offer: self.offer.clone(),
            quantities: self.quantities.iter().map(quantity).collect::<anyhow::Result<_>>()?,
            settled: self.settled,
            attrs: attrs.collect::<anyhow::Result<_>>()?,
        })
    }
}
