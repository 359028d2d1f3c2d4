//! A stream of this dialect: every item is opened, grown, closed and repeated whole, under one id
//! and with rising numbers, because clients run tools from the closing event and show text from the
//! others. Items come one after the other. Never closes what it has not opened.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::chunk::StreamError;
use crate::content::Content;
use crate::neutral::sequence::Sequence;
use crate::neutral::{Event, Losses, Opening, Signature};
use crate::sse::Frame;
use crate::translate::Naming;

use super::item::{self, Facts};
use super::reply::{self, tokens};
use super::{citation, custom};

mod call;
mod message;
mod thinking;

use call::ToolCall;
use message::{Message, Said};
use thinking::Thinking;

/// State of one stream.
pub(crate) struct Stream {
    sequence: Sequence,
    /// Blocks of other answers than the first, which this dialect cannot hold.
    foreign: BTreeSet<u32>,
    facts: Facts,
    writer: Box<Writer>,
    /// The message whose parts are being written.
    message: Option<Message>,
    current: Option<Current>,
    over: bool,
}

/// The block that is open.
enum Current {
    Said(Said),
    Thinking(Thinking),
    Call(ToolCall),
}

/// Frames under rising numbers, and the items that are complete.
struct Writer {
    naming: Naming,
    number: u64,
    started: bool,
    output: Vec<Value>,
    frames: Vec<Frame>,
}

// === impl Stream ===

impl Stream {
    pub(crate) fn new(naming: Naming) -> Self {
        let (output, frames) = (Vec::new(), Vec::new());
        Self {
            sequence: Sequence::default(),
            foreign: BTreeSet::new(),
            facts: Facts::default(),
            writer: Box::new(Writer { naming, number: 0, started: false, output, frames }),
            message: None,
            current: None,
            over: false,
        }
    }

    /// Takes one event and adds the frames that it makes to `out`.
    pub(crate) fn push(&mut self, event: Event, losses: &mut Losses, out: &mut Vec<Frame>) {
        if self.over || self.is_foreign(&event, losses) {
            return;
        }
        let mut ready = Vec::new();
        if self.sequence.push(event, &mut ready).is_err() {
            let message = "the provider's stream has too many blocks side by side".to_owned();
            ready.push(Event::Error(StreamError {
                message: Content::from_string(message),
                kind: Some("server_error".to_owned()),
                code: None,
            }));
        }
        for event in ready {
            self.event(event, losses);
        }
        out.append(&mut self.writer.frames);
    }

    /// Whether an event belongs to an answer that cannot be told.
    fn is_foreign(&mut self, event: &Event, losses: &mut Losses) -> bool {
        match event {
            Event::Open { choice, .. }
            | Event::Logprobs { choice, .. }
            | Event::Finish { choice, .. }
                if *choice > 0 =>
            {
                if let Event::Open { block, .. } = event {
                    self.foreign.insert(*block);
                }
                losses.dropped("choices[1]", "the caller's dialect holds one answer");
                true
            }
            Event::Delta { block, .. }
            | Event::Signed { block, .. }
            | Event::Cited { block, .. }
            | Event::Close { block } => self.foreign.contains(block),
            _ => false,
        }
    }

    fn event(&mut self, event: Event, losses: &mut Losses) {
        if self.over {
            return;
        }
        match event {
            Event::Start { model, created_s, .. } => {
                (self.facts.model, self.facts.created_s) = (model, created_s);
                self.writer.start(&self.facts);
            }
            Event::Open { opening, .. } => self.open(opening, losses),
            Event::Delta { text, .. } => self.delta(&text.0),
            Event::Signed { signature, .. } => self.sign(signature, losses),
            Event::Cited { citation, .. } => {
                if let Some(Current::Said(said)) = &mut self.current {
                    match citation::annotation(&citation.0, said.text()) {
                        Some(value) => said.cite(value, &mut self.message, &mut self.writer),
                        None => losses.dropped("citations", "a citation of another dialect's kind"),
                    }
                }
            }
            Event::Close { .. } => self.close(),
            Event::Logprobs { value, .. } => {
                if let Some(Current::Said(said)) = &mut self.current {
                    said.logprobs(tokens(Some(&value.0)));
                }
            }
            Event::Finish { reason, .. } => {
                self.settle();
                self.facts.finish = Some(reason);
            }
            Event::Usage { usage, service_tier } => {
                self.facts.usage = Some(usage);
                self.facts.service_tier = service_tier.or(self.facts.service_tier.take());
            }
            Event::Ping => self.writer.ping(),
            Event::Error(fault) => self.fail(&fault),
            Event::End => self.end(),
        }
    }

