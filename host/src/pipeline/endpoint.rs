//! Which endpoint a path is, and what the URL of a request says of it. Knows every path of the data
//! plane; never looks into a body.

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri};
use turnpike_protocol::{Addressed, Dialect};

use crate::error::operation;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    /// An answer to a conversation.
    Answer(Wire<'a>),
    /// How many tokens a conversation has.
    CountTokens(Wire<'a>),
    /// How a conversation would be routed.
    Route,
    /// What an answer was worth.
    Feedback,
    /// What a key is and may still spend.
    OwnKey,
    /// What a key has used.
    OwnUsage,
    Models(List),
    /// One model by its name.
    Model(List, Cow<'a, str>),
    /// The priced catalogue, as some agents read it.
    ModelInfo,
    Greeting,
    Live,
    Ready,
    /// Nothing; for which methods there is something at the path, as `Allow` lists them.
    Nowhere {
        allow: Option<&'static str>,
    },
}

/// In what a conversation is spoken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wire<'a> {
    pub dialect: Dialect,
    /// From the path, in dialects that have it there.
    pub model: Option<Cow<'a, str>>,
    /// The same of whether the answer is streamed.
    pub stream: Option<bool>,
    /// A stream is sent as one JSON array, piece by piece, and not as events.
    pub array: bool,
    /// Vectors are asked for, and no answer.
    pub embeds: bool,
}

/// Whose list of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    OpenAi,
    Anthropic,
    Gemini,
    Codex,
}

/// Operations of Gemini, by the word behind the colon.
const GEMINI_OPERATIONS: [(&str, Option<bool>); 3] = [
    ("generateContent", Some(false)),
    ("streamGenerateContent", Some(true)),
    ("countTokens", None),
];

/// The prefixes under which Google's clients look for models.
const GEMINI_MODELS: [&str; 2] = ["/v1beta/models", "/v1/models"];

// === impl Wire ===

impl Wire<'_> {
    fn plain(dialect: Dialect) -> Self {
        Self { dialect, model: None, stream: None, array: false, embeds: false }
    }

    /// What the parser needs of it.
    pub(super) fn addressed(&self) -> Addressed<'_> {
        Addressed { model: self.model.as_deref(), stream: self.stream }
    }
}

/// Finds the endpoint.
pub(super) fn find<'a>(method: &Method, uri: &'a Uri, headers: &HeaderMap) -> Endpoint<'a> {
    // Tolerates what users paste together: a base URL with a slash at its end.
    let path = uri.path();
    let path = path.strip_prefix('/').filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match path {
        "/" if reads => Endpoint::Greeting,
        "/health/live" if reads => Endpoint::Live,
        "/health/ready" if reads => Endpoint::Ready,
        "/v1/models" if *method == Method::GET => Endpoint::Models(list(uri, headers)),
        "/v1beta/models" if *method == Method::GET => Endpoint::Models(List::Gemini),
        "/v1/model/info" | "/model/info" if *method == Method::GET => Endpoint::ModelInfo,
        "/v1/key" if *method == Method::GET => Endpoint::OwnKey,
        "/v1/key/usage" if *method == Method::GET => Endpoint::OwnUsage,
        _ if *method == Method::POST => posted(path, uri),
        _ if *method == Method::GET => one_model(path, uri, headers),
        _ => Endpoint::Nowhere { allow: allowed(path) },
    }
}

/// The dialect in which the caller of a path reads errors.
pub(super) fn errors_of(uri: &Uri, headers: &HeaderMap) -> Dialect {
    let path = uri.path();
    if path.starts_with("/v1/messages") || headers.contains_key("anthropic-version") {
        return Dialect::AnthropicMessages;
    }
    let gemini = path.starts_with("/v1beta/") || gemini_operation(path).is_some();
    if gemini || (path.starts_with("/v1/models") && is_google(headers)) {
        return Dialect::Gemini;
    }
    Dialect::OpenAiChat
}

