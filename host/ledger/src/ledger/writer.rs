//! The journal's writer: takes what was decided in groups, makes it safe on disk, tells those who
//! wait, and keeps the view. After any failure it stops for good: a failed sync may have lost what
//! the next one would call safe.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::book::Book;
use crate::book::rows::Touched;
use crate::entry::Entry;
use crate::frame::FrameHash;
use crate::journal::append::Appender;
use crate::ledger::shared::Shared;
use crate::view::ViewSink;

/// Longest time an entry waits for others to share its sync.
const COMMIT_DELAY: Duration = Duration::from_millis(2);

/// Delays without an entry after which the writer sleeps until it is woken: a tenth of a second,
/// so that a steady flow of requests never pays for waking it.
const QUIET_DELAYS: u32 = 50;

/// Entries of one write: bounds the buffer to about a megabyte.
const BATCH_ENTRIES_MAX: usize = 4096;

/// Told once why the journal failed.
pub(crate) type OnFailure = Box<dyn FnOnce(&str) + Send>;

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
    on_failure: Option<OnFailure>,
    batch: Vec<Entry>,
}

/// Says so if the writer thread ends by a panic.
struct Alarm(Arc<Shared>);

// === impl Writer ===

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        appender: Appender,
        replica: Option<Replica>,
        on_failure: Option<OnFailure>,
    ) -> Self {
        Self { shared, appender, replica, on_failure, batch: Vec::new() }
    }

    /// Writes until the ledger closes or the journal fails.
    pub(crate) fn run(mut self) {
        let _alarm = Alarm(Arc::clone(&self.shared));
        self.store_view();
        while self.wait() {
            if self.commit().is_err() {
                return;
            }
        }
    }

    /// Waits for a group; false when there will be none.
    fn wait(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state.lock();
        let mut quiet: u32 = 0;
        loop {
            shared.work.wait_while_for(&mut state, |state| !state.commit_now(), COMMIT_DELAY);
            if !state.queue.is_empty() {
                return true;
            }
            if state.closing || state.failed.is_some() {
                return false;
            }
            quiet = quiet.saturating_add(1);
            if quiet >= QUIET_DELAYS {
                state.parked = true;
                shared.work.wait_while(&mut state, |state| state.parked && !state.commit_now());
                state.parked = false;
                quiet = 0;
            }
        }
    }

    /// Makes what is queued safe on disk, and then says so.
    ///
    /// # Errors
    /// Why the journal has failed; the writer must not be used again.
    pub(crate) fn commit(&mut self) -> Result<(), Arc<str>> {
        loop {
            self.batch.clear();
            {
                let mut state = self.shared.state.lock();
                state.healthy()?;
                let take = state.queue.len().min(BATCH_ENTRIES_MAX);
                self.batch.extend(state.queue.drain(..take));
            }
            let Some(last) = self.batch.last() else { break };
            let last_seq = last.seq;
            if let Err(error) = self.appender.append(&self.batch) {
                return Err(self.fail(&format!("writing entries up to {last_seq}: {error}")));
            }
            self.shared.committed(last_seq);
            self.update_replica()?;
            self.store_view();
        }
        Ok(())
    }

    fn update_replica(&mut self) -> Result<(), Arc<str>> {
        let Some(replica) = &mut self.replica else { return Ok(()) };
        for entry in &self.batch {
            replica.touched.note(entry, &replica.book);
            if let Err(why) = replica.book.apply(entry) {
                let why = format!("defect: entry {} is on disk, but {why}", entry.seq);
                return Err(self.fail(&why));
            }
        }
        replica.applied_hash = self.appender.last_hash;
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

    fn fail(&mut self, why: &str) -> Arc<str> {
        let reason: Arc<str> = Arc::from(why);
        self.shared.fail(Arc::clone(&reason));
        if let Some(on_failure) = self.on_failure.take() {
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
