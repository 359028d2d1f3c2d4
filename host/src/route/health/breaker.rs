//! The breaker of one credential at one offer: opens after failures in a row, lets one probe
//! through when its rest is over, rests longer after each probe that fails, and keeps count of what
//! the provider allows. Never reads a clock.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::Gate;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerRule {
    pub failures: u32,
    /// Twice as long after a probe that failed.
    pub open_ms: u64,
}

/// In times of the usual rest, that after a probe that failed: so late at most an outage's end is
/// noticed. Longer would spare hardly a request, and keep everybody from what is well again.
const REST_AFTER_PROBE: u64 = 2;
/// The longest rest for a rate limit of which nothing is said.
const BACKED_OFF_MS_MAX: u64 = 60_000;
/// How long a probe's refusal rests that came without a word on how long.
const UNSAID_REST_MS: u64 = 1_000;
/// Failures are counted in halves.
const WHOLE: u32 = 2;

/// Times are milliseconds since the epoch, 0 for never.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// In halves.
    failures_in_a_row: AtomicU32,
    /// Refusals that are about the credential: over its rate limit, no credit.
    withheld_in_a_row: AtomicU32,
    /// Rests in a row for such refusals that came without a word on how long.
    backed_off_in_a_row: AtomicU32,
    /// 0 while closed.
    open_until_ms: AtomicU64,
    /// When it was last told to rest: what began before says nothing of it since.
    opened_at_ms: AtomicU64,
    failed_probes: AtomicU32,
    /// Its last probe was answered without a word.
    came_empty: AtomicBool,
    /// Until when the one probe of a half-open breaker has the floor.
    probe_until_ms: AtomicU64,
    /// Until when its last word is that we are over its rate limit.
    limited_until_ms: AtomicU64,
    /// Requests that the provider still takes until then.
    left: AtomicU64,
    left_until_ms: AtomicU64,
    /// The same of tokens.
    tokens_left: AtomicU64,
    tokens_until_ms: AtomicU64,
}

/// What a breaker allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Closed,
    HalfOpen,
    Open { until_ms: u64 },
}

