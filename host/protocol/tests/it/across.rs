//! From OpenAI chat to providers of Google and Amazon and back: the loop of an agent with thinking,
//! tools and proofs, in both directions.

use bytes::Bytes;
use serde_json::{Value, json};
use turnpike_protocol::translate::{self, Naming, StreamTranslator};
use turnpike_protocol::{Call, Dialect, LimitField, Losses, Outgoing, Quirks, eventstream, sse};

const GEMINI: &str = include_str!("../golden/gemini/stream.sse");
const BEDROCK: &str = include_str!("../golden/bedrock/stream.jsonl");

fn naming() -> Naming {
    Naming {
        id: "req-1".to_owned(),
        created_s: 7,
        model: "asked".to_owned(),
        include_usage: true,
        input_tokens: 0,
        custom_tools: Vec::new(),
        long_tools: Vec::new(),
    }
}

fn request(body: &Value, to: Dialect) -> (Value, Losses) {
    let call = Call::parse(Dialect::OpenAiChat, Bytes::from(body.to_string())).unwrap();
    let quirks = Quirks { thinking_level: true, ..Quirks::default() };
    let out = Outgoing {
        model: "served",
        output_limit: None,
        model_limit: Some(8192),
        limit_field: LimitField::MaxTokens,
        quirks: &quirks,
    };
    let written = translate::request(&call, to, &out).unwrap();
    (serde_json::from_slice(&written.body).unwrap(), written.losses)
}

fn stream(from: Dialect, read: &[sse::Frame]) -> Vec<Value> {
    let mut translator = StreamTranslator::new(from, Dialect::OpenAiChat, naming());
    let mut out = Vec::new();
    translator.push(read, &mut out).unwrap();
    translator.finish(&mut out);
    assert_eq!(&out.last().unwrap().data[..], b"[DONE]");
    out.pop();
    out.iter().map(|frame| serde_json::from_slice(&frame.data).unwrap()).collect()
}

/// Texts, thinking and tool calls of a chat stream, put together as clients do.
fn gathered(chunks: &[Value]) -> (String, String, Vec<Value>) {
    let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
    for delta in chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]) {
        text.push_str(delta["content"].as_str().unwrap_or_default());
        thinking.push_str(delta["reasoning_content"].as_str().unwrap_or_default());
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if calls.len() <= index {
                calls.push(call.clone());
                continue;
            }
            let more = call["function"]["arguments"].as_str().unwrap_or_default();
            let known = calls[index]["function"]["arguments"].as_str().unwrap_or_default();
            calls[index]["function"]["arguments"] = json!(format!("{known}{more}"));
            if call.get("extra_content").is_some() {
                calls[index]["extra_content"] = call["extra_content"].clone();
            }
        }
    }
    (text, thinking, calls)
}

fn gemini() -> Vec<Value> {
    let (mut framer, mut read) = (sse::Framer::new(1 << 20), Vec::new());
    framer.push(Bytes::from_static(GEMINI.as_bytes()), &mut read).unwrap();
    stream(Dialect::Gemini, &read)
}

#[test]
fn a_stream_of_gemini_is_one_of_chat() {
    let chunks = gemini();
    let (text, thinking, calls) = gathered(&chunks);
    assert_eq!(text, "I will look both up.");
    assert_eq!(thinking, "**Looking**\n\nI need two numbers.");
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["function"], json!({"name": "find", "arguments": "{\"q\":\"jane\"}"}));
    assert_eq!(calls[1]["function"]["arguments"], "{}");
    assert!(chunks.iter().any(|chunk| chunk["choices"][0]["finish_reason"] == "tool_calls"));
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(1200), &json!(131)));
}

#[test]
fn pitfall_16_the_proof_of_a_call_comes_back_to_gemini_and_to_no_other() {
    let (text, _, calls) = gathered(&gemini());
    let body = json!({"model": "m", "reasoning_effort": "high", "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "who?"},
        {"role": "assistant", "content": text, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "fc_9", "content": "555"},
        {"role": "tool", "tool_call_id": "fc_10", "content": "{\"hour\":3}"}],
        "tools": [{"type": "function", "function": {"name": "find", "description": "Finds",
            "parameters": {"type": "object"}}}]});
    let (written, _) = request(&body, Dialect::Gemini);
    let contents = &written["contents"];
    let step = contents[1]["parts"].as_array().unwrap();
    let first = step.iter().find(|part| part.get("functionCall").is_some()).unwrap();
    assert_eq!(first["thoughtSignature"], "CpEBAdHtim9Zb3Vy");
    assert_eq!(contents[2]["parts"][0]["functionResponse"]["response"], json!({"result": "555"}));
    assert_eq!(contents[2]["parts"][1]["functionResponse"]["name"], "now");
    assert_eq!(written["systemInstruction"]["parts"][0]["text"], "be brief");
    assert_eq!(written["generationConfig"]["thinkingConfig"]["thinkingLevel"], "HIGH");
    let (converse, _) = request(&body, Dialect::BedrockConverse);
    assert!(!converse.to_string().contains("CpEBAdHtim9Zb3Vy"));
    let results = converse["messages"][2]["content"].as_array().unwrap();
    assert_eq!((results.len(), &results[1]["toolResult"]["toolUseId"]), (2, &json!("fc_10")));
}

