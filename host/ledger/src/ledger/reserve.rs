//! Setting money aside: credit and every budget, all or none, in one step under one lock, so that
//! no number of callers at once can pass a limit.

use std::sync::Arc;

use crate::entry::{BudgetWindow, Event, TransferId};
use crate::error::ReserveError;
use crate::ledger::Ledger;
use crate::ledger::post::{AMOUNT_MAX, NAME_BYTES_MAX};
use crate::ledger::shared::{HOLDS_MAX, State};
use crate::money::PicoUsd;

/// Budgets of one hold: a few periods each of organization, team, project, user, key, of up to
/// sixteen tags, and of the models that may answer.
const BUDGETS_PER_HOLD_MAX: usize = 128;

/// What to set aside.
#[derive(Debug, Clone, Copy)]
pub struct Reserve<'a> {
    /// The caller's id, by which the hold is extended and settled.
    pub id: TransferId,
    /// Whose credit.
    pub org: &'a str,
    /// Every budget it counts on, with its current window.
    pub budgets: &'a [(&'a str, u64)],
    /// The worst case; may be nothing.
    pub amount: PicoUsd,
    /// Now, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// When the hold may be expired if nobody has settled it.
    pub expires_at_ms: u64,
}

/// An open hold.
#[must_use = "a hold has to be captured or released, or it blocks the money until it expires"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldRef {
    /// The hold.
    pub id: TransferId,
    /// The entry that made or extended it.
    pub seq: u64,
    /// What is held now.
    pub amount: PicoUsd,
    /// False when the same was asked for before and nothing was booked.
    pub new: bool,
}

// === impl Ledger ===

impl Ledger {
    /// Sets the worst case of a request aside: on the credit and on every budget, or on none.
    ///
    /// # Errors
    /// Nothing was changed. `InsufficientCredit`, `BudgetExceeded`, `UnknownBudget`,
    /// `WindowClosed`, `AlreadyUsed`, `NotDurable`, `DiskFull`, `Overloaded` or `Invalid`.
    pub fn reserve(&self, request: &Reserve<'_>) -> Result<HoldRef, ReserveError> {
        check_limits(request)?;
        let state = self.shared.state.lock();
        if let Some(hold) = known(&state, request)? {
            return Ok(hold);
        }
        ready(&state)?;
        state.has_space().map_err(ReserveError::DiskFull)?;
        if state.book.holds.len() >= HOLDS_MAX {
            return Err(ReserveError::Overloaded);
        }
        let Reserve { id, org, budgets, amount, at_ms, expires_at_ms } = *request;
        let book = &state.book;
        book.fits(org, budgets.iter().copied(), amount)?;
        let named = budgets.iter().map(|(budget, window)| BudgetWindow {
            budget: book.budget_name(budget),
            window: *window,
        });
        let budgets: Arc<[BudgetWindow]> = named.collect();
        let org = book.org_name(org);
        let event = Event::Hold { id, org, amount, expires_at_ms, budgets };
        let seq = self.shared.post(state, at_ms, event).map_err(ReserveError::NotDurable)?;
        Ok(HoldRef { id, seq, amount, new: true })
    }

    /// Grows a hold to `total`, and lets it live until `expires_at_ms` if that is later. Asking for
    /// no more than is held is no error, so it can be repeated. All or none, as reserving. A full
    /// disk does not refuse it: a request under way can come to its end.
    ///
    /// # Errors
    /// Nothing was changed. As for [`Ledger::reserve`], and `Unknown`.
    pub fn extend_to(
        &self,
        id: TransferId,
        total: PicoUsd,
        expires_at_ms: u64,
        at_ms: u64,
    ) -> Result<HoldRef, ReserveError> {
        check_amount(total)?;
        let state = self.shared.state.lock();
        ready(&state)?;
        let hold = state.book.holds.get(&id).ok_or(ReserveError::Unknown(id))?;
        let extra = total.saturating_sub(hold.amount);
        if extra.is_zero() && expires_at_ms <= hold.expires_at_ms {
            return Ok(HoldRef { id, seq: hold.seq, amount: hold.amount, new: false });
        }
        let expires_at_ms = expires_at_ms.max(hold.expires_at_ms);
        let budgets = hold.budgets.iter().map(|at| (&*at.budget, at.window));
        state.book.fits(&hold.org, budgets, extra)?;
        let (org, amount) = (Arc::clone(&hold.org), hold.amount.saturating_add(extra));
        let event = Event::Extend { hold: id, org, extra, expires_at_ms };
        let seq = self.shared.post(state, at_ms, event).map_err(ReserveError::NotDurable)?;
        Ok(HoldRef { id, seq, amount, new: true })
    }

