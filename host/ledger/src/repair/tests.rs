#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows should panic")]

use super::*;
use crate::{
    CaptureNote, Ledger, Options, Period, PicoUsd, Reserve, TopUp, TransferId, check, copy_journal,
};

const ORG: &str = "acme";

fn id(number: u8) -> TransferId {
    TransferId([number; 16])
}

/// Three requests of 1 USD each, each entry synced by itself: what entries 3 to 11 are is in the
/// comments.
fn journal() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(Options::at(dir.path()), None).unwrap();
    let top_up = |number, amount| TopUp {
        id: id(number),
        org: ORG,
        amount: PicoUsd::from_usd(amount),
        channel: "manual",
        reference: "",
        at_ms: 1,
    };
    let safe = |seq| ledger.wait_durable(seq).unwrap();
    safe(ledger.top_up(&top_up(1, 10)).unwrap().seq());
    safe(ledger.set_budget("key", Some(PicoUsd::from_usd(9)), Period::Total, 1).unwrap().seq());
    for number in 10..13 {
        // 3, 5, 7: holds; 4, 6, 8: captures.
        let (budgets, amount) = ([("key", 0)], PicoUsd::from_usd(1));
        let hold = Reserve {
            id: id(number),
            org: ORG,
            budgets: &budgets,
            amount,
            at_ms: 2,
            expires_at_ms: 9,
        };
        safe(ledger.reserve(&hold).unwrap().seq);
        let (note, none) = (CaptureNote::Complete, PicoUsd::ZERO);
        safe(ledger.capture(id(number), amount, note, none, 3).unwrap().seq);
    }
    safe(ledger.top_up(&top_up(2, 5)).unwrap().seq());
    safe(ledger.top_up(&top_up(3, 1)).unwrap().seq());
    ledger.close().unwrap();
    dir
}

/// Flips a bit in the middle of an entry's frame.
fn damage(dir: &Path, seq: u64) {
    let path = dir.join(segment_name(1));
    let mut bytes = std::fs::read(&path).unwrap();
    let mut walk = SegmentWalk::start(&bytes, 1, None).unwrap();
    while walk.next_seq < seq {
        walk.step().unwrap();
    }
    let place = walk.offset + 50;
    bytes[place] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_before_the_damage_and_what_still_follows_after_it_is_saved() {
    let dir = journal();
    damage(dir.path(), 5);
    assert!(!check(dir.path(), None).unwrap().is_sound());
    let before = std::fs::read(dir.path().join(segment_name(1))).unwrap();
    let to = tempfile::tempdir().unwrap();
    let report = repair(dir.path(), to.path()).unwrap();
    assert_eq!((report.kept, report.booked_again), (4, 4), "{report}");
    assert_eq!(report.lost, [(5, 5)]);
    let [(left, why)] = &report.left_out[..] else { panic!("{report}") };
    assert_eq!((left.seq, left.label()), (6, "capture"), "the lost hold's");
    assert!(why.contains("among the lost"), "{why}");
    let report = check(to.path(), None).unwrap();
    assert!(report.is_sound() && report.entries == 8, "{report}");
    let ledger = Ledger::open(Options::at(to.path()), None).unwrap();
    let balance = ledger.balance(ORG);
    assert_eq!((balance.available, balance.spent), (PicoUsd::from_usd(14), PicoUsd::from_usd(2)));
    let after = std::fs::read(dir.path().join(segment_name(1))).unwrap();
    assert_eq!(after, before, "the damaged files are as they were");
}

#[test]
fn a_lost_extension_or_top_up_leaves_out_what_needs_it_and_nothing_else() {
    let dir = journal();
    damage(dir.path(), 1);
    let to = tempfile::tempdir().unwrap();
    let report = repair(dir.path(), to.path()).unwrap();
    // Without the first top-up no hold is covered, and no capture has its hold.
    assert_eq!(report.left_out.len(), 6, "{report}");
    assert_eq!((report.kept, report.booked_again), (0, 3), "{report}");
    let report = check(to.path(), None).unwrap();
    assert!(report.is_sound(), "{report}");
}

#[test]
fn a_sound_journal_and_a_torn_tail_need_no_repair() {
    let dir = journal();
    let path = dir.path().join(segment_name(1));
    let len = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 3).unwrap();
    let to = tempfile::tempdir().unwrap();
    let report = repair(dir.path(), to.path()).unwrap();
    assert_eq!((report.damage.len(), report.kept), (0, 9), "{report}");
    assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 0);
}

#[test]
fn a_copy_taken_while_the_ledger_writes_is_sound_and_has_all_that_was_safe() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 20_000, ..Options::at(dir.path()) };
    let ledger = Ledger::open(options, None).unwrap();
    let copies = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for number in 0..20_000_u32 {
                let mut id = [0; 16];
                id[..4].copy_from_slice(&number.to_be_bytes());
                let (id, amount) = (TransferId(id), PicoUsd(1));
                let (org, channel, reference) = (ORG, "manual", "");
                let top_up = TopUp { id, org, amount, channel, reference, at_ms: 1 };
                while ledger.top_up(&top_up).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        let mut copies = 0;
        while !writing.is_finished() || copies == 0 {
            let to = tempfile::tempdir().unwrap();
            let safe = ledger.health().durable_seq;
            let copied = copy_journal(dir.path(), to.path()).unwrap();
            let report = check(to.path(), None).unwrap();
            assert!(report.is_sound() && report.torn_tail.is_none(), "{report}");
            assert_eq!((report.entries, report.bytes), (copied.last_seq, copied.bytes));
            assert!(copied.last_seq >= safe);
            copies += 1;
        }
        copies
    });
    assert!(copies > 0);
    damage(dir.path(), 3);
    let to = tempfile::tempdir().unwrap();
    let refused = copy_journal(dir.path(), to.path());
    assert!(matches!(refused, Err(LedgerError::Corrupt { .. })), "{refused:?}");
}
