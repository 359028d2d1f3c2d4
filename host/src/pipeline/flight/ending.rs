//! How a request ended, in words and in money.

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;

use crate::policy::Line;
use crate::telemetry::Outcome;

/// The money side of how a request ended.
#[derive(Debug, Clone, Default)]
pub(in crate::pipeline) struct Bill {
    /// Whether there was something to charge for.
    pub charged: bool,
    pub usage: Usage,
    pub estimated: bool,
    pub lines: Vec<Line>,
    pub cost: PicoUsd,
    /// What it would be at list prices.
    pub list: Option<PicoUsd>,
    /// What the strongest candidate would have cost for it, where that is known.
    pub baseline: Option<PicoUsd>,
    pub absorbed: PicoUsd,
    /// The journal's number of the capture, for an answer that waits for the disk.
    pub seq: Option<u64>,
}

// === impl Bill ===

impl Bill {
    /// Whether the caller's money was taken: the ledger may refuse a capture.
    pub(super) fn is_booked(&self) -> bool {
        self.seq.is_some()
    }
}

/// How a request ended: the row of the settlement rulebook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Ending {
    Complete,
    CompleteEstimated,
    /// The answer came to its end and nothing was in it.
    Empty,
    /// The caller left after content.
    Partial,
    /// The money for it ran out in the middle.
    RanOut,
    /// The provider died after content.
    FailedPartial,
    /// The caller left before content.
    Abandoned,
    /// The gateway or a provider said no, and it was the caller's fault.
    Refused,
    /// No provider answered.
    Failed,
    /// Answered at no cost: a count of tokens.
    Free,
}

// === impl Ending ===

impl Ending {
    /// As records name it.
    pub(in crate::pipeline) fn label(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::CompleteEstimated => "complete_estimated",
            Self::Empty => "empty",
            Self::Partial | Self::RanOut => "partial",
            Self::FailedPartial => "failed_partial",
            Self::Abandoned => "abandoned",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Free => "free",
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Complete | Self::CompleteEstimated | Self::Empty | Self::Free => {
                Outcome::Answered
            }
            Self::FailedPartial | Self::RanOut => Outcome::CutShort,
            Self::Partial | Self::Abandoned => Outcome::Abandoned,
            Self::Refused => Outcome::Refused,
            Self::Failed => Outcome::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ending;
    use crate::usage::SETTLEMENTS;

    /// Who filters requests by a word is refused where it is none of these.
    #[test]
    fn every_ending_has_a_word_that_requests_are_found_by() {
        let endings = [
            Ending::Complete,
            Ending::CompleteEstimated,
            Ending::Empty,
            Ending::Partial,
            Ending::RanOut,
            Ending::FailedPartial,
            Ending::Abandoned,
            Ending::Refused,
            Ending::Failed,
            Ending::Free,
        ];
        for ending in endings {
            assert!(SETTLEMENTS.contains(&ending.label()), "{ending:?}");
        }
        for word in SETTLEMENTS {
            assert!(endings.iter().any(|ending| ending.label() == word), "{word}");
        }
    }
}
