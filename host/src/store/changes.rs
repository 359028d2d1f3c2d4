//! The changes file, `admin.log`: every change of an administrative table, appended and fsynced
//! before the tables see it. It is the truth for organizations, keys, plugins and bindings: sled
//! can be rebuilt from it, and after a power loss is. Each frame is length, crc32c and JSON text;
//! a torn tail is cut off at the first bad frame. Never holds a key in clear text, never money.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::StoreError;
use super::sled_state::sync_dir;
use super::state::{Change, State, Table};

/// The file's name in the data folder.
pub const FILE_NAME: &str = "admin.log";

/// Where the tables keep the number of the last change applied to them.
const SEQ_KEY: &[u8] = b"admin-seq";

/// Length and checksum in front of each frame, four bytes each.
const HEAD_BYTES: usize = 8;

/// The longest frame: a deleted organization with all of its keys is the largest batch there is.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Below this size the file is not rewritten at start: it costs less to read than to rewrite.
const COMPACT_BYTES_MIN: u64 = 1024 * 1024;

/// Rows per frame of a rewritten file, so that no frame grows with the installation.
const COMPACT_FRAME_ROWS: usize = 256;

#[derive(Serialize, Deserialize)]
struct Frame {
    seq: u64,
    changes: Vec<(String, String, Option<Box<RawValue>>)>,
}

/// The open changes file.
#[derive(Debug)]
pub(super) struct ChangesFile {
    path: PathBuf,
    file: File,
    /// Bytes of whole frames.
    len: u64,
    /// Number of the last change in the file.
    seq: u64,
    /// A failed fsync leaves unknown what is on the disk: nothing more is acknowledged.
    failed: bool,
}

/// What bringing the tables and the file together took.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Reconciled {
    /// Bytes of a torn tail that were cut off.
    pub(super) torn_bytes: u64,
    /// Whether the tables were filled again from the file.
    pub(super) tables_rebuilt: bool,
    /// Whether the file was behind the tables and written anew from them.
    pub(super) file_rewritten: bool,
}

// === impl ChangesFile ===

impl ChangesFile {
    /// Opens the file in `dir` and makes the tables agree with it.
    pub(super) fn open(dir: &Path, state: &dyn State) -> Result<(Self, Reconciled), StoreError> {
        let path = dir.join(FILE_NAME);
        let (frames, len, torn_bytes) = read_frames(&path)?;
        let file = open_for_append(&path, len)?;
        sync_dir(dir)?;
        let seq = frames.last().map_or(0, |frame| frame.seq);
        let mut this = Self { path, file, len, seq, failed: false };
        let mut reconciled = Reconciled { torn_bytes, ..Reconciled::default() };
        let applied = applied_seq(state)?;
        if applied < seq {
            refill(state, frames, seq)?;
            reconciled.tables_rebuilt = true;
        } else if applied > seq {
            this.seq = applied;
            this.rewrite(state)?;
            reconciled.file_rewritten = true;
        }
        if this.len > COMPACT_BYTES_MIN {
            this.rewrite(state)?;
        }
        Ok((this, reconciled))
    }

    /// Appends the changes, fsyncs, and applies them to the tables. On an error nothing is
    /// acknowledged, and neither the file nor the tables keep any of it.
    pub(super) fn commit(
        &mut self,
        state: &dyn State,
        mut changes: Vec<Change>,
    ) -> Result<(), StoreError> {
        if self.failed {
            return Err(self.error("an earlier write failed; fix the disk and restart"));
        }
        let seq = self.seq.saturating_add(1);
        let frame = self.encode(seq, &changes)?;
        let before = self.len;
        self.append(&frame).inspect_err(|_| self.cut_back(before))?;
        changes.push(Change::put(Table::Meta, SEQ_KEY, seq.to_string()));
        state.apply(&changes).inspect_err(|_| self.cut_back(before))?;
        self.seq = seq;
        // The change is durable by the file; sled catching up late costs a longer start, no data.
        if let Err(cause) = state.sync() {
            tracing::warn!(%cause, "the database could not be synced; the changes file was");
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    fn append(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        self.file.seek(SeekFrom::Start(self.len)).map_err(|cause| self.error(cause))?;
        self.file.write_all(frame).map_err(|cause| self.error(cause))?;
        if let Err(cause) = self.file.sync_data() {
            self.failed = true;
            return Err(self.error(cause));
        }
        self.len = self.len.saturating_add(u64::try_from(frame.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Takes an unacknowledged frame out again.
    fn cut_back(&mut self, len: u64) {
        self.len = len;
        if let Err(cause) = self.file.set_len(len).and_then(|()| self.file.sync_data()) {
            self.failed = true;
            tracing::error!(path = %self.path.display(), %cause,
                "can't take back a refused change; administrative changes stop until a restart");
        }
    }

    /// Writes the file anew from the tables: beside, fsynced, then renamed over.
    fn rewrite(&mut self, state: &dyn State) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        let mut rows = Vec::new();
        for table in Table::ADMINISTRATIVE {
            for (key, value) in state.scan(table, b"", None, usize::MAX)? {
                if table != Table::Meta || key != SEQ_KEY {
                    rows.push(Change::put(table, key, value));
                }
            }
        }
        for changes in rows.chunks(COMPACT_FRAME_ROWS) {
            bytes.extend(self.encode(self.seq, changes)?);
        }
        if bytes.is_empty() {
            // The number must survive even when there is no row.
            bytes = self.encode(self.seq, &[])?;
        }
        let beside = self.path.with_extension("log.new");
        let written = File::create(&beside)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&beside, &self.path));
        written.map_err(|cause| self.error(cause))?;
        if let Some(dir) = self.path.parent() {
            sync_dir(dir)?;
        }
        self.len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.file = open_for_append(&self.path, self.len)?;
        Ok(())
    }

    fn encode(&self, seq: u64, changes: &[Change]) -> Result<Vec<u8>, StoreError> {
        let text =
            |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|cause| self.error(cause));
        let mut frame = Frame { seq, changes: Vec::with_capacity(changes.len()) };
        for change in changes {
            let value = match &change.value {
                Some(value) => {
                    Some(RawValue::from_string(text(value)?).map_err(|cause| self.error(cause))?)
                }
                None => None,
            };
            frame.changes.push((change.table.label().to_owned(), text(&change.key)?, value));
        }
        let payload = serde_json::to_vec(&frame).map_err(|cause| self.error(cause))?;
        if payload.len() > FRAME_BYTES_MAX {
            return Err(StoreError::TooLarge { bytes: payload.len(), limit: FRAME_BYTES_MAX });
        }
        let len = u32::try_from(payload.len()).map_err(|cause| self.error(cause))?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + payload.len());
        bytes.extend(len.to_le_bytes());
        bytes.extend(crc32c::crc32c(&payload).to_le_bytes());
        bytes.extend(payload);
        Ok(bytes)
    }

