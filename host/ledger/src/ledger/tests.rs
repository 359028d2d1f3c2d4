//! What the ledger promises its callers, on real files where it matters.
#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows should panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::{
    Adjust, CaptureNote, Direction, Ending, Posted, Reserve, ReserveError, SettleError, TopUp,
    TransferId, check, export,
};

const ORG: &str = "acme";
const NOTE: CaptureNote = CaptureNote::Complete;
const ZERO: PicoUsd = PicoUsd::ZERO;

fn usd(text: &str) -> PicoUsd {
    PicoUsd::parse(text).unwrap()
}

fn id(number: u128) -> TransferId {
    TransferId(number.to_be_bytes())
}

fn open(dir: &tempfile::TempDir) -> Ledger {
    Ledger::open(Options::at(dir.path()), None).unwrap()
}

fn funded(dir: &tempfile::TempDir, amount: &str) -> Ledger {
    let ledger = open(dir);
    ledger.top_up(&top_up(1, amount)).unwrap();
    ledger
}

fn top_up(number: u128, amount: &str) -> TopUp<'static> {
    let (channel, reference) = ("manual", "first");
    TopUp { id: id(number), org: ORG, amount: usd(amount), channel, reference, at_ms: 5 }
}

fn request<'a>(number: u128, amount: &str, budgets: &'a [(&'a str, u64)]) -> Reserve<'a> {
    let amount = usd(amount);
    Reserve { id: id(number), org: ORG, budgets, amount, at_ms: 10, expires_at_ms: 1_000 }
}

#[test]
fn a_hold_is_captured_at_the_actual_price_and_the_rest_returns() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = funded(&dir, "10");
    ledger.set_budget("key:1", Some(usd("8")), Period::Month, 5).unwrap();
    let hold = ledger.reserve(&request(2, "6", &[("key:1", 7)])).unwrap();
    assert!(hold.new);
    let balance = ledger.balance(ORG);
    assert_eq!((balance.available, balance.held, balance.spent), (usd("4"), usd("6"), ZERO));
    assert_eq!(ledger.affordable(ORG, &[("key:1", 7)]), usd("2"));
    ledger.capture(hold.id, usd("1.25"), NOTE, usd("0.5"), 20).unwrap();
    let balance = ledger.balance(ORG);
    assert_eq!(balance.available, usd("8.75"));
    assert_eq!((balance.held, balance.spent), (ZERO, usd("1.25")));
    let budget = ledger.budget("key:1", 7).unwrap();
    assert_eq!((budget.spent, budget.held), (usd("1.25"), ZERO));
    assert_eq!(ledger.budget("key:1", 8).unwrap().spent, ZERO, "each window counts by itself");
    ledger.close().unwrap();
    let report = check(dir.path(), None).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.accounts[&crate::Account::Absorbed], 500_000_000_000);
    assert_eq!(report.accounts[&crate::Account::Revenue], 750_000_000_000);
}

/// A settlement that is retried charges once, also after a crash in between.
#[test]
fn pitfall_46_a_repeat_books_nothing_and_a_contradiction_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = funded(&dir, "10");
    let exists = |posted| matches!(posted, Posted::Exists { .. });
    assert!(exists(ledger.top_up(&top_up(1, "10")).unwrap()));
    let changed = ledger.top_up(&top_up(1, "11"));
    assert!(matches!(changed, Err(LedgerError::IdReused(_))));

    let first = ledger.reserve(&request(2, "3", &[])).unwrap();
    let again = ledger.reserve(&request(2, "3", &[])).unwrap();
    assert_eq!((again.seq, again.new), (first.seq, false));
    let other = ledger.reserve(&request(2, "4", &[]));
    assert_eq!(other, Err(ReserveError::AlreadyUsed(id(2))));

    let over = ledger.capture(id(2), usd("3.000000000001"), NOTE, ZERO, 20);
    assert!(matches!(over, Err(SettleError::OverCapture { .. })));
    let captured = ledger.capture(id(2), usd("2"), NOTE, ZERO, 20).unwrap();
    let repeat = ledger.capture(id(2), usd("2"), NOTE, ZERO, 99).unwrap();
    assert_eq!((repeat.seq, repeat.new), (captured.seq, false));
    let ending = Ending::Captured { actual: usd("2"), absorbed: ZERO, note: NOTE };
    let refused = Err(SettleError::AlreadySettled { id: id(2), ending });
    assert_eq!(ledger.capture(id(2), usd("1"), NOTE, ZERO, 20), refused);
    assert_eq!(ledger.release(id(2), ZERO, 20), refused);
    assert_eq!(ledger.reserve(&request(2, "3", &[])), Err(ReserveError::AlreadyUsed(id(2))));
    assert_eq!(ledger.release(id(3), ZERO, 20), Err(SettleError::Unknown(id(3))));
    assert_eq!(ledger.balance(ORG).available, usd("8"));
    ledger.close().unwrap();
    drop(ledger);
    let ledger = open(&dir);
    let repeat = ledger.capture(id(2), usd("2"), NOTE, ZERO, 99).unwrap();
    assert_eq!((repeat.seq, repeat.new), (captured.seq, false), "nor after a restart");
    assert_eq!(ledger.release(id(2), ZERO, 99), refused);
    assert_eq!(ledger.balance(ORG).available, usd("8"));
}

