//! Errors of a Responses stream: `response.failed`, the one event that Codex and the SDKs agree on.
//! Error bodies are those of OpenAI chat. Never writes `invalid_request_error` into a stream:
//! clients would not try again what may well be tried again.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::chunk::{Origin, StreamError};
use crate::content::Content;
use crate::cut::Cut;
use crate::error_body::ErrorFacts;
use crate::sse::Frame;
use crate::translate::Naming;

/// A number that follows every other: how many events came before is not known here, and clients
/// want it to rise.
const LAST_SEQUENCE_NUMBER: u64 = 2_147_483_647;

/// An error as the last event of a stream, of the answer that it began and with its number where
/// these are known.
pub(crate) fn event(facts: &ErrorFacts<'_>, begun: Option<(&Origin, u64)>) -> Bytes {
    let code = code(facts.code, facts.kind, Some(facts.status));
    let (mut response, number) = match begun {
        Some((origin, number)) => (skeleton(&origin.id, origin.created_s, &origin.model), number),
        None => {
            let id = format!("resp_{}", facts.request_id.unwrap_or("0"));
            (skeleton(&id, 0, ""), LAST_SEQUENCE_NUMBER)
        }
    };
    if let Some(response) = response.as_object_mut() {
        response.insert("status".to_owned(), json!("failed"));
        response.insert("error".to_owned(), json!({"code": code, "message": facts.message}));
    }
    let data = json!({
        "type": "response.failed",
        "sequence_number": number,
        "response": response,
    });
    Bytes::from(format!("event: response.failed\ndata: {data}\n\n"))
}

/// A response with every member that strict clients look for, in progress and empty.
pub(super) fn skeleton(id: &str, created_at: u64, model: &str) -> Value {
    json!({
        "id": id,
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": null,
        "store": false,
        "temperature": null,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": null,
        "truncation": "disabled",
        "usage": null,
        "user": null,
    })
}

/// The code that tells a client of this dialect what to do about an error.
pub(super) fn code(code: Option<&str>, kind: &str, status: Option<u16>) -> &'static str {
    let code = code.unwrap_or_default();
    match (code, kind, status) {
        ("context_length_exceeded" | "model_context_window_exceeded", ..) => {
            "context_length_exceeded"
        }
        ("insufficient_quota" | "billing_hard_limit_reached", ..)
        | (_, "insufficient_quota" | "billing_error", _)
        | (_, _, Some(402)) => "insufficient_quota",
        ("rate_limit_exceeded", ..)
        | (_, "rate_limit_error" | "rate_limit_exceeded", _)
        | (_, _, Some(429)) => "rate_limit_exceeded",
        _ => "server_error",
    }
}

/// The class of error in OpenAI's words, from a code of this dialect.
pub(super) fn kind(code: &str) -> &'static str {
    match code {
        "rate_limit_exceeded" => "rate_limit_error",
        "insufficient_quota" => "insufficient_quota",
        "server_is_overloaded" | "slow_down" => "overloaded_error",
        "context_length_exceeded" | "invalid_prompt" => "invalid_request_error",
        _ => "server_error",
    }
}

/// The error of a response or of an `error` event.
pub(super) fn of_value(value: &Value) -> StreamError {
    let text = |name: &str| match value.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let code = text("code");
    // The `type` of an `error` event is the event's own name.
    let said = text("type").filter(|kind| kind != "error" && kind != "response.failed");
    let message = text("message").or_else(|| value.as_str().map(str::to_owned));
    StreamError {
        message: Content::from_string(message.unwrap_or_default()),
        kind: said.or_else(|| Some(kind(code.as_deref().unwrap_or_default()).to_owned())),
        code,
    }
}

/// The end of a stream that stops here. Items that are open stay so: their closing events repeat
/// the whole text, which nobody keeps; clients take what has come as it is.
pub(crate) fn cut(cut: &Cut<'_>) -> Vec<Frame> {
    let Naming { id, created_s, model, .. } = cut.naming;
    let mut response = skeleton(&format!("resp_{id}"), *created_s, model);
    if let Some(response) = response.as_object_mut() {
        response.insert("status".to_owned(), json!("incomplete"));
        response.insert("incomplete_details".to_owned(), json!({"reason": "max_output_tokens"}));
        response.insert("usage".to_owned(), super::usage::value(cut.usage));
    }
    let data = json!({
        "type": "response.incomplete",
        "sequence_number": LAST_SEQUENCE_NUMBER,
        "response": response,
    });
    vec![Frame::made(Some("response.incomplete"), data.to_string().as_bytes())]
}
