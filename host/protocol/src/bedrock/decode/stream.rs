//! The events of `ConverseStream`. Blocks of text begin without a word, so the first delta opens
//! them; its kind decides theirs. Never keeps text.

use serde_json::Value;

use crate::answer::AnswerError;
use crate::bedrock::error;
use crate::neutral::{Event, Finish, Issuer, Opening, Signature, ToolKind, Words};
use crate::sse::Frame;

use super::usage;

/// Blocks that may be open at once; real streams have one.
const OPEN_MAX: usize = 128;

/// What the stream has said so far.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    started: bool,
    over: bool,
    stopped: bool,
    called: bool,
    blocks: u32,
    open: Vec<Open>,
}

/// A block that is open.
#[derive(Debug)]
struct Open {
    /// The provider's number of it.
    index: u64,
    block: u32,
    kind: Kind,
    /// A tool was told something to call it with.
    filled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Sealed,
    Tool,
    Own,
}

// === impl Stream ===

impl Stream {
    /// Takes one message of the event stream.
    pub(crate) fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<(), AnswerError> {
        let Some(name) = frame.event.as_deref() else { return Ok(()) };
        let unreadable = AnswerError { at: 0, what: "expected an event with a JSON object" };
        let Ok(name) = std::str::from_utf8(name) else { return Err(unreadable) };
        let Ok(payload) = crate::openai_chat::tree::read(&frame.data) else {
            return Err(unreadable);
        };
        self.event(name, &payload, out);
        Ok(())
    }

    /// Takes one event by its name.
    pub(super) fn event(&mut self, name: &str, payload: &Value, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        let known = matches!(
            name,
            "messageStart"
                | "contentBlockStart"
                | "contentBlockDelta"
                | "contentBlockStop"
                | "messageStop"
                | "metadata"
        );
        if !known {
            return self.failure(name, payload, out);
        }
        if !self.started {
            self.started = true;
            out.push(Event::Start { id: None, model: None, created_s: None });
        }
        let index = payload.get("contentBlockIndex").and_then(Value::as_u64).unwrap_or(0);
        match name {
            "contentBlockStart" => self.start(index, payload.get("start"), out),
            "contentBlockDelta" => self.delta(index, payload.get("delta"), out),
            "contentBlockStop" => self.stop(index, out),
            "messageStop" => self.end_of_message(payload, out),
            "metadata" => self.metadata(payload, out),
            _ => {}
        }
    }

    /// Exceptions end the stream; events that are not known are passed over.
    fn failure(&mut self, name: &str, payload: &Value, out: &mut Vec<Event>) {
        if !name.ends_with("Exception") && !name.ends_with("Error") {
            return;
        }
        self.over = true;
        let told = payload.get("message").or_else(|| payload.get("originalMessage"));
        let told = told.and_then(Value::as_str).unwrap_or_default();
        out.push(Event::Error(error::of(name, told)));
    }

    fn start(&mut self, index: u64, start: Option<&Value>, out: &mut Vec<Event>) {
        let Some(tool) = start.and_then(|start| start.get("toolUse")) else { return };
        self.called = true;
        let id = tool.get("toolUseId").and_then(Value::as_str).map(str::to_owned);
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = ToolKind::Function;
        self.open(index, Kind::Tool, Opening::ToolCall { id, name, kind }, out);
    }

    fn delta(&mut self, index: u64, delta: Option<&Value>, out: &mut Vec<Event>) {
        let Some(delta) = delta else { return };
        let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
        if let Some(said) = delta.get("text") {
            self.grow(index, Kind::Text, Opening::Text, text(said), out);
        } else if let Some(input) = delta.pointer("/toolUse/input") {
            let input = text(input);
            if let Some(open) = self.open.iter_mut().find(|open| open.index == index) {
                open.filled |= !input.is_empty();
                let block = open.block;
                out.push(Event::Delta { block, text: input.into() });
            }
        } else if let Some(reasoning) = delta.get("reasoningContent") {
            self.reasoning(index, reasoning, out);
        } else if let Some(citation) = delta.get("citation") {
            let block = self.grow(index, Kind::Text, Opening::Text, String::new(), out);
            let citation = citation.clone().into();
            out.extend(block.map(|block| Event::Cited { block, citation }));
        } else if delta.as_object().is_some_and(|members| !members.is_empty()) {
            self.open(index, Kind::Own, Opening::Own(delta.clone().into()), out);
        }
    }

    fn reasoning(&mut self, index: u64, reasoning: &Value, out: &mut Vec<Event>) {
        let member = |name: &str| reasoning.get(name).and_then(Value::as_str);
        if let Some(sealed) = member("redactedContent") {
            let signature = Signature::new(Issuer::Anthropic, sealed);
            self.open(index, Kind::Sealed, Opening::SealedThinking(signature), out);
        }
        if let Some(text) = member("text") {
            self.grow(index, Kind::Thinking, Opening::Thinking, text.to_owned(), out);
        }
        if let Some(proof) = member("signature").filter(|proof| !proof.is_empty()) {
            let block = self.grow(index, Kind::Thinking, Opening::Thinking, String::new(), out);
            let signature = Signature::new(Issuer::Anthropic, proof);
            out.extend(block.map(|block| Event::Signed { block, signature }));
        }
    }

