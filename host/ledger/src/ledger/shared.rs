//! What callers and the writer thread share: the state behind its lock, the queue between them and
//! the bells. The lock is held for a decision and a push, never across a system call.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::book::Book;
use crate::entry::{Entry, Event};
use crate::error::LedgerError;
use crate::settled::SettledWindow;

/// Queued entries at which new work (reserve, extend, top up) is refused: some seconds of a slow
/// disk. Settlements are still taken, one per open hold at most, so the queue is bounded by this
/// and by [`HOLDS_MAX`].
pub(crate) const QUEUE_ENTRIES_MAX: usize = 16_384;

/// Queued entries for which a caller wakes the writer before its timer does: half of what is taken
/// in, so that the writer is never the reason why work is refused. Below it callers pay nothing.
const QUEUE_ENTRIES_WAKE: usize = QUEUE_ENTRIES_MAX / 2;

/// Open holds: far more than requests under way on one node, and about 100 MB.
pub(crate) const HOLDS_MAX: usize = 262_144;

/// Callers that wait for an entry to be safe; each is a request under way.
const WAITERS_MAX: usize = 65_536;

/// Called with whether the entry is safe on disk.
pub(crate) type OnDurable = Box<dyn FnOnce(bool) + Send>;

/// The state and the bells.
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    /// Rung for the writer.
    pub(crate) work: Condvar,
    /// Rung for those who wait for the disk.
    durable: Condvar,
}

/// What is decided, and what of it the writer still has to do.
pub(crate) struct State {
    pub(crate) book: Book,
    pub(crate) settled: SettledWindow,
    /// Decided and not yet taken by the writer.
    pub(crate) queue: VecDeque<Entry>,
    pub(crate) durable_seq: u64,
    /// Why nothing is booked any more.
    pub(crate) failed: Option<Arc<str>>,
    /// Why no new work is taken for the moment: there is no space for what was booked before.
    pub(crate) full: Option<Arc<str>>,
    pub(crate) view_error: Option<String>,
    /// No more postings; the writer ends when the queue is empty.
    pub(crate) closing: bool,
    /// The writer sleeps without a timer and has to be woken for the first entry.
    pub(crate) parked: bool,
    /// Somebody waits for the disk up to this entry.
    hurry_to: u64,
    waiters: Vec<(u64, OnDurable)>,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), work: Condvar::new(), durable: Condvar::new() }
    }

    /// Books one event and hands over.
    ///
    /// # Errors
    /// As [`State::post`].
    pub(crate) fn post(
        &self,
        mut state: MutexGuard<'_, State>,
        at_ms: u64,
        event: Event,
    ) -> Result<u64, Arc<str>> {
        let posted = state.post(at_ms, event);
        self.hand_over(state);
        posted
    }

    /// Lets go of the lock and wakes the writer if it has to be: most of the time it wakes by its
    /// own timer, and the caller pays nothing.
    pub(crate) fn hand_over(&self, mut state: MutexGuard<'_, State>) {
        let full = state.queue.len() >= QUEUE_ENTRIES_WAKE;
        let wake = std::mem::take(&mut state.parked) || full || state.failed.is_some();
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    pub(crate) fn wait_durable(&self, seq: u64) -> Result<(), LedgerError> {
        let mut state = self.state.lock();
        loop {
            if state.durable_seq >= seq {
                return Ok(());
            }
            state.healthy().map_err(LedgerError::NotDurable)?;
            if seq > state.book.applied_seq {
                return Err(LedgerError::NotDurable(Arc::from("there is no such entry yet")));
            }
            // Nobody knows how long: who asks is told, and the entry is written all the same.
            state.has_space().map_err(LedgerError::DiskFull)?;
            state.hurry_to = state.hurry_to.max(seq);
            state.parked = false;
            self.work.notify_one();
            self.durable.wait(&mut state);
        }
    }

    pub(crate) fn on_durable(&self, seq: u64, done: OnDurable) {
        let mut state = self.state.lock();
        let durable = state.durable_seq >= seq;
        let hopeless = state.failed.is_some()
            || state.full.is_some()
            || seq > state.book.applied_seq
            || state.waiters.len() >= WAITERS_MAX;
        if durable || hopeless {
            drop(state);
            done(durable);
            return;
        }
        state.waiters.push((seq, done));
        state.hurry_to = state.hurry_to.max(seq);
        state.parked = false;
        drop(state);
        self.work.notify_one();
    }

    pub(crate) fn start_closing(&self) {
        self.state.lock().closing = true;
        self.work.notify_one();
    }

    /// Everything up to `seq` is safe on disk.
    pub(crate) fn committed(&self, seq: u64) {
        let mut state = self.state.lock();
        state.durable_seq = seq;
        let waiters = std::mem::take(&mut state.waiters);
        let (done, waiting): (Vec<_>, Vec<_>) =
            waiters.into_iter().partition(|waiter| waiter.0 <= seq);
        state.waiters = waiting;
        drop(state);
        self.durable.notify_all();
        for (_, done) in done {
            done(true);
        }
    }

    /// No new work is taken; what was queued stays. Those who wait for the disk are told that they
    /// wait in vain.
    pub(crate) fn fill(&self, why: Arc<str>) {
        let mut state = self.state.lock();
        state.full = Some(why);
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        self.durable.notify_all();
        for (_, done) in waiters {
            done(false);
        }
    }

    /// There is space again.
    pub(crate) fn resume(&self) {
        self.state.lock().full = None;
    }

    /// Nothing is booked any more. What was queued is lost to this process.
    pub(crate) fn fail(&self, why: Arc<str>) {
        let mut state = self.state.lock();
        state.failed.get_or_insert(why);
        state.queue.clear();
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        self.durable.notify_all();
        for (_, done) in waiters {
            done(false);
        }
    }
}

