//! A stream says what the whole answer says: its events, folded, are the same blocks. And events
//! keep the order that every encoder relies on.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Stream, reply};
use crate::neutral::{Block, Event, Opening, Words};
use crate::sse::Frame;

/// The events of these payloads.
fn events(payloads: &[Value]) -> Vec<Event> {
    let (mut stream, mut out) = (Stream::default(), Vec::new());
    for payload in payloads {
        stream.push(&Frame::made(None, payload.to_string().as_bytes()), &mut out).unwrap();
    }
    stream.push(&Frame::made(None, b"[DONE]"), &mut out).unwrap();
    stream.finish(&mut out);
    out
}

fn block(opening: Opening) -> Block {
    match opening {
        Opening::Text => Block::Text { text: Words::default(), citations: Vec::new() },
        Opening::Refusal => Block::Refusal(Words::default()),
        Opening::Thinking => Block::Thinking { text: Words::default(), signature: None },
        Opening::SealedThinking(signature) => Block::SealedThinking(signature),
        Opening::ToolCall { id, name, kind } => {
            Block::ToolCall { id, name, input: Words::default(), kind, signature: None }
        }
        Opening::Media { media_type, base64 } => Block::Media { media_type, base64 },
        Opening::Own(value) => Block::Own(value),
    }
}

/// The blocks that events add up to.
fn fold(events: Vec<Event>) -> Vec<Block> {
    let mut blocks: BTreeMap<u32, (Block, bool)> = BTreeMap::new();
    for event in events {
        match event {
            Event::Open { block: number, opening, .. } => {
                assert_eq!(usize::try_from(number).unwrap(), blocks.len());
                blocks.insert(number, (block(opening), true));
            }
            Event::Delta { block, text: more } => match blocks.get_mut(&block).unwrap() {
                (
                    Block::Text { text, .. } | Block::Thinking { text, .. } | Block::Refusal(text),
                    true,
                ) => {
                    text.0.push_str(&more.0);
                }
                (Block::ToolCall { input, .. }, true) => input.0.push_str(&more.0),
                _ => unreachable!("a delta for a block without one"),
            },
            Event::Signed { block, signature: new } => match blocks.get_mut(&block).unwrap() {
                (Block::Thinking { signature, .. } | Block::ToolCall { signature, .. }, true) => {
                    *signature = Some(new);
                }
                _ => unreachable!("a signature for a block without one"),
            },
            Event::Cited { block, citation } => match blocks.get_mut(&block).unwrap() {
                (Block::Text { citations, .. }, true) => citations.push(citation),
                _ => unreachable!("a citation for a block without one"),
            },
            Event::Close { block } => {
                assert!(std::mem::replace(&mut blocks.get_mut(&block).unwrap().1, false));
            }
            Event::Finish { .. } => assert!(blocks.values().all(|(_, open)| !open)),
            _ => {}
        }
    }
    blocks.into_values().map(|(block, _)| block).collect()
}

/// What a block says, with its content.
fn shown(block: &Block) -> String {
    match block {
        Block::Text { text, citations } => format!("text {} {}", text.0, citations.len()),
        Block::Refusal(text) => format!("refusal {}", text.0),
        Block::Thinking { text, signature } => {
            let signed = signature.as_ref().map(|it| format!("{:?} {}", it.issuer, it.data.0));
            format!("thinking {} {signed:?}", text.0)
        }
        Block::SealedThinking(it) => format!("sealed {:?} {}", it.issuer, it.data.0),
        Block::ToolCall { id, name, input, kind, signature } => {
            let signed = signature.as_ref().map(|it| format!("{:?} {}", it.issuer, it.data.0));
            format!("call {id:?} {name} {} {kind:?} {signed:?}", input.0)
        }
        Block::Media { media_type, base64 } => format!("media {media_type} {}", base64.0),
        Block::Own(value) => format!("own {}", value.0),
    }
}

fn chunk(delta: &Value) -> Value {
    json!({"id": "c", "choices": [{"index": 0, "delta": delta}]})
}

