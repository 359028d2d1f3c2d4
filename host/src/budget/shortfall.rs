//! Which counter is too short for an amount, and whether that passes: what requests under way hold
//! comes back, most of it; what is spent does not. Only looks; the ledger decides.

use std::sync::Arc;

use turnpike_ledger::{Ledger, PicoUsd};

use super::{Counted, Payer};
use crate::error::Refusal;

/// What money is counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// The organization's credit.
    Credit,
    /// One of the budgets.
    Budget,
}

/// Why an amount can't be set aside.
#[derive(Debug)]
pub struct Shortfall {
    /// What the caller is told.
    pub refusal: Box<Refusal>,
    /// The budget that would not do even if nothing of it were held.
    pub used_up: Option<UsedUp>,
}

/// A budget that is used up, as it was when that was seen: a moment later it may be set to more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedUp {
    /// The ledger's id of it.
    pub budget: Arc<str>,
    /// The ledger's number of the window.
    pub window: u64,
    pub limit: PicoUsd,
    pub spent: PicoUsd,
}

// === impl Shortfall ===

impl Shortfall {
    /// Whether it is only for what others hold.
    pub fn passes(&self) -> bool {
        !self.refusal.final_word
    }
}

/// What is short of `needed`. What would be short with nothing held goes before what only others
/// hold; of equals the credit first, then the budgets in their order. Where nothing is short any
/// more, it is `before` that was.
pub fn shortfall(
    ledger: &Ledger,
    payer: &Payer<'_>,
    needed: PicoUsd,
    before: Counter,
) -> Shortfall {
    let text = needed.to_string();
    let credit = ledger.balance(payer.org);
    let mut held: Option<Refusal> = None;
    if credit.available < needed {
        let available = credit.available.to_string();
        if credit.available.saturating_add(credit.held) < needed {
            let refusal = Box::new(Refusal::insufficient_credit(&available, &text));
            return Shortfall { refusal, used_up: None };
        }
        held = Some(Refusal::credit_is_held(&available, &credit.held.to_string(), &text));
    }
    for Counted { id, window, scope, ends_ms } in payer.budgets {
        let Some(state) = ledger.budget(id, *window) else { continue };
        let Some(limit) = state.limit else { continue };
        let whole = limit.saturating_sub(state.spent);
        let left = whole.saturating_sub(state.held);
        if whole < needed {
            let left = left.to_string();
            let refusal = Refusal::budget_exceeded(scope, &left, &text, *ends_ms, payer.at_ms);
            let (budget, spent) = (Arc::from(*id), state.spent);
            let used_up = Some(UsedUp { budget, window: *window, limit, spent });
            return Shortfall { refusal: Box::new(refusal), used_up };
        }
        if left < needed && held.is_none() {
            let (left, by_others) = (left.to_string(), state.held.to_string());
            held = Some(Refusal::budget_is_held(scope, &left, &by_others, &text));
        }
    }
    let refusal = held.unwrap_or_else(|| match before {
        Counter::Budget => Refusal::budget_in_use(&text),
        Counter::Credit => Refusal::credit_in_use(&text),
    });
    Shortfall { refusal: Box::new(refusal), used_up: None }
}