#[test]
fn a_stream_of_converse_is_one_of_chat() {
    let lines = BEDROCK.lines().filter_map(|line| line.split_once(' '));
    let (mut parser, mut read) = (eventstream::Parser::new(1 << 20), Vec::new());
    for (name, payload) in lines {
        parser.push(&eventstream::event(name, payload.as_bytes()), &mut read).unwrap();
    }
    let chunks = stream(Dialect::BedrockConverse, &read);
    let (text, thinking, calls) = gathered(&chunks);
    assert_eq!((text.as_str(), thinking.as_str()), ("I will look.", "Two numbers."));
    assert_eq!(calls[0]["id"], "tooluse_1");
    assert_eq!(calls[1]["function"]["arguments"], "{}");
    assert_eq!(chunks.last().unwrap()["usage"]["prompt_tokens"], 1320);
}

#[test]
fn callers_who_speak_converse_are_told_what_to_speak() {
    let refused = Call::parse(Dialect::BedrockConverse, Bytes::from_static(b"{}"));
    assert_eq!(refused.map(|_| ()).unwrap_err().status, 400);
    assert!(!Dialect::BedrockConverse.callers_speak() && Dialect::Gemini.callers_speak());
    for dialect in Dialect::ALL {
        assert_eq!(Dialect::parse(dialect.label()), Some(dialect));
    }
}

fn lost(from: Dialect, body: &Value, to: Dialect) -> Vec<String> {
    let address = turnpike_protocol::Addressed { model: Some("m"), stream: Some(false) };
    let call = Call::parse_addressed(from, Bytes::from(body.to_string()), &address).unwrap();
    let quirks = Quirks::default();
    let out = Outgoing {
        model: "served",
        output_limit: None,
        model_limit: None,
        limit_field: LimitField::MaxTokens,
        quirks: &quirks,
    };
    let written = translate::request(&call, to, &out).unwrap();
    written.losses.iter().map(|loss| format!("{}={}", loss.at, loss.severity.label())).collect()
}

#[test]
fn what_a_function_of_geminis_says_of_its_future_is_told() {
    let body = |more: Value| {
        let mut answer = json!({"name": "f", "response": {"result": "1"}});
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": answer}]}]})
    };
    for to in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::AnthropicMessages] {
        let goes_on = body(json!({"willContinue": true, "scheduling": "SILENT"}));
        let wanted = ["willContinue", "scheduling"]
            .map(|name| format!("contents[2].parts[0].functionResponse.{name}=dropped"));
        assert_eq!(lost(Dialect::Gemini, &goes_on, to), wanted, "{to:?}");
        let ends = body(json!({"willContinue": false}));
        assert_eq!(lost(Dialect::Gemini, &ends, to), [""; 0], "{to:?}");
    }
}

#[test]
fn what_no_answer_depends_on_is_no_loss_and_the_manner_of_thinking_is_one() {
    let asked = |summary: &str| {
        let reasoning = json!({"effort": "low", "summary": summary});
        json!({"model": "m", "input": "hi", "store": false, "prompt_cache_key": "k", "user": "u",
            "reasoning": reasoning})
    };
    let to = Dialect::OpenAiChat;
    assert_eq!(lost(Dialect::OpenAiResponses, &asked("auto"), to), [""; 0]);
    let wanted = ["reasoning.summary=approximated"];
    assert_eq!(lost(Dialect::OpenAiResponses, &asked("detailed"), to), wanted);
    let body = json!({"model": "m", "max_tokens": 99, "inference_geo": "global",
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "hi"}]});
    for to in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Gemini] {
        assert_eq!(lost(Dialect::AnthropicMessages, &body, to), [""; 0], "{to:?}");
    }
    let named = json!({"model": "m", "messages": [
        {"role": "user", "name": "ada", "content": "hi"}]});
    assert_eq!(lost(Dialect::OpenAiChat, &named, Dialect::Gemini), ["messages[0].name=dropped"]);
}
