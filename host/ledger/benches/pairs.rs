//! Reserve and capture from two threads: what one pair costs its caller and the journal's thread.
//! `cargo bench -p turnpike-ledger` prints it; on Linux only, which counts each thread's time.
#![allow(clippy::print_stdout, reason = "a benchmark says what it measured")]
#![allow(clippy::unwrap_used, reason = "a benchmark that fails should panic")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(missing_docs, reason = "no library")]

use std::fs;
use std::time::{Duration, Instant};

use turnpike_ledger::{CaptureNote, Ledger, Options, Period, PicoUsd, Reserve, TopUp, TransferId};

const THREADS: u64 = 2;

/// Pairs that a paced caller makes between two naps of a millisecond: 10 000 a second in all.
const PACED_BURST: u64 = 5;

/// What a thread has used so far: CPU nanoseconds and voluntary switches (it slept).
#[derive(Clone, Copy)]
struct Used {
    cpu_ns: u64,
    sleeps: u64,
}

fn used(task: &str) -> Used {
    let stat = fs::read_to_string(format!("{task}/schedstat")).unwrap();
    let status = fs::read_to_string(format!("{task}/status")).unwrap();
    let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Used {
        cpu_ns: stat.split_whitespace().next().unwrap().parse().unwrap(),
        sleeps: sleeps.unwrap().trim().parse().unwrap(),
    }
}

fn writer_task() -> String {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let mut tasks = tasks.map(|task| task.unwrap().path().to_string_lossy().into_owned());
    let is_writer = |task: &String| {
        fs::read_to_string(format!("{task}/comm")).is_ok_and(|comm| comm.trim() == "ledger-journal")
    };
    tasks.find(is_writer).unwrap()
}

fn pair(ledger: &Ledger, number: u128) {
    let id = TransferId(number.to_be_bytes());
    let budgets = [("org", 1), ("key", 1)];
    let amount = PicoUsd(1_000_000);
    let request =
        Reserve { id, org: "acme", budgets: &budgets, amount, at_ms: 1, expires_at_ms: 1_000 };
    while ledger.reserve(&request).is_err() {
        std::thread::yield_now();
    }
    ledger.capture(id, PicoUsd(700_000), CaptureNote::Complete, PicoUsd::ZERO, 2).unwrap();
}

fn run(name: &str, paced: bool, time: Duration) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let ledger = Ledger::open(Options::at(dir.path()), None).unwrap();
    let (id, amount) = (TransferId([255; 16]), PicoUsd::from_usd(1_000_000));
    let top_up = TopUp { id, org: "acme", amount, channel: "manual", reference: "b", at_ms: 1 };
    ledger.top_up(&top_up).unwrap();
    for budget in ["org", "key"] {
        let posted = ledger.set_budget(budget, None, Period::Total, 1).unwrap();
        ledger.wait_durable(posted.seq()).unwrap();
    }
    let task = writer_task();
    let (before, start) = (used(&task), Instant::now());
    let callers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let ledger = &ledger;
                scope.spawn(move || {
                    let mut pairs = 0_u64;
                    while start.elapsed() < time {
                        for _ in 0..PACED_BURST {
                            pair(ledger, (u128::from(thread) << 64) + u128::from(pairs));
                            pairs += 1;
                        }
                        if paced {
                            let next = Duration::from_millis(pairs / PACED_BURST);
                            std::thread::sleep(next.saturating_sub(start.elapsed()));
                        }
                    }
                    (pairs, used("/proc/thread-self").cpu_ns)
                })
            })
            .collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap());
        ended.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    let (after, ms) = (used(&task), u64::try_from(start.elapsed().as_millis()).unwrap());
    let (pairs, caller_ns) = callers;
    let writer_ns = after.cpu_ns - before.cpu_ns;
    println!(
        "{name}: {} pairs/s; CPU per pair: callers {} ns, writer {} ns; \
         writer: {} sleeps/s, {}.{} % of a processor",
        pairs * 1000 / ms,
        caller_ns / pairs,
        writer_ns / pairs,
        (after.sleeps - before.sleeps) * 1000 / ms,
        writer_ns / ms / 10_000,
        writer_ns / ms / 1_000 % 10,
    );
    ledger.close().unwrap();
}

fn main() {
    // `cargo test --all-targets` only wants to know that it runs.
    let measured = std::env::args().any(|arg| arg == "--bench");
    let time = Duration::from_millis(if measured { 4_000 } else { 50 });
    run("paced", true, time);
    run("flat out", false, time);
}
