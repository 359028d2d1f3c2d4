//! Step 9: the plan's offers are asked in turn until one answers. What fails before the first
//! content costs the caller nothing and the next one is asked; after it nothing is replayed.

mod outcome;
mod request;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use http::Response;

use crate::catalog::Offer;
use crate::clock::{self, Stopwatch};
use crate::egress::GatewayBody;
use crate::error::Refusal;
use crate::route::{InFlight, Sample};
use crate::upstream::BodyReader;

use super::flight::Flight;
use super::{decide, relay};
pub(super) use outcome::{Fault, Trouble, note};

/// Before the best offer is asked once more: long enough for a restart of one server behind a load
/// balancer, short enough that nobody notices. The half on top is random, so that callers that
/// failed together do not come back together.
const RETRY_PAUSE_MS: u64 = 100;

/// An offer being asked.
pub(super) struct Asking {
    pub offer: Arc<Offer>,
    /// Its index in the configured catalogue.
    pub index: usize,
    pub watch: Stopwatch,
    pub first_byte_ms: Option<u64>,
    pub status: Option<u16>,
    /// Counts it as in flight until the attempt is over.
    pub _in_flight: InFlight,
}

/// What an attempt came to.
enum Reply {
    Whole(Box<whole::Answered>),
    Stream(Box<relay::Opened>),
}

/// Asks the offers of `plan` and answers the caller.
pub(super) async fn run(mut flight: Box<Flight>, plan: Vec<usize>) -> Response<GatewayBody> {
    let attempts_max = flight.gateway.settings.attempts;
    let mut tried = 0_usize;
    let mut last: Option<Trouble> = None;
    let mut queue = plan.clone();
    queue.reverse();
    while let Some(row) = queue.pop() {
        let Some(asking) = begin(&mut flight, row) else { continue };
        tried += 1;
        match one(&mut flight, asking).await {
            Ok(Reply::Whole(answered)) => return whole::finish(flight, *answered).await,
            Ok(Reply::Stream(opened)) => return relay::start(flight, *opened),
            Err(Ended::Fault(fault)) => return outcome::pass_on(flight, *fault),
            Err(Ended::Next(trouble)) => last = Some(trouble),
        }
        let again = last.as_ref().is_some_and(Trouble::worth_repeating);
        if queue.is_empty() && tried < attempts_max && tried == plan.len() && again {
            pause().await;
            queue.extend(plan.first());
        }
    }
    let refusal = outcome::refusal(last.as_ref(), tried);
    flight.refuse(&refusal)
}

enum Ended {
    /// The caller's fault, or nothing that another provider would do better.
    Fault(Box<Fault>),
    /// The provider's trouble: the next one may do better.
    Next(Trouble),
}

fn begin(flight: &mut Flight, row: usize) -> Option<Asking> {
    let candidate = flight.candidates.get(row)?;
    let (offer, index) = (Arc::clone(&candidate.offer), candidate.index);
    let floor = decide::open(flight, row)
        .then(|| flight.gateway.health.begin(index, clock::now_ms()))
        .flatten();
    let Some(in_flight) = floor else {
        outcome::note_skipped(flight, &offer);
        return None;
    };
    let watch = Stopwatch::start();
    Some(Asking { offer, index, watch, first_byte_ms: None, status: None, _in_flight: in_flight })
}

/// One attempt, to its answer or its first content.
async fn one(flight: &mut Flight, mut asking: Asking) -> Result<Reply, Ended> {
    let result = ask(flight, &mut asking).await;
    match result {
        Ok(body) if flight.call.stream => match relay::open(flight, asking, body).await {
            Ok(opened) => Ok(Reply::Stream(Box::new(opened))),
            Err((asking, trouble)) => Err(Ended::Next(give_up(flight, &asking, trouble))),
        },
        Ok(body) => match whole::collect(flight, &mut asking, body).await {
            Ok(answer) => Ok(Reply::Whole(Box::new(whole::Answered { asking, answer }))),
            Err(trouble) => Err(Ended::Next(give_up(flight, &asking, trouble))),
        },
        Err(request::Refused::Trouble(trouble)) => {
            Err(Ended::Next(give_up(flight, &asking, trouble)))
        }
        Err(request::Refused::Fault(fault)) => {
            // A provider that refuses a request is healthy.
            flight.gateway.health.record(asking.index, Sample::Neutral, clock::now_ms());
            outcome::note(flight, &asking, fault.label(), "");
            Err(Ended::Fault(fault))
        }
    }
}

async fn ask(flight: &mut Flight, asking: &mut Asking) -> Result<BodyReader, request::Refused> {
    // A provider takes seconds; when instances are scarce this request gives its own back.
    flight.session.rest();
    request::send(flight, asking).await
}

/// Books a failed attempt: on the offer's health, in the explanation, in the metrics.
fn give_up(flight: &mut Flight, asking: &Asking, trouble: Trouble) -> Trouble {
    let now_ms = clock::now_ms();
    flight.gateway.health.record(asking.index, Sample::Failed, now_ms);
    if let Some(rest) = trouble.rest() {
        let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
        flight.gateway.health.rest(asking.index, now_ms.saturating_add(rest_ms));
    }
    outcome::note(flight, asking, trouble.label(), trouble.detail());
    trouble
}

async fn pause() {
    let extra = rand::random::<u64>() % RETRY_PAUSE_MS;
    tokio::time::sleep(Duration::from_millis(RETRY_PAUSE_MS.saturating_add(extra))).await;
}

/// What the caller hears when the plan is at its end.
pub(super) fn unreachable_plan() -> Refusal {
    Refusal::all_resting(1)
}
