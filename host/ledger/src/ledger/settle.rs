//! Ending a hold: exactly once, whatever is retried. Never takes more than was held.

use std::sync::Arc;

use crate::entry::{CaptureNote, Event, TransferId};
use crate::error::{LedgerError, SettleError};
use crate::ledger::Ledger;
use crate::ledger::post::AMOUNT_MAX;
use crate::ledger::shared::State;
use crate::money::PicoUsd;
use crate::settled::Ending;

/// Holds that one [`Ledger::expire_due`] ends: bounds the time under the lock and the queue.
const EXPIRE_HOLDS_MAX: usize = 1024;

/// A hold that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The entry that ended it.
    pub seq: u64,
    /// How it ended.
    pub ending: Ending,
    /// False when it had ended the same way before and nothing was booked.
    pub new: bool,
}

// === impl Ledger ===

impl Ledger {
    /// Takes `actual`, at most what is held, and gives the rest back to the credit and the
    /// budgets. `absorbed` is what the platform paid for this request besides and doesn't charge.
    /// Repeating it with the same amounts and note books nothing.
    ///
    /// # Errors
    /// Nothing was changed. `OverCapture`, `AlreadySettled`, `Unknown`, `NotDurable` or `Invalid`.
    pub fn capture(
        &self,
        id: TransferId,
        actual: PicoUsd,
        note: CaptureNote,
        absorbed: PicoUsd,
        at_ms: u64,
    ) -> Result<Settled, SettleError> {
        self.settle(id, Ending::Captured { actual, absorbed, note }, at_ms)
    }

    /// Gives all of it back. `absorbed` is what the platform paid for this request and doesn't
    /// charge. Repeating it with the same amount books nothing.
    ///
    /// # Errors
    /// Nothing was changed. `AlreadySettled`, `Unknown`, `NotDurable` or `Invalid`.
    pub fn release(
        &self,
        id: TransferId,
        absorbed: PicoUsd,
        at_ms: u64,
    ) -> Result<Settled, SettleError> {
        self.settle(id, Ending::Released { absorbed }, at_ms)
    }

    /// Ends holds that nobody has settled by `now_ms`, the oldest first, and returns them. Does at
    /// most 1024 at a time: call again while it returns that many.
    ///
    /// # Errors
    /// `NotDurable`.
    pub fn expire_due(&self, now_ms: u64) -> Result<Vec<TransferId>, LedgerError> {
        self.expire_until(now_ms, now_ms)
    }

    /// Ends holds that nobody can settle any more, whatever time they had left: for the start of
    /// the one program that makes them, before it makes any. Repeated as [`Ledger::expire_due`].
    ///
    /// # Errors
    /// `NotDurable`.
    pub fn expire_orphans(&self, now_ms: u64) -> Result<Vec<TransferId>, LedgerError> {
        self.expire_until(u64::MAX, now_ms)
    }

    fn expire_until(&self, until_ms: u64, now_ms: u64) -> Result<Vec<TransferId>, LedgerError> {
        let mut state = self.shared.state.lock();
        state.accepting().map_err(LedgerError::NotDurable)?;
        let due = state.book.due.iter().take_while(|(at_ms, _)| *at_ms <= until_ms);
        let expired: Vec<TransferId> = due.take(EXPIRE_HOLDS_MAX).map(|(_, id)| *id).collect();
        let posted = expired.iter().try_for_each(|id| {
            ending_event(&state, *id, Ending::Expired)
                .map_or(Ok(0), |event| state.post(now_ms, event))
                .map(drop)
        });
        self.shared.hand_over(state);
        posted.map(|()| expired).map_err(LedgerError::NotDurable)
    }

    fn settle(&self, id: TransferId, ending: Ending, at_ms: u64) -> Result<Settled, SettleError> {
        let (actual, absorbed) = match ending {
            Ending::Captured { actual, absorbed, .. } => (actual, absorbed),
            Ending::Released { absorbed } => (PicoUsd::ZERO, absorbed),
            Ending::Expired => (PicoUsd::ZERO, PicoUsd::ZERO),
        };
        if absorbed > AMOUNT_MAX {
            return Err(SettleError::Invalid("the absorbed amount is over 10^15 USD"));
        }
        let state = self.shared.state.lock();
        if let Some(hold) = state.book.holds.get(&id)
            && actual > hold.amount
        {
            return Err(SettleError::OverCapture { held: hold.amount, actual });
        }
        let Some(event) = ending_event(&state, id, ending) else {
            return match state.settled.get(&id) {
                Some((seq, before)) if before == ending => Ok(Settled { seq, ending, new: false }),
                Some((_, ending)) => Err(SettleError::AlreadySettled { id, ending }),
                None => Err(SettleError::Unknown(id)),
            };
        };
        state.accepting().map_err(SettleError::NotDurable)?;
        let seq = self.shared.post(state, at_ms, event).map_err(SettleError::NotDurable)?;
        Ok(Settled { seq, ending, new: true })
    }
}

/// What to write when this hold ends so; `None` if it isn't open.
fn ending_event(state: &State, id: TransferId, ending: Ending) -> Option<Event> {
    let hold = state.book.holds.get(&id)?;
    let org = Arc::clone(&hold.org);
    Some(match ending {
        Ending::Captured { actual, absorbed, note } => {
            let returned = hold.amount.saturating_sub(actual);
            Event::Capture { hold: id, org, actual, returned, absorbed, note }
        }
        Ending::Released { absorbed } => {
            Event::Release { hold: id, org, returned: hold.amount, absorbed }
        }
        Ending::Expired => Event::Expire { hold: id, org, returned: hold.amount },
    })
}
