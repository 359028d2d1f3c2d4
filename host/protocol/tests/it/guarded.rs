//! What a caller may not do to a request on its way: reach members of the provider's dialect by
//! their names, raise a bound, name another model, hide a secret in structure, or cost more work
//! than a body of its size is worth. Never measures time: what was quadratic would not end.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::translate::{self, Naming, StreamTranslator};
use turnpike_protocol::{Addressed, Call, Channel, Dialect, RequestError, Severity, sse};

use super::support::outgoing;

/// Tool calls of a conversation: with a scan for each, a hundred million comparisons.
const MANY: usize = 10_000;

fn parse(dialect: Dialect, body: &str) -> Result<Call, RequestError> {
    let addressed = Addressed { model: Some("m"), stream: None };
    Call::parse_addressed(dialect, Bytes::from(body.to_owned()), &addressed)
}

fn asked(dialect: Dialect, more: &Value) -> Call {
    let mut body = match dialect {
        Dialect::OpenAiResponses => json!({"model": "m", "input": "hi"}),
        Dialect::Gemini => json!({"contents": [{"parts": [{"text": "hi"}]}]}),
        _ => json!({"model": "m", "max_tokens": 10,
            "messages": [{"role": "user", "content": "hi"}]}),
    };
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    parse(dialect, &body.to_string()).unwrap()
}

fn written(call: &Call, to: Dialect, limit: Option<u32>) -> (Value, translate::TranslatedRequest) {
    let out = turnpike_protocol::Outgoing { output_limit: limit, ..outgoing("served") };
    let written = translate::request(call, to, &out).unwrap();
    (serde_json::from_slice(&written.body).unwrap(), written)
}

fn naming(long_tools: Vec<String>) -> Naming {
    Naming {
        id: "req-1".to_owned(),
        created_s: 7,
        model: "m".to_owned(),
        include_usage: true,
        input_tokens: 0,
        custom_tools: Vec::new(),
        long_tools,
    }
}

#[test]
fn a_name_that_reads_as_a_path_writes_nothing_anywhere() {
    let paths = json!({"generationConfig.maxOutputTokens": 60000,
        "generationConfig.candidateCount": 8, "tools[0].googleSearch": {},
        "toolConfig.x": 1, "cachedContent": "c", "safetySettings": []});
    for from in [Dialect::OpenAiChat, Dialect::AnthropicMessages, Dialect::OpenAiResponses] {
        let call = asked(from, &paths);
        let (body, translated) = written(&call, Dialect::Gemini, Some(10));
        let config = body["generationConfig"].as_object().unwrap();
        assert_eq!(config.get("maxOutputTokens"), Some(&json!(10)), "{}", from.label());
        assert!(!config.contains_key("candidateCount"), "{}", from.label());
        for name in ["tools", "toolConfig", "cachedContent", "safetySettings"] {
            assert!(body.get(name).is_none(), "{} {name}", from.label());
        }
        let told = |at: &str| translated.losses.iter().any(|loss| loss.at == at);
        assert!(told("generationConfig.maxOutputTokens") && told("tools[0].googleSearch"));
    }
    // Nor in the dialect whose members they would be.
    let (body, _) = written(&asked(Dialect::Gemini, &paths), Dialect::Gemini, Some(10));
    assert_eq!(body["generationConfig"], json!({"maxOutputTokens": 10}));
    assert_eq!(body["cachedContent"], "c");
}

