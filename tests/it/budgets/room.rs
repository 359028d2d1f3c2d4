//! How much of a budget or a credit one request takes while it runs, and what those beside it are
//! told: money that is only held comes back.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use turnpike_tests::{Answered, Caller, ORG, Stage, chat, pico};

use super::{add_budget, amount, bounded, budget};

/// Its longest answer comes to almost two dollars; its usual one to a tenth of a cent.
const DEAR: &str = "openai/gpt-5.4";
/// Long enough for all of a test's requests to be under way at once, and one to be looked for.
const SLOW_MS: u64 = 2_500;

fn slow(stage: &Stage) -> Result<()> {
    for model in ["gpt-5.4", "gpt-5.4-mini"] {
        stage.simulator.change("openai", model, |model| model.first_token_ms = SLOW_MS)?;
    }
    Ok(())
}

/// Waits until so many requests of an organization hold money, and no more.
async fn holding(stage: &Stage, org: &str, count: usize) -> Result<()> {
    let path = format!("/orgs/{org}/credits/holds");
    let open = async {
        loop {
            let holds = stage.operate(Method::GET, &path, None).await?.expect_status(200)?;
            if holds.body["items"].as_array().is_some_and(|open| open.len() == count) {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), open).await;
    waited.with_context(|| format!("{count} requests of {org} at the same time"))?
}

/// So many requests without a limit, all of which are under way at the same time.
async fn at_once(stage: &Stage, org: &str, caller: &Caller, count: usize) -> Result<Vec<Answered>> {
    holding(stage, org, 0).await?;
    let mut running = JoinSet::new();
    for number in 0..count {
        let (caller, body) = (caller.clone(), chat(DEAR, &format!("hello {number}")));
        running.spawn(async move { caller.chat(&body).await });
    }
    holding(stage, org, count).await?;
    let mut answers = Vec::with_capacity(count);
    while let Some(answer) = running.join_next().await {
        answers.push(answer??);
    }
    Ok(answers)
}

fn error<'a>(refused: &'a Answered, member: &str) -> &'a str {
    refused.body["error"][member].as_str().unwrap_or_default()
}

/// The key of the readme, and one with a fifth of that; and an organization with as little credit.
#[tokio::test]
async fn requests_without_a_limit_run_side_by_side_on_a_small_budget() -> Result<()> {
    let stage = Stage::open().await?;
    slow(&stage)?;
    for (amount_usd, count) in [("5", 6), ("1", 6)] {
        let budget = json!({"amount_usd": amount_usd, "period": "day"});
        let key = stage.add_key(ORG, &json!({"name": "ci", "budget": budget})).await?;
        for answer in at_once(&stage, ORG, &key, count).await? {
            let answer = answer.expect_status(200)?;
            let clamped = answer.header("x-turnpike-clamped");
            let enough = clamped.is_empty() || clamped.parse::<u32>()? >= 4_096;
            assert!(enough, "{amount_usd}: cut to {clamped} tokens");
        }
    }
    let poor = stage.add_org("poor", "1").await?;
    for answer in at_once(&stage, "poor", &poor, 3).await? {
        answer.expect_status(200)?;
    }
    Ok(())
}

