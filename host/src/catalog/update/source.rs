//! The public format of models.dev, as far as it is used. Prices stay the text that the source
//! wrote: numbers are taken as raw JSON and never pass through a float.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The whole source: who sells what, and facts about models whoever sells them.
#[derive(Debug, Deserialize)]
pub(super) struct Source {
    pub(super) providers: BTreeMap<String, Provider>,
    #[serde(default)]
    pub(super) models: BTreeMap<String, Model>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Provider {
    /// Which client package speaks to it; tells the dialect.
    #[serde(default)]
    pub(super) npm: String,
    pub(super) models: BTreeMap<String, Model>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) family: Option<String>,
    #[serde(default)]
    pub(super) reasoning: bool,
    #[serde(default)]
    pub(super) tool_call: bool,
    pub(super) structured_output: Option<bool>,
    #[serde(default)]
    pub(super) open_weights: bool,
    pub(super) release_date: Option<String>,
    pub(super) knowledge: Option<String>,
    pub(super) status: Option<String>,
    pub(super) limit: Option<Limit>,
    pub(super) modalities: Modalities,
    pub(super) cost: Option<Cost>,
    pub(super) experimental: Option<Experimental>,
    pub(super) provider: Option<Override>,
    #[serde(default)]
    pub(super) benchmarks: Vec<Benchmark>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Limit {
    pub(super) context: Option<u64>,
    pub(super) input: Option<u64>,
    pub(super) output: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Modalities {
    pub(super) input: Vec<String>,
    pub(super) output: Vec<String>,
}

/// Price components by the source's names; anything unknown among them is noticed by the reader.
pub(super) type Cost = BTreeMap<String, Box<RawValue>>;

/// One entry of a cost's `tiers`.
#[derive(Debug, Deserialize)]
pub(super) struct TierOf {
    pub(super) size: u64,
    #[serde(rename = "type")]
    pub(super) by: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Experimental {
    #[serde(default)]
    pub(super) modes: BTreeMap<String, Mode>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Mode {
    pub(super) cost: Option<Cost>,
    pub(super) provider: Option<Override>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Override {
    pub(super) npm: Option<String>,
    pub(super) shape: Option<String>,
    pub(super) body: Option<Body>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    pub(super) service_tier: Option<String>,
    pub(super) speed: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Benchmark {
    pub(super) name: String,
    /// A score, not money: a float is what it is.
    pub(super) score: f64,
    /// The page that has it.
    pub(super) source: Option<String>,
}
