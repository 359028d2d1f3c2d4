//! Server-sent events cut out of a byte stream that breaks anywhere. Raw bytes are kept so that an
//! event can pass on verbatim. Never interprets the data.

use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

const BOM: &[u8] = b"\xef\xbb\xbf";
/// The event that ends a stream in the OpenAI dialects.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// One event, or a block of comments that keeps the connection alive.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Verbatim, with the blank line that ends it.
    pub raw: Bytes,
    /// The value of the last `event` line.
    pub event: Option<Bytes>,
    /// The values of the `data` lines, joined by line feeds; a slice of `raw` if there is one line.
    /// Empty for a block of comments.
    pub data: Bytes,
}

/// Why a stream cannot be framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// One event is larger than allowed.
    #[error("an event of the stream is larger than {limit} bytes: end the stream with an error")]
    TooLarge {
        /// The bound in bytes.
        limit: usize,
    },
}

/// Cuts a byte stream into frames. Copies nothing but an event that is split over reads.
pub struct Framer {
    limit: usize,
    /// Bytes of an event that is not complete.
    held: BytesMut,
    scan: Scan,
    started: bool,
    failed: bool,
}

/// How far the event at hand has been looked at; positions count from its first byte.
#[derive(Debug, Clone, Copy, Default)]
struct Scan {
    /// Start of the line at hand.
    line: usize,
    /// No line end lies between `line` and here.
    searched: usize,
    /// The event has a line that is not blank.
    filled: bool,
    /// The last byte was a carriage return, so a line feed that follows belongs to it.
    after_cr: bool,
}

// === impl Framer ===

impl Framer {
    /// A framer for one stream that refuses events of more than `max_event_bytes`.
    pub fn new(max_event_bytes: usize) -> Self {
        let scan = Scan::default();
        Self { limit: max_event_bytes, held: BytesMut::new(), scan, started: false, failed: false }
    }

    /// Takes what one read brought and adds the events that are now complete to `out`.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`]; the framer then refuses everything that follows.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Frame>) -> Result<(), FrameError> {
        if self.failed {
            return Err(FrameError::TooLarge { limit: self.limit });
        }
        if self.held.is_empty() {
            let rest = self.cut_all(chunk, out)?;
            self.held.extend_from_slice(&rest);
            return self.check(self.held.len());
        }
        self.held.extend_from_slice(&chunk);
        match self.scan.advance(&self.held) {
            None => self.check(self.held.len()),
            Some(end) => {
                let raw = self.held.split_to(end).freeze();
                self.emit(raw, out)?;
                let rest = self.held.split().freeze();
                let rest = self.cut_all(rest, out)?;
                self.held = BytesMut::from(&rest[..]);
                self.check(self.held.len())
            }
        }
    }

    /// Ends the stream: an event whose blank line is missing is completed, so that `raw` can still
    /// be passed on.
    pub fn finish(&mut self, out: &mut Vec<Frame>) {
        let mut raw = self.held.split();
        let scan = std::mem::take(&mut self.scan);
        if self.failed || !(scan.filled || scan.line < raw.len()) {
            return;
        }
        // After a lone carriage return the first line feed only completes the line end.
        raw.extend_from_slice(if raw.ends_with(b"\n") { b"\n" } else { b"\n\n" });
        let frame = frame(raw.freeze(), !self.started);
        self.started = true;
        out.push(frame);
    }

    /// Cuts every complete event off `bytes`; returns what is left.
    fn cut_all(&mut self, mut bytes: Bytes, out: &mut Vec<Frame>) -> Result<Bytes, FrameError> {
        while let Some(end) = self.scan.advance(&bytes) {
            let raw = bytes.split_to(end);
            self.emit(raw, out)?;
        }
        Ok(bytes)
    }

    fn emit(&mut self, raw: Bytes, out: &mut Vec<Frame>) -> Result<(), FrameError> {
        self.check(raw.len())?;
        out.push(frame(raw, !self.started));
        self.started = true;
        Ok(())
    }

    fn check(&mut self, len: usize) -> Result<(), FrameError> {
        if len <= self.limit {
            return Ok(());
        }
        self.failed = true;
        self.held = BytesMut::new();
        Err(FrameError::TooLarge { limit: self.limit })
    }
}

