//! What it costs an answer when a member of a request is left out because its provider refuses it:
//! one rule for requests that are written anew and for those whose bytes pass.

use crate::neutral::loss::Severity;

/// Why it is left out, for the caller.
pub(super) const REFUSED: &str = "the provider refuses this member";

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
    "tool_choice",
    "tools",
    "user",
];

/// Whether a member goes because of a list of refused ones: it is in it, or needs one that is.
pub(super) fn goes(name: &str, refused: &[String]) -> bool {
    let listed = |name: &str| refused.iter().any(|refused| refused == name);
    listed(name)
        || match name {
            "tool_choice" | "parallel_tool_calls" => listed("tools"),
            "top_logprobs" => listed("logprobs"),
            _ => false,
        }
}

/// How much a member with this JSON value is missed; `None` when the answer is the same without.
pub(super) fn severity(name: &str, value: &str) -> Option<Severity> {
    let value = value.trim();
    if value == "null" {
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
