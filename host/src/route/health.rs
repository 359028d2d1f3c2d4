//! Live statistics and the breaker of each offer, in memory. Written after every attempt, read
//! before every choice; a lost sample is harmless, so plain atomics do. Never reads a clock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Weight of a new sample in the moving averages: about the last ten attempts count.
const SAMPLE_WEIGHT: f64 = 0.2;
/// Fewer tokens than this say nothing about the speed.
const SPEED_TOKENS_MIN: u64 = 16;
/// Assumed until there is a sample: a middling hosted model.
const FIRST_TOKEN_MS_UNKNOWN: f64 = 700.0;
const TOKENS_PER_SECOND_UNKNOWN: f64 = 60.0;
/// The 95th percentile is estimated from the mean and the mean deviation.
const P95_DEVIATIONS: f64 = 2.0;

/// How an attempt went, as far as the offer's health is concerned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sample {
    /// It answered. Times in milliseconds; `tokens_per_second` 0 when too short to tell.
    Answered { first_token_ms: f64, tokens_per_second: f64 },
    /// It failed in a way that says something about the provider.
    Failed,
    /// It ended for a reason that says nothing about the provider (caller gone, caller's fault).
    Neutral,
}

impl Sample {
    /// An answer of `tokens` whose first token came after `first_ms` and whose last after
    /// `total_ms`. Too short an answer says nothing about the speed.
    pub fn answered(first_ms: u64, tokens: u64, total_ms: u64) -> Self {
        let small = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let writing_ms = small(total_ms.saturating_sub(first_ms));
        let tokens_per_second = if tokens >= SPEED_TOKENS_MIN && writing_ms > 0.0 {
            small(tokens) * 1000.0 / writing_ms
        } else {
            0.0
        };
        Self::Answered { first_token_ms: small(first_ms), tokens_per_second }
    }
}

/// What is known of one offer now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    pub first_token_ms: f64,
    pub first_token_p95_ms: f64,
    pub tokens_per_second: f64,
    /// 0 to 1.
    pub availability: f64,
    pub in_flight: u32,
}

/// Whether an offer may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Closed,
    /// Its rest is over: one request may try it.
    HalfOpen,
    /// Resting until this time, milliseconds since the epoch.
    Open {
        until_ms: u64,
    },
}

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerRule {
    pub failures: u32,
    pub open_ms: u64,
}

/// Statistics of all offers, by their index in the configured catalogue.
#[derive(Debug)]
pub struct Health {
    offers: Box<[OfferHealth]>,
    rule: BreakerRule,
}

#[derive(Debug)]
struct OfferHealth {
    first_token_ms: Average,
    first_token_deviation_ms: Average,
    tokens_per_second: Average,
    availability: Average,
    in_flight: AtomicU32,
    failures_in_a_row: AtomicU32,
    /// 0 while closed.
    open_until_ms: AtomicU64,
    /// Until when the one probe of a half-open breaker has the floor.
    probe_until_ms: AtomicU64,
    /// Until when its last word is that we are over its rate limit.
    limited_until_ms: AtomicU64,
}

/// A moving average; the bits of NaN until the first sample.
#[derive(Debug)]
struct Average(AtomicU64);

impl Average {
    fn unknown() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }

    fn get(&self, unknown: f64) -> f64 {
        let value = f64::from_bits(self.0.load(Ordering::Relaxed));
        if value.is_nan() { unknown } else { value }
    }

    /// The same, where an offer that nothing is known of is believed to be at `start`: one failure
    /// alone must not count as an offer that always fails.
    fn add_from(&self, start: f64, sample: f64) {
        let old = self.get(start);
        self.0.store((old + SAMPLE_WEIGHT * (sample - old)).to_bits(), Ordering::Relaxed);
    }

    fn add(&self, sample: f64) {
        let old = f64::from_bits(self.0.load(Ordering::Relaxed));
        let new = if old.is_nan() { sample } else { old + SAMPLE_WEIGHT * (sample - old) };
        self.0.store(new.to_bits(), Ordering::Relaxed);
    }
}

