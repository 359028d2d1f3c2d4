//! Hostile policies that are admitted and fail when they are asked: for classify, route and bill
//! the built-in decides, redact lets nothing pass.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_tests::{ORG, Setup, Stage, chat};

use super::{Case, is_contained};

/// Bytes of a long prompt.
const LONG: usize = 300_000;

const fn classify(name: &'static str, kind: &'static str) -> Case {
    Case { name, hook: "classify", kind, status: 200, deadline_ms: 30 }
}

const fn route(name: &'static str, kind: &'static str) -> Case {
    Case { name, hook: "route", kind, status: 200, deadline_ms: 30 }
}

const fn bill(name: &'static str, kind: &'static str) -> Case {
    Case { name, hook: "bill", kind, status: 200, deadline_ms: 30 }
}

const fn redact(name: &'static str, kind: &'static str) -> Case {
    Case { name, hook: "redact", kind, status: 503, deadline_ms: 30 }
}

async fn are_contained(cases: &[Case], body: &Value) -> Result<()> {
    let credit_usd = "1000".to_owned();
    let stage = Stage::open_with(Setup { credit_usd, ..Setup::default() }).await?;
    let neighbour = stage.add_org("neighbour", "1000").await?;
    for case in cases {
        is_contained(&stage, &neighbour, *case, body)
            .await
            .with_context(|| format!("{}: {case:?}", case.name))?;
    }
    let balance = stage.settled_balance(ORG).await?;
    assert_eq!(balance.held, 0, "nothing stays held");
    Ok(())
}

#[tokio::test]
async fn who_takes_time_without_end_is_ended() -> Result<()> {
    let cases = [
        classify("loop-classify", "deadline"),
        route("loop-route", "deadline"),
        bill("loop-bill", "deadline"),
        redact("loop-redact", "deadline"),
        // Each of its ticks is a whole filling: a few are enough to see.
        Case { deadline_ms: 5, ..classify("fills-memory", "deadline") },
    ];
    are_contained(&cases, &chat("auto", "Translate to French: good morning")).await?;
    let long = chat("auto", &"many words ".repeat(LONG / 11));
    are_contained(&[classify("reads-forever", "deadline")], &long).await
}

#[tokio::test]
async fn who_takes_memory_without_end_is_ended() -> Result<()> {
    let cases = [
        classify("grow-4-gib", "memory"),
        classify("grow-in-a-loop", "memory"),
        classify("grow-table", "memory"),
        classify("recursion", "trap"),
    ];
    are_contained(&cases, &chat("auto", "hello")).await
}

#[tokio::test]
async fn a_trap_at_any_decision_harms_nobody() -> Result<()> {
    let cases = [
        classify("trap-classify", "trap"),
        route("trap-route", "trap"),
        redact("trap-redact-input", "trap"),
        redact("trap-redact-output", "trap"),
        bill("trap-bill-quote", "trap"),
        bill("trap-bill-settle", "trap"),
    ];
    are_contained(&cases, &chat("auto", "hello")).await
}

#[tokio::test]
async fn answers_that_are_too_much_or_no_text_are_not_believed() -> Result<()> {
    let cases = [
        classify("giant-string", "nonsense"),
        classify("giant-list", "nonsense"),
        classify("beyond-memory", "nonsense"),
        route("giant-scores", "nonsense"),
        classify("invalid-utf8", "nonsense"),
        redact("bad-allocator", "nonsense"),
    ];
    are_contained(&cases, &chat("auto", "hello")).await
}

/// A stream that has begun ends with a legal error event, and what was not scanned is not sent.
#[tokio::test]
async fn a_stream_whose_scanner_fails_is_stopped() -> Result<()> {
    const NAME: &str = "trap-redact-output";
    let stage = Stage::open().await?;
    let component = turnpike_tests::hostile_policy(NAME)?;
    stage.upload(NAME, "0.1.0", component).await?.expect_status(201)?;
    stage.bind("redact", &json!({ "plugin": format!("{NAME}@0.1.0") })).await?;
    let mut stream = stage.caller.stream(&chat("auto", "marmalade")).await?;
    stream.read().await?;
    let refused = stream.status == 503 || stream.error().is_some();
    assert!(refused && !stream.done, "{} {:?}", stream.status, stream.chunks);
    assert!(!stream.text().contains("marmalade"), "{}", stream.text());
    let explanation = stage.explanation(ORG, &stream.request_id).await?;
    let failed = explanation["policies"].as_array().context("policies")?;
    assert!(failed.iter().any(|one| one["failure"]["kind"] == "trap"), "{explanation:#}");
    Ok(())
}

/// The lines beyond the bound are dropped, none of them reaches the gateway's own log, and the
/// decision counts.
#[tokio::test]
async fn thousands_of_log_lines_are_dropped() -> Result<()> {
    const NAME: &str = "log-flood";
    let stage = Stage::open().await?;
    let neighbour = stage.add_org("neighbour", "50").await?;
    let component = turnpike_tests::hostile_policy(NAME)?;
    stage.upload(NAME, "0.1.0", component).await?.expect_status(201)?;
    stage
        .bind("classify", &json!({ "plugin": format!("{NAME}@0.1.0"), "deadline_ms": 1000 }))
        .await?;
    let asked = chat("auto", "hello");
    let (answers, served, _) =
        super::beside(&neighbour, super::attack(&stage.caller, &asked)).await?;
    assert!(served > 0);
    for answer in answers {
        let answer = answer.expect_status(200)?;
        let explanation = stage.explanation(ORG, answer.request_id()).await?;
        assert_eq!(explanation["task"]["task"], NAME, "{explanation:#}");
    }
    assert!(!stage.log()?.contains("zzzzzzzz"), "no word of it in the gateway's log");
    Ok(())
}