impl fmt::Debug for Framer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Framer({} bytes held)", self.held.len())
    }
}

// === impl Scan ===

impl Scan {
    /// Looks on through `bytes`, which begin with the event at hand; returns where it ends, and
    /// then stands at the start of the next. A blank line before any other only adds to the event.
    fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.after_cr && self.line < bytes.len() {
            self.after_cr = false;
            // The second half of a CR LF, cut in two by the end of a read.
            if bytes.get(self.line) == Some(&b'\n') {
                self.line += 1;
            }
            self.searched = self.searched.max(self.line);
        }
        loop {
            let unseen = bytes.get(self.searched..)?;
            let Some(found) = memchr2(b'\n', b'\r', unseen) else {
                self.searched = bytes.len();
                return None;
            };
            let line_end = self.searched + found;
            let blank = line_end == self.line;
            let mut next = line_end + 1;
            let cr = bytes.get(line_end) == Some(&b'\r');
            match bytes.get(next) {
                Some(b'\n') if cr => next += 1,
                Some(_) => {}
                None => self.after_cr = cr,
            }
            (self.line, self.searched) = (next, next);
            if blank && self.filled {
                let after_cr = self.after_cr;
                *self = Self { after_cr, ..Self::default() };
                return Some(next);
            }
            self.filled |= !blank;
        }
    }
}

// === impl Frame ===

impl Frame {
    /// An event made here. `data` is one line of JSON; `event` is the value of the `event` line.
    pub fn made(event: Option<&str>, data: &[u8]) -> Self {
        let head = event.map_or_else(String::new, |event| format!("event: {event}\n"));
        let mut raw = Vec::with_capacity(head.len() + data.len() + 8);
        raw.extend_from_slice(head.as_bytes());
        raw.extend_from_slice(b"data: ");
        let from = raw.len();
        raw.extend_from_slice(data);
        let to = raw.len();
        raw.extend_from_slice(b"\n\n");
        let raw = Bytes::from(raw);
        let event = event.map(|event| Bytes::copy_from_slice(event.as_bytes()));
        Self { data: raw.slice(from..to), raw, event }
    }

    /// Whether there is data to parse; comments and bare fields have none.
    pub fn carries_data(&self) -> bool {
        !self.data.is_empty()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes, {} of data)", self.raw.len(), self.data.len())
    }
}

/// Reads the lines of a complete event.
fn frame(raw: Bytes, first: bool) -> Frame {
    let mut event = None;
    let mut data: Option<Range<usize>> = None;
    let mut joined: Option<BytesMut> = None;
    let mut at = if first && raw.starts_with(BOM) { BOM.len() } else { 0 };
    while let Some(rest) = raw.get(at..).filter(|rest| !rest.is_empty()) {
        let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let (from, to) = (at, at + length);
        at = to + 1;
        let line = rest.get(..length).unwrap_or_default();
        // Places first: a slice that shares the bytes is made once an event, not once a line.
        if let Some(skipped) = value_of(line, b"data") {
            let value = from + skipped..to;
            let Some(one) = data.clone() else {
                data = Some(value);
                continue;
            };
            let first = raw.get(one).unwrap_or_default();
            let lines = joined.get_or_insert_with(|| BytesMut::from(first));
            lines.extend_from_slice(b"\n");
            lines.extend_from_slice(raw.get(value).unwrap_or_default());
        } else if let Some(skipped) = value_of(line, b"event") {
            event = Some(from + skipped..to);
        }
    }
    let part = |place: Range<usize>| raw.slice(place);
    let data = joined.map(BytesMut::freeze).or(data.map(part)).unwrap_or_default();
    Frame { event: event.map(part), data, raw }
}

/// Where in a line `name: value` or `name` its value begins, behind the one space that may lead it.
fn value_of(line: &[u8], name: &[u8]) -> Option<usize> {
    match line.strip_prefix(name)? {
        [] => Some(name.len()),
        [b':', b' ', ..] => Some(name.len() + 2),
        [b':', ..] => Some(name.len() + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
