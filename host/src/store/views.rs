//! The ledger's views as rows. The journal is the truth of money; these rows only make a start
//! fast, and carry the journal position they reflect in the same transaction. Deltas are merged in
//! memory and written a few times a second, so that a busy ledger costs one transaction per
//! interval and not one per batch; what a crash takes is replayed from the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use turnpike_ledger::{
    BudgetRow, ChannelRow, CounterRow, HoldRow, OrgRow, PlatformRow, PostedRow, ViewDelta,
    ViewSink, ViewSnapshot,
};

use super::StoreError;
use super::state::{Change, State, Table};

/// How long deltas are gathered. A crash replays this much more of the journal: well under a
/// second of work.
const GATHER: Duration = Duration::from_millis(100);

/// Rows that may wait to be written. Only a database that has stopped writing lets them grow; the
/// ledger then keeps the changes and reports it.
const WAITING_ROWS_MAX: usize = 1_000_000;

const POSITION_KEY: &[u8] = b"position";
const PLATFORM_KEY: &[u8] = b"platform";

/// The journal position that the rows reflect, and the platform's own accounts.
#[derive(Serialize, Deserialize)]
struct Position {
    seq: u64,
    hash: [u8; 16],
}

/// Keeps the ledger's view in the tables. Dropping it writes what waits.
#[derive(Debug)]
pub struct LedgerViews {
    waiting: Arc<Mutex<Waiting>>,
    /// Closed to end the thread.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The next write empties the ledger's tables first.
    full: bool,
    /// The newest value of each changed row; none deletes it.
    rows: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>,
    /// Per budget: counters below this window are dropped.
    closed_below: BTreeMap<Arc<str>, u64>,
    /// The last write's failure, told to the ledger with its next delta.
    failure: Option<String>,
}

// === impl LedgerViews ===

impl LedgerViews {
    /// Starts keeping the view in these tables.
    pub fn start(state: Arc<dyn State>) -> Result<Self, StoreError> {
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let (stop, stopped) = sync_channel::<()>(0);
        let shared = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name("ledger-views".into())
            .spawn(move || {
                loop {
                    let ended = stopped.recv_timeout(GATHER) != Err(RecvTimeoutError::Timeout);
                    write_waiting(state.as_ref(), &shared);
                    if ended {
                        return;
                    }
                }
            })
            .map_err(|cause| StoreError::io("starting the thread of the ledger's views", cause))?;
        Ok(Self { waiting, stop: Some(stop), thread: Some(thread) })
    }
}

impl ViewSink for LedgerViews {
    fn store(&mut self, delta: &ViewDelta) -> Result<(), String> {
        let encoded = encode(delta)?;
        let mut waiting = self.waiting.lock();
        if waiting.rows.len() > WAITING_ROWS_MAX && !delta.full {
            return Err("the database takes no rows; check disk space".to_owned());
        }
        if delta.full {
            waiting.full = true;
            waiting.rows.clear();
        }
        for change in encoded {
            waiting.rows.insert((change.table, change.key), change.value);
        }
        for budget in &delta.changed.budgets {
            waiting.closed_below.insert(Arc::clone(&budget.budget), budget.closed_below);
        }
        // The rows stay here and are written again; the ledger is told, and sends nothing twice.
        if let Some(failure) = waiting.failure.take() {
            tracing::error!(%failure, "the ledger's view is behind its journal");
        }
        Ok(())
    }
}

impl Drop for LedgerViews {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the ledger's views panicked; the next start replays");
        }
    }
}

/// Writes everything that waits in one transaction. After a failure it waits again, under what
/// came meanwhile.
fn write_waiting(state: &dyn State, shared: &Mutex<Waiting>) {
    let mut taken = std::mem::take(&mut *shared.lock());
    if taken.rows.is_empty() && !taken.full {
        return;
    }
    let written = changes_of(state, &taken).and_then(|changes| state.apply(&changes));
    let Err(cause) = written else { return };
    tracing::error!(%cause, "the ledger's view could not be written; it is tried again");
    let mut waiting = shared.lock();
    if !waiting.full {
        taken.rows.append(&mut waiting.rows);
        taken.closed_below.append(&mut waiting.closed_below);
        *waiting = taken;
    }
    waiting.failure = Some(cause.to_string());
}

fn changes_of(state: &dyn State, waiting: &Waiting) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::with_capacity(waiting.rows.len());
    if waiting.full {
        for table in Table::LEDGER {
            for (key, _) in state.scan(table, b"", None, usize::MAX)? {
                changes.push(Change::delete(table, key));
            }
        }
    }
    for ((table, key), value) in &waiting.rows {
        changes.push(Change { table: *table, key: key.clone(), value: value.clone() });
    }
    for (budget, closed_below) in &waiting.closed_below {
        let prefix = counter_prefix(budget);
        let closed = counter_key(budget, *closed_below);
        for (key, _) in state.scan(Table::LedgerBudgets, &prefix, None, usize::MAX)? {
            if key < closed {
                changes.push(Change::delete(Table::LedgerBudgets, key));
            }
        }
    }
    Ok(changes)
}

