//! Requests that have begun and are not recorded yet. A request belongs to the hour in which it
//! began, so that hour's sums are not complete before its last request is recorded, however long
//! that runs. Knows nothing of a request but whose it is and when it began.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::rollup::hour_of;

/// For how long an hour that is over is waited with: a request that began within it may not have
/// come as far as to be known here.
const LATE_MS: u64 = 1_000;

/// How many there are, by organization and the hour in which they began.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Mutex<BTreeMap<(Arc<str>, u64), u64>>);

/// A request that has begun. Dropped, it is among the records, or never will be.
#[derive(Debug)]
pub struct Unrecorded {
    under_way: Arc<UnderWay>,
    of: (Arc<str>, u64),
}

// === impl UnderWay ===

impl UnderWay {
    /// A request of an organization begins.
    pub(super) fn begin(self: &Arc<Self>, org: &Arc<str>, at_ms: u64) -> Unrecorded {
        let of = (Arc::clone(org), hour_of(at_ms));
        let mut counts = self.0.lock();
        let count = counts.entry(of.clone()).or_default();
        *count = count.saturating_add(1);
        drop(counts);
        Unrecorded { under_way: Arc::clone(self), of }
    }

    /// The end of the hours of an organization in which nothing is under way any more: the full
    /// hour of now, or that in which its oldest request began.
    pub(super) fn complete_to(&self, org: &str, now_ms: u64) -> u64 {
        let running_ms = hour_of(now_ms.saturating_sub(LATE_MS));
        let first: (Arc<str>, u64) = (org.into(), 0);
        let counts = self.0.lock();
        let oldest = counts.range(first..).next();
        let oldest = oldest.filter(|((of, _), _)| **of == *org).map(|((_, hour_ms), _)| *hour_ms);
        oldest.map_or(running_ms, |hour_ms| hour_ms.min(running_ms))
    }
}

// === impl Unrecorded ===

impl Drop for Unrecorded {
    fn drop(&mut self) {
        let mut counts = self.under_way.0.lock();
        let Some(count) = counts.get_mut(&self.of) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&self.of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn an_hour_is_complete_when_it_is_over_and_all_that_began_in_it_is_recorded() {
        let under_way = Arc::new(UnderWay::default());
        let (acme, beta) = (Arc::from("acme"), Arc::from("beta"));
        let now_ms = 10 * HOUR_MS + 5_000;
        let complete = |org| under_way.complete_to(org, now_ms) / HOUR_MS;
        assert_eq!(complete("acme"), 10);
        let long = under_way.begin(&acme, 7 * HOUR_MS + 3);
        let twin = under_way.begin(&acme, 7 * HOUR_MS + 9);
        let late = under_way.begin(&acme, 9 * HOUR_MS);
        let running = under_way.begin(&beta, now_ms);
        assert_eq!((complete("acme"), complete("beta"), complete("aaa")), (7, 10, 10));
        drop(long);
        assert_eq!(complete("acme"), 7, "the other of that hour");
        drop(twin);
        assert_eq!(complete("acme"), 9);
        drop((late, running));
        assert_eq!(complete("acme"), 10);
        assert!(under_way.0.lock().is_empty(), "nothing is kept of what has ended");
        let at_once = under_way.complete_to("acme", 10 * HOUR_MS + 10);
        assert_eq!(at_once, 9 * HOUR_MS, "what has just begun may not be known");
    }
}
