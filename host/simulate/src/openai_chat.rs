//! OpenAI Chat Completions on the wire: requests read as strictly as OpenAI reads them, answers
//! with every field of the real API. Knows nothing of sockets, pace or failures.

mod body;
mod error;
mod request;
mod stream;

pub(crate) use body::{models, one_model, whole};
pub(crate) use error::{ErrorBody, for_status, unknown_model, unknown_path, wrong_key};
pub(crate) use request::{Peek, peek, read};
pub(crate) use stream::{Frame, Kind, error_frame, frames, malformed_frame};

/// Facts that every part of one answer repeats.
#[derive(Debug)]
pub(crate) struct Stamp<'a> {
    /// `chatcmpl-…`.
    pub(crate) id: String,
    /// Seconds since the epoch.
    pub(crate) created: u64,
    /// The model's name in the answer.
    pub(crate) model: &'a str,
    pub(crate) service_tier: &'a str,
    pub(crate) fingerprint: String,
}
