//! Tables in sled 0.34, opened as a careful owner does. What sled's `flush` leaves out is done
//! here: it calls `sync_file_range`, not fsync, on Linux (spacejam/sled#1452), and never syncs the
//! directory. Never repairs: that is `open.rs`.

use std::fs::File;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sled::Transactional;
use sled::transaction::{ConflictableTransactionError, TransactionError, TransactionalTree};

use super::StoreError;
use super::state::{Change, Row, State, Table, check_sizes};

/// sled's page cache. Its default of 1 GiB is far more than all rows of a large installation, and
/// sled uses several times what it is given.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// How often sled's own thread fsyncs: bounds what the views lose when power fails; they are
/// rebuilt from the journal and the changes file.
const FLUSH_EVERY_MS: u64 = 200;
/// A handle that was just dropped gives its lock back when sled's own threads have ended. Another
/// process is kept out before this, by the lock of the data folder.
const BUSY_RETRIES_MAX: u32 = 40;
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Tables in a sled database.
#[derive(Debug)]
pub struct SledState {
    dir: PathBuf,
    db: sled::Db,
    /// One tree per table, in the order of `Table::ALL`.
    trees: Vec<sled::Tree>,
}

/// Why a database did not open.
#[derive(Debug)]
pub(super) enum OpenFailure {
    /// Its files are damaged: repairing may help.
    Damaged(StoreError),
    /// The machine refuses (permissions, space, a lock): repairing would only do harm.
    Refused(StoreError),
}

// === impl SledState ===

impl SledState {
    /// Opens or creates the database in `dir`.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_or_damage(dir).map_err(|failure| match failure {
            OpenFailure::Damaged(cause) | OpenFailure::Refused(cause) => cause,
        })
    }

    /// Opens or creates the database in `dir`, telling damage from what no repair would mend.
    pub(super) fn open_or_damage(dir: &Path) -> Result<Self, OpenFailure> {
        // sled asserts on some kinds of damage; a start that repairs must survive that.
        let open = || {
            sled::Config::default()
                .path(dir)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(Some(FLUSH_EVERY_MS))
                .open()
        };
        let mut opened = std::panic::catch_unwind(open);
        for _ in 0..BUSY_RETRIES_MAX {
            match &opened {
                Ok(Err(cause)) if is_busy(cause) => std::thread::sleep(BUSY_PAUSE),
                _ => break,
            }
            opened = std::panic::catch_unwind(open);
        }
        let what = || format!("opening the database in {}", dir.display());
        let db = match opened {
            Ok(Ok(db)) => db,
            Ok(Err(cause)) if is_damage(&cause) => {
                return Err(OpenFailure::Damaged(StoreError::io(what(), cause)));
            }
            Ok(Err(cause)) => return Err(OpenFailure::Refused(StoreError::io(what(), cause))),
            Err(_) => {
                let cause = StoreError::io(what(), "sled panicked while reading it");
                return Err(OpenFailure::Damaged(cause));
            }
        };
        let mut trees = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            trees.push(db.open_tree(table.label()).map_err(|cause| {
                let damaged = is_damage(&cause);
                let what = format!("opening the table {}", table.label());
                let cause = StoreError::io(what, cause);
                if damaged { OpenFailure::Damaged(cause) } else { OpenFailure::Refused(cause) }
            })?);
        }
        let state = Self { dir: dir.to_path_buf(), db, trees };
        state.sync().map_err(OpenFailure::Refused)?;
        Ok(state)
    }

    fn tree(&self, table: Table) -> Result<&sled::Tree, StoreError> {
        let place = place_of(table);
        self.trees
            .get(place)
            .ok_or_else(|| StoreError::io(format!("finding the table {}", table.label()), "absent"))
    }
}

impl State for SledState {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self
            .tree(table)?
            .get(key)
            .map_err(|cause| StoreError::io(format!("reading {}", table.label()), cause))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut rows = Vec::new();
        for row in self.tree(table)?.range::<&[u8], _>((start, Bound::Unbounded)) {
            let (key, value) =
                row.map_err(|cause| StoreError::io(format!("listing {}", table.label()), cause))?;
            if rows.len() >= limit || !key.starts_with(prefix) {
                break;
            }
            rows.push((key.to_vec(), value.to_vec()));
        }
        Ok(rows)
    }

    fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        check_sizes(changes)?;
        let mut tables: Vec<Table> = changes.iter().map(|change| change.table).collect();
        tables.sort_unstable();
        tables.dedup();
        let mut trees = Vec::with_capacity(tables.len());
        for table in &tables {
            trees.push(self.tree(*table)?);
        }
        if trees.is_empty() {
            return Ok(());
        }
        let done = trees.as_slice().transaction(|views| stage(&tables, views, changes));
        match done {
            Ok(()) => Ok(()),
            Err(TransactionError::Storage(cause)) => Err(StoreError::io("writing rows", cause)),
            Err(TransactionError::Abort(what)) => Err(StoreError::io("writing rows", what)),
        }
    }

    fn sync(&self) -> Result<(), StoreError> {
        let failed = |cause: &dyn std::fmt::Display| {
            StoreError::io(format!("syncing the database in {}", self.dir.display()), cause)
        };
        self.db.flush().map_err(|cause| failed(&cause))?;
        // sled's flush is no fsync; its log is the file `db`.
        File::open(self.dir.join("db"))
            .and_then(|file| file.sync_all())
            .map_err(|cause| failed(&cause))?;
        sync_dir(&self.dir)
    }
}

/// Whether another handle has the database open. sled gives no kind for it, only these words.
fn is_busy(cause: &sled::Error) -> bool {
    matches!(cause, sled::Error::Io(cause) if cause.to_string().contains("could not acquire lock"))
}

fn is_damage(cause: &sled::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match cause {
        sled::Error::Io(cause) => matches!(cause.kind(), InvalidData | UnexpectedEof),
        sled::Error::Unsupported(_) => false,
        sled::Error::Corruption { .. }
        | sled::Error::ReportableBug(_)
        | sled::Error::CollectionNotFound(_) => true,
    }
}

/// Writes the changes into the transaction's trees. sled may run this more than once.
fn stage(
    tables: &[Table],
    views: &[TransactionalTree],
    changes: &[Change],
) -> Result<(), ConflictableTransactionError<&'static str>> {
    for change in changes {
        let view = tables
            .binary_search(&change.table)
            .ok()
            .and_then(|place| views.get(place))
            .ok_or(ConflictableTransactionError::Abort("a table is not open"))?;
        match &change.value {
            Some(value) => drop(view.insert(change.key.as_slice(), value.as_slice())?),
            None => drop(view.remove(change.key.as_slice())?),
        }
    }
    Ok(())
}

fn place_of(table: Table) -> usize {
    Table::ALL.iter().position(|one| *one == table).unwrap_or(Table::ALL.len())
}

/// Makes new and renamed names in a directory survive a power loss.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|handle| handle.sync_all())
        .map_err(|cause| StoreError::io(format!("syncing the folder {}", dir.display()), cause))
}