/// How much a failure counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Half,
    Whole,
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

    /// Takes the floor of a half-open breaker for as long as an answer should take to begin, and
    /// one rest more. The end of that time, by which it is given back; `None` when the breaker is
    /// not half-open, or another has the floor. A probe that has kept it to that end has failed.
    pub(super) fn probe(&self, now_ms: u64, rule: BreakerRule, patience_ms: u64) -> Option<u64> {
        if self.standing(now_ms) != Standing::HalfOpen {
            return None;
        }
        self.take_floor(now_ms, rule, patience_ms)
    }

    /// The same where it was half-open a moment ago. Whoever has taken the floor since keeps it to
    /// the end that it was given: put off here, it could not be given back by it.
    fn take_floor(&self, now_ms: u64, rule: BreakerRule, patience_ms: u64) -> Option<u64> {
        let seen = self.probe_until_ms.load(Ordering::Acquire);
        if now_ms < seen {
            return None;
        }
        let failed = self.failed_probes.load(Ordering::Relaxed).saturating_add(u32::from(seen > 0));
        let floor_ms = now_ms.saturating_add(patience_ms).saturating_add(rest_ms(rule, failed));
        let taken = self.probe_until_ms.compare_exchange(
            seen,
            floor_ms,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        taken.ok()?;
        self.failed_probes.store(failed, Ordering::Relaxed);
        Some(floor_ms)
    }

    /// The probe that has the floor until then is over: the next may have it.
    pub(super) fn yield_floor(&self, floor_ms: u64) {
        // Where that fails somebody else has it, or the breaker has closed or rests.
        let (expected, free) = (floor_ms, 0);
        let order = Ordering::Relaxed;
        self.probe_until_ms.compare_exchange(expected, free, order, order).ok();
    }

    /// A request of so many tokens is sent: so much less is allowed.
    pub(super) fn take(&self, tokens: u64) {
        if self.left_until_ms.load(Ordering::Relaxed) > 0 {
            let one_less = |left: u64| left.checked_sub(1);
            // Nothing is left to take when that fails; the next look sees it.
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok();
        }
        if self.tokens_until_ms.load(Ordering::Relaxed) > 0 {
            let less = |left: u64| Some(left.saturating_sub(tokens));
            self.tokens_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok();
        }
    }

    /// An attempt that began at `began_ms` failed.
    pub(super) fn failed(&self, began_ms: u64, now_ms: u64, weight: Weight, rule: BreakerRule) {
        if self.is_news_from_before(began_ms) {
            return;
        }
        let halves = if weight == Weight::Half { 1 } else { WHOLE };
        let failures = self.failures_in_a_row.fetch_add(halves, Ordering::Relaxed);
        let failures = failures.saturating_add(halves);
        self.limited_until_ms.store(0, Ordering::Relaxed);
        if self.is_over_its_rest(now_ms) {
            let failed = self.failed_probes.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            self.rest(now_ms.saturating_add(rest_ms(rule, failed)), now_ms);
        } else if failures >= rule.failures.saturating_mul(WHOLE) {
            self.rest(now_ms.saturating_add(rule.open_ms), now_ms);
        }
    }

    /// An attempt that began at `began_ms` was refused for its credential. How long it rests for
    /// that is for the provider to say, or else for [`Breaker::back_off`].
    pub(super) fn withheld(&self, began_ms: u64) {
        if self.is_news_from_before(began_ms) {
            return;
        }
        self.withheld_in_a_row.fetch_add(1, Ordering::Relaxed);
        self.limited_until_ms.store(0, Ordering::Relaxed);
    }

    /// The provider did not say for how long: one such refusal says little of other requests, after
    /// several it rests, each time twice as long. What was sent with those that made it rest is
    /// refused with them, and says no more than they did.
    pub(super) fn back_off(&self, began_ms: u64, now_ms: u64, rule: BreakerRule) {
        if self.is_news_from_before(began_ms) {
            return;
        }
        if self.withheld_in_a_row.load(Ordering::Relaxed) >= rule.failures {
            let before = self.backed_off_in_a_row.fetch_add(1, Ordering::Relaxed);
            self.rest(now_ms.saturating_add(backed_off_ms(rule, before)), now_ms);
        } else if self.open_until_ms.load(Ordering::Relaxed) != 0 {
            self.rest(now_ms.saturating_add(UNSAID_REST_MS), now_ms);
        }
    }

    /// An attempt that began at `began_ms` answered. Whether that closes it.
    pub(super) fn answered(&self, began_ms: u64) -> bool {
        if self.is_news_from_before(began_ms) {
            return false;
        }
        // Nearly always there is nothing to write.
        let Self { failures_in_a_row, withheld_in_a_row, backed_off_in_a_row, .. } = self;
        let withheld = [withheld_in_a_row, backed_off_in_a_row];
        for count in withheld.into_iter().chain([failures_in_a_row, &self.failed_probes]) {
            if count.load(Ordering::Relaxed) != 0 {
                count.store(0, Ordering::Relaxed);
            }
        }
        if self.open_until_ms.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.probe_until_ms.store(0, Ordering::Relaxed);
        self.limited_until_ms.store(0, Ordering::Relaxed);
        self.came_empty.store(false, Ordering::Relaxed);
        self.open_until_ms.swap(0, Ordering::Relaxed) != 0
    }

    /// Opens until then, or for longer where it was told so before.
    pub(super) fn rest(&self, until_ms: u64, now_ms: u64) {
        self.open_until_ms.fetch_max(until_ms, Ordering::Relaxed);
        self.opened_at_ms.store(now_ms, Ordering::Relaxed);
        self.probe_until_ms.store(0, Ordering::Relaxed);
        self.came_empty.store(false, Ordering::Relaxed);
    }

    /// An attempt that began at `began_ms` was answered without a word. A prompt may have brought
    /// that about, so it neither opens nor closes; but whom it answered as its probe has shown what
    /// may be expected of it.
    pub(super) fn came_empty(&self, began_ms: u64, now_ms: u64) {
        if self.is_over_its_rest(now_ms) && !self.is_news_from_before(began_ms) {
            self.came_empty.store(true, Ordering::Relaxed);
        }
    }

    /// Whether its rest is over and no probe has come to its end since.
    pub(super) fn is_untried(&self, now_ms: u64) -> bool {
        self.standing(now_ms) == Standing::HalfOpen && !self.came_empty.load(Ordering::Relaxed)
    }

    pub(super) fn limited(&self) {
        let until_ms = self.open_until_ms.load(Ordering::Relaxed);
        self.limited_until_ms.store(until_ms, Ordering::Relaxed);
    }

    pub(super) fn allow(&self, requests: u64, until_ms: u64) {
        self.left.store(requests, Ordering::Relaxed);
        self.left_until_ms.store(until_ms, Ordering::Relaxed);
    }

    pub(super) fn allow_tokens(&self, tokens: u64, until_ms: u64) {
        self.tokens_left.store(tokens, Ordering::Relaxed);
        self.tokens_until_ms.store(until_ms, Ordering::Relaxed);
    }

    /// Requests that are allowed still, and until when that holds; `None` where nobody said.
    pub(super) fn allowance(&self, now_ms: u64) -> Option<(u64, u64)> {
        let until_ms = self.left_until_ms.load(Ordering::Relaxed);
        (now_ms < until_ms).then(|| (self.left.load(Ordering::Relaxed), until_ms))
    }

    /// Whether the provider has said that it has no room for so many tokens now.
    pub(super) fn lacks_tokens(&self, tokens: u64, now_ms: u64) -> bool {
        now_ms < self.tokens_until_ms.load(Ordering::Relaxed)
            && self.tokens_left.load(Ordering::Relaxed) < tokens
    }

    pub(super) fn is_limited(&self, now_ms: u64) -> bool {
        now_ms < self.limited_until_ms.load(Ordering::Relaxed)
            || self.allowance(now_ms).is_some_and(|(left, _)| left == 0)
    }

    pub(super) fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row.load(Ordering::Relaxed) / WHOLE
    }

    /// Whether an attempt began before this was told to rest, and says nothing of the time since.
    fn is_news_from_before(&self, began_ms: u64) -> bool {
        self.open_until_ms.load(Ordering::Relaxed) != 0
            && began_ms < self.opened_at_ms.load(Ordering::Relaxed)
    }

    /// Whether it is half-open, a probe under way or not.
    fn is_over_its_rest(&self, now_ms: u64) -> bool {
        let until_ms = self.open_until_ms.load(Ordering::Relaxed);
        until_ms != 0 && now_ms >= until_ms
    }
}

