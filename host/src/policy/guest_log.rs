//! What guests write to their log. A guest that reads content may log content, so the lines stay
//! in memory, bounded, per binding (never shared between organizations), level-filtered, and are
//! shown only to the binding's owner: they never reach a file, a stream or the host's tracing.

use std::collections::VecDeque;
use std::fmt;

use parking_lot::Mutex;

use super::binding::Hook;

/// Lines kept per binding: a screenful or two for whoever looks.
const RING_LINES_MAX: usize = 256;
/// Bytes of one line; longer ones are cut at a character boundary.
pub(super) const LINE_BYTES_MAX: usize = 1024;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the author.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

/// Lines below this level are dropped.
pub(super) const LEVEL_MIN: Level = Level::Info;

/// One line. `Debug` does not show the text.
#[derive(Clone)]
pub struct LogLine {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How much it matters.
    pub level: Level,
    /// The decision during which it was written.
    pub hook: Hook,
    /// The request's id.
    pub request: String,
    text: String,
}

impl LogLine {
    /// A line of the guest, cut to size.
    pub(super) fn new(at_ms: u64, level: Level, hook: Hook, request: &str, text: &str) -> Self {
        let end = text.floor_char_boundary(LINE_BYTES_MAX);
        let text = text.get(..end).unwrap_or_default().to_owned();
        Self { at_ms, level, hook, request: request.to_owned(), text }
    }

    /// The guest's words. They may carry content: show them to the binding's owner, store them
    /// nowhere.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogLine({:?}, {}, <{} bytes>)", self.level, self.hook.label(), self.text.len())
    }
}

/// The latest lines of one binding.
#[derive(Debug, Default)]
pub struct LogRing(Mutex<VecDeque<LogLine>>);

impl LogRing {
    /// Adds a line and drops the oldest when full.
    pub(super) fn push(&self, line: LogLine) {
        let mut lines = self.0.lock();
        if lines.len() >= RING_LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> Vec<LogLine> {
        self.0.lock().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_bounded_and_lines_are_cut_at_characters() {
        let ring = LogRing::default();
        let long = "é".repeat(LINE_BYTES_MAX);
        for at_ms in 0..1_000 {
            ring.push(LogLine::new(at_ms, Level::Info, Hook::Classify, "r", &long));
        }
        let lines = ring.lines();
        assert_eq!(lines.len(), RING_LINES_MAX);
        assert_eq!(lines.last().map(|line| line.at_ms), Some(999));
        assert!(lines.iter().all(|line| line.expose().len() <= LINE_BYTES_MAX));
    }

    #[test]
    fn debug_never_shows_what_a_guest_said() {
        let line = LogLine::new(1, Level::Error, Hook::Redact, "r", "canary");
        assert!(!format!("{line:?}").contains("canary"));
    }
}
