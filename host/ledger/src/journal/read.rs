//! Reads the journal from its files: pages for an organization, and all of it for an export or a
//! check. Never writes, and never needs the ledger to be open.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use crate::entry::Entry;
use crate::error::LedgerError;
use crate::frame::FrameHash;
use crate::journal::{SegmentWalk, Step, load, segment_name, segments};
use crate::storage::{FileStorage, Storage};

/// Entries that one page looks at, found or not: bounds the work of a question about an
/// organization that has few entries to some tenths of a second.
const PAGE_ENTRIES_SCANNED_MAX: u64 = 200_000;

/// Entries of one page: bounds its memory.
const PAGE_ENTRIES_MAX: usize = 1000;

/// Entries in journal order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntriesPage {
    /// At most as many as were asked for, and at most 1000.
    pub entries: Vec<Entry>,
    /// Where to ask on, also when `entries` is empty; `None` at the end.
    pub next_after_seq: Option<u64>,
}

/// How a walk through the files ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Walked {
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
    pub(crate) last_seq: u64,
    /// An unfinished end of the newest file: its name, the place, what is wrong, and how much
    /// follows.
    pub(crate) torn: Option<(String, u64, &'static str, u64)>,
}

/// Calls `each` for the entries of all files from the one that holds `from_seq`.
pub(crate) fn walk(
    storage: &dyn Storage,
    from_seq: u64,
    mut each: impl FnMut(Step) -> ControlFlow<()>,
) -> Result<Walked, LedgerError> {
    let firsts = segments(storage)?;
    let start = firsts.partition_point(|first| *first <= from_seq).saturating_sub(1);
    let mut previous = (start == 0).then(FrameHash::default);
    let mut walked = Walked::default();
    for (index, first_seq) in firsts.iter().copied().enumerate().skip(start) {
        let last = index.saturating_add(1) == firsts.len();
        let corrupt = |offset: usize, why: &str| LedgerError::Corrupt {
            segment: segment_name(first_seq),
            offset: u64::try_from(offset).unwrap_or(u64::MAX),
            why: why.to_owned(),
        };
        if previous.is_some() && first_seq != walked.last_seq.saturating_add(1) {
            return Err(corrupt(0, "entries are missing before it"));
        }
        let bytes = load(storage, first_seq)?;
        walked.segments = walked.segments.saturating_add(1);
        walked.bytes = walked.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let mut steps = match SegmentWalk::start(&bytes, first_seq, previous) {
            Ok(steps) => steps,
            Err(why) if last && !crate::frame::proves_synced(&bytes, 0) => {
                walked.torn = Some(torn(first_seq, 0, why, bytes.len()));
                break;
            }
            Err(why) => return Err(corrupt(0, why)),
        };
        loop {
            match steps.step() {
                Ok(Some(step)) => {
                    walked.last_seq = step.entry.seq;
                    if each(step).is_break() {
                        return Ok(walked);
                    }
                }
                Ok(None) => break,
                Err(why) if last && !steps.damaged_later() => {
                    walked.torn = Some(torn(first_seq, steps.offset, why, bytes.len()));
                    break;
                }
                Err(why) => return Err(corrupt(steps.offset, why)),
            }
        }
        walked.last_seq = steps.next_seq.saturating_sub(1);
        previous = Some(steps.last_hash);
    }
    Ok(walked)
}

fn torn(
    first_seq: u64,
    offset: usize,
    why: &'static str,
    len: usize,
) -> (String, u64, &'static str, u64) {
    let left = u64::try_from(len.saturating_sub(offset)).unwrap_or(u64::MAX);
    (segment_name(first_seq), u64::try_from(offset).unwrap_or(u64::MAX), why, left)
}

/// The wanted entries after `after_seq` and up to `durable_seq`.
pub(crate) fn page(
    storage: &dyn Storage,
    wanted: impl Fn(&Entry) -> bool,
    after_seq: u64,
    durable_seq: u64,
    limit: usize,
) -> Result<EntriesPage, LedgerError> {
    let limit = limit.min(PAGE_ENTRIES_MAX);
    let mut entries: Vec<Entry> = Vec::new();
    let mut reached = after_seq;
    let mut left = PAGE_ENTRIES_SCANNED_MAX;
    if after_seq >= durable_seq || limit == 0 {
        return Ok(EntriesPage { entries, next_after_seq: None });
    }
    walk(storage, after_seq.saturating_add(1), |Step { entry, .. }| {
        if entry.seq > durable_seq || entries.len() >= limit || left == 0 {
            return ControlFlow::Break(());
        }
        if entry.seq > after_seq {
            reached = entry.seq;
            left = left.saturating_sub(1);
            if wanted(&entry) {
                entries.push(entry);
            }
        }
        ControlFlow::Continue(())
    })?;
    let next_after_seq = (reached < durable_seq).then_some(reached);
    Ok(EntriesPage { entries, next_after_seq })
}

/// Calls `each` with every entry of the journal in `dir`, in order. An unfinished end is left out.
///
/// # Errors
/// `Io` or `Corrupt`; then `each` has seen the entries before.
pub fn export(dir: &Path, each: impl FnMut(Entry)) -> Result<(), LedgerError> {
    export_storage(&FileStorage::existing(dir), each)
}

/// As [`export`], from any storage.
///
/// # Errors
/// `Io` or `Corrupt`; then `each` has seen the entries before.
pub fn export_storage(
    storage: &dyn Storage,
    mut each: impl FnMut(Entry),
) -> Result<(), LedgerError> {
    walk(storage, 1, |step| {
        each(step.entry);
        ControlFlow::Continue(())
    })?;
    Ok(())
}
