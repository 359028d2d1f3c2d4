//! What can go wrong with money, by name, because the caller answers each differently.
//! Says what, where and what to do next; never which prompt or whose secret.

use std::io;
use std::sync::Arc;

use crate::entry::TransferId;
use crate::money::PicoUsd;
use crate::settled::Ending;

/// Why the ledger could not be opened or read, or a posting was refused.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The journal could not be read or written.
    #[error("{what}: {source}; check the disk and the folder's permissions")]
    Io {
        /// What was being done, with the file's name.
        what: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Another process has this ledger open.
    #[error("the ledger is in use by another process; stop that one first")]
    InUse,
    /// The journal is damaged where it was once known to be safe on disk. Nothing was changed.
    #[error(
        "journal file {segment} is damaged at byte {offset}: {why}; restore the file from a \
         backup, or see what `turnpike ledger repair` would save; do not start without it"
    )]
    Corrupt {
        /// The file.
        segment: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// The stored view is newer than the journal: entries are missing from the journal.
    #[error(
        "the stored view is at entry {view} but the journal ends at {journal}; where it was \
         not repaired, it has lost entries: restore it from a backup"
    )]
    ViewAhead {
        /// The view's last entry.
        view: u64,
        /// The journal's last entry.
        journal: u64,
    },
    /// The stored view is not of this journal, or is damaged.
    #[error("the stored view does not fit the journal: {0}; drop the view and open without it")]
    ViewMismatch(String),
    /// The journal's disk is full, so nothing new is booked. What was booked before is kept and
    /// written as soon as there is space.
    #[error("the journal's disk is full: {0}; free some space, it then goes on by itself")]
    DiskFull(Arc<str>),
    /// The id was used before for something else.
    #[error("transfer {0} was already used for something else; make a new id")]
    IdReused(TransferId),
    /// The organization has less than a debit would take.
    #[error("only {available} USD are available")]
    Insufficient {
        /// What could be taken.
        available: PicoUsd,
    },
    /// The journal failed, so nothing is booked any more.
    #[error("the journal has failed: {0}; repair the disk and restart")]
    NotDurable(Arc<str>),
    /// The journal's queue is full.
    #[error("the journal is behind; try again in a moment")]
    Overloaded,
    /// The request makes no sense, or is beyond a limit.
    #[error("invalid: {0}")]
    Invalid(&'static str),
}

/// Why money was not set aside. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReserveError {
    /// The organization has less credit than that.
    #[error("only {available} USD of credit are available; top up or ask for less")]
    InsufficientCredit {
        /// What could be set aside.
        available: PicoUsd,
    },
    /// A budget has less left than that.
    #[error("budget {budget} has {remaining} USD left; raise it or wait for its next window")]
    BudgetExceeded {
        /// The first budget, in the caller's order, that refused.
        budget: Arc<str>,
        /// What is left of it.
        remaining: PicoUsd,
    },
    /// A budget that was never set. Refused, because its limit isn't known.
    #[error("budget {0} does not exist; set it before reserving against it")]
    UnknownBudget(Arc<str>),
    /// A window so long past that its counter is closed.
    #[error("window {window} of budget {budget} is closed; use the current window")]
    WindowClosed {
        /// The budget.
        budget: Arc<str>,
        /// The window that was named.
        window: u64,
    },
    /// The id is of another hold, or of one that has ended.
    #[error("transfer {0} was already used; make a new id for every request")]
    AlreadyUsed(TransferId),
    /// No such hold is open; it can't be extended.
    #[error("no open hold {0}; it was never reserved, or it has been settled or has expired")]
    Unknown(TransferId),
    /// The journal failed, so no paid work is accepted.
    #[error("the journal has failed: {0}; repair the disk and restart")]
    NotDurable(Arc<str>),
    /// The journal's disk is full, so no new paid work is accepted until there is space.
    #[error("the journal's disk is full: {0}; free some space, it then goes on by itself")]
    DiskFull(Arc<str>),
    /// The journal's queue, or the table of open holds, is full.
    #[error("the ledger is overloaded; try again in a moment")]
    Overloaded,
    /// The request makes no sense, or is beyond a limit.
    #[error("invalid: {0}")]
    Invalid(&'static str),
}

/// Why a hold was not settled. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// More than was set aside; extend the hold first.
    #[error("{actual} USD is more than the {held} USD held; extend the hold before capturing")]
    OverCapture {
        /// What is held.
        held: PicoUsd,
        /// What was asked for.
        actual: PicoUsd,
    },
    /// It ended before, and differently.
    #[error("hold {id} was already settled: {ending}")]
    AlreadySettled {
        /// The hold.
        id: TransferId,
        /// How it ended.
        ending: Ending,
    },
    /// Never reserved, or settled so long ago that the ledger no longer remembers.
    #[error("no hold {0}; it was never reserved or was settled long ago")]
    Unknown(TransferId),
    /// The journal failed; after a restart the hold is open and will expire.
    #[error("the journal has failed: {0}; repair the disk and restart")]
    NotDurable(Arc<str>),
    /// The request makes no sense, or is beyond a limit.
    #[error("invalid: {0}")]
    Invalid(&'static str),
}
