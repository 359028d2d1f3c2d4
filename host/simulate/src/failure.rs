//! How a provider can fail, and when. A rule set decides per request, by counting and by a seed,
//! so that a run can be repeated. Never acts: `delivery.rs` and `server.rs` do what is decided.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::dice;

/// One way to fail. In TOML: `{ kind = "status", status = 503 }` or
/// `{ kind = "die-after", chunks = 3 }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Failure {
    /// An error response in the provider's own shape.
    Status {
        /// 400, 401, 403, 404, 408, 429, 500, 502, 503, 529 …
        status: u16,
        /// Seconds for the `retry-after` header.
        #[serde(default)]
        retry_after_s: Option<u64>,
        /// Repeat the caller's text in the message, as some providers do.
        #[serde(default)]
        echo: bool,
    },
    /// Reads the request and never answers.
    HangBeforeHeaders,
    /// Reads the request and closes the connection.
    CloseBeforeHeaders,
    /// Sends status 200 and its headers, then nothing.
    HeadersThenHang,
    /// Stream: the role chunk, then the connection closes. Otherwise: headers only.
    DieBeforeContent,
    /// Stream: closes inside the frame that follows `chunks` content chunks. Otherwise: closes
    /// after half of the body.
    DieAfter {
        /// Content chunks that arrive whole.
        chunks: u32,
    },
    /// Stream: after `chunks` content chunks, nothing more comes, and the connection stays open.
    HangAfter {
        /// Content chunks that arrive whole.
        chunks: u32,
    },
    /// Stream: a frame whose data is cut JSON, after `chunks` content chunks; then it goes on.
    /// Otherwise: a body of cut JSON with a right length.
    Malformed {
        /// Content chunks before it.
        #[serde(default)]
        chunks: u32,
    },
    /// Stream: an error event after `chunks` content chunks, then the end. Otherwise: status 200
    /// with an error as its body.
    ErrorEvent {
        /// Content chunks before it.
        #[serde(default)]
        chunks: u32,
    },
    /// Stream: an error event of a chosen type after `chunks` content chunks, then the end.
    /// Otherwise: status 200 with that error as its body.
    StreamError {
        /// Content chunks before it.
        #[serde(default)]
        chunks: u32,
        /// The provider's word: `overloaded_error`, `rate_limit_exceeded`, `UNAVAILABLE` …
        error: String,
        /// Its text; absent: a plain one.
        #[serde(default)]
        message: Option<String>,
    },
    /// An answer of any other program: a proxy's page, an odd status, a body cut short.
    Raw {
        /// Any.
        status: u16,
        /// Besides the length.
        #[serde(default)]
        headers: std::collections::BTreeMap<String, String>,
        /// As it is.
        #[serde(default)]
        body: String,
    },
    /// Stream: an event of a name and type that nobody knows, after `chunks` content chunks; then
    /// it goes on.
    UnknownEvent {
        /// Content chunks before it.
        #[serde(default)]
        chunks: u32,
    },
    /// Stream: the event after `chunks` content chunks has another name than its data says.
    WrongEventName {
        /// Content chunks before it.
        #[serde(default)]
        chunks: u32,
    },
    /// Stream: closes inside a character of several bytes, after `chunks` content chunks.
    /// Otherwise: inside such a character, or after half of the body.
    CutCharacter {
        /// Content chunks before it.
        #[serde(default)]
        chunks: u32,
    },
    /// Everything but the usage.
    MissingUsage,
    /// A usage whose every count is zero, as of servers that do not count.
    ZeroUsage,
    /// A stream without its last event: `[DONE]`, `message_stop`, `response.completed`, or
    /// Gemini's chunk with the `finishReason`.
    MissingDone,
    /// A stream without deltas: the content comes whole, where the protocol repeats it at the end
    /// or allows it at once.
    WholeItems,
    /// A stream whose parallel tool calls come in turns, where the protocol can say so.
    InterleavedTools,
    /// A whole answer in an unusual, but legal framing.
    Framing {
        /// `\r\n` ends the lines.
        #[serde(default)]
        crlf: bool,
        /// Data over several `data:` lines.
        #[serde(default)]
        multi_line: bool,
        /// No blank after the colon.
        #[serde(default)]
        tight: bool,
        /// A comment before each event.
        #[serde(default)]
        comments: bool,
        /// The last event has no blank line after it.
        #[serde(default)]
        no_last_blank: bool,
    },
    /// A whole answer, `bytes` at a time with a pause in between: tests every reader's framing.
    SlowDrip {
        /// Bytes in one write.
        bytes: usize,
        /// Pause after each write, in milliseconds.
        pause_ms: u64,
    },
}

