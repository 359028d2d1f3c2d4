//! Where the thinking of earlier turns stands in a request, and the edits that take it out. A
//! provider refuses a whole conversation for one block of thinking that it did not sign itself.
//! Never looks into a block.

use std::ops::Range;

use crate::scan::Scanner;
use crate::splice::Edit;

/// All thinking of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Thoughts {
    /// Every message, in order.
    pub(super) messages: Vec<Range<usize>>,
    turns: Vec<Turn>,
    /// The last message answers tool calls.
    pub(super) answers_tools: bool,
}

/// The blocks of one message with thinking in it.
#[derive(Debug, Clone)]
struct Turn {
    message: usize,
    blocks: Vec<Range<usize>>,
    thoughts: Vec<Thought>,
}

/// One block of thinking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thought {
    /// Which block of its message.
    pub(super) block: usize,
    /// Signed by another provider, as the gateway's tag says.
    pub(super) foreign: bool,
}

/// An item of an array, or a member of an object, whose end is not yet known.
#[derive(Debug)]
pub(super) struct Item(usize);

// === impl Item ===

impl Item {
    /// Call before the item's comma is taken.
    pub(super) fn begin(scanner: &mut Scanner<'_>) -> Self {
        let at = scanner.position();
        let comma = scanner.raw(at..at.saturating_add(1)) == ",";
        Self(at.saturating_add(usize::from(comma)))
    }

    /// The item without the comma in front of it.
    pub(super) fn end(self, end: usize) -> Range<usize> {
        self.0..end
    }
}

// === impl Thoughts ===

impl Thoughts {
    /// Files the blocks of the message that is read next, if there is thinking among them.
    pub(super) fn note(&mut self, blocks: Vec<Range<usize>>, thoughts: Vec<Thought>) {
        if !thoughts.is_empty() {
            self.turns.push(Turn { message: self.messages.len(), blocks, thoughts });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Takes the chosen blocks out, and every message that has nothing else.
    pub(super) fn removal(&self, choose: impl Fn(&Thought) -> bool) -> Vec<Edit> {
        // Both lists are in order, so that a look-up is a search.
        let mut edits = Vec::new();
        let mut emptied = Vec::new();
        for turn in &self.turns {
            let chosen: Vec<usize> =
                turn.thoughts.iter().filter(|t| choose(t)).map(|t| t.block).collect();
            if chosen.len() < turn.blocks.len() {
                edits.extend(remove(&turn.blocks, |index| chosen.binary_search(&index).is_ok()));
            } else if self.messages.len() > emptied.len() + 1 {
                emptied.push(turn.message);
            }
        }
        edits.extend(remove(&self.messages, |index| emptied.binary_search(&index).is_ok()));
        edits
    }
}

/// Takes items out, each with one comma, so that what stays is well-formed.
pub(super) fn remove(items: &[Range<usize>], out: impl Fn(usize) -> bool) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut kept_before = false;
    for (index, item) in items.iter().enumerate() {
        if !out(index) {
            kept_before = true;
            continue;
        }
        let before = index.checked_sub(1).and_then(|before| items.get(before));
        let span = match (before, items.get(index.saturating_add(1))) {
            (Some(before), _) if kept_before => before.end..item.end,
            (_, Some(next)) => item.start..next.start,
            _ => item.clone(),
        };
        edits.push(Edit::raw(span, String::new()));
    }
    edits
}
