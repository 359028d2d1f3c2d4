//! Steps 10 to 12 for a stream: provider's bytes to caller's bytes, redacted on the way, charged at
//! the end. Nothing is sent before the first content, so that a failure before it is still a
//! fallback; nothing is replayed after it.

mod array;
mod body;
mod cutter;
mod ending;
mod meter;
mod opening;
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Response;
use turnpike_protocol::cut::Cut;
use turnpike_protocol::sse::Frame;
use turnpike_protocol::translate::StreamTranslator;
use turnpike_protocol::{Dialect, StreamError, Usage, nests_too_deep};

use crate::clock;
use crate::egress::{GatewayBody, Served, anthropic_request_id, content_type, request_id};
use crate::redact::StreamRedactor;
use crate::upstream::{BodyReader, ErrorKind, Read, TransportError};

use crate::tasks::LastCall;

use super::attempt::{Asking, Blame, blame_of};
use super::facts::PolicyScan;
use super::flight::Flight;
use super::{admit, explain, reserve, settle};
use array::Listing;
use body::RelayBody;
use cutter::Cutter;
pub(super) use cutter::TOO_LARGE;
use meter::Meter;
pub(super) use opening::open;
use words::{ping, withheld};

/// A stream that waited for its caller for so long in all may have ended for that: what stands
/// before a provider's servers gives up a connection that takes nothing for a minute, or less.
const LEFT_WAITING_MAX: Duration = Duration::from_secs(20);
/// For the end of a body after its end mark, which normally comes with it.
const TAIL_TIME_MAX: Duration = Duration::from_millis(100);

/// A stream whose first content has come.
pub(super) struct Opened {
    asking: Asking,
    stream: Upstream,
    first: Bytes,
}

/// A stream up to its first content, without who gives it.
pub(super) struct Begun {
    stream: Upstream,
    first: Bytes,
}

impl Begun {
    pub(super) fn by(self, asking: Asking) -> Opened {
        let Self { stream, first } = self;
        Opened { asking, stream, first }
    }
}

/// The provider's side of a stream.
struct Upstream {
    body: BodyReader,
    cutter: Cutter,
    frames: Vec<Frame>,
    /// Where the provider speaks another dialect than the caller.
    translator: Option<StreamTranslator>,
    redactor: StreamRedactor,
    /// After so much silence the caller hears something, and the hold is looked at.
    patience: Duration,
    read_bytes: usize,
    /// Bytes of text in what was handed on.
    sent_bytes: u64,
    /// Whether a sound or a picture was.
    sent_media: bool,
    /// The policy's refusal came with the first content; the caller hears of it in the stream.
    withheld: Option<Option<String>>,
    /// An answer without a word is what the caller asked for.
    empty_is_asked: bool,
}

/// One step of a stream.
enum Step {
    /// Bytes for the caller; may be empty while text is held back.
    More(Bytes),
    /// The stream is complete; these are the last bytes.
    Complete(Bytes),
    /// Nothing came for a while; the caller is to hear that somebody is still there.
    Silent,
}