/// How long a breaker rests after so many probes in a row that failed.
fn rest_ms(rule: BreakerRule, failed_probes: u32) -> u64 {
    if failed_probes == 0 { rule.open_ms } else { rule.open_ms.saturating_mul(REST_AFTER_PROBE) }
}

/// The same for a rate limit after so many such rests in a row: whoever asks too often has to ask
/// less and less.
fn backed_off_ms(rule: BreakerRule, before: u32) -> u64 {
    let doubled = 1_u64.checked_shl(before).unwrap_or(u64::MAX);
    rule.open_ms.saturating_mul(doubled).min(BACKED_OFF_MS_MAX.max(rule.open_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: BreakerRule = BreakerRule { failures: 1, open_ms: 1_000 };
    const PATIENCE_MS: u64 = 20_000;

    fn half_open() -> Breaker {
        let breaker = Breaker::default();
        breaker.rest(1_000, 0);
        breaker
    }

    #[test]
    fn who_comes_second_leaves_the_floor_to_whom_it_was_given() {
        let breaker = half_open();
        let first = breaker.probe(1_000, RULE, PATIENCE_MS).unwrap();
        // As one does that found it half-open in the same moment.
        assert_eq!(breaker.take_floor(1_000, RULE, PATIENCE_MS), None);
        assert_eq!(breaker.standing(1_000), Standing::Open { until_ms: first });
        assert_eq!(breaker.failed_probes.load(Ordering::Relaxed), 0, "none has failed");
        breaker.yield_floor(first);
        assert_eq!(breaker.standing(1_000), Standing::HalfOpen, "the next may have it");
    }

    #[test]
    fn of_many_at_once_one_has_the_floor_and_can_give_it_back() {
        for _ in 0..200 {
            let breaker = half_open();
            let floors: Vec<Option<u64>> = std::thread::scope(|scope| {
                let ask = || breaker.probe(1_000, RULE, PATIENCE_MS);
                let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
                asking.into_iter().map(|it| it.join().unwrap()).collect()
            });
            let floors: Vec<u64> = floors.into_iter().flatten().collect();
            assert_eq!(floors.len(), 1, "{floors:?}");
            breaker.yield_floor(floors[0]);
            assert_eq!(breaker.standing(1_000), Standing::HalfOpen);
        }
    }
}