/// Pitfall 51: one counter that refuses leaves every other, and the credit, as they were.
#[test]
fn a_hold_takes_credit_and_every_budget_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = funded(&dir, "10");
    ledger.set_budget("team", Some(usd("5")), Period::Total, 5).unwrap();
    ledger.set_budget("key", Some(usd("2")), Period::Total, 5).unwrap();
    let both = [("team", 0), ("key", 0)];
    let refused = ledger.reserve(&request(2, "3", &both));
    let (budget, remaining) = (Arc::from("key"), usd("2"));
    assert_eq!(refused, Err(ReserveError::BudgetExceeded { budget, remaining }));
    assert_eq!(ledger.budget("team", 0).unwrap().held, ZERO);
    assert_eq!(ledger.balance(ORG).held, ZERO);
    let refused = ledger.reserve(&request(2, "3", &[("team", 0), ("nobody", 0)]));
    assert_eq!(refused, Err(ReserveError::UnknownBudget(Arc::from("nobody"))));
    let refused = ledger.reserve(&request(2, "11", &[]));
    assert_eq!(refused, Err(ReserveError::InsufficientCredit { available: usd("10") }));
    assert!(ledger.reserve(&request(2, "2", &both)).unwrap().new, "a refusal burns no id");
}

#[test]
fn a_stream_extends_its_hold_within_the_same_limits() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = funded(&dir, "10");
    ledger.set_budget("key", Some(usd("4")), Period::Total, 5).unwrap();
    let hold = ledger.reserve(&request(2, "3", &[("key", 0)])).unwrap();
    let grown = ledger.extend_to(hold.id, usd("4"), 2_000, 20).unwrap();
    assert_eq!((grown.amount, grown.new), (usd("4"), true));
    assert!(!ledger.extend_to(hold.id, usd("4"), 2_000, 20).unwrap().new);
    let refused = ledger.extend_to(hold.id, usd("4.5"), 2_000, 20);
    assert!(matches!(refused, Err(ReserveError::BudgetExceeded { .. })));
    assert_eq!(ledger.expire_due(1_999).unwrap(), []);
    ledger.capture(hold.id, usd("4"), NOTE, ZERO, 30).unwrap();
    assert_eq!(ledger.extend_to(hold.id, usd("5"), 0, 40), Err(ReserveError::Unknown(hold.id)));
    assert_eq!(ledger.balance(ORG).available, usd("6"));
}

/// Pitfall 52: a hold that nobody settles is listed and returns.
#[test]
fn holds_open_at_a_crash_stay_visible_until_they_expire() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = funded(&dir, "10");
    ledger.set_budget("key", Some(usd("9")), Period::Hour, 5).unwrap();
    let hold = ledger.reserve(&request(2, "6", &[("key", 1)])).unwrap();
    ledger.wait_durable(hold.seq).unwrap();
    drop(ledger);
    let ledger = open(&dir);
    assert_eq!(ledger.open_holds(10)[0].id, hold.id);
    assert_eq!(ledger.budget("key", 1).unwrap().held, usd("6"));
    assert_eq!(ledger.expire_due(999).unwrap(), []);
    assert_eq!(ledger.expire_due(1_000).unwrap(), [hold.id]);
    assert_eq!(ledger.balance(ORG).available, usd("10"));
    assert_eq!(ledger.budget("key", 1).unwrap().held, ZERO);
    let late = ledger.capture(hold.id, usd("1"), NOTE, ZERO, 1_001);
    let ending = Ending::Expired;
    assert_eq!(late, Err(SettleError::AlreadySettled { id: hold.id, ending }));
    ledger.close().unwrap();
    assert_eq!(check(dir.path(), None).unwrap().expired_holds, 1);
}

