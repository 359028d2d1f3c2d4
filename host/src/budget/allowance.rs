//! What a plan gives each day: with the first request of a day the organization's credit is raised
//! to the allowance, by a top-up of the channel `allowance`. The ledger proves it like any other
//! money that came in, and its id, made of organization and day, keeps it from being given twice.

use sha2::{Digest, Sha256};
use turnpike_ledger::{Ledger, LedgerError, PicoUsd, TopUp, TransferId};

use crate::clock;

/// The channel of these top-ups.
const CHANNEL: &str = "allowance";

/// Raises the credit of `org` to `amount` for the day that begins at `day_ms`, unless that was done
/// before: where its `counter` has something of that day, the day's first request is over, also if
/// nothing was missing then. False where it could not be done now; the next request tries again.
pub fn give_allowance(
    ledger: &Ledger,
    org: &str,
    amount: PicoUsd,
    (counter, day_ms): (&str, u64),
    at_ms: u64,
) -> bool {
    let counted = ledger.budget(counter, day_ms);
    if counted.is_some_and(|it| !it.spent.is_zero() || !it.held.is_zero()) {
        return true;
    }
    let balance = ledger.balance(org);
    // What is held may come back.
    let there = balance.available.saturating_add(balance.held);
    let missing = amount.saturating_sub(there);
    if missing.is_zero() {
        return true;
    }
    let reference = clock::rfc3339(day_ms);
    let id = id_of(org, day_ms);
    let top_up = TopUp { id, org, amount: missing, channel: CHANNEL, reference: &reference, at_ms };
    match ledger.top_up(&top_up) {
        // Another amount under the same id: another request was first, or it was before a restart.
        Ok(_) | Err(LedgerError::IdReused(_)) => true,
        Err(error) => {
            tracing::warn!(%error, org, "the day's allowance could not be given");
            false
        }
    }
}

/// The length in front of the name keeps different names from reading alike.
fn id_of(org: &str, day_ms: u64) -> TransferId {
    let mut hash = Sha256::new();
    hash.update(b"turnpike-allowance");
    hash.update(org.len().to_le_bytes());
    hash.update(org.as_bytes());
    hash.update(day_ms.to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    for (place, byte) in id.iter_mut().zip(digest) {
        *place = byte;
    }
    TransferId(id)
}

#[cfg(test)]
mod tests {
    use turnpike_ledger::Options;

    use super::*;

    #[test]
    fn an_allowance_is_given_once_a_day_and_does_not_pile_up() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(Options::at(dir.path()), None).unwrap();
        let day = 86_400_000;
        for at in [day, day + 5, day + 9] {
            assert!(give_allowance(&ledger, "acme", PicoUsd(100), ("plan:acme", day), at));
        }
        assert_eq!(ledger.balance("acme").available, PicoUsd(100));
        // Nothing was spent: the next day brings nothing.
        assert!(give_allowance(&ledger, "acme", PicoUsd(100), ("plan:acme", 2 * day), 2 * day));
        assert_eq!(ledger.balance("acme").available, PicoUsd(100));
        let debit = turnpike_ledger::Adjust {
            id: TransferId([9; 16]),
            org: "acme",
            direction: turnpike_ledger::Direction::Debit,
            amount: PicoUsd(70),
            reference: "spent",
            reason: "as a request would",
            at_ms: 3 * day,
        };
        ledger.adjust(&debit).unwrap();
        assert!(give_allowance(&ledger, "acme", PicoUsd(100), ("plan:acme", 3 * day), 3 * day));
        assert_eq!(ledger.balance("acme").available, PicoUsd(100));
        // The same day again, after something was spent of it.
        ledger.adjust(&turnpike_ledger::Adjust { id: TransferId([8; 16]), ..debit }).unwrap();
        assert!(give_allowance(&ledger, "acme", PicoUsd(100), ("plan:acme", 3 * day), 3 * day + 1));
        assert_eq!(ledger.balance("acme").available, PicoUsd(30));
        // Nothing is missing when the fourth day begins; what is spent of it brings no gift later.
        let more = TopUp {
            id: TransferId([7; 16]),
            org: "acme",
            amount: PicoUsd(500),
            channel: "card",
            reference: "",
            at_ms: 4 * day,
        };
        ledger.top_up(&more).unwrap();
        ledger.set_budget("plan:acme", None, turnpike_ledger::Period::Day, 4 * day).unwrap();
        assert!(give_allowance(&ledger, "acme", PicoUsd(100), ("plan:acme", 4 * day), 4 * day));
        let spend = turnpike_ledger::Reserve {
            id: TransferId([6; 16]),
            org: "acme",
            budgets: &[("plan:acme", 4 * day)],
            amount: PicoUsd(520),
            at_ms: 4 * day,
            expires_at_ms: 5 * day,
        };
        let hold = ledger.reserve(&spend).unwrap();
        assert!(give_allowance(&ledger, "acme", PicoUsd(100), ("plan:acme", 4 * day), 4 * day));
        let note = turnpike_ledger::CaptureNote::Complete;
        ledger.capture(hold.id, PicoUsd(520), note, PicoUsd::ZERO, 4 * day).unwrap();
        assert!(give_allowance(&ledger, "acme", PicoUsd(100), ("plan:acme", 4 * day), 4 * day));
        assert_eq!(ledger.balance("acme").available, PicoUsd(10));
        ledger.close().unwrap();
        let report = turnpike_ledger::check(dir.path(), None).unwrap();
        assert!(report.is_sound(), "{report}");
    }
}
