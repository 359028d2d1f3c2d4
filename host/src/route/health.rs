//! Live statistics of each offer and the breaker of each credential that it is reached by, in
//! memory. Written after every attempt, read before every choice; a lost sample is harmless, so
//! plain atomics do. Never reads a clock.

mod breaker;
mod statistics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use breaker::{Breaker, Standing};
use statistics::Statistics;

pub use breaker::BreakerRule;
pub use statistics::{Band, BandFigures, Sample, Snapshot};

/// Silence that is taken for trouble: in times of what hardly an answer takes to begin, and in
/// milliseconds at least, since nobody is in trouble for thinking. Where several wait for an answer
/// less of it says as much.
const SILENCE: (f64, f64) = (5.0, 10_000.0);
const SILENCE_OF_SEVERAL: (f64, f64) = (3.0, 5_000.0);
const SEVERAL: u32 = 3;
/// What the availability of an offer comes to that has fallen silent: it goes last, before the
/// time-outs of those who wait for it have shown what is wrong.
const SILENT_SHARE: f64 = 0.4;

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
    /// As many requests are on their way to it as it may have.
    Full {
        most: u32,
    },
}

/// Why an attempt can't begin now, though the offer was in the running when the plan was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotNow {
    /// As many requests are on their way to it as it may have.
    Full { most: u32 },
    /// It rests after failures, or another request is the one that may try it.
    Resting,
}

/// An offer as it is reached by one of its provider's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Index in the configured catalogue.
    pub offer: usize,
    /// Which of the provider's credentials.
    pub credential: usize,
}

/// How an offer can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// How often each credential is taken, in proportion; one for a provider with a single one.
    pub weights: Vec<u32>,
    /// Requests at a time; 0 for any number.
    pub concurrency: u32,
}

/// Statistics of all offers, by their index in the configured catalogue.
#[derive(Debug)]
pub struct Health {
    offers: Box<[OfferHealth]>,
    rule: BreakerRule,
}

#[derive(Debug)]
struct OfferHealth {
    statistics: Statistics,
    in_flight: AtomicU32,
    /// Of those the ones whose answer has not begun.
    waiting: AtomicU32,
    /// Those who gave it up as silent since something last began.
    gave_up: AtomicU32,
    /// Since when nothing has begun, where something is waited for.
    quiet_since_ms: AtomicU64,
    /// 0 for any number.
    concurrency: u32,
    /// One for each credential, with how often it is taken.
    lanes: Box<[(u32, Breaker)]>,
}

/// One offer's live figures, for people to read.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// As a short request would see it.
    pub now: Snapshot,
    pub concurrency: u32,
    pub gate: Gate,
    /// When it last answered or failed, milliseconds since the epoch; 0 if never.
    pub sampled_ms: u64,
    pub bands: Vec<BandFigures>,
    /// By credential.
    pub lanes: Vec<ObservedLane>,
}

/// One credential of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedLane {
    pub weight: u32,
    pub gate: Gate,
    pub failures_in_a_row: u32,
    /// It rests because we are over its rate limit.
    pub limited: bool,
    /// Requests that the provider says are left, and until when that holds.
    pub left: Option<(u64, u64)>,
}

/// Counts an attempt as in flight until dropped.
#[derive(Debug)]
pub struct InFlight {
    health: Arc<Health>,
    lane: Lane,
    /// Its answer has begun.
    heard: bool,
}

// === impl InFlight ===