/// What a dead process held for, nobody can settle: it returns at the next start.
#[test]
fn holds_of_a_dead_process_end_whatever_time_they_have_left() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = funded(&dir, "10");
    let hold = ledger.reserve(&request(2, "6", &[])).unwrap();
    ledger.wait_durable(hold.seq).unwrap();
    drop(ledger);
    let ledger = open(&dir);
    assert_eq!(ledger.expire_orphans(50).unwrap(), [hold.id]);
    assert_eq!(ledger.expire_orphans(50).unwrap(), []);
    assert_eq!(ledger.balance(ORG).available, usd("10"));
    let new = ledger.reserve(&request(3, "6", &[])).unwrap();
    ledger.capture(new.id, usd("1"), NOTE, ZERO, 60).unwrap();
    ledger.close().unwrap();
    let report = check(dir.path(), None).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.expired_holds, 1);
}

#[test]
fn a_window_closes_when_newer_ones_have_pushed_it_out() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = funded(&dir, "100");
    ledger.set_budget("key", Some(usd("1")), Period::Day, 5).unwrap();
    for window in 1..=5 {
        let hold = ledger.reserve(&request(u128::from(window) + 10, "1", &[("key", window)]));
        ledger.capture(hold.unwrap().id, usd("1"), NOTE, ZERO, 20).unwrap();
    }
    let (budget, window) = (Arc::from("key"), 1);
    let late = ledger.reserve(&request(9, "1", &[("key", 1)]));
    assert_eq!(late, Err(ReserveError::WindowClosed { budget, window }));
    let spent = ledger.reserve(&request(9, "1", &[("key", 2)]));
    assert!(matches!(spent, Err(ReserveError::BudgetExceeded { .. })));
}

#[test]
fn an_operator_corrects_but_never_overdraws() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = funded(&dir, "10");
    let (reference, reason, at_ms) = ("case 12", "chargeback", 9);
    let debit = |number, amount| {
        let (id, amount, direction) = (id(number), usd(amount), Direction::Debit);
        ledger.adjust(&Adjust { id, org: ORG, direction, amount, reference, reason, at_ms })
    };
    assert!(matches!(debit(2, "10.5"), Err(LedgerError::Insufficient { .. })));
    assert!(matches!(debit(2, "4"), Ok(Posted::New { .. })));
    assert!(matches!(debit(2, "4"), Ok(Posted::Exists { .. })), "also when less is left");
    assert!(matches!(debit(1, "4"), Err(LedgerError::IdReused(_))), "an id of another kind");
    assert_eq!(ledger.balance(ORG).available, usd("6"));
}

/// Pitfalls 51 and 53: 64 threads against one budget and one credit spend it to the last pico and
/// never above.
#[test]
fn no_number_of_threads_passes_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir);
    let credit = PicoUsd(1_000_007);
    ledger.top_up(&TopUp { amount: credit, ..top_up(1, "1") }).unwrap();
    let limit = PicoUsd(600_003);
    ledger.set_budget("key", Some(limit), Period::Total, 5).unwrap();
    let (spent, next) = (AtomicU64::new(0), AtomicU64::new(100));
    std::thread::scope(|scope| {
        for thread in 0..64_u64 {
            let (ledger, spent, next) = (&ledger, &spent, &next);
            scope.spawn(move || {
                let mut amount = 997 + thread * 31;
                while amount > 0 {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let budgets = [("key", 0)];
                    let wanted = PicoUsd(u128::from(amount));
                    let hold =
                        Reserve { amount: wanted, ..request(u128::from(number), "0", &budgets) };
                    match ledger.reserve(&hold) {
                        Err(ReserveError::BudgetExceeded { .. }) => amount /= 2,
                        Err(ReserveError::Overloaded) => std::thread::yield_now(),
                        Err(error) => panic!("{error}"),
                        Ok(hold) if number % 3 == 0 => {
                            ledger.release(hold.id, ZERO, 20).unwrap();
                        }
                        Ok(hold) => {
                            ledger.capture(hold.id, wanted, NOTE, ZERO, 20).unwrap();
                            spent.fetch_add(amount, Ordering::Relaxed);
                        }
                    }
                    let budget = ledger.budget("key", 0).unwrap();
                    assert!(budget.spent.checked_add(budget.held).unwrap() <= limit);
                }
            });
        }
    });
    let budget = ledger.budget("key", 0).unwrap();
    assert_eq!(budget.spent, PicoUsd(u128::from(spent.into_inner())));
    assert_eq!((budget.spent, budget.held), (limit, ZERO), "spent to the last pico");
    assert_eq!(ledger.balance(ORG).available, credit.checked_sub(limit).unwrap());
    ledger.close().unwrap();
    let report = check(dir.path(), None).unwrap();
    assert!(report.is_sound(), "{report}");
}

