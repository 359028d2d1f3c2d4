//! What is kept of attempts that did not answer, while others are made: who had trouble, and what
//! the caller is told in the end. Asks nobody.

use std::time::Duration;

use super::outcome::{Fault, Trouble};

/// What the attempts came to that did not answer.
#[derive(Default)]
pub(super) struct Failed {
    /// The provider's trouble, of the one that was asked last.
    pub(super) last: Option<Trouble>,
    /// The soonest that any of them asks to be asked again.
    pub(super) soonest: Option<Duration>,
    /// It does not know the response that the request goes on from.
    pub(super) unknown: Option<Box<Fault>>,
    /// It refused the request, and another may not.
    pub(super) refused: Option<Box<Fault>>,
    /// It does not take the operator's key.
    pub(super) locked: Option<Box<Fault>>,
}

impl Failed {
    pub(super) fn note(&mut self, trouble: Trouble) {
        self.soonest = self.soonest.into_iter().chain(trouble.wait()).min();
        self.last = Some(trouble);
    }

    /// What the caller is told, if it is not the trouble. Where one had trouble, that may be the
    /// one that keeps the conversation, and it may come back.
    pub(super) fn fault(&mut self) -> Option<Box<Fault>> {
        let others = self.unknown.take().or(self.locked.take());
        self.refused.take().or(others.filter(|_| self.last.is_none()))
    }
}