#[test]
fn members_of_one_name_and_two_meanings_stay_in_their_dialect() {
    let claude = json!({"context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
        "store": true, "conversation": "conv_1", "previous_response_id": "resp_1", "prompt": {},
        "web_search_options": {}, "modalities": ["audio"], "audio": {"voice": "x"}});
    let call = asked(Dialect::AnthropicMessages, &claude);
    let (body, translated) = written(&call, Dialect::OpenAiResponses, None);
    for name in ["context_management", "conversation", "previous_response_id", "prompt"] {
        assert!(body.get(name).is_none(), "{name}");
        assert!(translated.losses.iter().any(|loss| loss.at == name), "{name}");
    }
    assert_eq!(body["store"], false);
    assert_eq!(translated.losses.worst(), Some(Severity::Unsupported));
    let (body, _) = written(&call, Dialect::OpenAiChat, None);
    for name in ["web_search_options", "modalities", "audio"] {
        assert!(body.get(name).is_none(), "{name}");
    }
    let responses = json!({"context_management": [{"type": "compaction"}], "container": "c",
        "output_config.x": 1});
    let call = asked(Dialect::OpenAiResponses, &responses);
    let (body, _) = written(&call, Dialect::AnthropicMessages, None);
    for name in ["context_management", "container", "output_config"] {
        assert!(body.get(name).is_none(), "{name}");
    }
}

#[test]
fn blocks_and_tools_that_a_provider_runs_do_not_change_their_dialect() {
    let tools = json!({"tools": [{"name": "f", "input_schema": {}, "defer_loading": true},
        {"type": "web_search_20250305", "name": "web_search"}]});
    let call = asked(Dialect::AnthropicMessages, &tools);
    let (body, _) = written(&call, Dialect::Gemini, None);
    assert!(!body.to_string().contains("deferLoading"), "{body}");
    assert!(!body.to_string().contains("defer_loading"), "{body}");
    let advisor = json!({"tools": [{"type": "advisor_20260301", "name": "advisor", "model": "x"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"},
            {"type": "server_tool_use", "id": "s", "name": "bash", "input": {}}]}]});
    let call = asked(Dialect::OpenAiChat, &advisor);
    let (body, translated) = written(&call, Dialect::AnthropicMessages, None);
    assert!(!body.to_string().contains("advisor"), "{body}");
    assert!(!body.to_string().contains("server_tool_use"), "{body}");
    assert_eq!(translated.losses.iter().count(), 2);
}

#[test]
fn ids_and_hints_are_fitted_to_what_openai_takes() {
    let (long, id) = ("u".repeat(150), format!("toolu_{}", "x".repeat(90)));
    let body = json!({"metadata": {"user_id": long}, "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": id, "name": "f", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": "ok"}]}]});
    let (body, _) =
        written(&asked(Dialect::AnthropicMessages, &body), Dialect::OpenAiResponses, None);
    assert!(body["user"].as_str().unwrap().len() <= 64);
    let calls: Vec<&Value> =
        body["input"].as_array().unwrap().iter().filter_map(|item| item.get("call_id")).collect();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0], calls[1]);
    assert!(calls[0].as_str().unwrap().len() <= 64);
}

#[test]
fn long_names_of_tools_are_fitted_and_come_back() {
    let name = format!("mcp__{}", "server_".repeat(12));
    assert!(name.len() > 64 && name.len() <= 128);
    let tools = json!({"tools": [{"name": name, "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": name}});
    let call = asked(Dialect::AnthropicMessages, &tools);
    assert_eq!(call.long_tools(), std::slice::from_ref(&name));
    for (to, at) in [
        (Dialect::OpenAiChat, "/tools/0/function/name"),
        (Dialect::OpenAiResponses, "/tools/0/name"),
        (Dialect::Gemini, "/tools/0/functionDeclarations/0/name"),
    ] {
        let (body, _) = written(&call, to, None);
        let short = body.pointer(at).unwrap().as_str().unwrap().to_owned();
        assert!(short.len() <= 64 && short.starts_with("mcp__server_"), "{short}");
        assert!(!body.to_string().contains(&name));
        if to != Dialect::OpenAiChat {
            continue;
        }
        let call = json!({"id": "c", "type": "function",
            "function": {"name": short, "arguments": "{}"}});
        let answer = json!({"id": "x", "model": "m", "choices": [{"index": 0,
            "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": null, "tool_calls": [call]}}]});
        let naming = naming(vec![name.clone()]);
        let back = translate::answer(
            to,
            Dialect::AnthropicMessages,
            &Bytes::from(answer.to_string()),
            &naming,
        );
        let back: Value = serde_json::from_slice(&back.unwrap().body).unwrap();
        assert_eq!(back["content"][0]["name"], name.as_str());
        let mut call = answer["choices"][0]["message"]["tool_calls"][0].clone();
        call["index"] = json!(0);
        let chunk = json!({"id": "x", "object": "chat.completion.chunk", "model": "m",
            "choices": [{"index": 0, "delta": {"tool_calls": [call]},
            "finish_reason": "tool_calls"}]});
        let events = streamed(to, &[chunk.to_string(), "[DONE]".to_owned()], naming);
        assert!(events.contains(&name), "{events}");
    }
}

