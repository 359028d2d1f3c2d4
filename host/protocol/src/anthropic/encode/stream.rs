//! A stream of messages for a caller of this dialect, as its clients check it: `message_start` once
//! and not before there is content; blocks one at a time, numbered from 0 without a gap, each of
//! the type of its first delta; the authoritative usage at the end. Never sends an empty block.

use serde_json::{Value, json};

use crate::Usage;
use crate::anthropic::{error, usage};
use crate::neutral::sequence::Sequence;
use crate::neutral::{Event, Finish, Issuer, Json, Losses, Opening, Signature, Words};
use crate::sse::Frame;
use crate::translate::Naming;

use super::reply::{message_id, own, sealed, tool_id, unsigned};
use super::{citation, stop_reason};

/// Bytes of an answer's text for one token, where the provider counts none.
const BYTES_PER_TOKEN: u64 = 4;

/// Writes one stream.
pub(crate) struct Stream {
    naming: Naming,
    sequence: Sequence,
    started: bool,
    over: bool,
    /// Blocks written so far: the index of the next.
    written: usize,
    open: Option<Open>,
    called: bool,
    refused: bool,
    finish: Option<Finish>,
    stop_sequence: Option<Words>,
    id: Option<String>,
    model: Option<String>,
    usage: Option<Usage>,
    service_tier: Option<String>,
    said_bytes: u64,
}

/// The block that is being written, or will be when it has something to say.
struct Open {
    block: u32,
    kind: Kind,
    /// Its index, once its start is out.
    index: Option<usize>,
    /// The first piece of a call's input. It waits for the next, because a signature of the call
    /// may come in between and must stand in front of it.
    held: Option<Words>,
    fed: bool,
    signature: Option<Signature>,
    /// Citations that came before any text.
    cited: Vec<Json>,
}

enum Kind {
    Text,
    Thinking,
    Tool {
        id: Option<String>,
        name: String,
    },
    /// Complete when it opens.
    Whole(Option<Value>),
}

// === impl Stream ===

impl Stream {
    /// For one answer.
    pub(crate) fn new(naming: Naming) -> Self {
        Self {
            naming,
            sequence: Sequence::default(),
            started: false,
            over: false,
            written: 0,
            open: None,
            called: false,
            refused: false,
            finish: None,
            stop_sequence: None,
            id: None,
            model: None,
            usage: None,
            service_tier: None,
            said_bytes: 0,
        }
    }

    /// Takes one event; adds the frames that it brings.
    pub(crate) fn push(&mut self, event: Event, losses: &mut Losses, out: &mut Vec<Frame>) {
        if self.over {
            return;
        }
        // What was open stays so: a block that is closed looks complete, and this one is not.
        if let Event::Error(failure) = &event {
            self.over = true;
            let kind = error::type_of_kind(failure);
            let body = error::write(kind, failure.message.expose(), Some(&self.naming.id));
            out.push(Frame::made(Some("error"), &body));
            return;
        }
        let mut ordered = Vec::new();
        if self.sequence.push(event, &mut ordered).is_err() {
            self.over = true;
            let words = "the provider's blocks are too far out of order; send the request again";
            out.push(Frame::made(Some("error"), &error::write("api_error", words, None)));
            return;
        }
        for event in ordered {
            self.write(event, losses, out);
        }
    }

    fn write(&mut self, event: Event, losses: &mut Losses, out: &mut Vec<Frame>) {
        match event {
            Event::Start { id, model, .. } => (self.id, self.model) = (id, model),
            Event::Open { block, choice, opening } => {
                self.open = (choice == 0).then(|| self.opening(block, opening, losses));
            }
            Event::Delta { block, text } => self.delta(block, &text, losses, out),
            Event::Signed { block, signature } => self.sign(block, signature, losses),
            Event::Cited { block, citation } => self.cite(block, citation, losses, out),
            Event::Close { block } => self.close(block, losses, out),
            Event::Finish { choice: 0, reason, stop_sequence } => {
                (self.finish, self.stop_sequence) = (Some(reason), stop_sequence);
            }
            Event::Usage { usage, service_tier } => {
                self.usage = Some(usage);
                self.service_tier = service_tier.or_else(|| self.service_tier.take());
            }
            // Before the start there is nothing to keep alive: a status can still be told.
            Event::Ping if self.started => emit(out, "ping", &json!({ "type": "ping" })),
            Event::End => self.end(out),
            Event::Ping | Event::Finish { .. } | Event::Logprobs { .. } | Event::Error(_) => {}
        }
    }

