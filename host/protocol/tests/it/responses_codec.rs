//! The Responses dialect to the neutral model and back: what was said stays said, and a stream
//! holds the same as the whole answer.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::sse::{Frame, Framer};
use turnpike_protocol::translate::{self, Naming, StreamTranslator};
use turnpike_protocol::{Call, Dialect, LimitField, Losses, Outgoing, Quirks, Severity};

const REPLY: &str = include_str!("../golden/openai-responses/reply.json");
const STREAM: &str = include_str!("../golden/openai-responses/stream.sse");
const DONE_ONLY: &str = include_str!("../golden/openai-responses/done_only.sse");
const FAILED: &str = include_str!("../golden/openai-responses/failed.sse");
const PLAIN: &str = include_str!("../golden/openai-responses/plain.json");
const MIXED: &str = include_str!("../golden/openai-responses/mixed.json");
const RESPONSES: Dialect = Dialect::OpenAiResponses;

fn naming(custom_tools: &[&str]) -> Naming {
    Naming {
        id: "r1".to_owned(),
        created_s: 7,
        model: "m".to_owned(),
        include_usage: true,
        input_tokens: 11,
        custom_tools: custom_tools.iter().map(|&name| name.to_owned()).collect(),
        long_tools: Vec::new(),
    }
}

fn send(body: &str, from: Dialect, model: &str) -> (Value, Losses) {
    let call = Call::parse(from, Bytes::copy_from_slice(body.as_bytes())).unwrap();
    let quirks = Quirks::default();
    let limit_field = LimitField::MaxTokens;
    let out =
        Outgoing { model, output_limit: None, model_limit: None, limit_field, quirks: &quirks };
    let sent = translate::request(&call, RESPONSES, &out).unwrap();
    (serde_json::from_slice(&sent.body).unwrap(), sent.losses)
}

fn answer(body: &str) -> Value {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let answer = translate::answer(RESPONSES, RESPONSES, &body, &naming(&[])).unwrap();
    assert!(answer.losses.is_empty(), "{:?}", answer.losses);
    serde_json::from_slice(&answer.body).unwrap()
}

fn frames(stream: &str, size: usize) -> Vec<Frame> {
    let (mut framer, mut out) = (Framer::new(1 << 20), Vec::new());
    for piece in stream.as_bytes().chunks(size) {
        framer.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
    }
    framer.finish(&mut out);
    out
}

fn translated(from: Dialect, stream: &str, naming: Naming) -> (Vec<Value>, Losses) {
    let mut translator = StreamTranslator::new(from, RESPONSES, naming);
    let mut out = Vec::new();
    translator.push(&frames(stream, usize::MAX), &mut out).unwrap();
    translator.finish(&mut out);
    let read = |frame: &Frame| {
        let value: Value = serde_json::from_slice(&frame.data).unwrap();
        assert_eq!(frame.event.as_deref(), Some(value["type"].as_str().unwrap().as_bytes()));
        value
    };
    let events = out.iter().filter(|frame| !frame.data.is_empty()).map(read).collect();
    (events, translator.losses().clone())
}

fn stream(text: &str) -> Vec<Value> {
    translated(RESPONSES, text, naming(&[])).0
}

fn chat(deltas: &[Value], finish: &str) -> String {
    let mut out = String::new();
    for delta in deltas {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
        out += &chunk(&json!([choice]));
    }
    out += &chunk(&json!([{"index": 0, "delta": {}, "finish_reason": finish}]));
    out + "data: [DONE]\n\n"
}

fn chunk(choices: &Value) -> String {
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 5, "model": "up",
                       "choices": choices});
    format!("data: {chunk}\n\n")
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// The rules that strict clients hold a stream to.
fn check_lifecycle(events: &[Value]) {
    let mut open: Option<(u64, String)> = None;
    let mut part: Option<u64> = None;
    let mut items = 0;
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number as u64);
        let kind = event["type"].as_str().unwrap();
        let index = event["output_index"].as_u64();
        if let Some(id) = event["item_id"].as_str() {
            assert_eq!(open, Some((index.unwrap(), id.to_owned())), "{kind} of the open item");
        }
        match kind {
            "response.output_item.added" => {
                assert!(open.is_none() && index == Some(items));
                open = Some((items, event["item"]["id"].as_str().unwrap().to_owned()));
            }
            "response.output_item.done" => {
                assert!(part.is_none());
                let id = event["item"]["id"].as_str().unwrap().to_owned();
                assert_eq!(open.take(), Some((index.unwrap(), id)));
                items += 1;
            }
            "response.content_part.added" => {
                assert!(part.is_none());
                part = event["content_index"].as_u64();
            }
            "response.content_part.done" => {
                assert_eq!(part.take(), event["content_index"].as_u64())
            }
            "response.output_text.delta" => assert_eq!(part, event["content_index"].as_u64()),
            _ => {}
        }
    }
    assert!(open.is_none());
    assert_eq!(events[0]["type"], "response.created");
    let last = &events[events.len() - 1]["response"];
    let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
    let done: Vec<_> = done.map(|event| event["item"].clone()).collect();
    assert_eq!(last["output"], Value::Array(done));
}

