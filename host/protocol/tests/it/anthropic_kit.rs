//! What the tests of this dialect share: translation of goldens, and a client that folds a stream
//! into a message the way the dialect's own SDKs do, with their checks.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use turnpike_protocol::sse::{Frame, Framer};
use turnpike_protocol::translate::{self, Naming, StreamTranslator};
use turnpike_protocol::{Call, Dialect, LimitField, Losses, Outgoing, Quirks};

pub(crate) const HERE: Dialect = Dialect::AnthropicMessages;
pub(crate) const AGENT: &str = include_str!("../golden/anthropic-messages/agent.json");
pub(crate) const FEATURES: &str = include_str!("../golden/anthropic-messages/features.json");
pub(crate) const TOOLS: &str = include_str!("../golden/anthropic-messages/thinking-tools.sse");
pub(crate) const TOOLS_WHOLE: &str =
    include_str!("../golden/anthropic-messages/thinking-tools.json");
pub(crate) const SEARCH: &str = include_str!("../golden/anthropic-messages/search.sse");
pub(crate) const SEARCH_WHOLE: &str = include_str!("../golden/anthropic-messages/search.json");

pub(crate) fn call(body: &str) -> Call {
    Call::parse(HERE, Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

pub(crate) fn out<'a>(model: &'a str, quirks: &'a Quirks) -> Outgoing<'a> {
    let (output_limit, model_limit) = (None, None);
    Outgoing { model, output_limit, model_limit, limit_field: LimitField::MaxTokens, quirks }
}

pub(crate) fn naming() -> Naming {
    Naming {
        id: "req-7".to_owned(),
        created_s: 1_700_000_000,
        model: "served".to_owned(),
        include_usage: true,
        input_tokens: 321,
        custom_tools: Vec::new(),
        long_tools: Vec::new(),
    }
}

/// A body of `from`, as a provider of this dialect gets it.
pub(crate) fn translated(from: Dialect, body: &Value, out: &Outgoing<'_>) -> (Value, Losses) {
    let call = Call::parse(from, Bytes::from(body.to_string())).unwrap();
    let sent = translate::request(&call, HERE, out).unwrap();
    (serde_json::from_slice(&sent.body).unwrap(), sent.losses)
}

pub(crate) fn from_chat(body: &Value) -> (Value, Losses) {
    translated(Dialect::OpenAiChat, body, &out("claude", &Quirks::default()))
}

pub(crate) fn frames(bytes: &[u8], step: usize) -> Vec<Frame> {
    let mut framer = Framer::new(1 << 20);
    let mut frames = Vec::new();
    for piece in bytes.chunks(step) {
        framer.push(Bytes::copy_from_slice(piece), &mut frames).unwrap();
    }
    framer.finish(&mut frames);
    frames
}

/// A provider's stream as a caller of this dialect gets it.
pub(crate) fn streamed(from: Dialect, frames: &[Frame]) -> Vec<Frame> {
    let mut translator = StreamTranslator::new(from, HERE, naming());
    let mut out = Vec::new();
    translator.push(frames, &mut out).unwrap();
    translator.finish(&mut out);
    out
}

/// Chunks of OpenAI chat with these deltas, a reason to stop and usage, as this dialect's events.
pub(crate) fn from_chat_deltas(deltas: &[Value], reason: &str) -> Vec<Frame> {
    let chunk = |delta: &Value, reason: Value| {
        json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7,
            "model": "m-1", "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }] })
    };
    let mut wire = String::new();
    let mut add = |value: Value| wire.push_str(&format!("data: {value}\n\n"));
    deltas.iter().for_each(|delta| add(chunk(delta, Value::Null)));
    add(chunk(&json!({}), json!(reason)));
    add(json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7,
        "model": "m-1", "choices": [], "usage": { "prompt_tokens": 50, "completion_tokens": 9,
        "total_tokens": 59, "prompt_tokens_details": { "cached_tokens": 20 } } }));
    wire.push_str("data: [DONE]\n\n");
    streamed(Dialect::OpenAiChat, &frames(wire.as_bytes(), wire.len()))
}