    fn error(&self, cause: impl std::fmt::Display) -> StoreError {
        StoreError::io(format!("writing the changes file {}", self.path.display()), cause)
    }
}

/// The bytes of all whole frames of the changes file in `dir`, also while a store writes it: it is
/// only appended to, and replaced as a whole. Empty where there is none.
pub fn whole_changes(dir: &Path) -> Result<Vec<u8>, StoreError> {
    let path = dir.join(FILE_NAME);
    let mut bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(cause) => {
            let what = format!("reading the changes file {}", path.display());
            return Err(StoreError::io(what, cause));
        }
    };
    let mut rest = bytes.as_slice();
    while let Some((_, after)) = next_frame(rest) {
        rest = after;
    }
    let whole = bytes.len().saturating_sub(rest.len());
    bytes.truncate(whole);
    Ok(bytes)
}

/// Whether the changes file in `dir` tells of an organization of this id, also of one that is
/// deleted by now; reads it as [`whole_changes`] does.
pub fn tells_of_org(dir: &Path, org: &str) -> Result<bool, StoreError> {
    let (frames, ..) = read_frames(&dir.join(FILE_NAME))?;
    let table = Table::Organizations.label();
    let mut changes = frames.iter().flat_map(|frame| &frame.changes);
    Ok(changes.any(|(of, key, _)| of == table && key == org))
}

/// All whole frames, their length in bytes, and how many bytes follow them.
fn read_frames(path: &Path) -> Result<(Vec<Frame>, u64, u64), StoreError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
        Err(cause) => {
            let what = format!("reading the changes file {}", path.display());
            return Err(StoreError::io(what, cause));
        }
    }
    let mut frames = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((frame, after)) = next_frame(rest) {
        frames.push(frame);
        rest = after;
    }
    let torn = rest.len();
    let whole = bytes.len().saturating_sub(torn);
    Ok((frames, u64::try_from(whole).unwrap_or(u64::MAX), u64::try_from(torn).unwrap_or(u64::MAX)))
}

fn next_frame(bytes: &[u8]) -> Option<(Frame, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    if len > FRAME_BYTES_MAX {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(len)?;
    if crc32c::crc32c(payload) != u32::from_le_bytes(*crc) {
        return None;
    }
    Some((serde_json::from_slice(payload).ok()?, rest))
}

fn open_for_append(path: &Path, len: u64) -> Result<File, StoreError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .and_then(|file| {
            file.set_len(len)?;
            file.sync_all()?;
            Ok(file)
        })
        .map_err(|cause| {
            StoreError::io(format!("opening the changes file {}", path.display()), cause)
        })
}

fn applied_seq(state: &dyn State) -> Result<u64, StoreError> {
    let Some(value) = state.get(Table::Meta, SEQ_KEY)? else { return Ok(0) };
    serde_json::from_slice(&value).map_err(|cause| StoreError::Unreadable {
        table: Table::Meta.label(),
        key: String::from_utf8_lossy(SEQ_KEY).into_owned(),
        cause: cause.to_string(),
    })
}

/// Empties the administrative tables and applies every frame, in one batch.
fn refill(state: &dyn State, frames: Vec<Frame>, seq: u64) -> Result<(), StoreError> {
    let mut changes = Vec::new();
    for table in Table::ADMINISTRATIVE {
        for (key, _) in state.scan(table, b"", None, usize::MAX)? {
            changes.push(Change::delete(table, key));
        }
    }
    for (table, key, value) in frames.into_iter().flat_map(|frame| frame.changes) {
        let table = Table::from_label(&table).ok_or_else(|| {
            StoreError::io(
                "reading the changes file",
                format!("it names the table {table:?}, which this version does not know"),
            )
        })?;
        changes.push(match value {
            Some(value) => Change::put(table, key, value.get()),
            None => Change::delete(table, key),
        });
    }
    changes.push(Change::put(Table::Meta, SEQ_KEY, seq.to_string()));
    state.apply(&changes)
}

#[cfg(test)]
mod tests;
