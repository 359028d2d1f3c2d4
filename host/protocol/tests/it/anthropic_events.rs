//! Answers and streams for callers of this dialect, checked as its clients check them, and those of
//! its providers read and folded.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::sse::Frame;
use turnpike_protocol::translate::{self, StreamTranslator};
use turnpike_protocol::{Dialect, Severity};

use crate::anthropic_kit::{
    HERE, SEARCH, SEARCH_WHOLE, TOOLS, TOOLS_WHOLE, fold, frames, from_chat_deltas, kinds, naming,
    streamed, tree,
};

fn whole(from: Dialect, body: &Value) -> Value {
    let body = Bytes::from(body.to_string());
    let answer = translate::answer(from, HERE, &body, &naming()).unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

fn call_delta(index: u32, id: &str, name: &str, arguments: &str) -> Value {
    json!({ "tool_calls": [{ "index": index, "id": id, "type": "function",
        "function": { "name": name, "arguments": arguments } }] })
}

fn more(index: u32, arguments: &str) -> Value {
    json!({ "tool_calls": [{ "index": index, "function": { "arguments": arguments } }] })
}

#[test]
fn the_blocks_of_a_stream_are_those_of_the_whole_answer() {
    for (stream, body) in [(TOOLS, TOOLS_WHOLE), (SEARCH, SEARCH_WHOLE)] {
        let given: Value = serde_json::from_str(body).unwrap();
        let answer = whole(HERE, &given);
        assert_eq!(answer["content"], given["content"]);
        assert_eq!(answer["stop_reason"], given["stop_reason"]);
        for step in [1, 5, stream.len()] {
            let folded = fold(&streamed(HERE, &frames(stream.as_bytes(), step)));
            assert_eq!(folded, answer);
        }
    }
}

#[test]
fn a_stream_of_this_dialect_keeps_its_order_of_events() {
    let given = frames(TOOLS.as_bytes(), TOOLS.len());
    let given: Vec<String> = kinds(&given).into_iter().filter(|kind| kind != "ping").collect();
    let written = kinds(&streamed(HERE, &frames(TOOLS.as_bytes(), TOOLS.len())));
    // One delta without any text is not repeated; a call without input says so.
    let deltas = |kinds: &[String]| kinds.iter().filter(|k| k.ends_with("_delta")).count();
    assert_eq!(deltas(&written) + 1, deltas(&given));
    let bare = |kinds: Vec<String>| -> Vec<String> {
        kinds.into_iter().filter(|kind| kind != "content_block_delta").collect()
    };
    assert_eq!(bare(written), bare(given));
}

#[test]
fn pitfall_01_thinking_is_never_sent_inside_a_block_of_text() {
    let out = from_chat_deltas(
        &[
            json!({ "role": "assistant", "content": "" }),
            json!({ "reasoning_content": "hm" }),
            json!({ "reasoning_content": " so" }),
            json!({ "content": "Yes" }),
            json!({ "content": "." }),
        ],
        "stop",
    );
    let content = fold(&out)["content"].clone();
    assert_eq!(content[0]["type"], "thinking");
    assert_eq!(content[0]["thinking"], "hm so");
    assert_eq!(content[1], json!({ "type": "text", "text": "Yes." }));
}

#[test]
fn pitfall_02_a_message_starts_once() {
    let start = TOOLS.split_inclusive("\n\n").next().unwrap();
    let twice = format!("{start}{TOOLS}");
    let out = streamed(HERE, &frames(twice.as_bytes(), twice.len()));
    assert_eq!(kinds(&out).iter().filter(|kind| *kind == "message_start").count(), 1);
}

#[test]
fn pitfall_03_the_delta_that_opens_a_block_is_not_lost() {
    let out = from_chat_deltas(
        &[
            json!({ "role": "assistant", "content": "Look" }),
            call_delta(0, "call_1", "f", "{\"a\":"),
            more(0, "1}"),
        ],
        "tool_calls",
    );
    let message = fold(&out);
    assert_eq!(message["content"][0]["text"], "Look");
    assert_eq!(message["content"][1]["input"], json!({ "a": 1 }));
    let order = kinds(&out);
    let first = order.iter().position(|kind| kind == "content_block_stop").unwrap();
    assert_eq!(order[first + 1..first + 3], ["content_block_start", "content_block_delta"]);
}

#[test]
fn pitfall_04_an_input_that_comes_only_whole_is_sent_as_one_delta() {
    let stream =
        TOOLS.replace(r#""name":"now","input":{}"#, r#""name":"now","input":{"zone":"UTC"}"#);
    let out = streamed(HERE, &frames(stream.as_bytes(), stream.len()));
    assert_eq!(fold(&out)["content"][4]["input"], json!({ "zone": "UTC" }));
    let deltas: Vec<Value> = out.iter().map(tree).filter(|e| e["index"] == 4).collect();
    assert_eq!(deltas[0]["content_block"]["input"], json!({}));
    assert_eq!(deltas[1]["delta"]["partial_json"], "{\"zone\":\"UTC\"}");
}

#[test]
fn pitfall_05_blocks_that_arrive_side_by_side_go_out_one_after_the_other() {
    let out = from_chat_deltas(
        &[
            call_delta(0, "a", "f", "{\"x\":"),
            call_delta(1, "b", "g", "{\"y\":"),
            more(0, "1}"),
            more(1, "2}"),
        ],
        "tool_calls",
    );
    // `fold` checks indexes, starts and stops.
    let message = fold(&out);
    assert_eq!(message["content"][0]["input"], json!({ "x": 1 }));
    assert_eq!(message["content"][1]["input"], json!({ "y": 2 }));
    assert_eq!(message["content"].as_array().unwrap().len(), 2);
}

#[test]
fn pitfall_06_a_stream_of_tools_alone_begins_at_0_and_says_tool_use() {
    let out = from_chat_deltas(
        &[call_delta(0, "a", "f", ""), call_delta(1, "b", "g", ""), call_delta(2, "c", "h", "{}")],
        "stop",
    );
    let message = fold(&out);
    let names: Vec<&str> = (message["content"].as_array().unwrap().iter())
        .map(|block| block["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["f", "g", "h"]);
    assert!(message["content"].as_array().unwrap().iter().all(|b| b["input"] == json!({})));
    assert_eq!(message["stop_reason"], "tool_use");
}

#[test]
fn pitfall_07_08_09_usage_has_its_full_shape_at_start_and_the_truth_at_the_end() {
    let out = from_chat_deltas(&[json!({ "role": "assistant", "content": "hi" })], "stop");
    let start = tree(&out[0]);
    assert_eq!(start["message"]["usage"]["input_tokens"], 321);
    let last = tree(&out[out.len() - 2]);
    assert_eq!(last["type"], "message_delta");
    assert_eq!(last["usage"]["input_tokens"], 30);
    assert_eq!(last["usage"]["cache_read_input_tokens"], 20);
    assert_eq!(last["usage"]["cache_creation_input_tokens"], 0);
    assert_eq!(last["usage"]["output_tokens"], 9);
    assert_eq!(last["delta"], json!({ "stop_reason": "end_turn", "stop_sequence": null }));
    fold(&out);
}

#[test]
fn pitfall_10_no_block_is_ever_empty() {
    let out = from_chat_deltas(
        &[
            json!({ "role": "assistant", "content": "" }),
            json!({ "content": "", "reasoning_content": "" }),
            call_delta(0, "a", "f", "{}"),
            json!({ "content": "" }),
        ],
        "tool_calls",
    );
    let content = fold(&out)["content"].clone();
    assert_eq!(content.as_array().unwrap().len(), 1);
    let empty = json!({ "id": "c", "model": "m", "choices": [{ "index": 0,
        "message": { "role": "assistant", "content": "" }, "finish_reason": "stop" }] });
    assert_eq!(whole(Dialect::OpenAiChat, &empty)["content"], json!([]));
}

#[test]
fn pitfall_11_nothing_goes_out_before_there_is_content() {
    let mut translator = StreamTranslator::new(Dialect::OpenAiChat, HERE, naming());
    let role = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":\
                {\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
    let mut out = Vec::new();
    translator.push(&frames(role.as_bytes(), role.len()), &mut out).unwrap();
    assert!(out.is_empty(), "{out:?}");
    let error = "data: {\"error\":{\"message\":\"busy\",\"type\":\"rate_limit_error\"}}\n\n";
    translator.push(&frames(error.as_bytes(), error.len()), &mut out).unwrap();
    assert_eq!(kinds(&out), ["error"]);
    assert_eq!(tree(&out[0])["error"]["type"], "rate_limit_error");
}

#[test]
fn pitfall_12_pings_pass_in_silence() {
    let ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    let stream =
        TOOLS.replacen("event: content_block_stop", &format!("{ping}event: content_block_stop"), 2);
    let out = streamed(HERE, &frames(stream.as_bytes(), stream.len()));
    assert!(kinds(&out).iter().any(|kind| kind == "ping"));
}

#[test]
fn pitfall_13_blocks_start_with_the_members_that_clients_read() {
    let out = from_chat_deltas(
        &[json!({ "reasoning_content": "hm" }), json!({ "content": "Yes" })],
        "stop",
    );
    let starts: Vec<Value> = (out.iter().map(tree))
        .filter(|event| event["type"] == "content_block_start")
        .map(|event| event["content_block"].clone())
        .collect();
    assert_eq!(starts[0], json!({ "type": "thinking", "thinking": "", "signature": "" }));
    assert_eq!(starts[1], json!({ "type": "text", "text": "" }));
}

#[test]
fn pitfall_14_a_tool_starts_with_an_id_and_a_name_even_if_the_provider_gave_none() {
    let nameless = json!({ "tool_calls": [{ "index": 0, "type": "function",
        "function": { "name": "f", "arguments": "{}" } }] });
    let out = from_chat_deltas(&[nameless], "tool_calls");
    let block = fold(&out)["content"][0].clone();
    assert!(block["id"].as_str().is_some_and(|id| !id.is_empty()), "{block}");
    assert_eq!(block["name"], "f");
}

#[test]
fn pitfall_16_the_signature_of_a_gemini_call_travels_in_front_of_it() {
    let signed = json!({ "tool_calls": [{ "index": 0, "id": "a", "type": "function",
        "extra_content": { "google": { "thought_signature": "c2ln" } },
        "function": { "name": "f", "arguments": "{\"x\":1}" } }] });
    let out = from_chat_deltas(&[signed], "tool_calls");
    let content = fold(&out)["content"].clone();
    let sealed = json!({ "type": "redacted_thinking", "data": "tp1.gemini.c2ln" });
    assert_eq!(content[0], sealed);
    assert_eq!(content[1]["input"], json!({ "x": 1 }));
}

#[test]
fn pitfall_39_cached_tokens_stand_beside_the_others_not_among_them() {
    let body = json!({ "id": "chatcmpl-1", "model": "m", "choices": [{ "index": 0,
        "message": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 50, "completion_tokens": 9, "total_tokens": 59,
            "prompt_tokens_details": { "cached_tokens": 20 } } });
    let message = whole(Dialect::OpenAiChat, &body);
    assert_eq!(message["usage"]["input_tokens"], 30);
    assert_eq!(message["usage"]["cache_read_input_tokens"], 20);
    assert_eq!(message["usage"]["output_tokens"], 9);
    assert_eq!(message["id"], "msg_req-7");
}

#[test]
fn reasons_to_stop_are_told_in_this_dialects_words() {
    for (given, told) in [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
    ] {
        let message = fold(&from_chat_deltas(&[json!({ "content": "x" })], given));
        assert_eq!(message["stop_reason"], told);
    }
    let all = ["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"];
    for reason in all {
        let body = json!({ "id": "msg_1", "type": "message", "model": "m",
            "content": [{ "type": "text", "text": "x" }], "stop_reason": reason,
            "stop_sequence": null, "usage": { "input_tokens": 1, "output_tokens": 1 } });
        assert_eq!(whole(HERE, &body)["stop_reason"], reason);
    }
}

#[test]
fn a_refusal_is_text_that_ends_as_a_refusal() {
    let out = from_chat_deltas(&[json!({ "refusal": "I will not." })], "stop");
    let message = fold(&out);
    assert_eq!(message["content"][0]["text"], "I will not.");
    assert_eq!(message["stop_reason"], "refusal");
}

#[test]
fn a_failure_in_the_middle_is_an_error_event_and_the_last() {
    let cut = TOOLS.find("event: message_delta").unwrap();
    let stream = format!(
        "{}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\",\
         \"message\":\"Overloaded\"}}}}\n\nevent: message_stop\n\
         data: {{\"type\":\"message_stop\"}}\n\n",
        TOOLS.get(..cut).unwrap()
    );
    let out = streamed(HERE, &frames(stream.as_bytes(), stream.len()));
    let last: &Frame = out.last().unwrap();
    assert_eq!(tree(last)["error"]["type"], "overloaded_error");
    assert_eq!(tree(last)["error"]["message"], "Overloaded");
}

#[test]
fn a_stream_that_broke_off_is_not_ended() {
    let cut = TOOLS.find("event: message_delta").unwrap();
    let out = streamed(HERE, &frames(TOOLS.get(..cut).unwrap().as_bytes(), 64));
    assert!(!kinds(&out).iter().any(|kind| kind == "message_stop"));
    // With its reason to stop it is complete, though the last event is missing.
    let cut = TOOLS.find("event: message_stop").unwrap();
    let out = streamed(HERE, &frames(TOOLS.get(..cut).unwrap().as_bytes(), 64));
    assert_eq!(kinds(&out).last().map(String::as_str), Some("message_stop"));
}

#[test]
fn addresses_cited_by_another_provider_are_kept() {
    let body = json!({ "id": "c", "model": "m", "choices": [{ "index": 0, "message": {
        "role": "assistant", "content": "Wet.", "annotations": [{ "type": "url_citation",
            "url_citation": { "url": "https://example.org", "title": "T", "start_index": 0,
            "end_index": 4 } }] }, "finish_reason": "stop" }] });
    let body = Bytes::from(body.to_string());
    let answer = translate::answer(Dialect::OpenAiChat, HERE, &body, &naming()).unwrap();
    let message: Value = serde_json::from_slice(&answer.body).unwrap();
    let citation = &message["content"][0]["citations"][0];
    assert_eq!(citation["type"], "web_search_result_location");
    assert_eq!(citation["url"], "https://example.org");
    assert_eq!(answer.losses.worst(), Some(Severity::Approximated));
}