/// Why a stream broke.
enum Broken {
    Transport(TransportError),
    /// The provider's own error event; it has been passed on as it was.
    Reported {
        error: Box<StreamError>,
        raw: Bytes,
    },
    /// The redaction policy stops the stream, or failed.
    Withheld {
        blocked: Option<String>,
    },
    Malformed(&'static str),
    /// It is longer than the gateway takes, which says nothing of the provider.
    TooLong(&'static str),
    /// The body ended without finish and without `[DONE]`.
    CutOff,
    /// It ended early, after the caller had taken nothing for so long that it may have for that.
    LeftWaiting,
}

// === impl Broken ===

impl Broken {
    /// Whether it counts against the offer's health: what the provider says of the request itself
    /// does not, or one caller could take an offer from all others; nor does its rate limit.
    fn counts(&self) -> bool {
        match self {
            Self::Reported { error, .. } => {
                !matches!(blame_of(error), Blame::Request | Blame::Limit)
            }
            Self::Withheld { .. } | Self::TooLong(_) | Self::LeftWaiting => false,
            Self::Transport(_) | Self::Malformed(_) | Self::CutOff => true,
        }
    }

    /// Whether the caller brought it about, or can: by a text that its policy blocks, by a request
    /// that the provider refuses in the middle, by an event that is longer than the gateway takes,
    /// by not reading until the provider gives up.
    fn is_callers(&self) -> bool {
        match self {
            Self::Withheld { blocked } => blocked.is_some(),
            Self::Reported { error, .. } => blame_of(error) == Blame::Request,
            Self::TooLong(_) | Self::LeftWaiting => true,
            Self::Transport(_) | Self::Malformed(_) | Self::CutOff => false,
        }
    }

    /// The same where the caller had left the stream waiting for so long in all: a connection that
    /// is closed early says nothing of the provider then.
    fn after(self, left_waiting: Duration) -> Self {
        let closed = match &self {
            Self::Transport(error) => error.kind == ErrorKind::Closed,
            broken => matches!(broken, Self::CutOff),
        };
        if closed && left_waiting >= LEFT_WAITING_MAX { Self::LeftWaiting } else { self }
    }
}

/// Answers the caller with the stream.
pub(super) fn start(flight: Box<Flight>, opened: Opened) -> Response<GatewayBody> {
    let (head, body) = begun(flight, opened);
    head.map(|()| GatewayBody::Stream(Box::pin(body)))
}

fn begun(mut flight: Box<Flight>, opened: Opened) -> (Response<()>, RelayBody) {
    flight.mark_first_content();
    flight.served = Some(Arc::clone(&opened.asking.offer));
    flight.served_index = Some(opened.asking.index);
    // What it may have to hold more of is not another model's budget's business.
    reserve::narrow(&flight, &opened.asking.offer, clock::now_ms());
    let attempts = flight.attempts.len().saturating_add(1);
    let mut head = Response::new(());
    let headers = head.headers_mut();
    let kind = match flight.manner.array {
        true => "application/json; charset=utf-8",
        false => "text/event-stream; charset=utf-8",
    };
    content_type(headers, kind);
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-cache"));
    request_id(headers, &flight.id_text);
    if flight.manner.dialect == Dialect::AnthropicMessages {
        anthropic_request_id(headers, &flight.id_text);
    }
    Served {
        model: &opened.asking.offer.model,
        provider: &opened.asking.offer.provider,
        task: &flight.task.task,
        attempts,
        cost_usd: None,
        policy: &explain::policies_header(&flight),
        clamped: flight.clamp_of(&opened.asking.offer),
        losses: &flight.losses,
    }
    .write(headers);
    admit::headers(&flight, headers);
    let mut listing =
        flight.manner.array.then(|| Listing::new(flight.gateway.settings.event_bytes));
    let first = match &mut listing {
        Some(listing) => listing.push(opened.first),
        None => opened.first,
    };
    let (asking, stream) = (opened.asking, opened.stream);
    let meter = Meter::new(&flight, &asking.offer);
    let last_call = flight.gateway.last_call.clone();
    let relay = Relay {
        flight,
        asking,
        stream,
        listing,
        meter,
        given_bytes: 0,
        given_media: false,
        left_waiting: Duration::ZERO,
        left: Arc::default(),
        last_call,
        broken: None,
        over: false,
    };
    (head, RelayBody::new(relay, first))
}

impl Upstream {
    /// One read of the socket, through framing and redaction.
    async fn step(&mut self, flight: &mut Flight) -> Result<Step, Broken> {
        if self.redactor.facts().done {
            self.read_tail().await;
            return Ok(Step::Complete(Bytes::new()));
        }
        let bytes = match self.body.read_for(self.patience).await.map_err(Broken::Transport)? {
            Read::Piece(bytes) => bytes,
            Read::Silence => return Ok(Step::Silent),
            Read::End => return self.ended(flight).await,
        };
        self.read_bytes = self.read_bytes.saturating_add(bytes.len());
        self.cutter.push(bytes, &mut self.frames).map_err(|what| match what {
            TOO_LARGE => Broken::TooLong(what),
            what => Broken::Malformed(what),
        })?;
        self.translate(false)?;
        let out = self.redact(flight).await?;
        // The last bytes go out at once where the rest of the body has yet to come.
        if self.redactor.facts().done && self.body.is_complete() {
            return Ok(Step::Complete(out));
        }
        Ok(Step::More(out))
    }

    /// The body has ended: complete if the answer was.
    async fn ended(&mut self, flight: &mut Flight) -> Result<Step, Broken> {
        self.cutter.finish(&mut self.frames);
        self.translate(true)?;
        let last = self.redact(flight).await?;
        let facts = self.redactor.facts();
        if !facts.done && !facts.finished() {
            return Err(Broken::CutOff);
        }
        let tail = self.flush(flight).await?;
        Ok(Step::Complete(join(last, tail)))
    }

    /// The frames at hand in the caller's dialect.
    fn translate(&mut self, ended: bool) -> Result<(), Broken> {
        let Some(translator) = &mut self.translator else { return Ok(()) };
        let frames = std::mem::take(&mut self.frames);
        let read = translator.push(&frames, &mut self.frames);
        if ended {
            translator.finish(&mut self.frames);
        }
        read.map_err(|_| unread(&frames, "an event of the provider's cannot be read"))
    }

    async fn redact(&mut self, flight: &mut Flight) -> Result<Bytes, Broken> {
        let mut scan = PolicyScan(&mut flight.session);
        let out = self.redactor.push(&mut scan, &self.frames).await;
        let out = out.map_err(|refusal| match withheld(refusal) {
            Broken::Malformed(what) => unread(&self.frames, what),
            other => other,
        });
        self.frames.clear();
        // Between two pieces of a stream lies a wait; when instances are scarce none is kept.
        flight.session.rest();
        let out = out?;
        // Not before: what a refused batch holds is not handed on.
        self.sent_bytes = self.redactor.facts().delivered_bytes;
        self.sent_media = self.redactor.facts().media_seen;
        // The provider's own words say more than what a translation leaves of them.
        let own = self.translator.as_ref().and_then(|translator| translator.facts().error.as_ref());
        match own.or(self.redactor.facts().error.as_ref()) {
            Some(error) => Err(Broken::Reported { error: Box::new(error.clone()), raw: out }),
            None => Ok(out),
        }
    }

    /// The frames at hand, which are the last ones, and what was held back.
    async fn last(&mut self, flight: &mut Flight) -> Result<Bytes, Broken> {
        let last = self.redact(flight).await?;
        let tail = self.flush(flight).await?;
        Ok(join(last, tail))
    }

    /// What was held back, at the end of a body that had no end mark.
    async fn flush(&mut self, flight: &mut Flight) -> Result<Bytes, Broken> {
        let mut scan = PolicyScan(&mut flight.session);
        let out = self.redactor.finish(&mut scan).await.map_err(withheld)?;
        self.sent_bytes = self.redactor.facts().delivered_bytes;
        Ok(out)
    }

    /// Reads what follows the end mark, normally nothing but the end of the body, so that the
    /// connection can be used again.
    async fn read_tail(&mut self) {
        let tail = async { while let Ok(Some(_)) = self.body.read().await {} };
        drop(tokio::time::timeout(TAIL_TIME_MAX, tail).await);
    }

    /// The frames with which the stream ends here, as if it had reached its length.
    fn cut(&mut self, flight: &Flight, usage: &Usage) {
        self.frames.clear();
        if let Some(translator) = &mut self.translator {
            return translator.cut(*usage, &mut self.frames);
        }
        let (facts, naming) = (self.redactor.facts(), flight.naming());
        let choices = facts.open_choices();
        let (head, block) = (facts.head.as_ref(), facts.open_block());
        let cut = Cut { head, choices: &choices, block, usage, naming: &naming };
        self.frames = cut.frames(flight.manner.dialect);
    }

    fn reported(&self) -> settle::Reported {
        let facts = self.redactor.facts();
        // The provider's own report has buckets that the caller's dialect may not have.
        let own = self.translator.as_ref().map(StreamTranslator::facts);
        settle::Reported {
            usage: own.map_or(facts.usage, |own| own.usage),
            service_tier: own.map_or(&facts.service_tier, |own| &own.service_tier).clone(),
            text_bytes: self.sent_bytes,
            nothing: !facts.said && facts.unreadable == 0 && !self.empty_is_asked,
        }
    }
}

/// An event that can't be read. One that is only nested too deep is what a caller can have a model
/// write into a call.
fn unread(frames: &[Frame], what: &'static str) -> Broken {
    if frames.iter().any(|frame| nests_too_deep(&frame.data)) {
        return Broken::TooLong("an event is nested deeper than 128 levels");
    }
    Broken::Malformed(what)
}

fn join(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (_, true) => first,
        (true, false) => second,
        (false, false) => {
            let mut both = BytesMut::with_capacity(first.len().saturating_add(second.len()));
            both.extend_from_slice(&first);
            both.extend_from_slice(&second);
            both.freeze()
        }
    }
}

/// A stream under way: both sides and the request's record.
struct Relay {
    flight: Box<Flight>,
    asking: Asking,
    stream: Upstream,
    /// For callers that want a list in place of events.
    listing: Option<Listing>,
    meter: Meter,
    /// Bytes of text in what was handed to the caller's connection, and whether a sound or a
    /// picture was in it.
    given_bytes: u64,
    given_media: bool,
    /// How long in all the caller's connection took nothing while the provider had more to give.
    left_waiting: Duration,
    /// Set when the caller is gone, also in the middle of a step.
    left: Arc<AtomicBool>,
    last_call: LastCall,
    /// How the stream broke in the step in which the caller left.
    broken: Option<Broken>,
    over: bool,
}

impl Relay {
    /// The next bytes for the caller, never empty; `None` at the end, after everything is settled,
    /// or when the caller has gone meanwhile.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.over && !self.has_left() {
            self.keep_hold();
            let bytes = match self.stream.withheld.take() {
                Some(blocked) => self.fail(Broken::Withheld { blocked }).await,
                None => {
                    let step = self.step().await?;
                    self.note_speaking();
                    // What this step brought goes to nobody, and ends as for somebody who left.
                    if self.has_left() {
                        self.note_left(step).await;
                        return None;
                    }
                    match step {
                        Ok(Step::More(bytes)) => self.within_the_hold(bytes).await,
                        Ok(Step::Silent) => ping(self.flight.manner.dialect),
                        Ok(Step::Complete(bytes)) => {
                            self.complete(None).await;
                            bytes
                        }
                        Err(broken) => self.fail(broken).await,
                    }
                }
            };
            let bytes = self.shaped(bytes);
            if !bytes.is_empty() {
                return Some(bytes);
            }
        }
        None
    }

    /// One step of the stream; `None` where nobody reads it any more and the program has to end.
    async fn step(&mut self) -> Option<Result<Step, Broken>> {
        let (left, last_call) = (&self.left, &self.last_call);
        let mut step = std::pin::pin!(self.stream.step(&mut self.flight));
        let ended = || left.load(Ordering::Acquire) && last_call.is_over();
        std::future::poll_fn(|context| match ended() {
            true => Poll::Ready(None),
            false => step.as_mut().poll(context).map(Some),
        })
        .await
    }

    /// Notes since when the answer itself comes, for how quick the offer is: the first content may
    /// be what the model thinks.
    fn note_speaking(&mut self) {
        if self.asking.spoke_ms.is_none() && self.stream.redactor.facts().answer_seen {
            self.asking.spoke_ms = Some(self.asking.watch.millis());
        }
    }

    fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// What has been made of the stream by now goes to the caller's connection.
    fn hand_on(&mut self) {
        self.given_bytes = self.stream.sent_bytes;
        self.given_media = self.stream.sent_media;
    }

    /// A running stream's hold does not expire.
    fn keep_hold(&mut self) {
        let hold_ms = self.flight.gateway.settings.hold_ms;
        if let Some(hold) = &mut self.flight.hold {
            hold.keep(hold_ms, clock::now_ms());
        }
    }

    /// These bytes, and the end of the stream if no more of it can be paid.
    async fn within_the_hold(&mut self, bytes: Bytes) -> Bytes {
        let written = self.stream.sent_bytes;
        if !self.meter.is_due(written) {
            return bytes;
        }
        let told = self.stream.reported().usage.map_or(0, |usage| usage.input_tokens());
        if self.meter.extend(&mut self.flight, &self.asking.offer, written, told).await {
            return bytes;
        }
        let end = self.run_out().await;
        join(bytes, end)
    }

    /// The bytes in the form that the caller wants.
    fn shaped(&mut self, bytes: Bytes) -> Bytes {
        let Some(listing) = &mut self.listing else { return bytes };
        let items = listing.push(bytes);
        if self.over { join(items, listing.finish()) } else { items }
    }
}
