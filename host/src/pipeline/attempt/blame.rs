//! Whose fault a provider's error is: the caller's, who hears it as it was said, and whom no other
//! request is to suffer for; the operator's, whose account or credential does not do; or the
//! provider's. Read from the error's type and code, and from its words only where providers have
//! nothing else. Never keeps an error, and decides nothing about what follows.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use turnpike_protocol::StreamError;

/// See the head of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Blame {
    /// What was asked for.
    Request,
    /// The operator's account at the provider is empty.
    Account,
    /// The gateway's own credential.
    Credential,
    /// Anything else.
    Provider,
}

/// Types and codes of a request that no other server of the same model would take.
const REQUEST: [&str; 16] = [
    "invalid_request_error",
    "invalid_prompt",
    "invalid_value",
    "context_length_exceeded",
    "model_context_window_exceeded",
    "string_above_max_length",
    "request_too_large",
    "content_policy_violation",
    "content_filter",
    "previous_response_not_found",
    "failed_to_download_image",
    "unsupported_image_media_type",
    "empty_image_file",
    "invalid_base64_image",
    "400",
    "413",
];
/// Beginnings of codes that are about the caller's images.
const IMAGES: [&str; 2] = ["invalid_image", "image_"];
const ACCOUNT: [&str; 3] = ["insufficient_quota", "billing_hard_limit_reached", "billing_error"];
const CREDENTIAL: [&str; 2] = ["authentication_error", "invalid_api_key"];
/// How Anthropic says under status 400 that the operator's account is empty.
const CREDIT_TOO_LOW: &str = "Your credit balance is too low";
/// How Google says under status 400 that it does not know a key, or no longer.
const KEY_INVALID: &str = "API_KEY_INVALID";
/// Beginnings of the ids of what a caller keeps at a provider. No model is called so.
const IDS: [&str; 16] = [
    "file_",
    "file-",
    "files/",
    "resp_",
    "msg_",
    "rs_",
    "fc_",
    "item_",
    "conv_",
    "vs_",
    "cntr_",
    "container_",
    "skill_",
    "pmpt_",
    "batch_",
    "cachedContents/",
];
/// The same where the id itself has no such beginning.
const PHRASES: [&str; 3] = ["File not found", "access the File ", "CachedContent not found"];

/// Codes of a member, or a value of one, that the model does not take.
const MEMBER: [&str; 3] = ["unsupported_parameter", "unsupported_value", "unknown_parameter"];
/// The same in words, where providers have nothing else. In lower case.
const MEMBER_WORDS: [&str; 9] = [
    "not supported",
    "not support",
    "unsupported",
    "unavailable now",
    "deprecated for this model",
    "not permitted",
    "unknown parameter",
    "unknown name",
    "unrecognized request argument",
];
/// Bytes of an error's message that are looked at: providers name the member at its beginning.
const MESSAGE_BYTES: usize = 512;

/// Whether an error under status 400 or 422 says that this very model does not take a member, or a
/// value of one. It may take it for one where the message quotes the request: then another offer
/// is asked in vain.
pub(super) fn does_not_take_a_member(error: &StreamError) -> bool {
    if error.code.as_deref().is_some_and(|code| MEMBER.contains(&code)) {
        return true;
    }
    let message = error.message.expose();
    let begins = message.get(..message.floor_char_boundary(MESSAGE_BYTES)).unwrap_or_default();
    let begins = begins.to_ascii_lowercase();
    MEMBER_WORDS.iter().any(|words| begins.contains(words))
}

/// Whose fault an error inside an answer is: under status 200 only the error itself tells.
pub(in crate::pipeline) fn of_answer(error: &StreamError) -> Blame {
    let words = || [&error.code, &error.kind].into_iter().flatten().map(String::as_str);
    if words().any(|word| ACCOUNT.contains(&word)) {
        return Blame::Account;
    }
    if words().any(|word| CREDENTIAL.contains(&word)) {
        return Blame::Credential;
    }
    // Another provider of the same model may have it.
    if words().any(|word| word == "model_not_found") {
        return Blame::Provider;
    }
    let about_request =
        |word: &str| REQUEST.contains(&word) || IMAGES.iter().any(|start| word.starts_with(start));
    if words().any(about_request) { Blame::Request } else { Blame::Provider }
}

