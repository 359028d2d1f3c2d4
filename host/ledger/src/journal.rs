//! The journal: entries in fixed-size segment files, appended in groups and read back in order.
//! Never decides whether an entry is right; see `book` for that.
//!
//! A segment is named after its first entry, begins with a segment frame and is full before the
//! next one is made. Frames are chained by hash across segments.

pub(crate) mod append;
pub(crate) mod copy;
pub(crate) mod read;
pub(crate) mod recover;

use std::collections::VecDeque;

use crate::entry::Entry;
use crate::error::LedgerError;
use crate::frame::{self, FrameHash, Kind};
use crate::storage::Storage;

/// What segment files are called: the first entry's number, zero-padded so that names sort.
const SEGMENT_SUFFIX: &str = ".journal";

/// The file name of the segment that starts with this entry.
pub(crate) fn segment_name(first_seq: u64) -> String {
    format!("{first_seq:020}{SEGMENT_SUFFIX}")
}

/// The first entry of every segment there is, in order.
pub(crate) fn segments(storage: &dyn Storage) -> Result<Vec<u64>, LedgerError> {
    let names = storage.list().map_err(|source| LedgerError::Io {
        what: "listing the journal's files".to_owned(),
        source,
    })?;
    let mut firsts: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_suffix(SEGMENT_SUFFIX))
        .filter_map(|digits| digits.parse().ok())
        .collect();
    firsts.sort_unstable();
    Ok(firsts)
}

/// The bytes of one segment.
pub(crate) fn load(storage: &dyn Storage, first_seq: u64) -> Result<Vec<u8>, LedgerError> {
    let name = segment_name(first_seq);
    storage
        .read(&name)
        .map_err(|source| LedgerError::Io { what: format!("reading journal file {name}"), source })
}

/// Walks through the frames of one segment, and notices whatever is not right.
#[derive(Debug)]
pub(crate) struct SegmentWalk<'a> {
    bytes: &'a [u8],
    /// Where the next frame starts: everything before it is sound.
    pub(crate) offset: usize,
    /// The number of the next entry.
    pub(crate) next_seq: u64,
    /// The hash of the last sound frame.
    pub(crate) last_hash: FrameHash,
    /// Where the part ends of which a later frame says that it was synced.
    pub(crate) proven: usize,
    /// The last entry that some frame says was synced.
    synced: u64,
    /// Entries after `proven` with the place where each ends.
    unproven: VecDeque<(u64, usize)>,
}

/// One sound step through a segment.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) entry: Entry,
    pub(crate) hash: FrameHash,
}

// === impl SegmentWalk ===

impl<'a> SegmentWalk<'a> {
    /// Reads the segment frame. `previous` is the hash of the last frame of the segment before, or
    /// `None` where the walk starts in the middle of the journal and has to trust this one.
    ///
    /// # Errors
    /// What is wrong with the segment frame.
    pub(crate) fn start(
        bytes: &'a [u8],
        first_seq: u64,
        previous: Option<FrameHash>,
    ) -> Result<Self, &'static str> {
        let frame = frame::decode(bytes)?;
        if frame.header.kind != Kind::Segment || frame.header.seq != first_seq {
            return Err("the file does not start with its segment frame");
        }
        if previous.is_some_and(|previous| previous != frame.header.previous) {
            return Err("the file does not follow the one before it");
        }
        Ok(Self {
            bytes,
            offset: frame.len,
            next_seq: first_seq,
            last_hash: frame.hash,
            proven: 0,
            synced: frame.header.synced,
            unproven: VecDeque::new(),
        })
    }

    /// The next entry; `None` at the end of the file.
    ///
    /// # Errors
    /// What is wrong with the frame at `offset`; the walk then stays where it is.
    pub(crate) fn step(&mut self) -> Result<Option<Step>, &'static str> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let frame = frame::decode(rest)?;
        if frame.header.kind != Kind::Entry || frame.header.seq != self.next_seq {
            return Err("the frame is out of order");
        }
        if frame.header.previous != self.last_hash {
            return Err("the frame does not follow the one before it");
        }
        let entry: Entry =
            postcard::from_bytes(frame.payload).map_err(|_| "the frame's entry can't be read")?;
        if entry.seq != self.next_seq {
            return Err("the entry has another number than its frame");
        }
        if self.proven == 0 {
            // No entry is written before the segment frame is synced.
            self.proven = self.offset;
        }
        self.offset = self.offset.saturating_add(frame.len);
        self.next_seq = self.next_seq.saturating_add(1);
        self.last_hash = frame.hash;
        self.unproven.push_back((entry.seq, self.offset));
        self.synced = self.synced.max(frame.header.synced);
        while let Some((_, end)) = self.unproven.pop_front_if(|(seq, _)| *seq <= self.synced) {
            self.proven = end;
        }
        Ok(Some(Step { entry, hash: frame.hash }))
    }

    /// Whether what follows the sound part shows that it was damaged after it was safe on disk,
    /// rather than torn while it was being written.
    pub(crate) fn damaged_later(&self) -> bool {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        frame::proves_synced(rest, self.next_seq)
    }
}
