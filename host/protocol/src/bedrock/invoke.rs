//! Anthropic's events as Bedrock's `InvokeModelWithResponseStream` wraps them: each is base64 in a
//! `chunk` of the event stream. Unwrapped, the stream is Anthropic's own. Never changes an event.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::AnswerError;
use crate::base64;
use crate::sse::Frame;

use super::error;

/// Anthropic's event in a message of the event stream; `None` for a message that holds none. An
/// exception becomes the `error` event that Anthropic would send.
///
/// # Errors
/// [`AnswerError`] for a chunk that cannot be read.
pub fn anthropic_frame(message: &Frame) -> Result<Option<Frame>, AnswerError> {
    const UNREADABLE: AnswerError =
        AnswerError { at: 0, what: "expected a chunk with an event in base64" };
    let kind = message.event.as_deref().unwrap_or_default();
    if kind != b"chunk" {
        return Ok(exception(kind, &message.data));
    }
    let chunk: Value = serde_json::from_slice(&message.data).map_err(|_| UNREADABLE)?;
    let wrapped = chunk.get("bytes").and_then(Value::as_str).ok_or(UNREADABLE)?;
    let data = base64::decode(wrapped).ok_or(UNREADABLE)?;
    let event: Value = serde_json::from_slice(&data).map_err(|_| UNREADABLE)?;
    let name = event.get("type").and_then(Value::as_str);
    // The name stands in a line of its own, where a line break would begin another.
    let name = name.filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()));
    if memchr::memchr2(b'\n', b'\r', &data).is_some() {
        return Ok(Some(Frame::made(name, event.to_string().as_bytes())));
    }
    Ok(Some(Frame::made(name, &data)))
}

fn exception(kind: &[u8], payload: &Bytes) -> Option<Frame> {
    if kind.is_empty() {
        return None;
    }
    let class = String::from_utf8_lossy(kind);
    let value: Value = serde_json::from_slice(payload).unwrap_or_default();
    let message = value.get("message").and_then(Value::as_str).unwrap_or_default();
    let failure = error::of(&class, message);
    // Anthropic's word for a failure of its own is another.
    let kind = match failure.kind.as_deref() {
        Some("server_error") | None => "api_error",
        Some(known) => known,
    };
    let body = json!({"type": "error", "error": {"type": kind, "message": message}});
    Some(Frame::made(Some("error"), body.to_string().as_bytes()))
}