/// Whose fault an error with a status of its own is. `body` is what `error` was read from.
pub(super) fn of_status(status: StatusCode, error: Option<&StreamError>, body: &Bytes) -> Blame {
    if status == StatusCode::PAYMENT_REQUIRED {
        return Blame::Account;
    }
    let message = error.map_or("", |error| error.message.expose());
    match error.map_or(Blame::Provider, of_answer) {
        Blame::Account => return Blame::Account,
        Blame::Credential if status == StatusCode::BAD_REQUEST => return Blame::Credential,
        _ => {}
    }
    match status {
        StatusCode::UNAUTHORIZED => Blame::Credential,
        StatusCode::FORBIDDEN if names_something_kept(message) => Blame::Request,
        StatusCode::FORBIDDEN => Blame::Credential,
        StatusCode::NOT_FOUND if names_something_kept(message) => Blame::Request,
        StatusCode::BAD_REQUEST if message.starts_with(CREDIT_TOO_LOW) => Blame::Account,
        StatusCode::BAD_REQUEST if refuses_googles_key(body) => Blame::Credential,
        // Not the model, of which the operator said that it is there; of Bedrock, it failed.
        StatusCode::NOT_FOUND
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::FAILED_DEPENDENCY => Blame::Provider,
        _ if status.is_client_error() => Blame::Request,
        _ => Blame::Provider,
    }
}

/// Whether an error is about a file, an earlier answer or the like that the request names, and that
/// the provider does not have for this account.
pub(super) fn names_something_kept(message: &str) -> bool {
    let part = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/'));
    let id = |word: &str| IDS.iter().any(|id| word.len() > id.len() && word.starts_with(id));
    PHRASES.iter().any(|phrase| message.contains(phrase)) || message.split(part).any(id)
}

/// Whether the details of Google's error say so; its message may quote the request.
fn refuses_googles_key(body: &Bytes) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    let error = body.get(0).unwrap_or(&body).get("error");
    let details = error.and_then(|error| error.get("details")?.as_array());
    let told = |detail: &Value| detail.get("reason").is_some_and(|reason| reason == KEY_INVALID);
    details.is_some_and(|details| details.iter().any(told))
}

#[cfg(test)]
mod tests {
    use turnpike_protocol::{Dialect, error_body};

    use super::*;

    fn blame(dialect: Dialect, status: u16, body: &'static str) -> Blame {
        let body = Bytes::from_static(body.as_bytes());
        let error = error_body::parse(dialect, &body);
        of_status(StatusCode::from_u16(status).unwrap(), error.as_ref(), &body)
    }

