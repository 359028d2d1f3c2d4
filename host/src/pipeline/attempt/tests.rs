//! Attempts at a provider that answers one thing: against the real client, without a caller's
//! connection.

mod blamed;
mod set_back;
mod silent;

use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use turnpike_protocol::{Addressed, Call, Dialect};

use super::*;
use crate::auth::{Caller, CallerBudgets, Clearance, ModelRules};
use crate::config::Config;
use crate::gateway::{self, Gateway};
use crate::pipeline::flight::{Ending, Manner, Started};
use crate::pipeline::{reserve, settle};
use crate::route::{Band, Candidate, Gate};

/// Failures in a row that open the breaker.
const BREAKER_FAILURES: usize = 2;

/// A provider that gives every connection this answer, or none at all.
pub(in crate::pipeline) async fn provider(answer: Option<&'static str>) -> u16 {
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
pub(in crate::pipeline) async fn gateway_with(
    data: &std::path::Path,
    port: u16,
    more: &str,
) -> Arc<Gateway> {
    gateway_in(data, port, Dialect::OpenAiChat, more).await
}

/// The same, of a provider that speaks this dialect.
async fn gateway_in(data: &Path, port: u16, dialect: Dialect, more: &str) -> Arc<Gateway> {
    gateway_of(data, port, &format!("dialect = {:?}", dialect.label()), more).await
}

/// The same, of a provider with these settings.
async fn gateway_of(data: &Path, port: u16, settings: &str, more: &str) -> Arc<Gateway> {
    let text = format!(
        "[data]\ndir = {data:?}\n[admin]\ntoken = \"a-token\"\n\
         [routing]\nbreaker_failures = {BREAKER_FAILURES}\n\
         [providers.local]\nbase_url = \"http://127.0.0.1:{port}/v1\"\n\
         api_key = \"k\"\n{settings}\n\
         [[providers.local.offers]]\nid = \"acme/one\"\n{more}\n"
    );
    let config = Config::parse("turnpike.toml", &text, std::iter::empty()).unwrap();
    tokio::task::spawn_blocking(move || gateway::opened(&config)).await.unwrap()
}

pub(in crate::pipeline) fn flight(gateway: &Arc<Gateway>) -> Flight {
    let body = r#"{"model":"acme/one","messages":[{"role":"user","content":"hello"}]}"#;
    flight_of(gateway, Dialect::OpenAiChat, body)
}

pub(in crate::pipeline) fn flight_of(
    gateway: &Arc<Gateway>,
    dialect: Dialect,
    body: &'static str,
) -> Flight {
    let caller = Caller {
        org: "acme".into(),
        key_id: "k1".into(),
        name: "ci".into(),
        team: None,
        project: None,
        user: None,
        models: ModelRules::default(),
        clearance: Clearance::Internal,
        plan: None,
        budgets: CallerBudgets::default(),
        limits: None,
        disabled: false,
        expires_at_ms: None,
    };
    // Gemini has it in the path.
    let addressed = Addressed { model: Some("acme/one"), stream: None };
    let call = Call::parse_addressed(dialect, body.into(), &addressed).unwrap();
    let started =
        Started { id: clock::new_id(), at_ms: clock::now_ms(), watch: Stopwatch::start() };
    let headers = HeaderMap::new();
    let manner = Manner::of(dialect, false, &headers);
    let flight =
        Flight::new(Arc::clone(gateway), Arc::new(caller), call, started, &headers, manner);
    let mut flight = flight.unwrap();
    let candidate = Candidate { index: 0, rejection: None, figures: None, score: None };
    flight.candidates.push(candidate);
    flight
}

/// The stream that the only offer gives, with its first content.
pub(in crate::pipeline) async fn begun_stream(flight: &mut Flight) -> relay::Opened {
    let asking = begin(flight, 0, false).unwrap();
    match one(flight, asking).await.0 {
        Ok(Reply::Stream(opened)) => *opened,
        _ => panic!("no stream has begun"),
    }
}

/// Micro-dollars for a token of the prompt, and two for one of the answer.
pub(in crate::pipeline) const PRICE: &str = "usd_per_million = { input = \"1\", output = \"2\" }\n";

/// Gives the organization a dollar.
pub(in crate::pipeline) fn top_up(gateway: &Gateway) {
    let payment = turnpike_ledger::TopUp {
        id: turnpike_ledger::TransferId([7; 16]),
        org: "acme",
        amount: PicoUsd::parse("1").unwrap(),
        channel: "manual",
        reference: "first",
        at_ms: clock::now_ms(),
    };
    gateway.ledger.top_up(&payment).unwrap();
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
    assert_eq!(gateway.health.snapshot(0, Band::default(), clock::steady_ms()).in_flight, 0);
    assert!(
        (gateway.health.snapshot(0, Band::default(), clock::steady_ms()).availability - 1.0).abs()
            < f64::EPSILON
    );
}

#[tokio::test]
async fn a_repeat_counts_as_one_failure_with_the_first_try() {
    let data = tempfile::tempdir().unwrap();
    let answer = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let gateway = gateway(data.path(), provider(Some(answer)).await).await;
    for request in 1..=BREAKER_FAILURES {
        let before = gateway.health.gate(0, clock::steady_ms());
        assert_eq!(before, Gate::Closed, "before request {request}");
        let mut flight = flight(&gateway);
        flight.id_text = format!("request {request}");
        let response = run(Box::new(flight), vec![0]).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    }
    assert!(matches!(gateway.health.gate(0, clock::steady_ms()), Gate::Open { .. }));
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
    let (ended, _) = one(&mut first, asking).await;
    assert!(matches!(ended, Err(Ended::Next(_))), "the next candidate is asked");
    assert_eq!(outcomes(&first), ["no_credit"]);
    assert!(gateway.health.snapshot(0, Band::default(), clock::steady_ms()).availability < 1.0);
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
    let price = format!("{PRICE}[money]\ndurability = \"strict\"");
    let gateway = gateway_with(data.path(), 9, &price).await;
    top_up(&gateway);
    let spent = || gateway.ledger.balance("acme").spent;
    // Where this thread has to wait for its turn just then, the disk may be quicker than the look.
    for _ in 0..100 {
        let (mut flight, before) = (flight(&gateway), spent());
        reserve::reserve(&mut flight, &[0]).await.unwrap();
        let id = flight.started.id;
        let asking = begin(&mut flight, 0, false).unwrap();
        let answer = Answer::parse(Dialect::OpenAiChat, body.into()).unwrap();
        let mut finished =
            Box::pin(whole::finish(Box::new(flight), whole::Answered { asking, answer }));
        let waits = std::future::poll_fn(|cx| match finished.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(false),
            Poll::Pending if spent() == before => Poll::Pending,
            Poll::Pending => Poll::Ready(true),
        })
        .await;
        drop(finished);
        let record = gateway.recorder.log().find(None, id).unwrap().unwrap();
        assert_eq!(&*record.explanation.settlement, "complete");
        assert_eq!(record.explanation.cost_usd, spent().saturating_sub(before));
        if waits {
            return;
        }
    }
    panic!("nobody was ever seen to wait for the disk");
}

