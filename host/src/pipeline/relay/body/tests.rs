//! A stream whose caller reads when it likes.

mod leaving;

use std::time::Duration;

use turnpike_protocol::Dialect;

use super::*;
use crate::pipeline::attempt::tests::{
    PRICE, begun_stream, flight_of, gateway_with, provider, top_up,
};
use crate::pipeline::{relay, reserve};

/// A stream that ends without its end, and more text than is held back of it.
fn cut_off() -> &'static str {
    let text = "word ".repeat(1_000);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
         data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\
         \"model\":\"one\",\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\
         \"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    );
    answer.leak()
}

async fn frame(body: &mut RelayBody) -> Option<String> {
    let mut body = Pin::new(body);
    let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await?;
    let bytes = frame.unwrap().into_data().unwrap();
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

/// What a caller hears at the end that takes nothing for so long after the first words, whether it
/// is charged, and how many failures are the offer's.
async fn read_after(pause: Duration) -> (String, bool, u32) {
    let data = tempfile::tempdir().unwrap();
    let port = provider(Some(cut_off())).await;
    let gateway = gateway_with(data.path(), port, PRICE).await;
    top_up(&gateway);
    let body = r#"{"model":"acme/one","stream":true,"max_tokens":9,
        "messages":[{"role":"user","content":"hello"}]}"#;
    let mut flight = Box::new(flight_of(&gateway, Dialect::OpenAiChat, body));
    reserve::reserve(&mut flight, &[0]).await.unwrap();
    let opened = begun_stream(&mut flight).await;
    let (_, mut body) = relay::begun(flight, opened);
    assert!(frame(&mut body).await.unwrap().contains("word"));
    body.handed = Some(Stopwatch::started(pause));
    let mut last = String::new();
    while let Some(text) = frame(&mut body).await {
        last.push_str(&text);
    }
    let charged = gateway.ledger.balance("acme").spent.0 > 0;
    let lanes = gateway.health.observed(0, crate::clock::steady_ms()).unwrap().lanes;
    (last, charged, lanes[0].failures_in_a_row)
}

#[tokio::test]
async fn a_stream_that_ends_early_is_the_providers_failure() {
    let (last, charged, failures) = read_after(Duration::from_secs(1)).await;
    assert!(last.contains("upstream_died"), "{last}");
    assert!(!charged && failures == 1, "{charged} {failures}");
}

/// Who stops reading until the provider gives up has had an answer for nothing otherwise, and has
/// taken the offer from everybody.
#[tokio::test]
async fn who_leaves_a_stream_waiting_until_it_ends_pays_for_what_came() {
    let (last, charged, failures) = read_after(Duration::from_secs(21)).await;
    assert!(last.contains("upstream_died") && last.contains("unread"), "{last}");
    assert!(charged && failures == 0, "{charged} {failures}");
}
