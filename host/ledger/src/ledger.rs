//! The ledger that the host holds: one short lock around the state, and a writer thread that makes
//! what was decided under it safe on disk. Never waits for the disk but in
//! [`Ledger::wait_durable`] and at the end.

pub(crate) mod options;
pub(crate) mod post;
pub(crate) mod reserve;
pub(crate) mod settle;
pub(crate) mod shared;
pub(crate) mod writer;

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::entry::{Entry, Event, Period, TransferId};
use crate::error::LedgerError;
use crate::journal::read::{EntriesPage, page};
use crate::journal::recover::recover;
use crate::money::PicoUsd;
use crate::settled::SettledWindow;
use crate::storage::{FileStorage, Storage};
use crate::view::{HoldRow, ViewSnapshot};
use options::Options;
use shared::{Shared, State};
use writer::{Replica, Told, Writer};

/// Holds that are looked at under one lock: some tens of microseconds in which nobody reserves.
const HOLDS_PER_LOOK: usize = 512;

/// What an organization has. All of it may still be on its way to the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Free to spend.
    pub available: PicoUsd,
    /// Set aside for requests under way.
    pub held: PicoUsd,
    /// All captures so far.
    pub spent: PicoUsd,
}

/// A budget in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetState {
    /// The most that may be spent and held; `None` counts without a limit.
    pub limit: Option<PicoUsd>,
    /// How often it starts again.
    pub period: Period,
    /// Captured in this window.
    pub spent: PicoUsd,
    /// Set aside in this window.
    pub held: PicoUsd,
}

/// How the journal is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The last entry that was decided.
    pub last_seq: u64,
    /// The last entry that is safe on disk.
    pub durable_seq: u64,
    /// Holds that are open.
    pub open_holds: usize,
    /// Why nothing is booked any more; `None` while all is well.
    pub failed: Option<Arc<str>>,
    /// Why no new work is taken until there is space on the disk; `None` while there is.
    pub full: Option<Arc<str>>,
    /// Why the view could not be stored the last time; `None` while all is well.
    pub view_error: Option<String>,
}

/// Money. `Send` and `Sync`; share it in an `Arc`. Dropping it writes what is still queued.
pub struct Ledger {
    pub(crate) shared: Arc<Shared>,
    storage: Arc<dyn Storage>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Held until the writer has ended.
    _lock: Box<dyn Send + Sync>,
}

// === impl Ledger ===

impl Ledger {
    /// Opens the ledger, or starts one where there is none: takes the state from `view` if there
    /// is one, and replays the journal's entries after it. A torn tail is cut off. Holds that were
    /// open stay open until they are settled or [`Ledger::expire_due`] finds them.
    ///
    /// # Errors
    /// `InUse`, `Io`, `Corrupt`, `ViewAhead` or `ViewMismatch`; only the last is mended by opening
    /// without a view.
    pub fn open(options: Options, view: Option<&ViewSnapshot>) -> Result<Self, LedgerError> {
        let (ledger, writer) = Self::assemble(options, view)?;
        let thread = std::thread::Builder::new().name("ledger-journal".to_owned());
        let thread = thread.spawn(move || writer.run()).map_err(|source| LedgerError::Io {
            what: "starting the journal's thread".to_owned(),
            source,
        })?;
        *ledger.thread.lock() = Some(thread);
        Ok(ledger)
    }

    /// The ledger and its writer, which is not running yet.
    pub(crate) fn assemble(
        options: Options,
        view: Option<&ViewSnapshot>,
    ) -> Result<(Self, Writer), LedgerError> {
        let io =
            |source| LedgerError::Io { what: "locking the ledger's folder".to_owned(), source };
        let storage: Arc<dyn Storage> = match options.storage {
            Some(storage) => storage,
            None => Arc::new(FileStorage::make(&options.dir).map_err(io)?),
        };
        let lock = storage.lock().map_err(io)?.ok_or(LedgerError::InUse)?;
        let settled = SettledWindow::new(options.settled_window_entries.max(1));
        let recovered = recover(&storage, options.segment_bytes, settled, view)?;
        let replica = options.view_sink.map(|sink| Replica {
            sink,
            book: recovered.book.clone(),
            touched: recovered.touched,
            applied_hash: recovered.applied_hash,
            full: view.is_none(),
            stale: true,
        });
        let state = State::new(recovered.book, recovered.settled);
        let shared = Arc::new(Shared::new(state));
        let told = Told { on_failure: options.on_failure, on_full: options.on_full };
        let writer = Writer::new(Arc::clone(&shared), recovered.appender, replica, told);
        let ledger = Self { shared, storage, thread: Mutex::new(None), _lock: lock };
        Ok((ledger, writer))
    }

    /// What the organization has; nothing if it is unknown.
    pub fn balance(&self, org: &str) -> Balance {
        let state = self.shared.state.lock();
        state.book.orgs.get(org).map_or_else(Balance::default, |org| Balance {
            available: org.credit,
            held: org.held,
            spent: org.spent,
        })
    }

    /// A budget in one of its newest windows; `None` if the budget doesn't exist. A window that
    /// nothing was held in yet, or that is closed, reads as nothing spent.
    pub fn budget(&self, id: &str, window: u64) -> Option<BudgetState> {
        let state = self.shared.state.lock();
        let budget = state.book.budgets.by_id.get(id)?;
        let counter = budget.counter(window);
        let (limit, period) = (budget.limit, budget.period);
        Some(BudgetState { limit, period, spent: counter.spent, held: counter.held })
    }

