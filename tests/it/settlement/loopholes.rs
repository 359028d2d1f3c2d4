//! Rows of the settlement rulebook that a caller or a provider could turn to a free answer, or to a
//! record that contradicts the ledger.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_simulate::{Failure, Rule};
use turnpike_tests::{ORG, PROVIDERS, Stage, chat, pico};

/// Slow enough that a test can act between two chunks.
fn slow_down(stage: &Stage, tokens_per_second: u64) -> Result<()> {
    for (provider, models) in PROVIDERS {
        for model in models {
            stage.simulator.change(provider, model, |model| {
                model.tokens_per_second = tokens_per_second;
            })?;
        }
    }
    Ok(())
}

fn fail_all(stage: &Stage, failure: &Failure) -> Result<()> {
    for (provider, _) in PROVIDERS {
        stage.simulator.fail(provider, &[Rule::always(failure.clone())])?;
    }
    Ok(())
}

fn amount(explanation: &Value, name: &str) -> Result<u128> {
    pico(explanation[name].as_str().with_context(|| format!("no {name} in {explanation:#}"))?)
}

#[tokio::test]
async fn the_hold_covers_the_service_tier_that_is_asked_for() -> Result<()> {
    let stage = Stage::open().await?;
    let mut body = chat("openai/gpt-5.4-mini", "hello");
    body["max_tokens"] = json!(1_000);
    let mut held = Vec::new();
    for tier in [None, Some("priority"), Some("auto")] {
        if let Some(tier) = tier {
            body["service_tier"] = json!(tier);
        }
        let answer = stage.caller.chat(&body).await?.expect_status(200)?;
        held.push(amount(&stage.explanation(ORG, answer.request_id()).await?, "hold_usd")?);
    }
    // The list price of priority is twice the standard one, and the body a few bytes longer.
    assert!(held[1] >= held[0] * 2, "{held:?}");
    assert!(held[2] >= held[0] * 2, "{held:?}");
    stage.simulator.change("openai", "gpt-5.4-mini", |m| m.service_tier = "priority".into())?;
    body["service_tier"] = json!("priority");
    let answer = stage.caller.chat(&body).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(amount(&explanation, "absorbed_usd")?, 0, "the hold was enough");
    // Nobody knows what it costs there.
    let mut unpriced = chat("mistral/mistral-large-3", "hello");
    unpriced["service_tier"] = json!("priority");
    let refused = stage.caller.chat(&unpriced).await?;
    assert_ne!(refused.status, 200, "{}", refused.text);
    Ok(())
}

/// Pitfalls 41, 45 and 48: zeros are no report.
#[tokio::test]
async fn a_report_of_zeros_does_not_make_an_answer_free() -> Result<()> {
    let stage = Stage::open().await?;
    fail_all(&stage, &Failure::ZeroUsage)?;
    let text = "one two three four five six seven eight";
    let mut answer = stage.caller.stream(&chat("auto", text)).await?;
    answer.read().await?;
    let whole = stage.caller.chat(&chat("auto", text)).await?.expect_status(200)?;
    for id in [answer.request_id.as_str(), whole.request_id()] {
        let explanation = stage.explanation(ORG, id).await?;
        assert_eq!(explanation["usage_source"], "estimated", "{explanation:#}");
        assert_eq!(explanation["settlement"], "complete_estimated");
        assert!(amount(&explanation, "cost_usd")? > 0, "{explanation:#}");
    }
    Ok(())
}

