//! Requests on their way to an offer: who waits there for an answer to begin, whether that has
//! become a silence, and how each ends. Never reads a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Band, Health, Lane, OfferHealth, Sample};

/// Silence that is taken for trouble: in times of what hardly an answer takes to begin, and in
/// milliseconds at least, since nobody is in trouble for thinking. Where several wait for an answer
/// less of it says as much.
const SILENCE: (f64, f64) = (5.0, 10_000.0);
const SILENCE_OF_SEVERAL: (f64, f64) = (3.0, 5_000.0);
/// The same of answers that come whole, of which several must be waited for: the model writes all
/// of one before its head comes, and a long one alone is no trouble.
const SILENCE_WHOLE: (f64, f64) = (5.0, 30_000.0);
pub(super) const SEVERAL: u32 = 3;

/// How long a request waits in vain at least before that says something of the offer: in times of
/// what hardly an answer takes, in milliseconds at least, and in all where that is unknown.
const VAIN: (f64, f64, u64) = (3.0, 10_000.0, 20_000);
/// The same of answers that come whole.
const VAIN_WHOLE: (f64, f64, u64) = (3.0, 30_000.0, 120_000);
/// Nobody else may probe for so long at most beside the rest that follows: a whole answer may take
/// minutes, and all the others would be without the offer.
const PROBING_MS_MAX: u64 = 30_000;
/// A probe that is given up after this part of it has failed, if it waited for the least that any
/// other would: it is sent to an offer in trouble.
const VAIN_PROBE_PART: u64 = 3;

/// A request as the health of an offer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// Its answer comes whole, with its head: not before the model has written all of it.
    pub whole: bool,
    /// Tokens of the prompt, estimated upwards.
    pub input_tokens: u32,
}

/// Counts an attempt as in flight until dropped.
#[derive(Debug)]
pub struct InFlight {
    pub(super) health: Arc<Health>,
    pub(super) lane: Lane,
    pub(super) demand: Demand,
    pub(super) began_ms: u64,
    /// It is the probe of an offer that rested, with the floor until then.
    pub(super) floor_ms: Option<u64>,
    /// Its answer has begun.
    pub(super) heard: bool,
}

/// Those of one kind whose answer has not begun.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    count: AtomicU32,
    /// Those who gave it up as silent since something last began.
    gave_up: AtomicU32,
    /// Since when nothing has begun, where something is waited for.
    quiet_since_ms: AtomicU64,
}

// === impl Demand ===

impl Demand {
    /// The size of its prompt.
    pub fn band(self) -> Band {
        Band::of(self.input_tokens)
    }

    /// Tokens as they will be counted: the upward estimate is about twice of that.
    pub(super) fn expected_tokens(self) -> u64 {
        u64::from(self.input_tokens.div_ceil(2))
    }
}

// === impl InFlight ===

impl InFlight {
    /// What is asked, and by which credential.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Whether it is the probe of an offer that rested.
    pub fn is_probe(&self) -> bool {
        self.floor_ms.is_some()
    }

    /// The head of its answer has come.
    pub fn heard(&mut self, now_ms: u64) {
        if let Some(offer) = self.health.offers.get(self.lane.offer)
            && !std::mem::replace(&mut self.heard, true)
        {
            // Whoever waits for anything there: the offer is alive.
            offer.streams.heard(now_ms);
            offer.wholes.heard(now_ms);
            offer.waiting(self.demand.whole).leave();
        }
    }

    /// Its first content has come: an offer that rested is back, and not only at the answer's end.
    pub fn answering(&self) {
        if self.is_probe()
            && let Some((offer, breaker)) = self.health.found(self.lane)
            && breaker.answered(self.began_ms)
        {
            offer.statistics.came_back();
        }
    }

    /// It has ended. What began before the offer was told to rest says nothing of it since.
    pub fn ended(&self, sample: Sample, now_ms: u64) {
        self.health.book(self.lane, sample, self.began_ms, now_ms);
    }

    /// The provider refused the credential ([`Sample::Withheld`]) and did not say for how long: it
    /// rests after several in a row, each time twice as long.
    pub fn backs_off(&self, now_ms: u64) {
        if let Some((_, breaker)) = self.health.found(self.lane) {
            breaker.back_off(self.began_ms, now_ms, self.health.rule);
        }
    }

    /// How long it may wait without a sign of life before that says something of the offer.
    pub fn patience_ms(&self) -> u64 {
        let offer = self.health.offers.get(self.lane.offer);
        offer.map_or(u64::MAX, |offer| offer.patience_ms(self.demand))
    }

