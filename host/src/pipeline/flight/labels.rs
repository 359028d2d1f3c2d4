//! Whose a request is more exactly than by key: the session and the agents that the caller, or its
//! program, names in headers. Kept with its record.

use std::sync::Arc;

use http::HeaderMap;

use super::{LABEL_BYTES_MAX, SESSION_HEADERS};

/// Headers that name the agent of a session: our own, and Claude Code's.
const AGENT_HEADERS: [&str; 2] = ["x-turnpike-agent", "x-claude-code-agent-id"];
/// The same for the agent that started it.
const PARENT_HEADERS: [&str; 2] = ["x-turnpike-parent-agent", "x-claude-code-parent-agent-id"];

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
        Self {
            session: first(headers, &SESSION_HEADERS),
            agent: first(headers, &AGENT_HEADERS),
            parent_agent: first(headers, &PARENT_HEADERS),
        }
    }
}

/// The first of these that is there; one that is too long is none.
fn first(headers: &HeaderMap, names: &[&str]) -> Option<Arc<str>> {
    let text = names.iter().find_map(|name| headers.get(*name)?.to_str().ok())?.trim();
    (!text.is_empty() && text.len() <= LABEL_BYTES_MAX).then(|| text.into())
}
