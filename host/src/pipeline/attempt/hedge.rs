//! Under `fast`, and where the operator wants it: an offer that does not begin to answer in time
//! gets a rival, the next of the plan, and whoever begins first is taken. The other is cancelled by
//! closing its connection; what it may cost is the platform's (pitfall 49). Only streams, since an
//! answer that comes whole begins when all of it is written; only before the first byte, once for
//! a request, only with a rival that takes the caller's own bytes, and only for a share of the
//! requests: where everybody is slow, twice the requests would make it worse.

use std::sync::Arc;
use std::time::Duration;

use crate::gateway::Gateway;
use crate::route::Sample;
use crate::upstream::BodyReader;

use super::super::flight::Flight;
use super::super::terms;
use super::booking::{Lost, book_fault, give_up};
use super::outcome::{self, Trouble};
use super::request::{self, Refused};
use super::silence::Left;
use super::{Asking, decide, opened};

/// What came of asking two.
enum Raced {
    /// The first offer's answer, or its failure before it had a rival.
    First(Result<BodyReader, Refused>),
    /// The rival's answer. The first one's trouble, where it was not merely slower.
    Second(BodyReader, Option<Trouble>),
    /// The rival failed and the first one is what remains; or both failed.
    Lost(Refused, Result<BodyReader, Refused>),
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
    let left = asking.left.clone();
    let mut second: Option<Asking> = None;
    let raced = {
        let shared: &Flight = flight;
        let mut first = Box::pin(request::exchange(shared, asking, provider, body));
        match tokio::time::timeout(wait, first.as_mut()).await {
            Ok(done) => Raced::First(done),
            Err(_) => match hedged(shared, row, &left) {
                None => Raced::First(first.await),
                Some(rival) => {
                    let rival = second.insert(rival);
                    race(&gateway, shared, first.as_mut(), rival).await
                }
            },
        }
    };
    if second.is_some() && !matches!(raced, Raced::First(_)) {
        // It has been asked in this request, whatever came of it.
        flight.asked_beside = Some(row);
    }
    match (raced, second) {
        (Raced::Second(body, trouble), Some(rival)) => {
            flight.losses = request::own_losses(flight, &rival);
            let first = std::mem::replace(asking, rival);
            match trouble {
                Some(trouble) => drop(give_up(flight, &first, trouble)),
                None => cancelled(flight, &first),
            }
            Ok(body)
        }
        (Raced::Lost(refused, done), Some(rival)) => {
            refused_beside(flight, &rival, refused);
            again_unsigned(flight, asking, done).await
        }
        (Raced::First(done), rival) => {
            if let Some(rival) = rival {
                cancelled(flight, &rival);
                left.give_next_back();
            }
            again_unsigned(flight, asking, done).await
        }
        // Without a rival nobody else has been first.
        (Raced::Second(..) | Raced::Lost(..), None) => request::send(flight, asking).await,
    }
}

/// The rival that may be asked now, if there is a hedge left for it. `left`: who may take the place
/// of the first.
fn hedged(flight: &Flight, row: usize, left: &Left) -> Option<Asking> {
    let hedges = &flight.gateway.hedges;
    if !hedges.take() {
        return None;
    }
    // One that is full or rests by now is not asked, and costs none.
    let mut rival = opened(flight, row, false).inspect_err(|_| hedges.give_back()).ok()?;
    left.take_next();
    rival.left = left.clone();
    Some(rival)
}

/// What the first offer said, or says when it is asked without thinking that was signed elsewhere.
async fn again_unsigned(
    flight: &mut Flight,
    asking: &mut Asking,
    done: Result<BodyReader, Refused>,
) -> Result<BodyReader, Refused> {
    match done {
        Err(Refused::Fault(fault)) if request::refuses_signature(&fault) => {
            request::send(flight, asking).await
        }
        done => done,
    }
}

/// Who begins first is taken; who has trouble leaves it to the other. A first offer that refuses
/// the request itself is believed at once.
async fn race(
    gateway: &Gateway,
    flight: &Flight,
    mut first: impl Future<Output = Result<BodyReader, Refused>> + Unpin,
    rival: &mut Asking,
) -> Raced {
    let second = async {
        let Some(provider) = gateway.providers.get(&*rival.offer.provider) else {
            return std::future::pending().await;
        };
        let body = request::own_words(flight, rival, provider);
        request::exchange(flight, rival, provider, body).await
    };
    let mut second = Box::pin(second);
    tokio::select! {
        biased;
        done = &mut first => match done {
            Err(Refused::Trouble(trouble)) => match second.await {
                Ok(body) => Raced::Second(body, Some(trouble)),
                Err(refused) => Raced::Lost(refused, Err(Refused::Trouble(trouble))),
            },
            done => Raced::First(done),
        },
        done = &mut second => match done {
            Ok(body) => Raced::Second(body, None),
            Err(refused) => Raced::Lost(refused, first.await),
        },
    }
}

/// The row of the rival, and how long the offer that is asked has until then.
fn rival(flight: &Flight, asking: &Asking) -> Option<(usize, Duration)> {
    let wait_ms = flight.gateway.settings.hedge_ms;
    // Only the first attempt: what comes after a failure is asked in turn.
    if wait_ms == 0 || !asking.left.is_of_the_first {
        return None;
    }
    flight.gateway.hedges.earn();
    if !flight.call.stream {
        return None;
    }
    let needs = &flight.call.needs;
    let paid = needs.web_search || needs.hosted_tools;
    if terms::objective(flight).profile != "fast" || paid {
        return None;
    }
    let row = asking.left.next()?;
    let offer = flight.offer_of(row)?;
    let provider = flight.gateway.providers.get(&*offer.provider)?;
    let alike = provider.dialect(offer, &flight.call) == Some(flight.call.dialect);
    let apart = offer.provider != asking.offer.provider;
    (alike && apart && decide::open(flight, row)).then(|| (row, Duration::from_millis(wait_ms)))
}

/// Another was first. The provider had the prompt, and may charge for it.
fn cancelled(flight: &mut Flight, loser: &Asking) {
    loser.ended(outrun(flight, loser));
    let lost = Lost::estimated(flight.bear_prompt(&loser.offer));
    let mut detail = "another offer was asked too, and was first".to_owned();
    if !lost.cost.is_zero() {
        detail.push_str(&format!("; {lost}"));
    }
    outcome::note(flight, loser, "cancelled", &detail);
}

/// How the loser's health takes it: that it is no quicker than that, where it had as long as any
/// first offer has alone. Left as unknown, it would be explored again and again.
fn outrun(flight: &Flight, loser: &Asking) -> Sample {
    let waited_ms = loser.watch.millis();
    match loser.given_up() {
        Sample::Neutral if waited_ms >= flight.gateway.settings.hedge_ms => {
            Sample::outrun(waited_ms, flight.input_tokens)
        }
        sample => sample,
    }
}

/// The rival failed beside the first: booked as any other attempt that failed.
fn refused_beside(flight: &mut Flight, rival: &Asking, refused: Refused) {
    match refused {
        Refused::Trouble(trouble) => drop(give_up(flight, rival, trouble)),
        Refused::Fault(fault) => book_fault(flight, rival, &fault),
    }
}
