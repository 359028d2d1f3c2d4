//! Whole Responses answers and the events of streams, as they are seen, edited and passed on.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::error_body::{self, ErrorFacts};
use turnpike_protocol::sse::{Frame, Framer};
use turnpike_protocol::{Answer, Channel, Chunk, Delta, Dialect};

const REPLY: &str = include_str!("../golden/openai-responses/reply.json");
const STREAM: &str = include_str!("../golden/openai-responses/stream.sse");
const DONE_ONLY: &str = include_str!("../golden/openai-responses/done_only.sse");
const FAILED: &str = include_str!("../golden/openai-responses/failed.sse");

fn frames(bytes: &[u8], size: usize) -> Vec<Frame> {
    let (mut framer, mut out) = (Framer::new(1 << 20), Vec::new());
    for piece in bytes.chunks(size) {
        framer.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
    }
    framer.finish(&mut out);
    out
}

fn chunks(stream: &str) -> Vec<Chunk> {
    let read = |frame: &Frame| Chunk::parse(Dialect::OpenAiResponses, &frame.data).unwrap();
    frames(stream.as_bytes(), usize::MAX).iter().map(read).collect()
}

fn event(payload: &Value) -> Chunk {
    let data = Bytes::from(payload.to_string());
    Chunk::parse(Dialect::OpenAiResponses, &data).unwrap()
}

fn tree(frame: &[u8]) -> Value {
    let frames = frames(frame, usize::MAX);
    assert_eq!(frames.len(), 1);
    let value: Value = serde_json::from_slice(&frames[0].data).unwrap();
    let name = std::str::from_utf8(frames[0].event.as_ref().unwrap()).unwrap();
    assert_eq!(value["type"], name, "the event line says the type");
    value
}

#[test]
fn a_whole_answer_is_seen_and_passes_untouched() {
    let answer = Answer::parse(Dialect::OpenAiResponses, Bytes::from(REPLY)).unwrap();
    let texts: Vec<_> =
        answer.texts.iter().map(|text| (text.channel, text.content.expose())).collect();
    let expected = [
        (Channel::Reasoning, "**Plan**"),
        (Channel::Reasoning, "Go on."),
        (Channel::Text, "Hällo \"you\""),
        (Channel::ToolArguments, "{\"q\":1}"),
        (Channel::ToolArguments, "{}"),
        (Channel::ToolArguments, "*** Begin"),
    ];
    assert_eq!(texts, expected);
    assert_eq!(answer.model.as_deref(), Some("gpt-5-2025-08-07"));
    assert_eq!(answer.service_tier.as_deref(), Some("default"));
    assert!(answer.tool_called && answer.error.is_none() && answer.has_content());
    assert_eq!(answer.choices, 1);
    let usage = answer.usage.unwrap();
    assert_eq!((usage.input_uncached, usage.cache_read), (20, 100));
    assert_eq!((usage.output_text, usage.output_reasoning), (15, 25));
    assert_eq!(answer.encode(), REPLY);
}

