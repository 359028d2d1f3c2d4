//! Who is blamed for an attempt that came to nothing, and who has to suffer for it.

use super::*;
use crate::route::Sample;

const ANSWER: &str = r#"{"id":"x","object":"chat.completion","model":"one","choices":[{"index":0,
    "message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}"#;

fn said(status: &str, headers: &str, body: &str) -> &'static str {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         {headers}connection: close\r\n\r\n{body}"
    );
    text.leak()
}

/// A gateway whose first offer's provider says this, and whose second's answers.
async fn pair(data: &Path, first: &'static str) -> Arc<Gateway> {
    let port = provider(Some(first)).await;
    let other = provider(Some(said("200 OK", "", ANSWER))).await;
    let more = format!(
        "free = true\n[providers.other]\nbase_url = \"http://127.0.0.1:{other}/v1\"\n\
         api_key = \"k\"\ndialect = \"openai-chat\"\n\
         [[providers.other.offers]]\nid = \"acme/one\"\nfree = true"
    );
    gateway_with(data, port, &more).await
}

/// Asks the offers of both providers, the first one first; the status, and how many were asked or
/// passed over.
async fn ask_both(gateway: &Arc<Gateway>) -> (u16, usize) {
    let body = r#"{"model":"auto","messages":[{"role":"user","content":"hello"}]}"#;
    let mut flight = flight_of(gateway, Dialect::OpenAiChat, body);
    let second = Candidate { index: 1, rejection: None, figures: None, score: None };
    flight.candidates.push(second);
    flight.plan = vec![0, 1];
    let response = run(Box::new(flight), vec![0, 1]).await;
    let attempts = response.headers().get("x-turnpike-attempts");
    let attempts = attempts.and_then(|it| it.to_str().ok()?.parse().ok()).unwrap_or(0);
    (response.status().as_u16(), attempts)
}

fn gate(gateway: &Gateway) -> Gate {
    gateway.health.gate(0, clock::steady_ms())
}

