//! What whole answers and streams write alike: ids that the provider did not give, the words for
//! the end, pictures and sound. Never decides what the model said.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::neutral::{Finish, Losses};
use crate::translate::Naming;

use super::super::error;
use crate::chunk::StreamError;
use crate::error_body::ErrorFacts;

/// Characters of the request's id in the id of a tool call.
const MADE_ID_CHARS: usize = 24;

/// The id of an answer.
pub(super) fn answer_id(given: Option<&str>, naming: &Naming) -> String {
    given.map_or_else(|| format!("chatcmpl-{}", naming.id), str::to_owned)
}

/// The id of the tool call with this number. A made one is short: callers send it back, and OpenAI
/// refuses long ones.
pub(super) fn call_id(given: Option<&str>, naming: &Naming, number: usize) -> String {
    let made = || {
        let id: String = naming.id.chars().filter(char::is_ascii_alphanumeric).collect();
        let tail = id.get(id.len().saturating_sub(MADE_ID_CHARS)..).unwrap_or(&id);
        format!("call_{tail}-{number}")
    };
    given.filter(|id| !id.is_empty()).map_or_else(made, str::to_owned)
}

/// A name that providers bound the length of, or a digest of it: equal names stay equal.
pub(crate) fn fitted<'a>(name: &'a str, chars_max: usize, head: &str) -> Cow<'a, str> {
    if name.len() <= chars_max {
        return Cow::Borrowed(name);
    }
    // FNV-1a: the same in every release, and needs to be no secret.
    let digest = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Cow::Owned(format!("{head}{digest:016x}"))
}

/// The word for the end of a choice.
pub(super) fn finish(
    reason: Option<Finish>,
    called: bool,
    refused: bool,
    losses: &mut Losses,
) -> &'static str {
    match reason.unwrap_or(Finish::Stop) {
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
        Finish::ToolCalls => "tool_calls",
        // The refusal itself tells it; without one only this word does.
        Finish::Refusal if !refused => "content_filter",
        Finish::Pause => {
            losses.approximated("choices[].finish_reason", "a paused turn is told as its end");
            "stop"
        }
        Finish::Stop | Finish::StopSequence | Finish::Other if called => "tool_calls",
        Finish::Stop | Finish::StopSequence | Finish::Other | Finish::Refusal => "stop",
    }
}

/// The member that holds a picture or a clip, by its media type.
pub(super) fn medium(media_type: &str, base64: &str, id: &str) -> (&'static str, Value) {
    if media_type.starts_with("audio/") {
        let audio = json!({"id": id, "data": base64, "expires_at": 0, "transcript": ""});
        return ("audio", audio);
    }
    let url = format!("data:{media_type};base64,{base64}");
    ("images", json!([{"type": "image_url", "image_url": {"url": url}}]))
}

/// An error as a body or an event's payload.
pub(super) fn error_body(error: &StreamError) -> Vec<u8> {
    error::body(&ErrorFacts {
        message: error.message.expose(),
        kind: error.kind.as_deref().unwrap_or("server_error"),
        param: None,
        code: error.code.as_deref(),
        status: 500,
        request_id: None,
    })
}
