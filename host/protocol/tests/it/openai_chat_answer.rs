//! Whole answers and streams of chat completions through the neutral model: the oddities of
//! compatible servers on one side, what clients rely on on the other.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::sse::{Frame, Framer};
use turnpike_protocol::translate::{self, Naming, StreamTranslator};
use turnpike_protocol::{Dialect, Usage};

const CHAT: Dialect = Dialect::OpenAiChat;
const REPLY: &str = include_str!("../golden/openai_chat/reply.json");
const STREAMS: [&str; 4] = [
    include_str!("../golden/openai_chat/text.sse"),
    include_str!("../golden/openai_chat/tools.sse"),
    include_str!("../golden/openai_chat/thinking.sse"),
    include_str!("../golden/openai_chat/odd_tools.sse"),
];

fn naming(include_usage: bool) -> Naming {
    Naming {
        id: "req-1".to_owned(),
        created_s: 9,
        model: "asked".to_owned(),
        include_usage,
        input_tokens: 5,
        custom_tools: vec!["shell".to_owned()],
        long_tools: Vec::new(),
    }
}

fn answer(body: &Value) -> Value {
    let body = Bytes::from(body.to_string());
    let done = translate::answer(CHAT, CHAT, &body, &naming(true)).unwrap();
    serde_json::from_slice(&done.body).unwrap()
}

/// What a message comes out as.
fn message(message: &Value, finish: &str) -> Value {
    let choice = json!({"index": 0, "message": message, "finish_reason": finish});
    answer(&json!({"id": "c", "model": "m", "created": 7, "choices": [choice]}))["choices"][0]
        .clone()
}

/// Translates bytes that arrive in the given pieces.
fn stream<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    include_usage: bool,
) -> (String, Option<Usage>) {
    let mut translator = StreamTranslator::new(CHAT, CHAT, naming(include_usage));
    let mut framer = Framer::new(1 << 20);
    let (mut frames, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        framer.push(Bytes::copy_from_slice(piece), &mut frames).unwrap();
        translator.push(&frames, &mut out).unwrap();
        frames.clear();
    }
    framer.finish(&mut frames);
    translator.push(&frames, &mut out).unwrap();
    translator.finish(&mut out);
    let raw = out.iter().map(|frame: &Frame| std::str::from_utf8(&frame.raw).unwrap()).collect();
    (raw, translator.facts().usage)
}

fn whole(text: &str) -> String {
    stream(std::iter::once(text.as_bytes()), true).0
}

/// The payloads of a stream.
fn payloads(text: &str) -> Vec<Value> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.filter(|line| *line != "[DONE]").map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The stream of these deltas, with the end of a choice.
fn deltas(deltas: &[Value], finish: &str) -> String {
    let event = |delta: &Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let chunk = json!({"id": "c", "created": 7, "model": "m", "choices": [choice]});
        format!("data: {chunk}\n\n")
    };
    let mut text: String = deltas.iter().map(|delta| event(delta, None)).collect();
    text.push_str(&event(&json!({}), Some(finish)));
    text + "data: [DONE]\n\n"
}

/// The deltas that come out of such a stream, and the reason at the end.
fn turned(sent: &[Value], finish: &str) -> (Vec<Value>, Value) {
    let payloads = payloads(&whole(&deltas(sent, finish)));
    let choice = |payload: &Value, key: &str| payload["choices"][0][key].clone();
    let last = choice(payloads.last().unwrap(), "finish_reason");
    let deltas = payloads.iter().map(|payload| choice(payload, "delta"));
    (deltas.filter(|delta| *delta != json!({})).skip(1).collect(), last)
}

/// The tool calls as a client puts them together: id, name, arguments.
fn gathered(deltas: &[Value]) -> Vec<[String; 3]> {
    let mut calls: Vec<[String; 3]> = Vec::new();
    for call in deltas.iter().filter_map(|delta| delta["tool_calls"].as_array()).flatten() {
        let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
        if calls.len() <= index {
            assert_eq!(calls.len(), index, "calls begin in order");
            calls.push(Default::default());
        }
        let function = &call["function"];
        for (slot, piece) in
            [&call["id"], &function["name"], &function["arguments"]].iter().enumerate()
        {
            calls[index][slot].push_str(piece.as_str().unwrap_or_default());
        }
    }
    calls
}

