//! What whole answers and streams write alike: ids that the provider did not give, the words for
//! the end, pictures and sound. Never decides what the model said.

use serde_json::{Value, json};

use crate::neutral::{Finish, Losses};
use crate::translate::Naming;

use super::super::error;
use crate::chunk::StreamError;
use crate::error_body::ErrorFacts;

/// The id of an answer.
pub(super) fn answer_id(given: Option<&str>, naming: &Naming) -> String {
    given.map_or_else(|| format!("chatcmpl-{}", naming.id), str::to_owned)
}

/// The id of the tool call with this number.
pub(super) fn call_id(given: Option<&str>, naming: &Naming, number: usize) -> String {
    let given = given.filter(|id| !id.is_empty());
    given.map_or_else(|| format!("call_{}-{number}", naming.id), str::to_owned)
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
