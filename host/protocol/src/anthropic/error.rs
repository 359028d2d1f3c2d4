//! Errors of this dialect: `{"type": "error", "error": {"type", "message"}, "request_id"}`. Clients
//! choose the exception by status and by the inner type, so the type follows the status.

use bytes::Bytes;

use crate::chunk::StreamError;
use crate::content::Content;
use crate::error_body::{CONTEXT_EXCEEDED, ErrorFacts};
use crate::request_error::THREADED;
use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};
use crate::splice::write_literal;
use crate::sse::Frame;

use super::answer::optional_string;

/// What [`THREADED`] has beside its words; a name that the client does not know stands for all.
const THREADED_DETAILS: &str = concat!(
    r#","details":{"error_code":"thread_unsupported_request","#,
    r#""unsupported":["gateway"]}"#
);

/// The whole error object.
pub(crate) fn body(facts: &ErrorFacts<'_>) -> Vec<u8> {
    let kind = type_of(facts);
    // Claude Code makes a conversation shorter when it reads these words, and no others.
    if facts.code == Some(CONTEXT_EXCEEDED) && !facts.message.contains("prompt is too long") {
        let message = format!("prompt is too long: {}", facts.message);
        return write(kind, &message, facts.request_id);
    }
    // Clients look for the code in here, and nowhere else.
    let details = if facts.code == Some(THREADED) { THREADED_DETAILS } else { "" };
    write_with(kind, facts.message, details, facts.request_id)
}

/// The same as an event of a stream.
pub(crate) fn event(facts: &ErrorFacts<'_>) -> Bytes {
    Frame::made(Some("error"), &body(facts)).raw
}

/// An error of a given type, as one line of JSON.
pub(super) fn write(kind: &str, message: &str, request_id: Option<&str>) -> Vec<u8> {
    write_with(kind, message, "", request_id)
}

/// The same with more members of `error`, each behind a comma.
fn write_with(kind: &str, message: &str, more: &str, request_id: Option<&str>) -> Vec<u8> {
    let mut out = b"{\"type\":\"error\",\"error\":{\"type\":".to_vec();
    write_literal(&mut out, kind);
    out.extend_from_slice(b",\"message\":");
    write_literal(&mut out, message);
    out.extend_from_slice(more.as_bytes());
    out.push(b'}');
    if let Some(id) = request_id {
        out.extend_from_slice(b",\"request_id\":");
        write_literal(&mut out, id);
    }
    out.push(b'}');
    out
}

fn type_of(facts: &ErrorFacts<'_>) -> &'static str {
    // Claude Code shows a spent budget for what it is only under this type.
    let spent = matches!(
        facts.code,
        Some(
            "allowance_used_up" | "budget_exceeded" | "insufficient_credit" | "insufficient_quota",
        )
    );
    match facts.status {
        402 => "billing_error",
        429 if spent => "billing_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// The type for an error inside a stream, from its kind in OpenAI's words.
pub(super) fn type_of_kind(error: &StreamError) -> &'static str {
    match error.kind.as_deref().unwrap_or_default() {
        "rate_limit_error" | "rate_limit_exceeded" | "tokens" | "requests" => "rate_limit_error",
        "overloaded_error" | "overloaded" | "service_unavailable" => "overloaded_error",
        "invalid_request_error" => "invalid_request_error",
        "authentication_error" => "authentication_error",
        "permission_error" => "permission_error",
        "not_found_error" => "not_found_error",
        "insufficient_quota" | "billing_error" => "billing_error",
        "request_too_large" => "request_too_large",
        "timeout_error" => "timeout_error",
        _ => "api_error",
    }
}

/// The kind of an error in OpenAI's words, from its type here.
pub(super) fn kind_of_type(kind: &str) -> &str {
    match kind {
        "api_error" => "server_error",
        "request_too_large" => "invalid_request_error",
        "billing_error" => "insufficient_quota",
        other => other,
    }
}

/// Reads a whole body for its error.
pub(crate) fn parse(body: &Bytes) -> Option<StreamError> {
    let text = std::str::from_utf8(body).ok()?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let mut found = None;
    let mut message = None;
    scanner.open_object().ok()?;
    while let Some(key) = scanner.next_key().ok()? {
        match key.as_ref() {
            "error" => found = read(&mut scanner).ok()?,
            // Amazon's and Google's own errors have no `error` object around.
            "message" | "Message" => message = optional_string(&mut scanner).ok()?,
            _ => {
                scanner.skip().ok()?;
            }
        }
    }
    found.or_else(|| {
        let message = Content::from_string(message?);
        Some(StreamError { message, kind: None, code: None })
    })
}

/// Reads the value of `error`: an object, a bare string, or nothing that counts as an error.
pub(super) fn read(scanner: &mut Scanner<'_>) -> Result<Option<StreamError>, Fault> {
    let mut error =
        StreamError { message: Content::from_string(String::new()), kind: None, code: None };
    match scanner.kind()? {
        Kind::String => error.message = Content::from_string(scanner.string()?.into_owned()),
        Kind::Object => {
            scanner.open_object()?;
            while let Some(key) = scanner.next_key()? {
                match (key.as_ref(), scanner.kind()?) {
                    ("message", _) => {
                        let message = optional_string(scanner)?.unwrap_or_default();
                        error.message = Content::from_string(message);
                    }
                    ("type" | "status", Kind::String) => {
                        error.kind = Some(scanner.string()?.into_owned());
                    }
                    ("code", Kind::Number) => {
                        let span = scanner.skip()?;
                        error.code = Some(scanner.raw(span).to_owned());
                    }
                    ("code", _) => error.code = optional_string(scanner)?,
                    _ => {
                        scanner.skip()?;
                    }
                }
            }
        }
        Kind::Bool => return Ok(scanner.boolean()?.then_some(error)),
        Kind::Null => return scanner.skip().map(|_| None),
        Kind::Number | Kind::Array => {
            scanner.skip()?;
        }
    }
    Ok(Some(error))
}
