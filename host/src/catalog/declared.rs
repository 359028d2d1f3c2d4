//! Offers written in the configuration: a local server, or a model that is newer than the
//! catalogue. Checked like the catalogue's own; never priced by guessing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::catalog::{CatalogError, Kind, Modalities, Offer, Quality, RateCard, snapshot};

/// Assumed of a declared model without a quality: the middle of the field.
const DECLARED_GENERAL_PERMILLE: u16 = 600;

/// What can go into a model.
const INPUTS: [&str; 5] = ["text", "image", "audio", "video", "pdf"];

/// An offer as the operator writes it. What is left out is unknown, and for abilities no.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredOffer {
    /// `vendor/model`.
    pub id: String,
    /// The name on the wire; without it the part of `id` after the vendor.
    pub upstream_model: Option<String>,
    pub context_tokens: u32,
    pub output_tokens: u32,
    /// Of: text, image, audio, video, pdf. Without it text alone.
    pub input: Vec<String>,
    pub tools: bool,
    pub structured_output: bool,
    pub reasoning: bool,
    pub embedding: bool,
    /// Dialects it is served in; without them all that its provider speaks.
    pub dialects: Vec<String>,
    /// Dollars per million units by item, as decimal text: `{ input = "0.5", output = "1.5" }`.
    pub usd_per_million: BTreeMap<String, String>,
    /// Really costs nothing, such as a model on one's own machine. Zeros count only with this.
    pub free: bool,
    /// 0 to 1000: how good it is in general, for routing.
    pub quality_permille: Option<u16>,
}

// === impl DeclaredOffer ===

impl DeclaredOffer {
    /// The offer under a provider's name.
    ///
    /// # Errors
    /// Names the offer and what is wrong with its id or a price.
    pub fn offer(&self, provider: &str) -> Result<Offer, CatalogError> {
        let wrong = |reason: String| {
            let (provider, id) = (provider.to_owned(), self.id.clone());
            CatalogError::Declared { provider, id, reason }
        };
        let (vendor, short) = self.id.split_once('/').unwrap_or_default();
        if vendor.is_empty() || short.is_empty() || self.id.contains('@') {
            let reason = "an id looks like vendor/model, such as meta/llama3.2, without a provider";
            return Err(wrong(reason.to_owned()));
        }
        let rates = self.rate_card().map_err(wrong)?;
        if let Some(label) = self.input.iter().find(|label| !INPUTS.contains(&label.as_str())) {
            return Err(wrong(format!("input {label:?} is none of {}", INPUTS.join(", "))));
        }
        let input = match &*self.input {
            [] => Modalities::parse(&["text"]),
            given => Modalities::parse(given),
        };
        Ok(Offer {
            id: format!("{}@{provider}", self.id).into(),
            vendor: vendor.into(),
            model: self.id.as_str().into(),
            provider: provider.into(),
            upstream_model: self.upstream_model.as_deref().unwrap_or(short).into(),
            display_name: short.into(),
            family: None,
            kind: if self.embedding { Kind::Embedding } else { Kind::Chat },
            dialects: self.dialects.iter().map(|label| Arc::from(label.as_str())).collect(),
            context_tokens: self.context_tokens,
            input_tokens: None,
            output_tokens: self.output_tokens,
            input,
            output: Modalities { text: !self.embedding, ..Modalities::default() },
            tools: self.tools,
            structured_output: self.structured_output,
            reasoning: self.reasoning,
            open_weights: false,
            rates,
            quality: Quality {
                general_permille: self.quality_permille.unwrap_or(DECLARED_GENERAL_PERMILLE),
                code_permille: None,
                agent_permille: None,
                data_permille: None,
                measured: false,
                reasoning: self.reasoning,
                vision: input.image,
                declared: self.quality_permille.is_some(),
            },
            like: None,
            deprecated: false,
            beta: false,
            estimated: false,
            released: None,
            knowledge: None,
            region: None,
            zero_retention: false,
            given_away: false,
        })
    }

    fn rate_card(&self) -> Result<RateCard, String> {
        let prices = self.usd_per_million.iter();
        let prices = prices.map(|(item, text)| (item.as_str(), text.as_str().into())).collect();
        let mut base = snapshot::rates(&prices).map_err(|e| e.to_string())?;
        if self.free {
            if !prices.is_empty() {
                return Err("it is free and has prices; remove one of the two".to_owned());
            }
            base = base.all_zero();
        } else if base.has_zero() {
            return Err("a price of zero needs `free = true`; leave out what is unknown".to_owned());
        }
        Ok(RateCard { base, free: self.free, ..RateCard::default() })
    }
}
