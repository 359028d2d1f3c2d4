//! A binding that flips between two versions while requests come: none fails, each is decided by
//! one of the two, and the process grows no further.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;
use turnpike_tests::{Caller, Setup, Stage, chat};

use super::{to, upload_answering};

/// Requests come five milliseconds apart, 200 a second where the machine keeps up.
const EVERY: Duration = Duration::from_millis(5);
/// Between two flips.
const FLIP_EVERY: Duration = Duration::from_millis(100);
/// Seconds of it, unless the environment says otherwise.
const SECONDS: u64 = 6;
/// The environment's word for more: `TURNPIKE_RELOAD_SECONDS=60` is the whole promise.
const SECONDS_VARIABLE: &str = "TURNPIKE_RELOAD_SECONDS";
/// Requests that may be under way at once.
const CLIENTS: usize = 8;
/// Bytes that the process may grow by, once it has seen a third of the flips: far below what even
/// one copy of a policy for each would take.
const GROWTH_MAX: usize = 48 << 20;

/// Asks until told to stop; how often each of the two decided.
async fn ask_on(caller: Caller, labels: [String; 2], stop: Arc<AtomicBool>) -> Result<[u64; 2]> {
    let mut count = [0, 0];
    let mut ticks = tokio::time::interval(EVERY * u32::try_from(CLIENTS)?);
    while !stop.load(Ordering::Acquire) {
        ticks.tick().await;
        let answer = caller.chat(&chat("auto", "hello")).await?;
        if answer.status != 200 {
            bail!("status {}: {}", answer.status, answer.text);
        }
        let by = answer.header("x-turnpike-policy");
        let decided: Vec<usize> = (0..2).filter(|at| by.contains(&labels[*at])).collect();
        let [one] = &*decided else { bail!("decided by {by:?}, expected one of {labels:?}") };
        count[*one] += 1;
    }
    Ok(count)
}

/// How long it goes on.
fn seconds() -> Result<u64> {
    match std::env::var(SECONDS_VARIABLE) {
        Ok(text) => text.parse().with_context(|| format!("{SECONDS_VARIABLE} is in seconds")),
        Err(_) => Ok(SECONDS),
    }
}

fn resident(stage: &Stage) -> Result<usize> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", stage.gateway()?.pid()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()).context("VmRSS")?;
    Ok(kibibytes.parse::<usize>()? << 10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_a_binding_flips_ten_times_a_second() -> Result<()> {
    let credit_usd = "1000".to_owned();
    let stage = Stage::open_with(Setup { credit_usd, ..Setup::default() }).await?;
    let labels = [
        upload_answering(&stage, "flip", "code").await?,
        upload_answering(&stage, "flop", "extraction").await?,
    ];
    stage.bind("classify", &to(&labels[0])).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask_on(stage.caller.clone(), labels.clone(), Arc::clone(&stop)));
    }
    let flips = seconds()? * 10;
    let mut before = 0;
    let mut ticks = tokio::time::interval(FLIP_EVERY);
    for flip in 1..=flips {
        ticks.tick().await;
        stage.bind("classify", &to(&labels[usize::try_from(flip % 2)?])).await?;
        if flip == flips / 3 {
            before = resident(&stage)?;
        }
        if let Some(ended) = clients.try_join_next() {
            bail!("a client gave up after {flip} flips: {ended:?}");
        }
    }
    let after = resident(&stage)?;
    let grown = after.saturating_sub(before);
    stop.store(true, Ordering::Release);
    let mut decided = [0, 0];
    while let Some(client) = clients.join_next().await {
        let [first, second] = client.context("a client crashed")??;
        decided[0] += first;
        decided[1] += second;
    }
    assert!(decided.iter().all(|count| *count > 0), "both decided: {decided:?}");
    let requests = decided[0] + decided[1];
    // Shown by `--no-capture`; how many there were is this machine's and asserts nothing.
    println!(
        "{flips} flips, {requests} requests, none failed; decided by {:?}; resident {} \
         KiB after a third of them, {} KiB after all",
        decided,
        before >> 10,
        after >> 10,
    );
    assert!(grown < GROWTH_MAX, "{grown} bytes more over {} flips", flips - flips / 3);
    Ok(())
}
