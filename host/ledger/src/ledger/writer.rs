//! The journal's writer: takes what was decided in groups, writes it soon, makes several groups
//! safe on disk at once, tells those who wait, and keeps the view. While there is no space it keeps
//! what it could not write and tries again. After any other failure it stops for good: a failed
//! sync may have lost what the next one would call safe. Reads no clock: it counts its own timed
//! rounds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::book::Book;
use crate::book::rows::Touched;
use crate::entry::Entry;
use crate::frame::FrameHash;
use crate::journal::append::{AppendError, Appender};
use crate::ledger::shared::{Shared, State};
use crate::view::ViewSink;

/// Longest time an entry waits for others to share its write: what a killed process may lose. At
/// 500 rounds a second the writer's timer is all that wakes it under load.
const WRITE_DELAY: Duration = Duration::from_millis(2);

/// Rounds after the first unsynced write until everything is synced though nobody waits: 18 ms, so
/// that with timers that run late a machine without power loses at most 20 ms, at a tenth of the
/// syncs that every write would cost.
const SYNC_ROUNDS: u32 = 9;

/// Unsynced entries that are synced without waiting: bounds what is lost with the machine when much
/// is decided at once. At 10 000 requests a second 20 ms are 400.
const SYNC_ENTRIES: usize = 1024;

/// Entries of one write: bounds the buffer to about a megabyte. More than [`SYNC_ENTRIES`], so that
/// a slow disk that everything queues for does more with each sync.
const BATCH_ENTRIES_MAX: usize = 4096;

/// Rounds without an entry after which the writer sleeps until it is woken: a tenth of a second,
/// so that a steady flow of requests never pays for waking it.
const QUIET_ROUNDS: u32 = 50;

/// How long after a write that found no space it is tried again: soon for who frees some, and
/// seldom enough that nobody notices the tries.
const SPACE_RETRY: Duration = Duration::from_millis(500);

/// Told once why the journal failed.
pub type OnFailure = Box<dyn FnOnce(&str) + Send>;

/// Told why the disk is full, and with `None` that there is space again.
pub type OnFull = Box<dyn FnMut(Option<&str>) + Send>;

/// Who is told when the journal has no space, or has failed.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) on_failure: Option<OnFailure>,
    pub(crate) on_full: Option<OnFull>,
}

/// The state at the last durable entry, worked out again from the entries, and where its rows go.
pub(crate) struct Replica {
    pub(crate) sink: Box<dyn ViewSink>,
    pub(crate) book: Book,
    pub(crate) touched: Touched,
    pub(crate) applied_hash: FrameHash,
    /// The next delta has to replace the whole view.
    pub(crate) full: bool,
    /// The view lacks something.
    pub(crate) stale: bool,
}

/// The journal's writer.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    appender: Appender,
    replica: Option<Replica>,
    told: Told,
    /// Taken and not synced; less than [`SYNC_ENTRIES`] after every round but one that found no
    /// space: then also what could not be written.
    unsynced: Vec<Entry>,
    /// Timed rounds since the first unsynced write.
    rounds: u32,
    /// The disk was slow to sync: what came meanwhile has waited enough.
    back_from_sync: bool,
    /// The last write found no space.
    full: bool,
}

/// What the writer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Write,
    Sync,
}

/// Says so if the writer thread ends by a panic.
struct Alarm(Arc<Shared>);