    /// The most that could be reserved right now: the least of the credit and of what is left of
    /// every budget. Nothing if a budget doesn't exist.
    pub fn affordable(&self, org: &str, budgets: &[(&str, u64)]) -> PicoUsd {
        let state = self.shared.state.lock();
        let mut affordable = state.book.orgs.get(org).map_or(PicoUsd::ZERO, |org| org.credit);
        for (id, window) in budgets {
            match state.book.budgets.by_id.get(*id) {
                Some(budget) if *window >= budget.closed_below => {
                    let remaining = budget.remaining(*window);
                    affordable = remaining.map_or(affordable, |left| left.min(affordable));
                }
                _ => return PicoUsd::ZERO,
            }
        }
        affordable
    }

    /// Up to `limit` open holds, those that may be expired soonest first.
    pub fn open_holds(&self, limit: usize) -> Vec<HoldRow> {
        let state = self.shared.state.lock();
        let due = state.book.due.iter().take(limit);
        due.filter_map(|(_, id)| state.book.hold_row(id)).collect()
    }

    /// One open hold; `None` if it was never reserved or is settled.
    pub fn hold(&self, id: TransferId) -> Option<HoldRow> {
        self.shared.state.lock().book.hold_row(&id)
    }

    /// Entries that are safe on disk, in order: those of `org`, or all, after the entry
    /// `after_seq`, at most `limit`. Reads the journal's files; not for the request path.
    ///
    /// # Errors
    /// `Io` or `Corrupt`.
    pub fn entries(
        &self,
        org: Option<&str>,
        after_seq: u64,
        limit: usize,
    ) -> Result<EntriesPage, LedgerError> {
        let durable_seq = self.shared.state.lock().durable_seq;
        let wanted = |entry: &Entry| org.is_none_or(|org| entry.is_of(org));
        page(&*self.storage, wanted, after_seq, durable_seq, limit)
    }

    /// As [`Ledger::entries`], but only the ends of holds that nobody settled in time: requests
    /// to look into.
    ///
    /// # Errors
    /// `Io` or `Corrupt`.
    pub fn expired_holds(
        &self,
        org: &str,
        after_seq: u64,
        limit: usize,
    ) -> Result<EntriesPage, LedgerError> {
        let durable_seq = self.shared.state.lock().durable_seq;
        let wanted =
            |entry: &Entry| matches!(entry.event, Event::Expire { .. }) && entry.is_of(org);
        page(&*self.storage, wanted, after_seq, durable_seq, limit)
    }

    /// Up to `limit` open holds of an organization, those that may be expired soonest first, after
    /// the one with this time and id. Takes the lock for some of them at a time.
    pub fn open_holds_of(
        &self,
        org: &str,
        after: Option<(u64, TransferId)>,
        limit: usize,
    ) -> Vec<HoldRow> {
        let mut found = Vec::new();
        let mut after = after.map_or(Bound::Unbounded, Bound::Excluded);
        loop {
            let state = self.shared.state.lock();
            let mut last = None;
            for due in state.book.due.range((after, Bound::Unbounded)).take(HOLDS_PER_LOOK) {
                last = Some(*due);
                let hold = state.book.hold_row(&due.1).filter(|hold| *hold.org == *org);
                found.extend(hold);
                if found.len() >= limit {
                    return found;
                }
            }
            let Some(last) = last else { return found };
            after = Bound::Excluded(last);
        }
    }

    /// How the journal is doing.
    pub fn health(&self) -> Health {
        let state = self.shared.state.lock();
        Health {
            last_seq: state.book.applied_seq,
            durable_seq: state.durable_seq,
            open_holds: state.book.holds.len(),
            failed: state.failed.clone(),
            full: state.full.clone(),
            view_error: state.view_error.clone(),
        }
    }

    /// Blocks until the entry `seq` is safe on disk; the group is committed at once.
    ///
    /// # Errors
    /// `NotDurable` when the journal has failed before that. `DiskFull` while there is no space:
    /// the entry stays booked, and is written when there is.
    pub fn wait_durable(&self, seq: u64) -> Result<(), LedgerError> {
        self.shared.wait_durable(seq)
    }

    /// Calls `done(true)` as soon as the entry `seq` is safe on disk; the group is committed at
    /// once. Calls `done(false)` when that can't be promised: the journal has failed, its disk is
    /// full, or more than 65 536 others are waiting. Runs on the writer thread, so `done` must be
    /// short; or right here, if the answer is known.
    pub fn on_durable(&self, seq: u64, done: Box<dyn FnOnce(bool) + Send>) {
        self.shared.on_durable(seq, done);
    }

    /// Writes what is queued, stores the view, and stops. After it every posting is refused.
    ///
    /// # Errors
    /// `NotDurable` when the journal has failed, or its disk is full to the end: then what was
    /// booked and not written is lost, as by a crash.
    pub fn close(&self) -> Result<(), LedgerError> {
        self.shared.start_closing();
        let thread = self.thread.lock().take();
        let died = thread.is_some_and(|thread| thread.join().is_err());
        let state = self.shared.state.lock();
        match &state.failed {
            Some(why) => Err(LedgerError::NotDurable(Arc::clone(why))),
            None if died => Err(LedgerError::NotDurable(Arc::from("the writer thread died"))),
            None => Ok(()),
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // A failure was already told to the host by `on_failure`; nobody is left to tell it here.
        drop(self.close());
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("storage", &self.storage).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod counters;
#[cfg(test)]
mod tests;
