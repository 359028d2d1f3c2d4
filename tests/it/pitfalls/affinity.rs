//! A conversation stays with the provider that has its beginning in the cache, as long as that one
//! is well, and no longer than the cache lives. Two equal providers, so that staying is no chance.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_simulate::{Dialect, Failure, Rule};
use turnpike_tests::{ORG, Setup, Stage};

use super::speech::Ask;
use super::world::{SPOKEN, change_all, fail_pair, setup};

/// Conversations of one test: that all of them begin at one of two providers is no chance.
const CONVERSATIONS: usize = 12;
const TURNS: usize = 3;

pub(crate) async fn open(session_ms: &'static str) -> Result<Stage> {
    let environment = vec![
        ("TURNPIKE__ROUTING__SESSION_MS", session_ms),
        ("TURNPIKE__ROUTING__BREAKER_FAILURES", "1000"),
    ];
    let stage = Stage::open_with(Setup { environment, ..setup() }).await?;
    change_all(&stage, |model| model.cached_percent = 50)?;
    Ok(stage)
}

/// Who answers a turn, and under which id.
async fn turn(
    stage: &Stage,
    body: &Value,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<(String, String)> {
    let answer = stage.caller.post(path, body, headers).await?.expect_status(200)?;
    Ok((answer.header("x-turnpike-provider").to_owned(), answer.request_id().to_owned()))
}

#[tokio::test]
async fn pitfall_62_a_named_conversation_stays_where_its_beginning_is_cached() -> Result<()> {
    let stage = open("300000").await?;
    let headers = ["x-turnpike-session", "x-claude-code-session-id", "session_id"];
    for (name, dialect) in SPOKEN {
        let model = format!("sim/{name}");
        let mut providers = BTreeSet::new();
        for number in 0..CONVERSATIONS {
            let session = format!("session-{number}");
            let headers = [(headers[number % headers.len()], session.as_str())];
            let mut first = None;
            for step in 0..TURNS {
                // Nothing but the name tells that it is the same conversation.
                let text = format!("{number} {step} {name}");
                let ask = Ask::of(dialect, &model, &text).streamed(step == 1);
                let said = ask.say_with(&stage.caller, &headers).await?.expect_answer()?;
                let provider = said.answered.header("x-turnpike-provider").to_owned();
                // The record of a stream comes after its last byte, and its pin before that.
                stage.explanation(ORG, said.id()).await?;
                let first = first.get_or_insert_with(|| provider.clone());
                assert_eq!(*first, provider, "{name}: turn {step} of {session}");
                providers.insert(provider);
            }
        }
        assert_eq!(providers.len(), 2, "{name}: the load is shared all the same: {providers:?}");
    }
    Ok(())
}

/// A conversation of chat messages, `turns` answers long.
fn grown(number: usize, turns: usize) -> Value {
    let opening = json!({ "role": "user", "content": format!("conversation {number}") });
    let mut messages = vec![json!({ "role": "system", "content": "be brief" }), opening];
    for turn in 0..turns {
        messages.push(json!({ "role": "assistant", "content": format!("answer {turn}") }));
        messages.push(json!({ "role": "user", "content": format!("question {turn}") }));
    }
    json!({ "model": "sim/chat", "messages": messages })
}

#[tokio::test]
async fn pitfall_62_a_conversation_without_a_name_is_known_by_how_it_begins() -> Result<()> {
    let stage = open("300000").await?;
    let mut providers = BTreeSet::new();
    for number in 0..CONVERSATIONS {
        let mut first = None;
        for turns in 0..TURNS {
            let body = grown(number, turns);
            let (provider, id) = turn(&stage, &body, "/v1/chat/completions", &[]).await?;
            assert_eq!(*first.get_or_insert_with(|| provider.clone()), provider, "{number}");
            if turns > 0 {
                check_price_of_warmth(&stage, &id, &provider).await?;
            }
            providers.insert(provider);
        }
    }
    assert_eq!(providers.len(), 2, "{providers:?}");
    // Who asks the same once more, without an answer in between, begins anew.
    let mut providers = BTreeSet::new();
    for _ in 0..40 {
        let asked = turn(&stage, &grown(0, 0), "/v1/chat/completions", &[]).await?;
        providers.insert(asked.0);
    }
    assert_eq!(providers.len(), 2, "{providers:?}");
    Ok(())
}

/// What is cached is expected to cost less there.
async fn check_price_of_warmth(stage: &Stage, id: &str, provider: &str) -> Result<()> {
    let explanation = stage.explanation(ORG, id).await?;
    let candidates = explanation["candidates"].as_array().context("candidates")?;
    let expected = |warm: bool| {
        let found = candidates.iter().find(|candidate| {
            let offer = candidate["offer"].as_str().unwrap_or_default();
            offer.starts_with("sim/chat@") && offer.ends_with(&format!("@{provider}")) == warm
        });
        found.and_then(|candidate| candidate["expected_cost_usd"].as_str()).map(str::to_owned)
    };
    let (warm, cold) = (expected(true).context("warm")?, expected(false).context("cold")?);
    let (warm, cold) = (turnpike_tests::pico(&warm)?, turnpike_tests::pico(&cold)?);
    assert!(warm < cold, "{warm} and {cold}: {explanation:#}");
    Ok(())
}

#[tokio::test]
async fn pitfall_63_a_pinned_provider_that_fails_is_left() -> Result<()> {
    let stage = open("300000").await?;
    let model = "sim/messages";
    let headers = [("x-turnpike-session", "one")];
    let ask = Ask::of(Dialect::AnthropicMessages, model, "hello");
    let provider =
        |said: &super::speech::Said| said.answered.header("x-turnpike-provider").to_owned();
    let first = provider(&ask.say_with(&stage.caller, &headers).await?.expect_answer()?);
    stage.simulator.fail(&first, &[Rule::always(Failure::status(500))])?;
    let second = provider(&ask.say_with(&stage.caller, &headers).await?.expect_answer()?);
    assert_ne!(first, second, "health goes before warmth");
    fail_pair(&stage, "messages", None)?;
    for _ in 0..6 {
        let now = provider(&ask.say_with(&stage.caller, &headers).await?.expect_answer()?);
        assert_eq!(now, second, "it is warm where it was answered last");
    }
    Ok(())
}

#[tokio::test]
async fn pitfall_63_a_pin_does_not_outlive_the_cache() -> Result<()> {
    let stage = open("1").await?;
    let headers = [("x-turnpike-session", "one")];
    let mut providers = BTreeSet::new();
    for _ in 0..40 {
        let ask = Ask::of(Dialect::OpenAiChat, "sim/chat", "hello");
        let said = ask.say_with(&stage.caller, &headers).await?.expect_answer()?;
        providers.insert(said.answered.header("x-turnpike-provider").to_owned());
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    assert_eq!(providers.len(), 2, "{providers:?}");
    Ok(())
}
