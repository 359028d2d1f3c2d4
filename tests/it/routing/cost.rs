//! What a request is expected to cost is what its answer comes to: several answers, a service tier,
//! an answer that is thought about. And it can be worked out from what is shown of it.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::AnswerScript;
use turnpike_tests::{ORG, Setup, Stage, chat, instant_script, list_price, pico};

use super::{dry_run, reason};

fn candidate<'a>(shown: &'a Value, offer: &str) -> Result<&'a Value> {
    let all = shown["candidates"].as_array().context("candidates")?;
    let found = all.iter().find(|one| one["offer"].as_str().is_some_and(|it| it.contains(offer)));
    found.with_context(|| format!("{offer} in {shown:#}"))
}

fn expected(shown: &Value, offer: &str) -> Result<u128> {
    pico(candidate(shown, offer)?["expected_cost_usd"].as_str().context("a cost")?)
}

fn count(value: &Value, name: &str) -> u128 {
    value[name].as_u64().unwrap_or(0).into()
}

/// Every expected cost that is shown, from the tokens that are shown and the list prices.
fn costs_follow(shown: &Value) -> Result<()> {
    let made_of = &shown["expected"];
    let mut followed = 0;
    for one in shown["candidates"].as_array().context("candidates")? {
        let Some(said) = one["expected_cost_usd"].as_str() else { continue };
        let offer = one["offer"].as_str().context("an offer")?;
        let (model, provider) = offer.split_once('@').context("an offer names its provider")?;
        let (_, model) = model.split_once('/').context("an offer names its vendor")?;
        let price = list_price(provider, model)?;
        let figures = &one["figures"];
        let cached = if figures["warm"] == true { count(made_of, "cached_tokens") } else { 0 };
        let answers = count(figures, "answer_tokens") * count(made_of, "answers");
        assert_eq!(count(figures, "thinking_tokens"), 0, "none of these sells it apart: {one}");
        let wanted = (count(made_of, "prompt_tokens") - cached) * price.input
            + cached * price.cache_read
            + answers * price.output;
        assert_eq!(pico(said)?, wanted, "{one}\n{made_of:#}");
        let limit = made_of["answer_limit"].as_u64().unwrap_or(u64::MAX);
        assert!(count(figures, "answer_tokens") <= u128::from(limit), "{one}");
        followed += 1;
    }
    assert!(followed > 2, "{shown:#}");
    Ok(())
}

