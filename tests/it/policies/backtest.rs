//! What a policy would have decided about the requests of the past: replayed from what is kept of
//! them, without a word of what they said and without a booking.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_tests::{ADMIN_TOKEN, Answered, ORG, Stage, chat, pico, repository};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::starters::plugin;

/// Words that stand in every prompt and may stand nowhere else.
const PRIVATE: &str = "marmalade-0815";
const REQUESTS: u64 = 6;

/// An installation that has answered some requests, all of them settled.
async fn used() -> Result<Stage> {
    let stage = Stage::open().await?;
    for _ in 0..REQUESTS {
        let answer = stage.caller.chat(&chat("auto", PRIVATE)).await?.expect_status(200)?;
        stage.explanation(ORG, answer.request_id()).await?;
    }
    stage.settled_balance(ORG).await?;
    Ok(stage)
}

async fn replay(stage: &Stage, plugin: &str, body: &Value) -> Result<Answered> {
    let path = format!("/orgs/{ORG}/plugins/{plugin}/backtest");
    stage.operate(Method::POST, &path, Some(body)).await
}

/// An amount of the report, in pico-US-dollars.
fn usd(report: &Value, name: &str) -> Result<u128> {
    pico(report[name].as_str().with_context(|| format!("no {name} in {report}"))?)
}

#[tokio::test]
async fn a_route_policy_is_replayed_over_the_candidates_of_the_past() -> Result<()> {
    let stage = used().await?;
    let same = replay(&stage, "route-default/0.1.0", &json!({})).await?.expect_status(200)?.body;
    assert_eq!((&same["replayed"], &same["changed"]), (&json!(REQUESTS), &json!(0)), "{same}");
    assert_eq!(same["cost_difference_usd"], "0.000000", "{same}");
    assert_eq!(same["examples"], json!([]));
    // The best that money can buy, in place of the cheapest that is good enough.
    let best = json!({ "config": { "floor": 1.0 }, "days": 1, "limit": 4 });
    let told = replay(&stage, "route-default/0.1.0", &best).await?.expect_status(200)?.body;
    assert_eq!((&told["requests"], &told["changed"]), (&json!(4), &json!(4)), "{told}");
    assert!(usd(&told, "cost_tried_usd")? > usd(&told, "cost_current_usd")?, "{told}");
    assert!(told["first_token"]["difference_ms"].is_number(), "{told}");
    let examples = told["examples"].as_array().context("examples")?;
    assert_eq!(examples.len(), 4);
    assert!(examples.iter().all(|one| one["current"] != one["tried"]), "{told}");
    assert!(!told.to_string().contains(PRIVATE), "facts, not content");
    Ok(())
}

/// The caller has ruled out what is not good enough for it: no policy saves money by that.
#[tokio::test]
async fn what_the_caller_ruled_out_is_not_brought_back() -> Result<()> {
    let stage = Stage::open().await?;
    let body = chat("auto:cheap", "hello");
    let usual = stage.caller.chat(&body).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, usual.request_id()).await?;
    let all = explanation["candidates"].as_array().context("candidates")?;
    let first = all.iter().find(|one| one["offer"] == explanation["plan"][0]);
    let quality = first.and_then(|one| one["quality"].as_f64()).context("a quality")?;
    let better = format!("{:.3}", quality + 0.01);
    let headers = [("x-turnpike-min-quality", better.as_str())];
    let path = "/v1/chat/completions";
    let strict = stage.caller.post(path, &body, &headers).await?.expect_status(200)?;
    assert_ne!(usual.header("x-turnpike-model"), strict.header("x-turnpike-model"));
    stage.explanation(ORG, strict.request_id()).await?;
    let same = replay(&stage, "route-default/0.1.0", &json!({})).await?.expect_status(200)?.body;
    assert_eq!((&same["replayed"], &same["changed"]), (&json!(2), &json!(0)), "{same}");
    assert_eq!(same["cost_difference_usd"], "0.000000", "{same}");
    Ok(())
}

