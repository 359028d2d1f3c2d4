//! A Responses stream as neutral events. Servers differ in which of the closing events they send,
//! so whatever was not streamed is taken from the first event that has it whole. Never sends a text
//! twice.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::answer::AnswerError;
use crate::neutral::{Block, Event, Finish, Opening, ToolKind};
use crate::openai_chat::tree;
use crate::sse::Frame;

use super::blocks::{self, str_of};
use super::{created, error, finish, text, usage};

/// State of one stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    started: bool,
    over: bool,
    /// The number of the next block.
    next: u32,
    items: BTreeMap<u64, Item>,
    /// What the answer holds, for the reason that it ended.
    called: bool,
    refused: bool,
    /// Items that were complete.
    ended: usize,
}

/// One item of the output.
#[derive(Debug, Default)]
struct Item {
    blocks: Vec<Open>,
    done: bool,
}

/// A block of an item.
#[derive(Debug)]
struct Open {
    place: Place,
    block: u32,
    /// Something of its text has gone out.
    seen: bool,
    closed: bool,
    cited: bool,
    /// The part of thinking that was written last.
    part: u64,
}

/// Which block of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Part(u64),
    /// Summary or thinking itself: whichever comes first stands for both.
    Thinking(&'static str),
    Call(ToolKind),
}

// === impl Stream ===

impl Stream {
    /// Takes one frame and adds what it says to `out`.
    pub(crate) fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<(), AnswerError> {
        let data = frame.data.trim_ascii();
        if self.over || data == b"[DONE]" {
            return Ok(());
        }
        if data.is_empty() {
            out.push(Event::Ping);
            return Ok(());
        }
        self.event(&Value::Object(tree::read(data)?), out);
        Ok(())
    }

    /// The body has ended. This dialect has an end mark, so there is nothing to complete.
    pub(crate) fn finish(&mut self, _out: &mut Vec<Event>) {}

