//! Appends groups of entries to the newest segment and starts the next one when it is full.
//! Several groups may be written before one sync makes all of them safe.
//! Every method that fails leaves the file in an unknown state: the appender must not be used
//! again, and nothing is retried.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::entry::Entry;
use crate::frame::{self, FrameHash, Header, Kind};
use crate::journal::segment_name;
use crate::storage::{SegmentFile, Storage};

/// The open end of the journal.
pub(crate) struct Appender {
    storage: Arc<dyn Storage>,
    file: Box<dyn SegmentFile>,
    /// A segment that has reached this length is full.
    segment_bytes: u64,
    /// Length of the open segment, the part in `buffer` included.
    segment_len: u64,
    /// The hash of the last frame.
    last_hash: FrameHash,
    /// The last entry that is safe on disk. Every frame carries it as it was when the frame was
    /// written, so it never runs ahead of a sync that has returned.
    pub(crate) synced_seq: u64,
    /// The hash of the last safe entry's frame.
    pub(crate) synced_hash: FrameHash,
    /// The last entry that was encoded.
    encoded_seq: u64,
    /// Frames that are not written yet; kept to reuse its memory.
    buffer: Vec<u8>,
}

/// Where the sound part of the journal ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JournalEnd {
    /// The first entry of the newest segment.
    pub(crate) first_seq: u64,
    /// Bytes of it that are sound.
    pub(crate) len: u64,
    pub(crate) last_seq: u64,
    pub(crate) last_hash: FrameHash,
}

// === impl Appender ===

impl Appender {
    /// Starts a journal's first segment.
    pub(crate) fn create(storage: Arc<dyn Storage>, segment_bytes: u64) -> io::Result<Self> {
        Self::start_segment(storage, segment_bytes, 0, FrameHash::default())
    }

    /// Continues after `end`, cutting off what follows it. What was read is made safe first: it
    /// may have been written by a process that died before its sync.
    pub(crate) fn resume(
        storage: Arc<dyn Storage>,
        segment_bytes: u64,
        end: JournalEnd,
    ) -> io::Result<Self> {
        let mut file = storage.append_to(&segment_name(end.first_seq), end.len)?;
        file.sync()?;
        storage.sync_names()?;
        Ok(Self {
            storage,
            file,
            segment_bytes,
            segment_len: end.len,
            last_hash: end.last_hash,
            synced_seq: end.last_seq,
            synced_hash: end.last_hash,
            encoded_seq: end.last_seq,
            buffer: Vec::new(),
        })
    }

    /// Writes the entries: a process that dies no longer loses them. Only [`Appender::sync`] makes
    /// them safe from a machine that does, and whatever fills a segment.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        for entry in entries {
            if self.segment_len >= self.segment_bytes {
                self.write()?;
                self.sync()?;
                self.roll()?;
            }
            self.encode(entry)?;
        }
        self.write()
    }

    /// Makes everything that was appended safe on disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.synced_seq == self.encoded_seq {
            return Ok(());
        }
        self.file.sync()?;
        self.synced_seq = self.encoded_seq;
        self.synced_hash = self.last_hash;
        Ok(())
    }

    fn encode(&mut self, entry: &Entry) -> io::Result<()> {
        let before = self.buffer.len();
        let header = Header {
            kind: Kind::Entry,
            seq: entry.seq,
            synced: self.synced_seq,
            previous: self.last_hash,
        };
        self.last_hash = frame::encode(&header, &mut self.buffer, |out| {
            let payload = std::mem::take(out);
            *out = postcard::to_extend(entry, payload).map_err(io::Error::other)?;
            Ok::<(), io::Error>(())
        })?;
        let len = self.buffer.len().saturating_sub(before);
        self.segment_len = self.segment_len.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        self.encoded_seq = entry.seq;
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file.append(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Starts the next segment. The full one is already safe on disk.
    fn roll(&mut self) -> io::Result<()> {
        let storage = Arc::clone(&self.storage);
        let (buffer, synced_hash) = (std::mem::take(&mut self.buffer), self.synced_hash);
        let next =
            Self::start_segment(storage, self.segment_bytes, self.synced_seq, self.last_hash)?;
        *self = Self { buffer, synced_hash, ..next };
        Ok(())
    }

    fn start_segment(
        storage: Arc<dyn Storage>,
        segment_bytes: u64,
        last_seq: u64,
        last_hash: FrameHash,
    ) -> io::Result<Self> {
        let seq = last_seq.saturating_add(1);
        let header = Header { kind: Kind::Segment, seq, synced: last_seq, previous: last_hash };
        let mut bytes = Vec::new();
        let last_hash = frame::encode(&header, &mut bytes, |_| Ok::<(), io::Error>(()))?;
        let mut file = storage.create(&segment_name(seq))?;
        file.append(&bytes)?;
        file.sync()?;
        storage.sync_names()?;
        Ok(Self {
            storage,
            file,
            segment_bytes,
            segment_len: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            last_hash,
            synced_seq: last_seq,
            synced_hash: FrameHash::default(),
            encoded_seq: last_seq,
            buffer: Vec::new(),
        })
    }
}

impl fmt::Debug for Appender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Appender").field("synced_seq", &self.synced_seq).finish_non_exhaustive()
    }
}
