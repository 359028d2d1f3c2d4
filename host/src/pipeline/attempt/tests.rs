//! Attempts at a provider that answers one thing: against the real client, without a caller's
//! connection.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use turnpike_protocol::{Call, Dialect};

use super::*;
use crate::auth::{Caller, Clearance, ModelRules};
use crate::config::Config;
use crate::gateway::{self, Gateway};
use crate::pipeline::flight::{Manner, Started};
use crate::route::{Candidate, Gate};

/// Failures in a row that open the breaker.
const BREAKER_FAILURES: usize = 2;

/// A provider that gives every connection this answer, or none at all.
async fn provider(answer: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    crate::tasks::Tasks::default().spawn("provider", async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0);
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).await.unwrap();
            } else {
                open.push(stream);
            }
        }
    });
    port
}

/// A gateway whose one offer is at that port.
async fn gateway(data: &std::path::Path, port: u16) -> Arc<Gateway> {
    gateway_with(data, port, "free = true").await
}

/// The same, with this price and whatever follows it.
async fn gateway_with(data: &std::path::Path, port: u16, more: &str) -> Arc<Gateway> {
    let text = format!(
        "[data]\ndir = {data:?}\n[admin]\ntoken = \"a-token\"\n\
         [routing]\nbreaker_failures = {BREAKER_FAILURES}\n\
         [providers.local]\nbase_url = \"http://127.0.0.1:{port}/v1\"\n\
         [[providers.local.offers]]\nid = \"acme/one\"\n{more}\n"
    );
    let config = Config::parse("turnpike.toml", &text, std::iter::empty()).unwrap();
    tokio::task::spawn_blocking(move || gateway::opened(&config)).await.unwrap()
}

fn flight(gateway: &Arc<Gateway>) -> Flight {
    let caller = Caller {
        org: "acme".into(),
        key_id: "k1".into(),
        name: "ci".into(),
        team: None,
        project: None,
        user: None,
        models: ModelRules::default(),
        clearance: Clearance::Internal,
        budget: None,
        disabled: false,
        expires_at_ms: None,
    };
    let body = r#"{"model":"acme/one","messages":[{"role":"user","content":"hello"}]}"#;
    let call = Call::parse(Dialect::OpenAiChat, body.into()).unwrap();
    let started =
        Started { id: clock::new_id(), at_ms: clock::now_ms(), watch: Stopwatch::start() };
    let headers = HeaderMap::new();
    let manner = Manner::of(Dialect::OpenAiChat, false, &headers);
    let mut flight =
        Flight::new(Arc::clone(gateway), Arc::new(caller), call, started, &headers, manner);
    let candidate = Candidate { index: 0, rejection: None, figures: None, score: None };
    flight.candidates.push(candidate);
    flight
}

fn outcomes(flight: &Flight) -> Vec<&str> {
    flight.attempts.iter().map(|attempt| &*attempt.outcome).collect()
}

#[tokio::test]
async fn an_attempt_that_the_caller_leaves_is_noted_as_cancelled() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path(), provider(None).await).await;
    let mut flight = flight(&gateway);
    let asking = begin(&mut flight, 0, false).unwrap();
    let left = tokio::time::timeout(Duration::from_millis(200), one(&mut flight, asking)).await;
    assert!(left.is_err(), "the provider says nothing");
    assert_eq!(outcomes(&flight), ["cancelled"]);
    assert_eq!(gateway.health.snapshot(0).in_flight, 0);
    assert!((gateway.health.snapshot(0).availability - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_repeat_counts_as_one_failure_with_the_first_try() {
    let data = tempfile::tempdir().unwrap();
    let answer = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let gateway = gateway(data.path(), provider(Some(answer)).await).await;
    for request in 1..=BREAKER_FAILURES {
        let before = gateway.health.gate(0, clock::now_ms());
        assert_eq!(before, Gate::Closed, "before request {request}");
        let mut flight = flight(&gateway);
        flight.id_text = format!("request {request}");
        let response = run(Box::new(flight), vec![0]).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    }
    assert!(matches!(gateway.health.gate(0, clock::now_ms()), Gate::Open { .. }));
    // The last request's repeat finds the breaker open.
    let asked = "turnpike_attempts_total{provider=\"local\",outcome=\"error\"} 3";
    assert!(gateway.metrics.render().contains(asked), "{}", gateway.metrics.render());
}

#[tokio::test]
async fn an_empty_account_at_the_provider_is_not_the_callers_402() {
    let data = tempfile::tempdir().unwrap();
    let answer = "HTTP/1.1 402 Payment Required\r\ncontent-type: application/json\r\n\
                  content-length: 14\r\nconnection: close\r\n\r\n{\"error\":null}";
    let gateway = gateway(data.path(), provider(Some(answer)).await).await;
    let mut first = flight(&gateway);
    let asking = begin(&mut first, 0, false).unwrap();
    let ended = one(&mut first, asking).await;
    assert!(matches!(ended, Err(Ended::Next(_))), "the next candidate is asked");
    assert_eq!(outcomes(&first), ["no_credit"]);
    assert!(gateway.health.snapshot(0).availability < 1.0);
    let response = run(Box::new(flight(&gateway)), vec![0]).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
}

/// A caller that leaves while its capture is on its way to the disk has been charged, and the
/// record says so.
#[tokio::test]
async fn a_caller_that_leaves_during_the_wait_for_the_disk_is_recorded_as_charged() {
    let data = tempfile::tempdir().unwrap();
    let body = r#"{"id":"x","object":"chat.completion","model":"one","choices":[{"index":0,
        "message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}"#;
    let price = "usd_per_million = { input = \"1\", output = \"2\" }\n\
                 [money]\ndurability = \"strict\"";
    let gateway = gateway_with(data.path(), 9, price).await;
    let payment = turnpike_ledger::TopUp {
        id: turnpike_ledger::TransferId([7; 16]),
        org: "acme",
        amount: turnpike_ledger::PicoUsd::parse("1").unwrap(),
        channel: "manual",
        reference: "first",
        at_ms: clock::now_ms(),
    };
    gateway.ledger.top_up(&payment).unwrap();
    let mut flight = flight(&gateway);
    decide::reserve(&mut flight, &[0]).await.unwrap();
    let id = flight.started.id;
    let asking = begin(&mut flight, 0, false).unwrap();
    let answer = Answer::parse(Dialect::OpenAiChat, body.into()).unwrap();
    let mut finished =
        Box::pin(whole::finish(Box::new(flight), whole::Answered { asking, answer }));
    let spent = || gateway.ledger.balance("acme").spent;
    std::future::poll_fn(|cx| {
        let polled = finished.as_mut().poll(cx);
        assert!(polled.is_pending(), "it waits for the disk");
        if spent().is_zero() { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    drop(finished);
    let record = gateway.recorder.log().find(None, id).unwrap().unwrap();
    assert_eq!(&*record.explanation.settlement, "complete");
    assert_eq!(record.explanation.cost_usd, spent());
}
