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
pub mod error_body;
pub mod models;
pub mod request_error;
pub mod sse;
pub mod usage;

mod estimate;
mod openai_chat;
mod scan;
mod splice;

pub use answer::{Answer, AnswerError};
pub use call::{
    Call, Channel, LimitField, MediaTokens, Message, Needs, Outgoing, Role, Text, Tool,
};
pub use chunk::{Chunk, ChunkHead, Delta, Slot, StreamError, length_stop_frame, usage_frame};
pub use content::Content;
pub use request_error::RequestError;
pub use usage::Usage;

/// A wire protocol that callers or providers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// `POST /v1/chat/completions` of OpenAI, and of everyone who copied it.
    OpenAiChat,
}

// === impl Dialect ===

impl Dialect {
    /// Stable name for policies, metrics and records.
    pub fn label(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
        }
    }
}