#[test]
fn an_answer_that_failed_is_an_error() {
    let body = r#"{"status":"failed","error":{"code":"server_error","message":"no"},"output":[]}"#;
    let answer = Answer::parse(Dialect::OpenAiResponses, Bytes::from(body)).unwrap();
    assert_eq!(answer.error.unwrap().code.as_deref(), Some("server_error"));
    let silent = Answer::parse(Dialect::OpenAiResponses, Bytes::from(r#"{"status":"failed"}"#));
    assert!(silent.unwrap().error.is_some());
}

#[test]
fn pitfall_36_every_event_is_the_same_however_the_stream_is_cut() {
    for golden in [STREAM, DONE_ONLY, FAILED] {
        let whole = frames(golden.as_bytes(), usize::MAX);
        assert_eq!(frames(golden.as_bytes(), 1), whole);
        let bytes = Bytes::from_static(golden.as_bytes());
        for at in 0..bytes.len() {
            let (mut framer, mut out) = (Framer::new(1 << 20), Vec::new());
            framer.push(bytes.slice(..at), &mut out).unwrap();
            framer.push(bytes.slice(at..), &mut out).unwrap();
            framer.finish(&mut out);
            assert!(out == whole, "split at {at}");
        }
    }
    let written: Vec<u8> = chunks(STREAM).iter().flat_map(|chunk| chunk.encode()).collect();
    assert_eq!(String::from_utf8(written).unwrap(), STREAM);
}

#[test]
fn pieces_of_one_text_share_a_slot_and_add_up_to_the_whole() {
    let chunks = chunks(STREAM);
    let deltas: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.deltas).collect();
    let mut slots = Vec::new();
    for delta in &deltas {
        if !slots.contains(&delta.slot()) {
            slots.push(delta.slot());
        }
    }
    assert_eq!(slots.len(), 6);
    for slot in slots {
        let of_slot = deltas.iter().filter(|delta| delta.slot() == slot);
        let (whole, pieces): (Vec<&Delta>, Vec<&Delta>) = of_slot.partition(|delta| delta.whole);
        let joined: String = pieces.iter().map(|delta| delta.content.expose()).collect();
        assert!(whole.len() >= 2);
        assert!(whole.iter().all(|delta| delta.content.expose() == joined), "{joined}");
    }
}

#[test]
fn the_end_and_the_usage_are_known() {
    let chunks = chunks(STREAM);
    let last = chunks.last().unwrap();
    assert!(last.done && last.finished == [0] && last.error.is_none());
    assert_eq!(last.usage.unwrap().cache_read, 100);
    assert_eq!(last.service_tier().as_deref(), Some("default"));
    assert!(chunks.iter().rev().skip(1).all(|chunk| !chunk.done));
    assert_eq!(chunks[0].model().as_deref(), Some("gpt-5-2025-08-07"));
}

#[test]
fn pitfall_11_what_only_opens_the_stream_is_no_content() {
    let chunks = chunks(STREAM);
    for chunk in &chunks[..4] {
        assert!(chunk.is_lifecycle() && !chunk.has_content());
    }
    assert!(chunks[4].has_content());
    let item = json!({"type": "message", "id": "m", "role": "assistant", "content": []});
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item": item});
    assert!(event(&added).is_lifecycle());
    let item = json!({"type": "function_call", "id": "f", "call_id": "c", "name": "find"});
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item": item});
    let begun = event(&added);
    assert!(begun.tool_started && begun.has_content());
    assert!(event(&json!({"type": "keepalive", "sequence_number": 3})).is_lifecycle());
}

#[test]
fn failures_are_errors_in_every_shape() {
    let last = chunks(FAILED).pop().unwrap();
    let error = last.error.clone().unwrap();
    assert!(last.done && last.finished.is_empty());
    assert_eq!(error.code.as_deref(), Some("rate_limit_exceeded"));
    assert_eq!(error.message.expose(), "Please try again in 2s.");
    for payload in [
        json!({"type": "error", "code": "server_error", "message": "no", "param": null}),
        json!({"type": "error", "error": {"type": "server_error", "code": "server_error",
               "message": "no"}}),
        json!({"error": {"code": "server_error", "message": "no"}}),
    ] {
        let error = event(&payload).error.unwrap();
        assert_eq!(error.code.as_deref(), Some("server_error"));
        assert_eq!(error.message.expose(), "no");
    }
}

#[test]
fn a_held_back_tail_goes_out_in_front_of_the_closing_event() {
    for mut chunk in chunks(STREAM).into_iter().filter(|chunk| !chunk.closed.is_empty()) {
        let Some(slot) = chunk.deltas.first().map(|delta| delta.slot()) else { continue };
        assert!(chunk.closes(&slot));
        let before = tree(&chunk.encode());
        let extra = chunk.head().delta_frame(slot, "tail \"é\"\n");
        assert!(chunk.shift_sequence(1));
        let after = tree(&chunk.encode());
        let made = tree(&extra);
        assert_eq!(made["delta"], "tail \"é\"\n");
        assert_eq!(made["item_id"], before["item_id"]);
        assert_eq!(made["sequence_number"], before["sequence_number"]);
        let number = |value: &Value| value["sequence_number"].as_u64().unwrap();
        assert_eq!(number(&after), number(&before) + 1);
        let read = event(&made);
        assert_eq!(read.deltas[0].slot(), slot);
        assert!(!read.deltas[0].whole);
    }
}

#[test]
fn every_text_of_an_event_can_be_replaced() {
    for mut chunk in chunks(STREAM) {
        for index in 0..chunk.deltas.len() {
            chunk.replace_delta(index, format!("<{index}>\n"));
        }
        let data = frames(&chunk.encode(), usize::MAX).remove(0).data;
        let read = Chunk::parse(Dialect::OpenAiResponses, &data).unwrap();
        let texts: Vec<_> = read.deltas.iter().map(|delta| delta.content.expose()).collect();
        let expected: Vec<_> = (0..texts.len()).map(|index| format!("<{index}>\n")).collect();
        assert_eq!(texts, expected);
    }
}

#[test]
fn what_built_in_tools_do_is_in_view() {
    let item = json!({"type": "mcp_call", "id": "m", "name": "f", "server_label": "s",
                      "arguments": "{\"q\":1}", "output": "jane"});
    let done =
        event(&json!({"type": "response.output_item.done", "output_index": 2, "item": item}));
    let texts: Vec<_> = done.deltas.iter().map(|delta| delta.content.expose()).collect();
    assert_eq!(texts, ["{\"q\":1}", "jane"].into_iter().rev().collect::<Vec<_>>());
    assert!(done.deltas.iter().all(|delta| delta.whole && delta.tool == 2));
}

#[test]
fn no_type_can_break_out_of_the_event_line() {
    let chunk = event(&json!({"type": "a\n\ndata: x", "delta": "y"}));
    assert_eq!(frames(&chunk.encode(), usize::MAX).len(), 1);
}

#[test]
fn pitfall_29_an_error_in_a_stream_is_one_that_clients_try_again() {
    let facts = ErrorFacts {
        message: "the provider hung up",
        kind: "invalid_request_error",
        param: None,
        code: None,
        status: 502,
        request_id: Some("r-1"),
    };
    let code = |facts: &ErrorFacts<'_>| {
        let event = tree(&error_body::stream_event(Dialect::OpenAiResponses, facts));
        assert_eq!(event["type"], "response.failed");
        assert_eq!(event["response"]["status"], "failed");
        assert_eq!(event["response"]["id"], "resp_r-1");
        assert_eq!(event["response"]["error"]["message"], "the provider hung up");
        event["response"]["error"]["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(code(&facts), "server_error");
    assert_eq!(code(&ErrorFacts { status: 429, ..facts }), "rate_limit_exceeded");
    let long = ErrorFacts { code: Some("context_length_exceeded"), status: 400, ..facts };
    assert_eq!(code(&long), "context_length_exceeded");
    assert_eq!(code(&ErrorFacts { kind: "billing_error", ..facts }), "insufficient_quota");
}

/// Items of tools that OpenAI runs by itself and charges for are counted, whole and streamed; what
/// is free of charge is not.
#[test]
fn pitfall_43_tools_that_are_charged_by_the_piece_are_counted() {
    let items = [
        "web_search_call",
        "code_interpreter_call",
        "file_search_call",
        "image_generation_call",
        "image_generation_call",
        "mcp_call",
        "function_call",
        "message",
    ];
    let output: Vec<Value> = items.iter().map(|kind| json!({ "type": kind })).collect();
    let response = json!({ "status": "completed", "output": output,
        "usage": { "input_tokens": 7, "output_tokens": 3 } });
    let body = Bytes::from(response.to_string());
    let whole = Answer::parse(Dialect::OpenAiResponses, body).unwrap().usage.unwrap();
    assert_eq!((whole.searches, whole.hosted_calls), (1, 4));
    let last = event(&json!({ "type": "response.completed", "response": response }));
    assert_eq!(last.usage, Some(whole));
}

#[test]
fn an_answer_that_a_filter_ends_declines_and_an_empty_one_does_not() {
    let ended = |status: &str, details: Value| {
        let body = json!({ "status": status, "output": [], "incomplete_details": details });
        Answer::parse(Dialect::OpenAiResponses, Bytes::from(body.to_string())).unwrap()
    };
    let filtered = ended("incomplete", json!({ "reason": "content_filter" }));
    assert!(filtered.declined && filtered.choices == 1 && !filtered.has_content());
    let cut = ended("incomplete", json!({ "reason": "max_output_tokens" }));
    assert!(!cut.declined && cut.choices == 1);
    let empty = ended("completed", Value::Null);
    assert!(!empty.declined && empty.choices == 1 && !empty.has_content());
}
