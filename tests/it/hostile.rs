//! Policies that try to harm: each ends in the way that `docs/policies/sandbox.md` says, its owner
//! sees why, a neighbour is served meanwhile, and the process goes on. The policies are text
//! modules in `tests/hostile`.

mod breaker;
mod decisions;
mod neighbours;
mod uploads;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use turnpike_tests::{Answered, Caller, ORG, Stage, chat, hostile_policy};

/// Requests that meet the hostile policy at the same time: below what suspends it.
const ATTACKS: usize = 4;
/// What a busy machine may add to a neighbour's request beyond a hostile policy's deadline: that
/// one waits is seen by `neighbours`, which counts and looks at no clock.
const SLACK: Duration = Duration::from_secs(15);

/// One hostile policy, and how it ends.
#[derive(Debug, Clone, Copy)]
struct Case {
    /// The file in `tests/hostile`.
    name: &'static str,
    hook: &'static str,
    /// The kind of the failure in explanation and metrics.
    kind: &'static str,
    /// What the caller gets.
    status: u16,
    /// Processor time of a call.
    deadline_ms: u64,
}

/// The gateway is the process that it was, and serves.
async fn lives_on(stage: &Stage, pid: u32) -> Result<()> {
    ensure!(stage.gateway()?.pid() == pid, "another process");
    ensure!(stage.admin.get("/metrics").await?.status == 200, "no metrics");
    stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    Ok(())
}

/// Failures of a hook and kind that the metrics count.
async fn counted(stage: &Stage, hook: &str, kind: &str) -> Result<u64> {
    let metrics = stage.metrics().await?;
    let line = metrics.lines().find(|line| {
        line.starts_with("turnpike_policy_failures_total{")
            && line.contains(&format!("hook=\"{hook}\""))
            && line.contains(&format!("kind=\"{kind}\""))
    });
    let number = line.and_then(|line| line.rsplit(' ').next());
    number.map_or(Ok(0), |number| number.parse().context("a count"))
}

/// Serves a neighbour until the work is done; the number of its requests and the slowest's time.
async fn beside<T>(
    neighbour: &Caller,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, usize, Duration)> {
    let (mut served, mut slowest) = (0, Duration::ZERO);
    let mut work = std::pin::pin!(work);
    let mut outcome = None;
    while outcome.is_none() {
        let request = async {
            let begun = Instant::now();
            neighbour.chat(&chat("auto", "hello")).await?.expect_status(200)?;
            anyhow::Ok(begun.elapsed())
        };
        let mut request = std::pin::pin!(request);
        let took = loop {
            tokio::select! {
                took = &mut request => break took?,
                done = &mut work, if outcome.is_none() => outcome = Some(done?),
            }
        };
        served += 1;
        slowest = slowest.max(took);
    }
    Ok((outcome.context("the work is done")?, served, slowest))
}

/// Several requests at once.
async fn attack(caller: &Caller, body: &Value) -> Result<Vec<Answered>> {
    let mut all = JoinSet::new();
    for _ in 0..ATTACKS {
        let (caller, body) = (caller.clone(), body.clone());
        all.spawn(async move { caller.chat(&body).await });
    }
    let mut answers = Vec::new();
    while let Some(answer) = all.join_next().await {
        answers.push(answer.context("a caller crashed")??);
    }
    Ok(answers)
}

/// Failures of the expected kind by this policy in a request's explanation. One that failed often
/// enough within the same moment may be suspended instead.
fn blamed(explanation: &Value, case: &Case) -> Result<u64> {
    let all = explanation["policies"].as_array().context("policies")?;
    let of_policy = |one: &&Value| one["policy"] == case.name && one["hook"] == case.hook;
    let (mut failed, mut kept_away) = (0, 0);
    for one in all.iter().filter(of_policy) {
        let Some(kind) = one["failure"]["kind"].as_str() else { continue };
        ensure!(one["failure"]["detail"].as_str().is_some_and(|words| !words.is_empty()), "{one}");
        failed += u64::from(kind == case.kind);
        kept_away += u64::from(kind == "suspended");
    }
    ensure!(failed + kept_away > 0, "no failure {} of {}: {explanation:#}", case.kind, case.hook);
    Ok(failed)
}

/// Uploads, binds, attacks, looks, and takes it away again.
async fn is_contained(stage: &Stage, neighbour: &Caller, case: Case, body: &Value) -> Result<()> {
    let Case { name, hook, kind, status, deadline_ms } = case;
    let pid = stage.gateway()?.pid();
    stage.upload(name, "0.1.0", hostile_policy(name)?).await?.expect_status(201)?;
    stage
        .bind(hook, &json!({ "plugin": format!("{name}@0.1.0"), "deadline_ms": deadline_ms }))
        .await?;
    let before = counted(stage, hook, kind).await?;
    let (answers, served, slowest) = beside(neighbour, attack(&stage.caller, body)).await?;
    let most = Duration::from_millis(deadline_ms) + SLACK;
    ensure!(served > 0 && slowest < most, "{served} served, the slowest took {slowest:?}");
    let mut failures = 0;
    for answer in answers {
        let answer = answer.expect_status(status)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        failures += blamed(&explanation, &case)?;
        let by = explanation["task"]["decided_by"].as_str().unwrap_or_default();
        ensure!(!by.contains(name), "decided by {by}");
        if status != 200 {
            ensure!(answer.body["error"]["code"] == "redaction_unavailable", "{}", answer.text);
            ensure!(
                explanation["cost_usd"].as_str() == Some("0.000000"),
                "charged: {explanation:#}"
            );
        }
    }
    let after = counted(stage, hook, kind).await?;
    ensure!(failures > 0 && after - before == failures, "{before}, {failures}, {after}");
    let path = format!("/orgs/{ORG}/bindings/{hook}");
    stage.operate(Method::DELETE, &path, None).await?.expect_status(204)?;
    let path = format!("/orgs/{ORG}/plugins/{name}/0.1.0");
    stage.operate(Method::DELETE, &path, None).await?.expect_status(204)?;
    lives_on(stage, pid).await
}
