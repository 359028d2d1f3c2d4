//! A mark-up on official rates: none unless it is bound, held before it is charged, by team, and
//! exact to the pico-dollar.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_tests::{ORG, Stage, chat, pico};

fn amount(explanation: &Value, name: &str) -> Result<u128> {
    pico(explanation[name].as_str().with_context(|| format!("no {name}"))?)
}

/// The official price of what one request used: the sum of its lines without the mark-up, which is
/// by unit price and rounded down there.
fn raised(official: &Value, hundredths: u128) -> Result<u128> {
    let lines = official["line_items"].as_array().context("lines")?;
    lines.iter().try_fold(0, |sum, line| {
        let unit = pico(line["unit_price_usd"].as_str().context("a price")?)?;
        let count: u128 = line["count"].as_u64().context("a count")?.into();
        Ok(sum + unit * (10_000 + hundredths) / 10_000 * count)
    })
}

#[tokio::test]
async fn a_mark_up_is_held_and_charged_by_team() -> Result<()> {
    let stage = Stage::open().await?;
    let research = json!({ "name": "r", "team": "research" });
    let research = stage.add_key(ORG, &research).await?;
    let mut body = chat("openai/gpt-5.4", "Hello, what is a mark-up?");
    body["max_tokens"] = json!(64);
    let answer = stage.caller.chat(&body).await?.expect_status(200)?;
    let official = stage.explanation(ORG, answer.request_id()).await?;
    let config = json!({ "markup-percent": 20, "teams": { "research": 2.5 } });
    stage.bind("bill", &json!({ "plugin": "bill-default", "config": config })).await?;
    for (caller, hundredths, note) in
        [(&stage.caller, 2_000, "mark-up 20 %"), (&research, 250, "mark-up 2.5 %")]
    {
        let answer = caller.chat(&body).await?.expect_status(200)?;
        let marked = stage.explanation(ORG, answer.request_id()).await?;
        assert_eq!(marked["usage"], official["usage"], "the same answer");
        assert_eq!(amount(&marked, "cost_usd")?, raised(&official, hundredths)?, "{marked:#}");
        assert_eq!(marked["line_items"][0]["note"], note);
        // The hold has the mark-up too: nothing is charged that was not set aside.
        let (held, plain) = (amount(&marked, "hold_usd")?, amount(&official, "hold_usd")?);
        assert_eq!(held, plain + plain * hundredths / 10_000, "{marked:#}");
        assert!(amount(&marked, "cost_usd")? <= held);
        let failed = |policy: &Value| !policy["failure"].is_null();
        assert!(!marked["policies"].as_array().context("policies")?.iter().any(failed));
    }
    let balance = stage.settled_balance(ORG).await?;
    assert_eq!(balance.held, 0);
    Ok(())
}

#[tokio::test]
async fn a_mark_up_that_the_credit_does_not_cover_is_refused_before_the_call() -> Result<()> {
    let stage = Stage::open().await?;
    let poor = stage.add_org("poor", "0.002").await?;
    let mut body = chat("openai/gpt-5.4", "Hello");
    body["max_tokens"] = json!(16);
    poor.chat(&body).await?.expect_status(200)?;
    let binding = json!({ "plugin": "bill-default", "config": { "markup-percent": 1000 } });
    let path = "/orgs/poor/bindings/bill";
    stage.operate(reqwest::Method::PUT, path, Some(&binding)).await?.expect_status(200)?;
    stage.simulator.forget();
    poor.chat(&body).await?.expect_status(402)?;
    assert!(stage.simulator.requests("openai").is_empty(), "no provider was asked");
    Ok(())
}
