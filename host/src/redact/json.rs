//! JSON inside a text: reads it with its escapes resolved, so that nothing hides behind them, and
//! follows it far enough to replace parts of it and leave it JSON. What stands in a string is
//! replaced inside the string, what stands outside becomes a string. Never builds a tree, never
//! fails, and treats what is not an object or array as prose.

use std::borrow::Cow;
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

/// A text with its escapes resolved.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) text: Cow<'a, str>,
    /// For each escape, where it ends: in `text`, and in what was read.
    turns: Vec<(usize, usize)>,
}

/// What stands behind a backslash.
enum Escape {
    /// A character, written in so many bytes behind the backslash.
    Means(char, usize),
    /// The text ends before that is certain.
    CutOff,
    /// Nothing that JSON knows.
    Wrong,
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
    /// For a text that is a JSON object or array by what it stands for.
    pub(super) const JSON: Self = Self { mode: Mode::Start };

    /// For a text at this place: tool arguments are JSON, and so are answers if the model was
    /// asked for that.
    pub(super) fn for_place(place: &Place, pseudonyms: &Pseudonyms) -> Self {
        let answer = place.direction == super::Direction::Output && place.channel == Channel::Text;
        let json = place.channel == Channel::ToolArguments || (answer && pseudonyms.json_answers());
        Self { mode: if json { Mode::Start } else { Mode::Prose } }
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

    /// `raw`, which comes next, as a scanner should read it. An escape that is cut off at the end
    /// is left out, unless nothing follows (`last`).
    pub(super) fn read(self, raw: &str, last: bool) -> Reading<'_> {
        let mut reading = Reading { text: Cow::Borrowed(raw), turns: Vec::new() };
        if self.form(raw) == Form::Plain || memchr::memchr(b'\\', raw.as_bytes()).is_none() {
            return reading;
        }
        let mut text = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some((plain, escaped)) = rest.split_once('\\') {
            text.push_str(plain);
            match resolve(escaped.as_bytes()) {
                Escape::Means(letter, length) => {
                    text.push(letter);
                    rest = escaped.get(length..).unwrap_or_default();
                    reading.turns.push((text.len(), raw.len() - rest.len()));
                }
                Escape::CutOff if !last => {
                    rest = "";
                    break;
                }
                Escape::CutOff | Escape::Wrong => {
                    text.push('\\');
                    rest = escaped;
                }
            }
        }
        text.push_str(rest);
        reading.text = Cow::Owned(text);
        reading
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
    /// contents, and runs of anything else that is not punctuation. `offset` is where `text`
    /// stands.
    pub(super) fn segments(&mut self, text: &[u8], offset: usize) -> Vec<Segment> {
        let mut out: Vec<Segment> = Vec::new();
        for (at, byte) in text.iter().enumerate() {
            let before = self.mode;
            self.step(*byte);
            let form = match (before, self.mode) {
                (Mode::InString, Mode::Outside) | (Mode::Outside, Mode::InString) => continue,
                (Mode::InString | Mode::Escape { .. }, _) => Form::InString,
                (Mode::Outside, _) if is_punctuation(*byte) => continue,
                (Mode::Outside, _) => Form::Value,
                (Mode::Start, Mode::Prose) | (Mode::Prose, _) => Form::Plain,
                (Mode::Start, _) => continue,
            };
            let at = offset + at;
            match out.last_mut() {
                Some(open) if open.form == form && open.range.end == at => open.range.end += 1,
                _ => out.push(Segment { range: at..at + 1, form }),
            }
        }
        out
    }
}

// === impl Reading ===

impl Reading<'_> {
    /// Where a position of the reading stands in what was read.
    pub(super) fn raw(&self, position: usize) -> usize {
        let passed = self.turns.partition_point(|(read, _)| *read <= position);
        let turn = passed.checked_sub(1).and_then(|index| self.turns.get(index));
        turn.map_or(position, |(read, raw)| raw + (position - read))
    }

    /// The same for a range.
    pub(super) fn raw_range(&self, range: &Range<usize>) -> Range<usize> {
        self.raw(range.start)..self.raw(range.end)
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

/// Resolves what stands behind a backslash.
fn resolve(bytes: &[u8]) -> Escape {
    let letter = match bytes.first() {
        None => return Escape::CutOff,
        Some(b'u') => return resolve_code(bytes.get(1..).unwrap_or_default()),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(same @ (b'"' | b'\\' | b'/')) => char::from(*same),
        Some(_) => return Escape::Wrong,
    };
    Escape::Means(letter, 1)
}

/// Resolves four digits, or two times four with `\u` between them.
fn resolve_code(bytes: &[u8]) -> Escape {
    let high = match code(bytes) {
        Ok(high) => high,
        Err(wrong) => return wrong,
    };
    if let Some(letter) = char::from_u32(high) {
        return Escape::Means(letter, 5);
    }
    let lone = Escape::Means(char::REPLACEMENT_CHARACTER, 5);
    let rest = bytes.get(4..).unwrap_or_default();
    if high >= 0xdc00 || !b"\\u".starts_with(rest.get(..rest.len().min(2)).unwrap_or_default()) {
        return lone;
    }
    match code(rest.get(2..).unwrap_or_default()) {
        Ok(low @ 0xdc00..=0xdfff) => {
            let joined = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            char::from_u32(joined).map_or(lone, |letter| Escape::Means(letter, 11))
        }
        Err(Escape::CutOff) => Escape::CutOff,
        Ok(_) | Err(_) => lone,
    }
}

fn code(bytes: &[u8]) -> Result<u32, Escape> {
    let digits = bytes.get(..bytes.len().min(4)).unwrap_or_default();
    let mut value = 0;
    for digit in digits {
        let digit = char::from(*digit).to_digit(16).ok_or(Escape::Wrong)?;
        value = value << 4 | digit;
    }
    if digits.len() < 4 { Err(Escape::CutOff) } else { Ok(value) }
}
