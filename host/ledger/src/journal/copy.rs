//! Copies a journal to another folder, also while a ledger writes it: what is safe on the disk at
//! the start of the copy, and nothing that is half written. Never writes where it reads.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::error::LedgerError;
use crate::frame::FrameHash;
use crate::journal::{SegmentWalk, segment_name, segments};
use crate::storage::FileStorage;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopiedJournal {
    /// Files.
    pub segments: u64,
    /// Their size.
    pub bytes: u64,
    /// The last entry, which is also how many there are.
    pub last_seq: u64,
}

/// Copies the journal in `from` to the folder `to`, which must exist and hold no journal, and
/// makes the copy safe on disk. Every entry that somebody was told is safe is in it.
///
/// # Errors
/// `Io`; `Corrupt` when the journal is damaged, because a copy of it would be so too.
pub fn copy_journal(from: &Path, to: &Path) -> Result<CopiedJournal, LedgerError> {
    let firsts = segments(&FileStorage::existing(from))?;
    let mut copied = CopiedJournal::default();
    let mut previous = FrameHash::default();
    for (index, first_seq) in firsts.iter().copied().enumerate() {
        let last = index.saturating_add(1) == firsts.len();
        let name = segment_name(first_seq);
        let corrupt = |offset: usize, why: &str| LedgerError::Corrupt {
            segment: name.clone(),
            offset: u64::try_from(offset).unwrap_or(u64::MAX),
            why: why.to_owned(),
        };
        let io = |verb: &str| {
            let what = format!("{verb} journal file {name}");
            move |source| LedgerError::Io { what, source }
        };
        if first_seq != copied.last_seq.saturating_add(1) {
            return Err(corrupt(0, "entries are missing before it"));
        }
        let bytes = safe_bytes(&from.join(&name)).map_err(io("reading"))?;
        let mut walk = match SegmentWalk::start(&bytes, first_seq, Some(previous)) {
            Ok(walk) => walk,
            // It was just being made.
            Err(_) if last && !crate::frame::proves_synced(&bytes, 0) => break,
            Err(why) => return Err(corrupt(0, why)),
        };
        loop {
            match walk.step() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) if last && !walk.damaged_later() => break,
                Err(why) => return Err(corrupt(walk.offset, why)),
            }
        }
        let sound = bytes.get(..walk.offset).unwrap_or_default();
        write_new(&to.join(&name), sound).map_err(io("copying"))?;
        copied.segments = copied.segments.saturating_add(1);
        copied.bytes = copied.bytes.saturating_add(u64::try_from(sound.len()).unwrap_or(u64::MAX));
        copied.last_seq = walk.next_seq.saturating_sub(1);
        previous = walk.last_hash;
    }
    let synced = File::open(to).and_then(|dir| dir.sync_all());
    synced.map_err(|source| LedgerError::Io { what: "syncing the copy".to_owned(), source })?;
    Ok(copied)
}

/// What is in the file now, once the disk has it: the copy must not know of an entry that a power
/// cut could still take from the journal.
fn safe_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    file.sync_data()?;
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
