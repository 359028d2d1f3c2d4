//! Whose budgets a request counts on, what a refusal says, and that no limit is ever passed.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use turnpike_simulate::AnswerScript;
use turnpike_tests::{ORG, Stage, chat, pico};

use super::{add_budget, all_write, amount, bounded, budget, change_org, spent};

const MODEL: &str = "openai/gpt-5.4-mini";
/// Less than the floor of an answer costs.
const USED_UP: &str = "0.0001";

/// Pitfalls 53 and 54: every scope from the organization to the tag refuses by itself, in the words
/// of the caller's protocol, and nothing of it can be evaded by another route or a header.
#[tokio::test]
async fn each_scope_refuses_by_its_name_and_leaves_the_others_alone() -> Result<()> {
    let stage = Stage::open().await?;
    let labels = json!({"name": "k", "team": "research", "project": "apollo", "user": "ada"});
    let key = stage.add_key(ORG, &labels).await?;
    let tags = [("x-turnpike-tags", "job=nightly,other=x")];
    let path = "/v1/chat/completions";
    for scope in ["team:research", "project:apollo", "user:ada", "tag:job=nightly", "organization"]
    {
        let id =
            add_budget(&stage, json!({"scope": scope, "amount_usd": USED_UP, "period": "day"}))
                .await?;
        let refused = key.post(path, &chat(MODEL, "hello"), &tags).await?.expect_status(429)?;
        let message = refused.body["error"]["message"].as_str().context("a message")?;
        assert_eq!(refused.body["error"]["code"], "budget_exceeded", "{}", refused.text);
        assert!(message.contains(scope), "{message}");
        let end = budget(&stage, &id).await?["window_end"].as_str().context("an end")?.to_owned();
        assert!(message.contains(&end), "{message} names {end}");
        assert_eq!(refused.header("x-should-retry"), "false");
        let wait: u64 = refused.header("retry-after").parse()?;
        assert!(wait > 0 && wait <= 86_400, "{wait}");
        // Other routes of the same key are no way around it.
        let anthropic = json!({"model": MODEL, "max_tokens": 400,
            "messages": [{"role": "user", "content": "hello"}]});
        let other = key.post("/v1/messages", &anthropic, &tags).await?.expect_status(429)?;
        assert_eq!(other.body["type"], "error", "{}", other.text);
        assert!(other.text.contains(scope), "{}", other.text);
        // Others are not held up.
        let free = stage.caller.chat(&chat(MODEL, "hello")).await?;
        let expected = if scope == "organization" { 429 } else { 200 };
        assert_eq!(free.status, expected, "{scope}: {}", free.text);
        let path = format!("/orgs/{ORG}/budgets/{id}");
        stage.operate(Method::DELETE, &path, None).await?.expect_status(204)?;
        key.post("/v1/chat/completions", &chat(MODEL, "hello"), &tags).await?.expect_status(200)?;
    }
    // A tag that is not sent is not counted.
    let tagged = json!({"scope": "tag:job=nightly", "amount_usd": USED_UP, "period": "total"});
    add_budget(&stage, tagged).await?;
    key.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    Ok(())
}

