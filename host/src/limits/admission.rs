//! Letting a request in: on every limit that concerns it, or on none. What was let in gives its
//! place back when it is dropped, however it ended.

use std::sync::Arc;

use super::window::slot_of;
use super::{Lane, Meter, Used};
use crate::clock;

/// A place under every limit that concerns a request.
#[derive(Debug)]
pub struct Admission {
    meters: Arc<[Arc<Meter>]>,
    lane: Lane,
    slot: u64,
    /// Tokens that were taken, for each meter: never more than its limit.
    tokens: u64,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Requests,
    Tokens,
    Running,
}

/// Why a request was not let in. Nothing was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Whose limit it is.
    pub scope: Arc<str>,
    pub what: What,
    pub limit: u32,
    /// When it would be let in, if nothing else is.
    pub wait_ms: u64,
}

/// How much is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauge {
    pub limit: u32,
    pub remaining: u32,
    /// Until all of it is there again.
    pub reset_ms: u64,
}

/// The tightest of the limits that concern a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub requests: Option<Gauge>,
    pub tokens: Option<Gauge>,
}

/// Lets a request in that will take about so many tokens, on every meter or on none; and how much
/// is left after it.
pub fn admit(
    meters: &Arc<[Arc<Meter>]>,
    tokens: u64,
    now_ms: u64,
) -> (Result<Admission, Refused>, Standing) {
    (place_in(Lane::Requests, meters, tokens, now_ms), Standing::of(meters, now_ms))
}

/// Lets a question beside requests in, which takes no tokens, on every meter or on none. Questions
/// have limits as high as requests, and take none of theirs.
///
/// # Errors
/// Which limit was reached; nothing was counted.
pub fn admit_question(meters: &Arc<[Arc<Meter>]>, now_ms: u64) -> Result<Admission, Refused> {
    place_in(Lane::Questions, meters, 0, now_ms)
}

fn place_in(
    lane: Lane,
    meters: &Arc<[Arc<Meter>]>,
    tokens: u64,
    now_ms: u64,
) -> Result<Admission, Refused> {
    let slot = slot_of(now_ms);
    for (place, meter) in meters.iter().enumerate() {
        if let Err(why) = meter.take(lane, slot, tokens, now_ms) {
            meters.iter().take(place).for_each(|taken| taken.give_back(lane, slot, 1, tokens));
            return Err(why);
        }
    }
    Ok(Admission { meters: Arc::clone(meters), lane, slot, tokens })
}

// === impl Meter ===

impl Meter {
    /// What this meter counts for an estimate: one that is larger than the limit itself would
    /// never be let in, though it may well take less.
    fn capped(&self, tokens: u64) -> u64 {
        self.limits.tokens.map_or(tokens, |limit| tokens.min(limit.into()))
    }

    fn take(&self, lane: Lane, slot: u64, tokens: u64, now_ms: u64) -> Result<(), Refused> {
        let tokens = self.capped(tokens);
        let mut used = self.lane(lane).lock();
        let refused = |what, limit, wait_ms| {
            Err(Refused { scope: Arc::clone(&self.scope), what, limit, wait_ms })
        };
        if let Some(limit) = self.limits.running
            && used.running >= limit
        {
            return refused(What::Running, limit, 0);
        }
        let sums = used.minute.sums(now_ms);
        if let Some(limit) = self.limits.requests
            && sums.requests >= limit.into()
        {
            let over = sums.requests.saturating_sub(limit.into()).saturating_add(1);
            return refused(What::Requests, limit, used.minute.wait_ms(now_ms, over, 0));
        }
        if let Some(limit) = self.limits.tokens {
            let over = sums.tokens.saturating_add(tokens).saturating_sub(limit.into());
            if over > 0 {
                return refused(What::Tokens, limit, used.minute.wait_ms(now_ms, 0, over));
            }
        }
        used.running = used.running.saturating_add(1);
        used.minute.add(slot, 1, tokens);
        Ok(())
    }

