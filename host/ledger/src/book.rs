//! The state that the journal's entries add up to: balances, budget counters, open holds, and the
//! ids of money that came in. One function changes it, [`Book::apply`], on the live path, at
//! replay and in the checker alike. Knows nothing of files, threads or locks.

pub(crate) mod budgets;
pub(crate) mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::entry::{Account, BudgetWindow, Direction, Entry, Event, TransferId};
use crate::error::ReserveError;
use crate::money::PicoUsd;
use budgets::Budgets;

/// Everything the entries up to `applied_seq` add up to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    pub(crate) applied_seq: u64,
    pub(crate) orgs: HashMap<Arc<str>, Org>,
    pub(crate) channels: BTreeMap<Arc<str>, PicoUsd>,
    pub(crate) platform: Platform,
    pub(crate) budgets: Budgets,
    pub(crate) holds: HashMap<TransferId, Hold>,
    /// The open holds in the order in which they may be expired.
    pub(crate) due: BTreeSet<(u64, TransferId)>,
    /// Top-ups and adjustments, for ever: they are rare, and a processor may send one again years
    /// later.
    pub(crate) posted: HashMap<TransferId, Entry>,
}

/// One organization's accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Org {
    pub(crate) credit: PicoUsd,
    pub(crate) held: PicoUsd,
    /// All captures so far; a running total, not an account.
    pub(crate) spent: PicoUsd,
}

/// The platform's own accounts, as running totals, because those never go below zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) earned: PicoUsd,
    pub(crate) absorbed: PicoUsd,
    pub(crate) adjusted_up: PicoUsd,
    pub(crate) adjusted_down: PicoUsd,
}

/// Money set aside for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) seq: u64,
    pub(crate) at_ms: u64,
    pub(crate) org: Arc<str>,
    /// What was reserved at first, to recognise a repeat.
    pub(crate) reserved: PicoUsd,
    /// What is held now, extensions included.
    pub(crate) amount: PicoUsd,
    pub(crate) expires_at_ms: u64,
    pub(crate) budgets: Arc<[BudgetWindow]>,
}