fn streamed(from: Dialect, events: &[String], naming: Naming) -> String {
    let (mut framer, mut frames) = (sse::Framer::new(1 << 20), Vec::new());
    for event in events {
        framer.push(Bytes::from(format!("data: {event}\n\n")), &mut frames).unwrap();
    }
    let mut translator = StreamTranslator::new(from, Dialect::AnthropicMessages, naming);
    let mut out = Vec::new();
    translator.push(&frames, &mut out).unwrap();
    translator.finish(&mut out);
    out.iter().map(|frame| String::from_utf8_lossy(&frame.data).into_owned()).collect()
}

/// A conversation of `MANY` calls and as many results, in every dialect.
fn busy(dialect: Dialect) -> String {
    let (mut calls, mut results) = (String::new(), String::new());
    for at in 0..MANY {
        let (call, result) = match dialect {
            Dialect::AnthropicMessages => (
                format!(r#"{{"type":"tool_use","id":"toolu.{at}","name":"f{at}","input":{{}}}},"#),
                format!(r#"{{"type":"tool_result","tool_use_id":"toolu.{at}","content":"k"}},"#),
            ),
            Dialect::Gemini => (
                format!(r#"{{"functionCall":{{"name":"f{at}","args":{{}}}}}},"#),
                format!(r#"{{"functionResponse":{{"name":"f{at}","response":{{}}}}}},"#),
            ),
            _ => (
                format!(
                    r#"{{"id":"call.{at}","function":{{"name":"f{at}","arguments":"{{}}"}}}},"#
                ),
                format!(r#"{{"type":"reasoning.encrypted","id":"call.{at}","data":"QQ=="}},"#),
            ),
        };
        write!(calls, "{call}").unwrap();
        write!(results, "{result}").unwrap();
    }
    let (calls, results) = (calls.trim_end_matches(','), results.trim_end_matches(','));
    match dialect {
        Dialect::AnthropicMessages => format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"hi"}},
            {{"role":"assistant","content":[{calls}]}},{{"role":"user","content":[{results}]}}]}}"#
        ),
        Dialect::Gemini => format!(
            r#"{{"contents":[{{"parts":[{{"text":"hi"}}]}},{{"role":"model","parts":[{calls}]}},
            {{"role":"user","parts":[{results}]}}]}}"#
        ),
        _ => format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}},
            {{"role":"assistant","content":null,"reasoning_details":[{results}],
            "tool_calls":[{calls}]}}]}}"#
        ),
    }
}

#[test]
fn thousands_of_tool_calls_are_translated_in_one_pass_over_them() {
    for from in [Dialect::OpenAiChat, Dialect::AnthropicMessages, Dialect::Gemini] {
        let call = parse(from, &busy(from)).unwrap();
        for to in Dialect::ALL.into_iter().filter(|to| *to != from) {
            let out = outgoing("served");
            let body = translate::request(&call, to, &out).unwrap().body;
            let body = String::from_utf8(body.to_vec()).unwrap();
            let last = format!("\"f{}\"", MANY - 1);
            assert!(body.contains(&last), "{} {}", from.label(), to.label());
        }
    }
}

