//! The ledger run against a disk that tears, loses, fails, fills up, decays and crashes, by a
//! seeded random generator and without threads, so that every run can be repeated. Only in tests.
//!
//! `TURNPIKE_LEDGER_SEED=N` repeats the run of one seed; `TURNPIKE_LEDGER_RUNS=N` does more.
#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows should panic")]

mod damage;
mod disk;
mod every_step;
mod file;
mod model;
mod operations;
mod view;
mod world;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use world::World;

/// Random operations of one run, crashes and reopenings included. After each one every account,
/// counter and hold is compared with what the entries add up to.
const STEPS: u32 = 400;

/// Runs of each of the four tests, each with its own seed: two and a half million operations.
const RUNS: u64 = 1_600;

/// Says which seed to repeat.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the simulation failed; repeat it with TURNPIKE_LEDGER_SEED={}", self.0);
        }
    }
}

/// One run; the hash of the last frame, which stands for all that was booked.
fn run(seed: u64) -> [u8; 16] {
    let seed = Seed(seed);
    let mut rng = StdRng::seed_from_u64(seed.0);
    let settled_window = if rng.random_bool(0.5) { 262_144 } else { 40 };
    let mut world = World::new(rng, settled_window);
    for _ in 0..STEPS {
        world.step();
        world.prove();
    }
    world.crash();
    world.prove_files();
    world.settle_all();
    world.prove_files();
    world.last_hash()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// The runs of one of four tests, which a test runner spreads over the processors.
fn runs(quarter: u64) {
    if let Some(seed) = number("TURNPIKE_LEDGER_SEED") {
        run(seed);
        return;
    }
    let runs = number("TURNPIKE_LEDGER_RUNS").unwrap_or(RUNS);
    for index in 0..runs {
        run(index * 4 + quarter);
    }
}

/// Pitfalls 46, 51, 52 and 56: exactly one settlement, no counter overshot, none leaked, nothing
/// lost, whatever the disk does.
#[test]
fn money_adds_up_after_any_crash() {
    runs(0);
}

#[test]
fn money_adds_up_after_any_crash_second_quarter() {
    runs(1);
}

#[test]
fn money_adds_up_after_any_crash_third_quarter() {
    runs(2);
}

#[test]
fn money_adds_up_after_any_crash_fourth_quarter() {
    runs(3);
}

#[test]
fn a_seed_repeats_its_run_to_the_last_bit() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}
