//! Stream frames: the role first, then deltas, the finish, the usage if asked for, the end mark.
//! Every frame is a whole server-sent event; how and when it is written is delivery's business.

use serde_json::{Map, Value, json};

use super::body::{annotations, finish_reason, id, token_logprobs, usage};
use super::error::error;
use crate::answer::{Finish, Said, ToolCall};
use crate::frame::{Frame, Kind};
use crate::speech::{Answered, Stamp};
use crate::tokens;

/// All frames of an answer, in order.
pub(crate) fn frames(answered: &Answered<'_>) -> Vec<Frame> {
    let Answered { stamp, ask, reply, style } = *answered;
    let chunk_tokens = if style.whole_items { u32::MAX } else { stamp.script.chunk_tokens };
    let writer = Writer {
        stamp,
        with_usage_field: ask.include_usage,
        logprobs: ask.logprobs,
        whole: style.whole_items,
        interleaved: style.interleaved,
    };
    let mut out = Vec::new();
    for index in 0..reply.choices.len() {
        let delta = json!({ "role": "assistant", "content": "", "refusal": null });
        out.push(writer.delta(Kind::Lifecycle, index, &delta, None, 0));
    }
    let per_choice: Vec<Vec<Frame>> = reply
        .choices
        .iter()
        .enumerate()
        .map(|(index, said)| writer.content(index, said, chunk_tokens))
        .collect();
    let longest = per_choice.iter().map(Vec::len).max().unwrap_or(0);
    for nth in 0..longest {
        out.extend(per_choice.iter().filter_map(|frames| frames.get(nth)).cloned());
    }
    for (index, said) in reply.choices.iter().enumerate() {
        out.push(writer.delta(
            Kind::Finish,
            index,
            &json!({}),
            Some(finish_reason(said, stamp)),
            0,
        ));
    }
    if ask.include_usage {
        let mut chunk = writer.chunk(json!([]));
        chunk.insert("usage".to_owned(), usage(&reply.usage));
        out.push(frame(Kind::Usage, &Value::Object(chunk), 0));
    }
    let done = "[DONE]".to_owned();
    out.push(Frame { kind: Kind::Done, event: None, data: done, tokens: 0 });
    out
}

/// An error inside a stream that began with status 200.
pub(crate) fn error_frame(kind: &str, message: &str) -> Frame {
    let body = error(500, message, kind, None, None).body;
    frame(Kind::Finish, &body, 0)
}

/// A frame whose JSON is cut.
pub(crate) fn malformed_frame(stamp: &Stamp<'_>) -> Frame {
    let data = format!("{{\"id\":\"{}\",\"choices\":[{{\"index\":0,\"del", id(stamp));
    Frame { kind: Kind::Content, event: None, data, tokens: 0 }
}

struct Writer<'a> {
    stamp: &'a Stamp<'a>,
    /// With `include_usage`, every chunk has the field, and it is null in all but the last.
    with_usage_field: bool,
    logprobs: bool,
    /// A tool call comes in one delta.
    whole: bool,
    /// Parallel tool calls come in turns.
    interleaved: bool,
}

impl Writer<'_> {
    fn content(&self, index: usize, said: &Said, chunk_tokens: u32) -> Vec<Frame> {
        let mut out = Vec::new();
        for (text, count) in tokens::groups(said.reasoning.as_deref().unwrap_or(""), chunk_tokens) {
            let delta = json!({ "reasoning_content": text });
            out.push(self.delta(Kind::Content, index, &delta, None, count));
        }
        let member = if said.finish == Finish::Refusal { "refusal" } else { "content" };
        for (text, count) in tokens::groups(&said.text, chunk_tokens) {
            out.push(self.delta(Kind::Content, index, &json!({ member: text }), None, count));
        }
        if !said.citations.is_empty() {
            let delta = json!({ "annotations": annotations(said) });
            out.push(self.delta(Kind::Lifecycle, index, &delta, None, 0));
        }
        let calls = (0..).zip(&said.calls);
        let calls: Vec<Vec<Frame>> =
            calls.map(|(nth, call)| self.call((index, nth), call, chunk_tokens)).collect();
        if self.interleaved {
            let longest = calls.iter().map(Vec::len).max().unwrap_or(0);
            for turn in 0..longest {
                out.extend(calls.iter().filter_map(|frames| frames.get(turn)).cloned());
            }
        } else {
            out.extend(calls.into_iter().flatten());
        }
        out
    }

    fn call(&self, (index, nth): (usize, usize), call: &ToolCall, chunk: u32) -> Vec<Frame> {
        let (kind, member) =
            if call.custom { ("custom", "input") } else { ("function", "arguments") };
        let first = if self.whole { call.arguments.as_str() } else { "" };
        let opening = json!({ "index": nth, "id": call.id, "type": kind,
            kind: { "name": call.name, member: first } });
        let delta = json!({ "tool_calls": [opening] });
        let mut out = vec![self.delta(Kind::Content, index, &delta, None, 1)];
        if self.whole {
            return out;
        }
        for (text, count) in tokens::groups(&call.arguments, chunk) {
            let part = json!({ "index": nth, kind: { member: text } });
            let delta = json!({ "tool_calls": [part] });
            out.push(self.delta(Kind::Content, index, &delta, None, count));
        }
        out
    }

    fn delta(
        &self,
        kind: Kind,
        index: usize,
        delta: &Value,
        finish: Option<&str>,
        tokens: u64,
    ) -> Frame {
        let text = delta.get("content").and_then(Value::as_str).filter(|text| !text.is_empty());
        let logprobs = text.filter(|_| self.logprobs).map_or(Value::Null, token_logprobs);
        let choice = json!({ "index": index, "delta": delta, "logprobs": logprobs,
            "finish_reason": finish });
        frame(kind, &Value::Object(self.chunk(json!([choice]))), tokens)
    }

    fn chunk(&self, choices: Value) -> Map<String, Value> {
        let mut chunk = Map::new();
        chunk.insert("id".to_owned(), json!(id(self.stamp)));
        chunk.insert("object".to_owned(), json!("chat.completion.chunk"));
        chunk.insert("created".to_owned(), json!(self.stamp.created));
        chunk.insert("model".to_owned(), json!(self.stamp.model));
        chunk.insert("service_tier".to_owned(), json!(self.stamp.script.service_tier));
        chunk.insert("system_fingerprint".to_owned(), json!(self.stamp.fingerprint));
        chunk.insert("choices".to_owned(), choices);
        if self.with_usage_field {
            chunk.insert("usage".to_owned(), Value::Null);
        }
        chunk
    }
}

fn frame(kind: Kind, data: &Value, tokens: u64) -> Frame {
    Frame { kind, event: None, data: data.to_string(), tokens }
}
