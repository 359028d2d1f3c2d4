//! What a policy remembers from one request to the next: nothing, unless the binding's owner has
//! its instances kept; and never anything of another organization's.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{Caller, ORG, Stage, chat, granted_policy};

const NAME: &str = "peeks";

async fn bind(stage: &Stage, org: &str, instances: Option<&str>) -> Result<()> {
    let path = format!("/admin/v1/orgs/{org}/plugins?name={NAME}&version=0.1.0");
    let bytes = granted_policy(NAME)?;
    let uploaded = stage.admin.send_bytes(Method::POST, &path, "application/wasm", bytes).await?;
    ensure!(uploaded.status / 100 == 2, "{}", uploaded.text);
    let mut body = json!({ "plugin": format!("{NAME}@0.1.0") });
    if let (Some(life), Some(fields)) = (instances, body.as_object_mut()) {
        fields.insert("instances".to_owned(), json!(life));
    }
    let path = format!("/orgs/{org}/bindings/classify");
    stage.operate(Method::PUT, &path, Some(&body)).await?.expect_status(200)?;
    Ok(())
}

/// The length of the prompt that the policy remembers when it is asked about this one.
async fn remembered(stage: &Stage, org: &str, caller: &Caller, prompt: &str) -> Result<f64> {
    let answer = caller.chat(&chat("auto", prompt)).await?.expect_status(200)?;
    let explanation = stage.explanation(org, answer.request_id()).await?;
    ensure!(explanation["task"]["task"] == NAME, "{explanation:#}");
    Ok((explanation["task"]["difficulty"].as_f64().context("a number")? * 1_000.0).round())
}

async fn instances(stage: &Stage) -> Result<Value> {
    let path = format!("/orgs/{ORG}/bindings/classify");
    let shown = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
    Ok(shown.body["statistics"]["instances"].clone())
}

/// The memory-residue test.
#[tokio::test]
async fn a_prompt_in_a_global_is_gone_with_its_request() -> Result<()> {
    let stage = Stage::open().await?;
    let other = stage.add_org("other", "50").await?;
    for (org, life) in [(ORG, None), ("other", Some("automatic"))] {
        bind(&stage, org, life).await?;
    }
    for _ in 0..3 {
        assert_eq!(remembered(&stage, ORG, &stage.caller, "four").await?, 0.0);
        assert_eq!(remembered(&stage, "other", &other, "thirteen more").await?, 0.0);
    }
    assert_eq!(instances(&stage).await?, json!({ "life": "fresh", "idle": 0 }));
    Ok(())
}

#[tokio::test]
async fn who_has_instances_kept_shares_them_with_no_other_organization() -> Result<()> {
    let stage = Stage::open().await?;
    let other = stage.add_org("other", "50").await?;
    for org in [ORG, "other"] {
        bind(&stage, org, Some("warm")).await?;
    }
    assert_eq!(remembered(&stage, ORG, &stage.caller, "four").await?, 0.0);
    assert_eq!(remembered(&stage, ORG, &stage.caller, "sixsix").await?, 4.0);
    assert_eq!(remembered(&stage, "other", &other, "thirteen more").await?, 0.0);
    assert_eq!(remembered(&stage, ORG, &stage.caller, "four").await?, 6.0);
    assert_eq!(instances(&stage).await?, json!({ "life": "warm", "idle": 1 }));
    // Every change of the binding begins anew.
    bind(&stage, ORG, Some("warm")).await?;
    assert_eq!(remembered(&stage, ORG, &stage.caller, "four").await?, 0.0);
    bind(&stage, ORG, Some("fresh")).await?;
    assert_eq!(remembered(&stage, ORG, &stage.caller, "four").await?, 0.0);
    Ok(())
}
