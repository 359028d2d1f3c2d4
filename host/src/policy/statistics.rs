//! What a binding did since it is there: calls, failures, how long they took, and for one that is
//! tried beside another how often the two agreed. Counters and facts; never content. Lives in
//! memory and dies with the revision.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::failure::FailureKind;

/// Buckets per doubling: a percentile is at most a quarter too high.
const PARTS: u32 = 4;
/// Buckets in all: 2^24 µs is longer than any call may take.
const BUCKETS: usize = 24 * 4;
/// Differing decisions that are kept for a look.
const EXAMPLES_MAX: usize = 8;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Statistics {
    calls: AtomicU64,
    fallbacks: AtomicU64,
    failures: [AtomicU64; FailureKind::ALL.len()],
    took: [AtomicU64; BUCKETS],
    compared: Mutex<Compared>,
}

impl Default for Statistics {
    fn default() -> Self {
        let zero = |_| AtomicU64::new(0);
        Self {
            calls: AtomicU64::new(0),
            fallbacks: AtomicU64::new(0),
            failures: std::array::from_fn(zero),
            took: std::array::from_fn(zero),
            compared: Mutex::default(),
        }
    }
}

/// The numbers at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Calls, failed ones included; not those that a breaker kept away.
    pub calls: u64,
    /// How often the built-in (or nobody) decided in its place.
    pub fallbacks: u64,
    /// Failures and abstentions by [`FailureKind::label`], without those that never happened.
    pub failures: Vec<(&'static str, u64)>,
    /// Microseconds that half of the calls took at most, fresh instances included.
    pub p50_us: u64,
    /// Microseconds that 99 of 100 calls took at most.
    pub p99_us: u64,
    /// What came of the comparisons.
    pub compared: Compared,
}

/// Decisions of two policies on the same facts, added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compared {
    /// Calls that were compared.
    pub calls: u64,
    /// Those that came to the same decision.
    pub agreed: u64,
    /// Those that could not be compared, because the policy that ran beside failed.
    pub failed: u64,
    /// Those that were left out, because too many were waiting, or the text was too long.
    pub left_out: u64,
    /// The sum of differences: of difficulty, or the mean difference of scores of a call.
    pub score_difference: f64,
    /// What the decisions in force cost, in pico-US-dollars.
    pub current_pico: u128,
    /// What those of the tried policy cost.
    pub tried_pico: u128,
    /// The latest that differed, oldest first.
    pub examples: VecDeque<Difference>,
}

/// Two decisions that differ, in labels and numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The request's id.
    pub request: String,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What the policy in force decided.
    pub current: String,
    /// What the tried one decided.
    pub tried: String,
}

/// One comparison.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) agreed: bool,
    pub(super) score_difference: f64,
    pub(super) current_pico: u128,
    pub(super) tried_pico: u128,
    pub(super) example: Difference,
}

// === impl Statistics ===