// === impl State ===

impl State {
    pub(crate) fn new(book: Book, settled: SettledWindow) -> Self {
        Self {
            durable_seq: book.applied_seq,
            book,
            settled,
            queue: VecDeque::new(),
            failed: None,
            full: None,
            view_error: None,
            closing: false,
            parked: false,
            hurry_to: 0,
            waiters: Vec::new(),
        }
    }

    /// # Errors
    /// Why nothing is booked any more.
    pub(crate) fn healthy(&self) -> Result<(), Arc<str>> {
        match &self.failed {
            Some(why) => Err(Arc::clone(why)),
            None => Ok(()),
        }
    }

    /// Whether postings are taken.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn accepting(&self) -> Result<(), Arc<str>> {
        self.healthy()?;
        if self.closing { Err(Arc::from("the ledger is closed")) } else { Ok(()) }
    }

    /// # Errors
    /// Why no new work is taken for the moment.
    pub(crate) fn has_space(&self) -> Result<(), Arc<str>> {
        match &self.full {
            Some(why) => Err(Arc::clone(why)),
            None => Ok(()),
        }
    }

    /// Whether new work has to wait for the disk.
    pub(crate) fn behind(&self) -> bool {
        self.queue.len() >= QUEUE_ENTRIES_MAX
    }

    /// Whether somebody waits for the disk: a caller, or who closes the ledger.
    pub(crate) fn hurried(&self) -> bool {
        self.closing || self.hurry_to > self.durable_seq
    }

    /// Whether the writer should go to work instead of waiting for its timer.
    pub(crate) fn work_now(&self) -> bool {
        self.queue.len() >= QUEUE_ENTRIES_WAKE || self.failed.is_some() || self.hurried()
    }

    /// Gives the event its place, books it and queues it. The caller has made sure that it
    /// follows from the state.
    ///
    /// # Errors
    /// When it doesn't after all: a defect, after which nothing is booked any more.
    pub(crate) fn post(&mut self, at_ms: u64, event: Event) -> Result<u64, Arc<str>> {
        let seq = self.book.applied_seq.saturating_add(1);
        let entry = Entry { seq, at_ms, event };
        if let Err(why) = self.book.apply(&entry) {
            let why: Arc<str> = Arc::from(format!("defect at entry {seq}: {why}"));
            self.failed = Some(Arc::clone(&why));
            return Err(why);
        }
        self.settled.note(&entry);
        self.queue.push_back(entry);
        Ok(seq)
    }
}