#[test]
fn a_request_comes_back_as_it_was() {
    let (sent, losses) = send(PLAIN, RESPONSES, "gpt-5");
    assert_eq!(sent, serde_json::from_str::<Value>(PLAIN).unwrap());
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn pitfall_23_a_mixed_body_becomes_one_of_this_dialect() {
    let (sent, losses) = send(MIXED, RESPONSES, "gpt-5");
    assert_eq!(sent["instructions"], "You pair with a person in an editor.");
    let kinds: Vec<_> =
        sent["input"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert_eq!(kinds, ["message", "message", "function_call", "function_call_output"]);
    assert_eq!(sent["input"][0]["content"][1]["type"], "input_image");
    assert_eq!(sent["tools"][1]["name"], "write");
    assert_eq!(sent["tools"][2]["format"]["syntax"], "lark");
    let lost: Vec<_> = losses.iter().map(|loss| loss.at.as_str()).collect();
    assert_eq!(lost, ["max_tokens"]);
}

#[test]
fn what_is_missing_in_the_conversation_is_refused_with_its_place() {
    let body = r#"{"model":"m","input":[{"type":"function_call","name":"f","arguments":"{}"}]}"#;
    let call = Call::parse(RESPONSES, Bytes::from(body)).unwrap();
    let quirks = Quirks::default();
    let out = Outgoing {
        model: "m",
        output_limit: None,
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks: &quirks,
    };
    let error = translate::request(&call, Dialect::OpenAiChat, &out).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("input[0].call_id"));
}

#[test]
fn a_chat_request_is_told_what_cannot_be_carried() {
    let body = json!({
        "model": "m", "n": 2, "stop": ["END"], "seed": 1, "max_tokens": 4,
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    });
    let (sent, losses) = send(&body.to_string(), Dialect::OpenAiChat, "o");
    assert_eq!(sent["instructions"], "be kind");
    assert_eq!(
        sent["input"][1],
        json!({"type": "function_call", "call_id": "c1", "name": "f",
                                        "arguments": "{}"})
    );
    assert_eq!(sent["input"][2]["output"], "42");
    assert_eq!(sent["tools"][0]["strict"], false);
    assert_eq!((&sent["max_output_tokens"], &sent["store"]), (&json!(16), &json!(false)));
    assert_eq!(losses.worst(), Some(Severity::Unsupported));
    let mut lost: Vec<_> = losses.iter().map(|loss| loss.at.as_str()).collect();
    lost.sort_unstable();
    assert_eq!(lost, ["max_output_tokens", "n", "seed", "stop"]);
}

#[test]
fn a_whole_answer_keeps_its_meaning_and_has_every_member() {
    let written = answer(REPLY);
    let original: Value = serde_json::from_str(REPLY).unwrap();
    for name in [
        "object",
        "status",
        "created_at",
        "model",
        "usage",
        "error",
        "incomplete_details",
        "parallel_tool_calls",
        "tool_choice",
        "tools",
        "metadata",
        "store",
    ] {
        assert_eq!(written[name], original[name], "{name}");
    }
    assert_eq!(written["id"], "resp_r1");
    assert_eq!(written["output"][1]["content"], original["output"][1]["content"]);
    assert_eq!(written["output"][2]["arguments"], "{\"q\":1}");
    assert_eq!(written["output"][4]["input"], "*** Begin");
    assert_eq!(written["output"][0]["encrypted_content"], "gAAAAB");
}

#[test]
fn pitfall_27_the_full_lifecycle_is_written() {
    let events = stream(STREAM);
    check_lifecycle(&events);
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(types(&events), expected);
}

#[test]
fn the_stream_holds_the_same_as_the_whole_answer() {
    let whole = answer(REPLY);
    for golden in [STREAM, DONE_ONLY] {
        let events = stream(golden);
        check_lifecycle(&events);
        assert_eq!(events[events.len() - 1]["response"], whole);
    }
}

#[test]
fn pitfall_04_what_was_never_streamed_is_written_from_the_closing_events() {
    let events = stream(DONE_ONLY);
    let delta = events
        .iter()
        .find(|event| event["type"] == "response.function_call_arguments.delta")
        .unwrap();
    assert_eq!(delta["delta"], "{\"q\":1}");
    let completed = REPLY.replace('\n', "");
    let only = format!("data: {{\"type\":\"response.completed\",\"response\":{completed}}}\n\n");
    let events = stream(&only);
    check_lifecycle(&events);
    assert_eq!(events[events.len() - 1]["response"], answer(REPLY));
}

#[test]
fn pitfall_36_frames_may_come_one_by_one_or_all_at_once() {
    for golden in [STREAM, DONE_ONLY, FAILED] {
        let mut translator = StreamTranslator::new(RESPONSES, RESPONSES, naming(&[]));
        let mut out = Vec::new();
        for frame in frames(golden, 1) {
            translator.push(&[frame], &mut out).unwrap();
        }
        translator.finish(&mut out);
        let read = |frame: &Frame| serde_json::from_slice(&frame.data).unwrap();
        assert_eq!(out.iter().map(read).collect::<Vec<Value>>(), stream(golden));
    }
}

#[test]
fn pitfall_29_a_failure_comes_as_response_failed() {
    let events = stream(FAILED);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["error"]["code"], "rate_limit_exceeded");
    assert_eq!(last["response"]["error"]["message"], "Please try again in 2s.");
    let error = "data: {\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\"}}\n\n";
    let (events, _) = translated(Dialect::OpenAiChat, error, naming(&[]));
    assert_eq!(events.last().unwrap()["response"]["error"]["code"], "server_error");
}

