//! The journal's disk is full, and then has space again. A limit on the size of files stands in for
//! the disk: it needs no rights and no mount, and hits the journal first, because every other file
//! is smaller.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;
use turnpike_ledger::{Ledger, Options, Period, PicoUsd};
use turnpike_tests::{ORG, PROVIDERS, Stage, chat};

/// The journal's length before the test: more than any other file comes to.
const JOURNAL_BYTES: u64 = 8 << 20;
/// Bytes that the journal may still grow by: some requests.
const ROOM_BYTES: u64 = 2_000;
/// Requests in which it must be full.
const REQUESTS_MAX: usize = 200;
/// Until paid work goes on.
const SPACE_MAX: Duration = Duration::from_secs(20);

fn limit_files(stage: &Stage, bytes: Option<u64>) -> Result<()> {
    let pid = i32::try_from(stage.gateway()?.pid()).ok().and_then(Pid::from_raw);
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(pid.context("no process id")?), Resource::Fsize, limit)
        .context("the limit can't be set")?;
    Ok(())
}

fn journal_bytes(stage: &Stage) -> Result<u64> {
    let mut bytes = 0;
    for file in std::fs::read_dir(stage.data_folder().join("journal"))? {
        bytes = file?.metadata()?.len().max(bytes);
    }
    Ok(bytes)
}

/// Entries that move no money, up to a length.
fn lengthen_journal(stage: &Stage) -> Result<()> {
    let ledger = Ledger::open(Options::at(stage.data_folder().join("journal")), None)?;
    let mut number: u128 = 0;
    while journal_bytes(stage)? < JOURNAL_BYTES {
        let mut last_seq = 0;
        for _ in 0..4_000 {
            number += 1;
            let limit = Some(PicoUsd(number));
            last_seq = ledger.set_budget("nobody's", limit, Period::Total, 1)?.seq();
        }
        ledger.wait_durable(last_seq)?;
    }
    Ok(ledger.close()?)
}

async fn ready_status(stage: &Stage) -> Result<u16> {
    Ok(stage.caller.get("/health/ready").await?.status)
}

async fn wait_for_space(stage: &Stage) -> Result<()> {
    let waited = async {
        while ready_status(stage).await? != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(SPACE_MAX, waited).await.context("paid work does not go on")?
}

#[tokio::test]
async fn a_full_disk_stops_paid_work_loses_nothing_and_goes_on_by_itself() -> Result<()> {
    let mut stage = Stage::open().await?;
    stage.stop().await?;
    lengthen_journal(&stage)?;
    stage.restart().await?;
    let credit = stage.balance(ORG).await?.total();
    stage.caller.chat(&chat("auto", "before")).await?.expect_status(200)?;

    // A long answer is under way while the disk fills up.
    for (provider, models) in PROVIDERS {
        for model in models {
            stage.simulator.change(provider, model, |model| model.tokens_per_second = 10)?;
        }
    }
    let long = "one two three four five six seven eight nine ten eleven twelve thirteen";
    let mut under_way = stage.caller.stream(&chat("auto", long)).await?;
    assert!(under_way.read_to_text().await?);
    for (provider, models) in PROVIDERS {
        for model in models {
            stage.simulator.change(provider, model, |model| model.tokens_per_second = 0)?;
        }
    }
    limit_files(&stage, Some(journal_bytes(&stage)? + ROOM_BYTES))?;
    let mut served = Vec::new();
    let refused = loop {
        let answer = stage.caller.chat(&chat("auto", "hello")).await?;
        if answer.status != 200 {
            break answer;
        }
        served.push(answer.request_id().to_owned());
        if served.len() > REQUESTS_MAX {
            bail!("the disk is never full");
        }
    };
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert_eq!(refused.body["error"]["code"], "ledger_unavailable", "{}", refused.text);
    assert!(!refused.header("retry-after").is_empty(), "{:?}", refused.headers);
    assert_eq!(ready_status(&stage).await?, 503);
    let system = stage.operate(Method::GET, "/system", None).await?.body;
    assert!(system["journal"]["full"].is_string(), "{system}");
    assert!(system["journal"]["failed"].is_null(), "{system}");
    let body = json!({ "amount_usd": "1", "reference": "while full" });
    let path = format!("/orgs/{ORG}/credits/topups");
    let top_up = stage.operate(Method::POST, &path, Some(&body)).await?;
    assert_eq!((top_up.status, &top_up.body["error"]["code"]), (503, &json!("disk_full")));
    under_way.read().await?;
    assert!(under_way.complete(), "a request under way comes to its end");

    limit_files(&stage, None)?;
    wait_for_space(&stage).await?;
    let last = stage.caller.chat(&chat("auto", "after")).await?.expect_status(200)?;
    served.extend([under_way.request_id.clone(), last.request_id().to_owned()]);
    let settled = stage.settled_balance(ORG).await?;
    assert_eq!(settled.total(), credit, "nothing lost, nothing made up");
    stage.stop().await?;
    let data = stage.data_folder().display().to_string();
    let checked = stage.program(&["ledger", "check", "--data", &data]).await?;
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let export = ["ledger", "export", "--kind", "capture", "--data", &data];
    let captures = String::from_utf8(stage.program(&export).await?.stdout)?;
    for id in &served {
        assert_eq!(captures.matches(id.as_str()).count(), 1, "{id}: what was served is charged");
    }
    stage.restart().await?;
    assert_eq!(stage.balance(ORG).await?, settled);
    Ok(())
}
