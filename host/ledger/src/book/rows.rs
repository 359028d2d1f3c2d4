//! The book as rows, whole or only what changed, and back. Never touches a store.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::budgets::{Budget, Counter};
use super::{Book, Hold, Inconsistent, Org, Platform, plus};
use crate::entry::{BudgetWindow, Entry, Event, TransferId};
use crate::money::PicoUsd;
use crate::view::{
    BudgetRow, ChannelRow, CounterRow, HoldRow, OrgRow, PlatformRow, ViewDelta, ViewSnapshot,
};

/// Which rows the entries since the last stored delta have touched.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    orgs: BTreeSet<Arc<str>>,
    channels: BTreeSet<Arc<str>>,
    budgets: BTreeSet<Arc<str>>,
    counters: BTreeSet<BudgetWindow>,
    holds: BTreeSet<TransferId>,
    posted: BTreeSet<TransferId>,
}

// === impl Touched ===

impl Touched {
    /// Takes note of an entry that is about to be applied to `book`.
    pub(crate) fn note(&mut self, entry: &Entry, book: &Book) {
        if let Some(org) = entry.org() {
            self.orgs.insert(Arc::clone(org));
        }
        match &entry.event {
            Event::TopUp { id, channel, .. } => {
                self.channels.insert(Arc::clone(channel));
                self.posted.insert(*id);
            }
            Event::Adjust { id, .. } => {
                self.posted.insert(*id);
            }
            Event::SetBudget { budget, .. } => {
                self.budgets.insert(Arc::clone(budget));
            }
            Event::Hold { id, budgets, .. } => {
                self.holds.insert(*id);
                for at in budgets.iter() {
                    let new = book.budgets.by_id.get(&at.budget).is_some_and(|budget| {
                        !budget.windows.iter().any(|counter| counter.window == at.window)
                    });
                    if new {
                        // A new window may close an old one, which is in the budget's row.
                        self.budgets.insert(Arc::clone(&at.budget));
                    }
                    self.counters.insert(at.clone());
                }
            }
            Event::Extend { hold, .. }
            | Event::Capture { hold, .. }
            | Event::Release { hold, .. }
            | Event::Expire { hold, .. }
            | Event::Narrow { hold, .. } => {
                self.holds.insert(*hold);
                if let Some(open) = book.holds.get(hold) {
                    self.counters.extend(open.budgets.iter().cloned());
                }
            }
        }
    }

    /// The touched rows as they are now.
    pub(crate) fn delta(&self, book: &Book, applied_hash: [u8; 16]) -> ViewDelta {
        let holds = self.holds.iter();
        let counters = self.counters.iter().filter_map(|at| {
            let (id, budget) = book.budgets.by_id.get_key_value(&at.budget)?;
            let counter = budget.windows.iter().find(|c| c.window == at.window)?;
            Some(counter_row(id, counter))
        });
        let changed = ViewSnapshot {
            applied_seq: book.applied_seq,
            applied_hash,
            platform: platform_row(&book.platform),
            orgs: self.orgs.iter().filter_map(|org| book.org_row(org)).collect(),
            channels: self.channels.iter().filter_map(|c| book.channel_row(c)).collect(),
            budgets: self.budgets.iter().filter_map(|id| book.budget_row(id)).collect(),
            counters: counters.collect(),
            holds: holds.clone().filter_map(|id| book.hold_row(id)).collect(),
            posted: self.posted.iter().filter_map(|id| book.posted.get(id).cloned()).collect(),
        };
        let ended_holds = holds.filter(|id| !book.holds.contains_key(id)).copied().collect();
        ViewDelta { full: false, changed, ended_holds }
    }
}

// === impl Book ===

impl Book {
    /// All of it, in key order.
    pub(crate) fn snapshot(&self, applied_hash: [u8; 16]) -> ViewSnapshot {
        let mut counters = Vec::new();
        for (id, budget) in &self.budgets.by_id {
            counters.extend(budget.windows.iter().map(|counter| counter_row(id, counter)));
        }
        let mut snapshot = ViewSnapshot {
            applied_seq: self.applied_seq,
            applied_hash,
            platform: platform_row(&self.platform),
            orgs: self.orgs.keys().filter_map(|org| self.org_row(org)).collect(),
            channels: self.channels.keys().filter_map(|c| self.channel_row(c)).collect(),
            budgets: self.budgets.by_id.keys().filter_map(|id| self.budget_row(id)).collect(),
            counters,
            holds: self.holds.keys().filter_map(|id| self.hold_row(id)).collect(),
            posted: self.posted.values().cloned().collect(),
        };
        snapshot.orgs.sort_by(|a, b| a.org.cmp(&b.org));
        snapshot.budgets.sort_by(|a, b| a.budget.cmp(&b.budget));
        snapshot.counters.sort_by(|a, b| (&a.budget, a.window).cmp(&(&b.budget, b.window)));
        snapshot.holds.sort_by_key(|hold| hold.id);
        snapshot.posted.sort_by_key(|posted| posted.seq);
        snapshot
    }

