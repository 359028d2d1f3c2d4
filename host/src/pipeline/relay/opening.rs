//! A stream up to its first content. Nothing goes to the caller by then, so that a failure is still
//! a fallback; and what the provider counts by then is the platform's. A model that thinks and
//! gives signs of life is waited for, within the time of a whole answer. Never settles anything.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use turnpike_protocol::translate::StreamTranslator;

use crate::clock::Stopwatch;
use crate::redact::{StreamOptions, StreamRedactor};
use crate::upstream::{BodyReader, ErrorKind, Phase, TransportError};

use super::super::attempt::{Asking, Trouble, probe_bound};
use super::super::flight::Flight;
use super::super::settle;
use super::cutter::Cutter;
use super::{Begun, Broken, Step, Upstream};

/// A caller hears something this often while the model thinks: well below the idle time-outs of
/// proxies (60 seconds) and of agents (5 minutes).
const PING_EVERY: Duration = Duration::from_secs(15);
/// Looks at a silent stream while its hold lasts: a hold is prolonged when half of it is over.
const LOOKS_PER_HOLD: u32 = 4;
/// Held back before the first content: role chunks and comments, a few hundred bytes.
const LIFECYCLE_BYTES_MAX: usize = 256 << 10;

/// Reads until the first content.
pub(in crate::pipeline) async fn open(
    flight: &mut Flight,
    asking: &mut Asking,
    body: BodyReader,
) -> Result<Begun, Trouble> {
    let (from, caller) = (asking.dialect, flight.manner.dialect);
    let translator = (from != caller).then(|| StreamTranslator::new(from, caller, flight.naming()));
    let options = StreamOptions {
        dialect: caller,
        scan_output: true,
        include_usage: flight.call.include_usage,
    };
    let cutter = Cutter::new(asking.framing, flight.gateway.settings.event_bytes);
    // Kept in the flight until an attempt has content, because the next attempt needs them too.
    let redactor = StreamRedactor::new(options, flight.pseudonyms.clone());
    let hold = Duration::from_millis(flight.gateway.settings.hold_ms);
    let stream = Upstream {
        body,
        cutter,
        frames: Vec::new(),
        translator,
        redactor,
        patience: PING_EVERY.min(hold / LOOKS_PER_HOLD),
        read_bytes: 0,
        sent_bytes: 0,
        sent_media: false,
        withheld: None,
        empty_is_asked: settle::asks_for_nothing(flight),
    };
    let mut opening = Opening { flight, asking, stream: Some(stream) };
    let first = opening.first().await?;
    opening.begun(first)
}

/// How long the first content may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Without a byte.
    quiet: Duration,
    /// With signs of life, however many.
    thinking: Duration,
    /// Since the head.
    watch: Stopwatch,
}

impl Limits {
    fn of(flight: &Flight, asking: &Asking) -> Self {
        let times = &flight.gateway.settings.timeouts;
        let quiet = Duration::from_millis(times.first_content_ms);
        let thinking = Duration::from_millis(times.answer_ms).max(quiet);
        let quiet = probe_bound(flight, asking).map_or(quiet, |bound| bound.min(quiet));
        Self { quiet, thinking, watch: Stopwatch::start() }
    }

    /// How long to wait for the next byte, when the last came then.
    fn left(&self, alive: Duration) -> Duration {
        let now = self.watch.elapsed();
        let quiet = self.quiet.saturating_sub(now.saturating_sub(alive));
        quiet.min(self.thinking.saturating_sub(now))
    }

    /// What is wrong when that is over.
    fn over(&self, alive: Duration) -> Trouble {
        // One that was silent for most of the time that silence may take was not at work.
        if self.watch.elapsed().saturating_sub(alive) < self.quiet / 2 {
            return Trouble::Thinking;
        }
        let limit = self.quiet.as_millis();
        let detail = format!("no content, and nothing else for {limit} ms");
        Trouble::Transport(TransportError { kind: ErrorKind::Timeout(Phase::FirstByte), detail })
    }
}

/// A stream that has not come to its first content. However that ends, also by the caller's
/// leaving, the platform bears what the provider has counted by then: some count the prompt before
/// anything else.
struct Opening<'a> {
    flight: &'a mut Flight,
    asking: &'a mut Asking,
    /// Taken when the content is there.
    stream: Option<Upstream>,
}

impl Opening<'_> {
    async fn first(&mut self) -> Result<Bytes, Trouble> {
        match &mut self.stream {
            Some(stream) => first(self.flight, self.asking, stream).await,
            None => Err(Trouble::Empty),
        }
    }

    fn begun(mut self, first: Bytes) -> Result<Begun, Trouble> {
        let stream = self.stream.take().ok_or(Trouble::Empty)?;
        let now_ms = self.asking.watch.millis();
        let (said, answers) = {
            let facts = stream.redactor.facts();
            (facts.said, facts.answer_seen)
        };
        self.asking.first_content_ms = Some(now_ms);
        self.asking.spoke_ms = answers.then_some(now_ms);
        // The end alone of an answer without a word brings nobody back.
        if said {
            self.asking.in_flight.answering();
        }
        Ok(Begun { stream, first })
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.asking.bear(self.flight, &stream.reported());
        }
    }
}

async fn first(
    flight: &mut Flight,
    asking: &mut Asking,
    stream: &mut Upstream,
) -> Result<Bytes, Trouble> {
    let limits = Limits::of(flight, asking);
    let mut alive = Duration::ZERO;
    let mut held = BytesMut::new();
    loop {
        let Ok(step) = tokio::time::timeout(limits.left(alive), stream.step(flight)).await else {
            return Err(limits.over(alive));
        };
        match step {
            Ok(Step::More(bytes)) => {
                if stream.redactor.facts().content_seen && held.is_empty() {
                    return Ok(bytes);
                }
                held.extend_from_slice(&bytes);
                if stream.redactor.facts().content_seen {
                    return Ok(held.freeze());
                }
                if held.len() > LIFECYCLE_BYTES_MAX {
                    return Err(Trouble::Malformed("it sends events without content"));
                }
                alive = limits.watch.elapsed();
                asking.alive_ms = asking.watch.millis();
            }
            // Nothing may go out before the first content.
            Ok(Step::Silent) => {}
            Ok(Step::Complete(bytes)) => {
                if !stream.redactor.facts().content_seen {
                    return Err(Trouble::Empty);
                }
                held.extend_from_slice(&bytes);
                return Ok(held.freeze());
            }
            Err(Broken::Transport(error)) => return Err(Trouble::Transport(error)),
            // Also when it came in one read with content: nothing has gone out yet, so the next
            // candidate can still answer.
            Err(Broken::Reported { error, .. }) => return Err(Trouble::StreamError(error)),
            Err(Broken::Malformed(what) | Broken::TooLong(what)) => {
                return Err(Trouble::Malformed(what));
            }
            Err(Broken::CutOff | Broken::LeftWaiting) => return Err(Trouble::Empty),
            // Content has come, so the answer belongs to this provider; the caller hears of the
            // refusal in the stream.
            Err(Broken::Withheld { blocked }) => {
                stream.withheld = Some(blocked);
                return Ok(Bytes::new());
            }
        }
    }
}