/// A quarter of what is free at most, where the caller gives no limit; and never less than what is
/// enough for most answers, if there is the money at all.
#[tokio::test]
async fn the_limit_is_a_share_of_what_is_free_and_sent_only_where_it_is_needed() -> Result<()> {
    let stage = Stage::open().await?;
    let sent = |stage: &Stage| -> Result<Value> {
        let seen = stage.simulator.all_requests();
        let body: Value = serde_json::from_slice(&seen.last().context("a request")?.body)?;
        Ok(body["max_completion_tokens"].clone())
    };
    let rich = stage.caller.chat(&chat(DEAR, "hello")).await?.expect_status(200)?;
    assert_eq!((rich.header("x-turnpike-clamped"), sent(&stage)?), ("", Value::Null));
    // At 15 USD for a million tokens: a quarter is 16,666 of them, 4,096 cost 0.0615.
    for (amount_usd, limits) in
        [("1", 16_000..16_667), ("0.1", 4_096..4_097), ("0.03", 1_500..2_000)]
    {
        let budget = json!({"amount_usd": amount_usd, "period": "day"});
        let key = stage.add_key(ORG, &json!({"name": "k", "budget": budget})).await?;
        let answer = key.chat(&chat(DEAR, "hello")).await?.expect_status(200)?;
        let clamped: u32 = answer.header("x-turnpike-clamped").parse()?;
        assert!(limits.contains(&clamped), "{amount_usd}: {clamped}");
        assert_eq!(sent(&stage)?, json!(clamped), "{amount_usd}");
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        let held = amount(&explanation, "hold_usd")?;
        assert!(held <= pico(amount_usd)?, "{amount_usd}: {held}");
    }
    // Who says how long it may be, and means no more than that, gets it.
    let budget = json!({"amount_usd": "0.05", "period": "day"});
    let key = stage.add_key(ORG, &json!({"name": "k", "budget": budget})).await?;
    let bounded = key.chat(&bounded(DEAR, 3_000)).await?.expect_status(200)?;
    assert_eq!(bounded.header("x-turnpike-clamped"), "");
    Ok(())
}

/// What others hold comes back: the refusal says so, and a client that does as it is told gets its
/// answer. Nobody is alarmed about a budget of which nothing is spent.
#[tokio::test]
async fn money_that_is_only_held_is_worth_another_try() -> Result<()> {
    let stage = Stage::open().await?;
    slow(&stage)?;
    let budget_of = json!({"scope": "team:a", "amount_usd": "0.005", "period": "day"});
    let id = add_budget(&stage, budget_of).await?;
    let key = stage.add_key(ORG, &json!({"name": "k", "team": "a"})).await?;
    let poor = stage.add_org("poor", "0.005").await?;
    for (caller, org, status, code) in
        [(&key, ORG, 429, "budget_exceeded"), (&poor, "poor", 402, "insufficient_credit")]
    {
        let mut running = JoinSet::new();
        let (first, body) = (caller.clone(), chat(DEAR, "hello"));
        running.spawn(async move { first.chat(&body).await });
        holding(&stage, org, 1).await?;
        let refused = caller.chat(&chat(DEAR, "hello")).await?.expect_status(status)?;
        assert_eq!(error(&refused, "code"), code, "{}", refused.text);
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(refused.header("x-should-retry"), "true");
        let message = error(&refused, "message");
        assert!(message.contains("held by requests under way"), "{message}");
        assert!(message.contains("try again in 1 s"), "{message}");
        let first = running.join_next().await.context("it was asked")??;
        first?.expect_status(200)?;
        let again = async {
            loop {
                let answer = caller.chat(&bounded(DEAR, 256)).await?;
                if answer.status == 200 {
                    return anyhow::Ok(());
                }
                assert_eq!(answer.header("x-should-retry"), "true", "{}", answer.text);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), again).await.context("it comes back")??;
    }
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let alerts = stage.operate(Method::GET, &format!("/orgs/{ORG}/alerts"), None).await?;
    assert_eq!(
        alerts.body["items"],
        json!([]),
        "nothing is used up: {}",
        budget(&stage, &id).await?
    );
    Ok(())
}