#[test]
fn thousands_of_foreign_thoughts_are_taken_out_in_one_pass_over_them() {
    let thought = r#"{"type":"redacted_thinking","data":"tp1.gemini.QQ=="},"#.repeat(60_000);
    let body = format!(
        r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"hi"}},
        {{"role":"assistant","content":[{thought}{{"type":"text","text":"so"}}]}},
        {{"role":"user","content":"go on"}}]}}"#
    );
    let sent = parse(Dialect::AnthropicMessages, &body).unwrap().encode(&outgoing("m"));
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent["messages"][1]["content"], json!([{"type": "text", "text": "so"}]));
}

#[test]
fn calls_blocks_and_values_are_bounded() {
    let refused = |body: &str| {
        let error = parse(Dialect::OpenAiChat, body).unwrap_err();
        assert_eq!((error.code, error.status), ("too_many_items", 413));
        error.message
    };
    let ask =
        |message: &str, more: &str| format!(r#"{{"model":"m","messages":[{message}]{more}}}"#);
    let calls = vec!["{}"; 32_769].join(",");
    let said = format!(r#"{{"role":"assistant","tool_calls":[{calls}]}}"#);
    assert!(refused(&ask(&said, "")).contains("tool calls"));
    let blocks = vec!["{}"; 65_537].join(",");
    let said = format!(r#"{{"role":"user","content":[{blocks}]}}"#);
    assert!(refused(&ask(&said, "")).contains("content"));
    let zeros = vec!["0"; 262_144].join(",");
    let said = r#"{"role":"user","content":"hi"}"#;
    assert!(refused(&ask(said, &format!(r#","x":[{zeros}]"#))).contains("262144"));
    let fewer = vec!["0"; 262_000].join(",");
    assert!(parse(Dialect::OpenAiChat, &ask(said, &format!(r#","x":[{fewer}]"#))).is_ok());
}

#[test]
fn no_other_model_and_no_dearer_place_is_named_past_the_price() {
    let refused = |more: Value, at: &str| {
        let mut body = json!({"model": "m", "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let error = parse(Dialect::AnthropicMessages, &body.to_string()).unwrap_err();
        assert_eq!((error.status, error.param.as_deref()), (400, Some(at)));
    };
    refused(json!({"fallbacks": [{"model": "dear", "speed": "fast"}]}), "fallbacks");
    refused(json!({"models": ["dear"]}), "models");
    refused(json!({"route": "fallback"}), "route");
    refused(json!({"plugins": []}), "plugins");
    refused(json!({"preset": "p"}), "preset");
    refused(json!({"inference_geo": "us"}), "inference_geo");
    let advisor = json!([{"name": "f", "input_schema": {}},
        {"type": "advisor_20260301", "name": "advisor", "model": "dear"}]);
    refused(json!({"tools": advisor}), "tools[1].model");
    asked(Dialect::AnthropicMessages, &json!({"inference_geo": "global"}));
}

#[test]
fn what_tools_are_called_with_and_answer_is_one_text_with_its_keys() {
    let anthropic = json!({"messages": [{"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f",
            "input": {"api_key": "a8f5", "AKIAIOSFODNN7EXAMPLE": 1}}]}]});
    let gemini = json!({"contents": [{"role": "model", "parts": [
        {"functionCall": {"name": "f", "args": {"api_key": "a8f5"}}}]},
        {"parts": [{"functionResponse": {"name": "f", "response": {"password": "hunter22"}}}]}]});
    for (dialect, body, raw) in [
        (Dialect::AnthropicMessages, &anthropic, r#"{"api_key":"a8f5","AKIAIOSFODNN7EXAMPLE":1}"#),
        (Dialect::Gemini, &gemini, r#"{"api_key":"a8f5"}"#),
        (Dialect::Gemini, &gemini, r#"{"password":"hunter22"}"#),
    ] {
        let mut call = asked(dialect, body);
        let at = call.texts.iter().position(|text| text.content.expose() == raw).unwrap();
        assert!(call.texts[at].is_json());
        let channel = call.texts[at].channel;
        assert!(matches!(channel, Channel::ToolArguments | Channel::ToolResult));
        call.replace_text(at, r#"{"api_key":"[SECRET]"}"#.to_owned());
        let sent: Value = serde_json::from_slice(&call.encode(&outgoing("m"))).unwrap();
        assert!(sent.to_string().contains(r#":{"api_key":"[SECRET]"}"#), "{sent}");
        // What no longer is JSON stays a text, and the body JSON.
        call.replace_text(at, "[SECRET]".to_owned());
        let sent: Value = serde_json::from_slice(&call.encode(&outgoing("m"))).unwrap();
        assert!(sent.to_string().contains(r#":{"text":"[SECRET]"}"#), "{sent}");
    }
}

#[test]
fn credentials_as_keys_and_roles_that_say_something_are_texts() {
    let key = "AKIAIOSFODNN7EXAMPLE";
    let schema = json!({"type": "object", "properties": {key: {"type": "string"}}});
    let tools = json!({"tools": [{"type": "function",
        "function": {"name": "f", "parameters": schema}}]});
    let call = asked(Dialect::OpenAiChat, &tools);
    assert!(call.texts.iter().any(|text| text.content.expose() == key));
    let role = "mail ada@example.com";
    for (dialect, list) in [
        (Dialect::OpenAiChat, "messages"),
        (Dialect::AnthropicMessages, "messages"),
        (Dialect::OpenAiResponses, "input"),
    ] {
        let body = json!({"model": "m", list: [{"role": role, "content": "hi"}]});
        let call = parse(dialect, &body.to_string()).unwrap();
        assert!(call.texts.iter().any(|text| text.content.expose() == role), "{list}");
    }
    let body = json!({"contents": [{"role": role, "parts": [{"text": "hi"}]}]});
    let call = parse(Dialect::Gemini, &body.to_string()).unwrap();
    assert!(call.texts.iter().any(|text| text.content.expose() == role));
}

#[test]
fn the_keys_of_a_body_tell_its_dialect_and_not_the_words_in_it() {
    let of = |body: &str| Call::dialect_of(Dialect::OpenAiChat, body.as_bytes());
    let cursor = r#"{"model":"m","input":"hi","tools":[{"type":"function","name":"f",
        "parameters":{"properties":{"messages":{"type":"array"}}}}]}"#;
    assert_eq!(of(cursor), Dialect::OpenAiResponses);
    assert_eq!(of(r#"{"input":"x","messages":[]}"#), Dialect::OpenAiChat);
    assert_eq!(of(r#"{"model":"m","x":{"input":1}}"#), Dialect::OpenAiChat);
    assert_eq!(of("{"), Dialect::OpenAiChat);
    let body = br#"{"input":"hi"}"#;
    assert_eq!(Call::dialect_of(Dialect::Gemini, body), Dialect::Gemini);
}

#[test]
fn a_message_without_anything_is_sent_as_one() {
    let body = json!({"messages": [{"role": "user", "content": ""}]});
    let call = asked(Dialect::OpenAiChat, &body);
    let (anthropic, translated) = written(&call, Dialect::AnthropicMessages, None);
    assert_eq!(anthropic["messages"][0]["content"][0]["text"], "(no content)");
    assert!(translated.losses.iter().any(|loss| loss.at == "messages[0]"));
    let (responses, _) = written(&call, Dialect::OpenAiResponses, None);
    let said = json!([{"type": "message", "role": "user",
        "content": [{"type": "input_text", "text": ""}]}]);
    assert_eq!(responses["input"], said);
}
