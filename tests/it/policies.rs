//! The life of a plugin: admitted within limits, bound for whom it is meant, tried beside, replaced
//! under load, and brought back.

mod backtest;
mod cases;
mod grants;
mod network;
mod reload;
mod revisions;
mod stand_in;
mod trials;
mod trust;
mod uploads;
mod warm;
mod watched;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{Answered, ORG, Stage, answering_policy};

/// Uploads a classifier that answers one task; `name@0.1.0`.
async fn upload_answering(stage: &Stage, name: &str, task: &str) -> Result<String> {
    let component = answering_policy(name, task)?;
    stage.upload(name, "0.1.0", component).await?.expect_status(201)?;
    Ok(format!("{name}@0.1.0"))
}

/// The first organization's binding of classify.
async fn classify_binding(stage: &Stage) -> Result<Value> {
    let path = format!("/orgs/{ORG}/bindings/classify");
    Ok(stage.operate(Method::GET, &path, None).await?.expect_status(200)?.body)
}

/// The task that a request was given.
async fn task_of(stage: &Stage, answer: &Answered) -> Result<String> {
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    let task = explanation["task"]["task"].as_str().context("a task")?;
    Ok(task.to_owned())
}

/// A binding of classify by its policy.
fn to(policy: &str) -> Value {
    json!({ "plugin": policy })
}
