//! Price lists in the public form of genai-prices (pydantic/genai-prices, MIT): per provider the
//! models, by rules that tell a model from the name in a response, each with its price lists and
//! when they are in force. Only for the command line: comparing sources, checking usage bodies and
//! making the catalogue. Reads text that the caller gives it; never the network.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::catalog::RateCard;

mod list;
mod rule;

pub use list::{InForce, PriceList};
pub use rule::Rule;

/// Providers after which the search for a model that its own provider does not list is given up.
const FALLBACKS_MAX: usize = 8;

/// All providers of one file.
#[derive(Debug)]
pub struct PriceBook {
    providers: Vec<SellerPrices>,
}

/// One provider's lists.
#[derive(Debug)]
pub struct SellerPrices {
    /// The file's own name for it, such as `x-ai`.
    pub id: String,
    pub models: Vec<ModelPrices>,
    /// Providers whose models it sells at their prices.
    fallback: Vec<String>,
    /// What the file knows to read in this provider's usage, by kind of API.
    counted: BTreeMap<String, BTreeSet<String>>,
}

/// One model's lists.
#[derive(Debug)]
pub struct ModelPrices {
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// Tokens of prompt and answer together.
    pub context: Option<u64>,
    /// It is being retired.
    pub deprecated: bool,
    pub rule: Rule,
    /// In the file's order: the last one in force counts, else the first.
    pub lists: Vec<PriceList>,
}

/// Why a file is no price book.
#[derive(Debug, thiserror::Error)]
pub enum PriceBookError {
    #[error("the file is not genai-prices data: {0}; give its prices.json")]
    Source(#[from] serde_json::Error),
    #[error("{provider}, model {model}: {reason}")]
    Model { provider: String, model: String, reason: String },
}

#[derive(Deserialize)]
struct SellerText<'a> {
    id: String,
    #[serde(default)]
    fallback_model_providers: Vec<String>,
    #[serde(default)]
    extractors: Vec<Extractor>,
    #[serde(borrow)]
    models: Vec<ModelText<'a>>,
}

#[derive(Deserialize)]
struct Extractor {
    api_flavor: String,
    mappings: Vec<Mapping>,
}

#[derive(Deserialize)]
struct Mapping {
    dest: String,
}

#[derive(Deserialize)]
struct ModelText<'a> {
    id: String,
    name: Option<String>,
    context_window: Option<u64>,
    #[serde(default)]
    deprecated: bool,
    #[serde(rename = "match")]
    rule: rule::RuleText,
    #[serde(borrow)]
    prices: &'a RawValue,
}

// === impl PriceBook ===

impl PriceBook {
    /// Reads the file's text.
    ///
    /// # Errors
    /// When it isn't genai-prices data, or one of its rules or prices can't be understood.
    pub fn parse(json: &str) -> Result<Self, PriceBookError> {
        let sellers: Vec<SellerText<'_>> = serde_json::from_str(json)?;
        let providers = sellers.into_iter().map(seller).collect::<Result<_, _>>()?;
        Ok(Self { providers })
    }

    pub fn providers(&self) -> &[SellerPrices] {
        &self.providers
    }

    pub fn provider(&self, id: &str) -> Option<&SellerPrices> {
        self.providers.iter().find(|provider| provider.id == id)
    }

    /// The model that a provider calls so in its responses; where it has none, that of the
    /// providers whose models it sells.
    pub fn find(&self, provider: &str, name: &str) -> Option<&ModelPrices> {
        let seller = self.provider(provider)?;
        seller.find(name).or_else(|| {
            let others = seller.fallback.iter().take(FALLBACKS_MAX);
            others.filter_map(|other| self.provider(other)).find_map(|other| other.find(name))
        })
    }
}

// === impl SellerPrices ===

impl SellerPrices {
    fn find(&self, name: &str) -> Option<&ModelPrices> {
        let of = |name: &str| self.models.iter().find(|model| model.rule.fits(name));
        of(name).or_else(|| of(&name.to_lowercase()))
    }

    /// Whether the file reads this count out of this provider's usage. What it does not read, it
    /// says nothing about.
    pub fn counts(&self, api: &str, count: &str) -> bool {
        self.counted.get(api).is_some_and(|counted| counted.contains(count))
    }
}

// === impl ModelPrices ===

impl ModelPrices {
    /// The list in force at that moment.
    pub fn at(&self, at: Timestamp) -> Option<&PriceList> {
        let in_force = self.lists.iter().rev().find(|list| list.when.covers(at));
        in_force.or_else(|| self.lists.first())
    }

    /// The rates in force at that moment.
    pub fn card_at(&self, at: Timestamp) -> Option<&RateCard> {
        self.at(at).map(|list| &list.card)
    }
}

fn seller(text: SellerText<'_>) -> Result<SellerPrices, PriceBookError> {
    let mut counted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for extractor in text.extractors {
        let known = counted.entry(extractor.api_flavor).or_default();
        known.extend(extractor.mappings.into_iter().map(|mapping| mapping.dest));
    }
    let model = |model: ModelText<'_>| {
        let wrong = |reason: String| PriceBookError::Model {
            provider: text.id.clone(),
            model: model.id.clone(),
            reason,
        };
        let lists = list::lists(model.prices).map_err(wrong)?;
        let rule = Rule::of(model.rule).map_err(wrong)?;
        let ModelText { id, name, context_window: context, deprecated, .. } = model;
        Ok(ModelPrices { id, name, context, deprecated, rule, lists })
    };
    let models = text.models.into_iter().map(model).collect::<Result<_, PriceBookError>>()?;
    Ok(SellerPrices { id: text.id, models, fallback: text.fallback_model_providers, counted })
}

#[cfg(test)]
mod tests;
