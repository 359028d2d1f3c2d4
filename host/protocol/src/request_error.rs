//! Why a request body is refused: what, where, and what to do. Never quotes the caller's text.

use crate::scan::{Fault, NODES_MAX, TOO_MANY_NODES};

/// A refusal that goes back to the caller in the shape of its own dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// What is wrong, where, and what to send instead. Holds no content.
    pub message: String,
    /// The field at fault, such as `messages[2].role`.
    pub param: Option<String>,
    /// Stable machine-readable reason: `invalid_json`, `invalid_utf8`, `invalid_value`,
    /// `missing_field`, `duplicate_field`, `too_many_items` or [`THREADED`].
    pub code: &'static str,
    /// HTTP status: 400, or 413 when a count is over its bound.
    pub status: u16,
}

/// The code by which clients of Anthropic's know to send the whole conversation without `thread`.
pub(crate) const THREADED: &str = "thread_unsupported_request";

// === impl RequestError ===

impl RequestError {
    pub(crate) fn invalid(param: impl Into<String>, expected: &str) -> Self {
        let param = param.into();
        let message = format!("{param} is not usable: send {expected}");
        Self { message, param: Some(param), code: "invalid_value", status: 400 }
    }

    pub(crate) fn missing(param: impl Into<String>, expected: &str) -> Self {
        let param = param.into();
        let message = format!("{param} is missing: send {expected}");
        Self { message, param: Some(param), code: "missing_field", status: 400 }
    }

    /// A list that is not there, or has nothing in it.
    pub(crate) fn missing_or_empty(param: &str, expected: &str) -> Self {
        let message = format!("{param} is missing or empty: send {expected}");
        Self { message, param: Some(param.to_owned()), code: "missing_field", status: 400 }
    }

    pub(crate) fn too_many(param: &str, limit: usize) -> Self {
        let message = format!("{param} holds more than {limit} entries: send fewer in one request");
        Self { message, param: Some(param.to_owned()), code: "too_many_items", status: 413 }
    }

    /// A conversation of which the provider is to keep the turns that are not sent again.
    pub(crate) fn threaded() -> Self {
        let message = "thread is not served: the gateway keeps no conversations; send all messages \
                       and leave thread out, as Anthropic's SDKs then do by themselves";
        let param = Some("thread".to_owned());
        Self { message: message.to_owned(), param, code: THREADED, status: 400 }
    }

    /// A request in a dialect that only providers speak.
    pub(crate) fn not_spoken() -> Self {
        let message =
            "requests in this dialect are not served: send the request in the dialect of \
                       OpenAI, Anthropic or Gemini"
                .to_owned();
        Self { message, param: None, code: "invalid_value", status: 400 }
    }

    pub(crate) fn duplicate(name: &str, at: usize) -> Self {
        let message = format!(
            "the key \"{name}\" appears twice in one object, again at byte {at}: send it once, \
             because parsers disagree on which one counts"
        );
        Self { message, param: Some(name.to_owned()), code: "duplicate_field", status: 400 }
    }

    pub(crate) fn misspelt(name: &str, at: usize) -> Self {
        let message = format!(
            "the key at byte {at} differs from \"{name}\" only in letter case: write it exactly \
             \"{name}\", because parsers disagree on whether it counts"
        );
        Self { message, param: Some(name.to_owned()), code: "invalid_value", status: 400 }
    }

    pub(crate) fn not_utf8(at: usize) -> Self {
        let message = format!(
            "the request body is not UTF-8 at byte {at}: encode the JSON as UTF-8 and send it again"
        );
        Self { message, param: None, code: "invalid_utf8", status: 400 }
    }
}

impl From<Fault> for RequestError {
    fn from(fault: Fault) -> Self {
        if fault.what == TOO_MANY_NODES {
            let limit = usize::try_from(NODES_MAX).unwrap_or(usize::MAX);
            return Self::too_many("the request body", limit);
        }
        let message = format!(
            "the request body is not valid JSON at byte {}: {}; send one JSON object",
            fault.at, fault.what
        );
        Self { message, param: None, code: "invalid_json", status: 400 }
    }
}
