//! Free, pay-as-you-go and enterprise, as data.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{ORG, Setup, Stage, chat, pico};

use super::{amount, bounded, change_org};

async fn add_plan(stage: &Stage, plan: Value) -> Result<Value> {
    let made = stage.operate(Method::POST, "/plans", Some(&plan)).await?.expect_status(201)?;
    Ok(made.body)
}

/// A free plan gives its allowance each day, includes some models, and the ledger proves it.
#[tokio::test]
async fn a_free_plan_has_its_models_and_a_daily_allowance() -> Result<()> {
    let setup = Setup { credit_usd: "0.000001".to_owned(), ..Setup::default() };
    let mut stage = Stage::open_with(setup).await?;
    let poor = stage.caller.chat(&chat("openai/gpt-5.4-mini", "hello")).await?;
    assert_eq!(poor.status, 402, "{}", poor.text);
    let plan = json!({"id": "free", "name": "Free", "models": ["openai/gpt-5.4-mini"],
        "daily_allowance_usd": "0.02"});
    let plan = add_plan(&stage, plan).await?;
    assert_eq!(plan["daily_limit_usd"], "0.020000", "it may spend what it is given: {plan}");
    assert_eq!(change_org(&stage, json!({"plan": "free"})).await?["plan"], "free");
    let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-model"), "openai/gpt-5.4-mini");
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    let out = explanation["candidates"].as_array().context("candidates")?;
    assert!(out.iter().any(|it| it["reason_code"] == "not_in_plan"), "{explanation:#}");
    let models = stage.caller.get("/v1/models").await?;
    assert!(!models.text.contains("deepseek"), "{}", models.text);
    let other = stage.caller.chat(&chat("openai/gpt-5.4", "hello")).await?.expect_status(403)?;
    assert_eq!(other.body["error"]["code"], "model_not_in_plan", "{}", other.text);
    // Once, and only up to the allowance.
    let balance = stage.settled_balance(ORG).await?;
    assert_eq!(balance.total(), pico("0.02")?, "{balance:?}");
    let mut refused = None;
    for _ in 0..40 {
        let answer = stage.caller.chat(&bounded("auto", 4_000)).await?;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
        super::all_write(&stage, 3_000)?;
    }
    let refused = refused.context("the day's allowance comes to an end")?.expect_status(429)?;
    assert!(refused.text.contains("the plan"), "{}", refused.text);
    // A kill loses what was captured just before it (decision 008): not what this is of.
    // A top-up is on disk when it is answered, and so is all that was booked before it.
    stage.add_org("later", "1").await?;
    stage.restart().await?;
    stage.caller.chat(&bounded("auto", 4_000)).await?.expect_status(429)?;
    let balance = stage.settled_balance(ORG).await?;
    assert_eq!(balance.total(), pico("0.02")?, "nothing is given twice: {balance:?}");
    let in_use = stage.operate(Method::DELETE, "/plans/free", None).await?.expect_status(409)?;
    assert_eq!(in_use.body["error"]["code"], "in_use");
    stage.stop().await?;
    let data = stage.data_folder();
    let data = data.to_str().context("a path")?;
    let check = stage.program(&["ledger", "check", "--data", data]).await?;
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    Ok(())
}

/// An enterprise plan takes its discount off list prices once the month has come to its volume.
#[tokio::test]
async fn an_enterprise_plan_takes_its_discount_off_by_volume() -> Result<()> {
    let stage = Stage::open().await?;
    super::all_write(&stage, 1_000)?;
    let plan = json!({"id": "enterprise", "name": "Enterprise",
        "discounts": [{"from_usd": "0.001", "percent": "20"}, {"from_usd": "900", "percent": "50"}],
        "invoice": {"due_days": 30, "note": "by purchase order"}});
    let plan = add_plan(&stage, plan).await?;
    assert_eq!(plan["invoice"]["due_days"], 30, "{plan}");
    change_org(&stage, json!({"plan": "enterprise"})).await?;
    let mut costs = Vec::new();
    for _ in 0..2 {
        let body = bounded("openai/gpt-5.4", 2_000);
        let answer = stage.caller.chat(&body).await?.expect_status(200)?;
        stage.settled_balance(ORG).await?;
        costs.push(stage.explanation(ORG, answer.request_id()).await?);
    }
    let (full, less) = (amount(&costs[0], "cost_usd")?, amount(&costs[1], "cost_usd")?);
    assert_eq!(less * 10, full * 8, "{:#}", costs[1]);
    let note = costs[1]["line_items"][0]["note"].as_str().context("a note")?;
    assert!(note.contains("volume discount"), "{note}");
    let usage = stage.operate(Method::GET, &format!("/orgs/{ORG}/usage"), None).await?;
    let total = &usage.body["total"];
    assert_eq!(amount(total, "list_usd")?, 2 * full, "{total}");
    assert_eq!(amount(total, "cost_usd")?, full + less, "{total}");
    // Off the plan it is list prices again.
    change_org(&stage, json!({"plan": null})).await?;
    stage.operate(Method::DELETE, "/plans/enterprise", None).await?.expect_status(204)?;
    let answer = stage.caller.chat(&bounded("openai/gpt-5.4", 2_000)).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(amount(&explanation, "cost_usd")?, full);
    Ok(())
}