    /// Lets a hold count only on those of its budgets that `keep` names: what it held on the
    /// others is free there again, and nothing of what is captured is counted there. Repeating it
    /// books nothing.
    ///
    /// # Errors
    /// Nothing was changed. `Unknown` or `NotDurable`.
    pub fn narrow(
        &self,
        id: TransferId,
        keep: impl Fn(&str) -> bool,
        at_ms: u64,
    ) -> Result<HoldRef, ReserveError> {
        let state = self.shared.state.lock();
        state.accepting().map_err(ReserveError::NotDurable)?;
        let hold = state.book.holds.get(&id).ok_or(ReserveError::Unknown(id))?;
        let (seq, amount, before) = (hold.seq, hold.amount, hold.budgets.len());
        let kept: Arc<[BudgetWindow]> =
            hold.budgets.iter().filter(|at| keep(&at.budget)).cloned().collect();
        if kept.len() == before {
            return Ok(HoldRef { id, seq, amount, new: false });
        }
        let event = Event::Narrow { hold: id, org: Arc::clone(&hold.org), budgets: kept };
        let seq = self.shared.post(state, at_ms, event).map_err(ReserveError::NotDurable)?;
        Ok(HoldRef { id, seq, amount, new: true })
    }
}

/// The hold, if the same was reserved before and is still open.
fn known(state: &State, request: &Reserve<'_>) -> Result<Option<HoldRef>, ReserveError> {
    let id = request.id;
    let used = state.settled.get(&id).is_some() || state.book.posted.contains_key(&id);
    let Some(hold) = state.book.holds.get(&id) else {
        return if used { Err(ReserveError::AlreadyUsed(id)) } else { Ok(None) };
    };
    let budgets = hold.budgets.iter().map(|at| (&*at.budget, at.window));
    let same = &*hold.org == request.org
        && hold.reserved == request.amount
        && budgets.eq(request.budgets.iter().copied());
    if !same {
        return Err(ReserveError::AlreadyUsed(id));
    }
    Ok(Some(HoldRef { id, seq: hold.seq, amount: hold.amount, new: false }))
}

fn ready(state: &State) -> Result<(), ReserveError> {
    state.accepting().map_err(ReserveError::NotDurable)?;
    if state.behind() { Err(ReserveError::Overloaded) } else { Ok(()) }
}

fn check_amount(amount: PicoUsd) -> Result<(), ReserveError> {
    if amount > AMOUNT_MAX {
        return Err(ReserveError::Invalid("the amount is over 10^15 USD"));
    }
    Ok(())
}

fn check_limits(request: &Reserve<'_>) -> Result<(), ReserveError> {
    check_amount(request.amount)?;
    if !(1..=NAME_BYTES_MAX).contains(&request.org.len()) {
        return Err(ReserveError::Invalid("the organization's name is empty or over 128 bytes"));
    }
    if request.budgets.len() > BUDGETS_PER_HOLD_MAX {
        return Err(ReserveError::Invalid("a hold counts on at most 128 budgets"));
    }
    let mut rest = request.budgets;
    while let Some((first, others)) = rest.split_first() {
        if others.iter().any(|other| other.0 == first.0) {
            return Err(ReserveError::Invalid("a budget is named twice"));
        }
        rest = others;
    }
    Ok(())
}
