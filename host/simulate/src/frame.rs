//! One event of a stream, and how it is put into bytes: server-sent events as each provider
//! frames them, or the elements of a JSON array.

use bytes::Bytes;

use crate::bedrock;

/// Stands in the data of an event until its place in the stream is known.
pub(crate) const NUMBER: &str = "\"sequence_number\":0";

/// One event of a stream, before it is framed.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// The `event:` line, where the provider writes one.
    pub(crate) event: Option<&'static str>,
    pub(crate) data: String,
    /// Tokens that it carries, for the pace.
    pub(crate) tokens: u64,
}

/// What a frame is, as far as failures ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Says that something begins or ends; no content.
    Lifecycle,
    Content,
    Finish,
    Usage,
    Done,
}

/// A framed event.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) bytes: Bytes,
    pub(crate) tokens: u64,
}

/// How events become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Framing {
    /// Elements of a JSON array instead of events.
    pub(crate) array: bool,
    /// Amazon's binary messages instead of events.
    pub(crate) messages: bool,
    /// Events have numbers, where [`NUMBER`] stands in them.
    pub(crate) numbered: bool,
    /// `\r\n` instead of `\n`.
    pub(crate) crlf: bool,
    /// Data over several `data:` lines, broken where JSON allows a line end.
    pub(crate) multi_line: bool,
    /// `data:{…}`, without the blank.
    pub(crate) tight: bool,
    /// A comment line before each event.
    pub(crate) comments: bool,
    /// The last event is not followed by a blank line.
    pub(crate) no_last_blank: bool,
}

impl Framing {
    /// Line feeds, one `data:` line.
    pub(crate) const EVENTS: Self = Self {
        array: false,
        messages: false,
        numbered: false,
        crlf: false,
        multi_line: false,
        tight: false,
        comments: false,
        no_last_blank: false,
    };

    /// Frames a whole stream.
    pub(crate) fn pieces(&self, frames: &[Frame]) -> Vec<Piece> {
        let last = frames.len().saturating_sub(1);
        let mut out: Vec<Piece> = frames
            .iter()
            .enumerate()
            .map(|(index, frame)| Piece {
                kind: frame.kind,
                bytes: self.framed(frame, index, last),
                tokens: frame.tokens,
            })
            .collect();
        if self.array {
            wrap(&mut out);
        }
        out
    }

    /// One event that stands alone, such as a ping.
    pub(crate) fn lone(&self, frame: &Frame) -> Bytes {
        self.bytes(frame, false)
    }

    fn bytes(&self, frame: &Frame, last: bool) -> Bytes {
        if self.messages {
            return Bytes::from(bedrock::message(frame.event.unwrap_or("unknown"), &frame.data));
        }
        Bytes::from(self.text(frame, last))
    }

    fn framed(&self, frame: &Frame, index: usize, last: usize) -> Bytes {
        if !self.numbered {
            return self.bytes(frame, index == last);
        }
        let number = format!("\"sequence_number\":{index}");
        let data = frame.data.replacen(NUMBER, &number, 1);
        Bytes::from(self.text(&Frame { data, ..frame.clone() }, index == last))
    }

    fn text(&self, frame: &Frame, last: bool) -> String {
        if self.array {
            return frame.data.clone();
        }
        let end = if self.crlf { "\r\n" } else { "\n" };
        let gap = if self.tight { "" } else { " " };
        let mut out = String::with_capacity(frame.data.len() + 48);
        let mut line = |parts: &[&str]| {
            parts.iter().for_each(|part| out.push_str(part));
            out.push_str(end);
        };
        if self.comments {
            line(&[": keep-alive"]);
        }
        if let Some(event) = frame.event {
            line(&["event:", gap, event]);
        }
        for part in self.lines(&frame.data) {
            line(&["data:", gap, part]);
        }
        if !(last && self.no_last_blank) {
            out.push_str(end);
        }
        out
    }

    /// The data's lines: one, or a break after each opening brace and comma of the outer object.
    fn lines<'a>(&self, data: &'a str) -> Vec<&'a str> {
        if !self.multi_line || !data.starts_with('{') {
            return vec![data];
        }
        let (mut out, mut start, mut depth) = (Vec::new(), 0, 0usize);
        let (mut quoted, mut escaped) = (false, false);
        for (at, byte) in data.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'{' | b'[' if !quoted => depth += 1,
                b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
                b',' if !quoted && depth == 1 => {
                    out.extend(data.get(start..=at));
                    start = at + 1;
                }
                _ => {}
            }
        }
        out.extend(data.get(start..));
        out
    }
}

/// Brackets and commas of a streamed JSON array, as Gemini writes them.
fn wrap(pieces: &mut [Piece]) {
    let last = pieces.len().saturating_sub(1);
    for (index, piece) in pieces.iter_mut().enumerate() {
        let before = if index == 0 { "[" } else { ",\r\n" };
        let after = if index == last { "]" } else { "" };
        let parts = [before.as_bytes(), &piece.bytes, after.as_bytes()];
        piece.bytes = Bytes::from(parts.concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(data: &str) -> Frame {
        Frame { kind: Kind::Content, event: Some("e"), data: data.to_owned(), tokens: 0 }
    }

    fn text(framing: Framing, frames: &[Frame]) -> String {
        let pieces = framing.pieces(frames);
        pieces.iter().map(|piece| std::str::from_utf8(&piece.bytes).expect("UTF-8")).collect()
    }

    #[test]
    fn events_in_every_framing() {
        let both = [frame(r#"{"a":"x,{","b":[1,2]}"#), frame("[DONE]")];
        assert!(text(Framing::EVENTS, &both).ends_with("event: e\ndata: [DONE]\n\n"));
        let odd = Framing { crlf: true, multi_line: true, no_last_blank: true, ..Framing::EVENTS };
        let wanted = "event: e\r\ndata: {\"a\":\"x,{\",\r\ndata: \"b\":[1,2]}\r\n\r\n\
            event: e\r\ndata: [DONE]\r\n";
        assert_eq!(text(odd, &both), wanted);
        let tight = Framing { tight: true, comments: true, ..Framing::EVENTS };
        assert!(text(tight, &both).starts_with(": keep-alive\nevent:e\ndata:{"));
    }

    #[test]
    fn an_array_is_one_json_value() {
        let array = Framing { array: true, ..Framing::EVENTS };
        assert_eq!(text(array, &[frame("1"), frame("2")]), "[1,\r\n2]");
        assert_eq!(text(array, &[frame("1")]), "[1]");
    }
}
