//! Properties of budgets: whatever the order of holds, extensions, narrowings and endings, each
//! counter is the sum of what is spent and held on it, no hold passes a limit, and a refusal
//! changes nothing anywhere.
#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows should panic")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{CaptureNote, Reserve, ReserveError, TopUp, TransferId, check};

const ORG: &str = "acme";
const NAMES: [&str; 5] = ["org", "team", "user", "tag", "model"];
const WINDOWS: u64 = 3;
/// Budgets that exist at first; the others are made by the operations, pitfall 51 of those that
/// come into being late.
const MADE_FIRST: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    Limit(usize, Option<u16>),
    Reserve { budgets: u8, window: u64, amount: u16 },
    Extend { hold: usize, total: u16 },
    Narrow { hold: usize, keep: u8 },
    Capture { hold: usize, share: u8 },
    Release { hold: usize },
    Expire,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0..NAMES.len(), proptest::option::of(0_u16..2_000))
            .prop_map(|(budget, limit)| Op::Limit(budget, limit)),
        8 => (any::<u8>(), 0..WINDOWS, 0_u16..400)
            .prop_map(|(budgets, window, amount)| Op::Reserve { budgets, window, amount }),
        3 => (any::<usize>(), 0_u16..800).prop_map(|(hold, total)| Op::Extend { hold, total }),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(hold, keep)| Op::Narrow { hold, keep }),
        5 => (any::<usize>(), any::<u8>()).prop_map(|(hold, share)| Op::Capture { hold, share }),
        2 => any::<usize>().prop_map(|hold| Op::Release { hold }),
        1 => Just(Op::Expire),
    ]
}

/// What the counters should be.
#[derive(Debug, Default)]
struct Model {
    limits: BTreeMap<&'static str, Option<u128>>,
    counters: BTreeMap<(&'static str, u64), (u128, u128)>,
    holds: Vec<(TransferId, u64, Vec<&'static str>, u128)>,
    credit: u128,
    made: u128,
}

impl Model {
    fn used(&self, budget: &'static str, window: u64) -> u128 {
        self.counters.get(&(budget, window)).map_or(0, |(spent, held)| spent + held)
    }

    fn fits(&self, budgets: &[&'static str], window: u64, amount: u128) -> bool {
        let within = |name: &&'static str| match self.limits.get(name) {
            None => false,
            Some(None) => true,
            Some(Some(limit)) => amount <= limit.saturating_sub(self.used(name, window)),
        };
        amount <= self.credit && budgets.iter().all(within)
    }

    fn count(&mut self, budgets: &[&'static str], window: u64, spent: u128, held: i128) {
        for name in budgets {
            let counter = self.counters.entry((name, window)).or_default();
            counter.0 += spent;
            counter.1 = counter.1.checked_add_signed(held).unwrap();
        }
    }

    fn end(&mut self, place: usize, spent: u128) {
        let (_, window, budgets, amount) = self.holds.remove(place);
        self.count(&budgets, window, spent, -i128::try_from(amount).unwrap());
        self.credit += amount - spent;
    }
}

fn chosen(mask: u8) -> Vec<&'static str> {
    (0..).zip(NAMES).filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, name)| name).collect()
}

fn limit(ledger: &Ledger, model: &mut Model, name: &'static str, limit: Option<u16>) {
    let limit = limit.map(u128::from);
    ledger.set_budget(name, limit.map(PicoUsd), Period::Day, 1).unwrap();
    model.limits.insert(name, limit);
}

