//! Sled's known ways of not opening, and two processes in one folder.

use std::fs;
use std::path::Path;

use super::super::{Organization, PolicyLimitsRecord, Signing, Store, load_ledger_view};
use super::open;

fn org(id: &str) -> Organization {
    let name = id.to_uppercase();
    Organization {
        id: id.into(),
        name,
        created_at_ms: 1,
        deleted_at_ms: None,
        signing: Signing::default(),
        policy_imports: Vec::new(),
        fetch_hosts: Vec::new(),
        policy_limits: PolicyLimitsRecord::default(),
        time_zone: None,
        plan: None,
        routing: Vec::new(),
        aliases: Vec::new(),
    }
}

/// A data folder in which `acme` was stored and the process ended in good order.
fn used() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap().store;
    store.create_org(&org("acme")).unwrap();
    dir
}

fn reopened(dir: &Path) -> (Store, super::OpenReport) {
    let opened = open(dir).unwrap();
    assert_eq!(opened.store.org("acme").unwrap().name, "ACME", "{:?}", opened.report);
    (opened.store, opened.report)
}

#[test]
fn a_clean_restart_repairs_nothing() {
    let dir = used();
    let (_, report) = reopened(dir.path());
    assert_eq!(report, super::OpenReport::default());
}

#[test]
fn a_second_process_is_refused_and_repairs_nothing() {
    let dir = used();
    let (_store, _) = reopened(dir.path());
    let refused = open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("another process"), "{refused}");
    assert!(dir.path().join("db/db").exists());
}

#[test]
fn an_unfinished_snapshot_is_removed() {
    let dir = used();
    fs::write(dir.path().join("db/snap.ffffffff.generating"), b"torn").unwrap();
    let (_, report) = reopened(dir.path());
    assert!(!report.rebuilt, "{report:?}");
    assert!(report.repairs[0].contains("unfinished snapshot"), "{report:?}");
}

#[test]
fn a_torn_snapshot_is_moved_aside_and_nothing_is_lost() {
    let dir = used();
    // sled takes the greatest name, and refuses to open on what it finds in it.
    fs::write(dir.path().join("db/snap.FFFFFFFFFFFFFFF0"), b"").unwrap();
    let (_, report) = reopened(dir.path());
    assert!(!report.rebuilt, "{report:?}");
    assert!(report.repairs.iter().any(|repair| repair.contains("moved")), "{report:?}");
    assert!(dir.path().join("db.snapshots-aside-1").exists());
}

#[test]
fn a_log_that_sled_silently_takes_for_empty_is_filled_from_the_changes_file() {
    let dir = used();
    let log = dir.path().join("db/db");
    let mut bytes = fs::read(&log).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(&log, bytes).unwrap();
    let (store, report) = reopened(dir.path());
    assert!(report.repairs[0].contains("restored from the changes file"), "{report:?}");
    assert_eq!(load_ledger_view(store.state().as_ref()), None, "the ledger must replay");
}

#[test]
fn a_database_beyond_repair_is_kept_aside_and_a_new_one_holds_everything() {
    let dir = used();
    let mut report = super::OpenReport::default();
    super::move_database_aside(&dir.path().join("db"), &mut report).unwrap();
    assert!(report.rebuilt && report.repairs[0].contains("beyond repair"), "{report:?}");
    assert!(dir.path().join("db.damaged-1/db").exists(), "the damaged files are kept");
    let (store, _) = reopened(dir.path());
    store.create_org(&org("next")).unwrap();
    drop(store);
    let (store, report) = reopened(dir.path());
    assert_eq!(report, super::OpenReport::default());
    assert!(store.org("next").is_ok());
}

#[test]
fn a_folder_that_cannot_be_written_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("db"), b"a file where the database's folder should be").unwrap();
    let refused = open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("opening the database"), "{refused}");
    assert!(dir.path().join("db").is_file(), "nothing was moved");
}
