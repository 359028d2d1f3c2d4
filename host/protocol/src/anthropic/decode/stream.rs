//! A provider's stream as neutral events. Blocks come one at a time here; those that only this
//! dialect has are gathered and passed on whole. Reports of usage are laid over one another.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::Usage;
use crate::answer::AnswerError;
use crate::anthropic::usage;
use crate::neutral::{Event, Finish, Issuer, Opening, Signature, ToolKind, Words};
use crate::openai_chat::tree;
use crate::sse::Frame;

use super::reply::{signature, stream_error};
use super::{finish, normal, string};

/// Blocks that one stream may have open at once; providers have one.
const OPEN_MAX: usize = 64;

/// Reads one stream.
#[derive(Default)]
pub(crate) struct Stream {
    started: bool,
    over: bool,
    stopped: bool,
    called: bool,
    /// Number of the next block.
    next: u32,
    open: BTreeMap<u64, Open>,
    usage: Option<Usage>,
    service_tier: Option<String>,
}

/// A block that has started and not stopped.
struct Open {
    block: u32,
    kind: Kind,
}

enum Kind {
    Text,
    Thinking,
    /// Its deltas follow, or its whole input came when it started.
    Tool {
        whole: Option<String>,
        fed: bool,
    },
    Sealed,
    /// What only this dialect has, and the JSON of its input so far.
    Own {
        value: Map<String, Value>,
        input: String,
    },
}

// === impl Stream ===