    fn opening(&mut self, block: u32, opening: Opening, losses: &mut Losses) -> Open {
        let kind = match opening {
            Opening::Text => Kind::Text,
            Opening::Refusal => {
                self.refused = true;
                Kind::Text
            }
            Opening::Thinking => Kind::Thinking,
            Opening::SealedThinking(signature) => Kind::Whole(Some(sealed(&signature))),
            Opening::ToolCall { id, name, .. } => {
                self.called = true;
                Kind::Tool { id, name }
            }
            Opening::Own(value) => Kind::Whole(own(&value, losses)),
            Opening::Media { .. } => {
                losses.dropped("content.media", "a message holds no image or sound of the model's");
                Kind::Whole(None)
            }
        };
        Open {
            block,
            kind,
            index: None,
            held: None,
            fed: false,
            signature: None,
            cited: Vec::new(),
        }
    }

    fn delta(&mut self, block: u32, text: &Words, losses: &mut Losses, out: &mut Vec<Frame>) {
        let Some(open) = self.open.as_mut().filter(|open| open.block == block) else { return };
        if text.0.is_empty() {
            return;
        }
        if matches!(open.kind, Kind::Tool { .. }) && !std::mem::replace(&mut open.fed, true) {
            open.held = Some(text.clone());
            return;
        }
        let Some(index) = self.begin(losses, out) else { return };
        let Some(open) = self.open.as_ref() else { return };
        let delta = match &open.kind {
            Kind::Text => json!({ "type": "text_delta", "text": text.0 }),
            Kind::Thinking => json!({ "type": "thinking_delta", "thinking": text.0 }),
            Kind::Tool { .. } => json!({ "type": "input_json_delta", "partial_json": text.0 }),
            Kind::Whole(_) => return,
        };
        self.said_bytes = self.said_bytes.saturating_add(text.0.len() as u64);
        emit_delta(out, index, &delta);
    }

    fn sign(&mut self, block: u32, signature: Signature, losses: &mut Losses) {
        let Some(open) = self.open.as_mut().filter(|open| open.block == block) else { return };
        match open.kind {
            Kind::Thinking => open.signature = Some(signature),
            // It stands in front of the call, so it must come before the second piece of input.
            Kind::Tool { .. } if open.index.is_none() => open.signature = Some(signature),
            Kind::Tool { .. } | Kind::Text | Kind::Whole(_) => {
                losses.dropped("content.signature", "this dialect has no place for it");
            }
        }
    }

    fn cite(&mut self, block: u32, given: Json, losses: &mut Losses, out: &mut Vec<Frame>) {
        let Some(open) = self.open.as_mut().filter(|open| open.block == block) else { return };
        match open.index {
            None => open.cited.push(given),
            Some(index) => emit_citation(out, index, &given, losses),
        }
    }

    fn close(&mut self, block: u32, losses: &mut Losses, out: &mut Vec<Frame>) {
        if !self.is_open(block) {
            return;
        }
        // A call is there without any input, and thinking without any text; a text is not.
        let speaks = self.open.as_ref().is_some_and(|open| match &open.kind {
            Kind::Text => open.index.is_some(),
            Kind::Thinking => open.index.is_some() || open.signature.is_some(),
            Kind::Tool { .. } => true,
            Kind::Whole(value) => value.is_some(),
        });
        let index = if speaks { self.begin(losses, out) } else { None };
        let (Some(open), Some(index)) = (self.open.take(), index) else { return };
        match open.kind {
            Kind::Tool { .. } if !open.fed => {
                let delta = json!({ "type": "input_json_delta", "partial_json": "{}" });
                emit_delta(out, index, &delta);
            }
            Kind::Thinking => {
                let signature = open.signature.unwrap_or_else(unsigned);
                let signature = signature.write(Issuer::Anthropic);
                let delta = json!({ "type": "signature_delta", "signature": signature });
                emit_delta(out, index, &delta);
            }
            Kind::Text | Kind::Tool { .. } | Kind::Whole(_) => {}
        }
        stop(out, index);
    }

