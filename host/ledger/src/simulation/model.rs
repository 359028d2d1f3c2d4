//! The independent model of the books that the simulation compares the ledger with: plain sums
//! over the entries, worked out without the ledger's own code.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::check::Sums;
use crate::{BudgetWindow, Ending, Entry, Event, PicoUsd, TransferId};

/// What should be, by the entries alone.
#[derive(Default)]
pub(super) struct Model {
    pub(super) entries: Vec<Entry>,
    pub(super) sums: Sums,
    pub(super) limits: BTreeMap<Arc<str>, Option<PicoUsd>>,
    pub(super) endings: HashMap<TransferId, (u64, Ending)>,
    /// Top-ups and adjustments, with their entries.
    pub(super) posted: HashMap<TransferId, u64>,
}

impl Model {
    pub(super) fn add(&mut self, entry: Entry) {
        self.sums.add(&entry).unwrap();
        let ending = match &entry.event {
            Event::SetBudget { budget, limit, .. } => {
                self.limits.insert(budget.clone(), *limit);
                None
            }
            Event::Hold { id, .. } => {
                // Beyond the window an id may be used again: a second life.
                self.endings.remove(id);
                None
            }
            Event::Capture { actual, absorbed, note, .. } => {
                Some(Ending::Captured { actual: *actual, absorbed: *absorbed, note: *note })
            }
            Event::Release { absorbed, .. } => Some(Ending::Released { absorbed: *absorbed }),
            Event::Expire { .. } => Some(Ending::Expired),
            Event::TopUp { id, .. } | Event::Adjust { id, .. } => {
                assert!(self.posted.insert(*id, entry.seq).is_none(), "{id} was booked twice");
                None
            }
            Event::Extend { .. } | Event::Narrow { .. } => None,
        };
        if let (Some(ending), Some(id)) = (ending, entry.transfer()) {
            assert!(self.endings.insert(id, (entry.seq, ending)).is_none(), "{id} ended twice");
        }
        self.entries.push(entry);
        assert_eq!(self.entries.len(), usize::try_from(self.entries.last().unwrap().seq).unwrap());
    }

    pub(super) fn available(&self, org: &str) -> PicoUsd {
        let account = crate::Account::Credit(Arc::from(org));
        let balance = self.sums.accounts.get(&account).copied().unwrap_or_default();
        PicoUsd(u128::try_from(balance).expect("an organization is overdrawn"))
    }

    pub(super) fn fits(&self, org: &str, budgets: &[(&str, u64)], amount: PicoUsd) -> bool {
        amount <= self.available(org)
            && budgets.iter().all(|(id, window)| {
                let at = BudgetWindow { budget: Arc::from(*id), window: *window };
                let (spent, held) = self.sums.counters.get(&at).copied().unwrap_or_default();
                let used = spent.checked_add(held).and_then(|used| used.checked_add(amount));
                match self.limits.get(*id) {
                    // No matter how much was used before the limit: nothing more always fits.
                    Some(Some(limit)) => amount.is_zero() || used.unwrap() <= *limit,
                    Some(None) => true,
                    None => false,
                }
            })
    }
}
