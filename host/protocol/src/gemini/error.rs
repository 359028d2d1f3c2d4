//! Errors of Google's APIs: `{"error": {"code", "message", "status"}}`, where `code` is the HTTP
//! status and `status` a word for it. Never decides either.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::chunk::StreamError;
use crate::content::Content;
use crate::error_body::ErrorFacts;
use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};

use super::spoken::optional_string;
use super::tree;

/// The detail in which Google says when to try again.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The whole error object.
pub(crate) fn body(facts: &ErrorFacts<'_>) -> Vec<u8> {
    body_waiting(facts, None)
}

/// The same with the seconds to wait before another try.
pub(crate) fn body_waiting(facts: &ErrorFacts<'_>, wait_s: Option<u64>) -> Vec<u8> {
    let mut error = json!({
        "code": facts.status,
        "message": facts.message,
        "status": word_of(facts.status),
    });
    let mut details = Vec::new();
    if let Some(reason) = facts.code {
        let kind = "type.googleapis.com/google.rpc.ErrorInfo";
        details.push(json!({"@type": kind, "reason": reason}));
    }
    if let Some(field) = facts.param {
        let kind = "type.googleapis.com/google.rpc.BadRequest";
        let violation = json!({"field": field, "description": facts.message});
        details.push(json!({"@type": kind, "fieldViolations": [violation]}));
    }
    if let Some(id) = facts.request_id {
        let kind = "type.googleapis.com/google.rpc.RequestInfo";
        details.push(json!({"@type": kind, "requestId": id}));
    }
    if let Some(seconds) = wait_s {
        details.push(json!({"@type": RETRY_INFO, "retryDelay": format!("{seconds}s")}));
    }
    if let (false, Some(members)) = (details.is_empty(), error.as_object_mut()) {
        members.insert("details".to_owned(), Value::Array(details));
    }
    tree::bytes(&json!({"error": error}))
}

/// The same as an event of a stream.
pub(crate) fn event(facts: &ErrorFacts<'_>) -> Bytes {
    Bytes::from([b"data: ", body(facts).as_slice(), b"\n\n"].concat())
}

/// What the error's details say of when to try again: `"retryDelay": "17.5s"`.
pub(crate) fn wait_ms(body: &[u8]) -> Option<u64> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = body.get(0).unwrap_or(&body).get("error")?;
    let details = error.get("details")?.as_array()?;
    let told =
        details.iter().find(|detail| detail.get("@type").is_some_and(|t| t == RETRY_INFO))?;
    let delay = told.get("retryDelay")?.as_str()?.strip_suffix('s')?;
    let (seconds, fraction) = delay.split_once('.').unwrap_or((delay, ""));
    let millis = format!("{fraction:0<3}");
    let millis: u64 = millis.get(..3)?.parse().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(millis)
}

/// Google's word for an HTTP status.
pub(super) fn word_of(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 | 403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        412 | 422 => "FAILED_PRECONDITION",
        429 => "RESOURCE_EXHAUSTED",
        400..=499 => "INVALID_ARGUMENT",
        502 | 503 | 529 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}

/// The class of error in OpenAI's words, where Google's is known.
fn kind_of(word: &str) -> Option<&'static str> {
    Some(match word {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => "invalid_request_error",
        "UNAUTHENTICATED" => "authentication_error",
        "PERMISSION_DENIED" => "permission_error",
        "NOT_FOUND" => "not_found_error",
        "RESOURCE_EXHAUSTED" => "rate_limit_error",
        "DEADLINE_EXCEEDED" => "timeout_error",
        "UNAVAILABLE" => "overloaded_error",
        "INTERNAL" | "UNKNOWN" | "ABORTED" | "DATA_LOSS" => "server_error",
        _ => return None,
    })
}

/// HTTP status and Google's word for an error of a stream, from its class in OpenAI's words.
pub(super) fn status_of(error: &StreamError) -> u16 {
    let code = error.code.as_deref().and_then(|code| code.parse::<u16>().ok());
    if let Some(code) = code.filter(|code| (400..600).contains(code)) {
        return code;
    }
    match error.kind.as_deref().unwrap_or_default() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" | "billing_error" => 403,
        "not_found_error" => 404,
        "rate_limit_error" | "insufficient_quota" => 429,
        "overloaded_error" => 503,
        "timeout_error" => 504,
        _ => 500,
    }
}

/// Reads a whole body for its error; a stream that is not asked for events wraps it in a list.
pub(crate) fn parse(body: &Bytes) -> Option<StreamError> {
    let text = std::str::from_utf8(body).ok()?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    if scanner.kind().ok()? == Kind::Array {
        scanner.open_array().ok()?;
        if !scanner.next_item().ok()? {
            return None;
        }
    }
    let mut found = None;
    scanner.open_object().ok()?;
    while let Some(key) = scanner.next_key().ok()? {
        if key == "error" {
            found = read(&mut scanner).ok()?;
        } else {
            scanner.skip().ok()?;
        }
    }
    found
}

/// Reads the value of `error`: an object, a bare string, or nothing that counts as an error.
pub(super) fn read(scanner: &mut Scanner<'_>) -> Result<Option<StreamError>, Fault> {
    let mut error =
        StreamError { message: Content::from_string(String::new()), kind: None, code: None };
    match scanner.kind()? {
        Kind::Object => {}
        Kind::String => {
            error.message = Content::from_string(scanner.string()?.into_owned());
            return Ok(Some(error));
        }
        _ => return scanner.skip().map(|_| None),
    }
    let mut word = None;
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match key.as_ref() {
            "message" => {
                let message = optional_string(scanner)?.unwrap_or_default();
                error.message = Content::from_string(message);
            }
            "status" => word = optional_string(scanner)?,
            "code" if scanner.kind()? == Kind::Number => {
                let span = scanner.skip()?;
                error.code = Some(scanner.raw(span).to_owned());
            }
            _ => {
                scanner.skip()?;
            }
        }
    }
    error.kind = match word.as_deref().map(kind_of) {
        Some(Some(kind)) => Some(kind.to_owned()),
        Some(None) => word,
        None => {
            let status = error.code.as_deref().and_then(|code| code.parse().ok());
            status.and_then(|status| kind_of(word_of(status))).map(str::to_owned)
        }
    };
    Ok(Some(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitfall_59_the_wait_is_written_and_read_where_googles_clients_look_for_it() {
        let facts = ErrorFacts {
            message: "slow down",
            kind: "rate_limit_error",
            param: None,
            code: None,
            status: 429,
            request_id: None,
        };
        assert_eq!(wait_ms(&body_waiting(&facts, Some(17))), Some(17_000));
        assert_eq!(wait_ms(&body(&facts)), None);
        let told = |delay: &str| {
            let detail = json!({"@type": RETRY_INFO, "retryDelay": delay});
            wait_ms(json!([{"error": {"code": 429, "details": [detail]}}]).to_string().as_bytes())
        };
        assert_eq!(told("2.25s"), Some(2_250));
        assert_eq!(told("0.000000001s"), Some(0));
        assert_eq!(told("soon"), None);
    }
}
