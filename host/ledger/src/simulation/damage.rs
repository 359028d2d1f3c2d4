//! What is refused at the opening, and what stops paid work.

use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::{Fault, SimDisk};
use super::view::SimView;
use crate::ledger::writer::Writer;
use crate::{
    CaptureNote, Ledger, LedgerError, Options, Period, PicoUsd, Posted, Reserve, ReserveError,
    TopUp, TransferId, ViewSnapshot, check_storage,
};

fn assemble(disk: &SimDisk, view: Option<&ViewSnapshot>) -> Result<(Ledger, Writer), LedgerError> {
    let storage: Arc<dyn crate::Storage> = Arc::new(disk.clone());
    let options = Options { storage: Some(storage), segment_bytes: 400, ..Options::at("") };
    Ledger::assemble(options, view)
}

fn top_up(number: u8) -> TopUp<'static> {
    let (id, amount) = (TransferId([number; 16]), PicoUsd::from_usd(1));
    TopUp { id, org: "acme", amount, channel: "manual", reference: "r", at_ms: 1 }
}

/// A journal of several files, written one entry at a time.
fn written() -> SimDisk {
    let disk = SimDisk::new(1);
    let (ledger, mut writer) = assemble(&disk, None).unwrap();
    for number in 1..=20 {
        ledger.top_up(&top_up(number)).unwrap();
        writer.commit().unwrap();
    }
    disk
}

fn journal_files(disk: &SimDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.ends_with(".journal")).collect()
}

#[test]
fn damage_before_the_tail_is_refused_and_nothing_is_cut() {
    let names = journal_files(&written());
    assert!(names.len() > 3);
    for name in &names[..names.len() - 1] {
        let disk = written();
        let len = disk.len(name);
        disk.damage(name, len / 2);
        let refused = assemble(&disk, None).err();
        assert!(matches!(refused, Some(LedgerError::Corrupt { .. })), "{refused:?}");
        assert_eq!(disk.len(name), len);
        let report = check_storage(&disk, None).unwrap();
        assert!(!report.is_sound() && report.problems[0].contains(name.as_str()), "{report}");
    }
}

#[test]
fn a_file_that_is_missing_or_short_is_refused() {
    let names = journal_files(&written());
    for name in &names[..names.len() - 1] {
        let disk = written();
        crate::Storage::remove(&disk, name).unwrap();
        let refused = assemble(&disk, None).err();
        assert!(matches!(refused, Some(LedgerError::Corrupt { .. })), "{refused:?}");
        let disk = written();
        disk.cut(name, disk.len(name) - 1);
        let refused = assemble(&disk, None).err();
        assert!(matches!(refused, Some(LedgerError::Corrupt { .. })), "{refused:?}");
    }
}

/// A frame in the newest file that later frames prove to have been safe is not a torn tail.
#[test]
fn damage_in_the_newest_file_is_told_from_a_torn_tail() {
    let disk = SimDisk::new(1);
    let storage: Arc<dyn crate::Storage> = Arc::new(disk.clone());
    let (ledger, mut writer) =
        Ledger::assemble(Options { storage: Some(storage), ..Options::at("") }, None).unwrap();
    for number in 1..=9 {
        ledger.top_up(&top_up(number)).unwrap();
        writer.commit().unwrap();
    }
    drop((ledger, writer));
    let name = journal_files(&disk).remove(0);
    let len = disk.len(&name);
    disk.cut(&name, len - 3);
    let (ledger, writer) = assemble(&disk, None).unwrap();
    assert_eq!(ledger.health().last_seq, 8, "a torn last frame is cut off");
    drop((ledger, writer));
    disk.damage(&name, len / 2);
    let refused = assemble(&disk, None).err();
    assert!(matches!(refused, Some(LedgerError::Corrupt { .. })), "{refused:?}");
}

/// Three entries are safe, and three more are written, each by itself.
fn unsynced() -> (SimDisk, String, Ledger, Writer) {
    let disk = SimDisk::new(1);
    let storage: Arc<dyn crate::Storage> = Arc::new(disk.clone());
    let (ledger, mut writer) =
        Ledger::assemble(Options { storage: Some(storage), ..Options::at("") }, None).unwrap();
    for number in 1..=6 {
        ledger.top_up(&top_up(number)).unwrap();
        writer.write().unwrap();
        if number == 3 {
            writer.commit().unwrap();
        }
    }
    assert_eq!((ledger.health().last_seq, ledger.health().durable_seq), (6, 3));
    let name = journal_files(&disk).remove(0);
    (disk, name, ledger, writer)
}

/// Of several unsynced writes the disk may take a later one first: the hole is where it ends.
#[test]
fn a_hole_between_unsynced_writes_is_a_torn_tail() {
    for (lost, last_seq) in [(0, 3), (1, 4), (2, 5)] {
        let (disk, name, ledger, writer) = unsynced();
        drop((ledger, writer));
        disk.reboot_without(&name, lost);
        let report = check_storage(&disk, None).unwrap();
        assert!(report.is_sound() && report.torn_tail.is_some(), "{report}");
        let (ledger, writer) = assemble(&disk, None).unwrap();
        assert_eq!(ledger.health().last_seq, last_seq);
        drop((ledger, writer));
    }
}

