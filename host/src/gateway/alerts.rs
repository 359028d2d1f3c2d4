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

pub(crate) use target::Targets;

pub(super) use deliver::{Pending, deliver};
pub(super) use watch::watch;

/// Budgets that refused a request and were not looked at yet. Each is there once, and somebody
/// looks every second; beyond it an alert is lost, never a request.
const EXHAUSTED_MAX: usize = 4_096;

/// What requests leave for whoever watches.
#[derive(Debug, Default)]
pub struct Exhausted(Mutex<BTreeMap<(Arc<str>, u64), PicoUsd>>);

impl Exhausted {
    /// A budget has refused a request in this window that `needed` so much at least, which is more
    /// than it has left with nothing held.
    pub fn tell(&self, budget: &Arc<str>, window: u64, needed: PicoUsd) {
        let mut told = self.0.lock();
        if told.len() < EXHAUSTED_MAX {
            let least = told.entry((Arc::clone(budget), window)).or_insert(needed);
            *least = needed.min(*least);
        }
    }

    fn take(&self) -> BTreeMap<(Arc<str>, u64), PicoUsd> {
        std::mem::take(&mut *self.0.lock())
    }
}
