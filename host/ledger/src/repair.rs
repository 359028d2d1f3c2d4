//! What can be saved of a damaged journal: everything before the damage as it is, and everything
//! after it that can be read and still follows from what is there. Works offline and writes a new
//! journal beside the damaged one, which it never touches. Makes no entry up.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::book::Book;
use crate::entry::{Direction, Entry, Event};
use crate::error::LedgerError;
use crate::frame::{self, Kind};
use crate::journal::append::Appender;
use crate::journal::{SegmentWalk, load, segment_name, segments};
use crate::ledger::options::SEGMENT_BYTES;
use crate::storage::{FileStorage, Storage};

/// Entries that are written at once: bounds the buffer to about a megabyte.
const BATCH_ENTRIES: usize = 4096;

/// What a repair has found and saved. Displays as a report.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RepairReport {
    /// Where the journal is damaged: file, place and reason.
    pub damage: Vec<String>,
    /// Entries that can't be read any more: from the first to the last of each gap.
    pub lost: Vec<(u64, u64)>,
    /// Entries before the damage.
    pub kept: u64,
    /// Entries after it that follow from what is there; they have new numbers.
    pub booked_again: u64,
    /// Entries after it that can be read and don't follow any more, with the reason. They are for
    /// the operator to settle, by adjustments.
    pub left_out: Vec<(Entry, String)>,
}

/// All that can be read, in order and each once.
#[derive(Default)]
struct Found {
    entries: BTreeMap<u64, Entry>,
    damage: Vec<String>,
}

/// Reads the damaged journal in `from` and writes what can be saved to the folder `to`, which must
/// exist and hold no journal. Where nothing is damaged, nothing is written.
///
/// # Errors
/// `InUse` while a ledger has it open; `Io`.
pub fn repair(from: &Path, to: &Path) -> Result<RepairReport, LedgerError> {
    let storage = FileStorage::existing(from);
    let io = |what: &str| {
        let what = what.to_owned();
        move |source| LedgerError::Io { what, source }
    };
    let _lock = storage.lock().map_err(io("locking the journal"))?.ok_or(LedgerError::InUse)?;
    let found = read_all(&storage)?;
    let mut report = RepairReport { damage: found.damage, ..RepairReport::default() };
    if report.damage.is_empty() {
        report.kept = u64::try_from(found.entries.len()).unwrap_or(u64::MAX);
        return Ok(report);
    }
    let target: Arc<dyn Storage> = Arc::new(FileStorage::existing(to));
    let mut appender = Appender::create(target, SEGMENT_BYTES).map_err(io("making the new one"))?;
    let (mut book, mut batch) = (Book::default(), Vec::new());
    let mut expected: u64 = 1;
    for (seq, entry) in found.entries {
        if seq > expected {
            report.lost.push((expected, seq.saturating_sub(1)));
        }
        expected = seq.saturating_add(1);
        if let Err(why) = follows(&book, &entry) {
            report.left_out.push((entry, why));
            continue;
        }
        let entry = Entry { seq: book.applied_seq.saturating_add(1), ..entry };
        if let Err(why) = book.apply(&entry) {
            let segment = segment_name(entry.seq);
            return Err(LedgerError::Corrupt { segment, offset: 0, why: why.to_string() });
        }
        match report.lost.is_empty() {
            true => report.kept = report.kept.saturating_add(1),
            false => report.booked_again = report.booked_again.saturating_add(1),
        }
        batch.push(entry);
        if batch.len() >= BATCH_ENTRIES {
            write(&mut appender, &mut batch)?;
        }
    }
    write(&mut appender, &mut batch)?;
    Ok(report)
}

fn write(appender: &mut Appender, batch: &mut Vec<Entry>) -> Result<(), LedgerError> {
    let written = appender.append(batch).map_err(std::io::Error::from);
    batch.clear();
    written
        .and_then(|()| appender.sync())
        .map_err(|source| LedgerError::Io { what: "writing the new journal".to_owned(), source })
}

fn read_all(storage: &FileStorage) -> Result<Found, LedgerError> {
    let mut found = Found::default();
    let firsts = segments(storage)?;
    for (index, first_seq) in firsts.iter().copied().enumerate() {
        let last = index.saturating_add(1) == firsts.len();
        let bytes = load(storage, first_seq)?;
        let expected = found.entries.last_key_value().map_or(1, |(seq, _)| seq.saturating_add(1));
        if first_seq > expected && found.damage.is_empty() {
            let name = segment_name(first_seq);
            found.damage.push(format!("the entries from {expected} on are missing before {name}"));
        }
        found.segment(&bytes, first_seq, last);
    }
    Ok(found)
}