/// What is blocked at the end of a stream does not make what was delivered free.
#[tokio::test]
async fn a_stream_that_a_policy_blocks_is_charged_as_far_as_it_was_delivered() -> Result<()> {
    let stage = Stage::open().await?;
    let config = json!({ "input": { "all": "count" }, "output": { "card": "block" } });
    stage.bind("redact", &json!({ "plugin": "redact-default", "config": config })).await?;
    slow_down(&stage, 40)?;
    let story = "once upon a time there was a very long story about nothing ".repeat(3);
    let mut answer =
        stage.caller.stream(&chat("auto", &format!("{story} 4111 1111 1111 1111 end"))).await?;
    answer.read().await?;
    assert_eq!(answer.error().context("an error event")?["code"], "policy_blocked");
    let delivered = answer.text();
    assert!(delivered.starts_with("once upon") && !delivered.contains("4111"), "{delivered}");
    let explanation = stage.explanation(ORG, &answer.request_id).await?;
    assert_eq!(explanation["settlement"], "failed_partial");
    assert_eq!(explanation["usage_source"], "estimated", "{explanation:#}");
    let tokens = explanation["usage"]["output_text"].as_u64().context("tokens")?;
    assert_eq!(tokens, (delivered.len() as u64).div_ceil(4), "{explanation:#}");
    let cost = amount(&explanation, "cost_usd")?;
    assert!(cost > 0);
    assert_eq!(stage.settled_balance(ORG).await?.spent, cost);
    Ok(())
}

#[tokio::test]
async fn a_provider_that_dies_after_the_caller_left_has_not_answered() -> Result<()> {
    let stage = Stage::open().await?;
    slow_down(&stage, 10)?;
    fail_all(&stage, &Failure::DieAfter { chunks: 8 })?;
    let text = "one two three four five six seven eight nine ten eleven twelve";
    let mut answer = stage.caller.stream(&chat("auto", text)).await?;
    assert!(answer.read_to_text().await?);
    let (id, seen) = (answer.request_id.clone(), answer.text());
    drop(answer);
    let explanation = stage.explanation(ORG, &id).await?;
    assert_eq!(explanation["settlement"], "partial", "{explanation:#}");
    assert_eq!(explanation["attempts"][0]["outcome"], "died", "{explanation:#}");
    let tokens = explanation["usage"]["output_text"].as_u64().context("tokens")?;
    assert!(tokens >= (seen.len() as u64).div_ceil(4), "{explanation:#}");
    assert!(tokens < (text.len() as u64).div_ceil(4), "what came later is not charged");
    assert_eq!(stage.settled_balance(ORG).await?.spent, amount(&explanation, "cost_usd")?);
    Ok(())
}

/// Pitfall 43: what the answer says was served is charged, whichever tier was asked for: whole and
/// streamed, and in the caller's dialect or another's.
#[tokio::test]
async fn another_service_tier_than_was_asked_for_is_charged_as_served() -> Result<()> {
    let stage = Stage::open().await?;
    let model = "openai/gpt-5.4-mini";
    let mut costs = Vec::new();
    for (asked, served) in [
        ("default", "default"),
        ("priority", "default"),
        ("priority", "priority"),
        ("auto", "priority"),
        ("auto", "flex"),
    ] {
        stage.simulator.change("openai", "gpt-5.4-mini", |m| m.service_tier = served.into())?;
        let mut body = chat(model, "hello there");
        body["service_tier"] = json!(asked);
        let whole = stage.caller.chat(&body).await?.expect_status(200)?;
        body["stream_options"] = json!({ "include_usage": true });
        let mut streamed = stage.caller.stream(&body).await?;
        streamed.read().await?;
        let body = json!({ "model": model, "input": "hello there", "service_tier": asked });
        let other = stage.caller.post("/v1/responses", &body, &[]).await?.expect_status(200)?;
        let mut each = Vec::new();
        for id in [whole.request_id(), &streamed.request_id, other.request_id()] {
            let explanation = stage.explanation(ORG, id).await?;
            assert_eq!(explanation["settlement"], "complete", "{explanation:#}");
            assert_eq!(amount(&explanation, "absorbed_usd")?, 0, "{asked} {served}");
            each.push(amount(&explanation, "cost_usd")?);
        }
        assert!(each.iter().all(|cost| *cost == each[0]), "{asked} {served}: {each:?}");
        costs.push(each[0]);
    }
    let [plain, not_granted, granted, by_auto, slow] = costs[..] else { unreachable!() };
    assert_eq!(not_granted, plain, "asked for, and not served");
    // By the price list priority costs twice as much, and flex half.
    assert_eq!((granted, by_auto, slow * 2), (plain * 2, plain * 2, plain));
    Ok(())
}
