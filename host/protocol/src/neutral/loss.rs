//! What a translation could not carry over, as data: the caller is told, the router may refuse, and
//! nothing is dropped in silence. Never quotes content.

use std::fmt;

/// Entries kept for one request, the worst ones; what comes beyond is counted only.
const LOSSES_MAX: usize = 64;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something close took its place: an effort for a budget, a URL for inline bytes.
    Approximated,
    /// It is left out, and the answer is still one to the question that was asked.
    Dropped,
    /// Without it the answer is not what was asked for: the provider should not be chosen.
    Unsupported,
}

/// One thing lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Where in the caller's own request or answer: `tools[2].strict`.
    pub at: String,
    /// What became of it, in a few plain words without a comma or a semicolon.
    pub what: &'static str,
    /// How bad it is.
    pub severity: Severity,
}

/// Everything that one translation lost, without repeats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    kept: Vec<Loss>,
    /// Those that found no room, none of them worse than any that did.
    more: u32,
}

// === impl Severity ===

impl Severity {
    /// Stable name for headers and records.
    pub fn label(self) -> &'static str {
        match self {
            Self::Approximated => "approximated",
            Self::Dropped => "dropped",
            Self::Unsupported => "unsupported",
        }
    }
}

// === impl Loss ===

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} ({})", self.at, self.severity.label(), self.what)
    }
}

// === impl Losses ===

impl Losses {
    /// Notes one loss; the same place is noted once, at its worst.
    pub(crate) fn note(&mut self, severity: Severity, at: impl Into<String>, what: &'static str) {
        let at = at.into();
        if let Some(known) = self.kept.iter_mut().find(|loss| loss.at == at) {
            if severity > known.severity {
                (known.severity, known.what) = (severity, what);
            }
            return;
        }
        if self.kept.len() < LOSSES_MAX {
            self.kept.push(Loss { at, what, severity });
            return;
        }
        self.more = self.more.saturating_add(1);
        // What rules a provider out must not hide behind what does not.
        let least = self.kept.iter_mut().rev().min_by_key(|loss| loss.severity);
        if let Some(least) = least.filter(|least| least.severity < severity) {
            *least = Loss { at, what, severity };
        }
    }

    pub(crate) fn approximated(&mut self, at: impl Into<String>, what: &'static str) {
        self.note(Severity::Approximated, at, what);
    }

    pub(crate) fn dropped(&mut self, at: impl Into<String>, what: &'static str) {
        self.note(Severity::Dropped, at, what);
    }

    pub(crate) fn unsupported(&mut self, at: impl Into<String>, what: &'static str) {
        self.note(Severity::Unsupported, at, what);
    }

    /// In the order they were met; the first of them, where there are very many.
    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.kept.iter()
    }

    /// How many there are besides those.
    pub fn more(&self) -> u32 {
        self.more
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The worst of them.
    pub fn worst(&self) -> Option<Severity> {
        self.kept.iter().map(|loss| loss.severity).max()
    }

    /// Adds those of another step.
    pub fn extend(&mut self, other: Self) {
        self.more = self.more.saturating_add(other.more);
        for loss in other.kept {
            self.note(loss.severity, loss.at, loss.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_and_hides_nothing_worse() {
        let mut losses = Losses::default();
        for index in 0..100 {
            losses.approximated(format!("messages[{index}]"), "close");
        }
        losses.unsupported("n", "one answer");
        losses.dropped("messages[0]", "left out");
        assert_eq!(losses.iter().count(), LOSSES_MAX);
        assert_eq!(losses.more(), 37);
        assert_eq!(losses.worst(), Some(Severity::Unsupported));
        assert!(losses.iter().any(|loss| loss.at == "n"));
        let mut all = Losses::default();
        all.extend(losses);
        assert_eq!((all.iter().count(), all.more()), (LOSSES_MAX, 37));
    }
}
