//! Live statistics of each offer and the breaker of each credential that it is reached by, in
//! memory. Written after every attempt, read before every choice; a lost sample is harmless, so
//! plain atomics do. Never reads a clock; it is given the times of one that is never set.

mod breaker;
mod in_flight;
mod statistics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use breaker::{Breaker, Standing, Weight};
use in_flight::Waiting;
use statistics::Statistics;

pub use breaker::BreakerRule;
pub use in_flight::{Demand, InFlight};
pub use statistics::{Band, BandFigures, Sample, Snapshot, Streamed};

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
    /// Of those the ones whose answer has not begun: streams, and answers that come whole.
    streams: Waiting,
    wholes: Waiting,
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
    /// When it last answered, failed or was outrun, milliseconds since the epoch; 0 if never.
    pub sampled_ms: u64,
    /// What an answer takes that comes whole; `None` until there is one.
    pub whole_answer_ms: Option<f64>,
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
            streams: Waiting::default(),
            wholes: Waiting::default(),
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
        // Not after a probe without a word: it would be everybody's first, and answer each so.
        // What is forgotten with time brings it back.
        let untried = || o.lanes.iter().any(|(_, breaker)| breaker.is_untried(now_ms));
        if seen.availability < 1.0 && o.breakers(now_ms) == Gate::HalfOpen && untried() {
            seen.availability = 1.0;
        }
        seen
    }

    /// When it last answered, failed or was outrun by another that was asked beside it,
    /// milliseconds since the epoch; 0 if never.
    pub fn sampled_ms(&self, offer: usize) -> u64 {
        self.offers.get(offer).map_or(0, |o| o.statistics.sampled_ms())
    }

    /// Whether the offer may be asked at `now_ms`, by any of its credentials.
    pub fn gate(&self, offer: usize, now_ms: u64) -> Gate {
        let Some(o) = self.offers.get(offer) else { return Gate::Closed };
        let gate = o.breakers(now_ms);
        if gate == Gate::Closed && o.is_full() { Gate::Full { most: o.concurrency } } else { gate }
    }

    /// The attempt of a stream of unknown size begins; see [`Health::begin_for`].
    ///
    /// # Errors
    /// Why it can't.
    pub fn begin(self: &Arc<Self>, offer: usize, now_ms: u64) -> Result<InFlight, NotNow> {
        self.begin_for(offer, Demand::default(), now_ms)
    }

    /// An attempt begins, by a credential that is open, each as often as its weight says. Where
    /// the rest of one is over, it becomes that one's probe.
    ///
    /// # Errors
    /// Why it can't: as many as it may have are on their way, or none of its credentials is open
    /// and another request is the probe already. Nothing is counted, and no probe is used up.
    pub fn begin_for(
        self: &Arc<Self>,
        offer: usize,
        demand: Demand,
        now_ms: u64,
    ) -> Result<InFlight, NotNow> {
        let o = self.offers.get(offer).ok_or(NotNow::Resting)?;
        let others = o.in_flight.fetch_add(1, Ordering::Relaxed);
        let lane = match o.concurrency > 0 && others >= o.concurrency {
            true => Err(NotNow::Full { most: o.concurrency }),
            false => o.lane(demand, now_ms, self.rule).ok_or(NotNow::Resting),
        };
        let (credential, floor_ms) = lane.inspect_err(|_| {
            o.in_flight.fetch_sub(1, Ordering::Relaxed);
        })?;
        o.waiting(demand.whole).join(now_ms);
        let lane = Lane { offer, credential };
        let health = Arc::clone(self);
        Ok(InFlight { health, lane, demand, began_ms: now_ms, floor_ms, heard: false })
    }

    /// An attempt that began just now has ended; see [`InFlight::ended`] for any other.
    pub fn record(&self, lane: Lane, sample: Sample, now_ms: u64) {
        self.book(lane, sample, now_ms, now_ms);
    }

    fn book(&self, lane: Lane, sample: Sample, began_ms: u64, now_ms: u64) {
        let Some((o, own)) = self.found(lane) else { return };
        let came_back = || {
            if own.answered(began_ms) {
                o.statistics.came_back();
            }
        };
        // The provider failed, whoever asked: none of its credentials would have helped.
        let failed = |weight| {
            for (_, breaker) in &o.lanes {
                breaker.failed(began_ms, now_ms, weight, self.rule);
            }
        };
        match sample {
            Sample::Answered { first_token_ms, thinking_ms, tokens_per_second, band } => {
                let seen = [first_token_ms, thinking_ms, tokens_per_second];
                o.statistics.answered(seen, band, now_ms);
                came_back();
            }
            Sample::Whole { total_ms, tokens, band } => {
                o.statistics.answered_whole(total_ms, tokens, band, now_ms);
                came_back();
            }
            Sample::Outrun { waited_ms, band } => o.statistics.outrun(waited_ms, band, now_ms),
            Sample::Failed => {
                o.statistics.failed(now_ms);
                failed(Weight::Whole);
            }
            Sample::GivenUp => {
                o.statistics.half_failed(now_ms);
                failed(Weight::Half);
            }
            Sample::Empty => {
                o.statistics.half_failed(now_ms);
                own.came_empty(began_ms, now_ms);
            }
            Sample::Withheld => {
                // With another credential the offer answers.
                if o.lanes.len() < 2 {
                    o.statistics.failed(now_ms);
                }
                own.withheld(began_ms);
            }
            Sample::Neutral => {}
        }
    }

    /// That credential rests until then (`retry-after`), or longer where it was told so before.
    pub fn rest(&self, lane: Lane, until_ms: u64, now_ms: u64) {
        self.breaker(lane).into_iter().for_each(|breaker| breaker.rest(until_ms, now_ms));
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

    /// The provider says how many more tokens of prompts it takes until then.
    pub fn allow_tokens(&self, lane: Lane, tokens: u64, until_ms: u64) {
        self.breaker(lane).into_iter().for_each(|breaker| breaker.allow_tokens(tokens, until_ms));
    }

    /// Whether its provider has said that it has no room for such a prompt now, by any of its
    /// credentials that are open.
    pub fn lacks_tokens(&self, offer: usize, demand: Demand, now_ms: u64) -> bool {
        let tokens = demand.expected_tokens();
        let lacks = |(_, breaker): &(u32, Breaker)| {
            breaker.standing(now_ms) != Standing::Closed || breaker.lacks_tokens(tokens, now_ms)
        };
        let told = |o: &OfferHealth| o.lanes.iter().any(|(_, it)| it.lacks_tokens(tokens, now_ms));
        self.offers.get(offer).is_some_and(|o| told(o) && o.lanes.iter().all(lacks))
    }

    /// Whether so many streams wait in vain for an offer whose usual times are known that those who
    /// wait had better ask another. More is asked for than before it goes last: they leave a place
    /// in a queue. Whoever is told so leaves, and still counts for those who go on waiting.
    pub fn leaves_silent(&self, offer: usize, now_ms: u64) -> bool {
        self.offers.get(offer).is_some_and(|o| o.leaves_silent(false, now_ms))
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
            whole_answer_ms: o.statistics.whole_mean_ms(),
            bands: o.statistics.bands().collect(),
            lanes: lanes.collect(),
        })
    }

    fn breaker(&self, lane: Lane) -> Option<&Breaker> {
        self.found(lane).map(|(_, breaker)| breaker)
    }

    fn found(&self, lane: Lane) -> Option<(&OfferHealth, &Breaker)> {
        let offer = self.offers.get(lane.offer)?;
        offer.lanes.get(lane.credential).map(|(_, breaker)| (offer, breaker))
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

    fn is_full(&self) -> bool {
        self.concurrency > 0 && self.in_flight.load(Ordering::Relaxed) >= self.concurrency
    }

    /// The credential to ask by, and the floor of the probe that this becomes. One whose rest is
    /// over is looked at, also while others are open; of these one that has room for the prompt is
    /// taken, if there is one.
    fn lane(&self, demand: Demand, now_ms: u64, rule: BreakerRule) -> Option<(usize, Option<u64>)> {
        let stands = |lane: &(u32, Breaker), standing| lane.1.standing(now_ms) == standing;
        for (index, lane) in self.lanes.iter().enumerate() {
            if stands(lane, Standing::HalfOpen)
                && let Some(floor_ms) = lane.1.probe(now_ms, rule, self.probing_ms(demand))
            {
                return Some((index, Some(floor_ms)));
            }
        }
        let tokens = demand.expected_tokens();
        if let [only] = &*self.lanes {
            return stands(only, Standing::Closed).then(|| {
                only.1.take(tokens);
                (0, None)
            });
        }
        let open = |lane: &&(u32, Breaker)| stands(lane, Standing::Closed);
        let fits = |lane: &&(u32, Breaker)| open(lane) && !lane.1.lacks_tokens(tokens, now_ms);
        let roomy = self.lanes.iter().any(|lane| fits(&lane));
        let taken = |lane: &&(u32, Breaker)| if roomy { fits(lane) } else { open(lane) };
        let weights = self.lanes.iter().filter(taken).map(|(weight, _)| *weight);
        let sum = weights.fold(0, u32::saturating_add);
        let mut lot = if sum == 0 { 0 } else { rand::random_range(0..sum) };
        for (index, lane) in self.lanes.iter().enumerate().filter(|(_, lane)| taken(lane)) {
            if lot < lane.0 {
                lane.1.take(tokens);
                return Some((index, None));
            }
            lot -= lane.0;
        }
        None
    }
}

#[cfg(test)]
mod tests;
