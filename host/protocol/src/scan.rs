//! A validating JSON scanner that walks a text in place and hands out spans. It builds no tree and
//! allocates only for keys with escapes. Never decides what a key means; never quotes the input in
//! a fault.

mod string;

use std::borrow::Cow;
use std::ops::Range;

/// Deepest nesting that is followed. Real requests stay below 30; the bound keeps the stack, which
/// the walks use one frame a level of, small.
pub(crate) const DEPTH_MAX: u32 = 128;

/// Whether a JSON text is nested deeper than is followed. Asked of what can't be read, to tell why.
pub fn nests_too_deep(json: &[u8]) -> bool {
    let (mut depth, mut within, mut escaped) = (0_u32, false, false);
    for byte in json {
        match (byte, within) {
            _ if escaped => escaped = false,
            (b'\\', true) => escaped = true,
            (b'"', _) => within = !within,
            (b'{' | b'[', false) => depth = depth.saturating_add(1),
            (b'}' | b']', false) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

/// Values in one request, at any depth. A translation builds a tree of them, which costs some
/// hundred bytes for each that has two bytes on the wire; a conversation of a million tokens has a
/// tenth of these.
pub(crate) const NODES_MAX: u32 = 262_144;
/// What a request with more of them is told.
pub(crate) const TOO_MANY_NODES: &str = "more values than one request may hold";

/// What is wrong with a JSON text, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// The kind of the value that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// What to do with half of a UTF-16 surrogate pair in a `\u` escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoneSurrogate {
    /// A request must mean the same to us and to the provider.
    Refuse,
    /// Providers cut streams between the halves; the bytes pass on as they are.
    Accept,
}

/// A JSON string in the text: its span with both quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) span: Range<usize>,
    pub(crate) escaped: bool,
}

// === impl Literal ===

impl Literal {
    /// The span without the quotes.
    pub(crate) fn inner(&self) -> Range<usize> {
        self.span.start.saturating_add(1)..self.span.end.saturating_sub(1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inner().is_empty()
    }
}

/// A position in a JSON text.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    /// Whether the innermost open object or array has had no member yet.
    fresh: bool,
    lone: LoneSurrogate,
    /// Members and items that may still come.
    nodes_left: u32,
}

// === impl Scanner ===

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, lone: LoneSurrogate) -> Self {
        Self { text, at: 0, depth: 0, fresh: true, lone, nodes_left: u32::MAX }
    }

    /// A scanner of what a caller sends: as strict as a provider, and bounded.
    pub(crate) fn of_request(text: &'a str) -> Self {
        Self { nodes_left: NODES_MAX, ..Self::new(text, LoneSurrogate::Refuse) }
    }

    /// The kind of the next value, without taking it.
    #[inline]
    pub(crate) fn kind(&mut self) -> Result<Kind, Fault> {
        match self.peek() {
            Some(b'"') => Ok(Kind::String),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(_) => Err(self.fault("expected a value")),
            None => Err(self.fault("the text ends where a value was expected")),
        }
    }

    /// Where the next token begins.
    #[inline]
    pub(crate) fn position(&mut self) -> usize {
        self.peek();
        self.at
    }

    pub(crate) fn open_object(&mut self) -> Result<(), Fault> {
        self.open(b'{', "expected an object")
    }

    /// Goes on behind the colon of a key of the outermost object, up to which a text of the same
    /// bytes has been read before.
    pub(crate) fn within_object(&mut self, at: usize) {
        (self.at, self.depth, self.fresh) = (at, 1, false);
    }

    /// How far it has come.
    pub(crate) fn passed(&self) -> usize {
        self.at
    }

    pub(crate) fn open_array(&mut self) -> Result<(), Fault> {
        self.open(b'[', "expected an array")
    }

    /// The next key of the open object, its colon taken; `None` when the object closed.
    #[inline]
    pub(crate) fn next_key(&mut self) -> Result<Option<Cow<'a, str>>, Fault> {
        match self.next_literal_key()? {
            Some(literal) => Ok(Some(self.decode(&literal))),
            None => Ok(None),
        }
    }

    /// Whether the open array has another item, its comma taken; `false` when the array closed.
    #[inline]
    pub(crate) fn next_item(&mut self) -> Result<bool, Fault> {
        match self.peek() {
            Some(b']') => {
                self.close();
                Ok(false)
            }
            Some(b',') if !self.fresh => {
                self.at += 1;
                self.count().map(|()| true)
            }
            Some(_) if self.fresh => {
                self.fresh = false;
                self.count().map(|()| true)
            }
            Some(_) => Err(self.fault("expected a comma or the end of the array")),
            None => Err(self.fault("the text ends inside an array")),
        }
    }

    /// Takes a string.
    #[inline]
    pub(crate) fn literal(&mut self) -> Result<Literal, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("expected a string"));
        }
        let start = self.at;
        let (end, escaped) = string::close(self.text.as_bytes(), start + 1, self.lone)?;
        self.at = end + 1;
        Ok(Literal { span: start..self.at, escaped })
    }

    /// Takes a string and, if it has escapes, decodes it in the same pass.
    pub(crate) fn text(&mut self) -> Result<(Literal, Option<String>), Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("expected a string"));
        }
        let start = self.at;
        let (end, decoded) = string::read(self.text.as_bytes(), start + 1, self.lone)?;
        self.at = end + 1;
        Ok((Literal { span: start..self.at, escaped: decoded.is_some() }, decoded))
    }

    /// Takes a string and decodes it.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let (literal, decoded) = self.text()?;
        Ok(decoded.map_or_else(|| Cow::Borrowed(self.raw(literal.inner())), Cow::Owned))
    }

    /// The text that a literal of this scanner stands for.
    #[inline]
    pub(crate) fn decode(&self, literal: &Literal) -> Cow<'a, str> {
        if !literal.escaped {
            return Cow::Borrowed(self.raw(literal.inner()));
        }
        let inner = string::read(self.text.as_bytes(), literal.inner().start, self.lone);
        Cow::Owned(inner.ok().and_then(|(_, text)| text).unwrap_or_default())
    }

    /// The raw text of a span.
    pub(crate) fn raw(&self, span: Range<usize>) -> &'a str {
        self.text.get(span).unwrap_or_default()
    }

    /// Takes `true` or `false`.
    pub(crate) fn boolean(&mut self) -> Result<bool, Fault> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            _ => self.word("false").map(|()| false),
        }
    }

    /// Takes a number that is a whole one from 0 to `u64::MAX`; `None` for any other number.
    pub(crate) fn whole_number(&mut self) -> Result<Option<u64>, Fault> {
        let span = self.number()?;
        Ok(self.raw(span).parse().ok())
    }

    /// Takes any value, checked in full, and says where it was.
    pub(crate) fn skip(&mut self) -> Result<Range<usize>, Fault> {
        let start = self.position();
        match self.kind()? {
            Kind::String => self.literal().map(|_| ())?,
            Kind::Number => self.number().map(|_| ())?,
            Kind::Bool => self.boolean().map(|_| ())?,
            Kind::Null => self.word("null")?,
            Kind::Array => {
                self.open_array()?;
                while self.next_item()? {
                    self.skip()?;
                }
            }
            Kind::Object => {
                self.open_object()?;
                while self.next_literal_key()?.is_some() {
                    self.skip()?;
                }
            }
        }
        Ok(start..self.at)
    }

    /// Takes `null` if that is what comes next.
    #[inline]
    pub(crate) fn null(&mut self) -> Result<bool, Fault> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.word("null").map(|()| true)
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault("unexpected text after the end of the JSON value")),
        }
    }

    #[inline]
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at).copied() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    /// The next key of the open object as it stands there, its colon taken.
    #[inline]
    pub(crate) fn next_literal_key(&mut self) -> Result<Option<Literal>, Fault> {
        match self.peek() {
            Some(b'}') => {
                self.close();
                return Ok(None);
            }
            Some(b',') if !self.fresh => self.at += 1,
            Some(b'"') if self.fresh => {}
            Some(_) => return Err(self.fault("expected a key, a comma or the end of the object")),
            None => return Err(self.fault("the text ends inside an object")),
        }
        let literal = self.literal()?;
        if self.peek() != Some(b':') {
            return Err(self.fault("expected a colon after the key"));
        }
        self.at += 1;
        self.fresh = false;
        self.count()?;
        Ok(Some(literal))
    }

    /// Counts one more member or item.
    #[inline]
    fn count(&mut self) -> Result<(), Fault> {
        match self.nodes_left.checked_sub(1) {
            Some(left) => {
                self.nodes_left = left;
                Ok(())
            }
            None => Err(self.fault(TOO_MANY_NODES)),
        }
    }

    #[inline]
    fn open(&mut self, bracket: u8, expected: &'static str) -> Result<(), Fault> {
        if self.peek() != Some(bracket) {
            return Err(self.fault(expected));
        }
        if self.depth >= DEPTH_MAX {
            return Err(self.fault("nested deeper than 128 levels"));
        }
        self.at += 1;
        self.depth += 1;
        self.fresh = true;
        Ok(())
    }

    #[inline]
    fn close(&mut self) {
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
        self.fresh = false;
    }

    fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        let start = self.position();
        let end = start.saturating_add(word.len());
        if self.text.as_bytes().get(start..end) != Some(word.as_bytes()) {
            return Err(self.fault("expected true, false or null"));
        }
        self.at = end;
        Ok(())
    }

    fn number(&mut self) -> Result<Range<usize>, Fault> {
        let start = self.position();
        self.take(b'-');
        match self.text.as_bytes().get(self.at) {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(start..self.at)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.text.as_bytes().get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("expected a digit")) } else { Ok(()) }
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }
}

#[cfg(test)]
mod tests;
