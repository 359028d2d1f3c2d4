//! What a caller is told in the middle of a stream besides the answer: that somebody is still
//! there, or why the answer ends here, in the words of its dialect. Never ends a stream itself.

use bytes::Bytes;
use turnpike_protocol::error_body::{self, ErrorFacts};
use turnpike_protocol::{Dialect, Origin};

use crate::redact;
use crate::upstream::ErrorKind;

use super::super::attempt::{Blame, blame_of};
use super::Broken;

/// What keeps a quiet stream alive: an event where the dialect has one, else a comment, which
/// parsers of event streams pass over.
pub(super) fn ping(dialect: Dialect) -> Bytes {
    match dialect {
        Dialect::AnthropicMessages => {
            Bytes::from_static(b"event: ping\ndata: {\"type\": \"ping\"}\n\n")
        }
        Dialect::OpenAiChat | Dialect::OpenAiResponses => Bytes::from_static(b": ping\n\n"),
        // Google's own client reads every line as data.
        _ => Bytes::new(),
    }
}

pub(super) fn withheld(refusal: redact::Refusal) -> Broken {
    match refusal {
        redact::Refusal::Blocked { reason } => Broken::Withheld { blocked: Some(reason) },
        redact::Refusal::Failed(_) => Broken::Withheld { blocked: None },
        redact::Refusal::Unreadable => Broken::Malformed("an event of it cannot be read"),
    }
}

/// What the caller is sent, the outcome's name, and whether the provider is to blame. `begun` is
/// the answer that the stream has begun with, and the number that its next event has.
pub(super) fn event(
    broken: Broken,
    dialect: Dialect,
    begun: Option<(&Origin, u64)>,
) -> (Bytes, &'static str, bool) {
    let said = |message: &str, kind: &str, code: &str, status: u16| {
        let (param, code, request_id) = (None, Some(code), None);
        let facts = ErrorFacts { message, kind, param, code, status, request_id };
        error_body::stream_event_of(dialect, &facts, begun)
    };
    match broken {
        Broken::Reported { raw, error } => {
            let limited = blame_of(&error) == Blame::Limit;
            (raw, if limited { "rate_limited" } else { "error" }, true)
        }
        Broken::Transport(error) => {
            let timeout = matches!(error.kind, ErrorKind::Timeout(_));
            let message = "the provider stopped in the middle of its answer; you were not charged \
                           unless the operator bills partial answers; send the request again";
            let outcome = if timeout { "timeout" } else { "died" };
            (said(message, "api_error", "upstream_died", 502), outcome, true)
        }
        Broken::CutOff => {
            let message = "the provider ended its answer without finishing it; send the request \
                           again";
            (said(message, "api_error", "upstream_died", 502), "died", true)
        }
        Broken::LeftWaiting => {
            let message = "the provider ended its answer early, after you had left it unread for \
                           long; what was delivered is charged; read without long pauses and send \
                           the request again";
            (said(message, "api_error", "upstream_died", 502), "cancelled", false)
        }
        Broken::TooLong(what) => {
            let message = format!("the answer can't be relayed: {what}; ask for a shorter one");
            (said(&message, "api_error", "upstream_malformed", 502), "malformed", false)
        }
        Broken::Malformed(what) => {
            let message = format!("the provider's stream broke: {what}; send the request again");
            (said(&message, "api_error", "upstream_malformed", 502), "malformed", true)
        }
        Broken::Withheld { blocked: Some(reason) } => {
            let shown: String = reason.chars().take(300).collect();
            let message = format!("the redaction policy stopped the answer: {shown}");
            (said(&message, "permission_error", "policy_blocked", 403), "withheld", false)
        }
        Broken::Withheld { blocked: None } => {
            let message = "the redaction policy failed, so the answer was stopped; try again";
            (said(message, "api_error", "redaction_unavailable", 503), "withheld", false)
        }
    }
}
