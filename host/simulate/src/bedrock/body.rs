//! Answers, whole and in the events of a stream, with the figures of their use.

use serde_json::{Map, Value, json};

use crate::answer::{Finish, Said, Used};
use crate::frame::{Frame, Kind};
use crate::seal::seal;
use crate::speech::Answered;
use crate::tokens;

/// A whole answer; the figures may be left out by a script.
pub(super) fn whole(answered: &Answered<'_>) -> Value {
    let said = answered.reply.choices.first();
    let content = said.map(|said| blocks(answered, said)).unwrap_or_default();
    let mut out = Map::new();
    let message = json!({ "role": "assistant", "content": content });
    out.insert("output".to_owned(), json!({ "message": message }));
    out.insert("stopReason".to_owned(), json!(stop(answered, said)));
    if answered.style.with_usage {
        out.insert("usage".to_owned(), usage(&answered.reply.usage));
    }
    out.insert("metrics".to_owned(), json!({ "latencyMs": 7 }));
    Value::Object(out)
}

/// The blocks of an answer: thinking, text, calls.
fn blocks(answered: &Answered<'_>, said: &Said) -> Vec<Value> {
    let mut out = Vec::new();
    if let Some(thought) = &said.reasoning {
        let signature = seal(answered.stamp.issuer, thought);
        let text = json!({ "text": thought, "signature": signature });
        out.push(json!({ "reasoningContent": { "reasoningText": text } }));
    }
    if !said.text.is_empty() {
        out.push(json!({ "text": said.text }));
    }
    for call in &said.calls {
        let input = call.object();
        out.push(json!({ "toolUse": { "toolUseId": call.id, "name": call.name, "input": input } }));
    }
    out
}

/// All events of an answer, in order.
pub(super) fn frames(answered: &Answered<'_>) -> Vec<Frame> {
    let said = answered.reply.choices.first();
    let mut out = vec![lifecycle("messageStart", &json!({ "role": "assistant" }))];
    let whole = answered.style.whole_items;
    let size = if whole { u32::MAX } else { answered.stamp.script.chunk_tokens };
    let blocks = said.map(|said| blocks(answered, said)).unwrap_or_default();
    for (index, block) in blocks.iter().enumerate() {
        if let Some(call) = block.get("toolUse") {
            let start = json!({ "toolUse": { "toolUseId": call.get("toolUseId"),
                "name": call.get("name") } });
            let data = json!({ "contentBlockIndex": index, "start": start });
            out.push(Frame { kind: Kind::Content, ..lifecycle("contentBlockStart", &data) });
        }
        for (delta, tokens) in deltas(block, size) {
            let data = json!({ "contentBlockIndex": index, "delta": delta }).to_string();
            let event = Some("contentBlockDelta");
            out.push(Frame { kind: Kind::Content, event, data, tokens });
        }
        out.push(lifecycle("contentBlockStop", &json!({ "contentBlockIndex": index })));
    }
    let stop = json!({ "stopReason": stop(answered, said) });
    out.push(Frame { kind: Kind::Finish, ..lifecycle("messageStop", &stop) });
    let mut last = json!({ "metrics": { "latencyMs": 7 } });
    if let (true, Some(members)) = (answered.style.with_usage, last.as_object_mut()) {
        members.insert("usage".to_owned(), usage(&answered.reply.usage));
    }
    out.push(Frame { kind: Kind::Usage, ..lifecycle("metadata", &last) });
    out
}

/// A block in pieces of so many tokens.
fn deltas(block: &Value, size: u32) -> Vec<(Value, u64)> {
    let cut = |text: &str, wrap: fn(&str) -> Value| -> Vec<(Value, u64)> {
        let pieces = tokens::groups(text, size).into_iter();
        pieces.map(|(piece, count)| (wrap(piece), count)).collect()
    };
    if let Some(text) = block.get("text").and_then(Value::as_str) {
        return cut(text, |piece| json!({ "text": piece }));
    }
    if let Some(thought) = block.pointer("/reasoningContent/reasoningText") {
        let text = thought.get("text").and_then(Value::as_str).unwrap_or("");
        let mut out = cut(text, |piece| json!({ "reasoningContent": { "text": piece } }));
        let signature = thought.get("signature");
        out.push((json!({ "reasoningContent": { "signature": signature } }), 0));
        return out;
    }
    // Of a call without arguments no delta comes.
    match block.pointer("/toolUse/input").map(Value::to_string) {
        Some(input) if input != "{}" => {
            cut(&input, |piece| json!({ "toolUse": { "input": piece } }))
        }
        _ => Vec::new(),
    }
}

fn lifecycle(event: &'static str, data: &Value) -> Frame {
    Frame { kind: Kind::Lifecycle, event: Some(event), data: data.to_string(), tokens: 0 }
}

fn stop<'s>(answered: &Answered<'s>, said: Option<&Said>) -> &'s str {
    if let Some(reason) = &answered.stamp.script.stop_reason {
        return reason;
    }
    match said.map_or(Finish::Stop, |said| said.finish) {
        Finish::Stop if said.is_some_and(|said| said.stopped_by.is_some()) => "stop_sequence",
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Refusal => "content_filtered",
    }
}

/// Tokens read from a cache, and those written to it, are beside the input's.
fn usage(used: &Used) -> Value {
    let written = used.cache_write.saturating_add(used.cache_write_1h);
    let input = used.prompt.saturating_sub(used.cached).saturating_sub(written);
    json!({
        "inputTokens": input,
        "outputTokens": used.completion,
        "totalTokens": used.prompt.saturating_add(used.completion),
        "cacheReadInputTokens": used.cached,
        "cacheWriteInputTokens": written,
    })
}
