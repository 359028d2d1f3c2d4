//! Whose a request is more exactly than by key: the session and the agents that the caller, or its
//! program, names in headers. Kept with its record.

use std::sync::Arc;

use http::HeaderMap;

use super::LABEL_BYTES_MAX;

/// Headers that name the session, the first that is there counts: our own, Claude Code's, Codex's
/// and what it was in older ones.
const SESSION_HEADERS: [&str; 4] =
    ["x-turnpike-session", "x-claude-code-session-id", "session-id", "session_id"];
/// Headers that name the agent of a session: our own, and Claude Code's.
const AGENT_HEADERS: [&str; 2] = ["x-turnpike-agent", "x-claude-code-agent-id"];
/// The same of Codex, whose main agent has the session's own name there.
const THREAD_HEADER: &str = "thread-id";
/// The same for the agent that started it.
const PARENT_HEADERS: [&str; 3] =
    ["x-turnpike-parent-agent", "x-claude-code-parent-agent-id", "x-codex-parent-thread-id"];

/// See the head of this file.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Labels {
    pub(in super::super) session: Option<Arc<str>>,
    pub(in super::super) agent: Option<Arc<str>>,
    pub(in super::super) parent_agent: Option<Arc<str>>,
}

// === impl Labels ===

impl Labels {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let session = first(headers, &SESSION_HEADERS);
        let thread = first(headers, &[THREAD_HEADER]).filter(|it| Some(it) != session.as_ref());
        let agent = first(headers, &AGENT_HEADERS).or(thread);
        Self { session, agent, parent_agent: first(headers, &PARENT_HEADERS) }
    }
}

/// The first of these that is there; one that is too long is none.
fn first(headers: &HeaderMap, names: &[&str]) -> Option<Arc<str>> {
    let text = names.iter().find_map(|name| headers.get(*name)?.to_str().ok())?.trim();
    (!text.is_empty() && text.len() <= LABEL_BYTES_MAX).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_of_codex_is_its_thread_and_the_main_one_is_none() {
        let labels = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            });
            let Labels { session, agent, parent_agent } = Labels::of(&headers.collect());
            [session, agent, parent_agent].map(|label| label.as_deref().map(str::to_owned))
        };
        let some = |label: &str| Some(label.to_owned());
        let main = [("session-id", "s-1"), ("thread-id", "s-1")];
        assert_eq!(labels(&main), [some("s-1"), None, None]);
        let child =
            [("session-id", "s-1"), ("thread-id", "t-2"), ("x-codex-parent-thread-id", "s-1")];
        assert_eq!(labels(&child), [some("s-1"), some("t-2"), some("s-1")]);
        let claudes = [("x-claude-code-session-id", "s-1"), ("x-claude-code-agent-id", "s-1")];
        assert_eq!(labels(&claudes), [some("s-1"), some("s-1"), None]);
    }
}
