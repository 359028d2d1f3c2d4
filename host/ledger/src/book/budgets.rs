//! Budgets: per window, what is spent and what is held. A window's counter is made when the first
//! hold names it, and closed when newer windows have pushed it out. Never lets `spent + held` pass
//! the limit at the time of a hold; a limit that is lowered later only stops further holds.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Inconsistent, minus, plus};
use crate::entry::{BudgetWindow, Period};
use crate::error::ReserveError;
use crate::money::PicoUsd;

/// Windows of a budget that are kept once nothing is held in them: the current one, and a few for
/// clocks that disagree and for showing the last. Older ones are in the journal.
pub(crate) const WINDOWS_KEPT: usize = 4;

/// All budgets by id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budgets {
    pub(crate) by_id: HashMap<Arc<str>, Budget>,
}

/// One budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) limit: Option<PicoUsd>,
    pub(crate) period: Period,
    /// Windows below this are closed: they were dropped, so a hold in one can't be counted.
    pub(crate) closed_below: u64,
    /// The open windows, oldest first.
    pub(crate) windows: Vec<Counter>,
}

/// What was spent and is held in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counter {
    pub(crate) window: u64,
    pub(crate) spent: PicoUsd,
    pub(crate) held: PicoUsd,
    /// Open holds that count here.
    pub(crate) holds: u32,
}

// === impl Budgets ===

impl Budgets {
    /// Whether `amount` more can be held in this window.
    pub(crate) fn fits(&self, id: &str, window: u64, amount: PicoUsd) -> Result<(), ReserveError> {
        let (id, budget) = self
            .by_id
            .get_key_value(id)
            .ok_or_else(|| ReserveError::UnknownBudget(Arc::from(id)))?;
        if window < budget.closed_below {
            return Err(ReserveError::WindowClosed { budget: Arc::clone(id), window });
        }
        match budget.remaining(window) {
            Some(remaining) if amount > remaining => {
                Err(ReserveError::BudgetExceeded { budget: Arc::clone(id), remaining })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn set(&mut self, id: &Arc<str>, limit: Option<PicoUsd>, period: Period) {
        match self.by_id.get_mut(id) {
            Some(budget) => {
                budget.limit = limit;
                budget.period = period;
            }
            None => {
                let budget = Budget { limit, period, closed_below: 0, windows: Vec::new() };
                self.by_id.insert(Arc::clone(id), budget);
            }
        }
    }

    pub(crate) fn hold(&mut self, at: &BudgetWindow, amount: PicoUsd) -> Result<(), Inconsistent> {
        let budget = self.by_id.get_mut(&at.budget).ok_or(Inconsistent("no such budget"))?;
        let counter = budget.open(at.window)?;
        counter.held = plus(counter.held, amount)?;
        counter.holds = counter.holds.checked_add(1).ok_or(Inconsistent("too many holds"))?;
        budget.close_old();
        Ok(())
    }

    pub(crate) fn extend(&mut self, at: &BudgetWindow, extra: PicoUsd) -> Result<(), Inconsistent> {
        let counter = self.counter(at)?;
        counter.held = plus(counter.held, extra)?;
        Ok(())
    }

    pub(crate) fn settle(
        &mut self,
        at: &BudgetWindow,
        held: PicoUsd,
        actual: PicoUsd,
    ) -> Result<(), Inconsistent> {
        let counter = self.counter(at)?;
        counter.held = minus(counter.held, held)?;
        counter.spent = plus(counter.spent, actual)?;
        counter.holds = counter.holds.checked_sub(1).ok_or(Inconsistent("no hold to end"))?;
        Ok(())
    }

    fn counter(&mut self, at: &BudgetWindow) -> Result<&mut Counter, Inconsistent> {
        self.by_id
            .get_mut(&at.budget)
            .and_then(|budget| budget.windows.iter_mut().find(|c| c.window == at.window))
            .ok_or(Inconsistent("no such budget window"))
    }
}

// === impl Budget ===

impl Budget {
    pub(crate) fn counter(&self, window: u64) -> Counter {
        let found = self.windows.iter().find(|counter| counter.window == window);
        found.copied().unwrap_or(Counter { window, ..Counter::default() })
    }

    /// What is left in this window; `None` without a limit.
    pub(crate) fn remaining(&self, window: u64) -> Option<PicoUsd> {
        let counter = self.counter(window);
        let used = counter.spent.saturating_add(counter.held);
        self.limit.map(|limit| limit.saturating_sub(used))
    }

    fn open(&mut self, window: u64) -> Result<&mut Counter, Inconsistent> {
        if window < self.closed_below {
            return Err(Inconsistent("the budget window is closed"));
        }
        let place = self.windows.partition_point(|counter| counter.window < window);
        if self.windows.get(place).is_none_or(|counter| counter.window != window) {
            self.windows.insert(place, Counter { window, ..Counter::default() });
        }
        self.windows.get_mut(place).ok_or(Inconsistent("no such budget window"))
    }

    /// Closes the oldest windows beyond [`WINDOWS_KEPT`], up to the first with an open hold.
    fn close_old(&mut self) {
        while self.windows.len() > WINDOWS_KEPT
            && self.windows.first().is_some_and(|oldest| oldest.holds == 0)
        {
            let closed = self.windows.remove(0).window;
            self.closed_below = self.closed_below.max(closed.saturating_add(1));
        }
    }
}
