//! Walks a window from left to right, from one trigger ([`crate::prefilter`]) to the next, looks at
//! the atoms around each, and stops at the first atom about which more text could change the
//! verdict: that is where the host shall hold.
//!
//! Why nothing is missed between triggers: every entity has one within it, and the only thing to
//! the left of an entity that matters is the name of a value, which is looked for from there.
//!
//! Why every chunking gives the same output: a verdict depends only on what stands to the right
//! of an atom's start, within a bound, and on nothing to the left of it. A window begins where
//! the one before stopped, which is an atom's start, so the same verdicts are reached from there.

use std::ops::{ControlFlow, Range};

use crate::atom::{self, AT, Atom, DIGIT};
use crate::config::Kind;
use crate::email;
use crate::number::{self, Number};
use crate::pem::{self, Block};
use crate::prefilter;
use crate::secret::{self, MAX_GAP, Named};

/// What may stand right before a private key without a break; it is held back with the key.
const MAX_BEFORE_BLOCK: usize = 64;

/// What was found, in bytes of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entity {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug, Default, PartialEq, Eq)]
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
    while let Some(trigger) = prefilter::next(bytes, at) {
        at = with_name(bytes, at, run_start(bytes, at, trigger));
        if walk(text, &mut at, trigger + 1, last, &mut scanned).is_break() {
            return scanned;
        }
    }
    if !last {
        at = tail(bytes, at);
        if walk(text, &mut at, bytes.len(), last, &mut scanned).is_break() {
            return scanned;
        }
        // An opening parenthesis at the very end may belong to a phone number.
        scanned.hold = usize::from(bytes.ends_with(b"("));
    }
    scanned
}

/// What [`scan`] finds without its short cuts.
#[cfg(test)]
pub(crate) fn scan_every_atom(text: &str, last: bool) -> Scanned {
    let mut scanned = Scanned::default();
    if walk(text, &mut 0, text.len(), last, &mut scanned).is_continue() && !last {
        scanned.hold = usize::from(text.ends_with('('));
    }
    scanned
}

/// Looks at every atom from `at` on that begins before `until`; breaks off where the host shall
/// hold.
fn walk(
    text: &str,
    at: &mut usize,
    until: usize,
    last: bool,
    scanned: &mut Scanned,
) -> ControlFlow<()> {
    let bytes = text.as_bytes();
    while *at < until {
        let Some(atom) = atom::next(bytes, *at) else { break };
        match step(text, &atom, last, &mut scanned.entities) {
            Step::To(next) => *at = next,
            Step::Hold(from) => {
                scanned.hold = bytes.len() - from;
                return ControlFlow::Break(());
            }
        }
    }
    ControlFlow::Continue(())
}

/// Where the run of atom characters begins that reaches up to `end`, but not before `from`.
fn run_start(bytes: &[u8], from: usize, end: usize) -> usize {
    let before = bytes.get(from..end).unwrap_or_default();
    end - before.iter().rev().take_while(|byte| atom::class(**byte) != 0).count()
}

/// The run of atom characters after `from` behind which, after a gap, a value stands at `value`.
fn before_gap(bytes: &[u8], from: usize, value: usize) -> Option<Range<usize>> {
    let before = bytes.get(from..value)?;
    let gap = before.iter().rev().take(MAX_GAP).take_while(|byte| secret::is_gap(**byte)).count();
    let end = value - gap;
    let start = run_start(bytes, from, end);
    (gap > 0 && gap < MAX_GAP && start < end).then_some(start..end)
}

/// Where to begin so that the name of the value at `value` is looked at too, if it has one.
fn with_name(bytes: &[u8], from: usize, value: usize) -> usize {
    let (before, rest) = bytes.split_at_checked(value).unwrap_or_default();
    if !secret::may_be_value(rest) {
        return value;
    }
    let Some(name) = before_gap(before, from, value) else { return value };
    let (words, gap) = before.split_at_checked(name.end).unwrap_or_default();
    if secret::may_be_name(words, gap) { name.start } else { value }
}

/// Where what is undecided at the end begins at the earliest: the atom that the text ends in, or
/// the one behind which it may be the value.
fn tail(bytes: &[u8], from: usize) -> usize {
    let open = run_start(bytes, from, bytes.len());
    before_gap(bytes, from, open).map_or(open, |name| name.start)
}

fn step(text: &str, atom: &Atom, last: bool, entities: &mut Vec<Entity>) -> Step {
    let bytes = text.as_bytes();
    let Range { start, end } = atom.range;
    let opened = start > 0 && bytes.get(start - 1) == Some(&b'(');
    let from = start - usize::from(opened);
    if atom::is_open(bytes, atom, last) {
        return Step::Hold(from);
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
    if atom.has(DIGIT) {
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
