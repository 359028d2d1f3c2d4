//! How many requests may have a rival asked beside the offer that is slow: a tenth of the recent
//! ones, since where everybody is slow a rival for each would make it worse. Never picks a rival.

use std::sync::atomic::{AtomicU32, Ordering};

/// One hedge is earned by so many requests.
const REQUESTS_PER_HEDGE: u32 = 10;
/// Hedges that can be saved up, and that there are at the start.
const SAVED_MAX: u32 = 10;

/// Requests that no hedge was spent for yet, at most those of the hedges that can be saved up.
#[derive(Debug)]
pub struct HedgeBudget(AtomicU32);

impl Default for HedgeBudget {
    fn default() -> Self {
        Self(AtomicU32::new(SAVED_MAX * REQUESTS_PER_HEDGE))
    }
}

impl HedgeBudget {
    /// A request is asked.
    pub fn earn(&self) {
        self.save(1);
    }

    /// A hedge that was taken asked nobody.
    pub fn give_back(&self) {
        self.save(REQUESTS_PER_HEDGE);
    }

    fn save(&self, requests: u32) {
        let most = SAVED_MAX * REQUESTS_PER_HEDGE;
        let more = |saved: u32| (saved < most).then(|| saved.saturating_add(requests).min(most));
        // Nothing to write where it is full.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok();
    }

    /// Takes one hedge; false where none is left.
    pub fn take(&self) -> bool {
        let less = |saved: u32| saved.checked_sub(REQUESTS_PER_HEDGE);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_a_tenth_of_the_requests_is_hedged() {
        let budget = HedgeBudget::default();
        assert_eq!((0..20).filter(|_| budget.take()).count(), 10, "what was saved up");
        let hedged = (0..1_000).filter(|_| {
            budget.earn();
            budget.take()
        });
        assert_eq!(hedged.count(), 100);
        budget.give_back();
        assert!(budget.take() && !budget.take(), "one that asked nobody");
        (0..1_000).for_each(|_| budget.earn());
        assert_eq!((0..20).filter(|_| budget.take()).count(), 10, "no more is saved up");
    }
}
