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
    /// Nobody's: we are over the provider's rate limit.
    Limit,
    /// Anything else.
    Provider,
}

/// Types and codes of a request that no other server of the same model would take.
const REQUEST: [&str; 17] = [
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
    // A server of tools that the caller named does not answer.
    "external_connector_error",
    "400",
    "413",
];
/// Beginnings of codes that are about the caller's images.
const IMAGES: [&str; 2] = ["invalid_image", "image_"];
const ACCOUNT: [&str; 3] = ["insufficient_quota", "billing_hard_limit_reached", "billing_error"];
const CREDENTIAL: [&str; 2] = ["authentication_error", "invalid_api_key"];
/// Types and codes of a rate limit that is told inside an answer, where no status says it; and the
/// beginning of the others.
const LIMIT: [&str; 2] = ["too_many_requests", "429"];
const LIMIT_BEGINS: &str = "rate_limit";
/// Beginnings of the types and codes of a prompt that the provider's filter refuses.
const CONTENT: [&str; 5] =
    ["content_policy", "content_filter", "content_moderation", "moderation", "safety_"];
/// Words of such a refusal under status 403, where a type or code does not tell: of xAI, and of
/// others' policies.
const REFUSES_CONTENT: [&str; 6] = [
    "usage guidelines",
    "safety_check_type",
    "content policy",
    "content_policy",
    "content moderation",
    "requires moderation",
];
/// OpenRouter's words for it say who was flagged: the text, or the operator's account.
const FLAGGED: &str = "flagged";
const FLAGGED_TEXT: [&str; 5] = ["input", "prompt", "content", "message", "request"];
const FLAGGED_ACCOUNT: [&str; 4] = ["account", "api key", "organization", "organisation"];
/// Members of OpenRouter's `metadata` that are there for a text alone.
const FLAGGED_MEMBERS: [&str; 2] = ["flagged_input", "reasons"];
/// How OpenAI and Groq say that one request is over the limit of a whole minute.
const TOO_LARGE: &str = "Request too large";
/// Of Groq and others in that message: what a minute has, and what the request would take.
const LIMIT_AND_REQUESTED: [&str; 2] = ["Limit ", "Requested "];

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
    if words().any(|word| LIMIT.contains(&word) || word.starts_with(LIMIT_BEGINS)) {
        return Blame::Limit;
    }
    // Another provider of the same model may have it.
    if words().any(|word| word == "model_not_found") {
        return Blame::Provider;
    }
    let begins = |word: &str, starts: &[&str]| starts.iter().any(|start| word.starts_with(start));
    let about_request =
        |word: &str| REQUEST.contains(&word) || begins(word, &IMAGES) || begins(word, &CONTENT);
    let forbidden = words().any(|word| word == "403");
    if words().any(about_request) || (forbidden && refuses_content(error.message.expose())) {
        return Blame::Request;
    }
    Blame::Provider
}

