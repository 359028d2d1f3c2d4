//! The response object, with every field of the real one, in its various states.

use serde_json::{Value, json};

use super::items::items;
use crate::answer::{Finish, Used};
use crate::speech::{Answered, Stamp};

/// `resp_…`.
pub(super) fn id(stamp: &Stamp<'_>) -> String {
    stamp.id("resp_", 0, 48)
}

/// A finished response; `usage` may be left out by a script.
pub(super) fn whole(answered: &Answered<'_>) -> Value {
    let cut = is_cut(answered);
    let mut out = shell(answered, if cut { "incomplete" } else { "completed" });
    set(&mut out, "output", json!(items(answered)));
    set(&mut out, "completed_at", if cut { Value::Null } else { json!(answered.stamp.created) });
    if cut {
        let reason = answered.stamp.script.stop_reason.as_deref().unwrap_or("max_output_tokens");
        set(&mut out, "incomplete_details", json!({ "reason": reason }));
    }
    if answered.style.with_usage {
        set(&mut out, "usage", usage(&answered.reply.usage));
    }
    out
}

/// Whether the answer ended before its end.
pub(super) fn is_cut(answered: &Answered<'_>) -> bool {
    let length = answered.reply.choices.first().map(|said| said.finish) == Some(Finish::Length);
    length || answered.stamp.script.stop_reason.is_some()
}

/// A response without output, in the given state.
pub(super) fn shell(answered: &Answered<'_>, status: &str) -> Value {
    let Answered { stamp, ask, .. } = *answered;
    let request = &ask.request;
    let asked = |name: &str, usual: Value| match request.get(name) {
        None | Some(Value::Null) => usual,
        Some(value) => value.clone(),
    };
    let inside = |pointer: &str| request.pointer(pointer).cloned();
    json!({
        "id": id(stamp),
        "object": "response",
        "created_at": stamp.created,
        "status": status,
        "background": asked("background", json!(false)),
        "completed_at": null,
        "error": null,
        "incomplete_details": null,
        "instructions": asked("instructions", Value::Null),
        "max_output_tokens": asked("max_output_tokens", Value::Null),
        "max_tool_calls": asked("max_tool_calls", Value::Null),
        "model": stamp.model,
        "output": [],
        "parallel_tool_calls": asked("parallel_tool_calls", json!(true)),
        "previous_response_id": asked("previous_response_id", Value::Null),
        "prompt_cache_key": asked("prompt_cache_key", Value::Null),
        "prompt_cache_retention": asked("prompt_cache_retention", Value::Null),
        "reasoning": {
            "effort": inside("/reasoning/effort"),
            "summary": inside("/reasoning/summary"),
        },
        "safety_identifier": asked("safety_identifier", Value::Null),
        "service_tier": stamp.script.service_tier,
        "store": asked("store", json!(true)),
        "temperature": asked("temperature", json!(1.0)),
        "text": {
            "format": inside("/text/format").unwrap_or_else(|| json!({ "type": "text" })),
            "verbosity": inside("/text/verbosity").unwrap_or_else(|| json!("medium")),
        },
        "tool_choice": asked("tool_choice", json!("auto")),
        "tools": asked("tools", json!([])),
        "top_logprobs": asked("top_logprobs", json!(0)),
        "top_p": asked("top_p", json!(1.0)),
        "truncation": asked("truncation", json!("disabled")),
        "usage": null,
        "user": asked("user", Value::Null),
        "metadata": asked("metadata", json!({})),
    })
}

/// Puts a member in its place.
pub(super) fn set(body: &mut Value, name: &str, value: Value) {
    if let Some(members) = body.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

fn usage(used: &Used) -> Value {
    json!({
        "input_tokens": used.prompt,
        "input_tokens_details": { "cached_tokens": used.cached },
        "output_tokens": used.completion,
        "output_tokens_details": { "reasoning_tokens": used.reasoning },
        "total_tokens": used.prompt.saturating_add(used.completion),
    })
}
