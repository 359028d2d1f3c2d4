//! Which operation a path asks for, in the dialects that a provider speaks. Knows paths only.

use crate::http::Request;
use crate::script::Dialect;
use crate::speech::Speech;
use crate::{anthropic, bedrock, gemini, openai_chat, openai_responses};

/// Whose words errors, lists and headers are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    OpenAi,
    Anthropic,
    Gemini,
    Bedrock,
}

/// What is asked for.
pub(crate) enum Operation<'a> {
    /// An answer of a model.
    Answer(&'static dyn Speech),
    /// How many tokens a request has.
    Count,
    /// Vectors for texts.
    Embed,
    /// A response that was stored.
    Stored(&'a str),
    /// The list of models.
    Models,
    /// One of them.
    Model(&'a str),
    /// Nothing that this provider has.
    Unknown,
}

/// A request's way.
pub(crate) struct Route<'a> {
    pub(crate) family: Family,
    pub(crate) operation: Operation<'a>,
}

/// Finds the way of a request; `rest` is its path after the provider's prefix.
pub(crate) fn find<'a>(dialect: Dialect, request: &Request, rest: &'a str) -> Route<'a> {
    let (version, tail) = tail(rest);
    let tail = deployed(request, tail);
    let family = family(dialect, request, version, tail);
    let operation =
        if request.method == "POST" { post(dialect, request, tail) } else { get(dialect, tail) };
    Route { family, operation }
}

fn post<'a>(dialect: Dialect, request: &Request, tail: &'a str) -> Operation<'a> {
    let speaks = |wanted| dialect == wanted || dialect == Dialect::Any;
    let openai = speaks(Dialect::OpenAiChat) || speaks(Dialect::OpenAiResponses);
    if dialect == Dialect::BedrockConverse {
        return match tail.rsplit_once('/') {
            Some((_, "converse")) => Operation::Answer(&bedrock::WHOLE),
            Some((_, "converse-stream")) => Operation::Answer(&bedrock::STREAM),
            _ => Operation::Unknown,
        };
    }
    if dialect == Dialect::Vertex {
        return published(request, tail);
    }
    match tail {
        "/chat/completions" if speaks(Dialect::OpenAiChat) => Operation::Answer(&openai_chat::Chat),
        "/embeddings" if openai => Operation::Embed,
        "/responses" if speaks(Dialect::OpenAiResponses) => {
            Operation::Answer(&openai_responses::Responses)
        }
        "/responses/input_tokens" if speaks(Dialect::OpenAiResponses) => Operation::Count,
        "/messages" if speaks(Dialect::AnthropicMessages) => {
            Operation::Answer(&anthropic::Messages)
        }
        "/messages/count_tokens" if speaks(Dialect::AnthropicMessages) => Operation::Count,
        _ if speaks(Dialect::Gemini) => generated(request, tail),
        _ => Operation::Unknown,
    }
}

fn generated<'a>(request: &Request, tail: &'a str) -> Operation<'a> {
    match tail.split_once(':') {
        Some((_, "generateContent")) => Operation::Answer(&gemini::WHOLE),
        Some((_, "streamGenerateContent")) if request.query("alt") == Some("sse") => {
            Operation::Answer(&gemini::EVENTS)
        }
        Some((_, "streamGenerateContent")) => Operation::Answer(&gemini::ARRAY),
        Some((_, "countTokens")) => Operation::Count,
        Some((_, "batchEmbedContents" | "predict")) => Operation::Embed,
        _ => Operation::Unknown,
    }
}

/// What the two publishers of Vertex have.
fn published<'a>(request: &Request, tail: &'a str) -> Operation<'a> {
    if let Some(rest) = tail.strip_prefix("/publishers/google") {
        return generated(request, rest);
    }
    let Some(rest) = tail.strip_prefix("/publishers/anthropic") else { return Operation::Unknown };
    match rest.split_once(':') {
        Some((_, "rawPredict")) => Operation::Answer(&anthropic::WHOLE),
        Some((_, "streamRawPredict")) => Operation::Answer(&anthropic::STREAM),
        _ => Operation::Unknown,
    }
}

fn get(dialect: Dialect, tail: &str) -> Operation<'_> {
    let stores = matches!(dialect, Dialect::OpenAiResponses | Dialect::Any);
    if let Some(id) = tail.strip_prefix("/responses/").filter(|_| stores) {
        return Operation::Stored(id);
    }
    match tail.strip_prefix("/models") {
        Some("" | "/") => Operation::Models,
        Some(id) => id.strip_prefix('/').map_or(Operation::Unknown, Operation::Model),
        None => Operation::Unknown,
    }
}

/// The path without the name of one of Azure's deployments, which only goes with a version.
fn deployed<'a>(request: &Request, tail: &'a str) -> &'a str {
    let rest =
        tail.strip_prefix("/deployments/").and_then(|rest| rest.find('/').map(|at| (rest, at)));
    match rest {
        Some((rest, at)) if request.query("api-version").is_some() => {
            rest.get(at..).unwrap_or_default()
        }
        _ => tail,
    }
}

/// The version that a path has, and the path without it.
fn tail(rest: &str) -> (&str, &str) {
    let versioned = |version: &'static str| {
        let tail = rest.strip_prefix(version)?;
        tail.starts_with('/').then_some((version, tail))
    };
    ["/v1beta", "/v1alpha", "/v1"].into_iter().find_map(versioned).unwrap_or(("", rest))
}

/// Whose words the answer is in; where the provider speaks all, the path or the headers say.
fn family(dialect: Dialect, request: &Request, version: &str, tail: &str) -> Family {
    match dialect {
        Dialect::AnthropicMessages => Family::Anthropic,
        Dialect::OpenAiChat | Dialect::OpenAiResponses => Family::OpenAi,
        Dialect::Gemini => Family::Gemini,
        Dialect::BedrockConverse => Family::Bedrock,
        Dialect::Vertex if tail.starts_with("/publishers/anthropic") => Family::Anthropic,
        Dialect::Vertex => Family::Gemini,
        Dialect::Any => {
            let header = |name| request.header(name).is_some();
            if tail.starts_with("/messages") || header("anthropic-version") {
                Family::Anthropic
            } else if version.len() > "/v1".len()
                || tail.contains(':')
                || header("x-goog-api-key")
                || request.query("key").is_some()
            {
                Family::Gemini
            } else {
                Family::OpenAi
            }
        }
    }
}
