//! The breaker of one credential at one offer: opens after failures in a row, lets one probe
//! through when its rest is over, and keeps count of the requests that the provider allows. Never
//! reads a clock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::Gate;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerRule {
    pub failures: u32,
    pub open_ms: u64,
}

/// Times are milliseconds since the epoch, 0 for never.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures_in_a_row: AtomicU32,
    /// 0 while closed.
    open_until_ms: AtomicU64,
    /// Until when the one probe of a half-open breaker has the floor.
    probe_until_ms: AtomicU64,
    /// Until when its last word is that we are over its rate limit.
    limited_until_ms: AtomicU64,
    /// Requests that the provider still takes until then.
    left: AtomicU64,
    left_until_ms: AtomicU64,
}

/// What a breaker allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Closed,
    HalfOpen,
    Open { until_ms: u64 },
}

// === impl Standing ===

impl Standing {
    /// Of two credentials what the better one allows.
    pub(super) fn better(self, other: Self) -> Self {
        match (self, other) {
            (Self::Closed, _) | (_, Self::Closed) => Self::Closed,
            (Self::HalfOpen, _) | (_, Self::HalfOpen) => Self::HalfOpen,
            (Self::Open { until_ms }, Self::Open { until_ms: other_ms }) => {
                Self::Open { until_ms: until_ms.min(other_ms) }
            }
        }
    }

    pub(super) fn gate(self) -> Gate {
        match self {
            Self::Closed => Gate::Closed,
            Self::HalfOpen => Gate::HalfOpen,
            Self::Open { until_ms } => Gate::Open { until_ms },
        }
    }
}

// === impl Breaker ===

impl Breaker {
    pub(super) fn standing(&self, now_ms: u64) -> Standing {
        let until_ms = self.open_until_ms.load(Ordering::Relaxed);
        if until_ms == 0 {
            return match self.allowance(now_ms) {
                Some((0, until_ms)) => Standing::Open { until_ms },
                _ => Standing::Closed,
            };
        }
        if now_ms < until_ms {
            return Standing::Open { until_ms };
        }
        let probe_ms = self.probe_until_ms.load(Ordering::Relaxed);
        if now_ms < probe_ms { Standing::Open { until_ms: probe_ms } } else { Standing::HalfOpen }
    }

    /// Takes the floor of a half-open breaker; false when it is not, or another has it.
    pub(super) fn probe(&self, now_ms: u64, rule: BreakerRule) -> bool {
        if self.standing(now_ms) != Standing::HalfOpen {
            return false;
        }
        let seen = self.probe_until_ms.load(Ordering::Acquire);
        let floor = now_ms.saturating_add(rule.open_ms);
        let taken =
            self.probe_until_ms.compare_exchange(seen, floor, Ordering::AcqRel, Ordering::Relaxed);
        now_ms >= seen && taken.is_ok()
    }

    /// A request is sent: one less is allowed.
    pub(super) fn take(&self) {
        if self.left_until_ms.load(Ordering::Relaxed) > 0 {
            let one_less = |left: u64| left.checked_sub(1);
            // Nothing is left to take when that fails; the next look sees it.
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok();
        }
    }

    pub(super) fn failed(&self, now_ms: u64, rule: BreakerRule) {
        let failures = self.failures_in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.limited_until_ms.store(0, Ordering::Relaxed);
        if failures >= rule.failures {
            self.rest(now_ms.saturating_add(rule.open_ms));
        }
    }

    /// It answered. Whether it was open before.
    pub(super) fn close(&self) -> bool {
        self.failures_in_a_row.store(0, Ordering::Relaxed);
        let was_open = self.open_until_ms.swap(0, Ordering::Relaxed) != 0;
        self.probe_until_ms.store(0, Ordering::Relaxed);
        self.limited_until_ms.store(0, Ordering::Relaxed);
        was_open
    }

    /// A probe that told nothing gives the floor to the next one.
    pub(super) fn yield_floor(&self) {
        self.probe_until_ms.store(0, Ordering::Relaxed);
    }

    pub(super) fn rest(&self, until_ms: u64) {
        self.open_until_ms.store(until_ms, Ordering::Relaxed);
        self.probe_until_ms.store(0, Ordering::Relaxed);
    }

    pub(super) fn limited(&self) {
        let until_ms = self.open_until_ms.load(Ordering::Relaxed);
        self.limited_until_ms.store(until_ms, Ordering::Relaxed);
    }

    pub(super) fn allow(&self, requests: u64, until_ms: u64) {
        self.left.store(requests, Ordering::Relaxed);
        self.left_until_ms.store(until_ms, Ordering::Relaxed);
    }

    /// Requests that are allowed still, and until when that holds; `None` where nobody said.
    pub(super) fn allowance(&self, now_ms: u64) -> Option<(u64, u64)> {
        let until_ms = self.left_until_ms.load(Ordering::Relaxed);
        (now_ms < until_ms).then(|| (self.left.load(Ordering::Relaxed), until_ms))
    }

    pub(super) fn is_limited(&self, now_ms: u64) -> bool {
        now_ms < self.limited_until_ms.load(Ordering::Relaxed)
            || self.allowance(now_ms).is_some_and(|(left, _)| left == 0)
    }

    pub(super) fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row.load(Ordering::Relaxed)
    }
}