fn called(deltas: &[Value]) -> Vec<[String; 3]> {
    let (out, finish) = turned(deltas, "stop");
    assert_eq!(finish, "tool_calls");
    gathered(&out)
}

fn call(id: &str, name: &str, arguments: &str) -> [String; 3] {
    [id, name, arguments].map(str::to_owned)
}

#[test]
fn an_answer_of_this_dialect_comes_out_as_it_went_in() {
    let expected: Value = serde_json::from_str(REPLY).unwrap();
    assert_eq!(answer(&expected), expected);
}

#[test]
fn what_clients_read_without_looking_is_always_there() {
    let out = answer(&json!({"choices": [{"message": {}}]}));
    assert_eq!(out["id"], "chatcmpl-req-1");
    assert_eq!((&out["created"], &out["model"]), (&json!(9), &json!("asked")));
    let choice = &out["choices"][0];
    assert_eq!(choice["message"], json!({"role": "assistant", "content": "", "refusal": null}));
    assert_eq!(choice["finish_reason"], "stop");
}

#[test]
fn odd_answers_of_compatible_servers_are_read() {
    let calls = json!([{"type": "function", "function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "", "function": {"name": "g", "arguments": ""}}]);
    let out = message(&json!({"content": null, "tool_calls": calls}), "stop");
    assert_eq!(out["finish_reason"], "tool_calls");
    let written = |at: usize| out["message"]["tool_calls"][at].clone();
    assert_eq!(
        (&written(0)["id"], &written(1)["id"]),
        (&json!("call_req1-0"), &json!("call_req1-1"))
    );
    assert_eq!(written(0)["function"]["arguments"], "{\"a\":1}");
    assert_eq!(written(1)["function"]["arguments"], "{}");
    let old = message(&json!({"function_call": {"name": "f", "arguments": "{}"}}), "function_call");
    assert_eq!(old["message"]["tool_calls"][0]["function"]["name"], "f");
    let parts = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "so"}]);
    let out = message(&json!({ "content": parts }), "stop")["message"].clone();
    assert_eq!((&out["reasoning_content"], &out["content"]), (&json!("hm"), &json!("so")));
    for member in ["reasoning", "reasoning_content"] {
        let out = message(&json!({"content": "x", member: "hm"}), "stop");
        assert_eq!(out["message"]["reasoning_content"], "hm");
    }
}

#[test]
fn a_custom_tool_that_went_as_a_function_comes_back_as_itself() {
    let wrapped =
        json!({"id": "c", "function": {"name": "shell", "arguments": "{\"input\":\"ls\"}"}});
    let out = message(&json!({"tool_calls": [wrapped]}), "tool_calls");
    let custom = json!({"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls"}});
    assert_eq!(out["message"]["tool_calls"], json!([custom]));
    let (out, _) = turned(
        &[
            json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "shell"}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"inp"}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "ut\":\"ls\"}"}}]}),
        ],
        "tool_calls",
    );
    assert_eq!(out[0]["tool_calls"][0]["custom"], json!({"name": "shell", "input": ""}));
    assert_eq!(out[1]["tool_calls"][0]["custom"], json!({"input": "ls"}));
}

#[test]
fn a_refusal_is_told_as_one() {
    let out = message(&json!({"content": null, "refusal": "no"}), "stop");
    assert_eq!((&out["message"]["refusal"], &out["finish_reason"]), (&json!("no"), &json!("stop")));
    let (out, finish) = turned(&[json!({"refusal": "n"}), json!({"refusal": "o"})], "stop");
    assert_eq!(out, [json!({"refusal": "n"}), json!({"refusal": "o"})]);
    assert_eq!(finish, "stop");
}

