//! Errors in the caller's dialect: a whole body, or an event inside a stream that has begun.
//! Never decides the status or the words.

use std::borrow::Cow;

use bytes::Bytes;

use crate::chunk::{Origin, StreamError};
use crate::{Dialect, RequestError, anthropic, bedrock, gemini, openai_chat, openai_responses};

/// What an error says. All strings are shown to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorFacts<'a> {
    /// What happened and what to do next.
    pub message: &'a str,
    /// The class of error in OpenAI's words, such as `invalid_request_error`; the other dialects
    /// find theirs from it and the status.
    pub kind: &'a str,
    /// The request's field at fault.
    pub param: Option<&'a str>,
    /// Machine-readable reason.
    pub code: Option<&'a str>,
    /// The HTTP status it has, or would have had if the stream had not begun.
    pub status: u16,
    /// The id of the request, for dialects that show it in the body.
    pub request_id: Option<&'a str>,
}

// === impl ErrorFacts ===

impl<'a> From<&'a RequestError> for ErrorFacts<'a> {
    fn from(error: &'a RequestError) -> Self {
        Self {
            message: &error.message,
            kind: "invalid_request_error",
            param: error.param.as_deref(),
            code: Some(error.code),
            status: error.status,
            request_id: None,
        }
    }
}

/// A whole error body, `application/json`.
pub fn encode(dialect: Dialect, facts: &ErrorFacts<'_>) -> Bytes {
    encode_waiting(dialect, facts, None)
}

/// The same, with the seconds after which another try is worth it, in dialects whose clients look
/// for them in the body.
pub fn encode_waiting(dialect: Dialect, facts: &ErrorFacts<'_>, wait_s: Option<u64>) -> Bytes {
    match dialect {
        // Both OpenAI dialects have one shape.
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            Bytes::from(openai_chat::error::body(facts))
        }
        Dialect::AnthropicMessages => Bytes::from(anthropic::error::body(facts)),
        Dialect::Gemini => Bytes::from(gemini::error::body_waiting(facts, wait_s)),
        Dialect::BedrockConverse => Bytes::from(bedrock::error::body(facts)),
    }
}

/// An error as an event of a stream, after which the stream ends without its usual mark.
pub fn stream_event(dialect: Dialect, facts: &ErrorFacts<'_>) -> Bytes {
    stream_event_of(dialect, facts, None)
}

/// The same in a stream whose answer has said what it is; the number is the event's own, in
/// dialects that count their events.
pub fn stream_event_of(
    dialect: Dialect,
    facts: &ErrorFacts<'_>,
    begun: Option<(&Origin, u64)>,
) -> Bytes {
    match dialect {
        Dialect::OpenAiChat => {
            let body = openai_chat::error::body(facts);
            Bytes::from([b"data: ", body.as_slice(), b"\n\n"].concat())
        }
        Dialect::OpenAiResponses => openai_responses::error::event(facts, begun),
        Dialect::AnthropicMessages => anthropic::error::event(facts),
        Dialect::Gemini => gemini::error::event(facts),
        Dialect::BedrockConverse => {
            crate::eventstream::exception("internalServerException", &bedrock::error::body(facts))
        }
    }
}

/// Reads a provider's error body; `None` when it is in no shape that the dialect knows.
pub fn parse(dialect: Dialect, body: &Bytes) -> Option<StreamError> {
    let mut error = match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => openai_chat::error::parse(body),
        Dialect::AnthropicMessages => anthropic::error::parse(body),
        Dialect::Gemini => gemini::error::parse(body),
        Dialect::BedrockConverse => bedrock::error::parse(body),
    }?;
    let words = error.message.expose();
    if TOO_LONG.iter().any(|known| words.contains(known)) {
        error.code = Some(CONTEXT_EXCEEDED.to_owned());
    }
    Some(error)
}

/// The code by which clients of OpenAI's know that the conversation no longer fits: agents make it
/// shorter and go on.
pub(crate) const CONTEXT_EXCEEDED: &str = "context_length_exceeded";
/// The words of the other providers for it; those of Anthropic's clients match on the first.
const TOO_LONG: [&str; 4] = [
    "prompt is too long",
    "input token count exceeds the maximum",
    "Input is too long for requested model",
    "maximum context length",
];

/// Names of the bound on an answer.
const LIMITS: [&str; 5] =
    ["max_completion_tokens", "max_output_tokens", "max_tokens", "maxOutputTokens", "maxTokens"];

/// What a provider of another dialect says, with the bound on the answer called by its `own` name,
/// as the caller writes it: it knows no member of the name that it was sent by.
pub fn in_names_of<'a>(own: &str, message: &'a str) -> Cow<'a, str> {
    if !LIMITS.iter().any(|name| message.contains(name)) {
        return Cow::Borrowed(message);
    }
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !is_of_a_name(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let is_limit = LIMITS.contains(&word);
        if is_limit {
            // Its place, such as `inferenceConfig.`, is the other dialect's, too.
            out.truncate(without_path(&out));
        }
        out.push_str(if is_limit { own } else { word });
        let gap = after.find(is_of_a_name).unwrap_or(after.len());
        let (between, next) = after.split_at(gap);
        out.push_str(between);
        rest = next;
    }
    Cow::Owned(out)
}

