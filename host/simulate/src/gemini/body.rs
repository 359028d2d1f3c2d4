//! Candidates, whole and in chunks, with the figures of their use.

use serde_json::{Map, Value, json};

use super::contents::needs_signatures;
use crate::answer::{Finish, Said, ToolCall, Used, Wish};
use crate::frame::{Frame, Kind};
use crate::seal::seal;
use crate::speech::{Answered, Stamp};
use crate::tokens;

/// A whole answer; the figures may be left out by a script.
pub(super) fn whole(answered: &Answered<'_>) -> Value {
    let candidates: Vec<Value> = answered
        .reply
        .choices
        .iter()
        .enumerate()
        .map(|(index, said)| {
            let parts = parts(answered, said);
            let (reason, note) = finish(answered.stamp, said);
            let mut candidate = Map::new();
            if !parts.is_empty() {
                let content = json!({ "parts": parts, "role": "model" });
                candidate.insert("content".to_owned(), content);
            }
            candidate.insert("finishReason".to_owned(), json!(reason));
            candidate.insert("index".to_owned(), json!(index));
            if let Some(note) = note {
                candidate.insert("finishMessage".to_owned(), json!(note));
            }
            if let Some(cited) = citations(said) {
                candidate.insert("citationMetadata".to_owned(), cited);
            }
            Value::Object(candidate)
        })
        .collect();
    chunk(answered, &json!(candidates), Some(&answered.reply.usage))
}

/// All chunks of an answer, in order; the last says why it ended.
pub(super) fn frames(answered: &Answered<'_>) -> Vec<Frame> {
    let Answered { stamp, reply, style, .. } = *answered;
    let mut out = Vec::new();
    let size = if style.whole_items { u32::MAX } else { stamp.script.chunk_tokens };
    let begun = Used { completion: 0, reasoning: 0, ..reply.usage };
    for (index, said) in reply.choices.iter().enumerate() {
        for (part, tokens) in small(&parts(answered, said), size) {
            let content = json!({ "parts": [part], "role": "model" });
            let candidates = json!([{ "content": content, "index": index }]);
            let data = chunk(answered, &candidates, Some(&begun)).to_string();
            out.push(Frame { kind: Kind::Content, event: None, data, tokens });
        }
    }
    let ended = |(index, said): (usize, &Said)| {
        let (reason, note) = finish(stamp, said);
        let mut part = json!({ "text": "" });
        // The signature of a text comes after it; calls have theirs already.
        let signed = said.calls.is_empty() && signs(answered);
        if let (true, Some(members)) = (signed, part.as_object_mut()) {
            let sealed = seal(stamp.issuer, &said.text);
            members.insert("thoughtSignature".to_owned(), json!(sealed));
        }
        let mut candidate = json!({ "content": { "parts": [part], "role": "model" },
            "finishReason": reason, "index": index });
        if let Some(members) = candidate.as_object_mut() {
            if let Some(note) = note {
                members.insert("finishMessage".to_owned(), json!(note));
            }
            if let Some(cited) = citations(said) {
                members.insert("citationMetadata".to_owned(), cited);
            }
            if said.finish == Finish::Refusal {
                members.shift_remove("content");
            }
        }
        candidate
    };
    let candidates: Vec<Value> = reply.choices.iter().enumerate().map(ended).collect();
    let data = chunk(answered, &json!(candidates), Some(&reply.usage)).to_string();
    out.push(Frame { kind: Kind::Done, event: None, data, tokens: 0 });
    out
}

fn chunk(answered: &Answered<'_>, candidates: &Value, used: Option<&Used>) -> Value {
    let stamp = answered.stamp;
    let mut out = json!({ "candidates": candidates });
    if let Some(members) = out.as_object_mut() {
        if let (true, Some(used)) = (answered.style.with_usage, used) {
            members.insert("usageMetadata".to_owned(), usage(used));
        }
        members.insert("modelVersion".to_owned(), json!(stamp.model));
        members.insert("responseId".to_owned(), json!(stamp.id("", 0, 22)));
    }
    out
}