/// Frames that were never synced still prove what was safe when they were written, and no more.
#[test]
fn a_hole_that_a_sync_has_covered_is_damage() {
    let (disk, name, ledger, writer) = unsynced();
    drop((ledger, writer));
    let safe = disk.len(&name);
    disk.reboot_without(&name, 2);
    disk.damage(&name, safe - 3);
    let refused = assemble(&disk, None).err();
    assert!(matches!(refused, Some(LedgerError::Corrupt { .. })), "entry 3: {refused:?}");

    let (disk, name, ledger, mut writer) = unsynced();
    let safe = disk.len(&name);
    writer.commit().unwrap();
    ledger.top_up(&top_up(7)).unwrap();
    writer.write().unwrap();
    drop((ledger, writer));
    disk.damage(&name, safe + 3);
    let refused = assemble(&disk, None).err();
    assert!(matches!(refused, Some(LedgerError::Corrupt { .. })), "entry 4: {refused:?}");
}

/// What nobody waits for is safe soon all the same, and a lot at once.
#[test]
fn nobody_has_to_wait_for_an_entry_to_become_safe() {
    let options = || Options { storage: Some(Arc::new(SimDisk::new(5))), ..Options::at("") };
    let ledger = Ledger::open(options(), None).unwrap();
    let posted = ledger.top_up(&top_up(1)).unwrap();
    while ledger.health().durable_seq < posted.seq() {
        std::thread::yield_now();
    }
    ledger.close().unwrap();

    let (ledger, mut writer) = Ledger::assemble(options(), None).unwrap();
    for number in 1..=1_024_u16 {
        if number == 1_024 {
            writer.write().unwrap();
            assert_eq!(ledger.health().durable_seq, 0, "written and not synced");
        }
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        ledger.top_up(&TopUp { id: TransferId(id), ..top_up(1) }).unwrap();
    }
    writer.write().unwrap();
    assert_eq!(ledger.health().durable_seq, 1_024);
}

#[test]
fn a_failed_disk_stops_paid_work_and_says_so_once() {
    for fault in [Fault::Sync, Fault::Write, Fault::Crash] {
        let disk = SimDisk::new(7);
        let said = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&said);
        let options = Options {
            storage: Some(Arc::new(disk.clone())),
            on_failure: Some(Box::new(move |why| told.lock().push(why.to_owned()))),
            ..Options::at("")
        };
        let ledger = Ledger::open(options, None).unwrap();
        let safe = ledger.top_up(&top_up(1)).unwrap();
        ledger.wait_durable(safe.seq()).unwrap();
        disk.plan(0, fault);
        let lost = ledger.top_up(&top_up(2)).unwrap();
        let waited = ledger.wait_durable(lost.seq());
        assert!(matches!(waited, Err(LedgerError::NotDurable(_))), "{waited:?}");
        let (id, amount) = (TransferId([3; 16]), PicoUsd::from_usd(1));
        let request = Reserve { id, org: "acme", budgets: &[], amount, at_ms: 0, expires_at_ms: 9 };
        assert!(matches!(ledger.reserve(&request), Err(ReserveError::NotDurable(_))));
        assert!(ledger.close().is_err());
        assert_eq!(said.lock().len(), 1);
        assert!(ledger.health().failed.is_some());
    }
}

/// A full disk stops new paid work and nothing else: what was booked is kept, requests under way
/// come to their end, those who wait are told, and all of it is written once there is space.
#[test]
fn a_full_disk_is_waited_for_and_loses_nothing() {
    let disk = SimDisk::new(11);
    let said = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&said);
    let options = Options {
        storage: Some(Arc::new(disk.clone())),
        on_full: Some(Box::new(move |why| told.lock().push(why.map(str::to_owned)))),
        on_failure: Some(Box::new(|why| panic!("failed: {why}"))),
        ..Options::at("")
    };
    let ledger = Ledger::open(options, None).unwrap();
    let safe = ledger.top_up(&top_up(1)).unwrap();
    ledger.wait_durable(safe.seq()).unwrap();
    let (id, amount) = (TransferId([3; 16]), PicoUsd::from_usd(1));
    let request = Reserve { id, org: "acme", budgets: &[], amount, at_ms: 0, expires_at_ms: 9 };
    let hold = ledger.reserve(&request).unwrap();
    ledger.wait_durable(hold.seq).unwrap();
    disk.plan(0, Fault::Full);
    let late = ledger.top_up(&top_up(2)).unwrap();
    let waited = ledger.wait_durable(late.seq());
    assert!(matches!(waited, Err(LedgerError::DiskFull(_))), "{waited:?}");
    let refused = ledger.reserve(&Reserve { id: TransferId([4; 16]), ..request });
    assert!(matches!(refused, Err(ReserveError::DiskFull(_))), "{refused:?}");
    let refused = ledger.top_up(&top_up(5));
    assert!(matches!(refused, Err(LedgerError::DiskFull(_))), "{refused:?}");
    let extended = ledger.extend_to(id, amount, 99, 1).unwrap();
    assert!(extended.new, "a request under way keeps its hold");
    let captured = ledger.capture(id, amount, CaptureNote::Complete, PicoUsd::ZERO, 2).unwrap();
    assert!(ledger.health().full.is_some() && ledger.health().failed.is_none());
    disk.free();
    while ledger.health().full.is_some() {
        std::thread::yield_now();
    }
    ledger.wait_durable(captured.seq).unwrap();
    assert_eq!(ledger.top_up(&top_up(2)).unwrap(), Posted::Exists { seq: late.seq() });
    ledger.close().unwrap();
    let said = std::mem::take(&mut *said.lock());
    assert!(matches!(&said[..], [Some(_), None]), "{said:?}");
    let report = check_storage(&disk, None).unwrap();
    assert!(report.is_sound() && report.entries == captured.seq, "{report}");
}