impl Stream {
    /// Takes one frame.
    pub(crate) fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<(), AnswerError> {
        if self.over || !frame.carries_data() {
            return Ok(());
        }
        let value: Value = tree::read(&frame.data)?;
        let Some(event) = value.as_object() else {
            return Err(AnswerError { at: 0, what: "no object" });
        };
        let index = event.get("index").and_then(Value::as_u64).unwrap_or_default();
        let member = |key: &str| event.get(key).and_then(Value::as_object);
        match event.get("type").and_then(Value::as_str).unwrap_or_default() {
            "message_start" => self.start(member("message"), out),
            "content_block_start" => {
                if let Some(block) = member("content_block") {
                    self.open(index, block, out);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = member("delta") {
                    self.delta(index, delta, out);
                }
            }
            "content_block_stop" => self.close(index, out),
            "message_delta" => self.message_delta(member("delta"), event.get("usage"), out),
            "message_stop" => self.end(out),
            "ping" => out.push(Event::Ping),
            "error" => {
                self.over = true;
                let error = event.get("error").unwrap_or(&Value::Null);
                out.push(Event::Error(stream_error(error)));
            }
            _ => {}
        }
        Ok(())
    }

    /// The body has ended. An answer whose reason to stop was given is complete.
    pub(crate) fn finish(&mut self, out: &mut Vec<Event>) {
        if self.stopped && !self.over {
            self.end(out);
        }
    }

    /// Some gateways send a second one after a retry of their own; the first one stands.
    fn start(&mut self, message: Option<&Map<String, Value>>, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let said = |key| message.and_then(|message| string(message, key));
        out.push(Event::Start { id: said("id"), model: said("model"), created_s: None });
        self.report(message.and_then(|message| message.get("usage")), out);
    }

    fn report(&mut self, reported: Option<&Value>, out: &mut Vec<Event>) {
        let Some(reported) = reported.filter(|reported| reported.is_object()) else { return };
        let report = usage::from_value(reported);
        if report.service_tier.is_some() {
            self.service_tier = report.service_tier;
        }
        if report.update.is_empty() {
            return;
        }
        let mut usage = self.usage.unwrap_or_default();
        report.update.apply(&mut usage);
        self.usage = Some(usage);
        out.push(Event::Usage { usage, service_tier: self.service_tier.clone() });
    }

    fn open(&mut self, index: u64, block: &Map<String, Value>, out: &mut Vec<Event>) {
        self.close(index, out);
        if self.open.len() >= OPEN_MAX {
            return;
        }
        let said = |key| string(block, key).unwrap_or_default();
        let kind = match block.get("type").and_then(Value::as_str).unwrap_or_default() {
            "text" => Kind::Text,
            "thinking" => Kind::Thinking,
            "redacted_thinking" => Kind::Sealed,
            "tool_use" => Kind::Tool { whole: whole_input(block.get("input")), fed: false },
            _ => Kind::Own { value: block.clone(), input: String::new() },
        };
        let opening = match &kind {
            Kind::Text => Some(Opening::Text),
            Kind::Thinking => Some(Opening::Thinking),
            Kind::Sealed => {
                let sealed = Signature::read(Issuer::Anthropic, &said("data"));
                Some(Opening::SealedThinking(sealed))
            }
            Kind::Tool { .. } => {
                self.called = true;
                let (id, name) = (string(block, "id"), said("name"));
                Some(Opening::ToolCall { id, name, kind: ToolKind::Function })
            }
            // It opens when all of it is there.
            Kind::Own { .. } => None,
        };
        let number = self.next;
        if let Some(opening) = opening {
            self.next = self.next.saturating_add(1);
            out.push(Event::Open { block: number, choice: 0, opening });
        }
        self.open.insert(index, Open { block: number, kind });
        for key in ["text", "thinking"] {
            self.text(index, said(key), out);
        }
        self.sign(index, block, out);
    }

    fn delta(&mut self, index: u64, delta: &Map<String, Value>, out: &mut Vec<Event>) {
        let kind = delta.get("type").and_then(Value::as_str).unwrap_or_default();
        let said = |key| string(delta, key).unwrap_or_default();
        match kind {
            "text_delta" => {
                self.ensure(index, "text", out);
                self.text(index, said("text"), out);
            }
            "thinking_delta" => {
                self.ensure(index, "thinking", out);
                self.text(index, said("thinking"), out);
            }
            "signature_delta" => self.sign(index, delta, out),
            "input_json_delta" => self.input(index, said("partial_json"), out),
            "citations_delta" => {
                let open = self.open.get(&index).map(|open| open.block);
                if let (Some(block), Some(citation)) = (open, delta.get("citation")) {
                    out.push(Event::Cited { block, citation: citation.clone().into() });
                }
            }
            _ => self.grow_own(index, delta),
        }
    }

    /// A delta whose block never started starts it.
    fn ensure(&mut self, index: u64, kind: &str, out: &mut Vec<Event>) {
        if !self.open.contains_key(&index) {
            let block = Map::from_iter([("type".to_owned(), Value::from(kind))]);
            self.open(index, &block, out);
        }
    }

    fn text(&mut self, index: u64, text: String, out: &mut Vec<Event>) {
        let Some(open) = self.open.get(&index) else { return };
        if !text.is_empty() && matches!(open.kind, Kind::Text | Kind::Thinking) {
            out.push(Event::Delta { block: open.block, text: text.into() });
        }
    }

    fn sign(&mut self, index: u64, holder: &Map<String, Value>, out: &mut Vec<Event>) {
        let Some(open) = self.open.get(&index) else { return };
        if let (Kind::Thinking, Some(signature)) = (&open.kind, signature(holder)) {
            out.push(Event::Signed { block: open.block, signature });
        }
    }

    fn input(&mut self, index: u64, piece: String, out: &mut Vec<Event>) {
        let Some(open) = self.open.get_mut(&index) else { return };
        match &mut open.kind {
            Kind::Tool { fed, .. } if !piece.is_empty() => {
                *fed = true;
                out.push(Event::Delta { block: open.block, text: piece.into() });
            }
            Kind::Own { input, .. } => input.push_str(&piece),
            _ => {}
        }
    }

    /// What a delta of an unknown type brings belongs to the block as it is: a summary, a result.
    fn grow_own(&mut self, index: u64, delta: &Map<String, Value>) {
        let Some(Open { kind: Kind::Own { value, .. }, .. }) = self.open.get_mut(&index) else {
            return;
        };
        for (key, piece) in delta.iter().filter(|(key, _)| *key != "type") {
            match (value.get_mut(key), piece) {
                (Some(Value::String(text)), Value::String(piece)) => text.push_str(piece),
                _ => {
                    value.insert(key.clone(), piece.clone());
                }
            }
        }
    }

    fn close(&mut self, index: u64, out: &mut Vec<Event>) {
        let Some(open) = self.open.remove(&index) else { return };
        let mut block = open.block;
        match open.kind {
            // An input that never came in pieces, or not at all, comes now.
            Kind::Tool { whole, fed: false } => {
                let text: Words = whole.unwrap_or_else(|| "{}".to_owned()).into();
                out.push(Event::Delta { block, text });
            }
            Kind::Own { mut value, input } => {
                if let Ok(input) = serde_json::from_str::<Value>(&input) {
                    value.insert("input".to_owned(), input);
                }
                block = self.next;
                self.next = self.next.saturating_add(1);
                let opening = Opening::Own(Value::Object(value).into());
                out.push(Event::Open { block, choice: 0, opening });
            }
            Kind::Text | Kind::Thinking | Kind::Sealed | Kind::Tool { .. } => {}
        }
        out.push(Event::Close { block });
    }

    fn close_all(&mut self, out: &mut Vec<Event>) {
        while let Some(index) = self.open.keys().next().copied() {
            self.close(index, out);
        }
    }

    fn message_delta(
        &mut self,
        delta: Option<&Map<String, Value>>,
        reported: Option<&Value>,
        out: &mut Vec<Event>,
    ) {
        let said = |key| delta.and_then(|delta| string(delta, key));
        if let Some(reason) = said("stop_reason").filter(|_| !self.stopped) {
            self.close_all(out);
            self.stopped = true;
            let reason: Finish = normal(finish(&reason), self.called);
            let stop_sequence = said("stop_sequence").map(Words::from);
            out.push(Event::Finish { choice: 0, reason, stop_sequence });
        }
        self.report(reported, out);
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.close_all(out);
        self.over = true;
        out.push(Event::End);
    }
}

/// An input that is there when its block starts; an empty object is only its beginning.
fn whole_input(input: Option<&Value>) -> Option<String> {
    match input? {
        Value::Object(object) if object.is_empty() => None,
        Value::Object(_) => input.map(Value::to_string),
        _ => None,
    }
}
