//! From this dialect's wire to the neutral model: requests of callers, answers and streams of
//! providers. Never writes anything.

mod content;
mod reply;
mod request;
mod stream;

pub(crate) use reply::reply;
pub(crate) use request::request;
pub(crate) use stream::Stream;

use serde_json::{Map, Value};

use crate::neutral::Finish;

/// A member that is a string.
fn string(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// Why an answer ended, from its `stop_reason`.
fn finish(reason: &str) -> Finish {
    match reason {
        "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::StopSequence,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Refusal,
        "pause_turn" => Finish::Pause,
        _ => Finish::Other,
    }
}

/// An answer that calls tools ended for them, whatever it says.
fn normal(finish: Finish, calls_tools: bool) -> Finish {
    match finish {
        Finish::Stop | Finish::Other if calls_tools => Finish::ToolCalls,
        other => other,
    }
}
