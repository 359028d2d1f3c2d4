//! `POST /v1/embeddings`: vectors for texts, in OpenAI's shape for every caller. Between two sides
//! that have it the bytes pass; Google's two shapes of it are translated. Everything that knows
//! these field names is in this folder. Never computes a vector.

mod answer;
mod google;
mod request;

use bytes::Bytes;

use crate::call::{Outgoing, Points as AnyPoints};
use crate::translate::{Naming, TranslatedAnswer, TranslatedRequest};
use crate::{Answer, AnswerError, Call, Dialect, Losses, RequestError};

pub(crate) use request::Points;

/// Texts of one request, as OpenAI bounds them.
pub const INPUTS_MAX: usize = 2_048;

/// The dialects in which vectors are asked for, by what a provider is spoken to in: both of
/// OpenAI's have one endpoint for it. `None` where there is none.
pub fn dialect(spoken: Dialect) -> Option<Dialect> {
    match spoken {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => Some(Dialect::OpenAiChat),
        Dialect::Gemini => Some(Dialect::Gemini),
        Dialect::AnthropicMessages | Dialect::BedrockConverse => None,
    }
}

/// Reads and validates a request body in one pass. Each input is a message of the call.
///
/// # Errors
/// [`RequestError`], as for [`Call::parse`].
pub fn parse(body: Bytes) -> Result<Call, RequestError> {
    request::parse(body)
}

/// Writes the call for a provider of another dialect.
///
/// # Errors
/// [`RequestError`] for inputs that cannot be read again.
pub(crate) fn translate(
    call: &Call,
    to: Dialect,
    out: &Outgoing<'_>,
) -> Result<TranslatedRequest, RequestError> {
    let mut losses = Losses::default();
    if dialect(to) != Some(Dialect::Gemini) {
        losses.unsupported("input", "the provider's dialect has no embeddings");
        return Ok(TranslatedRequest { body: Bytes::new(), losses });
    }
    let body = google::request(&call.redacted_body(), out, &mut losses)?;
    Ok(TranslatedRequest { body: Bytes::from(body), losses })
}

/// Reads a provider's answer in OpenAI's shape.
///
/// # Errors
/// [`AnswerError`] when it is none, or is not JSON.
pub fn answer(body: Bytes) -> Result<Answer, AnswerError> {
    answer::parse(body)
}

/// Writes a provider's answer in OpenAI's shape. `naming.input_tokens` stands in for a count that
/// the provider does not give.
///
/// # Errors
/// [`AnswerError`] when the provider's body cannot be read, or holds no vector.
pub fn translate_answer(
    call: &Call,
    body: &Bytes,
    naming: &Naming,
) -> Result<TranslatedAnswer, AnswerError> {
    let coded = matches!(&call.points, AnyPoints::Embeddings(points) if points.coded);
    google::answer(body, coded, naming)
}

#[cfg(test)]
mod tests;