    fn is_open(&self, block: u32) -> bool {
        self.open.as_ref().is_some_and(|open| open.block == block)
    }

    /// The index of the open block, its start written if it was not.
    fn begin(&mut self, losses: &mut Losses, out: &mut Vec<Frame>) -> Option<usize> {
        if let Some(index) = self.open.as_ref()?.index {
            return Some(index);
        }
        self.start(out);
        let open = self.open.as_mut()?;
        let block = match &mut open.kind {
            Kind::Text => json!({ "type": "text", "text": "" }),
            Kind::Thinking => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Kind::Tool { id, name } => {
                if let Some(signature) = open.signature.take() {
                    emit_start(out, self.written, &sealed(&signature));
                    stop(out, self.written);
                    self.written += 1;
                }
                let id = tool_id(id.as_deref(), &self.naming, self.written);
                json!({ "type": "tool_use", "id": id, "name": name, "input": {} })
            }
            Kind::Whole(value) => value.take()?,
        };
        let index = self.written;
        self.written += 1;
        open.index = Some(index);
        emit_start(out, index, &block);
        if let Some(text) = open.held.take() {
            self.said_bytes = self.said_bytes.saturating_add(text.0.len() as u64);
            let delta = json!({ "type": "input_json_delta", "partial_json": text.0 });
            emit_delta(out, index, &delta);
        }
        for given in std::mem::take(&mut open.cited) {
            emit_citation(out, index, &given, losses);
        }
        Some(index)
    }

    /// `message_start`, once.
    fn start(&mut self, out: &mut Vec<Frame>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let estimate = Usage { input_uncached: self.naming.input_tokens, ..Usage::default() };
        let used = self.usage.filter(|usage| usage.input_tokens() > 0).unwrap_or(estimate);
        let message = json!({
            "id": message_id(self.id.as_deref(), &self.naming),
            "type": "message",
            "role": "assistant",
            "model": self.model.as_deref().unwrap_or(&self.naming.model),
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage::write(&used, self.service_tier.as_deref()),
        });
        emit(out, "message_start", &json!({ "type": "message_start", "message": message }));
    }

    fn end(&mut self, out: &mut Vec<Frame>) {
        self.over = true;
        self.start(out);
        let reason = match stop_reason(self.finish, self.called) {
            "end_turn" if self.refused => "refusal",
            reason => reason,
        };
        // Counted here only if the provider counted nothing.
        let estimate = Usage {
            input_uncached: self.naming.input_tokens,
            output_text: self.said_bytes.div_ceil(BYTES_PER_TOKEN),
            ..Usage::default()
        };
        let used = self.usage.unwrap_or(estimate);
        let stop_sequence = self.stop_sequence.as_ref().map(|words| words.0.as_str());
        let last = json!({
            "type": "message_delta",
            "delta": { "stop_reason": reason, "stop_sequence": stop_sequence },
            "usage": usage::write(&used, self.service_tier.as_deref()),
        });
        emit(out, "message_delta", &last);
        emit(out, "message_stop", &json!({ "type": "message_stop" }));
    }
}

fn emit(out: &mut Vec<Frame>, event: &str, data: &Value) {
    out.push(Frame::made(Some(event), data.to_string().as_bytes()));
}

fn emit_start(out: &mut Vec<Frame>, index: usize, block: &Value) {
    let data = json!({ "type": "content_block_start", "index": index, "content_block": block });
    emit(out, "content_block_start", &data);
}

fn emit_delta(out: &mut Vec<Frame>, index: usize, delta: &Value) {
    let data = json!({ "type": "content_block_delta", "index": index, "delta": delta });
    emit(out, "content_block_delta", &data);
}

fn emit_citation(out: &mut Vec<Frame>, index: usize, given: &Json, losses: &mut Losses) {
    if let Some(citation) = citation(given, losses) {
        emit_delta(out, index, &json!({ "type": "citations_delta", "citation": citation }));
    }
}

fn stop(out: &mut Vec<Frame>, index: usize) {
    emit(out, "content_block_stop", &json!({ "type": "content_block_stop", "index": index }));
}
