//! Errors of Bedrock: `{"message"}`, with the class in a header, in `__type` or as the type of an
//! exception in a stream. Never decides a status.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::chunk::StreamError;
use crate::content::Content;
use crate::error_body::ErrorFacts;

/// A plain error body. No caller speaks this dialect; the shape is the provider's own.
pub(crate) fn body(facts: &ErrorFacts<'_>) -> Vec<u8> {
    json!({"message": facts.message}).to_string().into_bytes()
}

/// Reads a whole error body.
pub(crate) fn parse(body: &Bytes) -> Option<StreamError> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let class = value.get("__type").and_then(Value::as_str).unwrap_or_default();
    let class = class.rsplit('#').next().unwrap_or_default();
    let told = value.get("message").or_else(|| value.get("Message"));
    let told = told.or_else(|| value.get("originalMessage"))?.as_str()?;
    Some(of(class, told))
}

/// An error of a class, with its words.
pub(super) fn of(class: &str, message: &str) -> StreamError {
    let (kind, code) = classify(class);
    StreamError {
        message: Content::from_string(message.to_owned()),
        kind: kind.map(str::to_owned),
        code: code.map(str::to_owned),
    }
}

/// The class in OpenAI's words, and the HTTP status that goes with it.
fn classify(class: &str) -> (Option<&'static str>, Option<&'static str>) {
    let name = class.to_ascii_lowercase();
    match name.as_str() {
        "throttlingexception" | "servicequotaexceededexception" => {
            (Some("rate_limit_error"), Some("429"))
        }
        "validationexception" => (Some("invalid_request_error"), Some("400")),
        "accessdeniedexception" => (Some("permission_error"), Some("403")),
        "resourcenotfoundexception" => (Some("not_found_error"), Some("404")),
        "modeltimeoutexception" => (Some("timeout_error"), Some("408")),
        "modelnotreadyexception" | "serviceunavailableexception" => {
            (Some("overloaded_error"), Some("503"))
        }
        "" => (None, None),
        _ => (Some("server_error"), Some("500")),
    }
}