#[tokio::test]
async fn a_bill_policy_is_replayed_over_what_was_used_and_books_nothing() -> Result<()> {
    let stage = used().await?;
    let before = stage.balance(ORG).await?;
    let same = replay(&stage, "bill-default/0.1.0", &json!({})).await?.expect_status(200)?.body;
    assert_eq!((&same["replayed"], &same["changed"]), (&json!(REQUESTS), &json!(0)), "{same}");
    assert_eq!(usd(&same, "cost_tried_usd")?, before.spent, "to the pico-dollar");
    // One that traps is charged official rates, and every failure is told.
    stage.upload("broken", "0.1.0", trapping_biller()?).await?.expect_status(201)?;
    let broken = replay(&stage, "broken/0.1.0", &json!({})).await?.expect_status(200)?.body;
    assert_eq!(broken["failures"], json!({ "trap": REQUESTS }), "{broken}");
    assert_eq!((&broken["replayed"], &broken["changed"]), (&json!(REQUESTS), &json!(0)));
    assert_eq!(stage.balance(ORG).await?, before);
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_replayed_is_said() -> Result<()> {
    let stage = Stage::open().await?;
    let refused = async |plugin: &str, body: Value| -> Result<(u16, String)> {
        let answer = replay(&stage, plugin, &body).await?;
        let field = answer.body["error"]["field"].as_str().unwrap_or_default().to_owned();
        Ok((answer.status, field))
    };
    let classify = "classify-default/0.1.0";
    assert_eq!(refused(classify, json!({})).await?, (422, "hook".to_owned()));
    assert_eq!(refused("nobody/1.0.0", json!({})).await?.0, 404);
    let both = "policy-default/0.1.0";
    assert_eq!(refused(both, json!({ "hook": "redact" })).await?, (422, "hook".to_owned()));
    let route = "route-default/0.1.0";
    assert_eq!(refused(route, json!({ "days": 0 })).await?, (422, "days".to_owned()));
    assert_eq!(refused(route, json!({ "limit": 10_001 })).await?, (422, "limit".to_owned()));
    let config = json!({ "config": { "floor": 2 } });
    assert_eq!(refused(route, config).await?, (422, "config/floor".to_owned()));
    let nothing = replay(&stage, route, &json!({})).await?.expect_status(200)?.body;
    assert_eq!((&nothing["requests"], &nothing["oldest"]), (&json!(0), &Value::Null));
    Ok(())
}

#[tokio::test]
async fn the_command_line_shows_the_report() -> Result<()> {
    let stage = used().await?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config.json");
    std::fs::write(&config, r#"{"floor":1.0}"#)?;
    let url = stage.gateway()?.admin_url.clone();
    let config = config.to_str().context("a path in UTF-8")?;
    let arguments =
        ["backtest", "route-default@0.1.0", "--url", &url, "--org", ORG, "--config", config];
    let told = plugin(&arguments, &[("TURNPIKE_ADMIN_TOKEN", ADMIN_TOKEN)]).await?;
    assert!(told.contains("decided otherwise  6, 0 without an offer"), "{told}");
    assert!(told.contains(" -> "), "{told}");
    Ok(())
}

/// A bill policy that traps.
fn trapping_biller() -> Result<Vec<u8>> {
    let fixtures = repository().join("tests/fixtures/bad-policies");
    let prelude = std::fs::read_to_string(fixtures.join("prelude.wat"))?
        .replace("{name}", "broken")
        .replace("{name_length}", "6");
    let params = "i32 ".repeat(9);
    let text = format!(
        "(module\n{prelude}\n(func (export \"turnpike:policy/bill@0.1.0#price\") (param {params}) \
         (result i32) unreachable))"
    );
    let mut module = wat::parse_str(&text)?;
    let mut contract = Resolve::default();
    let (package, _) = contract.push_dir(repository().join("wit/policy@0.1.0"))?;
    let world = contract.select_world(&[package], Some("biller"))?;
    embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&module)?.validate(true).encode()
}