    #[test]
    fn a_key_that_google_does_not_know_is_the_operators() {
        let body = r#"{"error":{"code":400,"message":"API key not valid.","status":
            "INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",
            "reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
        assert_eq!(blame(Dialect::Gemini, 400, body), Blame::Credential);
        let quoted = r#"{"error":{"code":400,"message":"Unknown name API_KEY_INVALID",
            "status":"INVALID_ARGUMENT"}}"#;
        assert_eq!(blame(Dialect::Gemini, 400, quoted), Blame::Request);
    }

    #[test]
    fn what_the_request_names_and_is_not_there_is_the_requests_fault() {
        let file = r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":
            "You do not have permission to access the File abc or it may not exist."}}"#;
        assert_eq!(blame(Dialect::Gemini, 403, file), Blame::Request);
        let key = r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":
            "Generative Language API has not been used in project 1 before."}}"#;
        assert_eq!(blame(Dialect::Gemini, 403, key), Blame::Credential);
        let anthropic = |body| blame(Dialect::AnthropicMessages, 404, body);
        let file = r#"{"type":"error","error":{"type":"not_found_error",
            "message":"File not found: file_x"}}"#;
        assert_eq!(anthropic(file), Blame::Request);
        let model = r#"{"type":"error","error":{"type":"not_found_error",
            "message":"model: claude-none"}}"#;
        assert_eq!(anthropic(model), Blame::Provider);
        let model = r#"{"error":{"message":"The model `gpt-none` does not exist",
            "type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;
        assert_eq!(blame(Dialect::OpenAiChat, 404, model), Blame::Provider);
        let item = r#"{"error":{"message":"Item with id 'rs_12' not found.",
            "type":"invalid_request_error","param":"input","code":null}}"#;
        assert_eq!(blame(Dialect::OpenAiResponses, 404, item), Blame::Request);
    }

    #[test]
    fn pitfall_58_an_empty_account_is_told_from_a_limit() {
        let chat = |body| blame(Dialect::OpenAiChat, 429, body);
        let quota = r#"{"error":{"message":"x","type":"insufficient_quota","param":null,
            "code":"insufficient_quota"}}"#;
        assert_eq!(chat(quota), Blame::Account);
        let limit = r#"{"error":{"message":"x","type":"requests","param":null,
            "code":"rate_limit_exceeded"}}"#;
        assert_eq!(chat(limit), Blame::Provider);
        let low = r#"{"type":"error","error":{"type":"invalid_request_error",
            "message":"Your credit balance is too low to access the Anthropic API."}}"#;
        assert_eq!(blame(Dialect::AnthropicMessages, 400, low), Blame::Account);
    }

    #[test]
    fn a_member_that_the_model_does_not_take_is_told_from_a_bad_request() {
        let takes_not = |dialect, body: &'static str| {
            does_not_take_a_member(&error_body::parse(dialect, &Bytes::from(body)).unwrap())
        };
        let chat = |body| takes_not(Dialect::OpenAiChat, body);
        assert!(chat(
            r#"{"error":{"message":"'temperature' does not support 0.2 with this model.",
            "type":"invalid_request_error","param":"temperature",
            "code":"unsupported_value"}}"#
        ));
        assert!(chat(
            r#"{"error":{"message":"This response_format type is unavailable now",
            "type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#
        ));
        assert!(!chat(
            r#"{"error":{"message":"Invalid 'messages': empty array.",
            "type":"invalid_request_error","param":"messages","code":"empty_array"}}"#
        ));
        assert!(takes_not(
            Dialect::AnthropicMessages,
            r#"{"type":"error","error":{"type":"invalid_request_error",
            "message":"`temperature` is deprecated for this model."}}"#
        ));
        assert!(!takes_not(
            Dialect::AnthropicMessages,
            r#"{"type":"error","error":{"type":"invalid_request_error",
            "message":"messages: at least one message is required"}}"#
        ));
    }

    #[test]
    fn an_error_inside_an_answer_is_judged_by_its_type_and_code() {
        let error = |kind: &str, code: &str| {
            let word = |word: &str| (!word.is_empty()).then(|| word.to_owned());
            let message = turnpike_protocol::Content::from_string("x".to_owned());
            StreamError { message, kind: word(kind), code: word(code) }
        };
        let of = |kind, code| of_answer(&error(kind, code));
        assert_eq!(of("invalid_request_error", "context_length_exceeded"), Blame::Request);
        assert_eq!(of("server_error", "image_too_large"), Blame::Request);
        assert_eq!(of("insufficient_quota", "insufficient_quota"), Blame::Account);
        assert_eq!(of("authentication_error", ""), Blame::Credential);
        assert_eq!(of("overloaded_error", ""), Blame::Provider);
        assert_eq!(of("", "502"), Blame::Provider);
        assert_eq!(of("", ""), Blame::Provider);
    }
}