#[test]
fn pitfall_44_an_error_under_a_status_of_success_is_no_answer() {
    let body = Bytes::from_static(br#"{"error":{"message":"busy","code":429}}"#);
    let done = translate::answer(CHAT, CHAT, &body, &naming(true)).unwrap();
    assert_eq!(done.error.unwrap().kind.as_deref(), Some("rate_limit_error"));
    assert!(translate::answer(CHAT, CHAT, &Bytes::from_static(b"{}"), &naming(true)).is_err());
}

#[test]
fn streams_come_out_as_recorded() {
    for (at, text) in STREAMS.into_iter().enumerate() {
        let names = ["text", "tools", "thinking", "odd_tools"];
        let folder = "../golden/openai_chat";
        insta::with_settings!({snapshot_path => folder, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(names[at], whole(text));
        });
    }
}

#[test]
fn pitfall_36_streams_are_the_same_however_they_are_cut() {
    for text in STREAMS {
        let expected = whole(text);
        for at in 0..=text.len() {
            let (head, tail) = text.as_bytes().split_at(at);
            let (cut, _) = stream([head, tail].into_iter(), true);
            assert_eq!(cut, expected, "cut at byte {at}");
        }
        assert_eq!(stream(text.as_bytes().chunks(1), true).0, expected);
    }
}

#[test]
fn pitfall_32_usage_comes_in_a_chunk_without_choices_and_only_if_wanted() {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7});
    let inside = json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "x"},
        "finish_reason": "stop", "usage": usage}]});
    let apart = json!({"id": "c", "choices": [], "usage": usage});
    let end = json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    for text in [format!("data: {inside}\n\n"), format!("data: {end}\n\ndata: {apart}\n\n")] {
        let (out, facts) = stream(std::iter::once(text.as_bytes()), true);
        let last = payloads(&out).pop().unwrap();
        assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(7)));
        assert!(out.ends_with("data: [DONE]\n\n"), "{out}");
        assert_eq!(facts.unwrap().output_text, 2);
        let (out, facts) = stream(std::iter::once(text.as_bytes()), false);
        assert!(payloads(&out).iter().all(|payload| payload["choices"][0].is_object()));
        assert!(facts.is_some());
    }
}

#[test]
fn pitfall_34_the_first_delta_of_each_choice_has_the_role() {
    let two = json!({"id": "c", "choices": [
        {"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"},
        {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]});
    let out = payloads(&whole(&format!("data: {two}\n\n")));
    for index in [0, 1] {
        let of_choice = |payload: &&Value| payload["choices"][0]["index"] == index;
        let first = out.iter().find(of_choice).unwrap();
        assert_eq!(first["choices"][0]["delta"]["role"], "assistant");
    }
    assert!(out.iter().all(|payload| payload["id"] == "c"));
    assert_eq!(
        out.iter().filter(|payload| payload["choices"][0]["finish_reason"] == "stop").count(),
        2
    );
}

#[test]
fn pitfall_35_a_first_chunk_may_have_a_role_and_no_content() {
    let sent = [
        json!({"role": "assistant", "content": null}),
        json!({"content": ""}),
        json!({"content": "x"}),
    ];
    assert_eq!(turned(&sent, "stop").0, [json!({"content": "x"})]);
}

#[test]
fn tool_calls_of_every_server_are_put_together() {
    let entry = |value: Value| json!({ "tool_calls": [value] });
    let f = |value: Value| entry(json!({"index": 0, "function": value}));
    // Id and name each time.
    let again = |arguments: &str| {
        entry(json!({"index": 0, "id": "a", "type": "function",
            "function": {"name": "f", "arguments": arguments}}))
    };
    assert_eq!(called(&[again("{\"x\""), again(":1}")]), [call("a", "f", "{\"x\":1}")]);
    // All numbered 0, told apart by their ids.
    let zero = |id: &str, arguments: &str| {
        entry(json!({"index": 0, "id": id, "function": {"name": "f", "arguments": arguments}}))
    };
    let both = [call("a", "f", "{}"), call("b", "f", "{\"y\":2}")];
    assert_eq!(called(&[zero("a", "{}"), zero("b", "{\"y\":2}")]), both);
    // No number at all.
    let bare = |value: Value| entry(value);
    let unnumbered = [
        bare(json!({"id": "a", "function": {"name": "f", "arguments": ""}})),
        bare(json!({"function": {"arguments": "{\"x\":"}})),
        bare(json!({"function": {"arguments": "1}"}})),
        bare(json!({"id": "b", "function": {"name": "g", "arguments": "{}"}})),
    ];
    assert_eq!(called(&unnumbered), [call("a", "f", "{\"x\":1}"), call("b", "g", "{}")]);
    // Side by side.
    let at = |index: u32, id: Option<&str>, arguments: &str| {
        let name = id.map(|_| "f");
        entry(json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}}))
    };
    let mixed = [at(0, Some("a"), "{"), at(1, Some("b"), "{"), at(0, None, "}"), at(1, None, "}")];
    assert_eq!(called(&mixed), [call("a", "f", "{}"), call("b", "f", "{}")]);
    // The name after the arguments, and a placeholder before them.
    let late = [f(json!({"arguments": "{\"x\":1}"})), f(json!({"name": "f"}))];
    assert_eq!(called(&late), [call("call_req1-0", "f", "{\"x\":1}")]);
    let placeholder = [zero("a", "{}"), f(json!({"arguments": "{\"x\":1}"}))];
    assert_eq!(called(&placeholder), [call("a", "f", "{\"x\":1}")]);
    // The older form.
    let old = [
        json!({"function_call": {"name": "f", "arguments": ""}}),
        json!({"function_call": {"arguments": "{\"x\":1}"}}),
    ];
    assert_eq!(called(&old), [call("call_req1-0", "f", "{\"x\":1}")]);
}

