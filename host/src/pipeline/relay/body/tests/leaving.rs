//! A stream whose caller leaves in the middle, and sends the same request again.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::*;
use crate::clock;
use crate::gateway::Gateway;
use crate::pipeline::repeats::Print;
use crate::pipeline::take_key;
use crate::usage::Explanation;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const BODY: &str = r#"{"model":"acme/one","stream":true,"max_tokens":4000,
    "messages":[{"role":"user","content":"hello"}]}"#;
/// Words of each of the two chunks of an answer, of five bytes.
const WORDS: usize = 800;
/// Pico-dollars for a token of the prompt and of the answer.
const INPUT_PICO: u128 = 1_000_000;
const OUTPUT_PICO: u128 = 2_000_000;

/// A chunk of text, and what it reports as written so far.
fn chunk(written: Option<u64>) -> String {
    let text = "word ".repeat(WORDS);
    let usage = written.map_or_else(
        || "null".to_owned(),
        |written| format!("{{\"prompt_tokens\":10,\"completion_tokens\":{written}}}"),
    );
    format!(
        "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\
         \"model\":\"one\",\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\
         \"content\":\"{text}\"}},\"finish_reason\":null}}],\"usage\":{usage}}}\n\n"
    )
}

/// The end of an answer of two chunks, of which each token has four bytes.
fn end() -> &'static str {
    "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"one\",\
     \"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\
     \"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2000}}\n\ndata: [DONE]\n\n"
}

/// A gateway whose provider begins to answer, and goes on when it is told that the caller has left.
struct Scene {
    _data: tempfile::TempDir,
    gateway: Arc<Gateway>,
    left: Arc<Notify>,
    print: Print,
    body: &'static str,
}

impl Scene {
    async fn new(first: String, rest: String) -> Self {
        Self::of(BODY, PRICE, first, rest).await
    }

    async fn of(body: &'static str, price: &str, first: String, rest: String) -> Self {
        let data = tempfile::tempdir().unwrap();
        let left = Arc::new(Notify::new());
        let port = provider(first, rest, Arc::clone(&left)).await;
        let gateway = gateway_with(data.path(), port, price).await;
        top_up(&gateway);
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("idempotency-key"),
            "again".parse().unwrap(),
        )]);
        let print = gateway.repeats.print("k1", &headers, "/v1", b"hello").unwrap().unwrap();
        Self { _data: data, gateway, left, print, body }
    }

    /// Sends the request, leaves after its first words, and waits for what is recorded.
    async fn leave(&self) -> Explanation {
        let mut flight = Box::new(flight_of(&self.gateway, Dialect::OpenAiChat, self.body));
        let id = flight.started.id;
        flight.print = Some(self.print);
        take_key(&mut flight).unwrap();
        reserve::reserve(&mut flight, &[0]).await.unwrap();
        let opened = begun_stream(&mut flight).await;
        let (_, mut body) = relay::begun(flight, opened);
        assert!(frame(&mut body).await.unwrap().contains("word"));
        drop(body);
        self.left.notify_one();
        for _ in 0..1_000 {
            if let Some(record) = self.gateway.recorder.log().find(None, id).unwrap() {
                return record.explanation;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it is never recorded");
    }
}

async fn provider(first: String, rest: String, left: Arc<Notify>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    crate::tasks::Tasks::default().spawn("provider", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            stream.write_all(format!("{HEAD}{first}").as_bytes()).await.unwrap();
            left.notified().await;
            // Perhaps nobody reads it any more.
            stream.write_all(rest.as_bytes()).await.ok();
        }
    });
    port
}

/// What a try is worth for which nothing is paid is read to its end no more than once: else a
/// caller could have a provider write one answer after the other on the platform's account.
#[tokio::test]
async fn pitfall_46_a_provider_writes_for_nobody_only_once_under_a_key() {
    let rest = format!("{}{}", chunk(None), end());
    let scene = Scene::new(chunk(None), rest).await;
    let first = scene.leave().await;
    assert_eq!(first.usage_source.as_deref(), Some("provider"), "{first:?}");
    assert_eq!(first.cost_usd.0, 10 * INPUT_PICO + 2_000 * OUTPUT_PICO, "{first:?}");
    let mut borne = 0;
    for _ in 0..5 {
        let again = scene.leave().await;
        assert_eq!(again.usage_source.as_deref(), Some("estimated"), "{again:?}");
        assert!(again.usage.output_text <= 1_000, "no more than came: {again:?}");
        borne += again.absorbed_usd.0;
    }
    assert!(borne > 0 && borne <= first.cost_usd.0, "{borne} after {first:?}");
}

/// A provider that reports as it goes is believed to the end; what came of it when nobody was there
/// any more is owed.
#[tokio::test]
async fn pitfall_46_what_was_reported_after_the_caller_left_is_owed_when_the_provider_dies() {
    let scene = Scene::new(chunk(Some(1_000)), chunk(Some(2_000))).await;
    let cut = scene.leave().await;
    assert_eq!(cut.cost_usd.0, 10 * INPUT_PICO + 2_000 * OUTPUT_PICO, "{cut:?}");
    let org = "acme".into();
    let (repeats, id) = (&scene.gateway.repeats, clock::new_id());
    let next = repeats.begin(&org, scene.print, id, clock::steady_ms()).unwrap();
    let (owed, cost) = (next.tab.owed.0, cut.cost_usd.0);
    assert!(owed * 4 > cost && owed < cost, "about half: {owed} of {cost}");
}

/// A prompt that is long enough for a cache, of an offer whose cache costs less.
async fn cached(first: String, rest: String) -> Scene {
    let price = "usd_per_million = { input = \"1\", output = \"2\", cache-read = \"0.1\" }\n";
    Scene::of(BODY.replace("hello", &"hello ".repeat(800)).leak(), price, first, rest).await
}

/// What a cache gave no count shows: its provider is read to the end, which tells.
#[tokio::test]
async fn pitfall_46_a_prompt_that_may_have_been_cached_is_charged_as_its_provider_reports() {
    let cache = "\"prompt_tokens\":1000,\"prompt_tokens_details\":{\"cached_tokens\":1000}";
    let end = end().replace("\"prompt_tokens\":10", cache);
    let scene = cached(chunk(None), format!("{}{end}", chunk(None))).await;
    let price = 1_000 * INPUT_PICO / 10 + 2_000 * OUTPUT_PICO;
    for _ in 0..3 {
        let left = scene.leave().await;
        assert_eq!(left.usage_source.as_deref(), Some("provider"), "{left:?}");
        assert_eq!(left.usage.cache_read, 1_000, "{left:?}");
        assert_eq!(left.cost_usd.0 + left.absorbed_usd.0, price, "{left:?}");
    }
}

/// Who reports the prompt at once is left at once.
#[tokio::test]
async fn pitfall_46_a_prompt_that_is_reported_by_then_needs_no_end() {
    let scene = cached(chunk(Some(1_000)), format!("{}{}", chunk(None), end())).await;
    assert_eq!(scene.leave().await.usage.output_text, 2_000);
    let again = scene.leave().await;
    assert_eq!(again.usage.output_text, 1_000, "no more than came: {again:?}");
    assert_eq!(again.usage.input_uncached, 10, "as it was reported: {again:?}");
}