#[tokio::test]
async fn expected_costs_follow_from_what_is_shown() -> Result<()> {
    let stage = Stage::open().await?;
    let mut several = chat("auto", "Name a colour.");
    several["n"] = json!(4);
    let mut short = chat("auto", "Prove that the square root of two is irrational.");
    short["max_tokens"] = json!(300);
    let long = "Which of these words is the longest? ".repeat(400);
    for body in [chat("auto", "hello"), several, short, chat("openai/gpt-5.4-mini", &long)] {
        if body["model"] == "auto" {
            costs_follow(&dry_run(&stage, &body).await?).context("the dry run")?;
        }
        let answer = stage.caller.chat(&body).await?.expect_status(200)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        let made_of = &explanation["expected"];
        assert_eq!(made_of["answers"], body.get("n").cloned().unwrap_or(json!(1)));
        assert_eq!(made_of["answer_limit"], body["max_tokens"]);
        if body["model"] == "auto" {
            costs_follow(&explanation).context("the record")?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_ceiling_is_compared_with_all_that_is_asked_for() -> Result<()> {
    let stage = Stage::open().await?;
    let of = "openai/gpt-5.4@";
    let one = dry_run(&stage, &chat("auto", "hello")).await?;
    let cost = expected(&one, of)?;
    // Twice what one answer is expected to cost.
    let ceiling = format!("0.{:012}", cost * 2);
    let under =
        |body: &Value| json!({ "request": body, "rules": [{ "cost_ceiling_usd": ceiling }] });
    let mut eight = chat("auto", "hello");
    eight["n"] = json!(8);
    let mut quick = chat("auto", "hello");
    quick["service_tier"] = json!("priority");
    assert_eq!(reason(&dry_run(&stage, &under(&chat("auto", "hello"))).await?, of), "");
    let shown = dry_run(&stage, &under(&eight)).await?;
    assert_eq!(reason(&shown, of), "over_cost_ceiling", "{shown:#}");
    assert!(expected(&dry_run(&stage, &eight).await?, of)? > cost * 7);
    // Twice the price of each token; the longer body may be a few tokens more.
    let quick = expected(&dry_run(&stage, &quick).await?, of)?;
    assert!((cost * 2..cost * 2 + cost / 50).contains(&quick), "{quick} and {cost}");
    Ok(())
}

/// A model whose answers are long is expected to write long ones, at every price per token; and one
/// that nobody has asked is not.
#[tokio::test]
async fn the_length_of_a_models_answers_is_learnt() -> Result<()> {
    let mut script = instant_script();
    let deepseek = script.providers.iter_mut().find(|it| it.name == "deepseek").context("it")?;
    for model in &mut deepseek.models {
        model.answer = AnswerScript::Lorem { tokens: 3_000 };
    }
    let stage = Stage::open_with(Setup { script, ..Setup::default() }).await?;
    let body = chat("auto", "What is the capital of France?");
    let answer = |shown: &Value, offer: &str| -> Result<u128> {
        Ok(count(&candidate(shown, offer)?["figures"], "answer_tokens"))
    };
    let (thinker, other) = ("deepseek-v4-pro@", "mistral-large-latest@");
    let before = dry_run(&stage, &body).await?;
    assert_eq!(answer(&before, thinker)?, 2 * answer(&before, other)?, "it can think");
    for _ in 0..40 {
        for model in ["deepseek/deepseek-v4-pro", "mistral/mistral-large-latest"] {
            let asked = chat(model, "What is the capital of France?");
            stage.caller.chat(&asked).await?.expect_status(200)?;
        }
    }
    let after = dry_run(&stage, &body).await?;
    let (long, short) = (answer(&after, thinker)?, answer(&after, other)?);
    assert!(long > 3 * short, "{long} {short}");
    assert!(long <= 3_600, "{long}");
    assert!(expected(&after, thinker)? > expected(&before, thinker)?);
    Ok(())
}

/// A request that costs cents must not rule offers out for everybody else.
#[tokio::test]
async fn long_answers_of_one_organization_are_no_others() -> Result<()> {
    let mut script = instant_script();
    for model in script.providers.iter_mut().flat_map(|provider| &mut provider.models) {
        model.answer = AnswerScript::Lorem { tokens: 4_000 };
    }
    let stage = Stage::open_with(Setup { script, ..Setup::default() }).await?;
    let other = stage.add_org("globex", "1.00").await?;
    let body = chat("auto", "hello");
    let of = "openai/gpt-5.4@";
    let usual = |shown: &Value| count(&shown["expected"], "answer_tokens");
    let theirs = async || -> Result<Value> {
        let answer = other.call(Method::POST, "/v1/route", Some(&body)).await?;
        Ok(answer.expect_status(200)?.body)
    };
    let before = theirs().await?;
    for _ in 0..10 {
        let asked = chat("mistral/mistral-large-latest", "hello");
        stage.caller.chat(&asked).await?.expect_status(200)?;
    }
    assert!(usual(&dry_run(&stage, &body).await?) > 3 * usual(&before), "its own are longer");
    let after = theirs().await?;
    assert_eq!(usual(&after), usual(&before));
    assert_eq!(expected(&after, of)?, expected(&before, of)?);
    Ok(())
}

/// That answers are spoken, and how good an offer has to be, no token and no rejection tells where
/// nobody is out for it.
#[tokio::test]
async fn what_was_asked_beside_tokens_is_shown() -> Result<()> {
    let stage = Stage::open().await?;
    let plain = chat("auto", "hello");
    let shown = dry_run(&stage, &plain).await?;
    assert_eq!(shown["expected"]["spoken"], false, "{shown:#}");
    assert_eq!(shown["objective"]["min_quality"], 0.0, "{shown:#}");
    let mut spoken = plain.clone();
    spoken["modalities"] = json!(["text", "audio"]);
    spoken["audio"] = json!({ "voice": "alloy", "format": "wav" });
    let shown = dry_run(&stage, &spoken).await?;
    assert_eq!(shown["expected"]["spoken"], true, "{shown:#}");
    let headers = [("x-turnpike-min-quality", "0.1")];
    let shown = stage.caller.post("/v1/route", &plain, &headers).await?.expect_status(200)?;
    assert_eq!(shown.body["objective"]["min_quality"], 0.1, "{}", shown.text);
    let path = "/v1/chat/completions";
    let answer = stage.caller.post(path, &plain, &headers).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    assert_eq!(explanation["objective"]["min_quality"], 0.1, "{explanation:#}");
    let one = &explanation["candidates"][0]["figures"];
    assert!(one.get("without_searches").is_none(), "nobody was expected to search: {one}");
    Ok(())
}

/// What a decision was made by, beside the offers' own figures.
#[tokio::test]
async fn a_record_tells_configurations_apart_and_what_was_only_assumed() -> Result<()> {
    let stage = Stage::open().await?;
    let route = |explanation: &Value| -> Result<Value> {
        let policies = explanation["policies"].as_array().context("policies")?;
        let found = policies.iter().find(|it| it["hook"] == "route").context("route")?;
        Ok(found["config"].clone())
    };
    let mut configs = Vec::new();
    for config in [json!({}), json!({ "floor": 0.6 }), json!({ "floor": 0.6 })] {
        stage.bind("route", &json!({ "plugin": "route-default", "config": config })).await?;
        let answer = stage.caller.chat(&chat("auto", "hello")).await?.expect_status(200)?;
        configs.push(route(&stage.explanation(ORG, answer.request_id()).await?)?);
    }
    assert_eq!(configs[1].as_str().map(str::len), Some(16), "{configs:?}");
    assert!(configs[0] != configs[1] && configs[1] == configs[2], "{configs:?}");
    let request = chat("auto", "hello there");
    let tried = json!({ "request": request, "rules": [{ "first_token_ceiling_ms": 300 }] });
    let shown = dry_run(&stage, &tried).await?;
    let assumed = candidate(&shown, "openai/gpt-5.4@")?;
    assert_eq!(assumed["first_token_ms"], 700.0, "as it is assumed: {assumed}");
    assert_eq!(assumed["figures"]["assumed_over_ceiling"], true, "{assumed}");
    assert!(assumed["score"].is_number(), "it is no reason against it: {assumed}");
    Ok(())
}
