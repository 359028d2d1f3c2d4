//! Step 9: the plan's offers are asked in turn until one answers. What fails before the first
//! content costs the caller nothing and the next one is asked; after it nothing is replayed.

mod blame;
mod booking;
mod count;
mod failed;
mod hedge;
mod limits;
mod outcome;
mod request;
mod said;
mod silence;
mod whole;

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use turnpike_ledger::PicoUsd;
use turnpike_protocol::{Answer, Dialect};

use crate::catalog::Offer;
use crate::clock::{self, Stopwatch};
use crate::egress::GatewayBody;
use crate::gateway::Framing;
use crate::route::{Demand, Gate, InFlight, Lane, NotNow, Sample, Selector};

use super::flight::Flight;
use super::settle::Reported;
use super::{decide, relay};
pub(super) use blame::{Blame, of_answer as blame_of};
pub(super) use booking::book_limit;
use booking::{book_fault, give_up};
pub(super) use count::count;
use failed::Failed;
pub(super) use outcome::{Fault, Trouble, note};
use silence::Left;
pub(super) use silence::bound as probe_bound;

/// Before the best offer is asked once more: long enough for a restart of one server behind a load
/// balancer, short enough that nobody notices. The half on top is random, so that callers that
/// failed together do not come back together.
const RETRY_PAUSE_MS: u64 = 100;

/// Further credentials that one request may find refused or over their limit: more would make it
/// wait for what hardly helps.
const CREDENTIALS_TRIED_MAX: usize = 3;
/// Why an offer has to wait for the others of its plan.
const NO_ROOM: &str = "put off: its provider says that it has no room for so long a prompt now";

/// An offer being asked.
pub(super) struct Asking {
    pub offer: Arc<Offer>,
    /// Its row among the candidates.
    pub row: usize,
    /// Its index in the configured catalogue.
    pub index: usize,
    pub watch: Stopwatch,
    /// When the head of its answer came.
    pub first_byte_ms: Option<u64>,
    /// When the first content did, of a stream; and when its answer itself began, after what it
    /// thought.
    pub first_content_ms: Option<u64>,
    pub spoke_ms: Option<u64>,
    /// When it last gave a sign of life; 0 before any.
    pub alive_ms: u64,
    pub status: Option<u16>,
    /// In which the provider is spoken to.
    pub dialect: Dialect,
    /// How a stream of the provider's is cut.
    pub framing: Framing,
    /// It failed in this request before and is asked once more.
    pub again: bool,
    /// Its provider has other credentials than the one it is asked by.
    pub has_stand_in: bool,
    /// What of it the platform bears, as far as the provider has counted.
    pub lost: PicoUsd,
    /// Who is left to ask when it is given up.
    left: Left,
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

    /// What it says that the caller left before any content: nothing, unless it had waited in vain
    /// for longer than such an answer takes.
    fn given_up(&self) -> Sample {
        let quiet_ms = self.watch.millis().saturating_sub(self.alive_ms);
        match self.in_flight.given_up(quiet_ms) {
            _ if self.again => Sample::Neutral,
            // It has begun to answer, and may be thinking.
            Sample::Failed if self.first_byte_ms.is_some() => Sample::GivenUp,
            sample => sample,
        }
    }

    /// It comes to nothing, and the provider counts it all the same.
    pub(super) fn bear(&mut self, flight: &mut Flight, reported: &Reported) {
        self.lost = self.lost.saturating_add(flight.bear(&self.offer, reported));
    }

    /// Tells the offer's health of an answer that has come to its end, or that nothing was said.
    pub(super) fn answered(&self, reported: &Reported, sample: Sample) {
        self.ended(match (reported.is_empty(), reported.says_that_it_is_empty()) {
            (false, _) => sample,
            (true, true) if !self.again => Sample::Empty,
            (true, _) => Sample::Neutral,
        });
    }