/// Pitfall 51: what is spent and held is counted on every scope alike, over streams and whole
/// answers, and is there after a restart.
#[tokio::test]
async fn a_request_counts_on_every_scope_and_a_restart_forgets_nothing() -> Result<()> {
    let mut stage = Stage::open().await?;
    let labels = json!({"name": "k", "team": "research", "budget":
        {"amount_usd": "5", "period": "month", "mode": "alert", "alerts": [50]}});
    let key = stage.add_key(ORG, &labels).await?;
    let mut ids = Vec::new();
    for scope in ["organization", "team:research", "model:openai/*", "model:deepseek/*"] {
        for (period, mode) in [("day", "hard"), ("total", "alert")] {
            let budget =
                json!({"scope": scope, "amount_usd": "10", "period": period, "mode": mode});
            ids.push((scope, add_budget(&stage, budget).await?));
        }
    }
    let whole = key.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    let mut stream = key.stream(&chat(MODEL, "hello")).await?;
    stream.read().await?;
    stage.settled_balance(ORG).await?;
    let mut cost = 0;
    for id in [whole.request_id(), stream.request_id.as_str()] {
        cost += amount(&stage.explanation(ORG, id).await?, "cost_usd")?;
    }
    assert!(cost > 0);
    stage.restart().await?;
    for (scope, id) in &ids {
        let shown = budget(&stage, id).await?;
        let expected = if *scope == "model:deepseek/*" { 0 } else { cost };
        assert_eq!(amount(&shown, "spent_usd")?, expected, "{scope}: {shown}");
        assert_eq!(amount(&shown, "held_usd")?, 0, "{scope}: {shown}");
    }
    let keys = stage.operate(Method::GET, &format!("/orgs/{ORG}/keys"), None).await?;
    let shown = &keys.body["items"][1]["budget"];
    assert_eq!((amount(shown, "spent_usd")?, &shown["mode"]), (cost, &json!("alert")), "{shown}");
    Ok(())
}

/// A model whose budget is used up makes room for the others, and only what it answered counts.
#[tokio::test]
async fn the_budget_of_a_model_leaves_the_choice_to_the_others() -> Result<()> {
    let stage = Stage::open().await?;
    let others = json!({"scope": "model:mistral/*", "amount_usd": "5", "period": "day"});
    let others = add_budget(&stage, others).await?;
    let used_up = json!({"scope": "model:openai/*", "amount_usd": USED_UP, "period": "day"});
    let used_up = add_budget(&stage, used_up).await?;
    let mut spent_there = 0;
    for _ in 0..4 {
        let answer = stage.caller.chat(&chat("auto:best", "hello")).await?.expect_status(200)?;
        assert!(!answer.header("x-turnpike-model").starts_with("openai/"), "{:?}", answer.headers);
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        if answer.header("x-turnpike-model").starts_with("mistral/") {
            spent_there += amount(&explanation, "cost_usd")?;
        }
    }
    stage.settled_balance(ORG).await?;
    assert_eq!(spent(&stage, &others).await?, spent_there);
    assert_eq!(spent(&stage, &used_up).await?, 0);
    let refused = stage.caller.chat(&chat(MODEL, "hello")).await?.expect_status(429)?;
    assert!(refused.text.contains("model:openai/*"), "{}", refused.text);
    Ok(())
}

/// The tightest counter decides how long an answer may be; one that only counts decides nothing.
#[tokio::test]
async fn the_answer_is_clamped_by_the_tightest_counter() -> Result<()> {
    let stage = Stage::open().await?;
    all_write(&stage, 5_000)?;
    let key = stage.add_key(ORG, &json!({"name": "k", "team": "a", "user": "u"})).await?;
    for (scope, amount, mode) in
        [("organization", "9", "hard"), ("team:a", "0.01", "hard"), ("user:u", "0.000001", "alert")]
    {
        let budget = json!({"scope": scope, "amount_usd": amount, "period": "day", "mode": mode});
        add_budget(&stage, budget).await?;
    }
    let answer = key.chat(&bounded(MODEL, 4_000)).await?.expect_status(200)?;
    let clamped: u32 = answer.header("x-turnpike-clamped").parse()?;
    // At 4.5 USD for a million tokens.
    assert!((1_500..2_222).contains(&clamped), "{clamped}");
    assert_eq!(answer.body["choices"][0]["finish_reason"], "length");
    Ok(())
}