    fn event(&mut self, event: &Value, out: &mut Vec<Event>) {
        let kind = str_of(event, "type");
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(event.get("response"), out);
            }
            "response.output_item.added" => self.added(event, out),
            "response.output_item.done" => {
                if let Some(item) = event.get("item") {
                    self.done(number(event, "output_index"), item, out);
                }
            }
            "response.completed" | "response.incomplete" => self.end(event, out),
            "response.failed" | "response.cancelled" => {
                self.over = true;
                let response = event.get("response").unwrap_or(&Value::Null);
                let fault = response.get("error").filter(|fault| !fault.is_null());
                let silent = json!({"message": "the provider's response failed"});
                out.push(Event::Error(error::of_value(fault.unwrap_or(&silent))));
            }
            "error" => {
                self.over = true;
                let fault = event.get("error").filter(|fault| !fault.is_null());
                out.push(Event::Error(error::of_value(fault.unwrap_or(event))));
            }
            "" => {
                if let Some(fault) = event.get("error").filter(|fault| !fault.is_null()) {
                    self.over = true;
                    out.push(Event::Error(error::of_value(fault)));
                }
            }
            "keepalive" => out.push(Event::Ping),
            _ => self.inside(kind, event, out),
        }
    }

    /// Events of one item's inside.
    fn inside(&mut self, kind: &str, event: &Value, out: &mut Vec<Event>) {
        let (item, part) = (number(event, "output_index"), number(event, "content_index"));
        let delta = str_of(event, "delta");
        match kind {
            "response.output_text.delta" => {
                self.said(item, part, Opening::Text, delta, out);
                self.logprobs(event, out);
            }
            "response.refusal.delta" => self.said(item, part, Opening::Refusal, delta, out),
            "response.output_text.done" => {
                let text = str_of(event, "text");
                self.whole((item, part), Opening::Text, text, event, out);
            }
            "response.refusal.done" => {
                let text = str_of(event, "refusal");
                self.whole((item, part), Opening::Refusal, text, event, out);
            }
            "response.content_part.done" => {
                if let Some(content) = event.get("part") {
                    self.part_done(item, part, content, out);
                }
            }
            "response.output_text.annotation.added" => {
                if let (Some(open), Some(citation)) =
                    (self.open(item, Place::Part(part)), event.get("annotation"))
                {
                    open.cited = true;
                    let (block, citation) = (open.block, citation.clone().into());
                    out.push(Event::Cited { block, citation });
                }
            }
            "response.reasoning_summary_text.delta" => {
                self.thought(item, ("summary", number(event, "summary_index")), delta, out);
            }
            "response.reasoning_text.delta" => self.thought(item, ("content", part), delta, out),
            "response.function_call_arguments.delta" => {
                self.argued(item, ToolKind::Function, delta, out);
            }
            "response.custom_tool_call_input.delta" => {
                self.argued(item, ToolKind::Custom, delta, out);
            }
            "response.function_call_arguments.done" => {
                self.argued_whole(item, ToolKind::Function, str_of(event, "arguments"), out);
            }
            "response.custom_tool_call_input.done" => {
                self.argued_whole(item, ToolKind::Custom, str_of(event, "input"), out);
            }
            _ => {}
        }
    }

    fn start(&mut self, response: Option<&Value>, out: &mut Vec<Event>) {
        if self.started {
            return;
        }
        self.started = true;
        let none = Map::new();
        let response = response.and_then(Value::as_object).unwrap_or(&none);
        out.push(Event::Start {
            id: text(response, "id"),
            model: text(response, "model"),
            created_s: created(response),
        });
    }

    /// The block at a place, if it is there.
    fn open(&mut self, item: u64, place: Place) -> Option<&mut Open> {
        let item = self.items.get_mut(&item)?;
        item.blocks.iter_mut().find(|open| open.place == place)
    }

    /// The block at a place, opened now if it is not there.
    fn opened(
        &mut self,
        item: u64,
        place: Place,
        opening: Opening,
        out: &mut Vec<Event>,
    ) -> Option<&mut Open> {
        self.start(None, out);
        if self.open(item, place).is_none() {
            self.called |= matches!(opening, Opening::ToolCall { .. });
            self.refused |= matches!(opening, Opening::Refusal);
            let block = self.next;
            self.next = self.next.saturating_add(1);
            out.push(Event::Open { block, choice: 0, opening });
            let fresh = Open { place, block, seen: false, closed: false, cited: false, part: 0 };
            self.items.entry(item).or_default().blocks.push(fresh);
        }
        self.open(item, place)
    }

    /// A piece of a message.
    fn said(&mut self, item: u64, part: u64, opening: Opening, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        if let Some(open) = self.opened(item, Place::Part(part), opening, out) {
            open.write(text, out);
        }
    }

    /// All of a part of a message, where nothing of it was streamed. `said` is what the text is a
    /// member of.
    fn whole(
        &mut self,
        (item, part): (u64, u64),
        opening: Opening,
        text: &str,
        said: &Value,
        out: &mut Vec<Event>,
    ) {
        if self.open(item, Place::Part(part)).is_none_or(|open| !open.seen) {
            self.said(item, part, opening, text, out);
            self.logprobs(said, out);
        }
    }

    /// A part of a message with all that it says.
    fn part_done(&mut self, item: u64, part: u64, content: &Value, out: &mut Vec<Event>) {
        match blocks::of_part(content) {
            Some(Block::Text { text, citations }) => {
                self.whole((item, part), Opening::Text, &text.0, content, out);
                if let Some(open) = self.open(item, Place::Part(part)).filter(|open| !open.cited) {
                    open.cited = true;
                    let block = open.block;
                    let cited = citations.into_iter();
                    out.extend(cited.map(|citation| Event::Cited { block, citation }));
                }
            }
            Some(Block::Refusal(text)) => {
                self.whole((item, part), Opening::Refusal, &text.0, content, out);
            }
            _ => {}
        }
        if let Some(open) = self.open(item, Place::Part(part)) {
            open.close(out);
        }
    }

    fn thought(
        &mut self,
        item: u64,
        (source, part): (&'static str, u64),
        text: &str,
        out: &mut Vec<Event>,
    ) {
        let other = if source == "summary" { "content" } else { "summary" };
        if text.is_empty() || self.open(item, Place::Thinking(other)).is_some() {
            return;
        }
        if let Some(open) = self.opened(item, Place::Thinking(source), Opening::Thinking, out) {
            if open.seen && open.part != part {
                open.write("\n\n", out);
            }
            open.part = part;
            open.write(text, out);
        }
    }

    /// A piece of a call's input; a call that was not announced waits for its item.
    fn argued(&mut self, item: u64, kind: ToolKind, text: &str, out: &mut Vec<Event>) {
        if let Some(open) = self.open(item, Place::Call(kind)).filter(|_| !text.is_empty()) {
            open.write(text, out);
        }
    }

    fn argued_whole(&mut self, item: u64, kind: ToolKind, text: &str, out: &mut Vec<Event>) {
        if self.open(item, Place::Call(kind)).is_some_and(|open| !open.seen) {
            self.argued(item, kind, text, out);
        }
    }

    fn logprobs(&self, event: &Value, out: &mut Vec<Event>) {
        let tokens = event.get("logprobs").and_then(Value::as_array);
        if let Some(tokens) = tokens.filter(|tokens| !tokens.is_empty()) {
            let value = json!({"content": tokens, "refusal": null}).into();
            out.push(Event::Logprobs { choice: 0, value });
        }
    }

    /// An item begins. Only a call opens its block here: what else an item holds shows later.
    fn added(&mut self, event: &Value, out: &mut Vec<Event>) {
        self.start(None, out);
        let index = number(event, "output_index");
        // Servers that number every item 0 begin a new one when the last is done.
        if self.items.get(&index).is_some_and(|item| item.done) {
            self.items.remove(&index);
        }
        if let Some(item) = event.get("item") {
            self.call(index, item, out);
        }
    }

    fn call(&mut self, index: u64, item: &Value, out: &mut Vec<Event>) -> Option<ToolKind> {
        let kind = match str_of(item, "type") {
            "function_call" => ToolKind::Function,
            "custom_tool_call" => ToolKind::Custom,
            _ => return None,
        };
        let id = [str_of(item, "call_id"), str_of(item, "id")];
        let id = id.into_iter().find(|id| !id.is_empty()).map(str::to_owned);
        let name = str_of(item, "name").to_owned();
        self.opened(index, Place::Call(kind), Opening::ToolCall { id, name, kind }, out);
        Some(kind)
    }

    /// An item is complete: what of it was not streamed goes out now.
    fn done(&mut self, index: u64, item: &Value, out: &mut Vec<Event>) {
        if self.items.get(&index).is_some_and(|item| item.done) {
            return;
        }
        self.start(None, out);
        match str_of(item, "type") {
            "message" => {
                let parts = item.get("content").and_then(Value::as_array);
                for (part, content) in parts.into_iter().flatten().enumerate() {
                    self.part_done(index, u64::try_from(part).unwrap_or(u64::MAX), content, out);
                }
            }
            "reasoning" => self.thinking_done(index, item, out),
            "function_call" | "custom_tool_call" => {
                if let Some(kind) = self.call(index, item, out) {
                    self.argued_whole(index, kind, &blocks::input(item, kind), out);
                }
            }
            _ => self.lone(item, out),
        }
        let item = self.items.entry(index).or_default();
        item.blocks.iter_mut().for_each(|open| open.close(out));
        item.done = true;
        self.ended = self.ended.saturating_add(1);
    }

    fn thinking_done(&mut self, index: u64, item: &Value, out: &mut Vec<Event>) {
        let places = [Place::Thinking("summary"), Place::Thinking("content")];
        let known = places.into_iter().find(|place| self.open(index, *place).is_some());
        match (known, blocks::thinking(item)) {
            (None, Some(Block::SealedThinking(signature))) => {
                let place = Place::Thinking("summary");
                self.opened(index, place, Opening::SealedThinking(signature), out);
            }
            (None, None) => {}
            (known, _) => {
                if known.is_none() {
                    self.thought(index, ("summary", 0), &blocks::thought(item), out);
                }
                let place = known.unwrap_or(Place::Thinking("summary"));
                if let (Some(open), Some(signature)) =
                    (self.open(index, place), blocks::signature(item))
                {
                    out.push(Event::Signed { block: open.block, signature });
                }
            }
        }
    }

    /// An item that comes in one piece.
    fn lone(&mut self, item: &Value, out: &mut Vec<Event>) {
        let mut found = Vec::new();
        blocks::of_item(item, &mut found);
        for block in found {
            let opening = match block {
                Block::Media { media_type, base64 } => Opening::Media { media_type, base64 },
                Block::Own(value) => Opening::Own(value),
                _ => continue,
            };
            let block = self.next;
            self.next = self.next.saturating_add(1);
            out.push(Event::Open { block, choice: 0, opening });
            out.push(Event::Close { block });
        }
    }

    /// The response is complete, and says once more all that it held.
    fn end(&mut self, event: &Value, out: &mut Vec<Event>) {
        self.over = true;
        let response = event.get("response");
        self.start(response, out);
        let none = Map::new();
        let response = response.and_then(Value::as_object).unwrap_or(&none);
        let items = response.get("output").and_then(Value::as_array);
        // Where items were counted wrongly on the way, those said once more are not new ones.
        let missing = items.map_or(0, Vec::len) > self.ended;
        for (index, item) in items.into_iter().flatten().enumerate().filter(|_| missing) {
            self.done(u64::try_from(index).unwrap_or(u64::MAX), item, out);
        }
        for item in self.items.values_mut() {
            for open in item.blocks.iter_mut().filter(|open| !open.closed) {
                if open.place == Place::Call(ToolKind::Function) && !open.seen {
                    open.write("{}", out);
                }
                open.close(out);
            }
        }
        if let Some(usage) = usage::of_response(response) {
            let service_tier = text(response, "service_tier");
            out.push(Event::Usage { usage, service_tier });
        }
        let reason = match finish(response, &[]) {
            Finish::Stop if self.called => Finish::ToolCalls,
            Finish::Stop if self.refused => Finish::Refusal,
            reason => reason,
        };
        out.push(Event::Finish { choice: 0, reason, stop_sequence: None });
        out.push(Event::End);
    }
}

// === impl Open ===

impl Open {
    fn write(&mut self, text: &str, out: &mut Vec<Event>) {
        if !self.closed {
            self.seen = true;
            out.push(Event::Delta { block: self.block, text: text.into() });
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if !self.closed {
            self.closed = true;
            out.push(Event::Close { block: self.block });
        }
    }
}

fn number(event: &Value, name: &str) -> u64 {
    event.get(name).and_then(Value::as_u64).unwrap_or(0)
}
