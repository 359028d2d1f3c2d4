//! What one caller or one key brings about is not everybody's trouble, and what is slow is not
//! broken: as callers see it.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::{Failure, Rule, When};
use turnpike_tests::{ORG, Setup, Stage, chat, pico};

use super::{add_rule, dry_run, plan, reason};

const MODEL: &str = "openai/gpt-5.4-mini";

/// The live figures of the model's offer.
async fn live(stage: &Stage) -> Result<Value> {
    let offers = stage.operate(Method::GET, "/offers", None).await?.expect_status(200)?.body;
    let all = offers["items"].as_array().context("offers")?;
    let own = all.iter().find(|one| one["model"] == MODEL).context("the offer")?;
    Ok(own["live"].clone())
}

fn outcomes(explanation: &Value) -> Vec<&str> {
    let attempts = explanation["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    attempts.iter().filter_map(|attempt| attempt["outcome"].as_str()).collect()
}

/// The operator's key at the best provider is revoked: nobody who asks for `auto` hears of it.
#[tokio::test]
async fn a_revoked_key_fails_nobody_who_leaves_the_choice_to_the_gateway() -> Result<()> {
    let stage = Stage::open().await?;
    let body = chat("auto", "What is the capital of France?");
    let first = stage.caller.chat(&body).await?.expect_status(200)?;
    let provider = first.header("x-turnpike-provider").to_owned();
    stage.simulator.fail(&provider, &[Rule::always(Failure::status(401))])?;
    let found_out = stage.caller.chat(&body).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, found_out.request_id()).await?;
    assert_eq!(outcomes(&explanation), ["credential", "answered"], "{explanation:#}");
    for _ in 0..3 {
        let answer = stage.caller.chat(&body).await?.expect_status(200)?;
        assert_eq!(answer.header("x-turnpike-attempts"), "1", "it is not asked again");
    }
    let shown = dry_run(&stage, &body).await?;
    let at = format!("@{provider}");
    assert!(
        plan(&shown).iter().all(|offer| !offer.ends_with(&at)),
        "none of its offers: {shown:#}"
    );
    let metrics = stage.metrics().await?;
    let refused = format!("provider=\"{provider}\",outcome=\"credential\"}} 1");
    assert!(metrics.contains(&refused), "the operator sees it: {metrics}");
    Ok(())
}

/// A provider refuses one caller's prompt: the others go on.
#[tokio::test]
async fn a_flagged_prompt_is_its_callers_alone() -> Result<()> {
    let stage = Stage::open().await?;
    let body = r#"{"error":{"code":403,"message":"Your input was flagged for violence.",
        "metadata":{"reasons":["violence"],"flagged_input":"x"}}}"#;
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let fail = Failure::Raw { status: 403, headers: headers.into(), body: body.to_owned() };
    let when = When { contains: Some("FLAGGED".to_owned()), ..When::default() };
    stage.simulator.fail("openai", &[Rule { fail, when }])?;
    let before = stage.balance(ORG).await?;
    for _ in 0..3 {
        let refused = stage.caller.chat(&chat(MODEL, "FLAGGED text")).await?.expect_status(403)?;
        assert_eq!(refused.text, body, "the provider's own words");
    }
    assert_eq!(stage.settled_balance(ORG).await?, before, "it costs nothing");
    stage.caller.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    assert_eq!(live(&stage).await?["state"], "open_for_requests");
    Ok(())
}