#[test]
fn a_stream_folds_into_the_blocks_of_the_whole_answer() {
    let citation = json!({"type": "url_citation", "url_citation": {"url": "https://a.example"}});
    let extra = json!({"google": {"thought_signature": "GEM"}});
    let sealed =
        json!({"type": "reasoning.encrypted", "data": "BLOB", "format": "openai-responses-v1"});
    let whole = json!({"choices": [{"message": {
        "reasoning": "I wonder", "content": "Two left", "refusal": "no more",
        "annotations": [citation],
        "reasoning_details": [
            {"type": "reasoning.text", "text": "I wonder", "signature": "SIG", "index": 0,
             "format": "anthropic-claude-v1"}, sealed],
        "images": [{"image_url": {"url": "data:image/png;base64,AA=="}}],
        "tool_calls": [
            {"id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"},
                "extra_content": extra},
            {"id": "b", "type": "custom", "custom": {"name": "g", "input": "ls"}},
            {"id": "d", "function": {"name": "h", "arguments": ""}}]},
        "finish_reason": "tool_calls"}]});
    let thought = |text: &str| {
        json!({"reasoning": text, "reasoning_details": [
        {"type": "reasoning.text", "text": text, "index": 0, "format": "anthropic-claude-v1"}]})
    };
    let entry = |call: Value| json!({ "tool_calls": [call] });
    let signed = json!({"type": "reasoning.text", "signature": "SIG", "index": 0,
        "format": "anthropic-claude-v1"});
    let deltas = [
        json!({"role": "assistant", "content": ""}),
        thought("I "),
        thought("wonder"),
        json!({"reasoning_details": [signed]}),
        json!({"reasoning_details": [sealed]}),
        json!({"content": "Two "}),
        json!({"content": "left"}),
        json!({"annotations": [citation]}),
        json!({"refusal": "no "}),
        json!({"refusal": "more"}),
        json!({"images": [{"image_url": {"url": "data:image/png;base64,AA=="}}]}),
        entry(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": ""},
            "extra_content": extra})),
        entry(json!({"index": 0, "function": {"arguments": "{\"x\""}})),
        entry(json!({"index": 0, "function": {"arguments": ":1}"}})),
        entry(
            json!({"index": 1, "id": "b", "type": "custom", "custom": {"name": "g", "input": "l"}}),
        ),
        entry(json!({"index": 1, "custom": {"input": "s"}})),
        entry(json!({"index": 2, "id": "d", "function": {"name": "h", "arguments": ""}})),
    ];
    let streamed = fold(events(&deltas.iter().map(chunk).collect::<Vec<_>>()));
    let whole = reply(whole.to_string().as_bytes()).unwrap();
    let whole: Vec<String> = whole.choices[0].blocks.iter().map(shown).collect();
    assert_eq!(streamed.iter().map(shown).collect::<Vec<_>>(), whole);
    assert_eq!(whole.len(), 8);
}

#[test]
fn a_call_whose_arguments_are_whole_does_not_hold_up_the_next() {
    let call = |index: u32, arguments: &str| {
        chunk(&json!({"tool_calls": [{"index": index, "id": format!("c{index}"),
            "function": {"name": "f", "arguments": arguments}}]}))
    };
    for first in ["{\"a\":[{}]}", "{}", "{\"a\":\"}\\\"\"}"] {
        let events = events(&[call(0, first), call(1, "{\"b\":")]);
        let at = |wanted: fn(&Event) -> bool| events.iter().position(wanted).unwrap();
        let closed = at(|event| matches!(event, Event::Close { block: 0 }));
        assert!(closed < at(|event| matches!(event, Event::Open { block: 1, .. })), "{first}");
    }
}

#[test]
fn every_stream_starts_once_and_ends_once() {
    let delta = chunk(&json!({"content": "x"}));
    let error = json!({"error": {"message": "gone"}});
    for payloads in [vec![], vec![delta.clone()], vec![delta, error.clone()], vec![error]] {
        let events = events(&payloads);
        assert!(matches!(events.first(), Some(Event::Start { .. })));
        assert!(matches!(events.last(), Some(Event::End | Event::Error(_))));
        let ends = events.iter().filter(|event| matches!(event, Event::End | Event::Error(_)));
        assert_eq!(ends.count(), 1);
        let starts = events.iter().filter(|event| matches!(event, Event::Start { .. }));
        assert_eq!(starts.count(), 1);
    }
}

#[test]
fn debug_shows_no_content() {
    let events = events(&[chunk(&json!({"content": "canary"}))]);
    assert!(!format!("{events:?}").contains("canary"));
    let body = Bytes::from_static(br#"{"choices":[{"message":{"content":"canary"}}]}"#);
    assert!(!format!("{:?}", reply(&body).unwrap()).contains("canary"));
}
