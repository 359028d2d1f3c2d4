//! What a translation could not carry over, as data: the caller is told, the router may refuse, and
//! nothing is dropped in silence. Never quotes content.

use std::fmt;

/// Entries kept for one request; what comes beyond is counted only.
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
pub struct Losses(Vec<Loss>);

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
        if let Some(known) = self.0.iter_mut().find(|loss| loss.at == at) {
            if severity > known.severity {
                (known.severity, known.what) = (severity, what);
            }
            return;
        }
        if self.0.len() < LOSSES_MAX {
            self.0.push(Loss { at, what, severity });
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

    /// In the order they were met.
    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.0.iter()
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The worst of them.
    pub fn worst(&self) -> Option<Severity> {
        self.0.iter().map(|loss| loss.severity).max()
    }

    /// Adds those of another step.
    pub fn extend(&mut self, other: Self) {
        for loss in other.0 {
            self.note(loss.severity, loss.at, loss.what);
        }
    }
}