fn run(ledger: &Ledger, model: &mut Model, op: &Op) {
    let place = |hold: usize, model: &Model| hold.checked_rem(model.holds.len());
    match *op {
        Op::Limit(budget, to) => limit(ledger, model, NAMES[budget], to),
        Op::Reserve { budgets, window, amount } => {
            let (names, amount) = (chosen(budgets), u128::from(amount));
            model.made += 1;
            let id = TransferId(model.made.to_be_bytes());
            let wanted: Vec<_> = names.iter().map(|name| (*name, window)).collect();
            let request = Reserve {
                id,
                org: ORG,
                budgets: &wanted,
                amount: PicoUsd(amount),
                at_ms: 1,
                expires_at_ms: 1_000,
            };
            let fits = model.fits(&names, window, amount);
            let affordable = ledger.affordable(ORG, &wanted);
            let reserved = ledger.reserve(&request);
            assert_eq!(reserved.is_ok(), fits, "{reserved:?}");
            let known = names.iter().all(|name| model.limits.contains_key(name));
            assert_eq!(affordable.0 >= amount && known, fits, "{affordable} {amount}");
            if fits {
                model.count(&names, window, 0, i128::try_from(amount).unwrap());
                model.credit -= amount;
                model.holds.push((id, window, names, amount));
            }
        }
        Op::Extend { hold, total } => {
            let Some(place) = place(hold, model) else { return };
            let (id, window, names, amount) = model.holds[place].clone();
            let extra = u128::from(total).saturating_sub(amount);
            let extended = ledger.extend_to(id, PicoUsd(u128::from(total)), 1_000, 2);
            assert_eq!(extended.is_ok(), extra == 0 || model.fits(&names, window, extra));
            if extended.is_ok() {
                model.count(&names, window, 0, i128::try_from(extra).unwrap());
                model.credit -= extra;
                model.holds[place].3 += extra;
            }
        }
        Op::Narrow { hold, keep } => {
            let Some(place) = place(hold, model) else { return };
            let (id, window, names, amount) = model.holds[place].clone();
            let keep = chosen(keep);
            assert!(ledger.narrow(id, |name| keep.contains(&name), 3).is_ok());
            let (kept, dropped): (Vec<_>, Vec<_>) =
                names.iter().partition(|name| keep.contains(*name));
            model.count(&dropped, window, 0, -i128::try_from(amount).unwrap());
            model.holds[place].2 = kept;
        }
        Op::Capture { hold, share } => {
            let Some(place) = place(hold, model) else { return };
            let (id, _, _, amount) = model.holds[place];
            let spent = amount * u128::from(share) / 255;
            ledger.capture(id, PicoUsd(spent), CaptureNote::Complete, PicoUsd::ZERO, 4).unwrap();
            model.end(place, spent);
        }
        Op::Release { hold } => {
            let Some(place) = place(hold, model) else { return };
            ledger.release(model.holds[place].0, PicoUsd::ZERO, 5).unwrap();
            model.end(place, 0);
        }
        Op::Expire => {
            ledger.expire_due(1_000).unwrap();
            while !model.holds.is_empty() {
                model.end(0, 0);
            }
        }
    }
}

fn compare(ledger: &Ledger, model: &Model) {
    for name in NAMES {
        for window in 0..WINDOWS {
            let (spent, held) = model.counters.get(&(name, window)).copied().unwrap_or_default();
            let counted = ledger.budget(name, window).map(|b| (b.spent.0, b.held.0));
            let made = model.limits.contains_key(name);
            assert_eq!(counted, made.then_some((spent, held)), "{name} {window}");
        }
    }
    assert_eq!(ledger.balance(ORG).available.0, model.credit);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Pitfalls 51, 52 and 53.
    #[test]
    fn counters_are_what_is_spent_and_held_and_never_above_their_limit(
        ops in proptest::collection::vec(op(), 1..80),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(Options::at(dir.path()), None).unwrap();
        let mut model = Model { credit: 20_000, ..Model::default() };
        let first = TopUp {
            id: TransferId([255; 16]),
            org: ORG,
            amount: PicoUsd(model.credit),
            channel: "manual",
            reference: "first",
            at_ms: 0,
        };
        ledger.top_up(&first).unwrap();
        for name in &NAMES[..MADE_FIRST] {
            limit(&ledger, &mut model, name, Some(1_000));
        }
        for op in &ops {
            run(&ledger, &mut model, op);
            compare(&ledger, &model);
        }
        ledger.close().unwrap();
        drop(ledger);
        let report = check(dir.path(), None).unwrap();
        prop_assert!(report.is_sound(), "{report}");
        // What was written can be read again, entries that narrow a hold included.
        let ledger = Ledger::open(Options::at(dir.path()), None).unwrap();
        compare(&ledger, &model);
    }
}

/// Of several budgets that refuse, the first in the caller's order is named.
#[test]
fn the_refusal_names_a_budget_that_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(Options::at(dir.path()), None).unwrap();
    let mut model = Model::default();
    limit(&ledger, &mut model, "org", Some(10));
    limit(&ledger, &mut model, "team", Some(5));
    let id = TransferId([1; 16]);
    let top_up = TopUp {
        id,
        org: ORG,
        amount: PicoUsd(100),
        channel: "manual",
        reference: "first",
        at_ms: 0,
    };
    ledger.top_up(&top_up).unwrap();
    let budgets = [("org", 0), ("team", 0)];
    let request = Reserve {
        id: TransferId([2; 16]),
        org: ORG,
        budgets: &budgets,
        amount: PicoUsd(8),
        at_ms: 1,
        expires_at_ms: 9,
    };
    let Err(ReserveError::BudgetExceeded { budget, remaining }) = ledger.reserve(&request) else {
        panic!("the team's budget should refuse");
    };
    assert_eq!((&*budget, remaining), ("team", PicoUsd(5)));
}
