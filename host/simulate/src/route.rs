//! Which operation a path asks for, in the dialects that a provider speaks. Knows paths only.

use crate::http::Request;
use crate::script::Dialect;
use crate::speech::Speech;
use crate::{anthropic, openai_chat, openai_responses};

/// Whose words errors, lists and headers are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    OpenAi,
    Anthropic,
}

/// What is asked for.
pub(crate) enum Operation<'a> {
    /// An answer of a model.
    Answer(&'static dyn Speech),
    /// How many tokens a request has.
    Count,
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
    let tail = tail(rest);
    let post = request.method == "POST";
    let route = |family, operation| Route { family, operation };
    match (post, tail) {
        (true, "/chat/completions") if speaks(dialect, Dialect::OpenAiChat) => {
            route(Family::OpenAi, Operation::Answer(&openai_chat::Chat))
        }
        (true, "/responses") if speaks(dialect, Dialect::OpenAiResponses) => {
            route(Family::OpenAi, Operation::Answer(&openai_responses::Responses))
        }
        (true, "/responses/input_tokens") if speaks(dialect, Dialect::OpenAiResponses) => {
            route(Family::OpenAi, Operation::Count)
        }
        (true, "/messages") if speaks(dialect, Dialect::AnthropicMessages) => {
            route(Family::Anthropic, Operation::Answer(&anthropic::Messages))
        }
        (true, "/messages/count_tokens") if speaks(dialect, Dialect::AnthropicMessages) => {
            route(Family::Anthropic, Operation::Count)
        }
        (false, _) if speaks(dialect, Dialect::OpenAiResponses) && stored(tail).is_some() => {
            route(Family::OpenAi, stored(tail).map_or(Operation::Unknown, Operation::Stored))
        }
        _ => {
            let family = family(dialect, request, tail);
            let operation = match tail.strip_prefix("/models") {
                Some("" | "/") if !post => Operation::Models,
                Some(id) if !post => {
                    id.strip_prefix('/').map_or(Operation::Unknown, Operation::Model)
                }
                _ => Operation::Unknown,
            };
            route(family, operation)
        }
    }
}

/// The id of a stored response.
fn stored(tail: &str) -> Option<&str> {
    tail.strip_prefix("/responses/").filter(|id| !id.contains('/'))
}

/// The path without its version.
fn tail(rest: &str) -> &str {
    let unversioned = rest.strip_prefix("/v1");
    unversioned.filter(|tail| tail.starts_with('/')).unwrap_or(rest)
}

fn speaks(provider: Dialect, wanted: Dialect) -> bool {
    provider == wanted || provider == Dialect::Any
}

/// Whose words the answer is in, where the path does not say.
fn family(dialect: Dialect, request: &Request, tail: &str) -> Family {
    match dialect {
        Dialect::AnthropicMessages => Family::Anthropic,
        Dialect::OpenAiChat | Dialect::OpenAiResponses => Family::OpenAi,
        Dialect::Any | Dialect::Gemini => {
            let anthropic = request.header("anthropic-version").is_some();
            if anthropic || tail.starts_with("/messages") {
                Family::Anthropic
            } else {
                Family::OpenAi
            }
        }
    }
}
