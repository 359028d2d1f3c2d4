//! The view follows the journal: whatever was written of it, a start from it and a start from the
//! journal alone come to the same balances.

use std::sync::Arc;

use turnpike_ledger::{
    CaptureNote, Ledger, Options, Period, PicoUsd, TopUp, TransferId, ViewSink, ViewSnapshot,
};

use super::super::{MemoryState, SledState, State, Table, load_ledger_view};
use super::{LedgerViews, Waiting, counter_key, write_waiting};

fn id(number: u8) -> TransferId {
    TransferId([number; 16])
}

fn open(dir: &std::path::Path, state: &Arc<dyn State>) -> Ledger {
    let view = load_ledger_view(state.as_ref());
    let mut options = Options::at(dir.join("journal"));
    options.view_sink = Some(Box::new(LedgerViews::start(Arc::clone(state)).unwrap()));
    Ledger::open(options, view.as_ref()).unwrap()
}

fn usd(dollars: u64) -> PicoUsd {
    PicoUsd::from_usd(dollars)
}

fn work(ledger: &Ledger) {
    let top_up = TopUp {
        id: id(1),
        org: "acme",
        amount: usd(10),
        channel: "manual",
        reference: "r",
        at_ms: 1,
    };
    ledger.top_up(&top_up).unwrap();
    ledger.set_budget("key:k", Some(usd(5)), Period::Hour, 1).unwrap();
    for (number, actual) in [(2, Some(usd(1))), (3, None)] {
        let reserve = turnpike_ledger::Reserve {
            id: id(number),
            org: "acme",
            budgets: &[("key:k", 3_600_000)],
            amount: usd(2),
            at_ms: 2,
            expires_at_ms: 1_000,
        };
        let _held = ledger.reserve(&reserve).unwrap();
        if let Some(actual) = actual {
            let (note, absorbed) = (CaptureNote::Complete, PicoUsd::ZERO);
            ledger.capture(id(number), actual, note, absorbed, 3).unwrap();
        }
    }
}

fn check(ledger: &Ledger) {
    let balance = ledger.balance("acme");
    assert_eq!((balance.available, balance.held, balance.spent), (usd(7), usd(2), usd(1)));
    let budget = ledger.budget("key:k", 3_600_000).unwrap();
    assert_eq!((budget.limit, budget.spent, budget.held), (Some(usd(5)), usd(1), usd(2)));
    assert_eq!(ledger.open_holds(10).len(), 1);
}

#[test]
fn a_view_in_sled_brings_the_ledger_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    {
        let state: Arc<dyn State> = Arc::new(SledState::open(&dir.path().join("db")).unwrap());
        let ledger = open(dir.path(), &state);
        work(&ledger);
        check(&ledger);
        ledger.close().unwrap();
    }
    let state: Arc<dyn State> = Arc::new(SledState::open(&dir.path().join("db")).unwrap());
    let view = load_ledger_view(state.as_ref()).unwrap();
    assert_eq!(view.orgs[0].credit, usd(7));
    assert_eq!(view.holds.len(), 1, "a settled hold leaves no row");
    let ledger = open(dir.path(), &state);
    assert_eq!(ledger.health().last_seq, view.applied_seq, "nothing had to be replayed");
    check(&ledger);
}

#[test]
fn without_its_view_the_ledger_replays_and_the_view_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let state: Arc<dyn State> = Arc::new(MemoryState::default());
    let ledger = open(dir.path(), &state);
    work(&ledger);
    ledger.close().unwrap();
    drop(ledger);
    let kept = load_ledger_view(state.as_ref()).unwrap();
    let empty: Arc<dyn State> = Arc::new(MemoryState::default());
    assert_eq!(load_ledger_view(empty.as_ref()), None);
    let ledger = open(dir.path(), &empty);
    check(&ledger);
    ledger.close().unwrap();
    drop(ledger);
    assert_eq!(load_ledger_view(empty.as_ref()).unwrap(), kept);
}

