//! The contract: run against every engine, so that one can replace another.

use super::super::{MemoryState, SledState, StoreError};
use super::{Change, State, Table, VALUE_BYTES_MAX};

fn keys(rows: &[super::Row]) -> Vec<&[u8]> {
    rows.iter().map(|(key, _)| key.as_slice()).collect()
}

fn reads_back_what_was_put(state: &dyn State) {
    assert_eq!(state.get(Table::Keys, b"a").unwrap(), None);
    state.put(Table::Keys, b"a", b"1").unwrap();
    state.put(Table::Keys, b"a", b"2").unwrap();
    assert_eq!(state.get(Table::Keys, b"a").unwrap().as_deref(), Some(b"2".as_slice()));
    state.delete(Table::Keys, b"a").unwrap();
    state.delete(Table::Keys, b"a").unwrap();
    assert_eq!(state.get(Table::Keys, b"a").unwrap(), None);
}

fn tables_are_apart(state: &dyn State) {
    state.put(Table::Keys, b"same", b"key").unwrap();
    state.put(Table::Plugins, b"same", b"plugin").unwrap();
    state.delete(Table::Keys, b"same").unwrap();
    assert_eq!(state.get(Table::Plugins, b"same").unwrap().as_deref(), Some(b"plugin".as_slice()));
}

fn scans_a_prefix_in_order_and_in_pages(state: &dyn State) {
    for key in ["acme\0b", "acme\0a", "acme2\0a", "acm", "acme\0c"] {
        state.put(Table::Bindings, key.as_bytes(), b"x").unwrap();
    }
    let rows = state.scan(Table::Bindings, b"acme\0", None, 10).unwrap();
    assert_eq!(keys(&rows), [b"acme\0a", b"acme\0b", b"acme\0c"]);
    let first = state.scan(Table::Bindings, b"acme\0", None, 2).unwrap();
    assert_eq!(keys(&first), [b"acme\0a", b"acme\0b"]);
    let rest = state.scan(Table::Bindings, b"acme\0", Some(b"acme\0b"), 2).unwrap();
    assert_eq!(keys(&rest), [b"acme\0c"]);
    assert_eq!(state.scan(Table::Bindings, b"", None, 10).unwrap().len(), 5);
}

fn a_scan_after_a_key_that_sorts_before_the_prefix_starts_at_the_prefix(state: &dyn State) {
    state.put(Table::Meta, b"a", b"x").unwrap();
    state.put(Table::Meta, b"p1", b"x").unwrap();
    let rows = state.scan(Table::Meta, b"p", Some(b"a"), 10).unwrap();
    assert_eq!(keys(&rows), [b"p1"]);
}

fn a_batch_spans_tables_and_applies_in_order(state: &dyn State) {
    let changes = [
        Change::put(Table::LedgerAccounts, *b"credit:acme", *b"10"),
        Change::put(Table::LedgerAccounts, *b"credit:acme", *b"9"),
        Change::put(Table::LedgerMeta, *b"applied", *b"7"),
        Change::put(Table::LedgerHolds, *b"gone", *b"x"),
        Change::delete(Table::LedgerHolds, *b"gone"),
    ];
    state.apply(&changes).unwrap();
    let balance = state.get(Table::LedgerAccounts, b"credit:acme").unwrap();
    assert_eq!(balance.as_deref(), Some(b"9".as_slice()));
    assert_eq!(state.get(Table::LedgerMeta, b"applied").unwrap().as_deref(), Some(&b"7"[..]));
    assert_eq!(state.get(Table::LedgerHolds, b"gone").unwrap(), None);
    state.sync().unwrap();
}

fn a_batch_with_one_bad_row_changes_nothing(state: &dyn State) {
    let changes = [
        Change::put(Table::Organizations, *b"ok", *b"1"),
        Change::put(Table::Organizations, *b"big", vec![0_u8; VALUE_BYTES_MAX + 1]),
    ];
    let refused = state.apply(&changes).unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge { .. }), "{refused}");
    assert_eq!(state.get(Table::Organizations, b"ok").unwrap(), None);
}

fn readers_see_all_of_a_batch_or_none(state: &dyn State) {
    const ROUNDS: u32 = 200;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                let value = round.to_be_bytes();
                let changes = [
                    Change::put(Table::LedgerBudgets, *b"pair\0a", value),
                    Change::put(Table::LedgerBudgets, *b"pair\0b", value),
                ];
                state.apply(&changes).unwrap();
            }
        });
        // Writers of one table must never be seen out of order: `a` is never behind `b`.
        for _ in 0..ROUNDS {
            let b = state.get(Table::LedgerBudgets, b"pair\0b").unwrap();
            let a = state.get(Table::LedgerBudgets, b"pair\0a").unwrap();
            assert!(a >= b, "{a:?} {b:?}");
        }
    });
}

fn contract(state: &dyn State) {
    reads_back_what_was_put(state);
    tables_are_apart(state);
    scans_a_prefix_in_order_and_in_pages(state);
    a_scan_after_a_key_that_sorts_before_the_prefix_starts_at_the_prefix(state);
    a_batch_spans_tables_and_applies_in_order(state);
    a_batch_with_one_bad_row_changes_nothing(state);
    readers_see_all_of_a_batch_or_none(state);
}

#[test]
fn memory_keeps_the_contract() {
    contract(&MemoryState::default());
}

#[test]
fn sled_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&SledState::open(dir.path()).unwrap());
}

#[test]
fn sled_keeps_rows_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = SledState::open(dir.path()).unwrap();
    state.put(Table::Keys, b"k", b"v").unwrap();
    drop(state);
    let state = SledState::open(dir.path()).unwrap();
    assert_eq!(state.get(Table::Keys, b"k").unwrap().as_deref(), Some(b"v".as_slice()));
}

#[test]
fn table_names_read_back() {
    for table in Table::ALL {
        assert_eq!(Table::from_label(table.label()), Some(table));
    }
    assert_eq!(Table::from_label("nope"), None);
}