/// Why the entry can't be booked after those before it; the live ledger would have refused it.
fn follows(book: &Book, entry: &Entry) -> Result<(), String> {
    let open = |id| book.holds.get(id).ok_or("its hold is among the lost entries".to_owned());
    match &entry.event {
        Event::SetBudget { .. } => Ok(()),
        Event::TopUp { id, .. } => match book.posted.contains_key(id) {
            true => Err("it is there already".to_owned()),
            false => Ok(()),
        },
        Event::Adjust { id, org, direction, amount, .. } => {
            let available = book.orgs.get(org).map(|org| org.credit).unwrap_or_default();
            match direction {
                _ if book.posted.contains_key(id) => Err("it is there already".to_owned()),
                Direction::Debit if *amount > available => {
                    Err(format!("only {available} USD are available"))
                }
                _ => Ok(()),
            }
        }
        Event::Hold { id, org, amount, budgets, .. } => {
            if book.holds.contains_key(id) {
                return Err("the hold is open already".to_owned());
            }
            let budgets = budgets.iter().map(|at| (&*at.budget, at.window));
            book.fits(org, budgets, *amount).map_err(|why| why.to_string())
        }
        Event::Extend { hold, extra, .. } => {
            let hold = open(hold)?;
            let budgets = hold.budgets.iter().map(|at| (&*at.budget, at.window));
            book.fits(&hold.org, budgets, *extra).map_err(|why| why.to_string())
        }
        Event::Narrow { hold, budgets, .. } => {
            let counted = &open(hold)?.budgets;
            match budgets.iter().all(|kept| counted.contains(kept)) {
                true => Ok(()),
                false => Err("it keeps a budget that its hold does not count on".to_owned()),
            }
        }
        Event::Capture { hold, actual, returned, .. } => {
            ends(open(hold)?.amount, actual.saturating_add(*returned))
        }
        Event::Release { hold, returned, .. } | Event::Expire { hold, returned, .. } => {
            ends(open(hold)?.amount, *returned)
        }
    }
}

fn ends(held: crate::PicoUsd, ended: crate::PicoUsd) -> Result<(), String> {
    match held == ended {
        true => Ok(()),
        false => Err(format!("it ends {ended} USD, but {held} USD are held: an extension is lost")),
    }
}

// === impl Found ===

impl Found {
    /// Takes every sound frame of a file, and notes where one is not.
    fn segment(&mut self, bytes: &[u8], first_seq: u64, last: bool) {
        let torn = last && is_torn(bytes, first_seq);
        let mut offset: usize = 0;
        let mut sound = true;
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            match frame::decode(rest) {
                Ok(frame) => {
                    sound = true;
                    offset = offset.saturating_add(frame.len);
                    if frame.header.kind == Kind::Entry
                        && let Ok(entry) = postcard::from_bytes::<Entry>(frame.payload)
                    {
                        self.entries.entry(entry.seq).or_insert(entry);
                    }
                }
                // A torn tail is no damage, and nothing of it is part of the ledger.
                Err(_) if torn => return,
                Err(why) => {
                    if sound {
                        let name = segment_name(first_seq);
                        self.damage.push(format!("{name} at byte {offset}: {why}"));
                    }
                    sound = false;
                    offset = offset.saturating_add(1);
                }
            }
        }
    }
}

/// Whether the newest file is sound but for an end that was not finished.
fn is_torn(bytes: &[u8], first_seq: u64) -> bool {
    let Ok(mut walk) = SegmentWalk::start(bytes, first_seq, None) else {
        return !frame::proves_synced(bytes, 0);
    };
    loop {
        match walk.step() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return !walk.damaged_later(),
        }
    }
}

impl fmt::Display for RepairReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.damage.is_empty() {
            return write!(f, "nothing is damaged: {} entries", self.kept);
        }
        for damage in &self.damage {
            writeln!(f, "DAMAGED    {damage}")?;
        }
        writeln!(f, "kept       {} entries before the damage", self.kept)?;
        for (first, last) in &self.lost {
            writeln!(f, "LOST       entries {first} to {last} can't be read")?;
        }
        writeln!(f, "saved      {} entries after it, with new numbers", self.booked_again)?;
        for (entry, why) in &self.left_out {
            let id = entry.transfer().map(|id| id.to_string()).unwrap_or_default();
            let org = entry.org().map(|org| org.to_string()).unwrap_or_default();
            let (seq, kind) = (entry.seq, entry.label());
            writeln!(f, "LEFT OUT   entry {seq}, {kind} {id} of {org}: {why}")?;
        }
        write!(f, "Settle what was lost and left out by adjustments; open holds expire")
    }
}

#[cfg(test)]
mod tests;