/// Whose fault an error with a status of its own is. `body` is what `error` was read from.
pub(super) fn of_status(status: StatusCode, error: Option<&StreamError>, body: &Bytes) -> Blame {
    if status == StatusCode::PAYMENT_REQUIRED {
        return Blame::Account;
    }
    let message = error.map_or("", |error| error.message.expose());
    let told = error.map_or(Blame::Provider, of_answer);
    match told {
        Blame::Account => return Blame::Account,
        Blame::Credential if status == StatusCode::BAD_REQUEST => return Blame::Credential,
        _ => {}
    }
    match status {
        StatusCode::UNAUTHORIZED => Blame::Credential,
        StatusCode::FORBIDDEN if names_something_kept(message) => Blame::Request,
        // The prompt, and not the key: no other credential would do better, nor is one to blame.
        StatusCode::FORBIDDEN if refuses_content(message) || flags_content(error, body) => {
            Blame::Request
        }
        StatusCode::FORBIDDEN => Blame::Credential,
        StatusCode::NOT_FOUND if names_something_kept(message) => Blame::Request,
        StatusCode::BAD_REQUEST if message.starts_with(CREDIT_TOO_LOW) => Blame::Account,
        StatusCode::BAD_REQUEST if refuses_googles_key(body) => Blame::Credential,
        // Of OpenAI, something failed that the caller named; of Bedrock, the model did.
        StatusCode::FAILED_DEPENDENCY if told == Blame::Request || is_about_tools(body) => {
            Blame::Request
        }
        // Not the model, of which the operator said that it is there.
        StatusCode::NOT_FOUND | StatusCode::REQUEST_TIMEOUT | StatusCode::FAILED_DEPENDENCY => {
            Blame::Provider
        }
        StatusCode::TOO_MANY_REQUESTS => Blame::Limit,
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

/// Whether the words of a 403 are about what the prompt says.
fn refuses_content(message: &str) -> bool {
    let words = message.to_ascii_lowercase();
    let says = |any: &[&str]| any.iter().any(|word| words.contains(word));
    says(&REFUSES_CONTENT) || (says(&[FLAGGED]) && says(&FLAGGED_TEXT) && !says(&FLAGGED_ACCOUNT))
}

/// Whether its type or code is, or OpenRouter's details.
fn flags_content(error: Option<&StreamError>, body: &Bytes) -> bool {
    let about = |word: &String| CONTENT.iter().any(|start| word.starts_with(start));
    let words = |error: &StreamError| [&error.kind, &error.code].into_iter().flatten().any(about);
    if error.is_some_and(words) {
        return true;
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    let metadata = body.get("error").and_then(|error| error.get("metadata"));
    metadata.is_some_and(|it| FLAGGED_MEMBERS.iter().all(|member| it.get(member).is_some()))
}

/// Whether the words of a refusal for a rate limit say that the request alone is over it, so that
/// no other one is, and no wait helps. `waits`: the provider said how long to wait all the same.
pub(super) fn exceeds_the_tier(message: &str, waits: bool) -> bool {
    let [limit, requested] = LIMIT_AND_REQUESTED.map(|name| count_after(message, name));
    match (limit, requested) {
        (Some(limit), Some(requested)) => requested > limit,
        _ => message.starts_with(TOO_LARGE) && !waits,
    }
}

/// The count that follows a name, with commas or without.
fn count_after(message: &str, name: &str) -> Option<u64> {
    let (_, after) = message.split_once(name)?;
    let end = after.find(|c: char| !(c.is_ascii_digit() || c == ',')).unwrap_or(after.len());
    after.get(..end)?.replace(',', "").parse().ok()
}

/// Whether OpenAI's error names the request's tools as what is at fault.
fn is_about_tools(body: &Bytes) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    let param = body.get("error").and_then(|error| error.get("param")?.as_str());
    param.is_some_and(|param| param == "tools" || param.starts_with("tools["))
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
    fn a_prompt_that_is_flagged_is_the_requests_fault_and_a_key_that_is_forbidden_is_not() {
        let chat = |body| blame(Dialect::OpenAiChat, 403, body);
        let xai = concat!(
            r#"{"code":"The caller does not have permission to execute the specified operation","#,
            r#""error":"Content violates usage guidelines. Team: t, API key ID: k, Model: m, "#,
            r#"Failed check: SAFETY_CHECK_TYPE_BIO"}"#
        );
        let router = concat!(
            r#"{"error":{"code":403,"message":"openai/gpt-4o requires moderation on OpenAI. Your "#,
            r#"input was flagged for \"violence\". No credits were charged.","#,
            r#""metadata":{"reasons":["violence"],"flagged_input":"x","model_slug":"m"}}}"#
        );
        for flagged in [
            xai,
            router,
            r#"{"error":{"code":403,"message":"Forbidden","metadata":{"reasons":["sexual"],
                "flagged_input":"x"}}}"#,
            r#"{"error":{"message":"Your prompt has been flagged by our safety system.",
                "type":"forbidden","code":null}}"#,
            r#"{"error":{"message":"no","type":"content_policy_violation","code":null}}"#,
        ] {
            assert_eq!(chat(flagged), Blame::Request, "{flagged}");
        }
        for operators in [
            r#"{"error":{"message":"Your account has been flagged for the content of requests."}}"#,
            r#"{"error":{"message":"Project p does not have access to model gpt-5."}}"#,
            r#"{"error":{"code":403,"message":"Key limit exceeded","metadata":{"reasons":[]}}}"#,
            "<html>403 Forbidden</html>",
        ] {
            assert_eq!(chat(operators), Blame::Credential, "{operators}");
        }
        let unknown = r#"{"error":{"message":"input flagged as an unknown key","code":null}}"#;
        assert_eq!(blame(Dialect::OpenAiChat, 401, unknown), Blame::Credential);
    }

    #[test]
    fn a_request_over_the_limit_of_a_whole_minute_is_told_from_a_minute_that_is_used_up() {
        let large = "Request too large for gpt-4o in organization o on tokens per min (TPM): \
                     Limit 30000, Requested 51,000. The input or output tokens must be reduced.";
        assert!(exceeds_the_tier(large, false) && exceeds_the_tier(large, true));
        let used = "Rate limit reached for gpt-4o in organization o on tokens per min (TPM): \
                    Limit 30000, Used 29000, Requested 2000. Please try again in 2s.";
        assert!(!exceeds_the_tier(used, true) && !exceeds_the_tier(used, false));
        assert!(exceeds_the_tier("Request too large for this tier", false));
        assert!(!exceeds_the_tier("Request too large for this tier", true), "it says when");
        assert!(!exceeds_the_tier("Limit of the day, Requested too often", false));
    }

    #[test]
    fn pitfall_58_an_empty_account_is_told_from_a_limit() {
        let chat = |body| blame(Dialect::OpenAiChat, 429, body);
        let quota = r#"{"error":{"message":"x","type":"insufficient_quota","param":null,
            "code":"insufficient_quota"}}"#;
        assert_eq!(chat(quota), Blame::Account);
        let limit = r#"{"error":{"message":"x","type":"requests","param":null,
            "code":"rate_limit_exceeded"}}"#;
        assert_eq!(chat(limit), Blame::Limit);
        let low = r#"{"type":"error","error":{"type":"invalid_request_error",
            "message":"Your credit balance is too low to access the Anthropic API."}}"#;
        assert_eq!(blame(Dialect::AnthropicMessages, 400, low), Blame::Account);
    }

    /// Anyone can name a server of tools that is down.
    #[test]
    fn a_server_of_tools_that_does_not_answer_is_the_callers() {
        let openai = |body| blame(Dialect::OpenAiResponses, 424, body);
        let words = concat!(
            r#"{"error":{"message":"Error retrieving tool list from MCP server: 'x'. Http status "#,
            r#"code: 424 (Failed Dependency)","type":"external_connector_error","param":"tools","#,
            r#""code":"http_error"}}"#
        );
        assert_eq!(openai(words), Blame::Request);
        let plain = r#"{"error":{"message":"no","type":"server_error","param":"tools[0]"}}"#;
        assert_eq!(openai(plain), Blame::Request);
        let other = r#"{"error":{"message":"no","type":"server_error","param":null}}"#;
        assert_eq!(openai(other), Blame::Provider);
        let bedrock = r#"{"message":"The model failed.","originalStatusCode":500}"#;
        assert_eq!(blame(Dialect::BedrockConverse, 424, bedrock), Blame::Provider);
        assert_eq!(blame(Dialect::AnthropicMessages, 424, bedrock), Blame::Provider);
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
        for limited in [
            of("rate_limit_error", "rate_limit_exceeded"),
            of("rate_limit_error", "429"),
            of("requests", "rate_limit_exceeded"),
            of("rate_limited", "1300"),
            of("", "429"),
            of("too_many_requests", ""),
        ] {
            assert_eq!(limited, Blame::Limit);
        }
        assert_eq!(of("", "502"), Blame::Provider);
        assert_eq!(of("", "content_policy_blocked"), Blame::Request);
        assert_eq!(of("", "403"), Blame::Provider);
        let message = turnpike_protocol::Content::from_string("Your input was flagged".to_owned());
        let flagged = StreamError { message, kind: None, code: Some("403".to_owned()) };
        assert_eq!(of_answer(&flagged), Blame::Request);
        assert_eq!(of("", ""), Blame::Provider);
        assert_eq!(of("external_connector_error", "http_error"), Blame::Request);
    }
}
