//! Under `fast`, and where the operator wants it: an offer that does not begin to answer in time
//! gets a rival, the next of the plan, and whoever begins first is taken. The other is cancelled by
//! closing its connection; what it may cost is the platform's (pitfall 49). Only before the first
//! byte, once for a request, and only with a rival that takes the caller's own bytes.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::gateway::Gateway;
use crate::route::Sample;
use crate::upstream::BodyReader;

use super::super::flight::Flight;
use super::super::terms;
use super::request::{self, Refused};
use super::{Asking, decide, opened, outcome};

/// Who was first.
enum Raced {
    First(Result<BodyReader, Refused>),
    Second(Result<BodyReader, Refused>),
}

/// Sends the call to the offer, and perhaps to a rival. `asking` is whoever answers.
pub(super) async fn send(flight: &mut Flight, asking: &mut Asking) -> Result<BodyReader, Refused> {
    let Some((row, wait)) = rival(flight, asking) else {
        return request::send(flight, asking).await;
    };
    let gateway = Arc::clone(&flight.gateway);
    let Some(provider) = gateway.providers.get(&*asking.offer.provider) else {
        return request::send(flight, asking).await;
    };
    let body = request::written(flight, asking, provider).await?;
    let mut second: Option<Asking> = None;
    let mut failed = None;
    let mut won = None;
    let first = {
        let shared: &Flight = flight;
        let mut first = Box::pin(request::exchange(shared, asking, provider, body));
        match tokio::time::timeout(wait, first.as_mut()).await {
            Ok(done) => Some(done),
            Err(_) => match opened(shared, row, false) {
                None => Some(first.await),
                Some(rival) => {
                    let rival = second.insert(rival);
                    match race(&gateway, shared, first.as_mut(), rival).await {
                        Raced::First(done) => Some(done),
                        Raced::Second(Ok(body)) => {
                            won = Some(body);
                            None
                        }
                        Raced::Second(Err(refused)) => {
                            failed = Some(refused);
                            Some(first.await)
                        }
                    }
                }
            },
        }
    };
    if let Some(body) = won
        && let Some(rival) = second.take()
    {
        flight.losses = request::own_losses(flight, &rival);
        cancelled(flight, &std::mem::replace(asking, rival));
        return Ok(body);
    }
    match (second, failed) {
        (Some(rival), None) => cancelled(flight, &rival),
        (Some(rival), Some(refused)) => lost(flight, &rival, &refused),
        (None, _) => {}
    }
    match first {
        // Without a head there is nobody left to have been first.
        None => request::send(flight, asking).await,
        Some(Err(Refused::Fault(fault))) if request::refuses_signature(&fault) => {
            request::send(flight, asking).await
        }
        Some(done) => done,
    }
}

async fn race(
    gateway: &Gateway,
    flight: &Flight,
    first: impl Future<Output = Result<BodyReader, Refused>>,
    rival: &mut Asking,
) -> Raced {
    let second = async {
        let Some(provider) = gateway.providers.get(&*rival.offer.provider) else {
            return std::future::pending().await;
        };
        let body = request::own_words(flight, rival, provider);
        request::exchange(flight, rival, provider, body).await
    };
    tokio::select! {
        biased;
        done = first => Raced::First(done),
        done = Box::pin(second) => Raced::Second(done),
    }
}

/// The row of the rival, and how long the offer that is asked has until then.
fn rival(flight: &Flight, asking: &Asking) -> Option<(usize, Duration)> {
    let wait_ms = flight.gateway.settings.hedge_ms;
    // Only the first attempt: what comes after a failure is asked in turn.
    if wait_ms == 0 || !flight.attempts.is_empty() || flight.call.embeds() {
        return None;
    }
    let needs = &flight.call.needs;
    let paid = needs.web_search || needs.hosted_tools;
    if terms::objective(flight).profile != "fast" || paid {
        return None;
    }
    let row = *flight.plan.get(1)?;
    let offer = flight.offer_of(row)?;
    let provider = flight.gateway.providers.get(&*offer.provider)?;
    let alike = provider.dialect(offer, &flight.call) == Some(flight.call.dialect);
    let apart = offer.provider != asking.offer.provider;
    (alike && apart && decide::open(flight, row)).then(|| (row, Duration::from_millis(wait_ms)))
}

/// Another was first.
fn cancelled(flight: &mut Flight, loser: &Asking) {
    flight.gateway.health.record(loser.lane(), Sample::Neutral, clock::now_ms());
    let detail = "another offer was asked too, and began to answer first";
    outcome::note(flight, loser, "cancelled", detail);
}

/// The rival failed while the first was still waited for.
fn lost(flight: &mut Flight, rival: &Asking, refused: &Refused) {
    let (sample, label) = match refused {
        Refused::Trouble(trouble) => (Sample::Failed, trouble.label()),
        Refused::Fault(fault) => (Sample::Neutral, fault.label()),
    };
    flight.gateway.health.record(rival.lane(), sample, clock::now_ms());
    outcome::note(flight, rival, label, "it was asked beside another");
}