    fn give_back(&self, lane: Lane, slot: u64, requests: u64, tokens: u64) {
        let tokens = self.capped(tokens);
        let mut used = self.lane(lane).lock();
        used.running = used.running.saturating_sub(1);
        used.minute.take_back(slot, requests, tokens);
    }

    fn correct(&self, lane: Lane, slot: u64, estimated: u64, real: u64, now_ms: u64) {
        let estimated = self.capped(estimated);
        let mut used = self.lane(lane).lock();
        used.running = used.running.saturating_sub(1);
        let Used { minute, .. } = &mut *used;
        minute.take_back(slot, 0, estimated.saturating_sub(real));
        // What was not foreseen is used now.
        let more = real.saturating_sub(estimated);
        if more > 0 {
            minute.add(slot_of(now_ms), 0, more);
        }
    }
}

// === impl Admission ===

impl Admission {
    /// Puts what the request really took in place of the estimate.
    pub fn settle(mut self, tokens: u64, now_ms: u64) {
        for meter in self.meters.iter() {
            meter.correct(self.lane, self.slot, self.tokens, tokens, now_ms);
        }
        self.meters = Arc::from([]);
    }
}

impl Drop for Admission {
    /// It came to nothing: its tokens are free again, the request counts.
    fn drop(&mut self) {
        self.meters.iter().for_each(|meter| meter.give_back(self.lane, self.slot, 0, self.tokens));
    }
}

// === impl Standing ===

impl Standing {
    fn of(meters: &[Arc<Meter>], now_ms: u64) -> Self {
        let mut standing = Self::default();
        for meter in meters {
            let used = meter.used.lock();
            let sums = used.minute.sums(now_ms);
            let reset_ms = used.minute.reset_ms(now_ms);
            let gauge = |limit: u32, used: u64| {
                let left = u64::from(limit).saturating_sub(used);
                Gauge { limit, remaining: u32::try_from(left).unwrap_or(limit), reset_ms }
            };
            let requests = meter.limits.requests.map(|limit| gauge(limit, sums.requests));
            let tokens = meter.limits.tokens.map(|limit| gauge(limit, sums.tokens));
            standing.requests = Gauge::tighter(standing.requests, requests);
            standing.tokens = Gauge::tighter(standing.tokens, tokens);
        }
        standing
    }
}