/// Counts an attempt as in flight until dropped.
#[derive(Debug)]
pub struct InFlight {
    health: std::sync::Arc<Health>,
    offer: usize,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(offer) = self.health.offers.get(self.offer) {
            offer.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Health {
    /// Statistics for `offers` offers, all unknown, all breakers closed.
    pub fn new(offers: usize, rule: BreakerRule) -> Self {
        let one = || OfferHealth {
            first_token_ms: Average::unknown(),
            first_token_deviation_ms: Average::unknown(),
            tokens_per_second: Average::unknown(),
            availability: Average::unknown(),
            in_flight: AtomicU32::new(0),
            failures_in_a_row: AtomicU32::new(0),
            open_until_ms: AtomicU64::new(0),
            probe_until_ms: AtomicU64::new(0),
            limited_until_ms: AtomicU64::new(0),
        };
        Self { offers: (0..offers).map(|_| one()).collect(), rule }
    }

    /// What is known of an offer.
    pub fn snapshot(&self, offer: usize) -> Snapshot {
        let Some(o) = self.offers.get(offer) else {
            return Snapshot {
                first_token_ms: FIRST_TOKEN_MS_UNKNOWN,
                first_token_p95_ms: FIRST_TOKEN_MS_UNKNOWN,
                tokens_per_second: TOKENS_PER_SECOND_UNKNOWN,
                availability: 1.0,
                in_flight: 0,
            };
        };
        let first = o.first_token_ms.get(FIRST_TOKEN_MS_UNKNOWN);
        Snapshot {
            first_token_ms: first,
            first_token_p95_ms: first + P95_DEVIATIONS * o.first_token_deviation_ms.get(0.0),
            tokens_per_second: o.tokens_per_second.get(TOKENS_PER_SECOND_UNKNOWN),
            availability: o.availability.get(1.0),
            in_flight: o.in_flight.load(Ordering::Relaxed),
        }
    }

    /// Whether the offer may be asked at `now_ms`.
    pub fn gate(&self, offer: usize, now_ms: u64) -> Gate {
        let Some(o) = self.offers.get(offer) else { return Gate::Closed };
        let until_ms = o.open_until_ms.load(Ordering::Relaxed);
        if until_ms == 0 {
            Gate::Closed
        } else if now_ms < until_ms {
            Gate::Open { until_ms }
        } else {
            let probe = o.probe_until_ms.load(Ordering::Relaxed);
            if now_ms < probe { Gate::Open { until_ms: probe } } else { Gate::HalfOpen }
        }
    }

    /// An attempt begins. Under a half-open breaker it becomes the probe: `None` when another
    /// request already is.
    pub fn begin(self: &std::sync::Arc<Self>, offer: usize, now_ms: u64) -> Option<InFlight> {
        let o = self.offers.get(offer)?;
        match self.gate(offer, now_ms) {
            Gate::Closed => {}
            Gate::Open { .. } => return None,
            Gate::HalfOpen => {
                let seen = o.probe_until_ms.load(Ordering::Acquire);
                let floor = now_ms.saturating_add(self.rule.open_ms);
                if now_ms < seen
                    || o.probe_until_ms
                        .compare_exchange(seen, floor, Ordering::AcqRel, Ordering::Relaxed)
                        .is_err()
                {
                    return None;
                }
            }
        }
        o.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(InFlight { health: std::sync::Arc::clone(self), offer })
    }

    /// An attempt has ended.
    pub fn record(&self, offer: usize, sample: Sample, now_ms: u64) {
        let Some(o) = self.offers.get(offer) else { return };
        match sample {
            Sample::Answered { first_token_ms, tokens_per_second } => {
                let expected = o.first_token_ms.get(first_token_ms);
                o.first_token_deviation_ms.add((first_token_ms - expected).abs());
                o.first_token_ms.add(first_token_ms);
                if tokens_per_second > 0.0 {
                    o.tokens_per_second.add(tokens_per_second);
                }
                o.availability.add_from(1.0, 1.0);
                o.failures_in_a_row.store(0, Ordering::Relaxed);
                o.open_until_ms.store(0, Ordering::Relaxed);
                o.probe_until_ms.store(0, Ordering::Relaxed);
                o.limited_until_ms.store(0, Ordering::Relaxed);
            }
            Sample::Failed => {
                o.availability.add_from(1.0, 0.0);
                let failures =
                    o.failures_in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                o.limited_until_ms.store(0, Ordering::Relaxed);
                if failures >= self.rule.failures {
                    let until_ms = now_ms.saturating_add(self.rule.open_ms);
                    o.open_until_ms.store(until_ms, Ordering::Relaxed);
                    o.probe_until_ms.store(0, Ordering::Relaxed);
                }
            }
            // A probe that told nothing gives the floor to the next one.
            Sample::Neutral => o.probe_until_ms.store(0, Ordering::Relaxed),
        }
    }

    /// The provider asked for rest (`retry-after`): the breaker opens for that long.
    pub fn rest(&self, offer: usize, until_ms: u64) {
        if let Some(o) = self.offers.get(offer) {
            o.open_until_ms.store(until_ms, Ordering::Relaxed);
            o.probe_until_ms.store(0, Ordering::Relaxed);
        }
    }

    /// Call after [`Self::record`] where the failure was that we are over the provider's rate
    /// limit: what rests until then does so for that, which is not the same to a caller as an
    /// outage.
    pub fn limited(&self, offer: usize) {
        if let Some(o) = self.offers.get(offer) {
            let until_ms = o.open_until_ms.load(Ordering::Relaxed);
            o.limited_until_ms.store(until_ms, Ordering::Relaxed);
        }
    }

    /// Whether it rests because we are over its rate limit.
    pub fn is_limited(&self, offer: usize, now_ms: u64) -> bool {
        let limited = |o: &OfferHealth| o.limited_until_ms.load(Ordering::Relaxed);
        self.offers.get(offer).is_some_and(|o| now_ms < limited(o))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const RULE: BreakerRule = BreakerRule { failures: 3, open_ms: 1000 };
    const FINE: Sample = Sample::Answered { first_token_ms: 100.0, tokens_per_second: 50.0 };

    #[test]
    fn the_breaker_opens_after_failures_in_a_row_and_one_probe_closes_it() {
        let health = Arc::new(Health::new(1, RULE));
        health.record(0, Sample::Failed, 0);
        health.record(0, Sample::Failed, 0);
        health.record(0, FINE, 0);
        health.record(0, Sample::Failed, 0);
        health.record(0, Sample::Failed, 0);
        assert_eq!(health.gate(0, 0), Gate::Closed, "a success in between starts over");
        health.record(0, Sample::Failed, 0);
        assert_eq!(health.gate(0, 999), Gate::Open { until_ms: 1000 });
        assert!(health.begin(0, 999).is_none());

        let probe = health.begin(0, 1000).expect("the rest is over");
        assert!(health.begin(0, 1001).is_none(), "only one probe at a time");
        drop(probe);
        health.record(0, FINE, 1002);
        assert_eq!(health.gate(0, 1002), Gate::Closed);
    }

    #[test]
    fn a_rest_for_a_rate_limit_is_known_as_one_until_anything_else_is_known() {
        let health = Arc::new(Health::new(1, RULE));
        health.record(0, Sample::Failed, 0);
        health.rest(0, 500);
        health.limited(0);
        assert!(health.is_limited(0, 499));
        assert!(!health.is_limited(0, 500), "the rest is over");
        health.record(0, Sample::Failed, 400);
        assert!(!health.is_limited(0, 499), "it failed in another way");
    }

    #[test]
    fn a_failed_probe_opens_the_breaker_again() {
        let health = Arc::new(Health::new(1, RULE));
        for _ in 0..3 {
            health.record(0, Sample::Failed, 0);
        }
        let _probe = health.begin(0, 1500).unwrap();
        health.record(0, Sample::Failed, 1500);
        assert_eq!(health.gate(0, 2000), Gate::Open { until_ms: 2500 });
    }

    #[test]
    fn a_lost_probe_blocks_nobody_for_longer_than_one_window() {
        let health = Arc::new(Health::new(1, RULE));
        for _ in 0..3 {
            health.record(0, Sample::Failed, 0);
        }
        let _lost = health.begin(0, 1000).unwrap();
        assert!(health.begin(0, 1999).is_none());
        assert!(health.begin(0, 2000).is_some());
    }

    #[test]
    fn in_flight_counts_until_the_attempt_is_dropped() {
        let health = Arc::new(Health::new(1, RULE));
        let one = health.begin(0, 0).unwrap();
        let two = health.begin(0, 0).unwrap();
        assert_eq!(health.snapshot(0).in_flight, 2);
        drop((one, two));
        assert_eq!(health.snapshot(0).in_flight, 0);
    }

    #[test]
    fn statistics_follow_the_samples() {
        let health = Health::new(1, RULE);
        assert!((health.snapshot(0).availability - 1.0).abs() < f64::EPSILON);
        for _ in 0..50 {
            health.record(0, FINE, 0);
        }
        let seen = health.snapshot(0);
        assert!((seen.first_token_ms - 100.0).abs() < 1.0, "{seen:?}");
        health.record(0, Sample::Failed, 0);
        assert!(health.snapshot(0).availability < 0.9);
        let new = Health::new(1, RULE);
        new.record(0, Sample::Failed, 0);
        assert!(new.snapshot(0).availability > 0.7, "one failure is not all there is");
    }
}
