//! Opening the store, and the ladder of repairs when sled will not open: drop unfinished snapshot
//! files, move finished ones aside (sled rebuilds them from its log), move the whole database
//! aside and fill a new one from the changes file and, for money, the ledger's journal. Nothing is
//! ever deleted that could hold data, and every step is reported loudly.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::changes::ChangesFile;
use super::files::PluginFiles;
use super::sled_state::{OpenFailure, SledState};
use super::{Store, StoreError, Writer};

/// The database's folder in the data folder.
const DB_DIR: &str = "db";
/// The folder of plugin binaries in the data folder.
pub const PLUGINS_DIR: &str = "plugins";
/// Locked for as long as the store is open, so that two processes never share a data folder.
const LOCK_FILE: &str = "lock";

/// An opened store and what opening it took.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What was repaired or lost.
    pub report: OpenReport,
}

/// What opening took. Empty on a clean start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Each repair, as a sentence for the operator.
    pub repairs: Vec<String>,
    /// Whether the database was made anew; the ledger must replay its whole journal.
    pub rebuilt: bool,
}

impl OpenReport {
    fn tell(&mut self, repair: String) {
        tracing::warn!(repair = %repair, "the store was repaired: {repair}");
        self.repairs.push(repair);
    }
}

pub(super) fn open(data_dir: &Path) -> Result<Opened, StoreError> {
    // For its owner only: it holds hashes of keys, money and what an organization calls things.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    made.map_err(|cause| {
        StoreError::io(format!("creating the data folder {}", data_dir.display()), cause)
    })?;
    let lock = take_lock(data_dir)?;
    let mut report = OpenReport::default();
    let state = Arc::new(open_database(&data_dir.join(DB_DIR), &mut report)?);
    let (changes, reconciled) = ChangesFile::open(data_dir, state.as_ref())?;
    if reconciled.torn_bytes > 0 {
        report.tell(format!(
            "{} bytes of an unfinished administrative change were cut off; it had not been \
             acknowledged",
            reconciled.torn_bytes
        ));
    }
    if reconciled.tables_rebuilt {
        report.tell(
            "organizations, keys, plugins and bindings were restored from the changes file"
                .to_owned(),
        );
    }
    if reconciled.file_rewritten {
        report.tell(
            "the changes file was behind the database and was written anew from it".to_owned(),
        );
    }
    let files = PluginFiles::open(data_dir.join(PLUGINS_DIR))?;
    files.sweep();
    let writer = Mutex::new(Writer { changes: Some(changes), turn: None, _lock: Some(lock) });
    let store = Store { state, writer, files };
    for given_up in store.unite_spellings()? {
        report.tell(given_up);
    }
    Ok(Opened { store, report })
}

fn take_lock(data_dir: &Path) -> Result<File, StoreError> {
    let path = data_dir.join(LOCK_FILE);
    let failed = |cause: &dyn std::fmt::Display| {
        StoreError::io(format!("locking the data folder {}", data_dir.display()), cause)
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|cause| failed(&cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(failed(
            &"another process has it open; stop that process or choose another data folder",
        )),
        Err(TryLockError::Error(cause)) => Err(failed(&cause)),
    }
}

/// One repair. False if there was nothing to repair in its way.
type Rung = fn(&Path, &mut OpenReport) -> Result<bool, StoreError>;

/// Opens sled, climbing the ladder of repairs while it reports damage.
fn open_database(dir: &Path, report: &mut OpenReport) -> Result<SledState, StoreError> {
    let rungs: [Rung; 3] = [drop_unfinished_snapshots, move_snapshots_aside, move_database_aside];
    let mut damage = match SledState::open_or_damage(dir) {
        Ok(state) => return Ok(state),
        Err(OpenFailure::Refused(cause)) => return Err(cause),
        Err(OpenFailure::Damaged(cause)) => cause,
    };
    for rung in rungs {
        tracing::warn!(%damage, "the database does not open");
        if !rung(dir, report)? {
            continue;
        }
        damage = match SledState::open_or_damage(dir) {
            Ok(state) => return Ok(state),
            Err(OpenFailure::Refused(cause)) => return Err(cause),
            Err(OpenFailure::Damaged(cause)) => cause,
        };
    }
    Err(damage)
}

/// First rung: snapshots that were being written when the process ended.
fn drop_unfinished_snapshots(dir: &Path, report: &mut OpenReport) -> Result<bool, StoreError> {
    let unfinished = snapshots(dir, true);
    for path in &unfinished {
        fs::remove_file(path).map_err(|cause| failed("removing", path, &cause))?;
    }
    if unfinished.is_empty() {
        return Ok(false);
    }
    report.tell(format!("removed {} unfinished snapshot files; nothing lost", unfinished.len()));
    Ok(true)
}

/// Second rung: finished snapshots, which sled makes again from its log.
fn move_snapshots_aside(dir: &Path, report: &mut OpenReport) -> Result<bool, StoreError> {
    let torn = snapshots(dir, false);
    if torn.is_empty() {
        return Ok(false);
    }
    let aside = free_name(dir, "snapshots-aside")?;
    fs::create_dir(&aside).map_err(|cause| failed("creating", &aside, &cause))?;
    for path in &torn {
        let Some(name) = path.file_name() else { continue };
        fs::rename(path, aside.join(name)).map_err(|cause| failed("moving", path, &cause))?;
    }
    report.tell(format!(
        "moved {} damaged snapshot files to {}; the database makes them again from its log",
        torn.len(),
        aside.display()
    ));
    Ok(true)
}

/// Last rung: a new database.
fn move_database_aside(dir: &Path, report: &mut OpenReport) -> Result<bool, StoreError> {
    let aside = free_name(dir, "damaged")?;
    fs::rename(dir, &aside).map_err(|cause| failed("moving", dir, &cause))?;
    report.rebuilt = true;
    report.tell(format!(
        "the database was damaged beyond repair and moved to {}; a new one is filled from the \
         changes file (organizations, keys, plugins, bindings) and the ledger's journal (credit, \
         budgets, holds). Lost is only what neither of them holds; keep the moved folder until \
         you have checked",
        aside.display()
    ));
    Ok(true)
}

fn snapshots(dir: &Path, unfinished: bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("snap.") && name.ends_with(".generating") == unfinished
        })
        .map(|entry| entry.path())
        .collect()
}

/// How many things moved aside may lie beside each other before someone must tidy up.
const ASIDE_MAX: u32 = 1_000;

/// A name beside `dir` that is not taken.
fn free_name(dir: &Path, suffix: &str) -> Result<PathBuf, StoreError> {
    (1..=ASIDE_MAX)
        .map(|number| dir.with_extension(format!("{suffix}-{number}")))
        .find(|path| !path.exists())
        .ok_or_else(|| failed("naming a copy of", dir, &"too many are there; remove old ones"))
}

fn failed(verb: &str, path: &Path, cause: &dyn std::fmt::Display) -> StoreError {
    StoreError::io(format!("{verb} {}", path.display()), cause)
}

#[cfg(test)]
mod tests;
