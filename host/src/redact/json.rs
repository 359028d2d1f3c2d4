//! Follows JSON text byte by byte, far enough to replace parts of it and leave it JSON: what
//! stands in a string is replaced inside the string, what stands outside becomes a string. Never
//! builds a tree, never fails, and treats what is not an object or array as prose.

use std::ops::Range;

use turnpike_protocol::Channel;

use super::{Place, Pseudonyms};

/// Where the text read so far ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Not JSON, or not looked at.
    Prose,
    /// Only white space so far.
    Start,
    Outside,
    InString,
    /// In an escape; so many bytes are still to come. After the backslash it is one, until the
    /// letter is known.
    Escape {
        left: u8,
        letter: bool,
    },
}

/// The state between two windows of one text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer {
    mode: Mode,
}

/// A part of a span that can be replaced as one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) range: Range<usize>,
    pub(super) form: Form,
}

/// How a replacement must be written at some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// Escaped.
    InString,
    /// Escaped and in quotes.
    Value,
}

// === impl Lexer ===

impl Lexer {
    /// For a text at this place: tool arguments are JSON, and so are answers if the model was
    /// asked for that.
    pub(super) fn for_place(place: &Place, pseudonyms: &Pseudonyms) -> Self {
        let answer = place.direction == super::Direction::Output && place.channel == Channel::Text;
        let json = place.channel == Channel::ToolArguments || (answer && pseudonyms.json_answers());
        Self { mode: if json { Mode::Start } else { Mode::Prose } }
    }

    /// Whether the next byte belongs to an escape that has begun.
    pub(super) fn in_escape(self) -> bool {
        matches!(self.mode, Mode::Escape { .. })
    }

    /// How a restored text must be written in `text`, which comes next: escaped in JSON. A
    /// placeholder outside a string is the model's mistake, and quotes would not mend it.
    pub(super) fn form(mut self, text: &str) -> Form {
        for byte in text.bytes() {
            if self.mode != Mode::Start {
                break;
            }
            self.step(byte);
        }
        if self.mode == Mode::Prose { Form::Plain } else { Form::InString }
    }

    /// Takes in `text`.
    pub(super) fn advance(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some((byte, after)) = rest.split_first() {
            match self.mode {
                Mode::Prose => return,
                Mode::InString => {
                    let Some(skip) = memchr::memchr2(b'"', b'\\', rest) else { return };
                    let (found, after) = (rest.get(skip), rest.get(skip + 1..));
                    self.step(found.copied().unwrap_or_default());
                    rest = after.unwrap_or_default();
                }
                Mode::Start | Mode::Outside | Mode::Escape { .. } => {
                    self.step(*byte);
                    rest = after;
                }
            }
        }
    }

    fn step(&mut self, byte: u8) {
        self.mode = match (self.mode, byte) {
            (Mode::Prose, _) => Mode::Prose,
            (Mode::Start, b' ' | b'\t' | b'\r' | b'\n') => Mode::Start,
            (Mode::Start, b'{' | b'[') => Mode::Outside,
            (Mode::Start, _) => Mode::Prose,
            (Mode::Outside, b'"') => Mode::InString,
            (Mode::Outside, _) => Mode::Outside,
            (Mode::InString, b'"') => Mode::Outside,
            (Mode::InString, b'\\') => Mode::Escape { left: 1, letter: true },
            (Mode::InString, _) => Mode::InString,
            (Mode::Escape { letter: true, .. }, b'u') => Mode::Escape { left: 4, letter: false },
            (Mode::Escape { left: 0 | 1, .. }, _) => Mode::InString,
            (Mode::Escape { left, .. }, _) => Mode::Escape { left: left - 1, letter: false },
        };
    }

    /// Takes in `text`, which is a span, and cuts it into what can be replaced: runs of string
    /// contents that end between escapes, and runs of anything else that is not punctuation.
    /// `offset` is where `text` stands.
    pub(super) fn segments(&mut self, text: &[u8], offset: usize) -> Vec<Segment> {
        let mut out = Vec::new();
        let mut open: Option<Segment> = None;
        // Where the escape began that the walk is in, if it began within this span.
        let mut whole_until = 0;
        for (at, byte) in text.iter().enumerate() {
            let before = self.mode;
            self.step(*byte);
            let form = match (before, self.mode) {
                (Mode::InString, Mode::Outside) | (Mode::Outside, Mode::InString) => None,
                (Mode::InString | Mode::Escape { .. }, _) => Some(Form::InString),
                (Mode::Outside, _) => (!is_punctuation(*byte)).then_some(Form::Value),
                (Mode::Start, Mode::Prose) | (Mode::Prose, _) => Some(Form::Plain),
                (Mode::Start, _) => None,
            };
            // The rest of an escape that began before the span stays with its beginning.
            let foreign = matches!(before, Mode::Escape { .. }) && open.is_none();
            let Some(form) = form.filter(|_| !foreign) else {
                out.extend(open.take());
                continue;
            };
            match open.as_mut() {
                Some(segment) if segment.form == form => segment.range.end = offset + at + 1,
                _ => {
                    let range = offset + at..offset + at + 1;
                    out.extend(open.replace(Segment { range, form }));
                }
            }
            if !matches!(self.mode, Mode::Escape { .. }) {
                whole_until = offset + at + 1;
            }
        }
        if let Some(mut last) = open {
            // An escape that goes on behind the span stays whole, too.
            if self.in_escape() {
                last.range.end = whole_until.max(last.range.start);
            }
            out.extend((!last.range.is_empty()).then_some(last));
        }
        out
    }
}

// === impl Form ===

impl Form {
    /// `text` as it is written in this form.
    pub(super) fn write(self, text: &str) -> String {
        let quoted = || serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned());
        match self {
            Self::Plain => text.to_owned(),
            Self::Value => quoted(),
            Self::InString => {
                let quoted = quoted();
                let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                inner.unwrap_or_default().to_owned()
            }
        }
    }

    /// What `written` means; itself, if it means nothing in this form.
    pub(super) fn read(self, written: &str) -> String {
        if self != Self::InString || !written.contains('\\') {
            return written.to_owned();
        }
        serde_json::from_str(&format!("\"{written}\"")).unwrap_or_else(|_| written.to_owned())
    }
}

/// What gives JSON its shape outside of strings.
fn is_punctuation(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']' | b':' | b',' | b' ' | b'\t' | b'\r' | b'\n')
}