#[test]
fn an_unreadable_row_costs_a_replay_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let state: Arc<dyn State> = Arc::new(MemoryState::default());
    let ledger = open(dir.path(), &state);
    work(&ledger);
    ledger.close().unwrap();
    drop(ledger);
    state.put(Table::LedgerAccounts, b"oacme", b"{").unwrap();
    assert_eq!(load_ledger_view(state.as_ref()), None);
    let ledger = open(dir.path(), &state);
    check(&ledger);
    ledger.close().unwrap();
    drop(ledger);
    assert!(load_ledger_view(state.as_ref()).is_some(), "the replay mended the view");
}

#[test]
fn rows_of_closed_windows_are_dropped_and_those_of_other_budgets_stay() {
    let state = MemoryState::default();
    for (budget, window) in [("key:a", 1), ("key:a", 2), ("key:a2", 1), ("key:b", 1)] {
        state.put(Table::LedgerBudgets, &counter_key(budget, window), b"{}").unwrap();
    }
    let mut waiting = Waiting::default();
    waiting.rows.insert((Table::LedgerMeta, b"position".to_vec()), Some(b"{}".to_vec()));
    waiting.closed_below.insert("key:a".into(), 2);
    write_waiting(&state, &parking_lot::Mutex::new(waiting));
    let rows = state.scan(Table::LedgerBudgets, b"w", None, 10).unwrap();
    let keys: Vec<Vec<u8>> = rows.into_iter().map(|(key, _)| key).collect();
    let expected = [counter_key("key:a", 2), counter_key("key:a2", 1), counter_key("key:b", 1)];
    assert_eq!(keys, expected);
}

#[test]
fn a_delta_that_replaces_everything_drops_what_it_does_not_name() {
    let state: Arc<dyn State> = Arc::new(MemoryState::default());
    state.put(Table::LedgerHolds, b"old", b"{}").unwrap();
    state.put(Table::Keys, b"kept", b"{}").unwrap();
    let mut views = LedgerViews::start(Arc::clone(&state)).unwrap();
    let changed = ViewSnapshot { applied_seq: 4, ..ViewSnapshot::default() };
    let delta = turnpike_ledger::ViewDelta { full: true, changed, ended_holds: Vec::new() };
    views.store(&delta).unwrap();
    drop(views);
    assert_eq!(state.get(Table::LedgerHolds, b"old").unwrap(), None);
    assert!(state.get(Table::Keys, b"kept").unwrap().is_some());
    assert_eq!(load_ledger_view(state.as_ref()).unwrap().applied_seq, 4);
}

#[test]
fn a_failed_write_is_told_and_loses_no_row() {
    let state = MemoryState::default();
    let shared = parking_lot::Mutex::new(Waiting::default());
    let big = vec![0_u8; super::super::VALUE_BYTES_MAX + 1];
    {
        let mut waiting = shared.lock();
        waiting.rows.insert((Table::LedgerHolds, b"h".to_vec()), Some(b"{}".to_vec()));
        waiting.rows.insert((Table::LedgerAccounts, b"ox".to_vec()), Some(big));
    }
    write_waiting(&state, &shared);
    assert_eq!(state.get(Table::LedgerHolds, b"h").unwrap(), None, "all or none");
    let mut waiting = shared.lock();
    assert!(waiting.failure.as_deref().is_some_and(|why| why.contains("larger")));
    assert_eq!(waiting.rows.len(), 2);
    // The newer value of a row wins over the one that waited.
    waiting.rows.insert((Table::LedgerAccounts, b"ox".to_vec()), Some(b"{}".to_vec()));
    drop(waiting);
    write_waiting(&state, &shared);
    assert!(state.get(Table::LedgerHolds, b"h").unwrap().is_some());
    assert!(state.get(Table::LedgerAccounts, b"ox").unwrap().is_some());
}