/// An entry that doesn't follow from those before it. On the live path that is a defect of this
/// crate; at replay it means that the journal was not written by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the entry does not follow from those before it: {0}")]
pub(crate) struct Inconsistent(pub(crate) &'static str);

// === impl Book ===

impl Book {
    /// Whether `amount` more can be held for `org` on all of `budgets`. Changes nothing.
    pub(crate) fn fits<'a>(
        &self,
        org: &str,
        budgets: impl Iterator<Item = (&'a str, u64)>,
        amount: PicoUsd,
    ) -> Result<(), ReserveError> {
        let available = self.orgs.get(org).map_or(PicoUsd::ZERO, |org| org.credit);
        if amount > available {
            return Err(ReserveError::InsufficientCredit { available });
        }
        for (budget, window) in budgets {
            self.budgets.fits(budget, window, amount)?;
        }
        Ok(())
    }

    /// Books one entry.
    ///
    /// # Errors
    /// When the entry doesn't follow from the state. The state may then be half changed and must
    /// not be used any more.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Result<(), Inconsistent> {
        match &entry.event {
            Event::TopUp { id, org, amount, channel, .. } => {
                let total = self.channels.entry(Arc::clone(channel)).or_default();
                *total = plus(*total, *amount)?;
                let org = self.org(org);
                org.credit = plus(org.credit, *amount)?;
                self.remember(*id, entry)?;
            }
            Event::Adjust { id, org, direction, amount, .. } => {
                self.adjust(org, *direction, *amount)?;
                self.remember(*id, entry)?;
            }
            Event::SetBudget { budget, limit, period } => {
                self.budgets.set(budget, *limit, *period);
            }
            Event::Hold { .. } => self.hold(entry)?,
            Event::Extend { hold, org, extra, expires_at_ms } => {
                self.extend(hold, org, *extra, *expires_at_ms)?;
            }
            Event::Capture { hold, org, actual, returned, absorbed, .. } => {
                self.settle(hold, org, *actual, *returned)?;
                self.absorb(*absorbed)?;
            }
            Event::Release { hold, org, returned, absorbed } => {
                self.settle(hold, org, PicoUsd::ZERO, *returned)?;
                self.absorb(*absorbed)?;
            }
            Event::Expire { hold, org, returned } => {
                self.settle(hold, org, PicoUsd::ZERO, *returned)?;
            }
            Event::Narrow { hold, org, budgets } => self.narrow(hold, org, budgets)?,
        }
        self.applied_seq = entry.seq;
        Ok(())
    }

    fn org(&mut self, name: &Arc<str>) -> &mut Org {
        self.orgs.entry(Arc::clone(name)).or_default()
    }

    fn remember(&mut self, id: TransferId, entry: &Entry) -> Result<(), Inconsistent> {
        match self.posted.insert(id, entry.clone()) {
            None => Ok(()),
            Some(_) => Err(Inconsistent("the transfer id was already used")),
        }
    }

    fn adjust(
        &mut self,
        org: &Arc<str>,
        direction: Direction,
        amount: PicoUsd,
    ) -> Result<(), Inconsistent> {
        let credit = &mut self.org(org).credit;
        match direction {
            Direction::Credit => {
                *credit = plus(*credit, amount)?;
                self.platform.adjusted_up = plus(self.platform.adjusted_up, amount)?;
            }
            Direction::Debit => {
                *credit = minus(*credit, amount)?;
                self.platform.adjusted_down = plus(self.platform.adjusted_down, amount)?;
            }
        }
        Ok(())
    }

    fn hold(&mut self, entry: &Entry) -> Result<(), Inconsistent> {
        let Event::Hold { id, org, amount, expires_at_ms, budgets } = &entry.event else {
            return Err(Inconsistent("not a hold"));
        };
        let book = self.org(org);
        book.credit = minus(book.credit, *amount)?;
        book.held = plus(book.held, *amount)?;
        for budget in budgets.iter() {
            self.budgets.hold(budget, *amount)?;
        }
        let hold = Hold {
            seq: entry.seq,
            at_ms: entry.at_ms,
            org: Arc::clone(org),
            reserved: *amount,
            amount: *amount,
            expires_at_ms: *expires_at_ms,
            budgets: Arc::clone(budgets),
        };
        if self.holds.insert(*id, hold).is_some() {
            return Err(Inconsistent("the hold was already open"));
        }
        self.due.insert((*expires_at_ms, *id));
        Ok(())
    }

    fn extend(
        &mut self,
        id: &TransferId,
        org: &Arc<str>,
        extra: PicoUsd,
        expires_at_ms: u64,
    ) -> Result<(), Inconsistent> {
        let book = self.orgs.get_mut(org).ok_or(Inconsistent("no such organization"))?;
        book.credit = minus(book.credit, extra)?;
        book.held = plus(book.held, extra)?;
        let hold = self.holds.get_mut(id).ok_or(Inconsistent("no such open hold"))?;
        if hold.org != *org {
            return Err(Inconsistent("the hold is another organization's"));
        }
        for budget in hold.budgets.iter() {
            self.budgets.extend(budget, extra)?;
        }
        hold.amount = plus(hold.amount, extra)?;
        self.due.remove(&(hold.expires_at_ms, *id));
        hold.expires_at_ms = expires_at_ms;
        self.due.insert((expires_at_ms, *id));
        Ok(())
    }

    /// Lets a hold count on some of its budgets only.
    fn narrow(
        &mut self,
        id: &TransferId,
        org: &Arc<str>,
        kept: &Arc<[BudgetWindow]>,
    ) -> Result<(), Inconsistent> {
        let hold = self.holds.get_mut(id).ok_or(Inconsistent("no such open hold"))?;
        if hold.org != *org {
            return Err(Inconsistent("the hold is another organization's"));
        }
        if kept.iter().any(|at| !hold.budgets.contains(at)) {
            return Err(Inconsistent("the hold does not count on that budget"));
        }
        for budget in hold.budgets.iter().filter(|at| !kept.contains(at)) {
            self.budgets.settle(budget, hold.amount, PicoUsd::ZERO)?;
        }
        hold.budgets = Arc::clone(kept);
        Ok(())
    }

    /// Ends a hold: `actual` is spent, `returned` goes back, and together they are all of it.
    fn settle(
        &mut self,
        id: &TransferId,
        org: &Arc<str>,
        actual: PicoUsd,
        returned: PicoUsd,
    ) -> Result<(), Inconsistent> {
        let hold = self.holds.remove(id).ok_or(Inconsistent("no such open hold"))?;
        if hold.org != *org {
            return Err(Inconsistent("the hold is another organization's"));
        }
        if plus(actual, returned)? != hold.amount {
            return Err(Inconsistent("what was taken and returned is not what was held"));
        }
        self.due.remove(&(hold.expires_at_ms, *id));
        let book = self.orgs.get_mut(org).ok_or(Inconsistent("no such organization"))?;
        book.held = minus(book.held, hold.amount)?;
        book.credit = plus(book.credit, returned)?;
        book.spent = plus(book.spent, actual)?;
        self.platform.earned = plus(self.platform.earned, actual)?;
        for budget in hold.budgets.iter() {
            self.budgets.settle(budget, hold.amount, actual)?;
        }
        Ok(())
    }

    fn absorb(&mut self, amount: PicoUsd) -> Result<(), Inconsistent> {
        self.platform.absorbed = plus(self.platform.absorbed, amount)?;
        Ok(())
    }

    /// Every account with its balance in signed pico-dollars. The balances add up to zero.
    pub(crate) fn accounts(&self) -> Result<BTreeMap<Account, i128>, Inconsistent> {
        let mut accounts = BTreeMap::new();
        for (org, balances) in &self.orgs {
            accounts.insert(Account::Credit(Arc::clone(org)), signed(balances.credit)?);
            accounts.insert(Account::Held(Arc::clone(org)), signed(balances.held)?);
        }
        for (channel, total) in &self.channels {
            let owed = signed(*total)?.checked_neg().ok_or(Inconsistent("overflow"))?;
            accounts.insert(Account::TopUp(Arc::clone(channel)), owed);
        }
        let difference = |more, less| -> Result<i128, Inconsistent> {
            signed(more)?.checked_sub(signed(less)?).ok_or(Inconsistent("overflow"))
        };
        let Platform { earned, absorbed, adjusted_up, adjusted_down } = self.platform;
        accounts.insert(Account::Revenue, difference(earned, absorbed)?);
        accounts.insert(Account::Absorbed, signed(absorbed)?);
        accounts.insert(Account::Adjustment, difference(adjusted_down, adjusted_up)?);
        Ok(accounts)
    }
}

/// An amount as a signed number.
pub(crate) fn signed(amount: PicoUsd) -> Result<i128, Inconsistent> {
    i128::try_from(amount.0).map_err(|_| Inconsistent("an amount overflows"))
}

fn plus(left: PicoUsd, right: PicoUsd) -> Result<PicoUsd, Inconsistent> {
    left.checked_add(right).ok_or(Inconsistent("an amount overflows"))
}

fn minus(left: PicoUsd, right: PicoUsd) -> Result<PicoUsd, Inconsistent> {
    left.checked_sub(right).ok_or(Inconsistent("an account would be overdrawn"))
}
