//! Stream frames: the role first, then deltas, the finish, the usage if asked for, the end mark.
//! Every frame is a whole server-sent event; how and when it is written is delivery's business.

use serde_json::{Map, Value, json};

use super::body::{finish_reason, id, token_logprobs, usage};
use super::error::error;
use crate::answer::Said;
use crate::frame::{Frame, Kind};
use crate::speech::{Answered, Stamp};
use crate::tokens;

/// All frames of an answer, in order.
pub(crate) fn frames(answered: &Answered<'_>) -> Vec<Frame> {
    let Answered { stamp, ask, reply, .. } = *answered;
    let chunk_tokens = stamp.script.chunk_tokens;
    let writer = Writer { stamp, with_usage_field: ask.include_usage, logprobs: ask.logprobs };
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
            Some(finish_reason(said.finish)),
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
}

impl Writer<'_> {
    fn content(&self, index: usize, said: &Said, chunk_tokens: u32) -> Vec<Frame> {
        let mut out = Vec::new();
        for (text, count) in tokens::groups(said.reasoning.as_deref().unwrap_or(""), chunk_tokens) {
            let delta = json!({ "reasoning_content": text });
            out.push(self.delta(Kind::Content, index, &delta, None, count));
        }
        for (text, count) in tokens::groups(&said.text, chunk_tokens) {
            out.push(self.delta(Kind::Content, index, &json!({ "content": text }), None, count));
        }
        for (nth, call) in said.calls.iter().enumerate() {
            let function = json!({ "name": call.name, "arguments": "" });
            let opening =
                json!({ "index": nth, "id": call.id, "type": "function", "function": function });
            let delta = json!({ "tool_calls": [opening] });
            out.push(self.delta(Kind::Content, index, &delta, None, 1));
            for (text, count) in tokens::groups(&call.arguments, chunk_tokens) {
                let part = json!({ "index": nth, "function": { "arguments": text } });
                let delta = json!({ "tool_calls": [part] });
                out.push(self.delta(Kind::Content, index, &delta, None, count));
            }
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