/// Whether parts have signatures of the thinking behind them.
fn signs(answered: &Answered<'_>) -> bool {
    needs_signatures(answered.stamp.script)
        || (answered.ask.thinking != Wish::No && answered.reply.usage.reasoning > 0)
}

/// The parts of an answer: thoughts, text, calls.
fn parts(answered: &Answered<'_>, said: &Said) -> Vec<Value> {
    let stamp = answered.stamp;
    let mut out = Vec::new();
    if said.finish == Finish::Refusal {
        return out;
    }
    if let Some(thought) = &said.reasoning {
        out.push(json!({ "text": thought, "thought": true }));
    }
    if !said.text.is_empty() {
        out.push(json!({ "text": said.text }));
    }
    let named = stamp.model.starts_with("gemini-3");
    for (nth, call) in said.calls.iter().enumerate() {
        let Value::Object(args) = call.object() else { continue };
        let mut function = json!({ "name": call.name, "args": args });
        if let (true, Some(members)) = (named, function.as_object_mut()) {
            members.insert("id".to_owned(), json!(call.id));
        }
        let mut part = json!({ "functionCall": function });
        // Of parallel calls only the first is signed.
        if let (true, Some(members)) = (nth == 0 && signs(answered), part.as_object_mut()) {
            members.insert("thoughtSignature".to_owned(), json!(seal(stamp.issuer, &call.name)));
        }
        out.push(part);
    }
    out
}

/// Parts cut into chunks: texts in pieces, calls whole.
fn small(parts: &[Value], size: u32) -> Vec<(Value, u64)> {
    let mut out = Vec::new();
    for part in parts {
        let Some(text) = part.get("text").and_then(Value::as_str) else {
            out.push((part.clone(), tokens::count(&part.to_string())));
            continue;
        };
        for (piece, count) in tokens::groups(text, size) {
            let mut small = part.clone();
            if let Some(text) = small.get_mut("text") {
                *text = json!(piece);
            }
            out.push((small, count));
        }
    }
    out
}

/// Why it ended, and a word on it.
fn finish<'s>(stamp: &Stamp<'s>, said: &Said) -> (&'s str, Option<&'static str>) {
    if let Some(reason) = &stamp.script.stop_reason {
        return (reason, None);
    }
    let broken = |call: &ToolCall| !call.object().is_object();
    match said.finish {
        Finish::ToolCalls if said.calls.iter().any(broken) => {
            ("MALFORMED_FUNCTION_CALL", Some("Malformed function call"))
        }
        Finish::Stop | Finish::ToolCalls => ("STOP", None),
        Finish::Length => ("MAX_TOKENS", None),
        Finish::Refusal => ("SAFETY", None),
    }
}

fn citations(said: &Said) -> Option<Value> {
    if said.citations.is_empty() {
        return None;
    }
    let source = json!({ "startIndex": 0, "endIndex": said.text.len(),
        "uri": "https://example.com/source" });
    Some(json!({ "citationSources": [source] }))
}

fn usage(used: &Used) -> Value {
    let text = |count: u64| json!([{ "modality": "TEXT", "tokenCount": count }]);
    let mut out = json!({
        "promptTokenCount": used.prompt,
        "candidatesTokenCount": used.completion.saturating_sub(used.reasoning),
        "totalTokenCount": used.prompt.saturating_add(used.completion),
        "promptTokensDetails": text(used.prompt),
    });
    if let Some(members) = out.as_object_mut() {
        if used.cached > 0 {
            members.insert("cachedContentTokenCount".to_owned(), json!(used.cached));
            members.insert("cacheTokensDetails".to_owned(), text(used.cached));
        }
        if used.reasoning > 0 {
            members.insert("thoughtsTokenCount".to_owned(), json!(used.reasoning));
        }
    }
    out
}