impl Statistics {
    /// Counts a call of the policy.
    pub(super) fn called(&self, micros: u32, failure: Option<FailureKind>) {
        if let Some(kind) = failure {
            if let Some(count) = self.failures.get(kind.index()) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            if kind == FailureKind::Suspended {
                return;
            }
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(bucket) = self.took.get(bucket(micros)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a decision that somebody else made in its place.
    pub(super) fn fell_back(&self) {
        self.fallbacks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn compared(&self, outcome: Outcome) {
        let mut sum = self.compared.lock();
        sum.calls = sum.calls.saturating_add(1);
        sum.score_difference += outcome.score_difference;
        sum.current_pico = sum.current_pico.saturating_add(outcome.current_pico);
        sum.tried_pico = sum.tried_pico.saturating_add(outcome.tried_pico);
        if outcome.agreed {
            sum.agreed = sum.agreed.saturating_add(1);
            return;
        }
        if sum.examples.len() >= EXAMPLES_MAX {
            sum.examples.pop_front();
        }
        sum.examples.push_back(outcome.example);
    }

    pub(super) fn comparison_failed(&self) {
        let mut sum = self.compared.lock();
        sum.failed = sum.failed.saturating_add(1);
    }

    pub(super) fn comparison_left_out(&self) {
        let mut sum = self.compared.lock();
        sum.left_out = sum.left_out.saturating_add(1);
    }

    /// The numbers now.
    pub(super) fn tally(&self) -> Tally {
        let took: Vec<u64> = self.took.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let failures = FailureKind::ALL.iter().zip(&self.failures);
        let failures = failures.map(|(kind, count)| (kind.label(), count.load(Ordering::Relaxed)));
        Tally {
            calls: self.calls.load(Ordering::Relaxed),
            fallbacks: self.fallbacks.load(Ordering::Relaxed),
            failures: failures.filter(|(_, count)| *count > 0).collect(),
            p50_us: percentile(&took, 50),
            p99_us: percentile(&took, 99),
            compared: self.compared.lock().clone(),
        }
    }
}

/// A quarter of a doubling each; the first are one microsecond each.
fn bucket(micros: u32) -> usize {
    let last = BUCKETS.saturating_sub(1);
    if micros < PARTS {
        return usize::try_from(micros).unwrap_or(last);
    }
    let doublings = micros.ilog2();
    // The two bits behind the highest one.
    let part = (micros >> doublings.saturating_sub(2)) & 3;
    let at = doublings.saturating_sub(1).saturating_mul(PARTS).saturating_add(part);
    usize::try_from(at).unwrap_or(last).min(last)
}

/// The greatest number of microseconds that falls into a bucket.
fn upper(bucket: usize) -> u64 {
    let at = u32::try_from(bucket).unwrap_or(u32::MAX);
    if at < PARTS {
        return at.into();
    }
    let doublings = (at / PARTS).saturating_add(1);
    let next = u64::from(at % PARTS).saturating_add(5);
    next.checked_shl(doublings.saturating_sub(2)).unwrap_or(u64::MAX).saturating_sub(1)
}

fn percentile(counts: &[u64], percent: u64) -> u64 {
    let all = counts.iter().copied().fold(0, u64::saturating_add);
    let rank = all.saturating_mul(percent).div_ceil(100);
    let mut seen = 0_u64;
    for (bucket, count) in counts.iter().enumerate() {
        seen = seen.saturating_add(*count);
        if seen >= rank && seen > 0 {
            return upper(bucket);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_the_bucket_that_bounds_it() {
        for micros in (0..5_000).chain([1 << 20, 3 << 20]) {
            let at = bucket(micros);
            assert!(upper(at) >= u64::from(micros), "{micros}");
            assert!(at == 0 || upper(at - 1) < u64::from(micros), "{micros}");
        }
        assert_eq!(bucket(u32::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_and_failures_add_up() {
        let statistics = Statistics::default();
        for micros in 1..=100 {
            statistics.called(micros, None);
        }
        statistics.called(7, Some(FailureKind::Trap));
        statistics.called(0, Some(FailureKind::Suspended));
        let tally = statistics.tally();
        assert_eq!(tally.calls, 101, "a suspended policy was not called");
        assert_eq!(tally.failures, [("trap", 1), ("suspended", 1)]);
        assert!((50..=63).contains(&tally.p50_us), "{}", tally.p50_us);
        assert!((99..=127).contains(&tally.p99_us), "{}", tally.p99_us);
        assert_eq!(Statistics::default().tally().p99_us, 0);
    }

    #[test]
    fn examples_are_bounded_and_sums_exact() {
        let statistics = Statistics::default();
        for at_ms in 0..100 {
            statistics.compared(Outcome {
                agreed: at_ms % 2 == 0,
                score_difference: 0.5,
                current_pico: 3,
                tried_pico: 1,
                example: Difference {
                    request: "r".to_owned(),
                    at_ms,
                    current: "a".to_owned(),
                    tried: "b".to_owned(),
                },
            });
        }
        let Compared { calls, agreed, current_pico, tried_pico, examples, .. } =
            statistics.tally().compared;
        assert_eq!((calls, agreed, current_pico, tried_pico), (100, 50, 300, 100));
        assert_eq!(examples.len(), EXAMPLES_MAX);
        assert_eq!(examples.back().map(|one| one.at_ms), Some(99));
    }
}
