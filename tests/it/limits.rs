//! Rate limits: of keys, users, projects, teams and organizations, told in each dialect's headers.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::{Failure, Rule};
use turnpike_tests::{Answered, Caller, ORG, PROVIDERS, Stage, chat};

const MODEL: &str = "openai/gpt-5.4-mini";

async fn key(stage: &Stage, limits: Value) -> Result<Caller> {
    let labels = json!({"name": "k", "team": "a", "user": "u", "limits": limits});
    stage.add_key(ORG, &labels).await
}

fn number(answer: &Answered, name: &str) -> Result<u64> {
    answer.header(name).parse().with_context(|| format!("{name}: {:?}", answer.headers))
}

fn messages(text: &str) -> Value {
    let said = json!([{"role": "user", "content": text}]);
    json!({"model": MODEL, "max_tokens": 50, "messages": said})
}

/// The provider's own refusal is passed on as it is, with what is left of the caller's limits.
#[tokio::test]
async fn a_providers_refusal_tells_the_limits_too() -> Result<()> {
    let stage = Stage::open().await?;
    let caller = key(&stage, json!({"rpm": 9})).await?;
    for (status, failure) in [(400, Failure::status(400)), (502, Failure::status(500))] {
        for (provider, _) in PROVIDERS {
            stage.simulator.fail(provider, &[Rule::always(failure.clone())])?;
        }
        let answer = caller.chat(&chat(MODEL, "hello")).await?;
        assert_eq!(answer.status / 100, status / 100, "{}", answer.text);
        assert_eq!(number(&answer, "x-ratelimit-limit-requests")?, 9, "{status}");
    }
    let answer = caller.post("/v1/messages", &messages("hello"), &[]).await?;
    assert_eq!(number(&answer, "anthropic-ratelimit-requests-limit")?, 9, "{}", answer.text);
    Ok(())
}

/// Pitfall 59: a refusal says how long to wait; and what is left is told before it comes to that.
#[tokio::test]
async fn requests_per_minute_are_told_and_refused_in_each_dialect() -> Result<()> {
    let stage = Stage::open().await?;
    let caller = key(&stage, json!({"rpm": 2})).await?;
    let first = caller.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    assert_eq!(number(&first, "x-ratelimit-limit-requests")?, 2);
    assert_eq!(number(&first, "x-ratelimit-remaining-requests")?, 1);
    assert!(first.header("x-ratelimit-reset-requests").ends_with('s'), "{:?}", first.headers);
    assert_eq!(first.header("x-ratelimit-limit-tokens"), "", "tokens have no limit");
    let second = caller.post("/v1/messages", &messages("hello"), &[]).await?.expect_status(200)?;
    assert_eq!(number(&second, "anthropic-ratelimit-requests-limit")?, 2);
    assert_eq!(number(&second, "anthropic-ratelimit-requests-remaining")?, 0);
    assert!(second.header("anthropic-ratelimit-requests-reset").ends_with('Z'));
    assert_eq!(second.header("x-ratelimit-limit-requests"), "");

    let refused = caller.chat(&chat(MODEL, "hello")).await?.expect_status(429)?;
    assert_eq!(refused.body["error"]["code"], "rate_limit_exceeded", "{}", refused.text);
    let wait = number(&refused, "retry-after")?;
    assert!((55..=62).contains(&wait), "{wait}");
    assert_eq!(number(&refused, "x-ratelimit-remaining-requests")?, 0);
    let message = refused.body["error"]["message"].as_str().context("a message")?;
    assert!(message.contains("key:k may") && message.contains(&format!("try again in {wait}s")));
    let refused = caller.post("/v1/messages", &messages("hello"), &[]).await?.expect_status(429)?;
    assert_eq!(refused.body["error"]["type"], "rate_limit_error", "{}", refused.text);
    assert!(number(&refused, "retry-after")? > 0);
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]});
    let path = "/v1beta/models/gpt-5.4-mini:generateContent";
    let refused = caller.post(path, &body, &[]).await?.expect_status(429)?;
    assert_eq!(refused.body["error"]["status"], "RESOURCE_EXHAUSTED", "{}", refused.text);
    // Nobody was asked for what was refused, and it cost nothing.
    assert_eq!(stage.simulator.all_requests().len(), 2);
    // A stream is told as well, and another key is not concerned.
    let streaming = key(&stage, json!({"rpm": 5})).await?;
    let mut body = chat(MODEL, "hello");
    body["stream"] = json!(true);
    let stream = streaming.post("/v1/chat/completions", &body, &[]).await?.expect_status(200)?;
    assert_eq!(number(&stream, "x-ratelimit-remaining-requests")?, 4);
    let free = stage.caller.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    assert!(!free.headers.iter().any(|(name, _)| name.contains("ratelimit")));
    Ok(())
}

/// Tokens are taken by an estimate, and what was not used is free again.
#[tokio::test]
async fn tokens_per_minute_are_corrected_by_what_was_used() -> Result<()> {
    let stage = Stage::open().await?;
    let caller = key(&stage, json!({"tpm": 3_000})).await?;
    let mut body = chat(MODEL, "hello");
    body["max_tokens"] = json!(2_000);
    let mut left = 3_000;
    for _ in 0..3 {
        // Two of these would be too many at once.
        let answer = caller.chat(&body).await?.expect_status(200)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        let used = ["input_uncached", "cache_read", "output_text", "output_reasoning"];
        let used: u64 = used.iter().filter_map(|b| explanation["usage"][*b].as_u64()).sum();
        assert!(number(&answer, "x-ratelimit-remaining-tokens")? < 1_100, "while it runs");
        left -= used;
    }
    assert!(left > 2_900, "{left}");
    let mut long = chat(MODEL, &"word ".repeat(4_000));
    long["max_tokens"] = json!(10);
    let refused = caller.chat(&long).await?.expect_status(429)?;
    assert_eq!(number(&refused, "x-ratelimit-remaining-tokens")?, left, "{}", refused.text);
    assert!(refused.text.contains("tokens per minute"), "{}", refused.text);
    Ok(())
}

