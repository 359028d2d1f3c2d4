//! Prompt and answer text as a type that cannot be logged: no `Display`, no `Serialize`, and a
//! `Debug` that shows only the length. `expose` is the one door. Never stores or copies a text that
//! can be read in place.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// Text of a prompt or an answer. Cheap to clone: a slice of the body it came from where the JSON
/// string had no escapes, else a shared string.
#[derive(Clone)]
pub struct Content(Repr);

#[derive(Clone)]
enum Repr {
    /// Part of a text already known to be UTF-8, so that reading costs nothing.
    Part(Arc<String>, Range<usize>),
    /// Part of a small frame; checked as UTF-8 when made and again, cheaply, when read.
    Slice(Bytes),
}

// === impl Content ===

impl Content {
    /// Takes over a text that is not part of any body.
    pub fn from_string(text: String) -> Self {
        let range = 0..text.len();
        Self(Repr::Part(Arc::new(text), range))
    }

    /// A part of `source`; an empty content when the range is not on character boundaries.
    pub(crate) fn part(source: &Arc<String>, range: Range<usize>) -> Self {
        Self(Repr::Part(Arc::clone(source), range))
    }

    /// Bytes that the caller has checked to be UTF-8.
    pub(crate) fn slice(bytes: Bytes) -> Self {
        Self(Repr::Slice(bytes))
    }

    /// The text itself. Never log, store or format the result.
    pub fn expose(&self) -> &str {
        match &self.0 {
            Repr::Part(source, range) => source.get(range.clone()).unwrap_or_default(),
            Repr::Slice(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        }
    }

    /// Length in bytes of UTF-8.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Part(_, range) => range.len(),
            Repr::Slice(bytes) => bytes.len(),
        }
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.len())
    }
}

/// Wire bytes kept inside a public type; `Debug` shows only how many.
#[derive(Clone)]
pub(crate) struct Wire(pub(crate) Bytes);

// === impl Wire ===

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({} bytes)", self.0.len())
    }
}

/// A request body known to be UTF-8, shared by the contents cut from it.
#[derive(Clone)]
pub(crate) struct Source(pub(crate) Arc<String>);

// === impl Source ===

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_text() {
        let owned = Content::from_string("canary".into());
        let slice = Content::slice(Bytes::from_static(b"canary"));
        let source = Source(Arc::new("canary".to_owned()));
        let wire = Wire(Bytes::from_static(b"canary"));
        let shown = format!("{owned:?} {slice:?} {source:?} {wire:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("6 bytes"), "{shown}");
        assert_eq!((owned.expose(), slice.expose()), ("canary", "canary"));
    }
}
