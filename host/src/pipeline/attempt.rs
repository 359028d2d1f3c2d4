//! Step 9: the plan's offers are asked in turn until one answers. What fails before the first
//! content costs the caller nothing and the next one is asked; after it nothing is replayed.

mod blame;
mod count;
mod hedge;
mod limits;
mod outcome;
mod request;
mod said;
mod silence;
mod whole;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use turnpike_ledger::PicoUsd;
use turnpike_protocol::{Answer, Dialect};

use crate::catalog::Offer;
use crate::clock::{self, Stopwatch};
use crate::egress::GatewayBody;
use crate::error::Refusal;
use crate::gateway::Framing;
use crate::route::{Gate, InFlight, Lane, Sample, Selector};

use super::flight::Flight;
use super::{decide, relay};
pub(super) use blame::{Blame, of_answer as blame_of};
pub(super) use count::count;
pub(super) use outcome::{Fault, Trouble, note};

/// Before the best offer is asked once more: long enough for a restart of one server behind a load
/// balancer, short enough that nobody notices. The half on top is random, so that callers that
/// failed together do not come back together.
const RETRY_PAUSE_MS: u64 = 100;

/// Further credentials that one request may find refused or over their limit: more would make it
/// wait for what hardly helps.
const CREDENTIALS_TRIED_MAX: usize = 3;
/// How long one rests that is over its limit, where the provider does not say.
const LIMITED_REST_MS: u64 = 1_000;
/// How long a credential rests that the provider refused or whose account is empty, where there is
/// another: somebody has to mend it.
const REFUSED_REST_MS: u64 = 60_000;

/// An offer being asked.
pub(super) struct Asking {
    pub offer: Arc<Offer>,
    /// Its index in the configured catalogue.
    pub index: usize,
    pub watch: Stopwatch,
    pub first_byte_ms: Option<u64>,
    pub status: Option<u16>,
    /// In which the provider is spoken to.
    pub dialect: Dialect,
    /// How a stream of the provider's is cut.
    pub framing: Framing,
    /// It failed in this request before and is asked once more.
    pub again: bool,
    /// Its provider has other credentials than the one it is asked by.
    pub has_stand_in: bool,
    /// Counts it as in flight until the attempt is over.
    pub in_flight: InFlight,
}

impl Asking {
    /// What is asked, and by which credential.
    pub(super) fn lane(&self) -> Lane {
        self.in_flight.lane()
    }

    /// What a failure says of the offer's health. A request counts one against an offer, also
    /// when it asked twice.
    pub(super) fn failed(&self) -> Sample {
        if self.again { Sample::Neutral } else { Sample::Failed }
    }
}

/// What an attempt came to.
enum Reply {
    Whole(Box<whole::Answered>),
    Stream(Box<relay::Opened>),
}

/// What a provider gave: all of its answer, or a stream up to its first content.
enum Got {
    Whole(Box<Answer>),
    Stream(Box<relay::Begun>),
}

/// Asks the offers of `plan` and answers the caller.
pub(super) async fn run(mut flight: Box<Flight>, plan: Vec<usize>) -> Response<GatewayBody> {
    let attempts_max = flight.gateway.settings.attempts;
    let mut tried = 0_usize;
    let mut last: Option<Trouble> = None;
    let mut unknown: Option<Box<Fault>> = None;
    let mut soonest: Option<Duration> = None;
    let mut refused: Option<Box<Fault>> = None;
    let mut queue = plan.clone();
    queue.reverse();
    let (mut again, mut spare) = (false, 0_usize);
    while let Some(row) = queue.pop() {
        let Some(asking) = begin(&mut flight, row, again) else { continue };
        tried += 1;
        let ended = one(&mut flight, asking).await;
        if let Some(beside) = flight.asked_beside.take() {
            tried += usize::from(queue.contains(&beside));
            queue.retain(|other| *other != beside);
        }
        match ended {
            Ok(Reply::Whole(answered)) => return whole::finish(flight, *answered).await,
            Ok(Reply::Stream(opened)) => return relay::start(flight, *opened),
            // Another may have given the response that this one does not know.
            Err(Ended::Fault(fault)) if fault.keeps_it_not() => unknown = Some(fault),
            // With another of the provider's credentials the same offer may answer at once.
            Err(ended) if spare < CREDENTIALS_TRIED_MAX && stands_in(&flight, &ended, row) => {
                spare += 1;
                tried -= 1;
                if let Ended::Next(trouble) = ended {
                    soonest = soonest.into_iter().chain(trouble.wait()).min();
                    last = Some(trouble);
                }
                queue.push(row);
            }
            Err(Ended::Fault(fault)) => {
                queue.retain(|other| may_do_better(&flight, &fault, *other, row));
                if queue.is_empty() {
                    return outcome::pass_on(flight, *fault);
                }
                refused = Some(fault);
            }
            Err(Ended::Next(trouble)) => {
                soonest = soonest.into_iter().chain(trouble.wait()).min();
                last = Some(trouble);
            }
        }
        let worth = last.as_ref().is_some_and(Trouble::worth_repeating);
        let over = queue.is_empty() && refused.is_none() && tried == plan.len();
        if over && tried < attempts_max && worth {
            pause().await;
            queue.extend(plan.first());
            again = true;
        }
    }
    // Where one of them failed it may be the one that keeps the conversation, and it may come back.
    let fault = refused.or(unknown.filter(|_| last.is_none()));
    match fault {
        Some(fault) => outcome::pass_on(flight, *fault),
        None => outcome::give_out(flight, last, tried, soonest),
    }
}

