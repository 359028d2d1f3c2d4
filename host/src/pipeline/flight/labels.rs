//! Whose a request is more exactly than by key: the session, the agents and the tags that the
//! caller, or its program, names in headers; and tags from the body where the operator wants them.
//! Kept with its record.

use std::sync::Arc;

use http::HeaderMap;
use turnpike_protocol::Call;

use super::{LABEL_BYTES_MAX, SESSION_HEADERS};

/// Tags that are kept of one request.
const TAGS_MAX: usize = 16;

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

/// `x-turnpike-tags: team=a,job=b`, bounded; what is malformed is left out. With a body, what that
/// says too, where the header says nothing under that name.
pub(super) fn tags(headers: &HeaderMap, body: Option<&Call>) -> Vec<(String, String)> {
    let text = headers.get("x-turnpike-tags").and_then(|value| value.to_str().ok());
    let pairs = text.unwrap_or_default().split(',').filter_map(|pair| pair.trim().split_once('='));
    let fits = |name: &str, value: &str| {
        !name.is_empty() && name.len().saturating_add(value.len()) <= LABEL_BYTES_MAX
    };
    let mut tags: Vec<(String, String)> = pairs
        .filter(|(name, value)| fits(name, value))
        .take(TAGS_MAX)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in body.map(Call::attribution).unwrap_or_default() {
        let known = tags.iter().any(|(known, _)| *known == name);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let sound = name.chars().all(plain) && !value.is_empty() && !has_controls(&value);
        if !known && sound && fits(&name, &value) && tags.len() < TAGS_MAX {
            tags.push((name, value));
        }
    }
    tags
}

fn has_controls(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use turnpike_protocol::Dialect;

    #[test]
    fn the_header_goes_before_the_body_and_both_have_bounds() {
        let mut headers = HeaderMap::new();
        headers.insert("x-turnpike-tags", "job=nightly,nothing".parse().unwrap());
        let long = "x".repeat(LABEL_BYTES_MAX);
        let body = serde_json::json!({
            "model": "auto",
            "messages": [{"role": "user", "content": "x"}],
            "user": "bob",
            "metadata": {"job": "other", "run": "7", "long": long, "a b": "1", "line": "1\n2"},
        });
        let call = Call::parse(Dialect::OpenAiChat, body.to_string().into()).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(tags(&headers, None), [pair("job", "nightly")]);
        let both = [pair("job", "nightly"), pair("end_user", "bob"), pair("run", "7")];
        assert_eq!(tags(&headers, Some(&call)), both);
    }
}
