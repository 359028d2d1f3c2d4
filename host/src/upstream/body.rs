//! Reads an answer's body: all that one turn of the socket brought, decoded, as one piece. Never
//! waits for more than the first bytes, and never interprets them.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::connection::Connection;
use super::decompress::{Damaged, Decompressor};
use super::pool::Pool;
use super::wire::{Framing, Malformed};
use super::{Endpoint, ErrorKind, Phase, TransportError};
use crate::tasks::within;

/// The body of one answer. Read to its end it gives the connection back to the pool; dropped
/// before, it closes the connection, which tells the provider to stop.
#[derive(Debug)]
pub struct BodyReader {
    /// Gone once the body has ended or failed.
    connection: Option<Connection>,
    endpoint: Endpoint,
    framing: Framing,
    /// Where the connection goes at the end, if it can be used again.
    pool: Option<Arc<Pool>>,
    idle: Duration,
    /// How long nothing has come since the last piece.
    silent: Duration,
    complete: bool,
    /// Of a provider that compresses although nobody asked.
    decompressor: Option<Box<Decompressor>>,
}

/// What a bounded wait for the body brought.
#[derive(Debug)]
pub enum Read {
    /// Never empty.
    Piece(Bytes),
    /// The body's orderly end.
    End,
    /// Nothing, for as long as was asked.
    Silence,
}

// === impl BodyReader ===

impl BodyReader {
    pub(super) fn new(
        connection: Connection,
        framing: Framing,
        pool: Option<Arc<Pool>>,
        idle: Duration,
    ) -> Self {
        let endpoint = connection.endpoint().clone();
        let empty = matches!(framing, Framing::Length(0));
        let connection = Some(connection);
        let silent = Duration::ZERO;
        let (complete, decompressor) = (false, None);
        let mut body =
            Self { connection, endpoint, framing, pool, idle, silent, complete, decompressor };
        if empty {
            body.finish();
        }
        body
    }

    /// The same body, decompressed.
    pub(super) fn through(self, decompressor: Option<Decompressor>) -> Self {
        Self { decompressor: decompressor.map(Box::new), ..self }
    }