pub(crate) fn tree(frame: &Frame) -> Value {
    serde_json::from_slice(&frame.data).unwrap()
}

/// The types of the events, each checked to be in its `event` line.
pub(crate) fn kinds(frames: &[Frame]) -> Vec<String> {
    let kind = |frame: &Frame| {
        let kind = tree(frame)["type"].as_str().unwrap().to_owned();
        assert_eq!(frame.event.as_deref(), Some(kind.as_bytes()));
        kind
    };
    frames.iter().map(kind).collect()
}

/// What a client makes of a stream.
pub(crate) fn fold(frames: &[Frame]) -> Value {
    kinds(frames);
    let mut message = Value::Null;
    let mut open: Option<(u64, String)> = None;
    for event in frames.iter().map(tree) {
        match event["type"].as_str().unwrap() {
            "message_start" => {
                assert!(message.is_null(), "one start");
                message = event["message"].clone();
                assert_eq!(message["content"], json!([]));
                assert_usage(&message["usage"]);
            }
            "content_block_start" => {
                assert!(open.is_none(), "one block at a time");
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(event["index"], json!(content.len()), "indexes without a gap");
                content.push(event["content_block"].clone());
                open = Some((event["index"].as_u64().unwrap(), String::new()));
            }
            "content_block_delta" => {
                let (index, json) = open.as_mut().unwrap();
                assert_eq!(event["index"], json!(*index));
                let at = usize::try_from(*index).unwrap();
                add(message["content"][at].as_object_mut().unwrap(), &event["delta"], json);
            }
            "content_block_stop" => {
                let (index, json) = open.take().unwrap();
                assert_eq!(event["index"], json!(index));
                if !json.is_empty() {
                    let at = usize::try_from(index).unwrap();
                    message["content"][at]["input"] = serde_json::from_str(&json).unwrap();
                }
            }
            "message_delta" => {
                assert!(open.is_none(), "every block has stopped");
                for (key, value) in event["delta"].as_object().unwrap() {
                    message[key] = value.clone();
                }
                for (key, value) in event["usage"].as_object().unwrap() {
                    message["usage"][key] = value.clone();
                }
            }
            _ => {}
        }
    }
    message
}

fn assert_usage(usage: &Value) {
    let counts = ["input_tokens", "output_tokens", "cache_creation_input_tokens"];
    for count in counts.into_iter().chain(["cache_read_input_tokens"]) {
        assert!(usage[count].is_u64(), "{count} in {usage}");
    }
    assert!(usage["cache_creation"]["ephemeral_5m_input_tokens"].is_u64());
    assert!(usage["cache_creation"]["ephemeral_1h_input_tokens"].is_u64());
}

fn add(block: &mut Map<String, Value>, delta: &Value, json: &mut String) {
    let kind = block["type"].as_str().unwrap().to_owned();
    let (belongs, key) = match delta["type"].as_str().unwrap() {
        "text_delta" => (kind == "text", "text"),
        "thinking_delta" => (kind == "thinking", "thinking"),
        "signature_delta" => (kind == "thinking", "signature"),
        "citations_delta" => {
            assert_eq!(kind, "text");
            let list = block.entry("citations").or_insert_with(|| json!([]));
            list.as_array_mut().unwrap().push(delta["citation"].clone());
            return;
        }
        "input_json_delta" => {
            assert!(kind.ends_with("tool_use"), "input in a block of {kind}");
            json.push_str(delta["partial_json"].as_str().unwrap());
            return;
        }
        other => panic!("unknown delta {other}"),
    };
    assert!(belongs, "{delta} in a block of {kind}");
    let text = format!("{}{}", block[key].as_str().unwrap(), delta[key].as_str().unwrap());
    block.insert(key.to_owned(), Value::from(text));
}
