//! Blocks one at a time: for dialects where a block must end before the next begins, events of
//! blocks that arrive side by side are put in order. What belongs to a later block waits until the
//! earlier ones have closed.

use std::collections::VecDeque;

use super::Event;

/// Events that may wait; a provider that interleaves more is cut off with an error by the caller
/// of `push`.
const WAITING_MAX: usize = 65_536;

/// Puts blocks in order. Events that belong to no block pass at once, but for the end, which comes
/// after everything that waited.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    open: Option<u32>,
    waiting: VecDeque<Event>,
}

/// More events wait than one stream may hold back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflow;

// === impl Sequence ===

impl Sequence {
    /// Takes one event and gives those that may go out now.
    pub(crate) fn push(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), Overflow> {
        match &event {
            Event::Finish { .. } | Event::End | Event::Error(_) => {
                self.flush(out);
                out.push(event);
                return Ok(());
            }
            _ => {}
        }
        let Some(block) = block_of(&event) else {
            out.push(event);
            return Ok(());
        };
        match self.open {
            Some(open) if open != block => {
                if self.waiting.len() >= WAITING_MAX {
                    return Err(Overflow);
                }
                self.waiting.push_back(event);
            }
            _ => self.pass(event, out),
        }
        Ok(())
    }

    fn pass(&mut self, event: Event, out: &mut Vec<Event>) {
        match &event {
            Event::Open { block, .. } => self.open = Some(*block),
            Event::Close { .. } => self.open = None,
            _ => {}
        }
        out.push(event);
        while self.open.is_none() {
            let Some(next) = self.waiting.front().and_then(block_of) else { return };
            self.drain(next, out);
        }
    }

    /// Everything that waited for one block, up to its close if that has come.
    fn drain(&mut self, block: u32, out: &mut Vec<Event>) {
        self.open = Some(block);
        let mut rest = VecDeque::with_capacity(self.waiting.len());
        for event in std::mem::take(&mut self.waiting) {
            if self.open.is_some() && block_of(&event) == Some(block) {
                if matches!(event, Event::Close { .. }) {
                    self.open = None;
                }
                out.push(event);
            } else {
                rest.push_back(event);
            }
        }
        self.waiting = rest;
    }

    /// Closes what is open and lets everything out that waited, each block closed.
    fn flush(&mut self, out: &mut Vec<Event>) {
        if let Some(block) = self.open.take() {
            out.push(Event::Close { block });
        }
        while let Some(block) = self.waiting.front().and_then(block_of) {
            self.drain(block, out);
            if let Some(block) = self.open.take() {
                out.push(Event::Close { block });
            }
        }
    }
}

fn block_of(event: &Event) -> Option<u32> {
    match event {
        Event::Open { block, .. }
        | Event::Delta { block, .. }
        | Event::Signed { block, .. }
        | Event::Cited { block, .. }
        | Event::Close { block } => Some(*block),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neutral::Opening;

    fn open(block: u32) -> Event {
        Event::Open { block, choice: 0, opening: Opening::Text }
    }

    fn delta(block: u32, text: &str) -> Event {
        Event::Delta { block, text: text.into() }
    }

    fn shown(events: &[Event]) -> String {
        let one = |event: &Event| match event {
            Event::Open { block, .. } => format!("+{block}"),
            Event::Delta { block, text } => format!("{block}{}", text.0),
            Event::Close { block } => format!("-{block}"),
            Event::End => "end".to_owned(),
            _ => "?".to_owned(),
        };
        events.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn side_by_side_blocks_come_out_one_after_the_other() {
        let mut sequence = Sequence::default();
        let mut out = Vec::new();
        let events = [
            open(0),
            delta(0, "a"),
            open(1),
            delta(1, "x"),
            delta(0, "b"),
            open(2),
            Event::Close { block: 1 },
            delta(2, "q"),
            Event::Close { block: 0 },
            delta(2, "r"),
            Event::End,
        ];
        for event in events {
            sequence.push(event, &mut out).unwrap();
        }
        assert_eq!(shown(&out), "+0 0a 0b -0 +1 1x -1 +2 2q 2r -2 end");
    }
}
