//! The store room: what must be there after a restart. Organizations, keys, plugins and bindings
//! are typed records over small named tables; the ledger's views sit beside them.
//!
//! sled is an index here, never the only truth: what an operator changed is first appended and
//! fsynced to the changes file (`admin.log`), what money did is in the ledger's own journal, and a
//! sled that will not open is rebuilt from both. This room is the only one that names sled. It
//! never sees a prompt or an answer, never holds a key in clear text, and is never read on the
//! request path: the data plane reads snapshots made from it.

mod audit;
mod binding_rows;
mod bindings;
mod changes;
mod files;
mod memory;
mod open;
mod plans;
mod ratings;
mod records;
mod registry;
mod routing;
mod rows;
mod signing;
mod sled_state;
mod spending;
mod spending_registry;
mod state;
mod views;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

pub use self::audit::{Acting, AuditEntry, AuditFilter, AuditedChange, Author};
pub use self::bindings::REVISIONS_KEPT;
pub use self::changes::{FILE_NAME as CHANGES_FILE, tells_of_org, whole_changes};
pub use self::files::{PluginFiles, sha256_hex};
pub use self::memory::MemoryState;
pub use self::open::{OpenReport, Opened, PLUGINS_DIR};
pub use self::plans::{Discount, InvoiceTerms, PlanRecord};
pub use self::ratings::{FILE_NAME as RATINGS_FILE, RatingRow, RatingsFile};
pub use self::records::{
    AliasRecord, ApiKey, BindingRecord, BudgetMode, BudgetPeriod, BudgetRecord, FormerSecret, Hook,
    InstanceLife, LinkRecord, Mode, OnFailure, Organization, PluginCheck, PluginFigures,
    PluginRecord, PolicyLimitsRecord, RateLimits, Scope, Thresholds,
};
pub use self::registry::Page;
pub use self::routing::RuleRecord;
pub use self::signing::{PluginSignature, Signing, SigningKey};
pub use self::sled_state::SledState;
pub use self::spending::{AlertRecord, Delivery, ScopeBudget, ScopeLimits, SpendScope, Webhook};
pub use self::spending_registry::ALERTS_KEPT;
pub use self::state::{Change, Row, State, Table, VALUE_BYTES_MAX};
pub use self::views::{LedgerViews, load_ledger_view};

use self::changes::ChangesFile;

/// How many rows a listing returns at most in one page, so that no answer grows without bound.
pub const PAGE_ROWS_MAX: usize = 1_000;

/// Why something could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database or a file refused; nothing was acknowledged.
    #[error("{what} failed: {cause}; check disk space and permissions of the data folder")]
    Io {
        /// The operation that failed, in words.
        what: String,
        /// What the operating system or sled said.
        cause: String,
    },
    /// A stored row can't be read back.
    #[error(
        "the stored {table} row {key:?} can't be read ({cause}); it was written by another \
         version or damaged: restore a backup or write it again"
    )]
    Unreadable {
        /// The table it is in.
        table: &'static str,
        /// Its key.
        key: String,
        /// What the parser said.
        cause: String,
    },
    /// A record with that identity is there already.
    #[error("{0} exists already; choose another name or change the one that is there")]
    Exists(String),
    /// An identity that is taken for good by an organization that was deleted.
    #[error(
        "the organization {0:?} was deleted, and its id stays taken, because its money is in the \
         journal under it; choose another id"
    )]
    Deleted(String),
    /// An organization that is no more, where one is needed that is.
    #[error(
        "the organization {0:?} was deleted; its credits, usage, requests, alerts and audit can \
         still be read, and nothing of it can be changed"
    )]
    Closed(String),
    /// A record is still needed by another.
    #[error("{0}; change or remove that first")]
    InUse(String),
    /// No such record.
    #[error("{0} does not exist; list what is there and check the spelling")]
    NotFound(String),
    /// A row is larger than a row may be.
    #[error("a row of {bytes} bytes is larger than {limit}; shorten its longest field")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

impl StoreError {
    /// An input/output failure with the operation in words.
    pub(crate) fn io(what: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Io { what: what.into(), cause: cause.to_string() }
    }
}

/// The typed store. Reads go to the tables; writes are serialised, appended to the changes file
/// (fsynced), applied to the tables, and only then acknowledged. All calls block: run them off the
/// async threads.
#[derive(Debug)]
pub struct Store {
    state: Arc<dyn State>,
    /// Held for the whole of a read-check-write, so that two writers can't both pass a check.
    writer: Mutex<Writer>,
    files: PluginFiles,
}

#[derive(Debug)]
struct Writer {
    /// Absent only in a store in memory.
    changes: Option<ChangesFile>,
    /// Who is acting, if it is a person.
    turn: Option<audit::Turn>,
    /// Keeps the data folder locked; absent in memory.
    _lock: Option<std::fs::File>,
}

impl Store {
    /// Opens the store in `data_dir`, creating or repairing what needs it. What was repaired or
    /// lost is in the report, and has been logged.
    pub fn open(data_dir: &std::path::Path) -> Result<Opened, StoreError> {
        open::open(data_dir)
    }

    /// A store that lives in memory, for tests and trials; plugin files go to `plugins_dir`.
    pub fn in_memory(plugins_dir: PathBuf) -> Result<Self, StoreError> {
        Ok(Self {
            state: Arc::new(MemoryState::default()),
            writer: Mutex::new(Writer { changes: None, turn: None, _lock: None }),
            files: PluginFiles::open(plugins_dir)?,
        })
    }

    /// The tables beneath, for the ledger's views.
    pub fn state(&self) -> Arc<dyn State> {
        Arc::clone(&self.state)
    }

    /// The folder of plugin binaries.
    pub fn files(&self) -> &PluginFiles {
        &self.files
    }

    /// Refuses every change from now on, as after a failure of the disk.
    #[cfg(test)]
    pub(crate) fn refuse_changes(&self) {
        if let Some(changes) = &mut self.writer.lock().changes {
            changes.fail();
        }
    }

    /// Makes everything written so far survive a power loss as far as sled can.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.state.sync()
    }
}
