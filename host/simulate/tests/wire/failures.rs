//! Every way to fail, as the caller's socket sees it.

use crate::play::{chat, echo, events, parsed, play, post, post_json, said, streamed};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::Duration;
use turnpike_simulate::{AnswerScript, Failure, Outcome, Rule, Simulator, When};

/// Long enough for any answer of an instant model, short enough to wait for a hang.
const HANG: Duration = Duration::from_millis(300);

async fn failing(failure: Failure) -> Simulator {
    let simulator = play(echo()).await;
    simulator.fail("p", &[Rule::always(failure)]).expect("p");
    simulator
}

/// What came before the connection broke, and whether it broke.
async fn read_until_broken(simulator: &Simulator, body: &Value) -> (String, bool) {
    let mut answer = post(simulator, body).await.expect("headers");
    let mut text = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(bytes)) => text.extend_from_slice(&bytes),
            Ok(None) => return (String::from_utf8(text).expect("UTF-8"), false),
            Err(_) => return (String::from_utf8(text).expect("UTF-8"), true),
        }
    }
}

#[tokio::test]
async fn statuses_come_in_the_providers_shape_with_retry_after() {
    for status in [400, 401, 408, 429, 500, 503, 529] {
        let simulator =
            failing(Failure::Status { status, retry_after_s: Some(7), echo: true }).await;
        let answer = post(&simulator, &chat("canary words")).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers()["retry-after"], "7");
        let body: Value = answer.json().await.expect("JSON");
        assert!(body["error"]["message"].as_str().expect("text").contains("canary words"));
        assert_eq!(simulator.requests("p")[0].outcome, Outcome::Failed("status"));
    }
}

#[tokio::test]
async fn closes_before_headers_and_hangs_before_headers() {
    let simulator = failing(Failure::CloseBeforeHeaders).await;
    assert!(post(&simulator, &chat("x")).await.is_err());
    let simulator = failing(Failure::HangBeforeHeaders).await;
    assert!(tokio::time::timeout(HANG, post(&simulator, &chat("x"))).await.is_err());
}

#[tokio::test]
async fn sends_headers_then_hangs_streamed_and_not() {
    for body in [chat("x"), streamed("x")] {
        let simulator = failing(Failure::HeadersThenHang).await;
        let mut answer = tokio::time::timeout(HANG, post(&simulator, &body)).await;
        let answer = answer.as_mut().expect("headers in time").as_mut().expect("headers");
        assert_eq!(answer.status(), 200);
        assert!(tokio::time::timeout(HANG, answer.chunk()).await.is_err());
    }
}

#[tokio::test]
async fn dies_before_content_after_content_or_inside_a_body() {
    let simulator = failing(Failure::DieBeforeContent).await;
    let (text, broken) = read_until_broken(&simulator, &streamed("one two three")).await;
    assert!(broken);
    assert_eq!((parsed(&text).len(), said(&parsed(&text)).as_str()), (1, ""));

    let simulator = failing(Failure::DieAfter { chunks: 2 }).await;
    let (text, broken) = read_until_broken(&simulator, &streamed("one two three")).await;
    assert!(broken);
    let whole = text.rsplit_once("\n\n").map(|(whole, _)| whole).expect("an event");
    assert_eq!(said(&parsed(whole)), "one two");

    let (text, broken) = read_until_broken(&simulator, &chat("one two three")).await;
    assert!(broken);
    assert!(text.starts_with("{\"id\"") && serde_json::from_str::<Value>(&text).is_err());
}

#[tokio::test]
async fn hangs_after_content() {
    let simulator = failing(Failure::HangAfter { chunks: 1 }).await;
    let mut answer = post(&simulator, &streamed("one two")).await.expect("headers");
    let mut text = String::new();
    while let Ok(chunk) = tokio::time::timeout(HANG, answer.chunk()).await {
        let bytes = chunk.expect("no break").expect("no end");
        text.push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
    }
    assert_eq!(said(&parsed(&text)), "one");
}

#[tokio::test]
async fn malformed_frames_error_events_missing_usage_and_missing_done() {
    let simulator = failing(Failure::Malformed { chunks: 1 }).await;
    let (text, broken) = read_until_broken(&simulator, &streamed("one two")).await;
    let bad = |data: &&str| *data != "[DONE]" && serde_json::from_str::<Value>(data).is_err();
    assert_eq!((events(&text).into_iter().filter(bad).count(), broken), (1, false));

    let simulator = failing(Failure::ErrorEvent { chunks: 1 }).await;
    let (text, broken) = read_until_broken(&simulator, &streamed("one two")).await;
    let chunks = parsed(&text);
    assert!(!broken && chunks.last().expect("an event")["error"]["message"].is_string());
    assert_eq!(said(&chunks[..chunks.len() - 1]), "one");

    let simulator = failing(Failure::MissingUsage).await;
    let (text, _) = read_until_broken(&simulator, &streamed("one")).await;
    assert!(parsed(&text).iter().all(|chunk| chunk["usage"].is_null()));
    let (_, body) = post_json(&simulator, &chat("one")).await;
    assert_eq!(body.get("usage"), None);
    assert_eq!(simulator.requests("p")[1].outcome, Outcome::Answered);

    let simulator = failing(Failure::MissingDone).await;
    let (text, broken) = read_until_broken(&simulator, &streamed("one")).await;
    assert!(!broken && !text.contains("[DONE]"));
}

#[tokio::test]
async fn a_slow_drip_still_is_the_whole_stream() {
    let simulator = failing(Failure::SlowDrip { bytes: 7, pause_ms: 0 }).await;
    let (text, broken) = read_until_broken(&simulator, &streamed("größer than one")).await;
    assert!(!broken);
    assert_eq!(said(&parsed(&text)), "größer than one");
}

#[tokio::test]
async fn a_caller_that_leaves_is_counted() {
    let simulator = play(echo()).await;
    let slow = |model: &mut turnpike_simulate::ModelScript| {
        model.answer = AnswerScript::Lorem { tokens: 10_000 };
        model.tokens_per_second = 100;
    };
    simulator.change("p", "m", slow).expect("m");
    let mut answer = post(&simulator, &streamed("x")).await.expect("headers");
    answer.chunk().await.expect("bytes").expect("a chunk");
    drop(answer);
    while simulator.counts("p").expect("p").cancelled == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(simulator.requests("p")[0].outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn rules_hit_by_count_and_are_switched_over_http() {
    let simulator = play(echo()).await;
    let every = When { every: Some(2), ..When::default() };
    simulator.fail("p", &[Rule { fail: Failure::status(500), when: every }]).expect("p");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(post_json(&simulator, &chat("x")).await.0);
    }
    assert_eq!(statuses, [200, 500, 200, 500]);

    let control = format!("http://{}/_control", simulator.addr());
    let switch = json!({ "provider": "p", "failures": [],
        "answer": { "kind": "text", "text": "switched" } });
    let answer = Client::new().post(&control).json(&switch).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let (_, body) = post_json(&simulator, &chat("x")).await;
    assert_eq!(body["choices"][0]["message"]["content"], "switched");

    let overview: Value =
        Client::new().get(&control).send().await.expect("one").json().await.expect("JSON");
    assert_eq!(overview["providers"][0]["counts"]["requests"], 5);
    let unknown = json!({ "provider": "nobody" });
    let answer = Client::new().post(&control).json(&unknown).send().await.expect("an answer");
    assert_eq!(answer.status(), 404);
}