/// OpenAI's streams say status 200 first and then that the organization's minute is used up: the
/// offer rests for as long as that says, and has not failed.
#[tokio::test]
async fn a_rate_limit_inside_a_stream_rests_the_offer_as_long_as_it_says() -> Result<()> {
    let stage = Stage::open().await?;
    let words = "Rate limit reached for gpt-5.4-mini in organization org-x on tokens per min \
                 (TPM): Limit 250000, Used 250000, Requested 58487. Please try again in 19.036s.";
    let fail = Failure::StreamError {
        chunks: 0,
        error: "rate_limit_exceeded".to_owned(),
        message: Some(words.to_owned()),
    };
    stage.simulator.fail("openai", &[Rule::always(fail)])?;
    let mut body = chat(MODEL, "hello");
    body["stream"] = json!(true);
    let refused = stage.caller.chat(&body).await?.expect_status(429)?;
    assert_eq!(refused.header("retry-after"), "20");
    assert!(refused.text.contains(words), "the provider's own words: {}", refused.text);
    let explanation = stage.explanation(ORG, refused.request_id()).await?;
    assert_eq!(outcomes(&explanation), ["rate_limited"], "asked once: {explanation:#}");
    let seen = live(&stage).await?;
    assert_eq!(seen["state"], "resting");
    assert_eq!(seen["credentials"][0]["failures_in_a_row"], 0, "{seen:#}");
    let mut answer = stage.caller.stream(&chat("auto", "hello")).await?;
    answer.read().await?;
    assert!(answer.complete(), "somebody else answers: {:?}", answer.chunks);
    Ok(())
}

async fn thinking(first_token_ms: u64) -> Result<Stage> {
    let environment = vec![
        ("TURNPIKE__TIMEOUTS__FIRST_CONTENT_MS", "1000"),
        ("TURNPIKE__TIMEOUTS__ANSWER_MS", "3000"),
    ];
    let stage = Stage::open_with(Setup { environment, ..Setup::default() }).await?;
    stage.simulator.change("openai", "gpt-5.4-mini", |model| {
        model.first_token_ms = first_token_ms;
        model.ping_every_ms = 100;
    })?;
    Ok(stage)
}

/// Thinking that gives signs of life is no time-out, and its first token is when its first content
/// comes, not its head.
#[tokio::test]
async fn a_model_that_thinks_and_says_so_is_waited_for() -> Result<()> {
    let stage = thinking(1_500).await?;
    let mut answer = stage.caller.stream(&chat(MODEL, "hello")).await?;
    answer.read().await?;
    assert!(answer.complete() && answer.text() == "hello", "{:?}", answer.chunks);
    stage.explanation(ORG, &answer.request_id).await?;
    let seen = live(&stage).await?;
    assert!(seen["first_token_ms"].as_f64().context("a figure")? >= 1_500.0, "{seen:#}");
    Ok(())
}

/// Where it never comes to an end the next is asked, nothing is held against the offer, and what it
/// may charge is shown.
#[tokio::test]
async fn endless_thought_is_left_and_the_platform_bears_the_prompt() -> Result<()> {
    let stage = thinking(60_000).await?;
    let mut body = chat(MODEL, "hello");
    body["stream"] = json!(true);
    let refused = stage.caller.chat(&body).await?.expect_status(504)?;
    let explanation = stage.explanation(ORG, refused.request_id()).await?;
    assert_eq!(outcomes(&explanation), ["timeout"], "{explanation:#}");
    let detail = explanation["attempts"][0]["detail"].as_str().context("a detail")?;
    assert!(detail.contains("signs of life") && detail.contains("estimate"), "{detail}");
    let amount = |name: &str| pico(explanation[name].as_str().context("an amount")?);
    assert!(amount("absorbed_usd")? > 0 && amount("cost_usd")? == 0, "{explanation:#}");
    let seen = live(&stage).await?;
    assert_eq!((&seen["state"], &seen["availability"]), (&json!("open_for_requests"), &json!(1.0)));
    Ok(())
}

/// A whole answer's time is not its first token's: a ceiling on that rules nobody out for it.
#[tokio::test]
async fn a_slow_whole_answer_is_no_late_first_token() -> Result<()> {
    let stage = Stage::open().await?;
    stage.simulator.change("openai", "gpt-5.4-mini", |model| model.first_token_ms = 1_500)?;
    add_rule(&stage, &json!({ "first_token_ceiling_ms": 1000 })).await?;
    let body = chat(MODEL, "hello");
    for _ in 0..2 {
        stage.caller.chat(&body).await?.expect_status(200)?;
    }
    assert_eq!(reason(&dry_run(&stage, &body).await?, MODEL), "");
    let seen = live(&stage).await?;
    assert!(seen["whole_answer_ms"].as_f64().context("a figure")? >= 1_500.0, "{seen:#}");
    assert_eq!(seen["by_prompt_size"], json!([]), "no stream was measured");
    Ok(())
}
