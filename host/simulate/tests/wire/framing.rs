//! Unusual bytes on the wire: legal framings, signs of life, cut characters, foreign pages,
//! limits; in a dialect with named events.

use crate::anthropic::{claude, request, say};
use crate::play::{echo, named_events};
use serde_json::{Value, json};
use std::time::Duration;
use turnpike_simulate::{AnswerScript, Failure, ModelScript, RateLimit, Rule, Simulator};

fn streamed(text: &str) -> Value {
    let mut body = say(text);
    body["stream"] = json!(true);
    body
}

/// All bytes until the end or the break, and whether it broke.
async fn bytes(simulator: &Simulator, text: &str) -> (Vec<u8>, bool) {
    let sent = request(simulator, "/messages").json(&streamed(text)).send().await;
    let mut answer = sent.expect("headers");
    let mut out = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(more)) => out.extend_from_slice(&more),
            Ok(None) => return (out, false),
            Err(_) => return (out, true),
        }
    }
}

async fn failing(failure: Failure) -> Simulator {
    let simulator = claude(echo()).await;
    simulator.fail("p", &[Rule::always(failure)]).expect("p");
    simulator
}

#[tokio::test]
async fn every_legal_framing_says_the_same() {
    let (usual, _) = bytes(&claude(echo()).await, "größer").await;
    let usual = named_events(&String::from_utf8(usual).expect("UTF-8"));
    let odd = Failure::Framing {
        crlf: true,
        multi_line: true,
        tight: true,
        comments: true,
        no_last_blank: true,
    };
    let (odd, broken) = bytes(&failing(odd).await, "größer").await;
    let odd = String::from_utf8(odd).expect("UTF-8");
    assert!(!broken && odd.starts_with(": keep-alive\r\nevent:message_start\r\ndata:{"));
    assert!(odd.ends_with("}\r\n") && !odd.ends_with("\r\n\r\n"), "{odd:?}");
    assert_eq!(named_events(&odd), usual);
}

#[tokio::test]
async fn a_stream_ends_inside_a_character() {
    let (bytes, broken) =
        bytes(&failing(Failure::CutCharacter { chunks: 0 }).await, "größer").await;
    assert!(broken);
    let error = std::str::from_utf8(&bytes).expect_err("a cut character");
    assert_eq!((error.valid_up_to(), error.error_len()), (bytes.len() - 1, None));
}

#[tokio::test]
async fn unknown_events_and_missing_ends() {
    let (text, _) = bytes(&failing(Failure::UnknownEvent { chunks: 0 }).await, "x").await;
    let events = named_events(std::str::from_utf8(&text).expect("UTF-8"));
    assert!(events.iter().any(|(name, _)| name == "simulated.unknown"));
    assert_eq!(events.last().expect("one").0, "message_stop");
    let (text, _) = bytes(&failing(Failure::WrongEventName { chunks: 0 }).await, "x").await;
    let events = named_events(std::str::from_utf8(&text).expect("UTF-8"));
    let wrong = events.iter().find(|(name, _)| name == "simulated.wrong").expect("one");
    assert_eq!(wrong.1["type"], "content_block_delta");
    let (text, broken) = bytes(&failing(Failure::MissingDone).await, "x").await;
    let events = named_events(std::str::from_utf8(&text).expect("UTF-8"));
    assert_eq!((events.last().expect("one").0.as_str(), broken), ("message_delta", false));
    let (text, _) = bytes(&failing(Failure::MissingUsage).await, "x").await;
    assert!(!String::from_utf8(text).expect("UTF-8").contains("usage"));
}

#[tokio::test]
async fn signs_of_life_come_while_it_thinks() {
    let mut model = echo();
    (model.first_token_ms, model.ping_every_ms) = (120, 30);
    let simulator = claude(model).await;
    let (text, _) = bytes(&simulator, "x").await;
    let events = named_events(std::str::from_utf8(&text).expect("UTF-8"));
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[0], "message_start");
    let first = names.iter().position(|name| *name == "content_block_delta").expect("content");
    let pings = names[..first].iter().filter(|name| **name == "ping").count();
    assert!((3..=5).contains(&pings), "{names:?}");

    simulator.fail("p", &[Rule::always(Failure::HangAfter { chunks: 1 })]).expect("p");
    let read = tokio::time::timeout(Duration::from_millis(400), bytes(&simulator, "x y")).await;
    assert!(read.is_err(), "it hangs, pings or not");
}

#[tokio::test]
async fn foreign_pages_and_scripted_headers() {
    let headers = [("content-type".to_owned(), "text/html".to_owned())].into();
    let page = "<html>502 Bad Gateway</html>".to_owned();
    let simulator = failing(Failure::Raw { status: 502, headers, body: page.clone() }).await;
    let sent = request(&simulator, "/messages").json(&say("x")).send().await.expect("one");
    assert_eq!(
        (sent.status().as_u16(), &sent.headers()["content-type"]),
        (502, &"text/html".parse().expect("a value"))
    );
    assert_eq!(sent.text().await.expect("a body"), page);
}

#[tokio::test]
async fn limits_are_told_and_kept() {
    let mut model = ModelScript::instant("m", AnswerScript::Echo {});
    model.rate_limit = Some(RateLimit { requests: 2, tokens: 10_000 });
    model.headers.insert("x-robot".to_owned(), "yes".to_owned());
    let simulator = claude(model).await;
    let send = async || request(&simulator, "/messages").json(&say("x")).send().await.expect("one");
    let first = send().await;
    assert_eq!(first.headers()["anthropic-ratelimit-requests-remaining"], "1");
    assert_eq!(first.headers()["x-robot"], "yes");
    let reset = first.headers()["anthropic-ratelimit-tokens-reset"].to_str().expect("text");
    assert!(reset.starts_with("20") && reset.ends_with('Z'), "{reset}");
    assert_eq!(send().await.status(), 200);
    let third = send().await;
    assert_eq!(
        (third.status().as_u16(), &third.headers()["retry-after"]),
        (429, &"60".parse().expect("a value"))
    );
    let body: Value = third.json().await.expect("JSON");
    assert_eq!(body["error"]["type"], "rate_limit_error");
}