/// Pitfall 56: charges at once on the same counters, named in whatever order, with repeats of each:
/// none is lost to another, none deadlocks, and none counts twice.
#[test]
fn no_charge_is_lost_to_another_on_the_same_counters() {
    const THREADS: u128 = 16;
    const EACH: u128 = 60;
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir);
    ledger.top_up(&top_up(1, "100")).unwrap();
    let names = ["key", "team", "organization"];
    for name in names {
        ledger.set_budget(name, Some(usd("100")), Period::Total, 5).unwrap();
    }
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let ledger = &ledger;
            scope.spawn(move || {
                for number in 0..EACH {
                    let mut budgets = names.map(|name| (name, 0));
                    budgets.rotate_left(usize::try_from(thread % 3).unwrap());
                    let id = 1_000 + thread * EACH + number;
                    let hold = loop {
                        match ledger.reserve(&request(id, "0.001", &budgets)) {
                            Ok(hold) => break hold,
                            Err(ReserveError::Overloaded) => std::thread::yield_now(),
                            Err(error) => panic!("{error}"),
                        }
                    };
                    let amount = PicoUsd(thread * 1_000 + number + 1);
                    for _ in 0..2 {
                        ledger.capture(hold.id, amount, NOTE, ZERO, 20).unwrap();
                    }
                }
            });
        }
    });
    let sum = THREADS * (0..EACH).map(|number| number + 1).sum::<u128>()
        + EACH * (0..THREADS).map(|thread| thread * 1_000).sum::<u128>();
    let seen = |ledger: &Ledger| {
        for name in names {
            let budget = ledger.budget(name, 0).unwrap();
            assert_eq!((budget.spent, budget.held), (PicoUsd(sum), ZERO), "{name}");
        }
        let left = usd("100").checked_sub(PicoUsd(sum)).unwrap();
        assert_eq!(ledger.balance(ORG).available, left);
    };
    seen(&ledger);
    ledger.close().unwrap();
    drop(ledger);
    seen(&open(&dir));
    let report = check(dir.path(), None).unwrap();
    assert!(report.is_sound(), "{report}");
}

#[test]
fn entries_are_paged_by_organization_and_exported_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 500, ..Options::at(dir.path()) };
    let ledger = Ledger::open(options, None).unwrap();
    for number in 0..40 {
        let org = if number % 4 == 0 { "globex" } else { ORG };
        ledger.top_up(&TopUp { org, ..top_up(number, "1") }).unwrap();
    }
    ledger.wait_durable(40).unwrap();
    let first = ledger.entries(Some("globex"), 0, 6).unwrap();
    assert_eq!(first.entries.len(), 6);
    let rest = ledger.entries(Some("globex"), first.next_after_seq.unwrap(), 100).unwrap();
    assert_eq!((rest.entries.len(), rest.next_after_seq), (4, None));
    let all = first.entries.iter().chain(&rest.entries);
    assert!(all.clone().all(|entry| entry.org().is_some_and(|org| **org == *"globex")));
    assert!(all.map(|entry| entry.seq).is_sorted());
    assert_eq!(ledger.entries(None, 38, 100).unwrap().entries.len(), 2);
    let mut seqs = Vec::new();
    export(dir.path(), |entry| seqs.push(entry.seq)).unwrap();
    assert_eq!(seqs, (1..=40).collect::<Vec<u64>>());
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir);
    let second = Ledger::open(Options::at(dir.path()), None);
    assert!(matches!(second, Err(LedgerError::InUse)));
    drop(ledger);
    drop(open(&dir));
}

#[test]
fn those_who_wait_for_the_disk_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = funded(&dir, "10");
    let hold = ledger.reserve(&request(2, "3", &[])).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let done = move |safe| tell.send(safe).unwrap();
    ledger.on_durable(hold.seq, Box::new(done.clone()));
    assert_eq!(told.recv(), Ok(true));
    ledger.on_durable(hold.seq, Box::new(done.clone()));
    assert_eq!(told.recv(), Ok(true), "also when it already is");
    ledger.on_durable(hold.seq + 1, Box::new(done));
    assert_eq!(told.recv(), Ok(false), "an entry that nobody has made");
    ledger.close().unwrap();
    let closed = ledger.reserve(&request(3, "1", &[]));
    assert!(matches!(closed, Err(ReserveError::NotDurable(_))), "a closed ledger takes nothing");
}

#[test]
fn the_report_has_a_space_between_every_name_and_its_figure() {
    let dir = tempfile::tempdir().unwrap();
    funded(&dir, "10").close().unwrap();
    let report = check(dir.path(), None).unwrap().to_string();
    for name in ["journal", "accounts", "revenue", "absorbed", "adjustment", "verdict"] {
        let line = report.lines().find(|line| line.starts_with(name));
        let rest = line.and_then(|line| line.strip_prefix(name));
        assert!(rest.is_some_and(|rest| rest.starts_with(' ')), "{name} in {report}");
    }
}