/// The rows of a delta.
fn encode(delta: &ViewDelta) -> Result<Vec<Change>, String> {
    let view = &delta.changed;
    let mut changes = Vec::new();
    for row in &view.orgs {
        changes.push(put(Table::LedgerAccounts, named(b'o', &row.org), row)?);
    }
    for row in &view.channels {
        changes.push(put(Table::LedgerAccounts, named(b'c', &row.channel), row)?);
    }
    for row in &view.budgets {
        changes.push(put(Table::LedgerBudgets, named(b'b', &row.budget), row)?);
    }
    for row in &view.counters {
        let key = counter_key(&row.budget, row.window);
        changes.push(put(Table::LedgerBudgets, key, row)?);
    }
    for row in &view.holds {
        changes.push(put(Table::LedgerHolds, row.id.0.to_vec(), row)?);
    }
    for row in &view.posted {
        // Its place in the journal names it; the id is inside.
        changes.push(put(Table::LedgerPosted, row.seq.to_be_bytes().to_vec(), row)?);
    }
    for id in &delta.ended_holds {
        changes.push(Change::delete(Table::LedgerHolds, id.0));
    }
    changes.push(put(Table::LedgerMeta, PLATFORM_KEY.to_vec(), &view.platform)?);
    let position = Position { seq: view.applied_seq, hash: view.applied_hash };
    changes.push(put(Table::LedgerMeta, POSITION_KEY.to_vec(), &position)?);
    Ok(changes)
}

fn put(table: Table, key: Vec<u8>, row: &impl Serialize) -> Result<Change, String> {
    let value = serde_json::to_vec(row).map_err(|cause| cause.to_string())?;
    Ok(Change::put(table, key, value))
}

/// A kind, then the name: names of one kind lie together.
fn named(kind: u8, name: &str) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend(name.as_bytes());
    key
}

fn counter_prefix(budget: &str) -> Vec<u8> {
    let mut key = named(b'w', budget);
    key.push(0);
    key
}

/// Big-endian, so that windows sort by time.
fn counter_key(budget: &str, window: u64) -> Vec<u8> {
    let mut key = counter_prefix(budget);
    key.extend(window.to_be_bytes());
    key
}

/// The view as it was last written; none when there is none, or when it can't be read, which costs
/// a replay of the whole journal and nothing else.
pub fn load_ledger_view(state: &dyn State) -> Option<ViewSnapshot> {
    match read_view(state) {
        Ok(view) => view,
        Err(cause) => {
            tracing::warn!(%cause, "the ledger's view can't be read; the journal is replayed");
            None
        }
    }
}

fn read_view(state: &dyn State) -> Result<Option<ViewSnapshot>, StoreError> {
    let Some(position) = one::<Position>(state, Table::LedgerMeta, POSITION_KEY)? else {
        return Ok(None);
    };
    let platform: Option<PlatformRow> = one(state, Table::LedgerMeta, PLATFORM_KEY)?;
    Ok(Some(ViewSnapshot {
        applied_seq: position.seq,
        applied_hash: position.hash,
        platform: platform.unwrap_or_default(),
        orgs: all::<OrgRow>(state, Table::LedgerAccounts, b"o")?,
        channels: all::<ChannelRow>(state, Table::LedgerAccounts, b"c")?,
        budgets: all::<BudgetRow>(state, Table::LedgerBudgets, b"b")?,
        counters: all::<CounterRow>(state, Table::LedgerBudgets, b"w")?,
        holds: all::<HoldRow>(state, Table::LedgerHolds, b"")?,
        posted: all::<PostedRow>(state, Table::LedgerPosted, b"")?,
    }))
}

fn one<R: DeserializeOwned>(
    state: &dyn State,
    table: Table,
    key: &[u8],
) -> Result<Option<R>, StoreError> {
    let value = state.get(table, key)?;
    value.map(|value| decode(table, key, &value)).transpose()
}

fn all<R: DeserializeOwned>(
    state: &dyn State,
    table: Table,
    prefix: &[u8],
) -> Result<Vec<R>, StoreError> {
    let rows = state.scan(table, prefix, None, usize::MAX)?;
    rows.iter().map(|(key, value)| decode(table, key, value)).collect()
}

fn decode<R: DeserializeOwned>(table: Table, key: &[u8], value: &[u8]) -> Result<R, StoreError> {
    serde_json::from_slice(value).map_err(|cause| StoreError::Unreadable {
        table: table.label(),
        key: String::from_utf8_lossy(key).into_owned(),
        cause: cause.to_string(),
    })
}

#[cfg(test)]
mod tests;