/// Asks more often than the breaker bears failures; what every caller heard, all the same.
async fn heard(gateway: &Arc<Gateway>, dialect: Dialect, body: &'static str) -> (u16, String) {
    let mut heard = None;
    for _ in 0..=BREAKER_FAILURES {
        let response = run(Box::new(flight_of(gateway, dialect, body)), vec![0]).await;
        let status = response.status().as_u16();
        let GatewayBody::Whole(body) = response.into_body() else { panic!("a stream") };
        let body = String::from_utf8(body.unwrap_or_default().to_vec()).unwrap();
        heard = Some((status, body));
        assert_eq!(gateway.health.gate(0, clock::steady_ms()), Gate::Closed, "{heard:?}");
    }
    heard.unwrap()
}

#[tokio::test]
async fn an_error_in_a_stream_about_the_request_is_the_callers_alone() {
    let failed = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
        event: response.failed\n\
        data: {\"type\":\"response.failed\",\"sequence_number\":1,\"response\":{\"id\":\"r\",\
        \"object\":\"response\",\"status\":\"failed\",\"output\":[],\"error\":{\
        \"code\":\"context_length_exceeded\",\"message\":\"Your input is too long for me.\"}}}\n\n";
    let responses = Dialect::OpenAiResponses;
    let own = r#"{"model":"acme/one","stream":true,"input":"hello"}"#;
    let foreign = r#"{"model":"acme/one","stream":true,"max_tokens":9,
        "messages":[{"role":"user","content":"hello"}]}"#;
    for (caller, body) in [(responses, own), (Dialect::AnthropicMessages, foreign)] {
        let data = tempfile::tempdir().unwrap();
        let port = provider(Some(failed)).await;
        let gateway = gateway_in(data.path(), port, responses, "free = true").await;
        let (status, said) = heard(&gateway, caller, body).await;
        assert_eq!(status, 400, "{said}");
        assert!(said.contains("Your input is too long for me."), "{said}");
        assert!(said.contains("invalid_request_error"), "{said}");
    }
}