    /// The book that these rows are of.
    ///
    /// # Errors
    /// When the rows contradict each other, as those of a damaged store do.
    pub(crate) fn restore(view: &ViewSnapshot) -> Result<Self, Inconsistent> {
        let PlatformRow { earned, absorbed, adjusted_up, adjusted_down } = view.platform;
        let mut book = Self {
            applied_seq: view.applied_seq,
            platform: Platform { earned, absorbed, adjusted_up, adjusted_down },
            ..Self::default()
        };
        for OrgRow { org, credit, held, spent } in &view.orgs {
            let row = Org { credit: *credit, held: *held, spent: *spent };
            book.orgs.insert(Arc::clone(org), row);
        }
        for row in &view.channels {
            book.channels.insert(Arc::clone(&row.channel), row.topped_up);
        }
        for posted in &view.posted {
            let id = posted.transfer().ok_or(Inconsistent("a posted row without an id"))?;
            book.posted.insert(id, posted.clone());
        }
        book.restore_budgets(view)?;
        book.restore_holds(view)?;
        let accounts = book.accounts()?;
        let sum = accounts.values().try_fold(0_i128, |sum, balance| sum.checked_add(*balance));
        match sum {
            Some(0) => Ok(book),
            _ => Err(Inconsistent("its accounts do not add up to zero")),
        }
    }

    fn restore_budgets(&mut self, view: &ViewSnapshot) -> Result<(), Inconsistent> {
        for row in &view.budgets {
            let budget = Budget {
                limit: row.limit,
                period: row.period,
                closed_below: row.closed_below,
                windows: Vec::new(),
            };
            self.budgets.by_id.insert(Arc::clone(&row.budget), budget);
        }
        for row in &view.counters {
            let budget = self.budgets.by_id.get_mut(&row.budget);
            let budget = budget.ok_or(Inconsistent("a counter without its budget"))?;
            if row.window >= budget.closed_below {
                let (window, spent, held) = (row.window, row.spent, row.held);
                budget.windows.push(Counter { window, spent, held, holds: 0 });
            }
        }
        for budget in self.budgets.by_id.values_mut() {
            budget.windows.sort_by_key(|counter| counter.window);
        }
        Ok(())
    }

    /// Restores the holds, and proves on the way that they are what the accounts and counters say.
    fn restore_holds(&mut self, view: &ViewSnapshot) -> Result<(), Inconsistent> {
        let mut held_by_org: HashMap<&str, PicoUsd> = HashMap::new();
        let mut held_by_window: HashMap<&BudgetWindow, (PicoUsd, u32)> = HashMap::new();
        for row in &view.holds {
            let held = held_by_org.entry(&row.org).or_default();
            *held = plus(*held, row.amount)?;
            for at in row.budgets.iter() {
                let (held, holds) = held_by_window.entry(at).or_default();
                *held = plus(*held, row.amount)?;
                *holds = holds.checked_add(1).ok_or(Inconsistent("too many holds"))?;
            }
            let hold = Hold {
                seq: row.seq,
                at_ms: row.at_ms,
                org: Arc::clone(&row.org),
                reserved: row.reserved,
                amount: row.amount,
                expires_at_ms: row.expires_at_ms,
                budgets: Arc::clone(&row.budgets),
            };
            self.due.insert((row.expires_at_ms, row.id));
            self.holds.insert(row.id, hold);
        }
        for (name, org) in &self.orgs {
            if held_by_org.remove(&**name).unwrap_or_default() != org.held {
                return Err(Inconsistent("an organization's holds are not what it holds"));
            }
        }
        for (id, budget) in &mut self.budgets.by_id {
            for counter in &mut budget.windows {
                let at = BudgetWindow { budget: Arc::clone(id), window: counter.window };
                let (held, holds) = held_by_window.remove(&at).unwrap_or_default();
                if held != counter.held {
                    return Err(Inconsistent("a budget's holds are not what it counts"));
                }
                counter.holds = holds;
            }
        }
        if !held_by_org.is_empty() || !held_by_window.is_empty() {
            return Err(Inconsistent("a hold without its organization or budget window"));
        }
        Ok(())
    }

    fn org_row(&self, org: &Arc<str>) -> Option<OrgRow> {
        let Org { credit, held, spent } = *self.orgs.get(org)?;
        Some(OrgRow { org: Arc::clone(org), credit, held, spent })
    }

    fn channel_row(&self, channel: &Arc<str>) -> Option<ChannelRow> {
        let topped_up = *self.channels.get(channel)?;
        Some(ChannelRow { channel: Arc::clone(channel), topped_up })
    }

    fn budget_row(&self, id: &Arc<str>) -> Option<BudgetRow> {
        let Budget { limit, period, closed_below, .. } = *self.budgets.by_id.get(id)?;
        Some(BudgetRow { budget: Arc::clone(id), limit, period, closed_below })
    }

    pub(crate) fn hold_row(&self, id: &TransferId) -> Option<HoldRow> {
        let hold = self.holds.get(id)?;
        Some(HoldRow {
            id: *id,
            org: Arc::clone(&hold.org),
            reserved: hold.reserved,
            amount: hold.amount,
            at_ms: hold.at_ms,
            expires_at_ms: hold.expires_at_ms,
            budgets: Arc::clone(&hold.budgets),
            seq: hold.seq,
        })
    }
}

fn counter_row(id: &Arc<str>, counter: &Counter) -> CounterRow {
    let Counter { window, spent, held, .. } = *counter;
    CounterRow { budget: Arc::clone(id), window, spent, held }
}

fn platform_row(platform: &Platform) -> PlatformRow {
    let Platform { earned, absorbed, adjusted_up, adjusted_down } = *platform;
    PlatformRow { earned, absorbed, adjusted_up, adjusted_down }
}
