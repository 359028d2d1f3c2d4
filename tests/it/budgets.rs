//! Budgets, alerts, plans and attribution, on the running gateway.

mod alerts;
mod attribution;
mod plans;
mod room;
mod scopes;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::AnswerScript;
use turnpike_tests::{ORG, PROVIDERS, Stage, pico};

/// Every model writes so many tokens.
fn all_write(stage: &Stage, tokens: u64) -> Result<()> {
    for (provider, models) in PROVIDERS {
        for model in models {
            stage.simulator.change(provider, model, |model| {
                model.answer = AnswerScript::Lorem { tokens };
            })?;
        }
    }
    Ok(())
}

/// Makes a budget of the first organization; its id.
async fn add_budget(stage: &Stage, budget: Value) -> Result<String> {
    let path = format!("/orgs/{ORG}/budgets");
    let made = stage.operate(Method::POST, &path, Some(&budget)).await?.expect_status(201)?;
    Ok(made.body["id"].as_str().context("an id")?.to_owned())
}

/// A budget as it is shown.
async fn budget(stage: &Stage, id: &str) -> Result<Value> {
    let path = format!("/orgs/{ORG}/budgets/{id}");
    Ok(stage.operate(Method::GET, &path, None).await?.expect_status(200)?.body)
}

/// What is spent of a budget, in pico-USD.
async fn spent(stage: &Stage, id: &str) -> Result<u128> {
    amount(&budget(stage, id).await?, "spent_usd")
}

fn amount(body: &Value, name: &str) -> Result<u128> {
    pico(body[name].as_str().with_context(|| format!("no {name} in {body}"))?)
}

/// Changes the first organization.
async fn change_org(stage: &Stage, change: Value) -> Result<Value> {
    let path = format!("/orgs/{ORG}");
    Ok(stage.operate(Method::PATCH, &path, Some(&change)).await?.expect_status(200)?.body)
}

/// A chat request with a bound on its answer.
fn bounded(model: &str, tokens: u32) -> Value {
    let mut body = turnpike_tests::chat(model, "tell me something");
    body["max_tokens"] = json!(tokens);
    body
}
