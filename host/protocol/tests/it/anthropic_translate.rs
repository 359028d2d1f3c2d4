//! Requests for a provider of this dialect: what a caller of another asks for, in its terms, and
//! what of it is reported as lost.

use serde_json::{Value, json};
use turnpike_protocol::{Dialect, Losses, Outgoing, Quirks, Severity};

use crate::anthropic_kit::{FEATURES, HERE, from_chat, out, translated};

fn chat(extra: Value) -> Value {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    let Value::Object(extra) = extra else { panic!("members of a request") };
    body.as_object_mut().unwrap().extend(extra);
    body
}

fn call(id: &str) -> Value {
    let function = json!({ "name": "f", "arguments": "{}" });
    json!({ "id": id, "type": "function", "function": function })
}

fn severity(losses: &Losses, at: &str) -> Option<Severity> {
    losses.iter().find(|loss| loss.at == at).map(|loss| loss.severity)
}

fn messages(messages: Value) -> Value {
    let body = Value::Object([("messages".to_owned(), messages)].into_iter().collect());
    from_chat(&chat(body)).0["messages"].clone()
}

#[test]
fn a_request_of_this_dialect_comes_back_as_it_was() {
    let body: Value = serde_json::from_str(FEATURES).unwrap();
    let quirks = Quirks::default();
    let (sent, losses) = translated(HERE, &body, &out("claude-opus-4-6", &quirks));
    assert_eq!(sent, body);
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn adaptive_thinking_comes_back_as_it_was() {
    let body = json!({ "model": "m", "max_tokens": 9_000,
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": "hi" }] }],
        "thinking": { "type": "adaptive", "display": "summarized" },
        "output_config": { "effort": "max" } });
    let quirks = Quirks { adaptive_thinking: true, ..Quirks::default() };
    let (sent, losses) = translated(HERE, &body, &out("m", &quirks));
    assert_eq!(sent, body);
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn pitfall_06_parallel_results_become_one_turn_in_front_of_the_text() {
    let sent = messages(json!([
        { "role": "user", "content": "go" },
        { "role": "assistant", "content": null, "tool_calls": [call("a"), call("b")] },
        { "role": "user", "content": "and now" },
        { "role": "tool", "tool_call_id": "a", "content": "1" },
        { "role": "tool", "tool_call_id": "b", "content": "2" },
    ]));
    let tool = |id: &str| json!({ "type": "tool_use", "id": id, "name": "f", "input": {} });
    let result =
        |id: &str, text: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": text });
    let text = json!({ "type": "text", "text": "and now" });
    assert_eq!(sent[1]["content"], json!([tool("a"), tool("b")]));
    assert_eq!(sent[2]["content"], json!([result("a", "1"), result("b", "2"), text]));
    assert_eq!(sent.as_array().unwrap().len(), 3);
}

#[test]
fn pitfall_10_empty_texts_are_not_sent() {
    let sent = messages(json!([
        { "role": "user", "content": [{ "type": "text", "text": " \n" },
            { "type": "text", "text": "go" }] },
        { "role": "assistant", "content": "", "tool_calls": [{ "id": "a", "type": "function",
            "function": { "name": "f", "arguments": "" } }] },
        { "role": "tool", "tool_call_id": "a", "content": "" },
    ]));
    assert_eq!(sent[0]["content"], json!([{ "type": "text", "text": "go" }]));
    let called = json!([{ "type": "tool_use", "id": "a", "name": "f", "input": {} }]);
    assert_eq!(sent[1]["content"], called);
    assert_eq!(sent[2]["content"], json!([{ "type": "tool_result", "tool_use_id": "a" }]));
}

#[test]
fn pitfall_14_ids_of_other_providers_are_spelt_alike_on_both_sides() {
    let sent = messages(json!([
        { "role": "user", "content": "go" },
        { "role": "assistant", "tool_calls": [call("f:1"), call("f.1")] },
        { "role": "tool", "tool_call_id": "f.1", "content": "two" },
        { "role": "tool", "tool_call_id": "f:1", "content": "one" },
    ]));
    let id = |at: &str| sent.pointer(at).unwrap().as_str().unwrap().to_owned();
    let (first, second) = (id("/1/content/0/id"), id("/1/content/1/id"));
    assert_ne!(first, second);
    assert_eq!(id("/2/content/0/tool_use_id"), second);
    assert_eq!(id("/2/content/1/tool_use_id"), first);
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    assert!(first.bytes().chain(second.bytes()).all(legal), "{first} {second}");
}

#[test]
fn pitfall_15_foreign_thinking_is_not_sent_and_its_own_is() {
    let body = json!({ "model": "m", "max_tokens": 10, "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "own", "signature": "EqQB" },
            { "type": "thinking", "thinking": "other", "signature": "tp1.openai.zz" },
            { "type": "thinking", "thinking": "bare", "signature": "tp1.other." },
            { "type": "redacted_thinking", "data": "tp1.gemini.yy" },
            { "type": "tool_use", "id": "t", "name": "f", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t" }] },
    ] });
    let (sent, losses) = translated(HERE, &body, &out("m", &Quirks::default()));
    let expected = json!([{ "type": "thinking", "thinking": "own", "signature": "EqQB" },
        { "type": "tool_use", "id": "t", "name": "f", "input": {} }]);
    assert_eq!(sent["messages"][1]["content"], expected);
    assert_eq!(severity(&losses, "messages.thinking"), Some(Severity::Dropped));
}

#[test]
fn pitfall_21_a_thinking_budget_is_fitted_not_refused() {
    let cases = [
        (json!({ "thinking": 100 }), 8_000, Some(1_024)),
        (json!({ "thinking": 9_000 }), 8_000, Some(7_999)),
        (json!({ "thinking": 4_000 }), 8_000, Some(4_000)),
        (json!({ "thinking": 4_000 }), 1_000, None),
        (json!({ "effort": "high" }), 8_000, Some(4_000)),
        (json!({ "effort": "low" }), 1_500, Some(1_024)),
    ];
    for (asked, limit, budget) in cases {
        let sent = if let Some(tokens) = asked.get("thinking") {
            let body = json!({ "model": "m", "max_tokens": limit,
                "messages": [{ "role": "user", "content": "hi" }],
                "thinking": { "type": "enabled", "budget_tokens": tokens } });
            translated(HERE, &body, &out("m", &Quirks::default())).0
        } else {
            let extra = json!({ "max_tokens": limit, "reasoning_effort": asked["effort"] });
            from_chat(&chat(extra)).0
        };
        let expected = match budget {
            Some(budget) => json!({ "type": "enabled", "budget_tokens": budget }),
            None => Value::Null,
        };
        assert_eq!(sent["thinking"], expected, "{asked} {limit}");
        assert_eq!(sent["max_tokens"], json!(limit));
    }
    // No bound of the caller's: the answer gets room beside the thinking.
    let (sent, _) = from_chat(&chat(json!({ "reasoning_effort": "medium" })));
    assert_eq!(sent["max_tokens"], 4_096 + 8_192);
}

#[test]
fn thinking_gives_way_where_the_provider_would_refuse_the_request() {
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    let forced = json!({ "reasoning_effort": "high", "tools": tools, "tool_choice": "required" });
    let (sent, losses) = from_chat(&chat(forced));
    assert_eq!(sent["thinking"], Value::Null);
    assert_eq!(sent["tool_choice"], json!({ "type": "any" }));
    assert_eq!(severity(&losses, "reasoning"), Some(Severity::Dropped));
    // A turn that called tools must begin with thinking, and this caller sent none back.
    let unsigned = json!({ "reasoning_effort": "high", "tools": tools, "messages": [
        { "role": "user", "content": "go" },
        { "role": "assistant", "tool_calls": [{ "id": "a", "type": "function",
            "function": { "name": "f", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "a", "content": "1" }] });
    let (sent, losses) = from_chat(&chat(unsigned.clone()));
    assert_eq!(sent["thinking"], Value::Null);
    assert_eq!(severity(&losses, "reasoning"), Some(Severity::Dropped));
    let quirks = Quirks { adaptive_thinking: true, ..Quirks::default() };
    let (sent, _) = translated(Dialect::OpenAiChat, &chat(unsigned), &out("m", &quirks));
    assert_eq!(sent["thinking"]["type"], "adaptive");
    assert_eq!(sent["output_config"], json!({ "effort": "high" }));
    let hot = json!({ "reasoning_effort": "low", "temperature": 0.3, "max_tokens": 4_000 });
    let (sent, losses) = from_chat(&chat(hot));
    assert_eq!(sent["temperature"], Value::Null);
    assert_eq!(severity(&losses, "temperature"), Some(Severity::Dropped));
}

#[test]
fn pitfall_22_arguments_are_always_an_object() {
    for (arguments, input) in [
        ("", json!({})),
        ("{}", json!({})),
        ("{\"a\":1}", json!({ "a": 1 })),
        ("[1]", json!({ "input": "[1]" })),
        ("{\"a\":", json!({ "input": "{\"a\":" })),
    ] {
        let sent = messages(json!([
            { "role": "user", "content": "go" },
            { "role": "assistant", "tool_calls": [{ "id": "a", "type": "function",
                "function": { "name": "f", "arguments": arguments } }] },
            { "role": "tool", "tool_call_id": "a", "content": "1" },
        ]));
        assert_eq!(sent[1]["content"][0]["input"], input, "{arguments}");
    }
}

#[test]
fn the_bound_on_answer_tokens_is_always_there() {
    let quirks = Quirks::default();
    let at = |asked: Option<u32>, host: Option<u32>, model: Option<u32>| {
        let extra = asked.map_or_else(|| json!({}), |asked| json!({ "max_tokens": asked }));
        let bounds = Outgoing { output_limit: host, model_limit: model, ..out("m", &quirks) };
        translated(Dialect::OpenAiChat, &chat(extra), &bounds).0["max_tokens"].clone()
    };
    assert_eq!(at(Some(5), Some(3), Some(9)), 3);
    assert_eq!(at(Some(5), None, Some(9)), 5);
    assert_eq!(at(None, None, Some(9)), 9);
    assert_eq!(at(None, None, None), 4_096);
}

#[test]
fn what_cannot_be_had_is_reported() {
    let (sent, losses) = from_chat(&chat(json!({
        "n": 2, "logprobs": true, "seed": 7, "frequency_penalty": 0.5, "presence_penalty": 0,
        "logit_bias": { "1": 2 }, "temperature": 1.7, "stop": [" ", "END"],
        "response_format": { "type": "json_object" }, "user": "u",
    })));
    assert_eq!(severity(&losses, "n"), Some(Severity::Unsupported));
    assert_eq!(severity(&losses, "logprobs"), Some(Severity::Unsupported));
    for dropped in ["seed", "frequency_penalty", "logit_bias", "stop"] {
        assert_eq!(severity(&losses, dropped), Some(Severity::Dropped), "{dropped}");
    }
    for close in ["temperature", "response_format"] {
        assert_eq!(severity(&losses, close), Some(Severity::Approximated), "{close}");
    }
    assert_eq!(severity(&losses, "presence_penalty"), None);
    assert_eq!(sent["temperature"], 1);
    assert_eq!(sent["stop_sequences"], json!(["END"]));
    assert_eq!(sent["metadata"], json!({ "user_id": "u" }));
    assert!(sent["system"][0]["text"].as_str().unwrap().contains("JSON"));
    let audio = json!({ "messages": [{ "role": "user", "content": [{ "type": "input_audio",
        "input_audio": { "data": "AAAA", "format": "wav" } }] }] });
    let (_, losses) = from_chat(&chat(audio));
    assert_eq!(losses.worst(), Some(Severity::Unsupported));
}

#[test]
fn a_conversation_that_called_tools_is_never_sent_without_any() {
    let (sent, _) = from_chat(&chat(json!({ "messages": [
        { "role": "user", "content": "go" },
        { "role": "assistant", "tool_calls": [{ "id": "a", "type": "function",
            "function": { "name": "f", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "a", "content": "1" }] })));
    assert_eq!(sent["tools"][0]["name"], "f");
    assert_eq!(sent["tool_choice"], json!({ "type": "none" }));
}

#[test]
fn the_conversation_begins_with_the_user_and_ends_without_white_space() {
    let sent = messages(json!([
        { "role": "assistant", "content": "Hello." },
        { "role": "user", "content": "hi" },
        { "role": "assistant", "content": "The answer is \n" },
    ]));
    assert_eq!(sent[0]["role"], "user");
    assert_eq!(sent[3]["content"][0]["text"], "The answer is");
}

#[test]
fn instructions_inside_the_conversation_stay_in_their_place() {
    let body = json!({ "model": "m", "max_tokens": 10, "messages": [
        { "role": "user", "content": "a" }, { "role": "system", "content": "be kind" }] });
    let (sent, losses) = translated(HERE, &body, &out("m", &Quirks::default()));
    let text = sent["messages"][0]["content"][1]["text"].as_str().unwrap();
    assert!(text.contains("be kind") && text.contains("system-reminder"));
    assert_eq!(losses.worst(), Some(Severity::Approximated));
}

#[test]
fn the_schema_of_an_answer_is_sent_closed() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "object" } } });
    let (sent, _) = from_chat(&chat(json!({ "response_format": { "type": "json_schema",
        "json_schema": { "name": "x", "schema": schema } } })));
    let format = &sent["output_config"]["format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["schema"]["additionalProperties"], json!(false));
    assert_eq!(format["schema"]["properties"]["a"]["additionalProperties"], json!(false));
}