fn posted<'a>(path: &'a str, uri: &Uri) -> Endpoint<'a> {
    match path {
        "/v1/chat/completions" => Endpoint::Answer(Wire::plain(Dialect::OpenAiChat)),
        "/v1/responses" => Endpoint::Answer(Wire::plain(Dialect::OpenAiResponses)),
        "/v1/messages" => Endpoint::Answer(Wire::plain(Dialect::AnthropicMessages)),
        "/v1/route" => Endpoint::Route,
        "/v1/feedback" => Endpoint::Feedback,
        "/v1/embeddings" => {
            Endpoint::Answer(Wire { embeds: true, ..Wire::plain(Dialect::OpenAiChat) })
        }
        "/v1/messages/count_tokens" => {
            Endpoint::CountTokens(Wire::plain(Dialect::AnthropicMessages))
        }
        path => match gemini_operation(path) {
            Some((model, stream)) => {
                let array = stream == Some(true) && parameter(uri, "alt") != Some("sse");
                let model = Some(decoded(model));
                let wire = Wire { model, stream, array, ..Wire::plain(Dialect::Gemini) };
                match stream {
                    Some(_) => Endpoint::Answer(wire),
                    None => Endpoint::CountTokens(wire),
                }
            }
            None => Endpoint::Nowhere { allow: allowed(path) },
        },
    }
}

fn one_model<'a>(path: &'a str, uri: &Uri, headers: &HeaderMap) -> Endpoint<'a> {
    if let Some(name) = path.strip_prefix("/v1beta/models/") {
        return Endpoint::Model(List::Gemini, decoded(name));
    }
    match path.strip_prefix("/v1/models/") {
        Some(name) => Endpoint::Model(list(uri, headers), decoded(name)),
        None => Endpoint::Nowhere { allow: allowed(path) },
    }
}

fn list(uri: &Uri, headers: &HeaderMap) -> List {
    if parameter(uri, "client_version").is_some() {
        List::Codex
    } else if headers.contains_key("anthropic-version") {
        List::Anthropic
    } else if is_google(headers) {
        List::Gemini
    } else {
        List::OpenAi
    }
}

/// Whether one of Google's clients asks: they may look for models under `/v1` too.
fn is_google(headers: &HeaderMap) -> bool {
    headers.contains_key("x-goog-api-key") || headers.contains_key("x-goog-api-client")
}

/// The model and whether to stream, from `…/models/MODEL:operation`.
fn gemini_operation(path: &str) -> Option<(&str, Option<bool>)> {
    let rest = GEMINI_MODELS.iter().find_map(|prefix| path.strip_prefix(prefix))?;
    let (model, operation) = rest.strip_prefix('/')?.rsplit_once(':')?;
    let (_, stream) = GEMINI_OPERATIONS.iter().find(|(word, _)| *word == operation)?;
    (!model.is_empty()).then_some((model, *stream))
}

/// The methods that a path is there for.
fn allowed(path: &str) -> Option<&'static str> {
    match path {
        "/" | "/health/live" | "/health/ready" => Some("GET, HEAD"),
        "/v1/models" | "/v1beta/models" | "/v1/model/info" | "/model/info" | "/v1/key"
        | "/v1/key/usage" => Some("GET"),
        "/v1/chat/completions"
        | "/v1/responses"
        | "/v1/messages"
        | "/v1/messages/count_tokens"
        | "/v1/embeddings"
        | "/v1/route"
        | "/v1/feedback" => Some("POST"),
        path if gemini_operation(path).is_some() => Some("POST"),
        // An operation of Google's that is not offered: another method does not help.
        path if operation(path).is_some() => None,
        path if path.starts_with("/v1/models/") || path.starts_with("/v1beta/models/") => {
            Some("GET")
        }
        _ => None,
    }
}

/// The value of a query parameter; those that are looked for need no decoding.
pub(super) fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let pairs = uri.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// A path's segment as it was meant; malformed escapes stay as they are.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        match escaped(rest) {
            Some((value, after)) => {
                out.push(value);
                rest = after;
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(text),
    }
}