/// Limits of a team and an organization hold for all of their keys together.
#[tokio::test]
async fn limits_of_scopes_hold_for_all_their_keys_together() -> Result<()> {
    let stage = Stage::open().await?;
    let (one, other) = (key(&stage, json!({"rpm": 9})).await?, key(&stage, Value::Null).await?);
    let path = |scope: &str| format!("/orgs/{ORG}/limits/{scope}");
    let two = json!({"rpm": 2});
    let put = stage.operate(Method::PUT, &path("team:a"), Some(&two)).await?.expect_status(200)?;
    assert_eq!(put.body, json!({"scope": "team:a", "rpm": 2, "tpm": null, "concurrency": null}));
    let answer = one.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    assert_eq!(number(&answer, "x-ratelimit-remaining-requests")?, 1, "the tightest is told");
    other.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    let refused = other.chat(&chat(MODEL, "hello")).await?.expect_status(429)?;
    assert!(refused.text.contains("team:a"), "{}", refused.text);
    stage.caller.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    // What was used is not forgotten when the limit changes.
    let three = json!({"rpm": 3});
    stage.operate(Method::PUT, &path("team:a"), Some(&three)).await?.expect_status(200)?;
    other.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    other.chat(&chat(MODEL, "hello")).await?.expect_status(429)?;
    stage.operate(Method::DELETE, &path("team:a"), None).await?.expect_status(204)?;
    other.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    for (scope, body, field) in [
        ("tag:a=b", json!({"rpm": 1}), "scope"),
        ("key:x", json!({"rpm": 1}), "scope"),
        ("team:a", json!({}), "rpm"),
        ("team:a", json!({"tpm": 0}), "tpm"),
        ("team:a", json!({"rps": 5}), "rps"),
    ] {
        let refused = stage.operate(Method::PUT, &path(scope), Some(&body)).await?;
        assert_eq!(refused.status, 422, "{scope}: {}", refused.text);
        assert_eq!(refused.body["error"]["field"], field, "{scope}: {}", refused.text);
    }
    Ok(())
}

/// Pitfall 52: a place is given back however a request ends, also when its caller is gone.
#[tokio::test]
async fn no_more_run_at_a_time_than_may_and_every_place_comes_back() -> Result<()> {
    let stage = Stage::open().await?;
    stage.simulator.change("openai", "gpt-5.4-mini", |model| {
        model.answer = turnpike_simulate::AnswerScript::Lorem { tokens: 400 };
        model.tokens_per_second = 100;
    })?;
    let caller = key(&stage, json!({"concurrency": 1})).await?;
    let mut body = chat(MODEL, "hello");
    body["stream"] = json!(true);
    let mut running = caller.stream(&body).await?;
    anyhow::ensure!(running.read_to_text().await?, "no text came");
    let refused = caller.chat(&chat(MODEL, "hello")).await?.expect_status(429)?;
    assert!(refused.text.contains("requests at a time"), "{}", refused.text);
    assert_eq!(number(&refused, "retry-after")?, 1);
    // The caller goes away in the middle.
    drop(running);
    stage.simulator.change("openai", "gpt-5.4-mini", |model| {
        model.answer = turnpike_simulate::AnswerScript::Echo {};
        model.tokens_per_second = 0;
    })?;
    let again = async {
        loop {
            let answer = caller.chat(&chat(MODEL, "hello")).await?;
            if answer.status == 200 {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.context("a place stays taken")?
}

/// Counts of tokens, dry runs and ratings are bounded by the same limits, and take none of the
/// requests: an agent counts before every turn.
#[tokio::test]
async fn questions_have_the_limits_of_requests_and_take_none_of_theirs() -> Result<()> {
    let stage = Stage::open().await?;
    let caller = key(&stage, json!({"rpm": 2})).await?;
    let count = "/v1/messages/count_tokens";
    caller.post(count, &messages("hello"), &[]).await?.expect_status(200)?;
    caller.post("/v1/route", &chat("auto", "hello"), &[]).await?.expect_status(200)?;
    let refused = caller.post(count, &messages("hello"), &[]).await?.expect_status(429)?;
    assert_eq!(refused.body["error"]["type"], "rate_limit_error", "{}", refused.text);
    assert!(number(&refused, "retry-after")? > 0);
    let rating = json!({"request_id": "0190f6f5-0000-7000-8000-000000000001", "rating": 1});
    for (path, body) in [("/v1/route", chat("auto", "hello")), ("/v1/feedback", rating)] {
        let refused = caller.post(path, &body, &[]).await?.expect_status(429)?;
        assert_eq!(refused.body["error"]["code"], "rate_limit_exceeded", "{}", refused.text);
    }
    for left in [1, 0] {
        let answer = caller.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
        assert_eq!(number(&answer, "x-ratelimit-remaining-requests")?, left);
    }
    caller.chat(&chat(MODEL, "hello")).await?.expect_status(429)?;
    Ok(())
}
