//! Placeholders for what must not reach a provider, and what they stand for. Lives as long as its
//! request, in memory only, and shows nothing of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::{Bound, Range};

use memchr::{memchr, memchr2};

/// Pseudonyms of one request; what comes beyond is masked, so that nothing passes unprotected.
const PSEUDONYMS_MAX: usize = 4096;
/// Look-alikes in the caller's own texts that are remembered, so that none is given out.
const AVOIDED_MAX: usize = 4096;
/// Bytes of a kind within a name.
const KIND_BYTES_MAX: usize = 32;
/// Bytes of a name: a kind, an underscore and the digits of a number.
const NAME_BYTES_MAX: usize = KIND_BYTES_MAX + 12;

/// Both ways between `<EMAIL_1>` and what it stands for.
#[derive(Default)]
pub struct Pseudonyms {
    /// By name without the angle brackets; ordered, so that a beginning can be looked up.
    originals: BTreeMap<String, String>,
    names: HashMap<String, String>,
    last_number: HashMap<String, u32>,
    avoided: HashSet<String>,
    json_answers: bool,
}

/// One placeholder in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) range: Range<usize>,
    pub(super) original: &'a str,
}

/// What stands at one position of a text.
enum At<'a> {
    /// A placeholder of this request, of so many bytes.
    Whole(usize, &'a str),
    /// The text ends in what may be the beginning of one.
    Beginning,
    Nothing,
}

// === impl Pseudonyms ===

impl Pseudonyms {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is anything to restore.
    pub fn is_empty(&self) -> bool {
        self.originals.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.originals.len()
    }

    /// Says that the model was asked to answer in JSON, so that restored texts are escaped there.
    pub(super) fn answers_are_json(&mut self, json: bool) {
        self.json_answers = json;
    }

    /// Whether the model was asked to answer in JSON.
    pub(super) fn json_answers(&self) -> bool {
        self.json_answers
    }

    /// Remembers what looks like a placeholder in the caller's texts: one that is given out must
    /// mean one thing only.
    pub(super) fn avoid<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        for text in texts {
            let mut at = 0;
            while let Some(found) = text.as_bytes().get(at..).and_then(|rest| memchr(b'<', rest)) {
                let rest = text.as_bytes().get(at + found + 1..).unwrap_or_default();
                let length = name_length(rest);
                let name = rest.get(..length).and_then(|name| std::str::from_utf8(name).ok());
                if let (Some(name), Some(b'>')) = (name, rest.get(length))
                    && self.avoided.len() < AVOIDED_MAX
                {
                    self.avoided.insert(name.to_owned());
                }
                at += found + 1;
            }
        }
    }

    /// The placeholder for `original`: the same one each time. `None` when there are too many.
    pub(super) fn name(&mut self, kind: &str, original: &str) -> Option<String> {
        if let Some(known) = self.names.get(original) {
            return Some(format!("<{known}>"));
        }
        if self.originals.len() >= PSEUDONYMS_MAX {
            return None;
        }
        let kind = kind_label(kind);
        let number = self.last_number.entry(kind.clone()).or_default();
        let name = loop {
            *number = number.checked_add(1)?;
            let name = format!("{kind}_{number}");
            if !self.avoided.contains(&name) {
                break name;
            }
        };
        self.originals.insert(name.clone(), original.to_owned());
        self.names.insert(original.to_owned(), name.clone());
        Some(format!("<{name}>"))
    }

    /// Whether this very text was given a placeholder, and so is the caller's own.
    pub(super) fn knows(&self, original: &str) -> bool {
        self.names.contains_key(original)
    }

    /// The placeholders in `text`, and where a beginning of one stands at its end. In JSON a
    /// bracket may also be written `\u003c`; `escaped` says that the text begins in the middle
    /// of an escape.
    pub(super) fn find<'a>(
        &'a self,
        text: &str,
        json: bool,
        escaped: bool,
    ) -> (Vec<Found<'a>>, Option<usize>) {
        let mut found = Vec::new();
        if self.is_empty() {
            return (found, None);
        }
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..) {
            let next = if json { memchr2(b'<', b'\\', rest) } else { memchr(b'<', rest) };
            let Some(start) = next.map(|next| at + next) else { break };
            let tail = bytes.get(start..).unwrap_or_default();
            let inside = tail.first() == Some(&b'\\') && is_escaped(bytes, start, escaped);
            match if inside { At::Nothing } else { self.look(tail, json) } {
                At::Whole(length, original) => {
                    found.push(Found { range: start..start + length, original });
                    at = start + length;
                }
                At::Beginning => return (found, Some(start)),
                At::Nothing => at = start + 1,
            }
        }
        (found, None)
    }

    fn look(&self, tail: &[u8], json: bool) -> At<'_> {
        let Some(open) = bracket(tail, b'<', json) else { return At::Nothing };
        let Some(open) = open else { return At::Beginning };
        let inner = tail.get(open..).unwrap_or_default();
        let length = name_length(inner).min(NAME_BYTES_MAX);
        let Some(name) = inner.get(..length).and_then(|name| std::str::from_utf8(name).ok()) else {
            return At::Nothing;
        };
        let after = inner.get(length..).unwrap_or_default();
        if after.is_empty() {
            let onward = (Bound::Included(name), Bound::Unbounded);
            let mut from = self.originals.range::<str, _>(onward);
            let begins = from.next().is_some_and(|(known, _)| known.starts_with(name));
            return if begins { At::Beginning } else { At::Nothing };
        }
        let Some(original) = self.originals.get(name) else { return At::Nothing };
        match bracket(after, b'>', json) {
            Some(Some(close)) => At::Whole(open + length + close, original),
            Some(None) => At::Beginning,
            None => At::Nothing,
        }
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonyms({})", self.originals.len())
    }
}

/// A kind as it stands in masks and placeholders: capitals, digits and underscores.
pub(super) fn kind_label(kind: &str) -> String {
    let label: String =
        (kind.bytes().take(KIND_BYTES_MAX))
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte.to_ascii_uppercase())
                } else {
                    '_'
                }
            })
            .collect();
    if label.is_empty() { "REDACTED".to_owned() } else { label }
}

/// How many leading bytes may belong to a name.
fn name_length(bytes: &[u8]) -> usize {
    let belongs = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    bytes.iter().position(|byte| !belongs(byte)).unwrap_or(bytes.len())
}

/// Whether the backslash at `at` is itself escaped by the ones before it.
fn is_escaped(bytes: &[u8], at: usize, escaped_at_start: bool) -> bool {
    let before = bytes.get(..at).unwrap_or_default();
    let run = before.iter().rev().take_while(|byte| **byte == b'\\').count();
    let from_start = run == at && escaped_at_start;
    (run % 2 == 1) != from_start
}

/// Bytes of an angle bracket that `tail` begins with: `None` if it does not, `Some(None)` if it
/// ends before that is certain.
fn bracket(tail: &[u8], plain: u8, json: bool) -> Option<Option<usize>> {
    if tail.first() == Some(&plain) {
        return Some(Some(1));
    }
    let written: &[u8] = if plain == b'<' { b"\\u003c" } else { b"\\u003e" };
    let common = tail.len().min(written.len());
    let (head, expected) = (tail.get(..common)?, written.get(..common)?);
    // Only the last digit is a letter, and it may be a capital; `\U` is no escape.
    let same = head.eq_ignore_ascii_case(expected) && !head.contains(&b'U');
    if !json || !same {
        return None;
    }
    Some((common == written.len()).then_some(common))
}