// === impl Writer ===

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        appender: Appender,
        replica: Option<Replica>,
        told: Told,
    ) -> Self {
        let unsynced = Vec::new();
        let (rounds, back_from_sync, full) = (0, false, false);
        Self { shared, appender, replica, told, unsynced, rounds, back_from_sync, full }
    }

    /// Writes until the ledger closes or the journal fails.
    pub(crate) fn run(mut self) {
        let _alarm = Alarm(Arc::clone(&self.shared));
        self.start();
        while let Some(round) = self.wait() {
            let done = match round {
                Round::Write => self.write(),
                Round::Sync => self.commit(),
            };
            if done.is_err() {
                return;
            }
        }
    }

    /// Stores what the replay has changed.
    pub(crate) fn start(&mut self) {
        self.store_view();
    }

    /// Waits for something to do; `None` when there will be nothing.
    fn wait(&mut self) -> Option<Round> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        let mut quiet: u32 = 0;
        loop {
            if !std::mem::take(&mut self.back_from_sync) || state.queue.is_empty() {
                shared.work.wait_while_for(&mut state, |state| !state.work_now(), WRITE_DELAY);
                self.rounds = self.rounds.saturating_add(1);
            }
            if state.full.is_some() {
                // Whatever is asked for, there is nothing to do but to try again.
                let ended = |state: &mut State| !state.closing && state.failed.is_none();
                shared.work.wait_while_for(&mut state, ended, SPACE_RETRY);
                return Some(Round::Sync);
            }
            if state.failed.is_some() {
                // After a failure there is one more round, which says so.
                return Some(Round::Write);
            }
            let (queued, unsynced) = (!state.queue.is_empty(), !self.unsynced.is_empty());
            if (queued || unsynced) && state.hurried() || unsynced && self.rounds >= SYNC_ROUNDS {
                return Some(Round::Sync);
            }
            if queued {
                return Some(Round::Write);
            }
            if state.closing {
                return None;
            }
            quiet = quiet.saturating_add(1);
            if quiet >= QUIET_ROUNDS && !unsynced {
                state.parked = true;
                shared.work.wait_while(&mut state, |state| state.parked && !state.work_now());
                state.parked = false;
                quiet = 0;
            }
        }
    }

    /// Writes what is queued, and makes it safe on disk only if that is a lot. Where there is no
    /// space nothing is lost, and it is no error.
    ///
    /// # Errors
    /// Why the journal has failed; the writer must not be used again.
    pub(crate) fn write(&mut self) -> Result<(), Arc<str>> {
        loop {
            if self.unsynced.is_empty() {
                self.rounds = 0;
            }
            if let Err(why) = self.take_batch() {
                return Err(self.fail(&why));
            }
            let encoded_seq = self.appender.encoded_seq;
            let rest = self.unsynced.partition_point(|entry| entry.seq <= encoded_seq);
            let rest = self.unsynced.get(rest..).unwrap_or_default();
            match self.appender.append(rest) {
                Ok(()) => self.go_on(),
                Err(AppendError::Full(error)) => return self.wait_for_space(&error),
                Err(AppendError::Failed(error)) => {
                    let last_seq = self.unsynced.last().map_or(0, |entry| entry.seq);
                    return Err(self.fail(&format!("writing entries up to {last_seq}: {error}")));
                }
            }
            // A full segment was synced on the way.
            self.announce()?;
            if self.unsynced.len() < SYNC_ENTRIES {
                return Ok(());
            }
            self.sync()?;
        }
    }

    /// Takes no new work until there is space; what was written is made safe.
    fn wait_for_space(&mut self, error: &std::io::Error) -> Result<(), Arc<str>> {
        self.sync()?;
        let why = format!("writing after entry {}: {error}", self.appender.written_seq);
        if self.shared.state.lock().closing {
            return Err(self.fail(&why));
        }
        self.shared.fill(Arc::from(why.as_str()));
        if !std::mem::replace(&mut self.full, true)
            && let Some(on_full) = &mut self.told.on_full
        {
            on_full(Some(&why));
        }
        Ok(())
    }

    /// Everything that was taken is written.
    fn go_on(&mut self) {
        if std::mem::take(&mut self.full) {
            self.shared.resume();
            if let Some(on_full) = &mut self.told.on_full {
                on_full(None);
            }
        }
    }

    /// Makes what is queued and what was written safe on disk, and then says so.
    ///
    /// # Errors
    /// Why the journal has failed; the writer must not be used again.
    pub(crate) fn commit(&mut self) -> Result<(), Arc<str>> {
        self.write()?;
        self.sync()
    }

    fn sync(&mut self) -> Result<(), Arc<str>> {
        if let Err(error) = self.appender.sync() {
            return Err(self.fail(&format!("syncing the journal: {error}")));
        }
        self.announce()
    }

    /// Moves what is queued to the end of `unsynced`.
    fn take_batch(&mut self) -> Result<(), Arc<str>> {
        let mut state = self.shared.state.lock();
        state.healthy()?;
        if state.full.is_some() {
            return Ok(());
        }
        let take = state.queue.len().min(BATCH_ENTRIES_MAX);
        self.unsynced.extend(state.queue.drain(..take));
        Ok(())
    }

    /// Tells of everything that has become safe, and brings the view up to it.
    fn announce(&mut self) -> Result<(), Arc<str>> {
        let synced_seq = self.appender.synced_seq;
        let count = self.unsynced.partition_point(|entry| entry.seq <= synced_seq);
        if count == 0 {
            return Ok(());
        }
        self.back_from_sync = true;
        self.shared.committed(synced_seq);
        self.update_replica(count)?;
        self.unsynced.drain(..count);
        self.store_view();
        Ok(())
    }

    fn update_replica(&mut self, count: usize) -> Result<(), Arc<str>> {
        let Some(replica) = &mut self.replica else { return Ok(()) };
        for entry in self.unsynced.iter().take(count) {
            replica.touched.note(entry, &replica.book);
            if let Err(why) = replica.book.apply(entry) {
                let why = format!("defect: entry {} is on disk, but {why}", entry.seq);
                return Err(self.fail(&why));
            }
        }
        replica.applied_hash = self.appender.synced_hash;
        replica.stale = true;
        Ok(())
    }

    fn store_view(&mut self) {
        let Some(replica) = self.replica.as_mut().filter(|replica| replica.stale) else { return };
        let mut delta = replica.touched.delta(&replica.book, replica.applied_hash);
        if replica.full {
            delta.full = true;
            delta.changed = replica.book.snapshot(replica.applied_hash);
        }
        let stored = replica.sink.store(&delta);
        if stored.is_ok() {
            replica.touched = Touched::default();
            replica.full = false;
            replica.stale = false;
        }
        self.shared.state.lock().view_error = stored.err();
    }

    /// The last entry that a process which dies now does not lose.
    #[cfg(test)]
    pub(crate) fn written_seq(&self) -> u64 {
        self.appender.written_seq
    }

    fn fail(&mut self, why: &str) -> Arc<str> {
        let reason: Arc<str> = Arc::from(why);
        self.shared.fail(Arc::clone(&reason));
        if let Some(on_failure) = self.told.on_failure.take() {
            on_failure(why);
        }
        reason
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("appender", &self.appender).finish_non_exhaustive()
    }
}

// === impl Alarm ===

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(Arc::from("the writer thread died of a defect"));
        }
    }
}