    /// Adds to a block of this kind, opening it if another, or none, is open under the number.
    fn grow(
        &mut self,
        index: u64,
        kind: Kind,
        opening: Opening,
        text: String,
        out: &mut Vec<Event>,
    ) -> Option<u32> {
        let known = self.open.iter().find(|open| open.index == index && open.kind == kind);
        let block = match known {
            Some(open) => open.block,
            // A text without a letter is no block, here as everywhere.
            None if text.is_empty() && kind == Kind::Text => return None,
            None => self.open(index, kind, opening, out)?,
        };
        if !text.is_empty() {
            out.push(Event::Delta { block, text: Words::from(text) });
        }
        Some(block)
    }

    fn open(
        &mut self,
        index: u64,
        kind: Kind,
        opening: Opening,
        out: &mut Vec<Event>,
    ) -> Option<u32> {
        self.stop(index, out);
        if self.open.len() >= OPEN_MAX {
            return None;
        }
        let block = self.blocks;
        self.blocks = self.blocks.saturating_add(1);
        self.open.push(Open { index, block, kind, filled: false });
        out.push(Event::Open { block, choice: 0, opening });
        Some(block)
    }

    fn stop(&mut self, index: u64, out: &mut Vec<Event>) {
        let Some(place) = self.open.iter().position(|open| open.index == index) else { return };
        let Open { block, kind, filled, .. } = self.open.remove(place);
        if kind == Kind::Tool && !filled {
            out.push(Event::Delta { block, text: "{}".into() });
        }
        out.push(Event::Close { block });
    }

    fn end_of_message(&mut self, payload: &Value, out: &mut Vec<Event>) {
        while let Some(index) = self.open.first().map(|open| open.index) {
            self.stop(index, out);
        }
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        let word = payload.get("stopReason").and_then(Value::as_str).unwrap_or_default();
        let reason = match finish(word) {
            Finish::Stop if self.called => Finish::ToolCalls,
            other => other,
        };
        let met = payload.pointer("/additionalModelResponseFields/stop_sequence");
        let stop_sequence = met.and_then(Value::as_str).map(Words::from);
        out.push(Event::Finish { choice: 0, reason, stop_sequence });
    }

    /// The last event.
    fn metadata(&mut self, payload: &Value, out: &mut Vec<Event>) {
        let tier = payload.pointer("/serviceTier/type").and_then(Value::as_str);
        let service_tier = tier.map(str::to_owned);
        let used = payload.get("usage").and_then(usage::read);
        out.extend(used.map(|usage| Event::Usage { usage, service_tier }));
        self.finish(out);
    }

    /// The body has ended: so has the answer, if it said why.
    pub(crate) fn finish(&mut self, out: &mut Vec<Event>) {
        if self.stopped && !self.over {
            self.over = true;
            out.push(Event::End);
        }
    }

    /// A block of a whole answer, as the events of a stream.
    pub(super) fn whole_block(&mut self, index: usize, block: &Value, out: &mut Vec<Event>) {
        let index = u64::try_from(index).unwrap_or(u64::MAX);
        if let Some(tool) = block.get("toolUse") {
            self.start(index, Some(block), out);
            let input = tool.get("input").filter(|input| !input.is_null()).map(Value::to_string);
            let delta = serde_json::json!({"toolUse": {"input": input.unwrap_or_default()}});
            self.delta(index, Some(&delta), out);
        } else if let Some(cited) = block.get("citationsContent") {
            let pieces = cited.get("content").and_then(Value::as_array);
            for piece in pieces.into_iter().flatten() {
                self.delta(index, Some(piece), out);
            }
            let citations = cited.get("citations").and_then(Value::as_array);
            for citation in citations.into_iter().flatten() {
                let delta = serde_json::json!({"citation": citation});
                self.delta(index, Some(&delta), out);
            }
        } else if let Some(reasoning) = block.get("reasoningContent") {
            self.reasoning(index, reasoning.get("reasoningText").unwrap_or(reasoning), out);
        } else if let Some(image) = block.get("image") {
            let opening = media(image).unwrap_or_else(|| Opening::Own(block.clone().into()));
            self.open(index, Kind::Own, opening, out);
        } else {
            self.delta(index, Some(block), out);
        }
        self.stop(index, out);
    }
}

fn media(image: &Value) -> Option<Opening> {
    let format = image.get("format")?.as_str()?;
    let base64 = image.pointer("/source/bytes")?.as_str()?;
    Some(Opening::Media { media_type: format!("image/{format}"), base64: base64.into() })
}

fn finish(word: &str) -> Finish {
    match word {
        "end_turn" => Finish::Stop,
        "tool_use" => Finish::ToolCalls,
        "stop_sequence" => Finish::StopSequence,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "guardrail_intervened" | "content_filtered" => Finish::ContentFilter,
        "refusal" => Finish::Refusal,
        "pause_turn" => Finish::Pause,
        _ => Finish::Other,
    }
}
