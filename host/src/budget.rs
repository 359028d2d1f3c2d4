//! Sets money aside before a provider is asked and settles it afterwards: the worst case of a plan,
//! the clamp when it can't be afforded, and the hold that returns by itself. Where money is kept is
//! the ledger's business; what an answer costs is the bill policy's.

mod allowance;
mod hold;
mod search;
mod shortfall;

use std::sync::Arc;

use turnpike_ledger::{Ledger, PicoUsd, Reserve, ReserveError};

use crate::error::Refusal;

pub use allowance::give_allowance;
pub use hold::{Hold, Settlement};
pub use search::Search;
pub use shortfall::{Counter, Shortfall, UsedUp, shortfall};

/// Output tokens that one request is held for when neither the caller nor the catalogue says how
/// long an answer may be.
pub const OUTPUT_TOKENS_UNKNOWN: u32 = 8_192;

/// An answer that is longer than most: a request gets room for so much of it, if there is the money
/// at all, also where that is more than its share.
pub const ANSWER_TOKENS_ENOUGH: u32 = 4_096;

/// An answer that hardly one is as long as. The limit of an offer is not cut below it because of
/// the budget of another model, which might be asked after it.
pub const ANSWER_TOKENS_LONG: u32 = 16_384;

/// Of what is free, one request holds no more than one such part (decision 043): what most models
/// could write at most is hundreds of times what they write, and who held all of it would keep
/// everybody else out.
const SHARES: u128 = 4;

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
pub enum NotHeld {
    /// The credit or a budget has less than that by now: somebody else was quicker since it was
    /// looked at.
    Short(Counter),
    /// What the caller is told.
    Refused(Box<Refusal>),
}

/// Sets `amount` aside on the credit and on every budget, all or none.
pub fn reserve(ledger: &Arc<Ledger>, payer: &Payer<'_>, amount: PicoUsd) -> Result<Hold, NotHeld> {
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
        Err(ReserveError::InsufficientCredit { .. }) => Err(NotHeld::Short(Counter::Credit)),
        Err(ReserveError::BudgetExceeded { .. }) => Err(NotHeld::Short(Counter::Budget)),
        Err(error) => Err(NotHeld::Refused(Box::new(refusal(&error)))),
    }
}

fn refusal(error: &ReserveError) -> Refusal {
    match error {
        ReserveError::NotDurable(_) | ReserveError::DiskFull(_) | ReserveError::Overloaded => {
            Refusal::ledger_unavailable()
        }
        ReserveError::InsufficientCredit { .. }
        | ReserveError::BudgetExceeded { .. }
        | ReserveError::UnknownBudget(_)
        | ReserveError::WindowClosed { .. }
        | ReserveError::AlreadyUsed(_)
        | ReserveError::Unknown(_)
        | ReserveError::Invalid(_) => {
            tracing::error!(%error, "the ledger refused a reservation that should be possible");
            Refusal::internal()
        }
    }
}

/// The longest answer, up to `asked`, that one request may have of what is `free`: one within its
/// share, so that others can run beside it; where that is less than what is enough for most
/// answers, as much as that or all there is. `None` when even `floor` tokens are too dear. `quote`
/// gives the worst case of an output limit and grows with it.
pub fn length(
    asked: u32,
    floor: u32,
    free: PicoUsd,
    mut quote: impl FnMut(u32) -> Option<PicoUsd>,
) -> Option<u32> {
    let enough = ANSWER_TOKENS_ENOUGH.max(floor).min(asked);
    clamp(asked, enough, share(free), &mut quote).or_else(|| clamp(enough, floor, free, quote))
}

/// What one request may hold of what is free without a further look.
pub fn share(free: PicoUsd) -> PicoUsd {
    PicoUsd(free.0 / SHARES)
}

/// Whether one request may hold so much of what is free for an answer of so many tokens: its share,
/// or what is no more than enough.
pub fn is_modest((tokens, amount): (u32, PicoUsd), free: PicoUsd) -> bool {
    amount <= share(free) || (tokens <= ANSWER_TOKENS_ENOUGH && amount <= free)
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
    fn one_request_gets_its_share_and_room_for_most_answers_in_any_case() {
        let free = |tokens: u128| PicoUsd(100 + 10 * tokens);
        assert_eq!(length(128_000, 256, PicoUsd(400_400), ten_each), Some(10_000), "a quarter");
        assert_eq!(length(128_000, 256, free(9_000), ten_each), Some(ANSWER_TOKENS_ENOUGH));
        assert_eq!(length(128_000, 256, free(3_000), ten_each), Some(3_000), "all there is");
        assert_eq!(length(2_000, 256, free(3_000), ten_each), Some(2_000), "as it was asked for");
        assert_eq!(length(128_000, 256, free(256), ten_each), Some(256));
        assert_eq!(length(128_000, 256, free(255), ten_each), None);
        assert_eq!(length(128_000, 6_000, free(5_999), ten_each), None, "a floor above that");
    }

    #[test]
    fn whoever_asks_for_no_limit_leaves_room_for_those_beside_it() {
        let (mut left, mut served) = (PicoUsd(100 + 10 * 100_000), 0);
        while let Some(tokens) = length(128_000, 256, left, ten_each) {
            assert!(tokens >= ANSWER_TOKENS_ENOUGH || served >= 10, "{served}: {tokens}");
            left = left.saturating_sub(ten_each(tokens).unwrap());
            served += 1;
        }
        assert!(served >= 10, "{served} at a time");
    }

    #[test]
    fn an_unknown_price_is_never_affordable() {
        assert_eq!(clamp(16, 1, PicoUsd(u128::MAX), |_| None), None);
    }
}