/// Pitfall 50 over several counters: a stream that its team can't pay any more ends legally.
#[tokio::test]
async fn a_stream_ends_at_its_length_when_any_counter_runs_out() -> Result<()> {
    let stage = Stage::open().await?;
    stage.simulator.change("openai", "gpt-5.4-mini", |model| {
        model.answer = AnswerScript::Lorem { tokens: 3_000 };
        model.ignores_limit = true;
        model.tokens_per_second = 2_000;
        model.chunk_tokens = 20;
    })?;
    let key = stage.add_key(ORG, &json!({"name": "k", "team": "a"})).await?;
    let wide = json!({"scope": "organization", "amount_usd": "5", "period": "day"});
    let (wide, tight) = (
        add_budget(&stage, wide).await?,
        add_budget(&stage, json!({"scope": "team:a", "amount_usd": "0.004", "period": "day"}))
            .await?,
    );
    let mut stream = key.stream(&bounded(MODEL, 300)).await?;
    stream.read().await?;
    let finish = |c: &'_ Value| c["choices"][0]["finish_reason"].as_str().map(str::to_owned);
    assert_eq!(stream.chunks.iter().rev().find_map(finish).as_deref(), Some("length"));
    stage.settled_balance(ORG).await?;
    let explanation = stage.explanation(ORG, &stream.request_id).await?;
    assert_eq!(explanation["settlement"], "partial", "{explanation:#}");
    let cost = amount(&explanation, "cost_usd")?;
    assert_eq!((spent(&stage, &wide).await?, spent(&stage, &tight).await?), (cost, cost));
    assert!(cost > 0 && cost <= pico("0.004")?);
    Ok(())
}

/// Days begin where the organization is.
#[tokio::test]
async fn windows_begin_at_the_organizations_midnight() -> Result<()> {
    let stage = Stage::open().await?;
    let day = json!({"scope": "organization", "amount_usd": "1", "period": "day"});
    let id = add_budget(&stage, day).await?;
    let start = |shown: &serde_json::Value| shown["window_start"].as_str().map(str::to_owned);
    let utc = start(&budget(&stage, &id).await?).context("a start")?;
    assert!(utc.ends_with("T00:00:00Z"), "{utc}");
    let org = change_org(&stage, json!({"time_zone": "Asia/Kolkata"})).await?;
    assert_eq!(org["time_zone"], "Asia/Kolkata");
    let there = start(&budget(&stage, &id).await?).context("a start")?;
    assert!(there.ends_with("T18:30:00Z"), "{there}");
    stage.caller.chat(&chat(MODEL, "hello")).await?.expect_status(200)?;
    stage.settled_balance(ORG).await?;
    assert!(spent(&stage, &id).await? > 0, "it counts in the window of that zone");
    let path = format!("/orgs/{ORG}");
    let odd = json!({"time_zone": "Moon/Crater"});
    let refused = stage.operate(Method::PATCH, &path, Some(&odd)).await?.expect_status(422)?;
    assert_eq!(refused.body["error"]["field"], "time_zone");
    Ok(())
}

/// Pitfall 55: what can't be kept is refused, and more budgets than a request can count on are too.
#[tokio::test]
async fn what_makes_no_sense_is_refused_by_its_field() -> Result<()> {
    let stage = Stage::open().await?;
    let path = format!("/orgs/{ORG}/budgets");
    for (body, field) in [
        (json!({"scope": "squad:x", "amount_usd": "1", "period": "day"}), "scope"),
        (json!({"scope": "key:nobody", "amount_usd": "1", "period": "day"}), "scope"),
        (json!({"scope": "team:x", "amount_usd": "1", "period": "year"}), "period"),
        (json!({"scope": "team:x", "amount_usd": "1", "period": "day", "mode": "soft"}), "mode"),
        (json!({"scope": "team:x", "amount_usd": "1", "period": "day", "alerts": [0]}), "alerts"),
        (json!({"scope": "team:x", "amount_usd": 1, "period": "day"}), "amount_usd"),
        (json!({"scope": "team:x", "amount": "1", "period": "day"}), "amount"),
    ] {
        let refused = stage.operate(Method::POST, &path, Some(&body)).await?.expect_status(422)?;
        assert_eq!(refused.body["error"]["field"], field, "{body}: {}", refused.text);
    }
    let one = json!({"scope": "team:x", "amount_usd": "1", "period": "day"});
    for _ in 0..4 {
        add_budget(&stage, one.clone()).await?;
    }
    let full = stage.operate(Method::POST, &path, Some(&one)).await?.expect_status(409)?;
    assert_eq!(full.body["error"]["code"], "too_many_budgets");
    Ok(())
}