#[tokio::test]
async fn a_file_that_the_provider_does_not_have_is_the_callers_404() {
    let body = "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\
                \"message\":\"File not found: file_x\"}}";
    let answer = format!(
        "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    let data = tempfile::tempdir().unwrap();
    let port = provider(Some(answer.leak())).await;
    let anthropic = Dialect::AnthropicMessages;
    let gateway = gateway_in(data.path(), port, anthropic, "free = true").await;
    let asked = r#"{"model":"acme/one","max_tokens":9,"messages":[{"role":"user","content":[
        {"type":"document","source":{"type":"file","file_id":"file_x"}}]}]}"#;
    assert_eq!(heard(&gateway, anthropic, asked).await, (404, body.to_owned()));
}

/// Bodies with a file of which the gateway sees nothing but the name.
const NAMED: [(Dialect, &str); 4] = [
    (
        Dialect::AnthropicMessages,
        r#"{"model":"acme/one","max_tokens":9,"messages":[{"role":"user","content":[{"type":
        "document","source":{"type":"url","url":"https://a.example/600-pages.pdf"}}]}]}"#,
    ),
    (
        Dialect::OpenAiResponses,
        r#"{"model":"acme/one","max_output_tokens":16,"input":[{"role":"user","content":[{"type":
        "input_file","file_url":"https://a.example/600-pages.pdf"}]}]}"#,
    ),
    (
        Dialect::OpenAiChat,
        r#"{"model":"acme/one","max_tokens":9,"messages":[{"role":"user","content":[{"type":
        "file","file":{"file_id":"file-1"}}]}]}"#,
    ),
    (
        Dialect::Gemini,
        r#"{"model":"acme/one","generationConfig":{"maxOutputTokens":9},"contents":[{"parts":[{
        "fileData":{"fileUri":"https://a.example/v=1","mimeType":"video/mp4"}}]}]}"#,
    ),
];

/// Nobody knows how long such a file is, but that the model can read it: so much is held, and it is
/// charged where the caller leaves before the provider has counted.
#[tokio::test]
async fn a_file_that_is_only_named_is_held_for_as_long_as_the_model_reads() {
    let data = tempfile::tempdir().unwrap();
    let declared = format!("context_tokens = 100000\n{PRICE}");
    let gateway = gateway_with(data.path(), 9, &declared).await;
    top_up(&gateway);
    let whole = PicoUsd::parse("0.1").unwrap();
    for (dialect, body) in NAMED {
        let mut named = flight_of(&gateway, dialect, body);
        reserve::reserve(&mut named, &[0]).await.unwrap();
        assert!(named.held >= whole, "{dialect:?} {}", named.held);
        let offer = Arc::clone(named.offer_of(0).unwrap());
        let left = settle::Reported { text_bytes: 8, ..settle::Reported::default() };
        let bill = settle::charge(&mut named, &offer, &left, Ending::Partial).await;
        assert!(bill.cost >= whole && bill.estimated, "{dialect:?} {bill:?}");
        gateway
            .ledger
            .top_up(&turnpike_ledger::TopUp {
                id: turnpike_ledger::TransferId(*named.started.id.as_bytes()),
                org: "acme",
                amount: bill.cost,
                channel: "manual",
                reference: &named.id_text,
                at_ms: clock::now_ms(),
            })
            .unwrap();
    }
    let inline = r#"{"model":"acme/one","max_tokens":9,"messages":[{"role":"user","content":[{
        "type":"document","source":{"type":"base64","media_type":"application/pdf",
        "data":"JVBERi0xLjQK"}},{"type":"document","source":{"type":"text",
        "media_type":"text/plain","data":"one two three"}}]}]}"#;
    let mut inline = flight_of(&gateway, Dialect::AnthropicMessages, inline);
    reserve::reserve(&mut inline, &[0]).await.unwrap();
    assert!(inline.held < PicoUsd::parse("0.01").unwrap(), "{}", inline.held);
}

