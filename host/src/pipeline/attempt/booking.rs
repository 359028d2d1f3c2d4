//! What an attempt that came to nothing leaves behind: on the health of its offer and credential,
//! in the explanation, in the metrics, and in what the platform bears. Asks nobody, and settles
//! nothing with the caller.

use std::borrow::Cow;
use std::time::Duration;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::StreamError;

use crate::clock;
use crate::route::{Gate, Lane, Sample};

use super::super::flight::Flight;
use super::super::relay;
use super::Asking;
use super::outcome::{self, Fault, Trouble};
use super::request;

/// How long one rests that is over its limit, where the provider does not say.
const LIMITED_REST_MS: u64 = 1_000;
/// How long a credential rests that the provider refused, and one whose account is empty where
/// there is another: somebody has to mend it.
const REFUSED_REST_MS: u64 = 60_000;

/// Books an attempt that ended for a reason that no other provider would do better about: one that
/// refuses a request is healthy.
pub(super) fn book_fault(flight: &mut Flight, asking: &Asking, fault: &Fault) {
    if fault.is_of_the_credential() {
        rest_refused(flight, asking, fault);
    } else {
        asking.ended(Sample::Neutral);
    }
    outcome::note(flight, asking, fault.label(), &fault.detail());
}

/// A credential that the provider does not take rests, with every offer of that provider where it
/// is the key itself that is refused. Where it is only this request, or this model, that is
/// forbidden, an offer without another credential rests after several of them.
fn rest_refused(flight: &Flight, asking: &Asking, fault: &Fault) {
    let (gateway, lane, now_ms) = (&flight.gateway, asking.lane(), clock::steady_ms());
    let until_ms = now_ms.saturating_add(REFUSED_REST_MS);
    if fault.is_of_the_key() {
        asking.ended(Sample::Neutral);
        let offers = gateway.offers.offers().iter().enumerate();
        for (offer, _) in offers.filter(|(_, it)| it.provider == asking.offer.provider) {
            gateway.health.rest(Lane { offer, ..lane }, until_ms, now_ms);
        }
        let (provider, rest_ms) = (&*asking.offer.provider, REFUSED_REST_MS);
        tracing::warn!(provider, rest_ms, "the offers of a provider rest whose key is refused");
    } else if asking.has_stand_in {
        asking.ended(Sample::Neutral);
        gateway.health.rest(lane, until_ms, now_ms);
    } else {
        asking.ended(Sample::Withheld);
        asking.in_flight.backs_off(now_ms);
    }
}

/// Books a failed attempt: on the offer's health, in the explanation, in the metrics. What it cost
/// all the same is the platform's.
pub(super) fn give_up(flight: &mut Flight, asking: &Asking, trouble: Trouble) -> Trouble {
    book(flight, asking, &trouble);
    // One that was left may be at work on it still, and charge for that.
    let lost = match trouble.is_ours() && asking.lost.is_zero() {
        true => Lost::estimated(flight.bear_prompt(&asking.offer)),
        false => Lost::reported(asking.lost),
    };
    let mut detail = Cow::Borrowed(trouble.detail());
    if !lost.cost.is_zero() {
        let joint = if detail.is_empty() { "" } else { "; " };
        detail.to_mut().push_str(&format!("{joint}{lost}"));
    }
    outcome::note(flight, asking, trouble.label(), &detail);
    trouble
}

/// Books a provider's trouble on the health of its offer, and how long it asks to be left alone.
fn book(flight: &Flight, asking: &Asking, trouble: &Trouble) {
    let now_ms = clock::steady_ms();
    let (health, lane) = (&flight.gateway.health, asking.lane());
    // An event that is longer than the gateway takes may repeat what the caller sent.
    let bounded = matches!(trouble, Trouble::Malformed(relay::TOO_LARGE));
    let sample = match asking.failed() {
        _ if bounded || trouble.is_no_fault() => Sample::Neutral,
        Sample::Failed if trouble.is_of_the_credential() => Sample::Withheld,
        sample => sample,
    };
    let was = health.gate(lane.offer, now_ms);
    asking.in_flight.ended(sample, now_ms);
    if was == Gate::Closed && matches!(health.gate(lane.offer, now_ms), Gate::Open { .. }) {
        let (id, offer, outcome) = (&*flight.id_text, &*asking.offer.id, trouble.label());
        tracing::warn!(id, offer, outcome, "an offer rests after failures in a row");
    }
    // Without a word on how long, it rests at once only where another credential can stand in.
    let own = asking.has_stand_in && trouble.is_of_the_credential();
    let unsaid = if trouble.is_rate_limit() { LIMITED_REST_MS } else { REFUSED_REST_MS };
    let unsaid = own.then(|| Duration::from_millis(unsaid));
    if let Some(rest) = trouble.rest().or(unsaid) {
        let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
        health.rest(lane, now_ms.saturating_add(rest_ms), now_ms);
    } else if sample == Sample::Withheld {
        asking.in_flight.backs_off(now_ms);
    }
    if trouble.is_rate_limit() {
        health.limited(lane);
    }
}

/// Books a rate limit that the provider tells after the first content, as one before it.
pub(in crate::pipeline) fn book_limit(flight: &Flight, asking: &Asking, error: &StreamError) {
    book(flight, asking, &request::limited(error, asking.dialect, &flight.id_text));
}

/// What an attempt cost the platform that came to nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lost {
    pub(super) cost: PicoUsd,
    /// It is the gateway's own count of the prompt.
    estimated: bool,
}

impl Lost {
    /// As the provider counted.
    fn reported(cost: PicoUsd) -> Self {
        Self { cost, estimated: false }
    }

    pub(super) fn estimated(cost: PicoUsd) -> Self {
        Self { cost, estimated: true }
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = if self.estimated { " by an estimate of the prompt" } else { "" };
        write!(f, "the platform bears its {} USD{count}", self.cost)
    }
}