#[test]
fn pitfall_22_a_streamed_call_without_arguments_gets_an_object() {
    for arguments in [json!(""), json!("{}"), Value::Null, json!(" ")] {
        let sent = json!({"tool_calls": [{"index": 0, "id": "a",
            "function": {"name": "f", "arguments": arguments}}]});
        assert_eq!(called(&[sent]), [call("a", "f", "{}")]);
    }
}

#[test]
fn the_same_thinking_in_two_members_is_sent_once() {
    let detail = json!([{"type": "reasoning.text", "text": "hm", "index": 0}]);
    let signed = json!([{"type": "reasoning.text", "signature": "SIG",
        "format": "anthropic-claude-v1", "index": 0}]);
    let (out, _) = turned(
        &[
            json!({"reasoning": "hm", "reasoning_details": detail}),
            json!({"reasoning_details": signed}),
            json!({"content": "so"}),
        ],
        "stop",
    );
    assert_eq!(out[0], json!({"reasoning_content": "hm"}));
    let entry = &out[1]["reasoning_details"][0];
    assert_eq!((&entry["text"], &entry["signature"]), (&json!("hm"), &json!("tp1.anthropic.SIG")));
    assert_eq!(out[2], json!({"content": "so"}));
}

#[test]
fn a_stream_without_its_mark_ends_if_the_answer_did() {
    let ended = deltas(&[json!({"content": "x"})], "stop").replace("data: [DONE]\n\n", "");
    assert!(whole(&ended).ends_with("data: [DONE]\n\n"));
    let cut = ended.split("data: ").nth(1).map(|event| format!("data: {event}")).unwrap();
    let out = whole(&cut);
    assert!(out.contains("\"x\"") && !out.contains("[DONE]") && !out.contains("stop"), "{out}");
}

#[test]
fn pitfall_61_an_error_in_the_stream_is_its_last_event() {
    let event = "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n";
    let sent = deltas(&[json!({"content": "x"})], "stop");
    let first = sent.split_inclusive("\n\n").next().unwrap();
    let out = whole(&format!("{first}{event}data: [DONE]\n\n"));
    let last = payloads(&out).pop().unwrap();
    let expected = json!({"error": {"message": "overloaded", "type": "overloaded_error",
        "param": null, "code": "503"}});
    assert_eq!(last, expected);
    assert!(!out.contains("[DONE]"));
    let named = whole("event: error\ndata: {\"message\":\"gone\",\"code\":429}\n\n");
    assert_eq!(payloads(&named).pop().unwrap()["error"]["type"], "rate_limit_error");
}

#[test]
fn citations_with_an_address_are_annotations() {
    let citation = json!({"type": "url_citation", "url_citation": {"url": "https://a.example",
        "title": "A", "start_index": 0, "end_index": 2}});
    let out = message(&json!({"content": "so", "annotations": [citation]}), "stop");
    assert_eq!(out["message"]["annotations"], json!([citation]));
    let (out, _) = turned(&[json!({"content": "so"}), json!({"annotations": [citation]})], "stop");
    assert_eq!(out[1], json!({"annotations": [citation]}));
}