#[test]
fn an_answer_cut_at_its_bound_is_incomplete() {
    let (events, _) = translated(
        Dialect::OpenAiChat,
        &chat(&[json!({"role": "assistant", "content": "Hel"})], "length"),
        naming(&[]),
    );
    check_lifecycle(&events);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(last["response"]["usage"]["input_tokens"], 11);
    assert_eq!(last["response"]["usage"]["estimated"], true);
}

#[test]
fn pitfall_28_side_by_side_calls_are_written_one_after_the_other() {
    let call = |index: u64, id: &str, name: &str| {
        json!({"tool_calls": [{"index": index, "id": id, "type": "function",
               "function": {"name": name, "arguments": ""}}]})
    };
    let more = |index: u64, text: &str| {
        let function = json!({"arguments": text});
        json!({"tool_calls": [{"index": index, "function": function}]})
    };
    let deltas = [
        json!({"role": "assistant", "content": "Two."}),
        call(0, "c0", "f"),
        call(1, "c1", "g"),
        more(0, "{\"a\""),
        more(1, "{}"),
        more(0, ":1}"),
    ];
    let (events, _) = translated(Dialect::OpenAiChat, &chat(&deltas, "tool_calls"), naming(&[]));
    check_lifecycle(&events);
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!(output[1]["arguments"], "{\"a\":1}");
    assert_eq!((&output[2]["call_id"], &output[2]["arguments"]), (&json!("c1"), &json!("{}")));
}

#[test]
fn pitfall_22_a_call_without_arguments_has_an_empty_object() {
    let deltas = [json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]})];
    let (events, _) = translated(Dialect::OpenAiChat, &chat(&deltas, "tool_calls"), naming(&[]));
    check_lifecycle(&events);
    assert_eq!(events.last().unwrap()["response"]["output"][0]["arguments"], "{}");
}

#[test]
fn pitfall_23_a_custom_tools_call_comes_back_unwrapped() {
    let call = |arguments: &str| {
        json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "apply_patch",
               "arguments": arguments}}]})
    };
    let more = json!({"tool_calls": [{"index": 0, "function": {"arguments": "gin\\n\"}"}}]});
    let deltas = [call("{\"input\":\"*** Be"), more];
    let (events, losses) =
        translated(Dialect::OpenAiChat, &chat(&deltas, "tool_calls"), naming(&["apply_patch"]));
    check_lifecycle(&events);
    let pieces: String = events
        .iter()
        .filter(|event| event["type"] == "response.custom_tool_call_input.delta")
        .map(|event| event["delta"].as_str().unwrap())
        .collect();
    assert_eq!(pieces, "*** Begin\n");
    let item = &events.last().unwrap()["response"]["output"][0];
    assert_eq!(
        (&item["type"], &item["input"]),
        (&json!("custom_tool_call"), &json!("*** Begin\n"))
    );
    assert!(losses.is_empty());
}

