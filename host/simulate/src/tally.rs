//! Counts a prompt part by part, and hashes its beginnings, for usage and for prompt caches.

use serde_json::Value;

use crate::answer::{Ask, Mark};
use crate::encode::digest;
use crate::memory::Prefix;
use crate::tokens;

/// Beginnings kept of one prompt: more parts are counted, not cached.
const PREFIXES_MAX: usize = 4096;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Beginnings are wanted: hashing a long prompt takes time.
    hashes: bool,
    hash: [u8; 32],
    pub(crate) tokens: u64,
    prefixes: Vec<Prefix>,
    marks: Vec<Mark>,
}

impl Tally {
    /// Counts only, or hashes the beginnings too.
    pub(crate) fn new(hashes: bool) -> Self {
        Self { hashes, ..Self::default() }
    }

    /// A part of the prompt, in order; `cache_control` on it marks a beginning to be cached.
    pub(crate) fn part(&mut self, part: &Value, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
        if !self.hashes || self.prefixes.len() >= PREFIXES_MAX {
            return;
        }
        let mark = part.get("cache_control").filter(|mark| !mark.is_null());
        let plain = match (mark, part) {
            (Some(_), Value::Object(members)) => {
                let mut members = members.clone();
                members.shift_remove("cache_control");
                Value::Object(members).to_string()
            }
            _ => part.to_string(),
        };
        self.hash = digest(&[&self.hash, plain.as_bytes()]);
        if let Some(mark) = mark {
            let hour = mark.get("ttl").and_then(Value::as_str) == Some("1h");
            self.marks.push(Mark { at: self.prefixes.len(), hour });
        }
        self.prefixes.push(Prefix { hash: self.hash, tokens: self.tokens });
    }

    /// A text part.
    pub(crate) fn text(&mut self, text: &str) {
        self.part(&Value::String(text.to_owned()), tokens::count(text));
    }

    /// Marks all that there is to be cached.
    pub(crate) fn mark_all(&mut self, hour: bool) {
        if let Some(at) = self.prefixes.len().checked_sub(1) {
            self.marks.push(Mark { at, hour });
        }
    }

    /// Puts the figures where answers look for them.
    pub(crate) fn into_ask(self, ask: &mut Ask) {
        ask.prompt_tokens = self.tokens;
        (ask.prefixes, ask.marks) = (self.prefixes, self.marks);
    }
}
