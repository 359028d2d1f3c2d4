//! `kill -9` at random moments, as often as somebody likes: whatever was acknowledged is in the
//! journal, once, and the journal is proven after each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinSet;
use turnpike_ledger::{Event, TransferId};
use turnpike_tests::{Caller, ORG, Setup, Stage, chat, pico};

use super::{busy, check_ledger};

/// Rounds, unless the environment says otherwise.
const ROUNDS: u64 = 12;
/// The environment's word for more: `TURNPIKE_CRASH_ROUNDS=300` is the whole promise.
const ROUNDS_VARIABLE: &str = "TURNPIKE_CRASH_ROUNDS";
/// Callers at once; every second one reads streams.
const CALLERS: u64 = 12;
/// The longest time under load before the process is killed.
const LOAD_MS_MAX: u64 = 400;
/// One round in so many is killed during its start as well.
const START_KILLED_EVERY: u64 = 4;
/// The longest life of such a start: about as long as a start takes.
const START_MS_MAX: u64 = 600;
const CREDIT_USD: &str = "5000";
const TOP_UP_USD: &str = "0.01";

/// A generator of its own for each purpose, so that a run can be repeated.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % most.max(1)
    }
}

/// What the gateway has promised, over all rounds.
#[derive(Default)]
struct Acknowledged {
    /// Requests whose whole answer came under `durability = "strict"`: their capture is safe.
    captures: Mutex<BTreeSet<[u8; 16]>>,
    /// References of top-ups that were answered.
    top_ups: Mutex<BTreeSet<String>>,
}

async fn call_on(caller: Caller, streams: bool, known: Arc<Acknowledged>, cut: Arc<AtomicBool>) {
    while !cut.load(Ordering::Acquire) {
        let body = chat("auto", "how are you?");
        if streams {
            let Ok(mut answer) = caller.stream(&body).await else { return };
            if answer.read().await.is_err() {
                return;
            }
            continue;
        }
        let Ok(answer) = caller.chat(&body).await else { return };
        if answer.status == 200
            && let Some(id) = TransferId::parse(answer.request_id())
        {
            known.captures.lock().insert(id.0);
        }
    }
}

async fn top_up_on(admin: Caller, round: u64, known: Arc<Acknowledged>, cut: Arc<AtomicBool>) {
    for number in 0.. {
        if cut.load(Ordering::Acquire) {
            return;
        }
        let reference = format!("round-{round}-{number}");
        let body = json!({ "amount_usd": TOP_UP_USD, "reference": reference });
        let path = format!("/admin/v1/orgs/{ORG}/credits/topups");
        let Ok(answer) = admin.call(reqwest::Method::POST, &path, Some(&body)).await else {
            return;
        };
        if answer.status / 100 == 2 {
            known.top_ups.lock().insert(reference);
        }
    }
}

/// Loads the gateway and kills it at any moment.
async fn load_and_kill(
    stage: &mut Stage,
    round: u64,
    dice: &mut Dice,
    known: &Arc<Acknowledged>,
) -> Result<()> {
    let cut = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for index in 0..CALLERS {
        let (known, cut) = (Arc::clone(known), Arc::clone(&cut));
        callers.spawn(call_on(stage.caller.clone(), index % 2 == 0, known, cut));
    }
    let (admin, of_top_ups) = (stage.admin.clone(), Arc::clone(known));
    callers.spawn(top_up_on(admin, round, of_top_ups, Arc::clone(&cut)));
    tokio::time::sleep(Duration::from_millis(dice.up_to(LOAD_MS_MAX))).await;
    stage.kill();
    cut.store(true, Ordering::Release);
    while callers.join_next().await.is_some() {}
    Ok(())
}

/// The journal as it lies there: nothing twice, nothing that was acknowledged missing.
fn compare(stage: &Stage, known: &Acknowledged, round: u64) -> Result<(usize, u128)> {
    let mut captured: BTreeMap<[u8; 16], usize> = BTreeMap::new();
    let mut topped_up: BTreeMap<String, usize> = BTreeMap::new();
    let mut credit = 0;
    turnpike_ledger::export(&stage.data_folder().join("journal"), |entry| match entry.event {
        Event::Capture { hold, .. } => *captured.entry(hold.0).or_default() += 1,
        Event::TopUp { reference, amount, .. } => {
            *topped_up.entry(reference.to_string()).or_default() += 1;
            credit += amount.0;
        }
        _ => {}
    })
    .context("the journal can't be read")?;
    let twice = captured.values().chain(topped_up.values()).filter(|count| **count > 1).count();
    assert_eq!(twice, 0, "round {round}: booked twice");
    let captures = known.captures.lock();
    let missing = captures.iter().filter(|id| !captured.contains_key(*id)).count();
    assert_eq!(missing, 0, "round {round}: acknowledged captures are missing");
    let missing: Vec<String> = known
        .top_ups
        .lock()
        .iter()
        .filter(|name| !topped_up.contains_key(*name))
        .cloned()
        .collect();
    assert!(missing.is_empty(), "round {round}: acknowledged top-ups are missing: {missing:?}");
    Ok((captured.len(), credit))
}

fn rounds() -> Result<u64> {
    match std::env::var(ROUNDS_VARIABLE) {
        Ok(text) => text.parse().with_context(|| format!("{ROUNDS_VARIABLE} is a number")),
        Err(_) => Ok(ROUNDS),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_at_random_moments_loses_nothing_that_was_acknowledged() -> Result<()> {
    let setup = Setup {
        script: busy(),
        credit_usd: CREDIT_USD.to_owned(),
        more_config: "[money]\ndurability = \"strict\"\n".to_owned(),
        ..Setup::default()
    };
    let mut stage = Stage::open_with(setup).await?;
    let known = Arc::new(Acknowledged::default());
    let (mut dice, rounds) = (Dice(20_261_129), rounds()?);
    let (mut captures, mut credit) = (0, 0);
    for round in 0..rounds {
        load_and_kill(&mut stage, round, &mut dice, &known).await?;
        check_ledger(&stage).await?;
        if round % START_KILLED_EVERY == 0 {
            let life = Duration::from_millis(dice.up_to(START_MS_MAX));
            stage.start_and_kill(life).await?;
            check_ledger(&stage).await?;
        }
        let before = captures;
        (captures, credit) = compare(&stage, &known, round)?;
        assert!(captures >= before, "round {round}: captured money stays captured");
        stage.restart().await?;
        let balance = stage.balance(ORG).await?;
        assert_eq!(balance.total(), credit, "round {round}: {balance:?}");
    }
    stage.stop().await?;
    check_ledger(&stage).await?;
    let (acknowledged, top_ups) = (known.captures.lock().len(), known.top_ups.lock().len());
    assert!(acknowledged > 0 && top_ups > 0 && credit >= pico(CREDIT_USD)?);
    println!(
        "{rounds} rounds: {captures} captures in the journal, {acknowledged} of them acknowledged \
         as durable, and {top_ups} top-ups; none is missing, none is there twice"
    );
    Ok(())
}
