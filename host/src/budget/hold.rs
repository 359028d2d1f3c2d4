//! A hold is money set aside for one request. It can only come from `reserve`, and it returns by
//! itself when it is dropped without having been captured.

use std::sync::Arc;

use turnpike_ledger::{CaptureNote, Ledger, PicoUsd, SettleError, TransferId};

/// The most that the ledger books for one request, 10^15 USD: no loss of a call comes near it, so a
/// report that does is not worth the caller's whole settlement.
const ABSORBED_MAX: PicoUsd = PicoUsd(1_000_000_000_000_000_000_000_000_000);

/// Between two tries to prolong a hold that could not be: a stream asks for every piece of it.
const KEEP_AGAIN_MS: u64 = 1_000;

/// Money set aside for one request.
#[must_use = "dropping a hold gives the money back"]
pub struct Hold {
    ledger: Arc<Ledger>,
    id: TransferId,
    amount: PicoUsd,
    open: bool,
    /// When it may be expired by whoever looks for forgotten holds.
    expires_at_ms: u64,
    /// When it is to be prolonged again, after it could not be.
    keep_again_ms: Option<u64>,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").field("amount", &self.amount).field("open", &self.open).finish()
    }
}

/// What a capture did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// What the caller pays.
    pub charged: PicoUsd,
    /// What the platform bears, because it was more than the hold.
    pub absorbed: PicoUsd,
    /// The journal's sequence number, to wait for when the answer must be durable.
    pub seq: Option<u64>,
}

impl Hold {
    pub(super) fn new(
        ledger: Arc<Ledger>,
        id: TransferId,
        amount: PicoUsd,
        expires_at_ms: u64,
    ) -> Self {
        Self { ledger, id, amount, open: true, expires_at_ms, keep_again_ms: None }
    }

    /// Keeps the hold of a request that is still running from expiring: prolongs it once less than
    /// half of `hold_ms` is left. Cheap to call for every piece of a stream.
    pub fn keep(&mut self, hold_ms: u64, now_ms: u64) {
        let soon = self.expires_at_ms.saturating_sub(now_ms) <= hold_ms / 2;
        if !soon || self.keep_again_ms.is_some_and(|again_ms| now_ms < again_ms) {
            return;
        }
        let until = now_ms.saturating_add(hold_ms);
        match self.ledger.extend_to(self.id, self.amount, until, now_ms) {
            Ok(_) => {
                self.expires_at_ms = until;
                self.keep_again_ms = None;
            }
            Err(error) => {
                let again_ms = now_ms.saturating_add(KEEP_AGAIN_MS);
                // Said once, and not for every piece.
                if self.keep_again_ms.replace(again_ms).is_none() {
                    tracing::warn!(%error, "a hold could not be prolonged");
                }
            }
        }
    }

    /// Sets `total` aside in place of what is held, if that is more; false when it can't be had.
    pub fn grow(&mut self, total: PicoUsd, hold_ms: u64, now_ms: u64) -> bool {
        if total <= self.amount {
            return true;
        }
        let until = now_ms.saturating_add(hold_ms);
        match self.ledger.extend_to(self.id, total, until, now_ms) {
            Ok(held) => {
                self.amount = held.amount;
                self.expires_at_ms = self.expires_at_ms.max(until);
                true
            }
            Err(error) => {
                tracing::info!(%error, "a hold could not be raised");
                false
            }
        }
    }

    /// Lets it count only on those of its budgets that `keep` names: those of the models that did
    /// not answer don't concern it any more.
    pub fn narrow(&self, keep: impl Fn(&str) -> bool, now_ms: u64) {
        if let Err(error) = self.ledger.narrow(self.id, keep, now_ms) {
            tracing::error!(%error, "a hold counts on budgets of other models");
        }
    }

    /// How much is set aside.
    pub fn amount(&self) -> PicoUsd {
        self.amount
    }

    /// Charges `cost`, never more than is held: the rest is the platform's loss, because no budget
    /// is ever overshot; and so is what was `lost` on the way to the answer. What was held and not
    /// charged returns.
    pub fn capture(
        mut self,
        cost: PicoUsd,
        note: CaptureNote,
        lost: PicoUsd,
        at_ms: u64,
    ) -> Settlement {
        let charged = cost.min(self.amount);
        let beyond = cost.saturating_sub(charged);
        if !beyond.is_zero() {
            tracing::warn!(%beyond, "an answer cost more than was held; the platform bears it");
        }
        let absorbed = beyond.saturating_add(lost).min(ABSORBED_MAX);
        self.open = false;
        match self.ledger.capture(self.id, charged, note, absorbed, at_ms) {
            Ok(settled) => Settlement { charged, absorbed, seq: Some(settled.seq) },
            Err(error) => self.lost(&error, cost.saturating_add(lost)),
        }
    }

    /// Gives all of it back; `absorbed` is what the platform paid for what failed.
    pub fn release(mut self, absorbed: PicoUsd, at_ms: u64) {
        self.open = false;
        self.give_back(absorbed, at_ms);
    }

    /// A failed settlement charges nobody and the platform bears the cost: the hold stays in the
    /// journal and expires, listed.
    fn lost(&self, error: &SettleError, cost: PicoUsd) -> Settlement {
        tracing::error!(%error, %cost, "a capture failed; its hold will expire");
        Settlement { charged: PicoUsd(0), absorbed: cost, seq: None }
    }

    fn give_back(&self, absorbed: PicoUsd, at_ms: u64) {
        let absorbed = absorbed.min(ABSORBED_MAX);
        if let Err(error) = self.ledger.release(self.id, absorbed, at_ms) {
            tracing::error!(%error, "a release failed; the hold will expire");
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.open {
            self.give_back(PicoUsd(0), crate::clock::now_ms());
        }
    }
}

#[cfg(test)]
mod tests {
    use turnpike_ledger::{Options, TopUp};

    use super::*;
    use crate::budget::{Payer, reserve};

    /// A stream has thousands of pieces, and what can't be prolonged now can't for the next either.
    #[test]
    fn what_could_not_be_prolonged_is_tried_again_only_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::open(Options::at(dir.path()), None).unwrap());
        let (id, at_ms) = (TransferId([7; 16]), 1_000);
        let amount = PicoUsd(100);
        let (channel, reference) = ("manual", "first");
        ledger.top_up(&TopUp { id, org: "acme", amount, channel, reference, at_ms }).unwrap();
        let id = uuid::Uuid::from_u128(9);
        let payer = Payer { org: "acme", budgets: &[], id, at_ms, expires_at_ms: 11_000 };
        let mut hold = reserve(&ledger, &payer, PicoUsd(50)).unwrap();
        hold.keep(10_000, 2_000);
        assert_eq!((hold.expires_at_ms, hold.keep_again_ms), (11_000, None), "it has time");
        hold.keep(10_000, 7_000);
        assert_eq!((hold.expires_at_ms, hold.keep_again_ms), (17_000, None));
        // Somebody else has ended it.
        ledger.release(TransferId(id.into_bytes()), PicoUsd::ZERO, 8_000).unwrap();
        for (now_ms, again_ms) in [(13_000, 14_000), (13_999, 14_000), (14_000, 15_000)] {
            hold.keep(10_000, now_ms);
            assert_eq!((hold.expires_at_ms, hold.keep_again_ms), (17_000, Some(again_ms)));
        }
    }
}