impl InFlight {
    /// What is asked, and by which credential.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Its answer begins.
    pub fn heard(&mut self, now_ms: u64) {
        if let Some(offer) = self.health.offers.get(self.lane.offer)
            && !std::mem::replace(&mut self.heard, true)
        {
            offer.quiet_since_ms.store(now_ms, Ordering::Relaxed);
            offer.gave_up.store(0, Ordering::Relaxed);
            offer.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(offer) = self.health.offers.get(self.lane.offer) {
            offer.in_flight.fetch_sub(1, Ordering::Relaxed);
            if !self.heard {
                offer.waiting.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

// === impl Reach ===

impl Default for Reach {
    /// By one credential, as often as wanted.
    fn default() -> Self {
        Self { weights: vec![1], concurrency: 0 }
    }
}

// === impl Health ===

impl Health {
    /// Statistics for `offers` offers with one credential each, all unknown, all breakers closed.
    pub fn new(offers: usize, rule: BreakerRule) -> Self {
        Self::reached((0..offers).map(|_| Reach::default()), rule)
    }

    /// The same for offers that are reached in these ways.
    pub fn reached(offers: impl Iterator<Item = Reach>, rule: BreakerRule) -> Self {
        let one = |reach: Reach| OfferHealth {
            statistics: Statistics::default(),
            in_flight: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            gave_up: AtomicU32::new(0),
            quiet_since_ms: AtomicU64::new(0),
            concurrency: reach.concurrency,
            lanes: reach.weights.into_iter().map(|weight| (weight, Breaker::default())).collect(),
        };
        Self { offers: offers.map(one).collect(), rule }
    }

    /// What is known of an offer at `now_ms`, for prompts of this size.
    pub fn snapshot(&self, offer: usize, band: Band, now_ms: u64) -> Snapshot {
        let Some(o) = self.offers.get(offer) else { return Snapshot::UNKNOWN };
        let mut seen = o.statistics.snapshot(band, now_ms, o.in_flight.load(Ordering::Relaxed));
        if seen.in_flight > 0 && o.is_silent(seen.first_token_p95_ms, now_ms) {
            seen.availability *= SILENT_SHARE;
        }
        // Whoever may be its probe ranks it by what it was worth: last, it would never be asked.
        if seen.availability < 1.0 && o.breakers(now_ms) == Gate::HalfOpen {
            seen.availability = 1.0;
        }
        seen
    }

    /// When it last answered or failed, milliseconds since the epoch; 0 if never.
    pub fn sampled_ms(&self, offer: usize) -> u64 {
        self.offers.get(offer).map_or(0, |o| o.statistics.sampled_ms())
    }

    /// Whether the offer may be asked at `now_ms`, by any of its credentials.
    pub fn gate(&self, offer: usize, now_ms: u64) -> Gate {
        let Some(o) = self.offers.get(offer) else { return Gate::Closed };
        let gate = o.breakers(now_ms);
        if gate == Gate::Closed && o.is_full() { Gate::Full { most: o.concurrency } } else { gate }
    }

    /// An attempt begins, by a credential that is open, each as often as its weight says. Where
    /// none is and one's rest is over, it becomes that one's probe.
    ///
    /// # Errors
    /// Why it can't; nothing is counted, and no probe is used up.
    pub fn begin(self: &Arc<Self>, offer: usize, now_ms: u64) -> Result<InFlight, NotNow> {
        let o = self.offers.get(offer).ok_or(NotNow::Resting)?;
        let others = o.in_flight.fetch_add(1, Ordering::Relaxed);
        let lane = match o.concurrency > 0 && others >= o.concurrency {
            true => Err(NotNow::Full { most: o.concurrency }),
            false => o.lane(now_ms, self.rule).ok_or(NotNow::Resting),
        };
        let credential = lane.inspect_err(|_| {
            o.in_flight.fetch_sub(1, Ordering::Relaxed);
        })?;
        if o.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            o.quiet_since_ms.store(now_ms, Ordering::Relaxed);
        }
        let lane = Lane { offer, credential };
        Ok(InFlight { health: Arc::clone(self), lane, heard: false })
    }

    /// An attempt has ended.
    pub fn record(&self, lane: Lane, sample: Sample, now_ms: u64) {
        let Some(o) = self.offers.get(lane.offer) else { return };
        let own = o.lanes.get(lane.credential).map(|(_, breaker)| breaker);
        match sample {
            Sample::Answered { first_token_ms, tokens_per_second, band } => {
                o.statistics.answered(first_token_ms, tokens_per_second, band, now_ms);
                if own.is_some_and(Breaker::close) {
                    o.statistics.came_back();
                }
            }
            Sample::Failed => {
                o.statistics.failed(now_ms);
                // The provider failed, whoever asked: none of its credentials would have helped.
                for (_, breaker) in &o.lanes {
                    breaker.failed(now_ms, self.rule);
                }
            }
            Sample::Withheld => {
                // With another credential the offer answers.
                if o.lanes.len() < 2 {
                    o.statistics.failed(now_ms);
                }
                own.into_iter().for_each(|breaker| breaker.failed(now_ms, self.rule));
            }
            Sample::Neutral => own.into_iter().for_each(Breaker::yield_floor),
        }
    }

    /// The provider asked for rest (`retry-after`): that credential's breaker opens for so long.
    pub fn rest(&self, lane: Lane, until_ms: u64) {
        self.breaker(lane).into_iter().for_each(|breaker| breaker.rest(until_ms));
    }

    /// The last word of a credential's last failure was that we are over the provider's rate limit:
    /// what rests until then does so for that, which is not the same to a caller as an outage.
    pub fn limited(&self, lane: Lane) {
        self.breaker(lane).into_iter().for_each(Breaker::limited);
    }

    /// The provider says how many more requests it takes until then: the last of them is the last
    /// that is sent.
    pub fn allow(&self, lane: Lane, requests: u64, until_ms: u64) {
        self.breaker(lane).into_iter().for_each(|breaker| breaker.allow(requests, until_ms));
    }

    /// Whether so many wait in vain for an offer whose usual times are known that those who wait
    /// had better ask another. More is asked for than before it goes last: they leave a place in a
    /// queue. Whoever is told so leaves, and still counts for those who go on waiting.
    pub fn leaves_silent(&self, offer: usize, now_ms: u64) -> bool {
        let Some(o) = self.offers.get(offer) else { return false };
        let known = o.statistics.bands().map(|band| band.first_token_p95_ms).reduce(f64::max);
        let gave_up = o.gave_up.load(Ordering::Relaxed);
        let many = o.waiting.load(Ordering::Relaxed).saturating_add(gave_up) >= SEVERAL;
        let silent = known.is_some_and(|tail_ms| many && o.is_quiet(SILENCE, tail_ms, now_ms));
        if silent {
            o.gave_up.store(gave_up.saturating_add(1), Ordering::Relaxed);
        }
        silent
    }

    /// Whether it rests because we are over its rate limit, with every credential.
    pub fn is_limited(&self, offer: usize, now_ms: u64) -> bool {
        let limited = |(_, breaker): &(u32, Breaker)| breaker.is_limited(now_ms);
        self.offers.get(offer).is_some_and(|o| o.lanes.iter().all(limited))
    }

    /// Everything that is known of one offer, for people.
    pub fn observed(&self, offer: usize, now_ms: u64) -> Option<Observed> {
        let o = self.offers.get(offer)?;
        let lanes = o.lanes.iter().map(|(weight, breaker)| ObservedLane {
            weight: *weight,
            gate: breaker.standing(now_ms).gate(),
            failures_in_a_row: breaker.failures_in_a_row(),
            limited: breaker.is_limited(now_ms),
            left: breaker.allowance(now_ms),
        });
        Some(Observed {
            now: self.snapshot(offer, Band::default(), now_ms),
            concurrency: o.concurrency,
            gate: self.gate(offer, now_ms),
            sampled_ms: o.statistics.sampled_ms(),
            bands: o.statistics.bands().collect(),
            lanes: lanes.collect(),
        })
    }

    fn breaker(&self, lane: Lane) -> Option<&Breaker> {
        self.offers.get(lane.offer)?.lanes.get(lane.credential).map(|(_, breaker)| breaker)
    }
}

// === impl OfferHealth ===

impl OfferHealth {
    /// The best that any credential allows.
    fn breakers(&self, now_ms: u64) -> Gate {
        let mut best = Standing::Open { until_ms: u64::MAX };
        for (_, breaker) in &self.lanes {
            best = best.better(breaker.standing(now_ms));
            if best == Standing::Closed {
                break;
            }
        }
        best.gate()
    }

    /// Whether something has been waited for longer than is usual, and nothing begun meanwhile.
    fn is_silent(&self, tail_ms: f64, now_ms: u64) -> bool {
        match self.waiting.load(Ordering::Relaxed) {
            0 => false,
            SEVERAL.. => self.is_quiet(SILENCE_OF_SEVERAL, tail_ms, now_ms),
            _ => self.is_quiet(SILENCE, tail_ms, now_ms),
        }
    }

    fn is_quiet(&self, (tails, least_ms): (f64, f64), tail_ms: f64, now_ms: u64) -> bool {
        let quiet_ms = now_ms.saturating_sub(self.quiet_since_ms.load(Ordering::Relaxed));
        let quiet_ms = f64::from(u32::try_from(quiet_ms).unwrap_or(u32::MAX));
        quiet_ms > (tail_ms * tails).max(least_ms)
    }

    fn is_full(&self) -> bool {
        self.concurrency > 0 && self.in_flight.load(Ordering::Relaxed) >= self.concurrency
    }

    /// The credential to ask by, and with it one of the requests that it is allowed.
    fn lane(&self, now_ms: u64, rule: BreakerRule) -> Option<usize> {
        let closed = |(_, breaker): &(u32, Breaker)| breaker.standing(now_ms) == Standing::Closed;
        let weights = || self.lanes.iter().filter(|lane| closed(lane)).map(|(weight, _)| *weight);
        let mut lot = match (self.lanes.len(), weights().fold(0, u32::saturating_add)) {
            (_, 0) => {
                let probe = |(_, breaker): &(u32, Breaker)| breaker.probe(now_ms, rule);
                return self.lanes.iter().position(probe);
            }
            (1, _) => 0,
            (_, sum) => rand::random_range(0..sum),
        };
        for (index, lane) in self.lanes.iter().enumerate().filter(|(_, lane)| closed(lane)) {
            if lot < lane.0 {
                lane.1.take();
                return Some(index);
            }
            lot -= lane.0;
        }
        None
    }
}

#[cfg(test)]
mod tests;