/// How long a text is without the names and full stops that it ends with, nothing between them.
fn without_path(text: &str) -> usize {
    let mut rest = text;
    while let Some(before) = rest.strip_suffix('.') {
        let shorter = before.trim_end_matches(is_of_a_name);
        if shorter.len() == before.len() {
            break;
        }
        rest = shorter;
    }
    rest.len()
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Milliseconds that a provider's error body asks to wait; `None` where it says nothing of it, or
/// says it in a header.
pub fn wait_ms(dialect: Dialect, body: &Bytes) -> Option<u64> {
    match dialect {
        Dialect::Gemini => gemini::error::wait_ms(body),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: ErrorFacts<'_> = ErrorFacts {
        message: "no \"such\" model\n",
        kind: "invalid_request_error",
        param: Some("model"),
        code: None,
        status: 404,
        request_id: None,
    };

    #[test]
    fn all_four_keys_are_always_there() {
        let body = encode(Dialect::OpenAiChat, &FACTS);
        let expected = concat!(
            r#"{"error":{"message":"no \"such\" model\n","type":"invalid_request_error","#,
            r#""param":"model","code":null}}"#
        );
        assert_eq!(body, expected.as_bytes());
    }

    #[test]
    fn the_event_holds_the_same_body_and_reads_back() {
        let event = stream_event(Dialect::OpenAiChat, &FACTS);
        let data = event.strip_prefix(b"data: ").unwrap().strip_suffix(b"\n\n").unwrap();
        assert_eq!(data, &encode(Dialect::OpenAiChat, &FACTS)[..]);
        let error = parse(Dialect::OpenAiChat, &Bytes::copy_from_slice(data)).unwrap();
        assert_eq!(error.message.expose(), FACTS.message);
        assert_eq!(error.kind.as_deref(), Some(FACTS.kind));
    }

    #[test]
    fn a_conversation_that_no_longer_fits_is_told_in_the_words_that_agents_know() {
        let cases = [
            (Dialect::AnthropicMessages, r#"{"error":{"message":"prompt is too long: 9 > 8"}}"#),
            (
                Dialect::Gemini,
                r#"{"error":{"code":400,"message":"The input token count exceeds the maximum"}}"#,
            ),
            (Dialect::BedrockConverse, r#"{"message":"Input is too long for requested model."}"#),
            (
                Dialect::OpenAiChat,
                r#"{"error":{"message":"Our maximum context length is 8","code":null}}"#,
            ),
        ];
        for (dialect, body) in cases {
            let error = parse(dialect, &Bytes::from_static(body.as_bytes())).unwrap();
            assert_eq!(error.code.as_deref(), Some("context_length_exceeded"), "{body}");
            let message = error.message.expose();
            let facts = ErrorFacts { message, code: error.code.as_deref(), ..FACTS };
            let told = encode(Dialect::AnthropicMessages, &facts);
            let told = String::from_utf8(told.to_vec()).unwrap();
            assert_eq!(told.matches("prompt is too long").count(), 1, "{told}");
            assert!(told.contains(message), "{told}");
        }
    }

    #[test]
    fn a_caller_hears_of_its_limit_by_the_name_that_it_wrote() {
        let openai = "Invalid 'max_completion_tokens': expected an integer above 0.";
        let [max, most, gemini] =
            [Dialect::AnthropicMessages, Dialect::OpenAiResponses, Dialect::Gemini]
                .map(Dialect::output_limit_field);
        let told = in_names_of(max, openai);
        assert_eq!(told, "Invalid 'max_tokens': expected an integer above 0.");
        let anthropic = "max_tokens: 9 > 8, which is the most (max_tokens)";
        let told = in_names_of(most, anthropic);
        assert_eq!(told, "max_output_tokens: 9 > 8, which is the most (max_output_tokens)");
        let told = in_names_of(gemini, "my_max_tokens, größe of max_tokens");
        assert_eq!(told, "my_max_tokens, größe of generationConfig.maxOutputTokens");
        assert!(matches!(in_names_of(gemini, "n is too large"), Cow::Borrowed(_)));
        // The place is another one, too; what goes before it stays.
        let bedrock =
            "größe. inferenceConfig.maxTokens (inferenceConfig.maxTokens) at $.max_tokens";
        for (own, told) in [
            (max, "größe. max_tokens (max_tokens) at $.max_tokens"),
            (
                gemini,
                "größe. generationConfig.maxOutputTokens (generationConfig.maxOutputTokens) at \
                 $.generationConfig.maxOutputTokens",
            ),
        ] {
            assert_eq!(in_names_of(own, bedrock), told);
        }
        let google = "GenerateContentRequest.generation_config.max_output_tokens is 9";
        assert_eq!(in_names_of(max, google), "max_tokens is 9");
    }

    #[test]
    fn odd_shapes_of_provider_errors_are_read() {
        let read =
            |body: &'static str| parse(Dialect::OpenAiChat, &Bytes::from_static(body.as_bytes()));
        assert_eq!(read(r#"{"error":"busy"}"#).unwrap().message.expose(), "busy");
        let numbered = read(r#"{"error":{"message":"bad gateway","code":502}}"#).unwrap();
        assert_eq!(numbered.code.as_deref(), Some("502"));
        assert!(read(r#"{"error":null}"#).is_none());
        assert!(read(r#"{"error":false}"#).is_none());
        assert!(read("<html>bad gateway</html>").is_none());
    }
}