impl Gauge {
    /// The one of which less is left.
    fn tighter(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if other.remaining < one.remaining => Some(other),
            (one, other) => one.or(other),
        }
    }

    /// When all of it is there again, as RFC 3339.
    pub fn resets_at(&self, now_ms: u64) -> String {
        // Whole seconds, rounded up: clients parse no fractions.
        let at_ms = now_ms.saturating_add(self.reset_ms);
        clock::rfc3339(at_ms.div_ceil(1_000).saturating_mul(1_000))
    }

    /// The same as a duration such as `1m2s`, in whole seconds, rounded up.
    pub fn resets_in(&self) -> String {
        let seconds = self.reset_ms.div_ceil(1_000);
        match (seconds / 60, seconds % 60) {
            (0, seconds) => format!("{seconds}s"),
            (minutes, seconds) => format!("{minutes}m{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Registry};
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn meters(limits: &[(&str, Limits)]) -> Arc<[Arc<Meter>]> {
        let registry = Registry::default();
        limits.iter().map(|(scope, limits)| registry.meter("acme", scope, *limits)).collect()
    }

    fn limits(requests: u32, tokens: u32, running: u32) -> Limits {
        let some = |limit: u32| (limit > 0).then_some(limit);
        Limits { requests: some(requests), tokens: some(tokens), running: some(running) }
    }

    fn used(meters: &[Arc<Meter>]) -> Vec<(u64, u64, u32)> {
        let of = |meter: &Arc<Meter>| {
            let used = meter.used.lock();
            let sums = used.minute.sums(NOW);
            (sums.requests, sums.tokens, used.running)
        };
        meters.iter().map(of).collect()
    }

    #[test]
    fn a_limit_that_refuses_leaves_the_others_as_they_were() {
        let meters = meters(&[("key:1", limits(5, 0, 0)), ("team:a", limits(1, 0, 0))]);
        let (first, _) = admit(&meters, 10, NOW);
        let first = first.unwrap();
        let before = used(&meters);
        let (second, standing) = admit(&meters, 10, NOW);
        let refused = second.unwrap_err();
        assert_eq!((&*refused.scope, refused.what, refused.limit), ("team:a", What::Requests, 1));
        assert_eq!(refused.wait_ms, 62_000);
        assert_eq!(used(&meters), before);
        assert_eq!(standing.requests.map(|gauge| gauge.remaining), Some(0), "the tightest");
        drop(first);
        assert_eq!(used(&meters), [(1, 0, 0), (1, 0, 0)], "the request counts, its tokens do not");
        assert!(admit(&meters, 10, NOW + 62_000).0.is_ok());
    }

    #[test]
    fn tokens_are_corrected_when_the_request_has_ended() {
        let meters = meters(&[("key:1", limits(0, 1_000, 0))]);
        let (first, _) = admit(&meters, 900, NOW);
        let (second, _) = admit(&meters, 200, NOW);
        assert_eq!(second.unwrap_err().what, What::Tokens);
        first.unwrap().settle(150, NOW);
        assert_eq!(used(&meters), [(1, 150, 0)]);
        let (third, _) = admit(&meters, 200, NOW);
        // More than was foreseen counts as well.
        third.unwrap().settle(700, NOW);
        assert_eq!(used(&meters), [(2, 850, 0)]);
        // One that may be larger than the limit is let in when there is room for all of it.
        assert!(admit(&meters, 5_000, NOW).0.is_err());
        assert!(admit(&meters, 5_000, NOW + 70_000).0.is_ok());
    }

    #[test]
    fn no_more_run_at_a_time_than_may() {
        let meters = meters(&[("key:1", limits(0, 0, 2))]);
        let (first, _) = admit(&meters, 1, NOW);
        let (second, _) = admit(&meters, 1, NOW);
        let (third, _) = admit(&meters, 1, NOW);
        assert_eq!(third.unwrap_err().what, What::Running);
        drop(first);
        assert!(admit(&meters, 1, NOW).0.is_ok(), "its own admission is dropped at once");
        second.unwrap().settle(0, NOW);
        assert_eq!(used(&meters)[0].2, 0);
    }

    #[test]
    fn questions_are_limited_as_requests_are_and_take_none_of_theirs() {
        let meters = meters(&[("key:1", limits(2, 1_000, 1))]);
        let (request, _) = admit(&meters, 900, NOW);
        let question = admit_question(&meters, NOW).unwrap();
        assert_eq!(admit_question(&meters, NOW).unwrap_err().what, What::Running);
        assert_eq!(used(&meters), [(1, 900, 1)], "the request's alone");
        question.settle(0, NOW);
        drop(admit_question(&meters, NOW).unwrap());
        assert_eq!(admit_question(&meters, NOW).unwrap_err().what, What::Requests);
        request.unwrap().settle(0, NOW);
        assert!(admit(&meters, 900, NOW).0.is_ok());
        assert!(admit_question(&meters, NOW + 62_000).is_ok());
    }

    #[test]
    fn durations_and_times_are_written_as_the_dialects_do() {
        let gauge = Gauge { limit: 1, remaining: 0, reset_ms: 61_001 };
        assert_eq!(gauge.resets_in(), "1m2s");
        assert_eq!(Gauge { reset_ms: 0, ..gauge }.resets_in(), "0s");
        assert_eq!(gauge.resets_at(1_795_341_600_000), "2026-11-22T10:01:02Z");
    }
}
