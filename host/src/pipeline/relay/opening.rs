//! A stream up to its first content. Nothing goes to the caller by then, so that a failure is still
//! a fallback; and what the provider counts by then is the platform's. Never settles anything.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use turnpike_protocol::translate::StreamTranslator;

use crate::redact::{StreamOptions, StreamRedactor};
use crate::upstream::{BodyReader, ErrorKind, Phase, TransportError};

use super::super::attempt::{Asking, Trouble};
use super::super::flight::Flight;
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
    asking: &Asking,
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
    };
    let limit = flight.gateway.settings.timeouts.first_content_ms;
    let mut opening = Opening { flight, asking, stream: Some(stream) };
    match tokio::time::timeout(Duration::from_millis(limit), opening.first()).await {
        Ok(Ok(first)) => opening.begun(first),
        Ok(Err(trouble)) => Err(trouble),
        Err(_) => {
            let detail = format!("no content within {limit} ms of the answer's head");
            let error = TransportError { kind: ErrorKind::Timeout(Phase::FirstByte), detail };
            Err(Trouble::Transport(error))
        }
    }
}

/// A stream that has not come to its first content. However that ends, also by the caller's
/// leaving, the platform bears what the provider has counted by then: some count the prompt before
/// anything else.
struct Opening<'a> {
    flight: &'a mut Flight,
    asking: &'a Asking,
    /// Taken when the content is there.
    stream: Option<Upstream>,
}

impl Opening<'_> {
    async fn first(&mut self) -> Result<Bytes, Trouble> {
        match &mut self.stream {
            Some(stream) => first(self.flight, stream).await,
            None => Err(Trouble::Empty),
        }
    }

    fn begun(mut self, first: Bytes) -> Result<Begun, Trouble> {
        let stream = self.stream.take().ok_or(Trouble::Empty)?;
        Ok(Begun { stream, first })
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.flight.bear(&self.asking.offer, &stream.reported());
        }
    }
}

async fn first(flight: &mut Flight, stream: &mut Upstream) -> Result<Bytes, Trouble> {
    let mut held = BytesMut::new();
    loop {
        match stream.step(flight).await {
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
            }
            // Nothing may go out before the first content; the time for it is bounded outside.
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
            Err(Broken::CutOff) => return Err(Trouble::Empty),
            // Content has come, so the answer belongs to this provider; the caller hears of the
            // refusal in the stream.
            Err(Broken::Withheld { blocked }) => {
                stream.withheld = Some(blocked);
                return Ok(Bytes::new());
            }
        }
    }
}
