//! Puts an answer on the wire at its model's pace, or breaks it where the script says. What goes
//! out is first decided as a list of pieces and an ending, then written: no failure is improvised.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::frame::{Frame, Framing, Kind, Piece};
use crate::http::{After, Content, Gone, LAST_CHUNK, Wire, chunk, head};
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
    pub(crate) headers: &'a [(String, String)],
}

/// Frames of the script's own making.
#[derive(Debug)]
pub(crate) struct Spares {
    pub(crate) error: Frame,
    pub(crate) malformed: Frame,
}

/// What is done to a stream.
#[derive(Debug)]
pub(crate) struct Broken<'a> {
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) framing: Framing,
}

/// Cuts or changes a stream as its failure says.
pub(crate) fn plan_stream(
    mut frames: Vec<Frame>,
    broken: &Broken<'_>,
    spares: Spares,
) -> (Vec<Piece>, Ending) {
    let mut ending = Ending::Proper;
    match broken.failure {
        Some(Failure::DieBeforeContent) => {
            frames.truncate(after_contents(&frames, 0));
            ending = Ending::Close;
        }
        Some(Failure::HeadersThenHang) => {
            frames.clear();
            ending = Ending::Hang;
        }
        Some(Failure::DieAfter { chunks } | Failure::CutCharacter { chunks }) => {
            return cut(&frames, *chunks, broken);
        }
        Some(Failure::HangAfter { chunks }) => {
            frames.truncate(after_contents(&frames, *chunks));
            ending = Ending::Hang;
        }
        Some(Failure::Malformed { chunks }) => {
            frames.insert(after_contents(&frames, *chunks), spares.malformed);
        }
        Some(Failure::UnknownEvent { chunks }) => {
            let event = frames.iter().find_map(|frame| frame.event);
            let data = r#"{"type":"simulated.unknown","note":"nobody knows this event"}"#;
            let unknown = Frame {
                kind: Kind::Lifecycle,
                event: event.map(|_| "simulated.unknown"),
                data: data.to_owned(),
                tokens: 0,
            };
            frames.insert(after_contents(&frames, *chunks), unknown);
        }
        Some(Failure::WrongEventName { chunks }) => {
            let at = after_contents(&frames, *chunks);
            if let Some(frame) = frames.get_mut(at) {
                frame.event = Some("simulated.wrong");
            }
        }
        Some(Failure::ErrorEvent { chunks } | Failure::StreamError { chunks, .. }) => {
            frames.truncate(after_contents(&frames, *chunks));
            frames.push(spares.error);
        }
        Some(Failure::MissingUsage) => frames.retain(|frame| frame.kind != Kind::Usage),
        Some(Failure::MissingDone) => frames.retain(|frame| frame.kind != Kind::Done),
        _ => {}
    }
    (broken.framing.pieces(&frames), ending)
}

/// Ends inside the frame that follows `chunks` content frames.
fn cut(frames: &[Frame], chunks: u32, broken: &Broken<'_>) -> (Vec<Piece>, Ending) {
    let at = after_contents(frames, chunks);
    let mut pieces = broken.framing.pieces(frames);
    let Some(next) = pieces.get(at).map(|piece| piece.bytes.clone()) else {
        return (pieces, Ending::Close);
    };
    pieces.truncate(at);
    let half = next.len() / 2;
    let inside = match (broken.failure, next.iter().position(|byte| *byte >= 0xc0)) {
        (Some(Failure::CutCharacter { .. }), Some(first)) => next.slice(..=first),
        (Some(Failure::CutCharacter { .. }), None) => {
            // The first byte of a two-byte character, whose second never comes.
            Bytes::from([&next.slice(..half), [0xc3].as_slice()].concat())
        }
        _ => next.slice(..half),
    };
    (pieces, Ending::CloseInside(inside))
}

/// Index of the frame that follows the first `count` content frames.
fn after_contents(frames: &[Frame], count: u32) -> usize {
    let mut left = count;
    for (index, frame) in frames.iter().enumerate() {
        if frame.kind != Kind::Lifecycle {
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
        Some(Failure::ErrorEvent { .. } | Failure::StreamError { .. }) => {
            (error.clone(), error.len(), Ending::Proper)
        }
        Some(Failure::CutCharacter { .. }) => {
            let inside = body.iter().position(|byte| *byte >= 0xc0).map_or(half, |at| at + 1);
            (body.slice(..inside), size, Ending::Close)
        }
        _ => (body, size, Ending::Proper),
    }
}

/// A whole response with `pieces` as its body, for one write.
pub(crate) fn in_one_piece(pieces: &[Piece], head: &str) -> Bytes {
    let mut out = head.as_bytes().to_vec();
    for piece in pieces {
        out.extend_from_slice(&chunk(&piece.bytes));
    }
    out.extend_from_slice(LAST_CHUNK);
    Bytes::from(out)
}

// === impl Delivery ===

impl Delivery<'_> {
    /// Sends a stream; `ping` is its sign of life.
    pub(crate) async fn stream(
        &self,
        wire: &mut Wire,
        (pieces, ending): (&[Piece], Ending),
        content: Content,
        ping: &Bytes,
    ) -> Result<After, Gone> {
        let head = head(200, content, self.after, self.headers);
        let first = Duration::from_millis(self.model.first_token_ms);
        let pings = self.model.ping_every_ms > 0;
        if !matches!(self.failure, Some(Failure::HeadersThenHang)) && !pings {
            wire.pause(first).await?;
        }
        if self.model.pace == Pace::Burst && ending == Ending::Proper && !pings {
            self.write(wire, &in_one_piece(pieces, &head)).await?;
            return Ok(self.after);
        }
        let mut due = Instant::now();
        let mut pending = head.into_bytes();
        let mut thought = !pings;
        for piece in pieces {
            if !thought && piece.kind != Kind::Lifecycle {
                // With signs of life the beginning is sent at once; what comes first is awaited.
                self.write(wire, &pending).await?;
                pending.clear();
                due += first;
                self.wait(wire, due, ping).await?;
                thought = true;
            }
            pending.extend_from_slice(&chunk(&piece.bytes));
            self.write(wire, &pending).await?;
            pending.clear();
            due += self.takes(piece.tokens);
            self.wait(wire, due, ping).await?;
        }
        match &ending {
            Ending::Proper => pending.extend_from_slice(LAST_CHUNK),
            // The chunk announces more than comes.
            Ending::CloseInside(bytes) => {
                pending.extend_from_slice(format!("{:x}\r\n", bytes.len() + 1).as_bytes());
                pending.extend_from_slice(bytes);
            }
            Ending::Close | Ending::Hang => {}
        }
        self.write(wire, &pending).await?;
        if ending == Ending::Hang && pings {
            while wire.pause(self.interval()).await.is_ok() {
                self.write(wire, &chunk(ping)).await?;
            }
            return Err(Gone);
        }
        self.end(wire, &ending).await
    }

    /// Waits until `due`, with a sign of life whenever one is.
    async fn wait(&self, wire: &mut Wire, due: Instant, ping: &Bytes) -> Result<(), Gone> {
        while self.model.ping_every_ms > 0
            && due.saturating_duration_since(Instant::now()) > self.interval()
        {
            wire.pause(self.interval()).await?;
            self.write(wire, &chunk(ping)).await?;
        }
        wire.pause(due.saturating_duration_since(Instant::now())).await
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.model.ping_every_ms)
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