#[test]
fn pitfall_10_no_empty_part_is_ever_written() {
    let deltas = [json!({"role": "assistant", "content": ""}), json!({"content": ""})];
    let (events, _) = translated(Dialect::OpenAiChat, &chat(&deltas, "stop"), naming(&[]));
    let expected = ["response.created", "response.in_progress", "response.completed"];
    assert_eq!(types(&events), expected);
}

#[test]
fn a_refusal_is_a_part_of_its_own_kind() {
    let deltas = [json!({"role": "assistant", "refusal": "I can't"}), json!({"refusal": "."})];
    let (events, _) = translated(Dialect::OpenAiChat, &chat(&deltas, "stop"), naming(&[]));
    check_lifecycle(&events);
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["status"], "completed");
    assert_eq!(last["output"][0]["content"], json!([{"type": "refusal", "refusal": "I can't."}]));
}

#[test]
fn pitfall_16_a_foreign_proof_travels_in_front_of_its_call() {
    let deltas = [json!({"tool_calls": [{"index": 0, "id": "c", "type": "function",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "c2ln"}}}]})];
    let (events, _) = translated(Dialect::OpenAiChat, &chat(&deltas, "tool_calls"), naming(&[]));
    check_lifecycle(&events);
    let output = events.last().unwrap()["response"]["output"].clone();
    assert_eq!(output[0]["encrypted_content"], "tp1.gemini.c2ln");
    assert_eq!(output[1]["call_id"], "c");
    // Sent back, it is not OpenAI's to read.
    let body = json!({"model": "m", "input": output});
    let (sent, losses) = send(&body.to_string(), RESPONSES, "m");
    assert_eq!(sent["input"].as_array().unwrap().len(), 1);
    assert_eq!(losses.worst(), Some(Severity::Dropped));
}

/// A tree with each of its values in turn replaced by each of `others`.
fn damaged(tree: &Value, others: &[Value]) -> Vec<Value> {
    let mut out = others.to_vec();
    match tree {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for new in damaged(item, others) {
                    let mut copy = tree.clone();
                    copy[index] = new;
                    out.push(copy);
                }
            }
        }
        Value::Object(members) => {
            for (key, item) in members {
                for new in damaged(item, others) {
                    let mut copy = tree.clone();
                    copy[key] = new;
                    out.push(copy);
                }
            }
        }
        _ => {}
    }
    out
}

#[test]
fn no_shape_of_a_body_or_an_event_makes_a_reader_panic() {
    let others = [json!(null), json!(7), json!("x"), json!([]), json!({}), json!(["x"])];
    let to = Dialect::OpenAiChat;
    for body in damaged(&serde_json::from_str(PLAIN).unwrap(), &others) {
        let call = Call::parse(RESPONSES, Bytes::from(body.to_string()));
        if let Ok(call) = call {
            let quirks = Quirks::default();
            let limit_field = LimitField::MaxTokens;
            let out = Outgoing {
                model: "m",
                output_limit: Some(1),
                model_limit: None,
                limit_field,
                quirks: &quirks,
            };
            let again = Call::parse(RESPONSES, call.encode(&out));
            assert!(again.is_ok());
            let sent = translate::request(&call, to, &out);
            assert!(sent.is_ok() || sent.unwrap_err().status == 400);
        }
    }
    for body in damaged(&serde_json::from_str(REPLY).unwrap(), &others) {
        let body = Bytes::from(body.to_string());
        let read = translate::answer(RESPONSES, to, &body, &naming(&[]));
        assert!(read.is_ok() || !body.starts_with(b"{"));
    }
    for frame in frames(STREAM, usize::MAX).iter().take(30) {
        for event in damaged(&serde_json::from_slice(&frame.data).unwrap(), &others) {
            let mut translator = StreamTranslator::new(RESPONSES, RESPONSES, naming(&[]));
            let mut out = Vec::new();
            let read = translator.push(&frames(&format!("data: {event}\n\n"), 1 << 20), &mut out);
            assert!(read.is_ok() || !event.is_object());
            translator.finish(&mut out);
        }
    }
}