    /// How the offer's health takes it that the caller leaves it after so long a silence.
    pub fn given_up(&self, quiet_ms: u64) -> Sample {
        let patience_ms = self.patience_ms();
        let (_, least_ms, _) = if self.demand.whole { VAIN_WHOLE } else { VAIN };
        let probed_ms = || (patience_ms / VAIN_PROBE_PART).max(whole_ms(least_ms));
        let vain_ms = if self.is_probe() { probed_ms() } else { patience_ms };
        match self.demand.whole {
            _ if quiet_ms <= vain_ms => Sample::Neutral,
            // A caller can ask for an answer that takes long to write, and leave.
            true => Sample::GivenUp,
            false => Sample::Failed,
        }
    }

    /// Whether it had better ask another: so many wait there in vain, see
    /// [`Health::leaves_silent`].
    pub fn leaves_silent(&self, now_ms: u64) -> bool {
        let offer = self.health.offers.get(self.lane.offer);
        offer.is_some_and(|offer| offer.leaves_silent(self.demand.whole, now_ms))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some((offer, breaker)) = self.health.found(self.lane) {
            offer.in_flight.fetch_sub(1, Ordering::Relaxed);
            if !self.heard {
                offer.waiting(self.demand.whole).leave();
            }
            self.floor_ms.into_iter().for_each(|floor_ms| breaker.yield_floor(floor_ms));
        }
    }
}

// === impl Waiting ===

impl Waiting {
    pub(super) fn join(&self, now_ms: u64) {
        if self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            self.quiet_since_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    fn leave(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    fn heard(&self, now_ms: u64) {
        self.quiet_since_ms.store(now_ms, Ordering::Relaxed);
        self.gave_up.store(0, Ordering::Relaxed);
    }

    fn is_quiet(&self, (tails, least_ms): (f64, f64), tail_ms: f64, now_ms: u64) -> bool {
        let quiet_ms = now_ms.saturating_sub(self.quiet_since_ms.load(Ordering::Relaxed));
        let quiet_ms = f64::from(u32::try_from(quiet_ms).unwrap_or(u32::MAX));
        quiet_ms > (tail_ms * tails).max(least_ms)
    }
}

// === impl OfferHealth ===

impl OfferHealth {
    pub(super) fn waiting(&self, whole: bool) -> &Waiting {
        if whole { &self.wholes } else { &self.streams }
    }

    /// Whether something has been waited for longer than is usual, and nothing begun meanwhile.
    /// `tail_ms`: what hardly a first token takes longer than.
    pub(super) fn is_silent(&self, tail_ms: f64, now_ms: u64) -> bool {
        let silent = match self.streams.count.load(Ordering::Relaxed) {
            0 => false,
            SEVERAL.. => self.streams.is_quiet(SILENCE_OF_SEVERAL, tail_ms, now_ms),
            _ => self.streams.is_quiet(SILENCE, tail_ms, now_ms),
        };
        let several = || self.wholes.count.load(Ordering::Relaxed) >= SEVERAL;
        let usual = || self.statistics.whole_tail_ms();
        let quiet = |tail_ms| self.wholes.is_quiet(SILENCE_WHOLE, tail_ms, now_ms);
        silent || (several() && usual().is_some_and(quiet))
    }

    /// See [`Health::leaves_silent`].
    pub(super) fn leaves_silent(&self, whole: bool, now_ms: u64) -> bool {
        let whole_ms = || self.statistics.whole_tail_ms();
        let (silence, known) = if whole {
            (SILENCE_WHOLE, whole_ms())
        } else {
            let bands = self.statistics.bands().map(|band| band.first_token_p95_ms);
            // A first token takes no longer than all of an answer.
            (SILENCE, bands.reduce(f64::max).or_else(whole_ms))
        };
        let waiting = self.waiting(whole);
        let gave_up = waiting.gave_up.load(Ordering::Relaxed);
        let many = waiting.count.load(Ordering::Relaxed).saturating_add(gave_up) >= SEVERAL;
        let quiet = |tail_ms| waiting.is_quiet(silence, tail_ms, now_ms);
        let silent = many && known.is_some_and(quiet);
        if silent {
            waiting.gave_up.store(gave_up.saturating_add(1), Ordering::Relaxed);
        }
        silent
    }

    /// How long a probe is alone.
    pub(super) fn probing_ms(&self, demand: Demand) -> u64 {
        self.patience_ms(demand).min(PROBING_MS_MAX)
    }

    pub(super) fn patience_ms(&self, demand: Demand) -> u64 {
        let ((tails, least_ms, unknown_ms), tail_ms) = if demand.whole {
            (VAIN_WHOLE, self.statistics.whole_tail_ms())
        } else {
            let own = self.statistics.first_token_tail_ms(demand.band());
            (VAIN, own.or_else(|| self.statistics.whole_tail_ms()))
        };
        let known = |tail_ms: f64| whole_ms((tail_ms * tails).max(least_ms));
        tail_ms.map_or(unknown_ms, known)
    }
}

/// Whole milliseconds.
fn whole_ms(ms: f64) -> u64 {
    let wait = std::time::Duration::from_secs_f64(ms.min(f64::from(u32::MAX)) / 1_000.0);
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
