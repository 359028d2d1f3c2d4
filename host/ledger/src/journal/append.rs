//! Appends groups of entries to the newest segment and starts the next one when it is full.
//! Several groups may be written before one sync makes all of them safe.
//! A write that finds no space is taken back and can be tried again. After any other failure the
//! file is in an unknown state: the appender must not be used again, and nothing is retried.

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
    /// Length of the part of it that is in the file.
    written_len: u64,
    /// The hash of the last frame that was encoded.
    last_hash: FrameHash,
    /// The last entry that is safe on disk. Every frame carries it as it was when the frame was
    /// made, so it never runs ahead of a sync that has returned.
    pub(crate) synced_seq: u64,
    /// The hash of the last safe entry's frame.
    pub(crate) synced_hash: FrameHash,
    /// The last entry that is in the file.
    pub(crate) written_seq: u64,
    written_hash: FrameHash,
    /// The last entry that was encoded.
    pub(crate) encoded_seq: u64,
    /// Frames that are not written yet; kept to reuse its memory.
    buffer: Vec<u8>,
}

/// Why entries were not appended.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// There is no space. The file ends as if nothing had been tried, what was encoded is kept,
    /// and the next append writes it first.
    Full(io::Error),
    /// Anything else; the appender must not be used again.
    Failed(io::Error),
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

impl From<AppendError> for io::Error {
    fn from(error: AppendError) -> Self {
        let (AppendError::Full(error) | AppendError::Failed(error)) = error;
        error
    }
}

/// Whether the disk, a quota or a limit on a file's size has no space left: what was not written is
/// known, and there may be space again.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// What a failure that took nothing of the file with it is.
fn told(error: io::Error) -> AppendError {
    if is_full(&error) { AppendError::Full(error) } else { AppendError::Failed(error) }
}

// === impl Appender ===

impl Appender {
    /// Starts a journal's first segment.
    pub(crate) fn create(storage: Arc<dyn Storage>, segment_bytes: u64) -> io::Result<Self> {
        Ok(Self::start_segment(storage, segment_bytes, 0, FrameHash::default())?)
    }

    /// Continues after `end`, cutting off what follows it. `unproven` is the part before `end` of
    /// which no frame says that it was synced: it is written once more and synced. It may have been
    /// written by a process that died before its sync; or the sync failed, and the system shows
    /// from its memory what the disk never got and would not be told to write again.
    pub(crate) fn resume(
        storage: Arc<dyn Storage>,
        segment_bytes: u64,
        end: JournalEnd,
        unproven: &[u8],
    ) -> io::Result<Self> {
        let name = segment_name(end.first_seq);
        let mut file = storage.append_to(&name, end.len)?;
        let proven = end.len.saturating_sub(u64::try_from(unproven.len()).unwrap_or(u64::MAX));
        storage.rewrite(&name, proven, unproven)?;
        file.sync()?;
        storage.sync_names()?;
        Ok(Self {
            storage,
            file,
            segment_bytes,
            segment_len: end.len,
            written_len: end.len,
            last_hash: end.last_hash,
            synced_seq: end.last_seq,
            synced_hash: end.last_hash,
            written_seq: end.last_seq,
            written_hash: end.last_hash,
            encoded_seq: end.last_seq,
            buffer: Vec::new(),
        })
    }

    /// Writes what is left of an append that found no space, and these entries: a process that
    /// dies no longer loses them. Only [`Appender::sync`] makes them safe from a machine that does,
    /// and whatever fills a segment. After `Full`, go on with the entries after `encoded_seq`.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Result<(), AppendError> {
        for entry in entries {
            if self.segment_len >= self.segment_bytes {
                self.write()?;
                self.sync().map_err(AppendError::Failed)?;
                self.roll()?;
            }
            self.encode(entry).map_err(AppendError::Failed)?;
        }
        self.write()
    }

    /// Makes everything that was written safe on disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.synced_seq == self.written_seq {
            return Ok(());
        }
        self.file.sync()?;
        self.synced_seq = self.written_seq;
        self.synced_hash = self.written_hash;
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

    fn write(&mut self) -> Result<(), AppendError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.append(&self.buffer).map_err(told) {
            // A part of it may be there, and only the whole of it can be tried again.
            if matches!(error, AppendError::Full(_)) {
                self.file.cut(self.written_len).map_err(AppendError::Failed)?;
            }
            return Err(error);
        }
        self.buffer.clear();
        self.written_len = self.segment_len;
        self.written_seq = self.encoded_seq;
        self.written_hash = self.last_hash;
        Ok(())
    }

    /// Starts the next segment. The full one is already safe on disk, and nothing is buffered.
    fn roll(&mut self) -> Result<(), AppendError> {
        let storage = Arc::clone(&self.storage);
        let next =
            Self::start_segment(storage, self.segment_bytes, self.synced_seq, self.last_hash)?;
        let (buffer, synced_hash) = (std::mem::take(&mut self.buffer), self.synced_hash);
        *self = Self { buffer, synced_hash, ..next };
        Ok(())
    }

    fn start_segment(
        storage: Arc<dyn Storage>,
        segment_bytes: u64,
        last_seq: u64,
        last_hash: FrameHash,
    ) -> Result<Self, AppendError> {
        let seq = last_seq.saturating_add(1);
        let header = Header { kind: Kind::Segment, seq, synced: last_seq, previous: last_hash };
        let mut bytes = Vec::new();
        let last_hash = frame::encode(&header, &mut bytes, |_| Ok::<(), io::Error>(()))
            .map_err(AppendError::Failed)?;
        let name = segment_name(seq);
        let mut file = storage.create(&name).map_err(told)?;
        if let Err(error) = file.append(&bytes).map_err(told) {
            if matches!(error, AppendError::Full(_)) {
                // It holds nothing; the next try makes it again.
                storage.remove(&name).map_err(AppendError::Failed)?;
            }
            return Err(error);
        }
        file.sync().map_err(AppendError::Failed)?;
        storage.sync_names().map_err(AppendError::Failed)?;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(Self {
            storage,
            file,
            segment_bytes,
            segment_len: len,
            written_len: len,
            last_hash,
            synced_seq: last_seq,
            synced_hash: FrameHash::default(),
            written_seq: last_seq,
            written_hash: last_hash,
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