    fn open(&mut self, opening: Opening, losses: &mut Losses) {
        self.writer.start(&self.facts);
        self.close();
        if !matches!(opening, Opening::Text | Opening::Refusal) {
            self.end_message();
        }
        self.current = match opening {
            Opening::Text => Some(Current::Said(Said::new(false))),
            Opening::Refusal => Some(Current::Said(Said::new(true))),
            Opening::Thinking => Some(Current::Thinking(Thinking::default())),
            Opening::SealedThinking(signature) => {
                Thinking::sealed(&signature, &mut self.writer);
                None
            }
            Opening::ToolCall { id, name, kind } => {
                Some(Current::Call(ToolCall::new(id, name, kind)))
            }
            Opening::Media { media_type, base64 } => {
                match media_type.strip_prefix("image/") {
                    Some(format) => self.image(&base64.0, format),
                    None => losses.dropped("output", "a medium that the dialect has no item for"),
                }
                None
            }
            Opening::Own(_) => {
                losses.dropped("output", "an item that only another dialect has");
                None
            }
        };
    }

    fn image(&mut self, base64: &str, format: &str) {
        let index = self.writer.output.len();
        let id = item::id(&self.writer.naming, "ig", index);
        let begun = json!({
            "id": id, "type": "image_generation_call", "status": "in_progress", "result": null,
        });
        self.writer.added(&begun);
        self.writer.done(item::image(&id, base64, format));
    }

    fn delta(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match &mut self.current {
            Some(Current::Said(said)) => said.write(text, &mut self.message, &mut self.writer),
            Some(Current::Thinking(thinking)) => thinking.write(text, &mut self.writer),
            Some(Current::Call(call)) => call.write(text, &mut self.writer),
            None => {}
        }
    }

    fn sign(&mut self, signature: Signature, losses: &mut Losses) {
        match &mut self.current {
            Some(Current::Thinking(thinking)) => thinking.sign(signature),
            Some(Current::Call(call)) => call.sign(signature, losses),
            Some(Current::Said(_)) => {
                losses.dropped("signature", "the dialect has no place for the proof of a text");
            }
            None => {}
        }
    }

    /// Ends the block that is open; the message it may be a part of stays open for the next part.
    fn close(&mut self) {
        match self.current.take() {
            Some(Current::Said(said)) => said.close(&mut self.message, &mut self.writer),
            Some(Current::Thinking(thinking)) => thinking.close(&mut self.writer),
            Some(Current::Call(call)) => call.close(&mut self.writer),
            None => {}
        }
    }

    fn end_message(&mut self) {
        if let Some(message) = self.message.take() {
            message.close(&mut self.writer);
        }
    }

    fn settle(&mut self) {
        self.close();
        self.end_message();
    }

    fn end(&mut self) {
        self.over = true;
        self.writer.start(&self.facts);
        self.settle();
        let output = self.writer.output.clone();
        let response = self.facts.ended(&self.writer.naming, output);
        let incomplete = response.get("status").is_some_and(|status| status == "incomplete");
        let name = if incomplete { "response.incomplete" } else { "response.completed" };
        self.writer.event(name, json!({"response": response}));
    }

    fn fail(&mut self, fault: &StreamError) {
        self.over = true;
        let output = self.writer.output.clone();
        let response = self.facts.failed(&self.writer.naming, output, fault);
        self.writer.event("response.failed", json!({"response": response}));
    }
}

// === impl Writer ===

impl Writer {
    fn start(&mut self, facts: &Facts) {
        if self.started {
            return;
        }
        self.started = true;
        let response = facts.begun(&self.naming);
        self.event("response.created", json!({"response": response}));
        self.event("response.in_progress", json!({"response": response}));
    }

    /// Writes one event.
    fn event(&mut self, name: &str, members: Value) {
        let mut payload = Map::new();
        payload.insert("type".to_owned(), json!(name));
        payload.insert("sequence_number".to_owned(), json!(self.number));
        if let Value::Object(members) = members {
            payload.extend(members);
        }
        self.number = self.number.saturating_add(1);
        let head = format!("event: {name}\ndata: ");
        let data = Value::Object(payload).to_string();
        let raw = Bytes::from([head.as_bytes(), data.as_bytes(), b"\n\n"].concat());
        let data = raw.slice(head.len()..head.len().saturating_add(data.len()));
        let event = Some(Bytes::copy_from_slice(name.as_bytes()));
        self.frames.push(Frame { raw, event, data });
    }

    /// An event inside the item that is being written, which is the next of the output.
    fn inside(&mut self, name: &str, item_id: &str, members: Value) {
        let mut all = Map::new();
        all.insert("item_id".to_owned(), json!(item_id));
        all.insert("output_index".to_owned(), json!(self.output.len()));
        if let Value::Object(members) = members {
            all.extend(members);
        }
        self.event(name, Value::Object(all));
    }

    /// An item begins.
    fn added(&mut self, item: &Value) {
        let index = self.output.len();
        self.event("response.output_item.added", json!({"output_index": index, "item": item}));
    }

    /// The item that was begun is complete.
    fn done(&mut self, item: Value) {
        let index = self.output.len();
        self.event("response.output_item.done", json!({"output_index": index, "item": item}));
        self.output.push(item);
    }

    /// This dialect has no event for it; every client passes over a comment.
    fn ping(&mut self) {
        let raw = Bytes::from_static(b": ping\n\n");
        self.frames.push(Frame { raw, event: None, data: Bytes::new() });
    }
}
