//! Puts an answer on the wire at its model's pace, or breaks it where the script says. What goes
//! out is first decided as a list of pieces and an ending, then written: no failure is improvised.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::http::{After, Content, Gone, LAST_CHUNK, Wire, chunk, head};
use crate::openai_chat::{Frame, Kind};
use crate::script::{ModelScript, Pace};

/// What comes after the last whole piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As the protocol wants it.
    Proper,
    /// The connection closes.
    Close,
    /// The connection closes inside this frame.
    CloseInside(Bytes),
    /// Nothing, for as long as the caller waits.
    Hang,
}

/// How one answer is sent.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) model: &'a ModelScript,
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) after: After,
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

/// Frames of the script's own making.
#[derive(Debug)]
pub(crate) struct Spares {
    pub(crate) error: Frame,
    pub(crate) malformed: Frame,
}

/// Cuts or changes a stream as `failure` says.
pub(crate) fn plan_stream(
    mut frames: Vec<Frame>,
    failure: Option<&Failure>,
    spares: Spares,
) -> (Vec<Frame>, Ending) {
    match failure {
        Some(Failure::DieBeforeContent) => {
            frames.truncate(after_contents(&frames, 0));
            (frames, Ending::Close)
        }
        Some(Failure::HeadersThenHang) => (Vec::new(), Ending::Hang),
        Some(Failure::DieAfter { chunks }) => {
            let rest = frames.split_off(after_contents(&frames, *chunks));
            let ending = rest.into_iter().next().map(|frame| Ending::CloseInside(frame.bytes));
            (frames, ending.unwrap_or(Ending::Close))
        }
        Some(Failure::HangAfter { chunks }) => {
            frames.truncate(after_contents(&frames, *chunks));
            (frames, Ending::Hang)
        }
        Some(Failure::Malformed { chunks }) => {
            frames.insert(after_contents(&frames, *chunks), spares.malformed);
            (frames, Ending::Proper)
        }
        Some(Failure::ErrorEvent { chunks }) => {
            frames.truncate(after_contents(&frames, *chunks));
            frames.push(spares.error);
            (frames, Ending::Proper)
        }
        Some(Failure::MissingUsage) => {
            frames.retain(|frame| frame.kind != Kind::Usage);
            (frames, Ending::Proper)
        }
        Some(Failure::MissingDone) => {
            frames.retain(|frame| frame.kind != Kind::Done);
            (frames, Ending::Proper)
        }
        _ => (frames, Ending::Proper),
    }
}

/// Index of the frame that follows the first `count` content frames.
fn after_contents(frames: &[Frame], count: u32) -> usize {
    let mut left = count;
    for (index, frame) in frames.iter().enumerate() {
        if frame.kind != Kind::Role {
            if left == 0 || frame.kind != Kind::Content {
                return index;
            }
            left -= 1;
        }
    }
    frames.len()
}

/// Cuts a whole body as `failure` says: the bytes sent, the length announced, the ending.
pub(crate) fn plan_body(
    body: Bytes,
    failure: Option<&Failure>,
    error: &Bytes,
) -> (Bytes, usize, Ending) {
    let (size, half) = (body.len(), body.len() / 2);
    match failure {
        Some(Failure::DieBeforeContent) => (Bytes::new(), size, Ending::Close),
        Some(Failure::HeadersThenHang) => (Bytes::new(), size, Ending::Hang),
        Some(Failure::DieAfter { .. }) => (body.slice(..half), size, Ending::Close),
        Some(Failure::HangAfter { .. }) => (body.slice(..half), size, Ending::Hang),
        Some(Failure::Malformed { .. }) => (body.slice(..half), half, Ending::Proper),
        Some(Failure::ErrorEvent { .. }) => (error.clone(), error.len(), Ending::Proper),
        _ => (body, size, Ending::Proper),
    }
}

/// A whole response with `frames` as its body, for one write.
pub(crate) fn in_one_piece(frames: &[Frame], head: &str) -> Bytes {
    let mut out = head.as_bytes().to_vec();
    for frame in frames {
        out.extend_from_slice(&chunk(&frame.bytes));
    }
    out.extend_from_slice(LAST_CHUNK);
    Bytes::from(out)
}

// === impl Delivery ===

impl Delivery<'_> {
    /// Sends a stream.
    pub(crate) async fn stream(
        &self,
        wire: &mut Wire,
        frames: &[Frame],
        ending: Ending,
    ) -> Result<After, Gone> {
        let head = head(200, Content::Events, self.after, self.headers);
        if !matches!(self.failure, Some(Failure::HeadersThenHang)) {
            wire.pause(Duration::from_millis(self.model.first_token_ms)).await?;
        }
        if self.model.pace == Pace::Burst && ending == Ending::Proper {
            self.write(wire, &in_one_piece(frames, &head)).await?;
            return Ok(self.after);
        }
        let mut due = Instant::now();
        let mut pending = head.into_bytes();
        for frame in frames {
            pending.extend_from_slice(&chunk(&frame.bytes));
            self.write(wire, &pending).await?;
            pending.clear();
            due += self.takes(frame.tokens);
            wire.pause(due.saturating_duration_since(Instant::now())).await?;
        }
        match &ending {
            Ending::Proper => pending.extend_from_slice(LAST_CHUNK),
            Ending::CloseInside(bytes) => {
                let mut cut = chunk(bytes);
                cut.truncate(cut.len() / 2);
                pending.extend_from_slice(&cut);
            }
            Ending::Close | Ending::Hang => {}
        }
        self.write(wire, &pending).await?;
        self.end(wire, &ending).await
    }

    /// Sends a whole body after the time that its tokens take.
    pub(crate) async fn body(
        &self,
        wire: &mut Wire,
        (bytes, size, ending): (Bytes, usize, Ending),
        tokens: u64,
    ) -> Result<After, Gone> {
        if !matches!(self.failure, Some(Failure::HeadersThenHang)) {
            let first = Duration::from_millis(self.model.first_token_ms);
            wire.pause(first + self.takes(tokens)).await?;
        }
        let mut out = head(200, Content::Json(size), self.after, self.headers).into_bytes();
        out.extend_from_slice(&bytes);
        self.write(wire, &out).await?;
        self.end(wire, &ending).await
    }

    async fn end(&self, wire: &mut Wire, ending: &Ending) -> Result<After, Gone> {
        match ending {
            Ending::Proper => Ok(self.after),
            Ending::Close | Ending::CloseInside(_) => Ok(After::Close),
            Ending::Hang => Err(wire.hang().await),
        }
    }

    async fn write(&self, wire: &mut Wire, bytes: &[u8]) -> Result<(), Gone> {
        let Some(Failure::SlowDrip { bytes: size, pause_ms }) = self.failure else {
            return wire.write(bytes).await;
        };
        for drop in bytes.chunks((*size).max(1)) {
            wire.write(drop).await?;
            wire.pause(Duration::from_millis(*pause_ms)).await?;
        }
        Ok(())
    }

    /// Time that so many tokens take at the model's speed.
    fn takes(&self, tokens: u64) -> Duration {
        let micros = tokens.saturating_mul(1_000_000).checked_div(self.model.tokens_per_second);
        Duration::from_micros(micros.unwrap_or(0))
    }
}
