//! What it costs an answer when a member of a request is left out because its provider refuses it:
//! one rule for requests that are written anew and for those whose bytes pass.

use crate::neutral::Losses;
use crate::neutral::loss::Severity;
use crate::quirks::{Quirks, ThinkingWish};

use super::place::Place;

/// Why it is left out, for the caller.
pub(crate) const REFUSED: &str = "the provider refuses this member";

/// Members that some provider refuses.
pub(super) const REFUSABLE: &[&str] = &[
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "metadata",
    "n",
    "parallel_tool_calls",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "store",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
    "user",
];

/// A member that may have to be left out.
#[derive(Debug, Clone)]
pub(crate) struct Refusable {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    /// How much it is missed then.
    pub(crate) severity: Option<Severity>,
}

/// Those of a request's that a provider refuses, by what the request says of thinking.
pub(crate) fn going<'a>(
    members: &'a [Refusable],
    quirks: &'a Quirks,
    wish: ThinkingWish,
) -> impl Iterator<Item = &'a Refusable> {
    members.iter().filter(move |member| goes(member.name, quirks, wish))
}

/// Notes what is missed of them.
pub(crate) fn note<'a>(going: impl Iterator<Item = &'a Refusable>, losses: &mut Losses) {
    for refused in going {
        if let Some(severity) = refused.severity {
            losses.note(severity, refused.name, REFUSED);
        }
    }
}

/// Whether a member goes because others are refused: it is one of them, or needs one.
pub(crate) fn goes(name: &str, quirks: &Quirks, wish: ThinkingWish) -> bool {
    let refused = |name: &str| quirks.refuses(name, wish);
    refused(name)
        || match name {
            "tool_choice" | "parallel_tool_calls" => refused("tools"),
            "top_logprobs" => refused("logprobs"),
            _ => false,
        }
}

/// How much a member with this JSON value is missed; `None` when the answer is the same without.
pub(crate) fn severity(name: &str, value: &str) -> Option<Severity> {
    let value = value.trim();
    if value == "null" || is_usual(name, value) {
        return None;
    }
    match (name, value) {
        ("n", "1") | ("logprobs", "false") | ("tools", "[]") => None,
        ("tool_choice", "\"auto\"") | ("parallel_tool_calls", "true") | ("store", "false") => None,
        ("n" | "tools" | "response_format" | "modalities" | "audio" | "tool_choice", _)
        | ("logprobs", _) => Some(Severity::Unsupported),
        // Without effect on the answer.
        ("user" | "prompt_cache_key" | "stream_options" | "service_tier" | "prediction", _) => None,
        _ => Some(Severity::Dropped),
    }
}

/// Whether a member is taken by whoever refuses it with another value, and so stays as it came.
pub(crate) fn stays(name: &str, value: &str) -> bool {
    matches!(name, "temperature" | "top_p") && is_usual(name, value.trim())
}

/// Whether a number of sampling is the one that holds without it.
fn is_usual(name: &str, value: &str) -> bool {
    let usual = match name {
        "temperature" | "top_p" => 1.0,
        "frequency_penalty" | "presence_penalty" => 0.0,
        "logit_bias" => return value.trim_matches(['{', '}', ' ']).is_empty(),
        "stop" => return value.trim_matches(['[', ']', ' ']).is_empty(),
        _ => return false,
    };
    value.parse::<f64>().is_ok_and(|value| value == usual)
}
