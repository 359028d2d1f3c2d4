//! Wire dialects ⇄ neutral call, answer, chunk and usage. A body is scanned once, in place, and
//! written by splicing the few spans that change; nothing is re-serialised. A dialect is a folder
//! (`openai_chat/`) behind the neutral types; a new one changes only the `match`es on [`Dialect`].
//!
//! Never: performs I/O, reads a clock, knows an async runtime, or shows content in `Debug`.

#![warn(missing_docs)]

pub mod answer;
pub mod call;
pub mod chunk;
pub mod content;
pub mod cut;
pub mod embeddings;
pub mod error_body;
pub mod eventstream;
pub mod models;
pub mod quirks;
pub mod request_error;
pub mod sse;
pub mod translate;
pub mod usage;

mod anthropic;
pub mod base64;
pub mod bedrock;
mod betas;
mod draft;
mod estimate;
mod gemini;
mod inline;
mod labels;
mod names;
mod neutral;
mod openai_chat;
mod openai_responses;
mod scan;
mod splice;

pub use answer::{Answer, AnswerError};
pub use call::{
    Addressed, Call, Channel, Keeping, LimitField, MediaTokens, Message, Needs, Outgoing,
    PaidTools, Role, Text, Tool,
};
pub use chunk::{Beginning, Chunk, ChunkHead, Delta, Origin, Slot, StreamError};
pub use content::Content;
pub use gemini::array::JsonArray;
pub use gemini::count::counted_request;
pub use neutral::loss::{Loss, Losses, Severity};
pub use quirks::Quirks;
pub use request_error::RequestError;
pub use scan::nests_too_deep;
pub use usage::{Usage, UsageUpdate};

/// A wire protocol that callers or providers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// `POST /v1/chat/completions` of OpenAI, and of everyone who copied it.
    OpenAiChat,
    /// `POST /v1/responses` of OpenAI.
    OpenAiResponses,
    /// `POST /v1/messages` of Anthropic.
    AnthropicMessages,
    /// `POST …:generateContent` and `…:streamGenerateContent` of Google.
    Gemini,
    /// `POST /model/{model}/converse` and `…/converse-stream` of Amazon Bedrock. Providers speak
    /// it, callers do not.
    BedrockConverse,
}

// === impl Dialect ===

impl Dialect {
    /// Stable name for policies, metrics and records.
    pub fn label(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiResponses => "openai-responses",
            Self::AnthropicMessages => "anthropic-messages",
            Self::Gemini => "gemini",
            Self::BedrockConverse => "bedrock-converse",
        }
    }

    /// The dialect of this name.
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.label() == label)
    }

    /// Every dialect.
    pub const ALL: [Self; 5] = [
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::AnthropicMessages,
        Self::Gemini,
        Self::BedrockConverse,
    ];

    /// The member by which a request bounds its answer, as its caller writes it.
    pub fn output_limit_field(self) -> &'static str {
        match self {
            Self::OpenAiChat | Self::AnthropicMessages => "max_tokens",
            Self::OpenAiResponses => "max_output_tokens",
            Self::Gemini => "generationConfig.maxOutputTokens",
            Self::BedrockConverse => "inferenceConfig.maxTokens",
        }
    }

    /// Whether callers may speak it too.
    pub fn callers_speak(self) -> bool {
        self != Self::BedrockConverse
    }
}
