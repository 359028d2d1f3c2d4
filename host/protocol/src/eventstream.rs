//! Amazon's binary event stream, cut out of bytes that break anywhere: each message has a prelude
//! of two lengths, headers, a payload, and a checksum of the prelude and of the whole. Never
//! interprets a payload.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::json;

use crate::sse::Frame;

/// Total length, length of the headers, checksum of both.
const PRELUDE: usize = 12;
/// The prelude, and the checksum of the whole.
const OVERHEAD: usize = 16;
/// Bytes of headers, as Amazon bounds them.
const HEADERS_MAX: usize = 128 * 1024;

/// Why a stream cannot be cut into messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventStreamError {
    /// One message is larger than allowed.
    #[error("a message of the stream is larger than {limit} bytes: end the stream with an error")]
    TooLarge {
        /// The bound in bytes.
        limit: usize,
    },
    /// The bytes are no message.
    #[error("the stream is not an event stream: {0}; treat the attempt as failed")]
    Malformed(&'static str),
    /// The body ended inside a message.
    #[error("the stream ended inside a message: treat the attempt as failed")]
    Truncated,
}

/// Cuts a byte stream into messages.
pub struct Parser {
    limit: usize,
    /// Bytes of a message that is not complete.
    held: BytesMut,
    failed: Option<EventStreamError>,
}

/// What the headers of a message say of it.
#[derive(Debug, Default)]
struct Headers {
    message_type: Option<Bytes>,
    event_type: Option<Bytes>,
    exception_type: Option<Bytes>,
    error_code: Option<Bytes>,
    error_message: Option<Bytes>,
}

// === impl Parser ===

impl Parser {
    /// A parser for one stream that refuses messages of more than `max_message_bytes`.
    pub fn new(max_message_bytes: usize) -> Self {
        Self { limit: max_message_bytes, held: BytesMut::new(), failed: None }
    }

    /// Takes what one read brought and adds the messages that are now complete to `out`: `event` is
    /// the type of the event or the exception, `data` the payload, `raw` the whole message.
    ///
    /// # Errors
    /// [`EventStreamError`]; the parser then refuses everything that follows.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<Frame>) -> Result<(), EventStreamError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.held.extend_from_slice(chunk);
        loop {
            match self.next() {
                Ok(Some(frame)) => out.push(frame),
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.failed = Some(error);
                    self.held = BytesMut::new();
                    return Err(error);
                }
            }
        }
    }

    /// The body has ended.
    ///
    /// # Errors
    /// [`EventStreamError`] when it ended inside a message, or failed before.
    pub fn finish(&self) -> Result<(), EventStreamError> {
        match self.failed {
            Some(error) => Err(error),
            None if self.held.is_empty() => Ok(()),
            None => Err(EventStreamError::Truncated),
        }
    }

    fn next(&mut self) -> Result<Option<Frame>, EventStreamError> {
        let Some(prelude) = self.held.get(..PRELUDE) else { return Ok(None) };
        let (total, headers) = (word(prelude, 0), word(prelude, 4));
        let checked = prelude.get(..8).map(crc32fast::hash);
        if checked.map(usize_of) != Some(word(prelude, 8)) {
            return Err(EventStreamError::Malformed("the checksum of a prelude is wrong"));
        }
        if headers > HEADERS_MAX || headers.saturating_add(OVERHEAD) > total {
            return Err(EventStreamError::Malformed("the lengths of a message are impossible"));
        }
        if total > self.limit {
            return Err(EventStreamError::TooLarge { limit: self.limit });
        }
        if self.held.len() < total {
            return Ok(None);
        }
        message(self.held.split_to(total).freeze(), headers).map(Some)
    }
}

impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parser({} bytes held)", self.held.len())
    }
}

/// Four bytes as a number; 0 where there are fewer.
fn word(bytes: &[u8], at: usize) -> usize {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
    four.map_or(0, |four| usize_of(u32::from_be_bytes(*four)))
}