/// Whether an attempt failed for its credential alone and the offer has another one that is open.
fn stands_in(flight: &Flight, ended: &Ended, row: usize) -> bool {
    let own = match ended {
        Ended::Next(trouble) => trouble.is_of_the_credential(),
        Ended::Fault(fault) => matches!(**fault, Fault::Credential { .. }),
    };
    own && several_credentials(flight, row) && decide::open(flight, row)
}

fn several_credentials(flight: &Flight, row: usize) -> bool {
    let provider = flight.offer_of(row).and_then(|o| flight.gateway.providers.get(&*o.provider));
    provider.is_some_and(|provider| provider.credentials() > 1)
}

/// Whether the offer in one row may take what the one in another refused: what is too long for one
/// may fit another, what one provider does not keep another may, and what can't be said in the
/// dialect of one can perhaps in that of another. A member that one model does not take the caller
/// could not know of, where it did not choose the model.
fn may_do_better(flight: &Flight, fault: &Fault, row: usize, than: usize) -> bool {
    let provider = |row| flight.offer_of(row).map(|offer| &offer.provider);
    let ours = || matches!(flight.selector(), Selector::Auto(_));
    matches!(fault, Fault::Untranslatable(_))
        || (fault.is_about_a_member() && ours())
        || (fault.is_about_length() && is_larger(flight, row, than))
        || (fault.is_about_a_reference() && provider(row) != provider(than))
}

/// Whether the offer in one row takes longer prompts than the one in another.
fn is_larger(flight: &Flight, row: usize, than: usize) -> bool {
    let context = |row| flight.offer_of(row).map(|offer| offer.context_tokens);
    context(row) > context(than)
}

enum Ended {
    /// The caller's fault, or nothing that another provider would do better.
    Fault(Box<Fault>),
    /// The provider's trouble: the next one may do better.
    Next(Trouble),
}

fn begin(flight: &mut Flight, row: usize, again: bool) -> Option<Asking> {
    let begun = opened(flight, row, again);
    if begun.is_none()
        && let Some(offer) = flight.offer_of(row).map(Arc::clone)
    {
        outcome::note_skipped(flight, &offer);
    }
    begun
}

/// The offer in that row, if it may be asked now.
fn opened(flight: &Flight, row: usize, again: bool) -> Option<Asking> {
    let index = flight.candidates.get(row)?.index;
    let offer = Arc::clone(flight.offer_of(row)?);
    let in_flight = decide::open(flight, row)
        .then(|| flight.gateway.health.begin(index, clock::now_ms()))
        .flatten()?;
    let watch = Stopwatch::start();
    let (first_byte_ms, status) = (None, None);
    let provider = flight.gateway.providers.get(&*offer.provider);
    let dialect = provider.and_then(|provider| provider.dialect(&offer, &flight.call));
    let dialect = dialect.unwrap_or(flight.call.dialect);
    let has_stand_in = provider.is_some_and(|provider| provider.credentials() > 1);
    let framing = provider.map_or(Framing::Events, |provider| provider.framing(dialect));
    Some(Asking {
        offer,
        index,
        watch,
        first_byte_ms,
        status,
        dialect,
        framing,
        again,
        has_stand_in,
        in_flight,
    })
}

