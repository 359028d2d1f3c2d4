//! Remembers how the last holds ended, so that a settlement sent twice is recognised. Bounded: an
//! ending is kept while its entry is among the last [`SETTLED_WINDOW_ENTRIES`] of the journal, and
//! rebuilt from the journal at start. Never holds money.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use crate::entry::{CaptureNote, Entry, Event, TransferId};
use crate::money::PicoUsd;

/// Journal entries for which an ending is remembered. A settlement is retried within seconds of
/// the first try; at 1000 requests a second this is over two minutes, in at most 40 MB.
pub(crate) const SETTLED_WINDOW_ENTRIES: u64 = 262_144;

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// With a charge.
    Captured {
        /// What the caller paid.
        actual: PicoUsd,
        /// What the platform bore.
        absorbed: PicoUsd,
        /// Why this price.
        note: CaptureNote,
    },
    /// Without a charge.
    Released {
        /// What the platform bore.
        absorbed: PicoUsd,
    },
    /// By nobody in time.
    Expired,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Captured { actual, .. } => write!(f, "captured at {actual} USD"),
            Self::Released { .. } => f.write_str("released"),
            Self::Expired => f.write_str("expired"),
        }
    }
}

/// The endings within the window.
#[derive(Debug)]
pub(crate) struct SettledWindow {
    window_entries: u64,
    endings: HashMap<TransferId, (u64, Ending)>,
    order: VecDeque<(u64, TransferId)>,
}

impl SettledWindow {
    pub(crate) fn new(window_entries: u64) -> Self {
        Self { window_entries, endings: HashMap::new(), order: VecDeque::new() }
    }

    /// The oldest entry that has to be read to know every ending in the window after `seq`.
    pub(crate) fn first_needed(&self, seq: u64) -> u64 {
        seq.saturating_sub(self.window_entries).saturating_add(1)
    }

    pub(crate) fn get(&self, id: &TransferId) -> Option<(u64, Ending)> {
        self.endings.get(id).copied()
    }

    /// Takes note of an entry, in journal order, and forgets what left the window.
    pub(crate) fn note(&mut self, entry: &Entry) {
        let ended = match &entry.event {
            Event::Capture { hold, actual, absorbed, note, .. } => {
                let (actual, absorbed, note) = (*actual, *absorbed, *note);
                Some((*hold, Ending::Captured { actual, absorbed, note }))
            }
            Event::Release { hold, absorbed, .. } => {
                Some((*hold, Ending::Released { absorbed: *absorbed }))
            }
            Event::Expire { hold, .. } => Some((*hold, Ending::Expired)),
            _ => None,
        };
        if let Some((hold, ending)) = ended {
            self.endings.insert(hold, (entry.seq, ending));
            self.order.push_back((entry.seq, hold));
        }
        let first_kept = self.first_needed(entry.seq);
        while let Some((seq, hold)) = self.order.front().copied().filter(|e| e.0 < first_kept) {
            self.order.pop_front();
            // The id may have been used again since; then the newer ending stays.
            if self.endings.get(&hold).is_some_and(|ending| ending.0 == seq) {
                self.endings.remove(&hold);
            }
        }
    }
}