    /// Tells the offer's health how it went.
    pub(super) fn ended(&self, sample: Sample) {
        self.in_flight.ended(sample, clock::steady_ms());
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
    let mut failed = Failed::default();
    let mut queue = plan.clone();
    queue.reverse();
    let (mut again, mut spare) = (false, 0_usize);
    let mut crowded = true;
    while let Some(row) = queue.pop() {
        if has_roomier(&flight, row, &queue) {
            outcome::note_skipped(&mut flight, row, NO_ROOM.into());
            queue.insert(0, row);
            continue;
        }
        let mut asking = match begin(&mut flight, row, again) {
            Ok(asking) => asking,
            Err(why) => {
                crowded &= matches!(why, NotNow::Full { .. });
                continue;
            }
        };
        asking.left = Left::of(&queue, tried == 0 && spare == 0);
        tried += 1;
        // A rival may have answered, or failed, in its place.
        let (ended, row) = one(&mut flight, asking).await;
        if let Some(beside) = flight.asked_beside.take() {
            tried += usize::from(queue.contains(&beside));
            queue.retain(|other| *other != beside);
        }
        match ended {
            Ok(Reply::Whole(answered)) => return whole::finish(flight, *answered).await,
            Ok(Reply::Stream(opened)) => return relay::start(flight, *opened),
            // Another may have given the response that this one does not know.
            Err(Ended::Fault(fault)) if fault.keeps_it_not() => failed.unknown = Some(fault),
            // With another of the provider's credentials the same offer may answer at once.
            Err(ended) if spare < CREDENTIALS_TRIED_MAX && stands_in(&flight, &ended, row) => {
                spare += 1;
                tried -= 1;
                if let Ended::Next(trouble) = ended {
                    failed.note(trouble);
                }
                queue.push(row);
            }
            // Whoever names a model hears that its key does not do; nobody else has to.
            Err(Ended::Fault(fault)) if fault.is_of_the_credential() && is_ours(&flight) => {
                queue.retain(|other| may_do_better(&flight, &fault, *other, row));
                failed.locked = Some(fault);
            }
            Err(Ended::Fault(fault)) => {
                queue.retain(|other| may_do_better(&flight, &fault, *other, row));
                if queue.is_empty() {
                    return outcome::pass_on(flight, *fault);
                }
                failed.refused = Some(fault);
            }
            Err(Ended::Next(trouble)) => failed.note(trouble),
        }
        let worth = failed.last.as_ref().is_some_and(Trouble::worth_repeating);
        let over = queue.is_empty() && failed.refused.is_none() && tried == plan.len();
        if over && tried < attempts_max && worth {
            pause().await;
            queue.extend(plan.iter().find(|row| decide::open(&flight, **row)));
            again = true;
        }
    }
    match failed.fault() {
        Some(fault) => outcome::pass_on(flight, *fault),
        None if tried == 0 && crowded => outcome::turn_away(flight),
        None => outcome::give_out(flight, failed.last, failed.soonest),
    }
}

/// Whether which model answers is the gateway's choice.
fn is_ours(flight: &Flight) -> bool {
    matches!(flight.selector(), Selector::Auto(_))
}

/// Whether an attempt failed for its credential alone and the offer has another one that is open.
fn stands_in(flight: &Flight, ended: &Ended, row: usize) -> bool {
    let own = match ended {
        Ended::Next(trouble) => trouble.is_of_the_credential(),
        Ended::Fault(fault) => fault.is_of_the_credential(),
    };
    own && several_credentials(flight, row) && decide::open(flight, row)
}

fn several_credentials(flight: &Flight, row: usize) -> bool {
    let provider = flight.offer_of(row).and_then(|o| flight.gateway.providers.get(&*o.provider));
    provider.is_some_and(|provider| provider.credentials() > 1)
}

/// Whether the provider of that row has said that it has no room for so long a prompt now, and one
/// that is left has: the estimate is a rough one, so without another it is sent all the same.
fn has_roomier(flight: &Flight, row: usize, left: &[usize]) -> bool {
    let (health, now_ms) = (&flight.gateway.health, clock::steady_ms());
    let lacks = |row: usize| {
        let candidate = flight.candidates.get(row);
        candidate.is_some_and(|it| health.lacks_tokens(it.index, demand(flight), now_ms))
    };
    !left.is_empty()
        && lacks(row)
        && left.iter().any(|other| decide::open(flight, *other) && !lacks(*other))
}

/// The request as the health of an offer sees it.
fn demand(flight: &Flight) -> Demand {
    Demand { whole: !flight.call.stream, input_tokens: flight.input_tokens }
}

/// Whether the offer in one row may take what the one in another refused: what is too long for one
/// may fit another, what one provider does not keep another may, what can't be said in the dialect
/// of one can perhaps in that of another, and a key that one does not take is not another's. A
/// member that one model does not take the caller could not know of, where it did not choose it.
/// What is not even of the caller's own dialect only a provider of that can take.
fn may_do_better(flight: &Flight, fault: &Fault, row: usize, than: usize) -> bool {
    let provider = |row| flight.offer_of(row).map(|offer| &offer.provider);
    let spoken = |offer: &Arc<Offer>| offer.speaks(flight.call.dialect.label());
    (matches!(fault, Fault::Untranslatable(_))
        && (!fault.is_unreadable() || flight.offer_of(row).is_some_and(spoken)))
        || (fault.is_about_a_member() && is_ours(flight))
        || (fault.is_about_length() && is_larger(flight, row, than))
        || (fault.is_about_a_reference() && provider(row) != provider(than))
        || (is_ours(flight)
            && fault.is_of_the_credential()
            && (!fault.is_of_the_key() || provider(row) != provider(than)))
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

fn begin(flight: &mut Flight, row: usize, again: bool) -> Result<Asking, NotNow> {
    opened(flight, row, again)
        .inspect_err(|why| outcome::note_skipped(flight, row, outcome::why_skipped(*why)))
}

/// The offer in that row, if it may be asked now.
fn opened(flight: &Flight, row: usize, again: bool) -> Result<Asking, NotNow> {
    let candidate = flight.candidates.get(row).ok_or(NotNow::Resting)?;
    let index = candidate.index;
    let offer = Arc::clone(flight.offer_of(row).ok_or(NotNow::Resting)?);
    let (health, now_ms) = (&flight.gateway.health, clock::steady_ms());
    let in_flight = match health.gate(index, now_ms) {
        Gate::Full { most } => Err(NotNow::Full { most }),
        Gate::Open { .. } => Err(NotNow::Resting),
        Gate::Closed | Gate::HalfOpen => health.begin_for(index, demand(flight), now_ms),
    }?;
    let watch = Stopwatch::start();
    let (first_byte_ms, first_content_ms, status) = (None, None, None);
    let provider = flight.gateway.providers.get(&*offer.provider);
    let dialect = provider.and_then(|provider| provider.dialect(&offer, &flight.call));
    let dialect = dialect.unwrap_or(flight.call.dialect);
    let has_stand_in = provider.is_some_and(|provider| provider.credentials() > 1);
    let framing = provider.map_or(Framing::Events, |provider| provider.framing(dialect));
    Ok(Asking {
        offer,
        row,
        index,
        watch,
        first_byte_ms,
        first_content_ms,
        spoke_ms: None,
        alive_ms: 0,
        status,
        dialect,
        framing,
        again,
        has_stand_in,
        lost: PicoUsd(0),
        left: Left::default(),
        in_flight,
    })
}

/// One attempt, to its answer or its first content, with the row of who was asked in the end.
async fn one(flight: &mut Flight, mut asking: Asking) -> (Result<Reply, Ended>, usize) {
    let got = UnderWay::new(flight, &mut asking).ask().await;
    let row = asking.row;
    let ended = match got {
        Ok(Got::Whole(answer)) => {
            Ok(Reply::Whole(Box::new(whole::Answered { asking, answer: *answer })))
        }
        Ok(Got::Stream(begun)) => Ok(Reply::Stream(Box::new(begun.by(asking)))),
        Err(request::Refused::Trouble(trouble)) => {
            Err(Ended::Next(give_up(flight, &asking, trouble)))
        }
        Err(request::Refused::Fault(fault)) => {
            book_fault(flight, &asking, &fault);
            Err(Ended::Fault(fault))
        }
    };
    (ended, row)
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
            self.asking.ended(self.asking.given_up());
            note(self.flight, self.asking, "cancelled", "the caller left before any content");
        }
    }
}

async fn pause() {
    let extra = rand::random::<u64>() % RETRY_PAUSE_MS;
    tokio::time::sleep(Duration::from_millis(RETRY_PAUSE_MS.saturating_add(extra))).await;
}

#[cfg(test)]
pub(super) mod tests;