/// The one that is short is named, with what would have done; and it is told as soon as the rest
/// is too little for any request like it, though something is left.
#[tokio::test]
async fn the_counter_that_is_short_is_named_with_the_least_that_would_do() -> Result<()> {
    let stage = Stage::open().await?;
    let poor = stage.add_org("poor", "0.9").await?;
    let path = "/orgs/poor/budgets";
    let team = json!({"scope": "organization", "amount_usd": "0.001", "period": "day"});
    stage.operate(Method::POST, path, Some(&team)).await?.expect_status(201)?;
    let refused = poor.chat(&chat(DEAR, "hello")).await?.expect_status(429)?;
    let message = error(&refused, "message");
    assert!(message.contains("the budget of organization"), "not the credit: {message}");
    let (_, needed) = message.split_once("at least ").context("an amount")?;
    let needed = pico(needed.split(' ').next().context("an amount")?)?;
    // 256 tokens of answer, and the prompt.
    assert!((pico("0.00384")?..pico("0.005")?).contains(&needed), "{message}");
    assert_eq!(refused.header("x-should-retry"), "false");
    let alerted = async {
        loop {
            let alerts = stage.operate(Method::GET, "/orgs/poor/alerts", None).await?.body;
            if let Some(alert) = alerts["items"].get(0) {
                return anyhow::Ok(alert.clone());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let alert = tokio::time::timeout(Duration::from_secs(20), alerted).await??;
    assert_eq!(alert["type"], "budget.exhausted", "{alert}");
    assert_eq!(amount(&alert, "needed_usd")?, needed);
    assert!(amount(&alert, "limit_usd")? < needed);
    Ok(())
}

/// A plan's dear fallbacks are no reason to refuse what its first can be paid for; and what can't
/// be paid leaves the choice to what can.
#[tokio::test]
async fn auto_goes_to_what_the_money_pays_for() -> Result<()> {
    let stage = Stage::open().await?;
    let budget = json!({"amount_usd": "0.001", "period": "day"});
    let key = stage.add_key(ORG, &json!({"name": "k", "budget": budget})).await?;
    let body = chat("auto:best", "Prove that the square root of 2 is irrational, and generalize.");
    let shown = key.post("/v1/route", &body, &[]).await?.expect_status(200)?.body;
    assert!(shown["refused"].is_null(), "{shown:#}");
    let plan: Vec<&str> =
        shown["plan"].as_array().context("a plan")?.iter().filter_map(Value::as_str).collect();
    assert!(!plan.is_empty(), "{shown:#}");
    let candidates = shown["candidates"].as_array().context("candidates")?;
    let dear = candidates.iter().find(|it| it["offer"] == "openai/gpt-5.4@openai");
    let dear = dear.context("the dear one was looked at")?;
    assert_eq!(dear["reason_code"], "budget_short", "{dear:#}");
    assert!(dear["rejected"].as_str().is_some_and(|it| it.contains("budget")), "{dear:#}");
    assert!(!plan.contains(&"openai/gpt-5.4@openai"), "{plan:?}");
    let answer = key.chat(&body).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["plan"], shown["plan"], "as it was said");
    assert_eq!(explanation["hold_usd"], shown["worst_case_cost_usd"]);
    Ok(())
}

/// The dry run says what the request would be told, holds nothing and alarms nobody.
#[tokio::test]
async fn a_dry_run_knows_what_is_refused_for_money() -> Result<()> {
    let stage = Stage::open().await?;
    let poor = stage.add_org("poor", "0.00001").await?;
    let key_budget = json!({"amount_usd": "0.00001", "period": "day"});
    let key = stage.add_key(ORG, &json!({"name": "k", "budget": key_budget})).await?;
    let mut told = Vec::new();
    for (caller, model) in [(&poor, "auto"), (&poor, DEAR), (&key, "auto"), (&key, DEAR)] {
        let body = chat(model, "hello");
        let shown = caller.post("/v1/route", &body, &[]).await?.expect_status(200)?.body;
        assert_eq!(shown["plan"], json!([]), "{shown:#}");
        assert!(shown["worst_case_cost_usd"].is_null(), "{shown:#}");
        told.push((caller, body, shown["refused"].clone()));
    }
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let alerts = stage.operate(Method::GET, &format!("/orgs/{ORG}/alerts"), None).await?;
    assert_eq!(alerts.body["items"], json!([]), "it was only asked");
    for (caller, body, told) in told {
        let refused = caller.chat(&body).await?;
        assert_eq!(told["status"], refused.status, "{told}");
        for member in ["code", "message"] {
            assert_eq!(told[member], refused.body["error"][member], "{told}");
        }
    }
    Ok(())
}
