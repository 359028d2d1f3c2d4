//! Placeholders for what must not reach a provider, and what they stand for. Lives as long as its
//! request, in memory only, and shows nothing of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::{Bound, Range};

use memchr::memchr;

/// Pseudonyms of one request; what comes beyond is masked, so that nothing passes unprotected.
const PSEUDONYMS_MAX: usize = 4096;
/// Look-alikes in the caller's own texts that are remembered, so that none is given out.
const AVOIDED_MAX: usize = 4096;
/// Bytes of a kind within a name.
const KIND_BYTES_MAX: usize = 32;
/// Bytes of a name: a kind, an underscore and the digits of a number. Longer ones are not ours.
const NAME_BYTES_MAX: usize = KIND_BYTES_MAX + 12;

/// Both ways between `<EMAIL_1>` and what it stands for.
#[derive(Clone, Default)]
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

    /// The placeholders in `text`, and where a beginning of one stands at its end.
    pub(super) fn find<'a>(&'a self, text: &str) -> (Vec<Found<'a>>, Option<usize>) {
        let mut found = Vec::new();
        if self.is_empty() {
            return (found, None);
        }
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(next) = bytes.get(at..).and_then(|rest| memchr(b'<', rest)) {
            let start = at + next;
            match self.look(bytes.get(start + 1..).unwrap_or_default()) {
                At::Whole(length, original) => {
                    at = start + length;
                    found.push(Found { range: start..at, original });
                }
                At::Beginning => return (found, Some(start)),
                At::Nothing => at = start + 1,
            }
        }
        (found, None)
    }

    /// What stands behind an opening bracket.
    fn look(&self, inner: &[u8]) -> At<'_> {
        let length = name_length(inner);
        let Some(name) = inner.get(..length).and_then(|name| std::str::from_utf8(name).ok()) else {
            return At::Nothing;
        };
        match inner.get(length) {
            Some(b'>') => match self.originals.get(name) {
                Some(original) => At::Whole(length + 2, original),
                None => At::Nothing,
            },
            Some(_) => At::Nothing,
            None => {
                let onward = (Bound::Included(name), Bound::Unbounded);
                let mut from = self.originals.range::<str, _>(onward);
                let begins = from.next().is_some_and(|(known, _)| known.starts_with(name));
                if begins { At::Beginning } else { At::Nothing }
            }
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
    bytes.iter().take(NAME_BYTES_MAX + 1).take_while(|byte| belongs(byte)).count()
}
