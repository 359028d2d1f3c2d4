//! Opens the journal after any kind of end: works out the state from a view and the entries after
//! it, cuts a torn tail off the newest segment, and refuses whatever can't be a torn tail.

use std::sync::Arc;

use crate::book::Book;
use crate::book::rows::Touched;
use crate::error::LedgerError;
use crate::frame::{self, FrameHash};
use crate::journal::append::{Appender, JournalEnd};
use crate::journal::{SegmentWalk, load, segment_name, segments};
use crate::settled::SettledWindow;
use crate::storage::Storage;
use crate::view::ViewSnapshot;

/// What opening found.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) book: Book,
    pub(crate) settled: SettledWindow,
    /// The rows that the entries after the view have changed.
    pub(crate) touched: Touched,
    pub(crate) appender: Appender,
    /// The hash of the last entry's frame.
    pub(crate) applied_hash: FrameHash,
}

/// Reads the journal up to its sound end.
#[derive(Debug)]
struct Replay<'a> {
    book: Book,
    settled: SettledWindow,
    touched: Touched,
    view: Option<&'a ViewSnapshot>,
    last_hash: Option<FrameHash>,
    last_seq: u64,
    applied_hash: FrameHash,
}

/// Opens the journal, or starts it where there is none.
pub(crate) fn recover(
    storage: &Arc<dyn Storage>,
    segment_bytes: u64,
    settled: SettledWindow,
    view: Option<&ViewSnapshot>,
) -> Result<Recovered, LedgerError> {
    let book = match view {
        Some(view) => {
            Book::restore(view).map_err(|why| LedgerError::ViewMismatch(why.to_string()))?
        }
        None => Book::default(),
    };
    let mut firsts = segments(&**storage)?;
    drop_stillborn(&**storage, &mut firsts)?;
    let first_needed = settled.first_needed(book.applied_seq);
    let start = firsts.partition_point(|first| *first <= first_needed).saturating_sub(1);
    let touched = Touched::default();
    let applied_hash = view.map(|view| view.applied_hash).unwrap_or_default();
    let mut replay =
        Replay { book, settled, touched, view, last_hash: None, last_seq: 0, applied_hash };
    if start == 0 {
        replay.last_hash = Some(FrameHash::default());
    }
    let mut end = None;
    let needed = firsts.get(start..).unwrap_or_default();
    for (index, first_seq) in needed.iter().enumerate() {
        if index > 0 || start == 0 {
            replay.expect_segment(*first_seq)?;
        }
        let last = index.saturating_add(1) == needed.len();
        end = Some(replay.segment(&**storage, *first_seq, last)?);
    }
    let applied = replay.book.applied_seq;
    if applied > replay.last_seq {
        return Err(LedgerError::ViewAhead { view: applied, journal: replay.last_seq });
    }
    let storage = Arc::clone(storage);
    let appender = match end {
        Some((end, unproven)) => Appender::resume(storage, segment_bytes, end, &unproven),
        None => Appender::create(storage, segment_bytes),
    };
    let appender = appender.map_err(|source| LedgerError::Io {
        what: "opening the journal for writing".to_owned(),
        source,
    })?;
    let Replay { book, settled, touched, applied_hash, .. } = replay;
    Ok(Recovered { book, settled, touched, appender, applied_hash })
}

/// Removes the newest segment if it was torn before even its first frame was safe on disk: then it
/// holds nothing, and the one before it is the newest.
fn drop_stillborn(storage: &dyn Storage, firsts: &mut Vec<u64>) -> Result<(), LedgerError> {
    let Some(first_seq) = firsts.last().copied() else { return Ok(()) };
    let bytes = load(storage, first_seq)?;
    let Err(why) = SegmentWalk::start(&bytes, first_seq, None) else { return Ok(()) };
    // Its first frame is synced before any other is written, so any other frame is a proof.
    if frame::decode(&bytes).is_ok() || frame::proves_synced(&bytes, 0) {
        return Err(corrupt(first_seq, 0, why));
    }
    let io = |source| LedgerError::Io {
        what: format!("removing the empty journal file {}", segment_name(first_seq)),
        source,
    };
    storage.remove(&segment_name(first_seq)).map_err(io)?;
    storage.sync_names().map_err(io)?;
    firsts.pop();
    Ok(())
}

fn corrupt(first_seq: u64, offset: usize, why: &str) -> LedgerError {
    LedgerError::Corrupt {
        segment: segment_name(first_seq),
        offset: u64::try_from(offset).unwrap_or(u64::MAX),
        why: why.to_owned(),
    }
}

// === impl Replay ===

impl Replay<'_> {
    /// Refuses a gap between two files.
    fn expect_segment(&self, first_seq: u64) -> Result<(), LedgerError> {
        if first_seq == self.last_seq.saturating_add(1) {
            return Ok(());
        }
        let why = format!("the entries from {} on are missing before it", self.last_seq);
        Err(corrupt(first_seq, 0, &why))
    }

    /// Where the segment ends, and the part before it of which no frame says that it was synced.
    fn segment(
        &mut self,
        storage: &dyn Storage,
        first_seq: u64,
        last: bool,
    ) -> Result<(JournalEnd, Vec<u8>), LedgerError> {
        let bytes = load(storage, first_seq)?;
        let mut walk = SegmentWalk::start(&bytes, first_seq, self.last_hash)
            .map_err(|why| corrupt(first_seq, 0, why))?;
        loop {
            let offset = walk.offset;
            match walk.step() {
                Ok(Some(step)) => {
                    self.settled.note(&step.entry);
                    if step.entry.seq > self.book.applied_seq {
                        self.touched.note(&step.entry, &self.book);
                        self.book
                            .apply(&step.entry)
                            .map_err(|why| corrupt(first_seq, offset, &why.to_string()))?;
                        self.applied_hash = step.hash;
                    } else {
                        self.compare_with_view(step.entry.seq, step.hash)?;
                    }
                }
                Ok(None) => break,
                Err(why) if !last || walk.damaged_later() => {
                    return Err(corrupt(first_seq, offset, why));
                }
                Err(_) => break,
            }
        }
        self.last_hash = Some(walk.last_hash);
        self.last_seq = walk.next_seq.saturating_sub(1);
        let end = JournalEnd {
            first_seq,
            len: u64::try_from(walk.offset).unwrap_or(u64::MAX),
            last_seq: self.last_seq,
            last_hash: walk.last_hash,
        };
        let unproven = bytes.get(walk.proven..walk.offset).filter(|_| last).unwrap_or_default();
        Ok((end, unproven.to_vec()))
    }

    fn compare_with_view(&self, seq: u64, hash: FrameHash) -> Result<(), LedgerError> {
        match self.view {
            Some(view) if view.applied_seq == seq && view.applied_hash != hash => {
                let why = format!("entry {seq} is another one in the journal");
                Err(LedgerError::ViewMismatch(why))
            }
            _ => Ok(()),
        }
    }
}