impl Failure {
    /// A plain error status.
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after_s: None, echo: false }
    }

    /// The name used in scripts and in the request log.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::HangBeforeHeaders => "hang-before-headers",
            Self::CloseBeforeHeaders => "close-before-headers",
            Self::HeadersThenHang => "headers-then-hang",
            Self::DieBeforeContent => "die-before-content",
            Self::DieAfter { .. } => "die-after",
            Self::HangAfter { .. } => "hang-after",
            Self::Malformed { .. } => "malformed",
            Self::ErrorEvent { .. } => "error-event",
            Self::StreamError { .. } => "stream-error",
            Self::Raw { .. } => "raw",
            Self::UnknownEvent { .. } => "unknown-event",
            Self::WrongEventName { .. } => "wrong-event-name",
            Self::CutCharacter { .. } => "cut-character",
            Self::WholeItems => "whole-items",
            Self::InterleavedTools => "interleaved-tools",
            Self::Framing { .. } => "framing",
            Self::MissingUsage => "missing-usage",
            Self::ZeroUsage => "zero-usage",
            Self::MissingDone => "missing-done",
            Self::SlowDrip { .. } => "slow-drip",
        }
    }

    /// Whether the caller still gets a whole answer.
    pub fn still_answers(&self) -> bool {
        matches!(
            self,
            Self::MissingUsage
                | Self::ZeroUsage
                | Self::MissingDone
                | Self::SlowDrip { .. }
                | Self::WholeItems
                | Self::InterleavedTools
                | Self::UnknownEvent { .. }
                | Self::WrongEventName { .. }
                | Self::Framing { .. }
        )
    }
}

/// A failure and the requests that it hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What happens.
    pub fail: Failure,
    /// To which requests; to all when absent.
    #[serde(default)]
    pub when: When,
}

impl Rule {
    /// Every request fails in this way.
    pub fn always(fail: Failure) -> Self {
        Self { fail, when: When::default() }
    }

    /// The first `times` requests fail in this way.
    pub fn first(times: u64, fail: Failure) -> Self {
        Self { fail, when: When { times: Some(times), ..When::default() } }
    }
}

/// All conditions given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Every n-th request that the other conditions let through: 3 hits the 3rd, 6th, 9th.
    pub every: Option<u64>,
    /// Share of the requests in percent, drawn with the script's seed.
    pub percent: Option<u8>,
    /// Stops after so many failures.
    pub times: Option<u64>,
    /// Only prompts that contain this text.
    pub contains: Option<String>,
    /// Only streams (true) or only whole answers (false).
    pub streaming: Option<bool>,
}

/// Facts of a request that conditions look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) prompt: &'a str,
    pub(crate) streaming: bool,
}

/// Rules with their counters. Replaced as a whole when the behaviour is switched.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    seed: u64,
    rules: Vec<Counted>,
}

#[derive(Debug)]
struct Counted {
    rule: Rule,
    asked: AtomicU64,
    failed: AtomicU64,
}

impl Rules {
    pub(crate) fn new(rules: &[Rule], seed: u64) -> Self {
        let counted = |rule: &Rule| Counted {
            rule: rule.clone(),
            asked: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        Self { seed, rules: rules.iter().map(counted).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The first rule that hits this request.
    pub(crate) fn pick(&self, facts: Facts<'_>) -> Option<Failure> {
        self.rules
            .iter()
            .find(|counted| counted.hits(facts, self.seed))
            .map(|c| c.rule.fail.clone())
    }
}

impl Counted {
    fn hits(&self, facts: Facts<'_>, seed: u64) -> bool {
        let when = &self.rule.when;
        if when.streaming.is_some_and(|streaming| streaming != facts.streaming)
            || when.contains.as_ref().is_some_and(|text| !facts.prompt.contains(text.as_str()))
        {
            return false;
        }
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        if when.every.is_some_and(|every| !asked.is_multiple_of(every.max(1)))
            || when.percent.is_some_and(|percent| dice::roll(seed, asked) % 100 >= percent.into())
        {
            return false;
        }
        let before = self.failed.fetch_add(1, Ordering::Relaxed);
        when.times.is_none_or(|times| before < times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Facts<'static> = Facts { prompt: "hello", streaming: false };

    fn hits(when: When, asked: usize) -> Vec<bool> {
        let rules = Rules::new(&[Rule { fail: Failure::status(500), when }], 7);
        (0..asked).map(|_| rules.pick(PLAIN).is_some()).collect()
    }

    #[test]
    fn every_third_and_the_first_two() {
        let every = When { every: Some(3), ..When::default() };
        assert_eq!(hits(every, 6), [false, false, true, false, false, true]);
        let times = When { times: Some(2), ..When::default() };
        assert_eq!(hits(times, 4), [true, true, false, false]);
    }

    #[test]
    fn a_share_is_about_right_and_the_same_on_every_run() {
        let share = When { percent: Some(25), ..When::default() };
        let first = hits(share.clone(), 1000);
        assert_eq!(first, hits(share, 1000));
        let failed = first.iter().filter(|hit| **hit).count();
        assert!((200..300).contains(&failed), "{failed} of 1000");
    }

    #[test]
    fn conditions_on_the_prompt_and_on_streaming() {
        let when = When { contains: Some("ell".into()), streaming: Some(true), ..When::default() };
        let rules = Rules::new(&[Rule { fail: Failure::MissingDone, when }], 0);
        assert_eq!(rules.pick(PLAIN), None);
        let stream = Facts { streaming: true, ..PLAIN };
        assert_eq!(rules.pick(stream), Some(Failure::MissingDone));
        assert_eq!(rules.pick(Facts { prompt: "bye", ..stream }), None);
    }
}
