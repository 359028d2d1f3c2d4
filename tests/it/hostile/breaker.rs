//! A policy that keeps failing is kept away, its owner is told until when and why, and it is tried
//! again: one request at a time, and one success makes good.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{ORG, Stage, chat, hostile_policy};

const NAME: &str = "fails-when-streaming";
/// Failures that suspend it.
const FAILURES: usize = 5;

async fn statistics(stage: &Stage) -> Result<Value> {
    let path = format!("/orgs/{ORG}/bindings/classify");
    let shown = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
    Ok(shown.body["statistics"].clone())
}

/// How the policy failed on a request; nothing where it decided.
async fn failure_of(stage: &Stage, id: &str) -> Result<Option<String>> {
    let explanation = stage.explanation(ORG, id).await?;
    let all = explanation["policies"].as_array().context("policies")?;
    let own = all.iter().find(|one| one["policy"] == NAME).context("the policy was bound")?;
    Ok(own["failure"]["kind"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn who_keeps_failing_is_suspended_told_why_and_tried_again() -> Result<()> {
    let stage = Stage::open().await?;
    stage.upload(NAME, "0.1.0", hostile_policy(NAME)?).await?.expect_status(201)?;
    stage.bind("classify", &json!({ "plugin": format!("{NAME}@0.1.0") })).await?;
    for _ in 0..FAILURES {
        let mut stream = stage.caller.stream(&chat("auto", "hello")).await?;
        stream.read().await?;
        assert!(stream.complete(), "the built-in decided: {:?}", stream.chunks);
        assert_eq!(failure_of(&stage, &stream.request_id).await?.as_deref(), Some("trap"));
    }
    let shown = statistics(&stage).await?;
    let because = shown["suspended"]["because"].as_str().context("a reason")?;
    assert!(because.contains("trap") && shown["suspended"]["until"].is_string(), "{shown}");

    // In the pause the built-in decides also what the policy could have decided; after it, the
    // policy is asked again and is back.
    let back = async {
        loop {
            let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
            match failure_of(&stage, answer.request_id()).await?.as_deref() {
                Some("suspended") => tokio::time::sleep(Duration::from_millis(100)).await,
                None => return anyhow::Ok(answer),
                Some(other) => anyhow::bail!("failed by {other}"),
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(60), back).await.context("back")??;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["task"]["task"], NAME, "{explanation:#}");
    let shown = statistics(&stage).await?;
    assert_eq!(shown["suspended"], Value::Null, "{shown}");
    assert_eq!(shown["failures"]["trap"], FAILURES, "{shown}");
    Ok(())
}
