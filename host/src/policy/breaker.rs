//! Stops asking a policy that keeps failing: after a few failures within a minute it is skipped,
//! each time longer, and one success makes good. Knows no clock; times are passed in.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Failures within the window that suspend the policy: enough not to punish a single bad request.
const FAILURES_MAX: u32 = 5;
/// The window in which failures count.
const WINDOW_MS: u64 = 60_000;
/// The first pause; it doubles each time.
const PAUSE_FIRST_MS: u64 = 1_000;
/// The longest pause, so that a repaired dependency is noticed within minutes.
const PAUSE_MAX_MS: u64 = 300_000;

/// One per binding revision.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Whether anything failed lately; lets the hot path skip the clock and the lock.
    touched: AtomicBool,
    suspended_until_ms: AtomicU64,
    history: Mutex<History>,
}

#[derive(Debug, Default)]
struct History {
    failures: u32,
    window_start_ms: u64,
    pause_ms: u64,
    /// The host's words about the last failure.
    because: String,
}

/// A policy that is not asked for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Milliseconds since the Unix epoch.
    pub until_ms: u64,
    /// The failure that was one too many, in the host's words.
    pub because: String,
}

impl Breaker {
    /// Whether there is anything to look at; false needs no clock.
    pub(super) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Milliseconds until the policy is asked again, if it is suspended.
    pub(super) fn suspended_for_ms(&self, now_ms: u64) -> Option<u64> {
        let until = self.suspended_until_ms.load(Ordering::Relaxed);
        until.checked_sub(now_ms).filter(|left| *left > 0)
    }

    /// The suspension in force, and why.
    pub(super) fn suspension(&self, now_ms: u64) -> Option<Suspension> {
        let left = self.suspended_for_ms(now_ms)?;
        let because = self.history.lock().because.clone();
        Some(Suspension { until_ms: now_ms.saturating_add(left), because })
    }

    /// Counts a failure that the policy is to blame for; whether it is suspended by it.
    pub(super) fn failed(&self, now_ms: u64, because: &str) -> bool {
        self.touched.store(true, Ordering::Relaxed);
        let mut history = self.history.lock();
        if now_ms.saturating_sub(history.window_start_ms) > WINDOW_MS {
            history.window_start_ms = now_ms;
            history.failures = 0;
        }
        history.failures = history.failures.saturating_add(1);
        because.clone_into(&mut history.because);
        // After a pause a single failure is enough to suspend it again.
        if history.failures < FAILURES_MAX && history.pause_ms == 0 {
            return false;
        }
        let pause = match history.pause_ms {
            0 => PAUSE_FIRST_MS,
            last => last.saturating_mul(2).min(PAUSE_MAX_MS),
        };
        history.pause_ms = pause;
        history.failures = 0;
        self.suspended_until_ms.store(now_ms.saturating_add(pause), Ordering::Relaxed);
        true
    }

    /// Forgets everything after a call that went well, once the window has passed or a pause is
    /// over. Within the window failures keep counting: a policy that fails every second request
    /// must not go on for ever.
    pub(super) fn succeeded(&self, now_ms: u64) {
        let mut history = self.history.lock();
        let in_window = now_ms.saturating_sub(history.window_start_ms) <= WINDOW_MS;
        // During a pause only calls that began before it can succeed; they prove nothing.
        if in_window && history.pause_ms == 0 || self.suspended_for_ms(now_ms).is_some() {
            return;
        }
        *history = History::default();
        self.suspended_until_ms.store(0, Ordering::Relaxed);
        self.touched.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_failures_suspend_and_the_pause_doubles() {
        let breaker = Breaker::default();
        for _ in 1..FAILURES_MAX {
            breaker.failed(1_000_000, "trap");
        }
        assert_eq!(breaker.suspended_for_ms(1_000_000), None);
        breaker.failed(1_000_000, "trap: unreachable");
        assert_eq!(breaker.suspended_for_ms(1_000_000), Some(PAUSE_FIRST_MS));
        let suspension = breaker.suspension(1_000_000).unwrap();
        assert_eq!(suspension.until_ms, 1_000_000 + PAUSE_FIRST_MS);
        assert_eq!(suspension.because, "trap: unreachable");
        assert_eq!(breaker.suspended_for_ms(1_000_000 + PAUSE_FIRST_MS), None);
        breaker.failed(1_002_000, "trap");
        assert_eq!(breaker.suspended_for_ms(1_002_000), Some(2 * PAUSE_FIRST_MS));
    }

    #[test]
    fn old_failures_do_not_count() {
        let breaker = Breaker::default();
        for minute in 0..20 {
            breaker.failed(1_000_000 + minute * (WINDOW_MS + 1), "trap");
        }
        assert_eq!(breaker.suspended_for_ms(1_000_000 + 20 * WINDOW_MS), None);
    }

    #[test]
    fn alternating_failures_still_suspend() {
        let breaker = Breaker::default();
        for step in 0..u64::from(FAILURES_MAX) {
            breaker.failed(1_000_000 + step, "trap");
            breaker.succeeded(1_000_000 + step);
        }
        assert!(breaker.suspended_for_ms(1_000_010).is_some());
    }

    #[test]
    fn a_success_after_the_pause_makes_good() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            breaker.failed(1_000_000, "trap");
        }
        breaker.succeeded(1_002_000);
        assert!(!breaker.is_touched());
        breaker.failed(1_003_000, "trap");
        assert_eq!(breaker.suspended_for_ms(1_003_000), None);
    }

    #[test]
    fn the_pause_has_an_end() {
        let breaker = Breaker::default();
        for step in 0..100 {
            breaker.failed(1_000_000 + step, "trap");
        }
        assert!(breaker.suspended_for_ms(1_000_099).is_some_and(|left| left <= PAUSE_MAX_MS));
    }
}
