//! Policies that loop, allocate, trap or talk nonsense: requests go on by the built-in, the failure
//! is visible, and others do not feel it.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use turnpike_tests::{Caller, ORG, Stage, bad_policy, chat};

/// Requests of one measurement: enough for a median.
const MEASURED: usize = 40;
/// The bad policy's deadline, so long that a host that waits for it would be seen.
const DEADLINE_MS: u64 = 200;

async fn upload_and_bind(stage: &Stage, name: &str, deadline_ms: u64) -> Result<()> {
    stage.upload(name, "0.1.0", bad_policy(name)?).await?.expect_status(201)?;
    let binding = json!({ "plugin": format!("{name}@0.1.0"), "mode": "active",
        "on_failure": "builtin", "deadline_ms": deadline_ms });
    stage.bind("classify", &binding).await?;
    Ok(())
}

async fn is_survived(name: &str, kinds: &[&str]) -> Result<()> {
    let stage = Stage::open().await?;
    upload_and_bind(&stage, name, 20).await?;
    let text = "Translate to French: good morning";
    let answer = stage.caller.chat(&chat("auto", text)).await?.expect_status(200)?;
    assert_eq!(answer.content(), text);
    let mut stream = stage.caller.stream(&chat("auto", text)).await?;
    stream.read().await?;
    assert!(stream.complete(), "{:?}", stream.chunks);
    for id in [answer.request_id(), &stream.request_id] {
        let explanation = stage.explanation(ORG, id).await?;
        let policies = explanation["policies"].as_array().context("policies")?;
        let failed = policies.iter().find(|policy| policy["policy"] == name);
        let failed = failed.with_context(|| format!("{name} in {policies:#?}"))?;
        let kind = failed["failure"]["kind"].as_str().unwrap_or("");
        assert!(kinds.contains(&kind), "{name} failed by {kind:?}: {failed}");
        let by = explanation["task"]["decided_by"].as_str().context("a policy")?;
        assert!(!by.contains(name), "the built-in decided, not {by}");
        assert_eq!(explanation["task"]["task"], "translation");
    }
    let metrics = stage.metrics().await?;
    let counted = metrics.lines().filter(|line| !line.starts_with('#'));
    let counted = counted.filter(|line| line.contains("policy") && line.contains("fail"));
    let sum: f64 = counted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert!(sum >= 2.0, "the metrics count both failures:\n{metrics}");
    Ok(())
}

#[tokio::test]
async fn an_endless_loop_is_ended_at_its_deadline() -> Result<()> {
    is_survived("endless-loop", &["deadline"]).await
}

#[tokio::test]
async fn memory_without_end_is_refused() -> Result<()> {
    is_survived("allocates", &["memory", "deadline"]).await
}

#[tokio::test]
async fn a_trap_harms_nobody() -> Result<()> {
    is_survived("traps", &["trap"]).await
}

#[tokio::test]
async fn nonsense_is_not_believed() -> Result<()> {
    is_survived("nonsense", &["nonsense"]).await
}

#[tokio::test]
async fn an_upload_that_is_no_policy_is_refused_with_the_reason() -> Result<()> {
    let stage = Stage::open().await?;
    let module = b"\0asm\x01\0\0\0".to_vec();
    for bytes in [module, b"not wasm".to_vec(), Vec::new()] {
        let refused = stage.upload("junk", "0.1.0", bytes).await?;
        assert_eq!(refused.status / 100, 4, "{}", refused.text);
        assert!(refused.body["error"]["message"].is_string(), "{}", refused.text);
    }
    let listed = stage.operate(Method::GET, &format!("/orgs/{ORG}/plugins"), None).await?;
    assert!(!listed.text.contains("junk"), "{}", listed.text);
    Ok(())
}

async fn median_latency(caller: &Caller) -> Result<Duration> {
    let mut all = Vec::with_capacity(MEASURED);
    for _ in 0..MEASURED {
        let begun = Instant::now();
        caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
        all.push(begun.elapsed());
    }
    all.sort();
    all.get(MEASURED / 2).copied().context("measurements")
}

/// The only test that looks at a clock: the bound is the bad policy's own deadline, far above what
/// a busy machine adds to a median, and far below what waiting for eight loops would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_do_not_wait_for_an_endless_loop() -> Result<()> {
    let stage = Stage::open().await?;
    upload_and_bind(&stage, "endless-loop", DEADLINE_MS).await?;
    let other = stage.add_org("other", "50").await?;
    median_latency(&other).await?;
    let quiet = median_latency(&other).await?;
    let mut looping = JoinSet::new();
    for _ in 0..8 {
        let caller = stage.caller.clone();
        looping.spawn(async move {
            loop {
                let answer = caller.chat(&chat("auto", "hello")).await;
                if answer.is_err() || answer.is_ok_and(|answer| answer.status != 200) {
                    return;
                }
            }
        });
    }
    let disturbed = median_latency(&other).await?;
    assert!(looping.try_join_next().is_none(), "requests of the looping policy's owner succeed");
    let moved = disturbed.saturating_sub(quiet);
    assert!(moved < Duration::from_millis(DEADLINE_MS), "{quiet:?} became {disturbed:?}");
    Ok(())
}