/// The provider has read the pictures before it said the first word.
#[tokio::test]
async fn who_leaves_after_the_first_word_pays_for_the_pictures_too() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway_with(data.path(), 9, PRICE).await;
    top_up(&gateway);
    let body = r#"{"model":"acme/one","max_tokens":9,"messages":[{"role":"user","content":[
        {"type":"text","text":"what do they show?"},
        {"type":"image_url","image_url":{"url":"https://a.example/1.png"}},
        {"type":"image_url","image_url":{"url":"https://a.example/2.png"}}]}]}"#;
    let mut flight = flight_of(&gateway, Dialect::OpenAiChat, body);
    reserve::reserve(&mut flight, &[0]).await.unwrap();
    let offer = Arc::clone(flight.offer_of(0).unwrap());
    let left = settle::Reported { text_bytes: 12, ..settle::Reported::default() };
    let bill = settle::charge(&mut flight, &offer, &left, Ending::Partial).await;
    assert_eq!((bill.usage.input_image, bill.usage.output_text), (2 * 4_096, 3), "{bill:?}");
    assert!(bill.estimated && bill.cost > PicoUsd::parse("0.008192").unwrap(), "{bill:?}");
    assert_eq!(bill.absorbed, PicoUsd(0), "what was held covers it");
}

/// What a provider is known not to take is lost like what its dialect can't say; before it is
/// asked, and once more when its turn has come.
#[tokio::test]
async fn who_is_strict_is_refused_what_the_providers_own_ways_would_lose() {
    let tools = r#"{"model":"acme/one","max_tokens":9,"messages":[{"role":"user","content":"hi"}],
        "tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{}}}],
        "tool_choice":{"type":"any"}}"#;
    let schema = r#"{"model":"acme/one","max_tokens":9,"messages":[{"role":"user","content":"hi"}],
        "output_config":{"format":{"type":"json_schema","schema":{"type":"object",
        "properties":{},"additionalProperties":false}}}}"#;
    // A long one is looked at beside the worker.
    let long = format!("\"{}\"", "x ".repeat(150_000));
    let lengthened =
        |body: &str| -> &'static str { Box::leak(body.replace("\"hi\"", &long).into_boxed_str()) };
    let asked = [
        ("perplexity", tools),
        ("deepseek", schema),
        ("perplexity", lengthened(tools)),
        ("deepseek", lengthened(schema)),
    ];
    for (like, body) in asked {
        let data = tempfile::tempdir().unwrap();
        let settings = format!("catalog = {like:?}\nmodels = []");
        let able = "free = true\ntools = true\nstructured_output = true\n\
             context_tokens = 1000000";
        let gateway = gateway_of(data.path(), 9, &settings, able).await;
        let strictly = || {
            let mut flight = flight_of(&gateway, Dialect::AnthropicMessages, body);
            flight.manner.strict = true;
            flight
        };
        let refused = decide::match_offers(&mut strictly()).await.unwrap_err();
        assert_eq!(refused.code, "no_suitable_model", "{like}");
        assert!(refused.message.contains("translation would lose"), "{}", refused.message);
        let asked = run(Box::new(strictly()), vec![0]).await;
        assert_eq!(asked.status(), StatusCode::UNPROCESSABLE_ENTITY, "{like}");
    }
}

/// What is in the explanation of an offer that can't be asked any more is why it can't.
#[tokio::test]
async fn an_offer_that_filled_up_or_rests_since_the_plan_was_made_is_skipped_for_that() {
    let (data, port) = (tempfile::tempdir().unwrap(), provider(None).await);
    let settings = "dialect = \"openai-chat\"\nconcurrency = 1";
    let gateway = gateway_of(data.path(), port, settings, "free = true").await;
    let skipped = |gateway: &Arc<Gateway>| {
        let mut flight = flight(gateway);
        assert!(begin(&mut flight, 0, false).is_err());
        let [attempt] = flight.attempts.as_slice() else { panic!("{:?}", flight.attempts) };
        assert_eq!(&*attempt.outcome, "skipped");
        attempt.detail.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    let first = gateway.health.begin(0, clock::steady_ms()).unwrap();
    let detail = skipped(&gateway);
    assert!(detail.contains("as it may have (1)"), "{detail}");
    let heard = run(Box::new(flight(&gateway)), vec![0]).await;
    assert_eq!(heard.status(), StatusCode::TOO_MANY_REQUESTS, "as if it had been full before");

    drop(first);
    for _ in 0..BREAKER_FAILURES {
        let lane = crate::route::Lane { offer: 0, credential: 0 };
        gateway.health.record(lane, Sample::Failed, clock::steady_ms());
    }
    let detail = skipped(&gateway);
    assert!(detail.contains("breaker"), "{detail}");
    let heard = run(Box::new(flight(&gateway)), vec![0]).await;
    assert_eq!(heard.status(), StatusCode::SERVICE_UNAVAILABLE);
}
