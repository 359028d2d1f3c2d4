//! Walks a window atom by atom, from left to right, and stops at the first atom about which more
//! text could change the verdict: that is where the host shall hold.
//!
//! Why every chunking gives the same output: a verdict depends only on what stands to the right
//! of an atom's start, within a bound, and on nothing to the left of it. A window begins where
//! the one before stopped, which is an atom's start, so the same verdicts are reached from there.

use std::ops::Range;

use crate::atom::{self, AT, Atom, DIGIT};
use crate::config::Kind;
use crate::email;
use crate::number::{self, Number};
use crate::pem::{self, Block};
use crate::secret::{self, Named};

/// What may stand right before a private key without a break; it is held back with the key.
const MAX_BEFORE_BLOCK: usize = 64;

/// What was found, in bytes of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entity {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) entities: Vec<Entity>,
    /// Trailing bytes to hold back.
    pub(crate) hold: usize,
}

enum Step {
    /// Decided up to this offset.
    To(usize),
    /// Undecided from this offset on.
    Hold(usize),
}

pub(crate) fn scan(text: &str, last: bool) -> Scanned {
    let bytes = text.as_bytes();
    let mut scanned = Scanned::default();
    let mut at = 0;
    while let Some(atom) = atom::next(bytes, after_prose(bytes, at)) {
        match step(text, &atom, last, &mut scanned.entities) {
            Step::To(next) => at = next,
            Step::Hold(from) => {
                scanned.hold = bytes.len() - from;
                return scanned;
            }
        }
    }
    // An opening parenthesis at the very end may belong to a phone number.
    if !last && bytes.ends_with(b"(") {
        scanned.hold = 1;
    }
    scanned
}

/// Skips plain words that are no name of anything, and what stands between them: the offset of
/// the first atom that [`step`] has to look at. It must skip nothing else, because most of a text
/// goes through here and only here.
fn after_prose(bytes: &[u8], from: usize) -> usize {
    let mut start = from;
    for (offset, byte) in bytes.get(from..).unwrap_or_default().iter().enumerate() {
        let at = from + offset;
        match atom::class(*byte) {
            atom::LETTER => {}
            0 if at == start => start = at + 1,
            0 => {
                let word = Atom { range: start..at, classes: atom::LETTER };
                if word.range.len() > atom::MAX_ATOM || may_be_name(bytes, &word) {
                    return start;
                }
                start = at + 1;
            }
            _ => return start,
        }
    }
    start
}

fn step(text: &str, atom: &Atom, last: bool, entities: &mut Vec<Entity>) -> Step {
    let bytes = text.as_bytes();
    let Range { start, end } = atom.range;
    let opened = start > 0 && bytes.get(start - 1) == Some(&b'(');
    let from = start - usize::from(opened);
    if atom::is_open(bytes, atom, last) {
        return Step::Hold(from);
    }
    if atom.is_word() && !may_be_name(bytes, atom) {
        return Step::To(end);
    }
    if let Some(step) = block(text, atom, last, entities) {
        return step;
    }
    match secret::named(bytes, atom, last) {
        Named::Open => return Step::Hold(from),
        Named::Value(value, kind) => {
            let next = value.end;
            entities.push(Entity { start: value.start, end: value.end, kind });
            return Step::To(next);
        }
        Named::No => {}
    }
    if atom.has(DIGIT) || bytes.get(start) == Some(&b'+') {
        match number::find(bytes, atom, opened, last) {
            Number::Open => return Step::Hold(from),
            Number::Is(kind, end) => {
                let number = bytes.get(start..end).unwrap_or_default();
                let start = if number.contains(&b')') { from } else { start };
                entities.push(Entity { start, end, kind });
                return Step::To(end);
            }
            Number::No => {}
        }
    }
    within(bytes, atom, entities);
    Step::To(end)
}

/// Whether a plain word stands before something that could make it a name: a quote or a sign, or
/// a space and then one of those. `Bearer` needs only the space.
#[inline]
fn may_be_name(bytes: &[u8], atom: &Atom) -> bool {
    match bytes.get(atom.range.end) {
        Some(b' ' | b'\t') => {
            let next = bytes.get(atom.range.end + 1);
            next.is_none_or(|next| atom::class(*next) == 0 && secret::is_gap(*next))
                || (atom.range.len() == secret::BEARER.len()
                    && atom.text(bytes).eq_ignore_ascii_case(secret::BEARER))
        }
        Some(next) => secret::is_gap(*next),
        None => false,
    }
}

/// A private key whose first dash is in the atom.
fn block(text: &str, atom: &Atom, last: bool, entities: &mut Vec<Entity>) -> Option<Step> {
    let bytes = text.as_bytes();
    let dashes = atom.text(bytes).strip_suffix(pem::BEGIN)?;
    if dashes.len() > MAX_BEFORE_BLOCK {
        return None;
    }
    let start = atom.range.start + dashes.len();
    match pem::block(text, start, last) {
        Block::No => None,
        Block::Open => Some(Step::Hold(atom.range.start)),
        Block::Until(end) => {
            entities.push(Entity { start, end, kind: Kind::PrivateKey });
            Some(Step::To(end))
        }
    }
}

/// Addresses and marked credentials within one atom, in order and without overlap.
fn within(bytes: &[u8], atom: &Atom, entities: &mut Vec<Entity>) {
    let text = atom.text(bytes);
    let base = atom.range.start;
    let mut at = 0;
    loop {
        let address = if atom.has(AT) { email::find(text, at) } else { None };
        let secret = if atom.has(DIGIT) { secret::marked(text, at) } else { None };
        let (range, kind) = match (address, secret) {
            (Some(address), Some((secret, kind))) if secret.start <= address.start => {
                (secret, kind)
            }
            (Some(address), _) => (address, Kind::Email),
            (None, Some(secret)) => secret,
            (None, None) => return,
        };
        at = range.end;
        entities.push(Entity { start: base + range.start, end: base + range.end, kind });
    }
}
