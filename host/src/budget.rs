//! Sets money aside before a provider is asked and settles it afterwards: the worst case of a plan,
//! the clamp when it can't be afforded, and the hold that returns by itself. Where money is kept is
//! the ledger's business; what an answer costs is the bill policy's.

mod allowance;
mod hold;

use std::sync::Arc;

use turnpike_ledger::{Ledger, PicoUsd, Reserve, ReserveError};

use crate::error::Refusal;

pub use allowance::give_allowance;
pub use hold::{Hold, Settlement};

/// Output tokens that one request is held for when neither the caller nor the catalogue says how
/// long an answer may be.
pub const OUTPUT_TOKENS_UNKNOWN: u32 = 8_192;

/// Whose money, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Payer<'a> {
    pub org: &'a str,
    /// What it counts on.
    pub budgets: &'a [Counted<'a>],
    pub id: uuid::Uuid,
    pub at_ms: u64,
    pub expires_at_ms: u64,
}

/// A budget in the window that a request falls into.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// The ledger's id of it.
    pub id: &'a str,
    /// The ledger's number of the window.
    pub window: u64,
    /// Whose spending it counts, for the words of a refusal.
    pub scope: &'a str,
    /// When the next window begins, in milliseconds since the Unix epoch; none for a total budget.
    pub ends_ms: Option<u64>,
}

/// What can be set aside for this payer now, from credit and every budget together.
pub fn affordable(ledger: &Ledger, payer: &Payer<'_>) -> PicoUsd {
    ledger.affordable(payer.org, &windows(payer))
}

fn windows<'a>(payer: &Payer<'a>) -> Vec<(&'a str, u64)> {
    payer.budgets.iter().map(|budget| (budget.id, budget.window)).collect()
}

/// Why nothing was set aside.
#[derive(Debug)]
pub struct Refused {
    /// What the caller is told.
    pub refusal: Box<Refusal>,
    /// The budget that has too little left, by the ledger's id.
    pub budget: Option<Arc<str>>,
}

/// Sets `amount` aside on the credit and on every budget, all or none.
pub fn reserve(ledger: &Arc<Ledger>, payer: &Payer<'_>, amount: PicoUsd) -> Result<Hold, Refused> {
    let id = turnpike_ledger::TransferId(payer.id.into_bytes());
    let request = Reserve {
        id,
        org: payer.org,
        budgets: &windows(payer),
        amount,
        at_ms: payer.at_ms,
        expires_at_ms: payer.expires_at_ms,
    };
    match ledger.reserve(&request) {
        Ok(_) => Ok(Hold::new(Arc::clone(ledger), id, amount, payer.expires_at_ms)),
        Err(error) => {
            let held = ledger.balance(payer.org).held;
            let refusal = Box::new(refusal(&error, (amount, held), payer));
            let budget = match error {
                ReserveError::BudgetExceeded { budget, .. } => Some(budget),
                _ => None,
            };
            Err(Refused { refusal, budget })
        }
    }
}

fn refusal(error: &ReserveError, (amount, held): (PicoUsd, PicoUsd), payer: &Payer<'_>) -> Refusal {
    let needed = amount.to_string();
    match error {
        ReserveError::InsufficientCredit { available }
            if available.saturating_add(held) >= amount =>
        {
            Refusal::credit_is_held(&available.to_string(), &held.to_string(), &needed)
        }
        ReserveError::InsufficientCredit { available } => {
            Refusal::insufficient_credit(&available.to_string(), &needed)
        }
        ReserveError::BudgetExceeded { budget, remaining } => {
            let refused = payer.budgets.iter().find(|counted| *counted.id == **budget);
            let (scope, ends_ms) =
                refused.map_or((&**budget, None), |counted| (counted.scope, counted.ends_ms));
            let left = remaining.to_string();
            Refusal::budget_exceeded(scope, &left, &needed, ends_ms, payer.at_ms)
        }
        ReserveError::NotDurable(_) | ReserveError::DiskFull(_) | ReserveError::Overloaded => {
            Refusal::ledger_unavailable()
        }
        ReserveError::UnknownBudget(_)
        | ReserveError::WindowClosed { .. }
        | ReserveError::AlreadyUsed(_)
        | ReserveError::Unknown(_)
        | ReserveError::Invalid(_) => {
            tracing::error!(%error, "the ledger refused a reservation that should be possible");
            Refusal::internal()
        }
    }
}

/// The largest output limit whose worst case fits into `affordable`. `quote` gives the worst case
/// of an output limit and grows with it. `None` when even `floor` tokens are too dear.
pub fn clamp(
    asked: u32,
    floor: u32,
    affordable: PicoUsd,
    mut quote: impl FnMut(u32) -> Option<PicoUsd>,
) -> Option<u32> {
    let mut fits = |tokens: u32| quote(tokens).is_some_and(|cost| cost <= affordable);
    let floor = floor.min(asked).max(1);
    if !fits(floor) {
        return None;
    }
    let (mut low, mut high) = (floor, asked);
    while low < high {
        let middle = low.saturating_add(high.saturating_sub(low).div_ceil(2));
        if fits(middle) {
            low = middle;
        } else {
            high = middle.saturating_sub(1);
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten_each(tokens: u32) -> Option<PicoUsd> {
        Some(PicoUsd(100 + 10 * u128::from(tokens)))
    }

    #[test]
    fn the_clamp_is_the_largest_limit_that_fits() {
        assert_eq!(clamp(1000, 1, PicoUsd(100 + 10 * 77), ten_each), Some(77));
        assert_eq!(clamp(1000, 1, PicoUsd(100 + 10 * 77 + 9), ten_each), Some(77));
        assert_eq!(clamp(50, 1, PicoUsd(100_000), ten_each), Some(50));
    }

    #[test]
    fn below_the_floor_there_is_no_clamp() {
        assert_eq!(clamp(1000, 256, PicoUsd(100 + 10 * 255), ten_each), None);
        assert_eq!(clamp(1000, 256, PicoUsd(100 + 10 * 256), ten_each), Some(256));
    }

    #[test]
    fn who_asks_for_less_than_the_floor_gets_what_was_asked() {
        assert_eq!(clamp(16, 256, PicoUsd(100 + 10 * 16), ten_each), Some(16));
    }

    #[test]
    fn an_unknown_price_is_never_affordable() {
        assert_eq!(clamp(16, 1, PicoUsd(u128::MAX), |_| None), None);
    }
}