/// The byte that an escape at the front stands for, and what follows it.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([b'%', high, low], after) = text.split_first_chunk::<3>()? else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let value = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
    Some((u8::try_from(value).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(path: &str) -> String {
        let uri: Uri = path.parse().unwrap();
        match find(&Method::POST, &uri, &HeaderMap::new()) {
            Endpoint::Answer(wire) => format!(
                "answer {} {:?} {:?} {}",
                wire.dialect.label(),
                wire.model.as_deref(),
                wire.stream,
                wire.array
            ),
            Endpoint::CountTokens(wire) => {
                format!("count {} {:?}", wire.dialect.label(), wire.model.as_deref())
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_dialect_has_its_paths() {
        assert_eq!(post("/v1/messages?beta=true"), "answer anthropic-messages None None false");
        assert_eq!(post("/v1/responses"), "answer openai-responses None None false");
        assert_eq!(
            post("/v1beta/models/google/gemini-3-pro:streamGenerateContent?alt=sse"),
            "answer gemini Some(\"google/gemini-3-pro\") Some(true) false"
        );
        assert_eq!(
            post("/v1beta/models/auto%3Afast:streamGenerateContent"),
            "answer gemini Some(\"auto:fast\") Some(true) true"
        );
        assert_eq!(post("/v1beta/models/x:countTokens"), "count gemini Some(\"x\")");
        for operation in ["embedContent", "batchEmbedContents", "generateImages", "predict"] {
            let path = format!("/v1beta/models/x:{operation}");
            assert_eq!(post(&path), "Nowhere { allow: None }", "{path}");
        }
        assert_eq!(post("/v1/models"), "Nowhere { allow: Some(\"GET\") }");
        assert_eq!(post("/v1/nothing"), "Nowhere { allow: None }");
        let put = |path: &str| match find(&Method::PUT, &path.parse().unwrap(), &HeaderMap::new()) {
            Endpoint::Nowhere { allow } => allow,
            other => panic!("{other:?}"),
        };
        assert_eq!(put("/"), Some("GET, HEAD"));
        assert_eq!(put("/v1/chat/completions"), Some("POST"));
        assert_eq!(put("/v1beta/models/x:generateContent"), Some("POST"));
        assert_eq!(put("/v1beta/models/x"), Some("GET"));
        assert_eq!([put("/v1/key"), put("/v1/key/usage")], [Some("GET"); 2]);
    }

    #[test]
    fn the_list_of_models_has_the_shape_of_who_asks() {
        let get = |path: &str, headers: &HeaderMap| match find(
            &Method::GET,
            &path.parse().unwrap(),
            headers,
        ) {
            Endpoint::Models(list) | Endpoint::Model(list, _) => list,
            other => panic!("{other:?}"),
        };
        let mut anthropic = HeaderMap::new();
        anthropic.insert("anthropic-version", "2023-06-01".parse().unwrap());
        assert_eq!(get("/v1/models", &HeaderMap::new()), List::OpenAi);
        assert_eq!(get("/v1/models?limit=1000", &anthropic), List::Anthropic);
        assert_eq!(get("/v1/models?client_version=0.1", &HeaderMap::new()), List::Codex);
        for name in ["x-goog-api-key", "x-goog-api-client"] {
            let mut google = HeaderMap::new();
            google.insert(name, "x".parse().unwrap());
            assert_eq!(get("/v1/models", &google), List::Gemini);
            assert_eq!(get("/v1/models/a/b", &google), List::Gemini);
            let uri = "/v1/models/a/b".parse().unwrap();
            assert_eq!(errors_of(&uri, &google), Dialect::Gemini);
        }
        assert_eq!(get("/v1beta/models/a/b", &HeaderMap::new()), List::Gemini);
    }

    #[test]
    fn malformed_escapes_stay_as_they_are() {
        assert_eq!(decoded("a%2Fb%zz%4"), "a/b%zz%4");
    }
}
