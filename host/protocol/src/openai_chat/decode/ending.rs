//! How an answer ends: the words for it, and errors in the words of the dialect's inventor. Never
//! decides whether to try again.

use bytes::Bytes;

use crate::chunk::StreamError;
use crate::neutral::Finish;

use super::super::error;

/// What is known of a choice when it ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    pub(super) called: bool,
    pub(super) refused: bool,
}

/// The reason in a `finish_reason`, set right where the answer itself says otherwise.
pub(super) fn finish(word: &str, said: Said) -> Finish {
    let reason = match word {
        "stop" | "eos" | "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::StopSequence,
        "length" | "max_tokens" | "model_length" => Finish::Length,
        "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
        "content_filter" | "safety" | "sensitive" => Finish::ContentFilter,
        "refusal" => Finish::Refusal,
        _ => Finish::Other,
    };
    match reason {
        Finish::Stop | Finish::Other if said.called => Finish::ToolCalls,
        Finish::Stop | Finish::ContentFilter if said.refused => Finish::Refusal,
        other => other,
    }
}

/// The error in a payload: its `error` member, or the payload itself in an event named so.
pub(super) fn error(data: &Bytes, whole: bool) -> Option<StreamError> {
    if let Some(found) = error::parse(data) {
        return Some(normal(found));
    }
    if !whole {
        return None;
    }
    let wrapped = [b"{\"error\":", data.as_ref(), b"}"].concat();
    error::parse(&Bytes::from(wrapped)).map(normal)
}

/// Gives an error that has only a number, or some server's own word, the usual one.
fn normal(mut error: StreamError) -> StreamError {
    let known = error.kind.as_deref().is_some_and(|kind| kind.ends_with("_error"));
    if known {
        return error;
    }
    let code = error.code.as_deref().or(error.kind.as_deref()).unwrap_or_default();
    let word = match code {
        "429" | "rate_limit_exceeded" | "too_many_requests" => "rate_limit_error",
        "503" | "529" | "overloaded" | "engine_overloaded" => "overloaded_error",
        "400" | "404" | "413" | "422" | "context_length_exceeded" => "invalid_request_error",
        "401" => "authentication_error",
        "403" => "permission_error",
        "insufficient_quota" | "402" => "insufficient_quota",
        _ => "server_error",
    };
    // Its own word still says whose fault it was.
    let own = error.kind.replace(word.to_owned());
    error.code = error.code.or(own);
    error
}