/// One attempt, to its answer or its first content.
async fn one(flight: &mut Flight, mut asking: Asking) -> Result<Reply, Ended> {
    let lost = flight.lost;
    match UnderWay::new(flight, &mut asking).ask().await {
        Ok(Got::Whole(answer)) => {
            Ok(Reply::Whole(Box::new(whole::Answered { asking, answer: *answer })))
        }
        Ok(Got::Stream(begun)) => Ok(Reply::Stream(Box::new(begun.by(asking)))),
        Err(request::Refused::Trouble(trouble)) => {
            let lost = flight.lost.saturating_sub(lost);
            Err(Ended::Next(give_up(flight, &asking, trouble, lost)))
        }
        Err(request::Refused::Fault(fault)) => {
            book_fault(flight, &asking, &fault);
            Err(Ended::Fault(fault))
        }
    }
}

/// Books an attempt that ended for a reason that no other provider would do better about: one that
/// refuses a request is healthy.
fn book_fault(flight: &mut Flight, asking: &Asking, fault: &Fault) {
    let (health, now_ms) = (&flight.gateway.health, clock::now_ms());
    health.record(asking.lane(), Sample::Neutral, now_ms);
    if matches!(*fault, Fault::Credential { .. }) && asking.has_stand_in {
        health.rest(asking.lane(), now_ms.saturating_add(REFUSED_REST_MS));
    }
    outcome::note(flight, asking, fault.label(), "");
}

/// An attempt whose answer is being waited for. The caller's leaving drops it there, and it is
/// noted as cancelled.
struct UnderWay<'a> {
    flight: &'a mut Flight,
    asking: &'a mut Asking,
    over: bool,
}

impl<'a> UnderWay<'a> {
    fn new(flight: &'a mut Flight, asking: &'a mut Asking) -> Self {
        Self { flight, asking, over: false }
    }

    async fn ask(mut self) -> Result<Got, request::Refused> {
        // A provider takes seconds; when instances are scarce this request gives its own back.
        self.flight.session.rest();
        let got = self.get().await;
        self.over = true;
        got
    }

    async fn get(&mut self) -> Result<Got, request::Refused> {
        let body = hedge::send(self.flight, self.asking).await?;
        let got = if self.flight.call.stream {
            let begun = relay::open(self.flight, self.asking, body).await;
            begun.map(|begun| Got::Stream(Box::new(begun)))
        } else {
            let answer = whole::collect(self.flight, self.asking, body).await;
            answer.map(|answer| Got::Whole(Box::new(answer)))
        };
        got.map_err(|trouble| request::judged(self.flight, self.asking, trouble))
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.over {
            let health = &self.flight.gateway.health;
            // Also lets another request probe an offer that was half-open.
            health.record(self.asking.lane(), Sample::Neutral, clock::now_ms());
            note(self.flight, self.asking, "cancelled", "the caller left before any content");
        }
    }
}

/// Books a failed attempt: on the offer's health, in the explanation, in the metrics. What it cost
/// all the same (`lost`) is the platform's.
fn give_up(flight: &mut Flight, asking: &Asking, trouble: Trouble, lost: PicoUsd) -> Trouble {
    let now_ms = clock::now_ms();
    let (health, lane) = (&flight.gateway.health, asking.lane());
    // An event that is longer than the gateway takes may repeat what the caller sent.
    let bounded = matches!(trouble, Trouble::Malformed(relay::TOO_LARGE));
    let sample = match asking.failed() {
        _ if bounded => Sample::Neutral,
        Sample::Failed if trouble.is_of_the_credential() => Sample::Withheld,
        sample => sample,
    };
    let was = health.gate(lane.offer, now_ms);
    health.record(lane, sample, now_ms);
    if was == Gate::Closed && matches!(health.gate(lane.offer, now_ms), Gate::Open { .. }) {
        let (id, offer, outcome) = (&*flight.id_text, &*asking.offer.id, trouble.label());
        tracing::warn!(id, offer, outcome, "an offer rests after failures in a row");
    }
    // Without a word on how long, it rests only where another credential can stand in.
    let own = asking.has_stand_in && trouble.is_of_the_credential();
    let unsaid = if trouble.is_rate_limit() { LIMITED_REST_MS } else { REFUSED_REST_MS };
    let unsaid = own.then(|| Duration::from_millis(unsaid));
    if let Some(rest) = trouble.rest().or(unsaid) {
        let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
        health.rest(lane, now_ms.saturating_add(rest_ms));
    }
    if trouble.is_rate_limit() {
        health.limited(lane);
    }
    let mut detail = Cow::Borrowed(trouble.detail());
    if !lost.is_zero() {
        let joint = if detail.is_empty() { "" } else { "; " };
        detail.to_mut().push_str(&format!("{joint}the platform bears its {lost} USD"));
    }
    outcome::note(flight, asking, trouble.label(), &detail);
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

#[cfg(test)]
pub(super) mod tests;
