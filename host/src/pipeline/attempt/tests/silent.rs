//! An answer without a word: the conversation does not stay there for it, and it counts for half a
//! failure where the provider itself counted none. A prompt may bring it about: no breaker moves.

use super::*;
use crate::route::Lane;

/// The third turn of a conversation.
const TURN: &str = r#"{"model":"acme/one","messages":[{"role":"user","content":"hello"},
    {"role":"assistant","content":"hello"},{"role":"user","content":"and now?"}]}"#;
const STREAM: &str = r#"{"model":"acme/one","stream":true,"messages":[
    {"role":"user","content":"hello"}]}"#;

/// The same, to have it cached and nothing more; and what Anthropic answers.
const TO_BE_CACHED: &str = r#"{"model":"acme/one","max_tokens":0,"messages":[
    {"role":"user","content":"hello"},{"role":"assistant","content":"hello"},
    {"role":"user","content":"and now?"}]}"#;
const CACHED: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"one",
    "content":[],"stop_reason":"max_tokens","stop_sequence":null,"usage":{"input_tokens":2,
    "cache_creation_input_tokens":8,"cache_read_input_tokens":0,"output_tokens":0}}"#;

/// An answer of this text, with this usage.
fn saying(text: &str, usage: &str) -> &'static str {
    let message = format!(r#"{{"role":"assistant","content":"{text}"}}"#);
    let choice = format!(r#"{{"index":0,"message":{message},"finish_reason":"stop"}}"#);
    whole(&format!(r#"{{"id":"x","object":"chat.completion","choices":[{choice}]{usage}}}"#))
}

/// An answer with this body.
fn whole(body: &str) -> &'static str {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    answer.leak()
}

/// A usage of so many tokens of the prompt and of the answer.
fn counted(prompt: u32, answer: u32) -> String {
    format!(r#","usage":{{"prompt_tokens":{prompt},"completion_tokens":{answer}}}"#)
}

/// Asks once; whether the conversation stays there.
async fn ask(gateway: &Arc<Gateway>) -> bool {
    ask_in(gateway, Dialect::OpenAiChat, TURN).await
}

async fn ask_in(gateway: &Arc<Gateway>, dialect: Dialect, body: &'static str) -> bool {
    let mut flight = flight_of(gateway, dialect, body);
    reserve::reserve(&mut flight, &[0]).await.unwrap();
    let turn = flight.turn.unwrap();
    let response = run(Box::new(flight), vec![0]).await;
    assert_eq!(response.status(), StatusCode::OK);
    turn.pin(&gateway.affinity).is_some()
}

fn availability(gateway: &Gateway) -> f64 {
    gateway.health.snapshot(0, Band::SHORT, clock::steady_ms()).availability
}

#[tokio::test]
async fn an_offer_that_says_nothing_keeps_no_conversation_and_is_worth_less() {
    for (text, usage, stays, worth_less) in [
        ("", counted(10, 0), false, true),
        // Who counts nothing shows nothing by it: the model may have ended at once.
        ("", String::new(), false, false),
        ("", counted(0, 0), false, false),
        // A stop sequence, or a limit of one token, took the only word.
        ("", counted(10, 1), true, false),
        ("hello", counted(10, 1), true, false),
    ] {
        let data = tempfile::tempdir().unwrap();
        let port = provider(Some(saying(text, &usage))).await;
        let gateway = gateway_with(data.path(), port, PRICE).await;
        top_up(&gateway);
        for _ in 0..2 * BREAKER_FAILURES + 1 {
            assert_eq!(ask(&gateway).await, stays, "{text:?} {usage}");
        }
        let gate = gateway.health.gate(0, clock::steady_ms());
        assert_eq!(gate, Gate::Closed, "one caller's prompt may have done it: {usage}");
        assert_eq!(availability(&gateway) < 0.9, worth_less, "{text:?} {usage}");
    }
}

/// A limit of nothing has the prompt cached: that is charged, and nobody has failed.
#[tokio::test]
async fn an_answer_that_was_to_be_empty_is_paid_and_stays_and_is_no_failure() {
    let data = tempfile::tempdir().unwrap();
    let (dialect, port) = (Dialect::AnthropicMessages, provider(Some(whole(CACHED))).await);
    let gateway = gateway_in(data.path(), port, dialect, PRICE).await;
    top_up(&gateway);
    for asked in 1..=7_u128 {
        assert!(ask_in(&gateway, dialect, TO_BE_CACHED).await, "it is warm there");
        let spent = gateway.ledger.balance("acme").spent;
        assert!(spent.0 >= asked * 10 * 1_000_000, "{asked}: {spent}");
    }
    assert!(availability(&gateway) > 0.99, "it did as it was told");
}

/// Lets the offer rest for a moment, after which the next is its probe.
async fn rested(gateway: &Gateway) {
    let (lane, now_ms) = (Lane { offer: 0, credential: 0 }, clock::steady_ms());
    gateway.health.rest(lane, now_ms + 30, now_ms);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(gateway.health.gate(0, clock::steady_ms()), Gate::HalfOpen);
}

#[tokio::test]
async fn a_probe_that_says_nothing_brings_nobody_back() {
    let data = tempfile::tempdir().unwrap();
    let port = provider(Some(saying("", &counted(10, 0)))).await;
    let gateway = gateway_with(data.path(), port, PRICE).await;
    top_up(&gateway);
    let lane = Lane { offer: 0, credential: 0 };
    (0..7).for_each(|_| gateway.health.record(lane, Sample::Empty, clock::steady_ms()));
    rested(&gateway).await;
    assert!(availability(&gateway) > 0.9, "this one asks it");
    ask(&gateway).await;
    assert_eq!(gateway.health.gate(0, clock::steady_ms()), Gate::HalfOpen);
    assert!(availability(&gateway) < 0.5, "and the next one another");
}

#[tokio::test]
async fn nor_does_a_stream_that_is_the_probe_and_only_ends() {
    let data = tempfile::tempdir().unwrap();
    let ends = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
        data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\
        \"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let gateway = gateway(data.path(), provider(Some(ends)).await).await;
    rested(&gateway).await;
    let mut flight = flight_of(&gateway, Dialect::OpenAiChat, STREAM);
    let opened = begun_stream(&mut flight).await;
    let gate = gateway.health.gate(0, clock::steady_ms());
    assert!(matches!(gate, Gate::Open { .. }), "it is the probe still: {gate:?}");
    drop(opened);
}
