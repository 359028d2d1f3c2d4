//! One text of a stream while it arrives: what is held of it, and what the current batch adds.
//! Hands out, for each delta of the batch, what that delta shall say instead.

use std::ops::Range;

use turnpike_protocol::{Role, Slot};

use super::edits::{self, Edit, Plan};
use super::json::Lexer;
use super::{Direction, Place, Pseudonyms};

/// The text of one slot.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) slot: Slot,
    pub(super) place: Place,
    pub(super) lexer: Lexer,
    /// Holds one whole text and goes when it is out.
    pub(super) once: bool,
    /// It closed within this batch and its slot has gone on since, in another window.
    pub(super) spent: bool,
    /// What is held, then what this batch added.
    text: String,
    /// Bytes of `text` that earlier batches left.
    held: usize,
    parts: Vec<Part>,
    /// The frame of this batch before which everything must be out.
    closing: Option<usize>,
}

/// A delta's share of the window; it ends where the next one begins.
#[derive(Debug)]
struct Part {
    frame: usize,
    delta: usize,
    end: usize,
}

/// What a batch changes for one slot.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Bytes of text that go out.
    pub(super) sent: usize,
    /// Deltas that say something else now: frame, delta, text.
    pub(super) changes: Vec<(usize, usize, String)>,
    /// Text that no delta of this batch can carry.
    pub(super) extra: Option<String>,
}

// === impl Window ===

impl Window {
    pub(super) fn new(slot: Slot, pseudonyms: &Pseudonyms) -> Self {
        let place =
            Place { direction: Direction::Output, channel: slot.channel, role: Role::Assistant };
        let lexer = Lexer::for_place(&place, pseudonyms);
        let (text, parts) = (String::new(), Vec::new());
        Self { slot, place, lexer, once: false, spent: false, text, held: 0, parts, closing: None }
    }

    /// Adds a delta of this batch.
    pub(super) fn add(&mut self, frame: usize, delta: usize, text: &str) {
        self.text.push_str(text);
        self.parts.push(Part { frame, delta, end: self.text.len() });
    }

    /// Nothing follows from this frame on.
    pub(super) fn close(&mut self, frame: usize) {
        if !self.text.is_empty() {
            self.closing.get_or_insert(frame);
        }
    }

    pub(super) fn closing(&self) -> Option<usize> {
        self.closing
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether this batch has anything to scan here.
    pub(super) fn is_due(&self) -> bool {
        !self.parts.is_empty() || (self.closing.is_some() && self.held > 0)
    }

    /// Ends the batch: what is before the cut goes out, the rest is held.
    pub(super) fn settle(&mut self, plan: &Plan) -> Outcome {
        let Plan { edits, cut } = plan;
        let untouched = edits.is_empty() && self.held == 0 && *cut == self.text.len();
        let mut outcome = Outcome { sent: *cut, changes: Vec::new(), extra: None };
        if !untouched && self.parts.is_empty() {
            let out = edits::apply(&self.text, edits, 0..*cut);
            outcome.sent = out.len();
            outcome.extra = Some(out).filter(|out| !out.is_empty());
        } else if !untouched {
            self.share_out(plan, &mut outcome);
        }
        self.text.drain(..(*cut).min(self.text.len()));
        self.held = self.text.len();
        self.parts.clear();
        self.closing = None;
        outcome
    }

    fn share_out(&self, plan: &Plan, outcome: &mut Outcome) {
        let Plan { edits, cut } = plan;
        outcome.sent = 0;
        let mut from = 0;
        for part in &self.parts {
            let share = from.min(*cut)..part.end.min(*cut);
            let own = if from == 0 { self.held } else { from };
            let whole = own == from && part.end <= *cut;
            if whole && !edits.iter().any(|edit| touches(edit, &share)) {
                outcome.sent += share.len();
            } else {
                let new = edits::apply(&self.text, edits, share);
                outcome.sent += new.len();
                if self.text.get(own..part.end) != Some(new.as_str()) {
                    outcome.changes.push((part.frame, part.delta, new));
                }
            }
            from = part.end;
        }
    }
}

fn touches(edit: &Edit, share: &Range<usize>) -> bool {
    edit.range.start < share.end && share.start < edit.range.end
}