    /// The next piece, never empty: everything the socket held when it woke us, up to a bound.
    /// `None` at the end of the body.
    ///
    /// Safe to drop while waiting: nothing that was read is lost.
    ///
    /// # Errors
    /// `Timeout(Idle)`, `Closed` when the provider hung up before the end, `Protocol` when its
    /// chunks are malformed. After an error the body is over.
    pub async fn read(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            match self.read_for(self.idle).await? {
                Read::Piece(piece) => return Ok(Some(piece)),
                Read::End => return Ok(None),
                Read::Silence => {}
            }
        }
    }

    /// The same, but comes back after `patience` when nothing came, so that the caller can say so
    /// to whoever waits. Silences add up: together they may last as long as one read.
    ///
    /// # Errors
    /// As for [`BodyReader::read`].
    pub async fn read_for(&mut self, patience: Duration) -> Result<Read, TransportError> {
        loop {
            if let Some(piece) = self.plain()? {
                self.silent = Duration::ZERO;
                return Ok(Read::Piece(piece));
            }
            if self.complete {
                return Ok(Read::End);
            }
            if !self.fill(patience).await? {
                return Ok(Read::Silence);
            }
        }
    }

    /// The whole rest of the body, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// Those of [`BodyReader::read`], and `TooLarge`, which closes the connection.
    pub async fn collect(&mut self, limit: usize) -> Result<Bytes, TransportError> {
        let mut first = Bytes::new();
        let mut joined = BytesMut::new();
        while let Some(piece) = self.read().await? {
            if first.len() + joined.len() + piece.len() > limit {
                self.connection = None;
                let detail = format!("the answer of {} has more than {limit} bytes", self.endpoint);
                return Err(TransportError::new(ErrorKind::TooLarge, detail));
            }
            if first.is_empty() && joined.is_empty() {
                first = piece;
                continue;
            }
            if joined.is_empty() {
                joined.extend_from_slice(&std::mem::take(&mut first));
            }
            joined.extend_from_slice(&piece);
        }
        Ok(if joined.is_empty() { first } else { joined.freeze() })
    }

    /// Whether the body has been read to its orderly end.
    pub fn is_complete(&self) -> bool {
        self.complete && self.decompressor.as_ref().is_none_or(|it| it.is_drained())
    }

    /// What the buffer holds of the body, without its compression. All of it is read before the
    /// socket is.
    fn plain(&mut self) -> Result<Option<Bytes>, TransportError> {
        let Some(mut decompressor) = self.decompressor.take() else { return self.take() };
        let piece = self.decompress(&mut decompressor);
        self.decompressor = Some(decompressor);
        piece
    }

    fn decompress(&mut self, through: &mut Decompressor) -> Result<Option<Bytes>, TransportError> {
        loop {
            let piece = through.pull().map_err(|damaged| self.damaged(damaged))?;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
            if !through.is_drained() {
                continue;
            }
            match self.take()? {
                Some(input) => through.feed(input),
                None if self.complete => {
                    let last = through.finish().map_err(|damaged| self.damaged(damaged))?;
                    return Ok(Some(last).filter(|last| !last.is_empty()));
                }
                None => return Ok(None),
            }
        }
    }

    fn damaged(&mut self, _: Damaged) -> TransportError {
        self.connection = None;
        let detail = format!("the compressed answer of {} is damaged or cut off", self.endpoint);
        TransportError::new(ErrorKind::Protocol, detail)
    }

    /// What the buffer holds of the body.
    fn take(&mut self) -> Result<Option<Bytes>, TransportError> {
        let Some(connection) = self.connection.as_mut() else {
            return if self.complete { Ok(None) } else { Err(self.cut_off("has failed before")) };
        };
        if connection.buffer.is_empty() {
            return Ok(None);
        }
        match cut(&mut self.framing, &mut connection.buffer) {
            Ok((piece, ended)) => {
                if ended {
                    self.finish();
                }
                Ok(Some(piece).filter(|piece| !piece.is_empty()))
            }
            Err(what) => {
                self.connection = None;
                Err(what.at(&self.endpoint))
            }
        }
    }

    /// Reads the socket; `false` when nothing came for `patience`.
    async fn fill(&mut self, patience: Duration) -> Result<bool, TransportError> {
        let Some(connection) = self.connection.as_mut() else { return Ok(true) };
        let patience = patience.min(self.idle.saturating_sub(self.silent));
        let Some(filled) = within(patience, connection.fill()).await else {
            self.silent = self.silent.saturating_add(patience);
            if self.silent < self.idle {
                return Ok(false);
            }
            self.connection = None;
            let (to, millis) = (&self.endpoint, self.idle.as_millis());
            let detail = format!("{to} fell silent for {millis} ms in the middle of an answer");
            return Err(TransportError::new(ErrorKind::Timeout(Phase::Idle), detail));
        };
        match filled {
            Ok(0) if matches!(self.framing, Framing::UntilClose) => {
                self.finish();
                Ok(true)
            }
            Ok(0) => Err(self.cut_off("hung up before the end of its answer")),
            Ok(_) => Ok(true),
            Err(cause) => Err(self.cut_off(&format!("broke off its answer ({cause})"))),
        }
    }

    fn cut_off(&mut self, what: &str) -> TransportError {
        self.connection = None;
        TransportError::new(ErrorKind::Closed, format!("{} {what}", self.endpoint))
    }

    /// The end of the body: the connection is used again if nothing came behind it.
    fn finish(&mut self) {
        self.complete = true;
        let connection = self.connection.take().filter(|left| left.buffer.is_empty());
        if let (Some(connection), Some(pool)) = (connection, self.pool.take()) {
            pool.put(connection);
        }
    }
}

/// Takes the body's share out of `buffer`; `true` when that was its end.
fn cut(framing: &mut Framing, buffer: &mut BytesMut) -> Result<(Bytes, bool), Malformed> {
    match framing {
        Framing::UntilClose => Ok((buffer.split().freeze(), false)),
        Framing::Length(left) => {
            let take = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
            *left = left.saturating_sub(take as u64);
            Ok((buffer.split_to(take).freeze(), *left == 0))
        }
        Framing::Chunked(chunked) => {
            let decoded = chunked.decode(buffer)?;
            buffer.advance(decoded.start);
            let piece = buffer.split_to(decoded.end - decoded.start).freeze();
            buffer.advance(decoded.consumed - decoded.end);
            Ok((piece, decoded.done))
        }
    }
}