/// Who stops a gateway whose disk stays full is told that something was not written.
#[test]
fn closing_on_a_full_disk_says_what_was_not_written() {
    let disk = SimDisk::new(12);
    let (ledger, writer) = assemble(&disk, None).unwrap();
    let thread = std::thread::spawn(|| writer.run());
    let safe = ledger.top_up(&top_up(1)).unwrap();
    ledger.wait_durable(safe.seq()).unwrap();
    disk.plan(0, Fault::Full);
    let lost = ledger.top_up(&top_up(2)).unwrap();
    assert!(ledger.wait_durable(lost.seq()).is_err());
    ledger.shared.start_closing();
    thread.join().unwrap();
    let failed = ledger.health().failed.unwrap();
    assert!(failed.contains("after entry 1"), "{failed}");
    drop(ledger);
    disk.free();
    let (ledger, _writer) = assemble(&disk, None).unwrap();
    assert_eq!(ledger.health().last_seq, 1, "what was safe is there");
}

/// After a failed sync the system shows from its memory what the disk never got, and a later sync
/// of another process does not write it: the next start does.
#[test]
fn what_a_failed_sync_left_in_memory_is_written_again_by_the_next_process() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let (ledger, mut writer) = assemble(&disk, None).unwrap();
        ledger.top_up(&top_up(1)).unwrap();
        writer.commit().unwrap();
        ledger.top_up(&top_up(2)).unwrap();
        disk.plan(0, Fault::Sync);
        assert!(writer.commit().is_err());
        drop((ledger, writer));
        disk.next_process();
        let (ledger, mut writer) = assemble(&disk, None).unwrap();
        assert_eq!(ledger.health().durable_seq, 2, "reading shows it");
        ledger.top_up(&top_up(3)).unwrap();
        writer.commit().unwrap();
        drop((ledger, writer));
        disk.reboot();
        let (ledger, _writer) = assemble(&disk, None).unwrap();
        assert_eq!(ledger.health().last_seq, 3, "seed {seed}: the power cut took nothing");
    }
}

#[test]
fn a_view_of_another_journal_or_of_a_longer_one_is_refused() {
    let view = SimView::default();
    let disk = SimDisk::new(3);
    let options = Options {
        storage: Some(Arc::new(disk.clone())),
        view_sink: Some(Box::new(view.clone())),
        ..Options::at("")
    };
    let (ledger, mut writer) = Ledger::assemble(options, None).unwrap();
    writer.start();
    ledger.set_budget("key", None, Period::Total, 1).unwrap();
    ledger.top_up(&top_up(1)).unwrap();
    writer.commit().unwrap();
    drop((ledger, writer));
    let view = view.current().unwrap();
    let report = check_storage(&disk, Some(&view)).unwrap();
    assert!(report.is_sound(), "{report}");
    drop(assemble(&disk, Some(&view)).unwrap());

    let other = assemble(&written(), Some(&view)).err();
    assert!(matches!(other, Some(LedgerError::ViewMismatch(_))), "{other:?}");
    let empty = assemble(&SimDisk::new(4), Some(&view)).err();
    assert!(matches!(empty, Some(LedgerError::ViewAhead { view: 2, journal: 0 })), "{empty:?}");
    let mut wrong = view.clone();
    wrong.orgs[0].credit = PicoUsd(1);
    let sums = assemble(&disk, Some(&wrong)).err();
    assert!(matches!(sums, Some(LedgerError::ViewMismatch(_))), "{sums:?}");
    wrong.orgs[0] = view.orgs[0].clone();
    wrong.budgets.clear();
    assert!(!check_storage(&disk, Some(&wrong)).unwrap().is_sound());
}
