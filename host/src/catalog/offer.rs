//! One offer: a model as one provider sells it. Plain facts, built once and never changed.

use std::sync::Arc;

use crate::catalog::{Quality, RateCard};

/// What an offer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Chat,
    Embedding,
}

/// What can go in or come out besides text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modalities {
    pub text: bool,
    pub image: bool,
    pub audio: bool,
    pub video: bool,
    /// Documents, in practice PDF.
    pub file: bool,
}

/// A model as one provider sells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// `vendor/model@provider`; a region, where the provider has several, follows as `:eu`.
    pub id: Arc<str>,
    /// Who made the model: `meta` for a Llama served by anyone.
    pub vendor: Arc<str>,
    /// The catalogue id, `vendor/model`, shared by all who serve it.
    pub model: Arc<str>,
    pub provider: Arc<str>,
    /// The name on the wire.
    pub upstream_model: Arc<str>,
    pub display_name: Arc<str>,
    pub family: Option<Arc<str>>,
    pub kind: Kind,
    /// Labels of the dialects in which this provider serves it, such as `openai-chat`.
    pub dialects: Arc<[Arc<str>]>,
    /// Prompt and answer together. 0: not known.
    pub context_tokens: u32,
    /// A prompt limit below the context, where there is one.
    pub input_tokens: Option<u32>,
    /// Longest answer. 0: not known.
    pub output_tokens: u32,
    pub input: Modalities,
    pub output: Modalities,
    pub tools: bool,
    pub structured_output: bool,
    pub reasoning: bool,
    pub open_weights: bool,
    pub rates: RateCard,
    pub quality: Quality,
    /// The model that its quality is taken from, where nobody measured its own.
    pub like: Option<Arc<str>>,
    pub deprecated: bool,
    pub beta: bool,
    /// Limits and abilities were taken from its family: no source has them of this model.
    pub estimated: bool,
    /// ISO dates as the source has them, possibly only year and month; compare as text.
    pub released: Option<Arc<str>>,
    pub knowledge: Option<Arc<str>>,
    /// Region that the provider keeps the call in, where the offer says so.
    pub region: Option<Arc<str>>,
    /// The operator vouches that the provider keeps nothing of what it is sent.
    pub zero_retention: bool,
    /// Its provider gives it away, within quotas that all who take it share: free by the
    /// catalogue's word, not by the operator's.
    pub given_away: bool,
}

// === impl Kind ===

impl Kind {
    pub fn label(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
        }
    }

    pub(super) fn from_label(label: &str) -> Option<Self> {
        match label {
            "chat" => Some(Self::Chat),
            "embedding" => Some(Self::Embedding),
            _ => None,
        }
    }
}

// === impl Modalities ===

impl Modalities {
    pub(super) fn parse(labels: &[impl AsRef<str>]) -> Self {
        let has = |label: &str| labels.iter().any(|have| have.as_ref() == label);
        Self {
            text: has("text"),
            image: has("image"),
            audio: has("audio"),
            video: has("video"),
            file: has("pdf"),
        }
    }
}

// === impl Offer ===

impl Offer {
    /// Whether calls to it can be charged: prompts and (but for embeddings) answers have a price.
    pub fn is_priced(&self) -> bool {
        match self.kind {
            Kind::Chat => self.rates.is_priced(),
            Kind::Embedding => self.rates.base.input.is_some(),
        }
    }

    /// Whether it is served in this dialect.
    pub fn speaks(&self, dialect: &str) -> bool {
        self.dialects.iter().any(|spoken| &**spoken == dialect)
    }

    /// Whether a prompt of so many tokens with an answer of up to so many fits.
    pub fn fits(&self, input_tokens: u32, output_tokens: u32) -> bool {
        let total = u64::from(input_tokens).saturating_add(u64::from(output_tokens));
        let context = self.context_tokens == 0 || total <= u64::from(self.context_tokens);
        let output = self.output_tokens == 0 || output_tokens <= self.output_tokens;
        context && output && self.input_tokens.is_none_or(|limit| input_tokens <= limit)
    }
}
