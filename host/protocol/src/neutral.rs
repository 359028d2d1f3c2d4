//! What requests, answers and streams mean, apart from any dialect. Each dialect is decoded into
//! these types and encoded from them, so that a translation between any two needs no code of its
//! own. Used only where caller and provider speak different dialects: within one dialect the
//! original bytes pass (see `call`, `answer`, `chunk`).
//!
//! Never touches bytes on the wire, and never shows content in `Debug`.

pub(crate) mod event;
pub(crate) mod fold;
pub(crate) mod loss;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod sequence;
pub(crate) mod signature;

use std::fmt;

pub(crate) use event::{Event, Opening};
pub(crate) use loss::Losses;
pub(crate) use reply::{Block, Choice, Finish, Reply};
pub(crate) use request::{
    CacheMark, Effort, Format, Media, MediaKind, MediaSource, Own, Part, Reasoning, Request,
    Speaker, Tool, ToolChoice, ToolKind, Turn,
};
pub(crate) use signature::{Issuer, Signature};

/// A value that may be content: `Debug` hides it.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Hidden<T>(pub(crate) T);

/// Text of a prompt or an answer.
pub(crate) type Words = Hidden<String>;
/// JSON that may hold text.
pub(crate) type Json = Hidden<serde_json::Value>;

// === impl Hidden ===

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(value)
    }
}