fn usize_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Reads a complete message.
fn message(raw: Bytes, headers: usize) -> Result<Frame, EventStreamError> {
    let body = raw.len().saturating_sub(4);
    let checked = raw.get(..body).map(crc32fast::hash);
    if checked.map(usize_of) != Some(word(&raw, body)) {
        return Err(EventStreamError::Malformed("the checksum of a message is wrong"));
    }
    let end = PRELUDE.saturating_add(headers);
    if end > body {
        return Err(EventStreamError::Malformed("the lengths of a message are impossible"));
    }
    let Headers { message_type, event_type, exception_type, error_code, error_message } =
        read_headers(&raw.slice(PRELUDE..end))?;
    let data = raw.slice(end..body);
    match message_type.as_deref() {
        Some(b"exception") => Ok(Frame { event: exception_type, data, raw }),
        // An error has no payload: its words are in the headers.
        Some(b"error") => {
            let words = error_message.unwrap_or_default();
            let data = json!({"message": String::from_utf8_lossy(&words)}).to_string();
            let event = error_code.or_else(|| Some(Bytes::from_static(b"internalServerException")));
            Ok(Frame { event, data: Bytes::from(data), raw })
        }
        _ => Ok(Frame { event: event_type, data, raw }),
    }
}

fn read_headers(bytes: &Bytes) -> Result<Headers, EventStreamError> {
    const CUT: EventStreamError = EventStreamError::Malformed("a header is cut off");
    let mut headers = Headers::default();
    let mut at = 0;
    while at < bytes.len() {
        let length = usize::from(*bytes.get(at).ok_or(CUT)?);
        let name_end = at + 1 + length;
        let name = bytes.get(at + 1..name_end).ok_or(CUT)?;
        let kind = *bytes.get(name_end).ok_or(CUT)?;
        let from = name_end + 1;
        let (from, size) = match kind {
            // True and false have no bytes of their own.
            0 | 1 => (from, 0),
            2 => (from, 1),
            3 => (from, 2),
            4 => (from, 4),
            5 | 8 => (from, 8),
            // Bytes and strings say how long they are.
            6 | 7 => {
                let two = bytes.get(from..).and_then(<[u8]>::first_chunk::<2>).ok_or(CUT)?;
                (from + 2, usize::from(u16::from_be_bytes(*two)))
            }
            9 => (from, 16),
            _ => return Err(EventStreamError::Malformed("a header is of an unknown type")),
        };
        let end = from + size;
        if end > bytes.len() {
            return Err(CUT);
        }
        let value = Some(bytes.slice(from..end)).filter(|_| kind == 7);
        match name {
            b":message-type" => headers.message_type = value,
            b":event-type" => headers.event_type = value,
            b":exception-type" => headers.exception_type = value,
            b":error-code" => headers.error_code = value,
            b":error-message" => headers.error_message = value,
            _ => {}
        }
        at = end;
    }
    Ok(headers)
}

/// One event with a JSON payload.
pub fn event(event_type: &str, payload: &[u8]) -> Bytes {
    let headers = [
        (":event-type", event_type),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    encode(&headers, payload)
}

/// One exception with a JSON payload.
pub fn exception(exception_type: &str, payload: &[u8]) -> Bytes {
    let headers = [
        (":exception-type", exception_type),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    encode(&headers, payload)
}

/// One message. Names are cut to 255 bytes and values to 65535, the most that can be said.
pub fn encode(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut head = Vec::new();
    for (name, value) in headers {
        let name = name.as_bytes().get(..255).unwrap_or(name.as_bytes());
        let value = value.as_bytes().get(..65_535).unwrap_or(value.as_bytes());
        head.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        head.extend_from_slice(name);
        head.put_u8(7);
        head.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        head.extend_from_slice(value);
    }
    let total = head.len() + payload.len() + OVERHEAD;
    let mut out = Vec::with_capacity(total);
    out.put_u32(u32::try_from(total).unwrap_or(u32::MAX));
    out.put_u32(u32::try_from(head.len()).unwrap_or(u32::MAX));
    out.put_u32(crc32fast::hash(&out));
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.put_u32(crc32fast::hash(&out));
    Bytes::from(out)
}
