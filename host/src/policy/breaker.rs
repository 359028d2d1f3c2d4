//! Stops asking a policy that keeps failing: after a few failures within a minute it is skipped,
//! each time longer; after the pause one call tries it, and a success makes good. Knows no clock;
//! times are passed in.

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
/// How long the call that tries it again keeps the others away; should it be given up in the
/// middle, the next one tries.
const TRIAL_MS: u64 = 2_000;

/// Whether a call may ask the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may.
    Open,
    /// It may, as the one that finds out whether the policy has recovered.
    Trial,
    /// It may not, for so many milliseconds.
    Shut(u64),
}

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

    /// Lets a call through, or not. After a pause the first to ask is the trial.
    pub(super) fn gate(&self, now_ms: u64) -> Gate {
        let until = self.suspended_until_ms.load(Ordering::Relaxed);
        if until == 0 {
            return Gate::Open;
        }
        if until > now_ms {
            return Gate::Shut(until.saturating_sub(now_ms));
        }
        let next = now_ms.saturating_add(TRIAL_MS);
        let claimed = self.suspended_until_ms.compare_exchange(
            until,
            next,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        match claimed {
            Ok(_) => Gate::Trial,
            // Another call tries it, or has just made good.
            Err(0) => Gate::Open,
            Err(until) => Gate::Shut(until.saturating_sub(now_ms).max(1)),
        }
    }

    /// Counts a failure that the policy is to blame for; whether it is suspended by it.
    pub(super) fn failed(&self, now_ms: u64, because: &str, gate: Gate) -> bool {
        self.touched.store(true, Ordering::Relaxed);
        let mut history = self.history.lock();
        // A call that began before the pause says nothing new.
        if gate != Gate::Trial && self.suspended_for_ms(now_ms).is_some() {
            return false;
        }
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

    /// Forgets everything after a trial that went well, or once the window has passed. Within the
    /// window failures keep counting: a policy that fails every second request must not go on for
    /// ever.
    pub(super) fn succeeded(&self, now_ms: u64, gate: Gate) {
        let mut history = self.history.lock();
        let in_window = now_ms.saturating_sub(history.window_start_ms) <= WINDOW_MS;
        // In a pause other calls than the trial began before it; they prove nothing.
        if gate != Gate::Trial && (in_window || history.pause_ms > 0) {
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

    fn suspended(at_ms: u64) -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert_eq!(breaker.gate(at_ms), Gate::Open);
            breaker.failed(at_ms, "trap", Gate::Open);
        }
        breaker
    }

    #[test]
    fn a_few_failures_suspend_and_the_pause_doubles() {
        let breaker = Breaker::default();
        for _ in 1..FAILURES_MAX {
            breaker.failed(1_000_000, "trap", Gate::Open);
        }
        assert_eq!(breaker.gate(1_000_000), Gate::Open);
        breaker.failed(1_000_000, "trap: unreachable", Gate::Open);
        assert_eq!(breaker.gate(1_000_000), Gate::Shut(PAUSE_FIRST_MS));
        let suspension = breaker.suspension(1_000_000).unwrap();
        assert_eq!(suspension.until_ms, 1_000_000 + PAUSE_FIRST_MS);
        assert_eq!(suspension.because, "trap: unreachable");
        assert_eq!(breaker.gate(1_002_000), Gate::Trial);
        breaker.failed(1_002_000, "trap", Gate::Trial);
        assert_eq!(breaker.gate(1_002_000), Gate::Shut(2 * PAUSE_FIRST_MS));
    }

    #[test]
    fn one_call_at_a_time_tries_it_again() {
        let breaker = suspended(1_000_000);
        assert_eq!(breaker.gate(1_001_000), Gate::Trial);
        assert_eq!(breaker.gate(1_001_000), Gate::Shut(TRIAL_MS));
        // The first was given up in the middle.
        assert_eq!(breaker.gate(1_001_000 + TRIAL_MS), Gate::Trial);
        breaker.succeeded(1_003_500, Gate::Trial);
        assert_eq!(breaker.gate(1_003_500), Gate::Open);
        assert!(!breaker.is_touched());
    }

    #[test]
    fn calls_from_before_the_pause_neither_prolong_nor_end_it() {
        let breaker = suspended(1_000_000);
        breaker.failed(1_000_100, "trap", Gate::Open);
        breaker.succeeded(1_000_200, Gate::Open);
        assert_eq!(breaker.gate(1_000_200), Gate::Shut(PAUSE_FIRST_MS - 200));
    }

    #[test]
    fn old_failures_do_not_count() {
        let breaker = Breaker::default();
        for minute in 0..20 {
            breaker.failed(1_000_000 + minute * (WINDOW_MS + 1), "trap", Gate::Open);
        }
        assert_eq!(breaker.gate(1_000_000 + 20 * WINDOW_MS), Gate::Open);
        breaker.succeeded(1_000_000 + 22 * WINDOW_MS, Gate::Open);
        assert!(!breaker.is_touched());
    }

    #[test]
    fn alternating_failures_still_suspend() {
        let breaker = Breaker::default();
        for step in 0..u64::from(FAILURES_MAX) {
            breaker.failed(1_000_000 + step, "trap", Gate::Open);
            breaker.succeeded(1_000_000 + step, Gate::Open);
        }
        assert!(breaker.suspended_for_ms(1_000_010).is_some());
    }

    #[test]
    fn a_success_after_the_pause_makes_good() {
        let breaker = suspended(1_000_000);
        assert_eq!(breaker.gate(1_002_000), Gate::Trial);
        breaker.succeeded(1_002_000, Gate::Trial);
        assert!(!breaker.is_touched());
        breaker.failed(1_003_000, "trap", Gate::Open);
        assert_eq!(breaker.gate(1_003_000), Gate::Open);
    }

    #[test]
    fn the_pause_has_an_end() {
        let breaker = suspended(1_000_000);
        let mut now_ms = 1_000_000;
        for _ in 0..20 {
            now_ms += PAUSE_MAX_MS + TRIAL_MS;
            assert_eq!(breaker.gate(now_ms), Gate::Trial);
            breaker.failed(now_ms, "trap", Gate::Trial);
        }
        assert_eq!(breaker.gate(now_ms), Gate::Shut(PAUSE_MAX_MS));
    }
}