/// The operator's key is no mistake of the caller's, who is answered elsewhere.
#[tokio::test]
async fn a_key_that_is_refused_rests_and_another_provider_answers() {
    let data = tempfile::tempdir().unwrap();
    let refused = said("401 Unauthorized", "", r#"{"error":{"message":"no such key"}}"#);
    let gateway = pair(data.path(), refused).await;
    assert_eq!(ask_both(&gateway).await, (200, 2));
    let Gate::Open { until_ms } = gate(&gateway) else { panic!("it rests") };
    assert!(until_ms.saturating_sub(clock::steady_ms()) > 50_000);
    assert_eq!(ask_both(&gateway).await, (200, 2));
    let refusals = "turnpike_attempts_total{provider=\"local\",outcome=\"credential\"} 1";
    assert!(gateway.metrics.render().contains(refusals), "{}", gateway.metrics.render());
}

#[tokio::test]
async fn where_nobody_else_is_asked_the_caller_hears_that_it_is_the_operators_key() {
    let data = tempfile::tempdir().unwrap();
    let refused = said("401 Unauthorized", "", r#"{"error":{"message":"no such key"}}"#);
    let gateway = gateway(data.path(), provider(Some(refused)).await).await;
    let response = run(Box::new(flight(&gateway)), vec![0]).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let GatewayBody::Whole(body) = response.into_body() else { panic!("a stream") };
    let body = String::from_utf8(body.unwrap_or_default().to_vec()).unwrap();
    assert!(body.contains("upstream_credential"), "{body}");
}

/// What is only forbidden may be about this request: it has to be said several times.
#[tokio::test]
async fn what_is_forbidden_rests_the_offer_after_several_times() {
    let data = tempfile::tempdir().unwrap();
    let forbidden = said("403 Forbidden", "", r#"{"error":{"message":"not in this project"}}"#);
    let gateway = pair(data.path(), forbidden).await;
    assert_eq!((ask_both(&gateway).await, gate(&gateway)), ((200, 2), Gate::Closed));
    assert_eq!(ask_both(&gateway).await, (200, 2));
    assert!(matches!(gate(&gateway), Gate::Open { .. }), "{BREAKER_FAILURES} times");
}

/// One caller's prompt must not take an offer from the others, by any of its credentials.
#[tokio::test]
async fn a_prompt_that_is_flagged_is_refused_in_the_providers_words_and_nothing_rests() {
    let data = tempfile::tempdir().unwrap();
    let body = r#"{"code":"permission-denied","error":"Content violates usage guidelines."}"#;
    let port = provider(Some(said("403 Forbidden", "", body))).await;
    let more = format!(
        "free = true\n[providers.other]\nbase_url = \"http://127.0.0.1:{port}/v1\"\n\
         [[providers.other.credentials]]\napi_key = \"a\"\n\
         [[providers.other.credentials]]\napi_key = \"b\"\n\
         [[providers.other.offers]]\nid = \"acme/two\"\nfree = true"
    );
    let gateway = gateway_with(data.path(), port, &more).await;
    let asked = r#"{"model":"acme/one","messages":[{"role":"user","content":"hello"}]}"#;
    assert_eq!(heard(&gateway, Dialect::OpenAiChat, asked).await, (403, body.to_owned()));
    let mut flight = flight(&gateway);
    flight.candidates[0].index = 1;
    assert_eq!(run(Box::new(flight), vec![0]).await.status(), StatusCode::FORBIDDEN);
    let lanes = gateway.health.observed(1, clock::steady_ms()).unwrap().lanes;
    assert!(lanes.len() == 2 && lanes.iter().all(|it| it.gate == Gate::Closed), "{lanes:?}");
}

const TOO_LARGE: &str = concat!(
    r#"{"error":{"message":"Request too large for one on tokens per min (TPM): Limit 30000, "#,
    r#"Requested 51000.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#
);

/// Nobody else's request is too large: the next is asked, and nothing is held against the offer.
#[tokio::test]
async fn a_request_over_the_operators_own_limit_is_answered_elsewhere_and_nothing_rests() {
    for status in ["429 Too Many Requests", "413 Payload Too Large"] {
        let data = tempfile::tempdir().unwrap();
        let refused = said(status, "x-should-retry: false\r\n", TOO_LARGE);
        let gateway = pair(data.path(), refused).await;
        for _ in 0..=BREAKER_FAILURES {
            assert_eq!((ask_both(&gateway).await, gate(&gateway)), ((200, 2), Gate::Closed));
        }
        let seen = gateway.health.snapshot(0, Band::SHORT, clock::steady_ms());
        assert!((seen.availability - 1.0).abs() < f64::EPSILON, "{seen:?}");
        // Whoever has nobody else hears the provider's own words, and that no wait helps.
        let response = run(Box::new(flight(&gateway)), vec![0]).await;
        assert!(status.starts_with(response.status().as_str()), "{}", response.status());
        assert_eq!(response.headers().get("x-should-retry").unwrap(), "false");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_after_waiting_in_vain_counts_against_the_offer() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway(data.path(), provider(None).await).await;
    let body = r#"{"model":"acme/one","stream":true,
        "messages":[{"role":"user","content":"hello"}]}"#;
    for seconds in [0, 60, 60] {
        assert_eq!(gate(&gateway), Gate::Closed);
        let mut flight = flight_of(&gateway, Dialect::OpenAiChat, body);
        let mut asking = begin(&mut flight, 0, false).unwrap();
        asking.watch = Stopwatch::started(Duration::from_secs(seconds));
        let left = tokio::time::timeout(Duration::from_millis(50), one(&mut flight, asking)).await;
        assert!(left.is_err(), "the provider says nothing");
        assert_eq!(outcomes(&flight), ["cancelled"]);
    }
    assert!(matches!(gate(&gateway), Gate::Open { .. }), "{BREAKER_FAILURES} said so");
}

/// The probe of an offer that says nothing, which has waited for longer than an answer takes to
/// begin, and the offer of another provider.
async fn probing(data: &Path) -> (Flight, Asking) {
    let port = provider(None).await;
    let more = format!(
        "free = true\n[providers.other]\nbase_url = \"http://127.0.0.1:{port}/v1\"\n\
         api_key = \"k\"\ndialect = \"openai-chat\"\n\
         [[providers.other.offers]]\nid = \"acme/one\"\nfree = true"
    );
    let gateway = gateway_with(data, port, &more).await;
    let lane = Lane { offer: 0, credential: 0 };
    gateway.health.record(lane, Sample::whole(100, 5_000, 10), clock::steady_ms());
    gateway.health.rest(lane, clock::steady_ms(), clock::steady_ms());
    let mut flight = flight(&gateway);
    let second = Candidate { index: 1, rejection: None, figures: None, score: None };
    flight.candidates.push(second);
    let mut asking = begin(&mut flight, 0, false).unwrap();
    assert!(asking.in_flight.is_probe() && asking.in_flight.patience_ms() == 30_000);
    assert!(gateway.health.begin(0, clock::steady_ms()).is_err(), "it is the only one");
    asking.watch = Stopwatch::started(Duration::from_secs(31));
    (flight, asking)
}

/// Whether it goes on waiting.
async fn waits(flight: &Flight, asking: &Asking) -> bool {
    let hears = silence::unless(flight, asking, std::future::pending::<()>());
    tokio::time::timeout(Duration::from_millis(100), hears).await.is_err()
}

/// A probe waits no longer than an answer takes to begin, where somebody else is left to ask: who
/// that is does not go by what the explanation tells of offers that were passed over.
#[tokio::test]
async fn a_probe_that_hears_nothing_is_given_up_for_the_next() {
    let data = tempfile::tempdir().unwrap();
    let (mut flight, mut asking) = probing(data.path()).await;
    assert!(waits(&flight, &asking).await, "nobody else is left");
    asking.left = Left::of(&[1], true);
    for _ in 0..3 {
        outcome::note_skipped(&mut flight, 1, NO_ROOM.into());
    }
    assert!(!waits(&flight, &asking).await);
    let second = Lane { offer: 1, credential: 0 };
    flight.gateway.health.rest(second, u64::MAX, clock::steady_ms());
    assert!(waits(&flight, &asking).await, "the other rests");
}

/// Two that are asked side by side are not left for each other: then nobody would be.
#[tokio::test]
async fn who_is_asked_beside_another_is_not_left_for_it() {
    let data = tempfile::tempdir().unwrap();
    let (flight, mut asking) = probing(data.path()).await;
    asking.left = Left::of(&[1], true);
    asking.left.take_next();
    assert!(waits(&flight, &asking).await);
    asking.left = Left::of(&[1, 0], true);
    asking.left.take_next();
    assert!(!waits(&flight, &asking).await, "a third is left");
}

/// However an offer that has fallen silent is left, it may charge for the prompt.
#[tokio::test]
async fn the_platform_bears_the_prompt_of_an_offer_that_is_left_and_of_nobody_else() {
    let data = tempfile::tempdir().unwrap();
    let gateway = gateway_with(data.path(), 9, PRICE).await;
    let mut flight = flight(&gateway);
    // What another attempt of the request has cost.
    flight.lost = PicoUsd(7);
    let asking = begin(&mut flight, 0, false).unwrap();
    give_up(&mut flight, &asking, Trouble::Empty);
    assert_eq!(flight.lost, PicoUsd(7));
    assert_eq!(flight.attempts[0].detail.as_deref(), Some("it ended before any content"));
    give_up(&mut flight, &asking, Trouble::Silent);
    assert!(flight.lost > PicoUsd(7));
    let detail = flight.attempts[1].detail.as_deref().unwrap();
    assert!(detail.contains("estimate of the prompt"), "{detail}");
}

/// OpenAI's stream that has no tokens left for the organization: status 200, and then this.
fn limited_stream(message: &str) -> &'static str {
    let text = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
         event: response.created\ndata: {{\"type\":\"response.created\",\"sequence_number\":0,\
         \"response\":{{\"id\":\"r\",\"object\":\"response\",\"status\":\"in_progress\",\
         \"output\":[],\"error\":null}}}}\n\n\
         event: response.failed\ndata: {{\"type\":\"response.failed\",\"sequence_number\":1,\
         \"response\":{{\"id\":\"r\",\"object\":\"response\",\"status\":\"failed\",\"output\":[],\
         \"error\":{{\"code\":\"rate_limit_exceeded\",\"message\":\"{message}\"}}}}}}\n\n"
    );
    text.leak()
}

const USED_UP: &str = "Rate limit reached for one on tokens per min (TPM): Limit 250000, \
    Used 250000, Requested 58487. Please try again in 14.036s.";

/// Nobody has failed: the offer rests as long as it says, and who has nobody else hears so.
#[tokio::test]
async fn a_rate_limit_inside_a_stream_is_one_and_no_failure() {
    let responses = Dialect::OpenAiResponses;
    let own = r#"{"model":"acme/one","stream":true,"input":"hello"}"#;
    let foreign = r#"{"model":"acme/one","stream":true,"max_tokens":9,
        "messages":[{"role":"user","content":"hello"}]}"#;
    for (caller, body) in [(responses, own), (Dialect::AnthropicMessages, foreign)] {
        let data = tempfile::tempdir().unwrap();
        let port = provider(Some(limited_stream(USED_UP))).await;
        let gateway = gateway_in(data.path(), port, responses, "free = true").await;
        let response = run(Box::new(flight_of(&gateway, caller, body)), vec![0]).await;
        let now_ms = clock::steady_ms();
        let Gate::Open { until_ms } = gate(&gateway) else { panic!("it rests") };
        assert!((13_000..=14_036).contains(&until_ms.saturating_sub(now_ms)), "{until_ms}");
        assert!(gateway.health.is_limited(0, now_ms));
        let lane = gateway.health.observed(0, now_ms).unwrap().lanes[0];
        assert_eq!(lane.failures_in_a_row, 0);
        let limited = "turnpike_attempts_total{provider=\"local\",outcome=\"rate_limited\"} 1";
        assert!(gateway.metrics.render().contains(limited), "{}", gateway.metrics.render());
        let status = response.status().as_u16();
        let wait = response.headers().get("retry-after").cloned();
        let GatewayBody::Whole(said) = response.into_body() else { panic!("a stream") };
        let said = String::from_utf8(said.unwrap_or_default().to_vec()).unwrap();
        if caller == responses {
            // Codex gives up at a status 429, and waits for what such a stream says.
            assert_eq!(status, 200, "{said}");
            assert!(said.starts_with("event: response.failed\ndata: "), "{said}");
            assert!(said.contains("rate_limit_exceeded") && said.contains(USED_UP), "{said}");
        } else {
            assert_eq!((status, wait), (429, Some(15.into())), "{said}");
            assert!(said.contains("rate_limit_error"), "{said}");
        }
    }
}

/// One prompt that is larger than the whole minute is nobody else's trouble, wherever it is said.
#[tokio::test]
async fn a_request_over_the_limit_is_told_inside_a_stream_too() {
    let data = tempfile::tempdir().unwrap();
    let large = "Request too large for one on tokens per min (TPM): Limit 30000, Requested 51000.";
    let port = provider(Some(limited_stream(large))).await;
    let responses = Dialect::OpenAiResponses;
    let gateway = gateway_in(data.path(), port, responses, "free = true").await;
    let body = r#"{"model":"acme/one","stream":true,"input":"hello"}"#;
    let (_, said) = heard(&gateway, responses, body).await;
    assert!(said.contains(large), "{said}");
    let seen = gateway.health.snapshot(0, Band::SHORT, clock::steady_ms());
    assert!((seen.availability - 1.0).abs() < f64::EPSILON, "{seen:?}");
}

/// Whoever names a server of tools that is down hears so, and everybody else is served.
#[tokio::test]
async fn a_server_of_tools_that_does_not_answer_rests_no_offer() {
    let body = r#"{"error":{"message":"Error retrieving tool list from MCP server: 'x'.",
        "type":"external_connector_error","param":"tools","code":"http_error"}}"#;
    let data = tempfile::tempdir().unwrap();
    let port = provider(Some(said("424 Failed Dependency", "", body))).await;
    let responses = Dialect::OpenAiResponses;
    let gateway = gateway_in(data.path(), port, responses, "free = true").await;
    let asked = r#"{"model":"acme/one","input":"hello"}"#;
    assert_eq!(heard(&gateway, responses, asked).await, (424, body.to_owned()));
}
