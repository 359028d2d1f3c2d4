//! Alerts: budgets that reach a threshold or refuse a request, and spending that is out of the
//! usual. Worked out beside the data plane from what the ledger and the usage log say, kept in the
//! store, and sent to the organization's webhook. Never delays a request, and never stops one.

mod deliver;
mod payload;
mod target;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use turnpike_ledger::PicoUsd;

use crate::budget::UsedUp;

pub(crate) use target::Targets;

pub(super) use deliver::{Pending, deliver};
pub(super) use watch::watch;

/// Budgets that refused a request and were not looked at yet. Each is there once, and somebody
/// looks every second; beyond it an alert is lost, never a request.
const EXHAUSTED_MAX: usize = 4_096;

/// A refusal by a budget, with what held when it was refused: by the time that somebody looks, the
/// budget may be another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    /// The least that would have done.
    needed: PicoUsd,
    limit: PicoUsd,
    spent: PicoUsd,
}

/// By budget and window.
type Refusals = BTreeMap<(Arc<str>, u64), Refused>;

/// What requests leave for whoever watches.
#[derive(Debug, Default)]
pub struct Exhausted(Mutex<Refusals>);

impl Exhausted {
    /// A budget has refused a request that `needed` so much at least, which is more than it has
    /// left with nothing held. Of several refusals that of the least is told.
    pub fn tell(&self, used_up: &UsedUp, needed: PicoUsd) {
        let UsedUp { budget, window, limit, spent } = used_up;
        let refused = Refused { needed, limit: *limit, spent: *spent };
        let mut told = self.0.lock();
        if told.len() < EXHAUSTED_MAX {
            let least = told.entry((Arc::clone(budget), *window)).or_insert(refused);
            if needed < least.needed {
                *least = refused;
            }
        }
    }

    fn take(&self) -> Refusals {
        std::mem::take(&mut *self.0.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_refusals_that_of_the_least_is_told_as_it_was() {
        let exhausted = Exhausted::default();
        let used_up = |limit| UsedUp {
            budget: "key:k:day".into(),
            window: 7,
            limit: PicoUsd(limit),
            spent: PicoUsd(3),
        };
        exhausted.tell(&used_up(5), PicoUsd(40));
        exhausted.tell(&used_up(50), PicoUsd(90));
        let told: Vec<_> = exhausted.take().into_iter().collect();
        let first = Refused { needed: PicoUsd(40), limit: PicoUsd(5), spent: PicoUsd(3) };
        assert_eq!(told, [((Arc::from("key:k:day"), 7), first)]);
        assert!(exhausted.take().is_empty());
    }
}
