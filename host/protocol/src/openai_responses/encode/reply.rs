//! A whole answer as a response object, with every member that strict clients look for.

use serde_json::Value;

use crate::neutral::{Block, Choice, Losses, Reply, Signature, ToolKind};
use crate::translate::Naming;

use super::item::{self, Call, Facts};
use super::{citation, custom};

/// Items while they are gathered: neighbouring texts are parts of one message.
struct Output<'a> {
    naming: &'a Naming,
    items: Vec<Value>,
    parts: Vec<Value>,
}

/// Writes a whole answer.
pub(crate) fn reply(reply: &Reply, naming: &Naming, losses: &mut Losses) -> Vec<u8> {
    let none = Choice::default();
    let choice = reply.choices.first().unwrap_or(&none);
    if reply.choices.len() > 1 {
        losses.dropped("choices[1]", "the caller's dialect holds one answer");
    }
    let facts = Facts {
        model: reply.model.clone(),
        created_s: reply.created_s,
        usage: reply.usage,
        service_tier: reply.service_tier.clone(),
        finish: choice.finish,
    };
    let mut output = Output { naming, items: Vec::new(), parts: Vec::new() };
    let mut logprobs = tokens(choice.logprobs.as_ref().map(|value| &value.0));
    for block in &choice.blocks {
        output.block(block, &mut logprobs, losses);
    }
    output.flush();
    let response = match &reply.error {
        Some(error) => facts.failed(naming, output.items, error),
        None => facts.ended(naming, output.items),
    };
    serde_json::to_vec(&response).unwrap_or_default()
}

/// The tokens in the shape of chat's probabilities.
pub(super) fn tokens(logprobs: Option<&Value>) -> Vec<Value> {
    let content = logprobs.and_then(|value| value.get("content")).and_then(Value::as_array);
    content.cloned().unwrap_or_default()
}

// === impl Output ===

impl Output<'_> {
    fn flush(&mut self) {
        if self.parts.is_empty() {
            return;
        }
        let id = item::id(self.naming, "msg", self.items.len());
        let parts = std::mem::take(&mut self.parts);
        self.items.push(item::message(&id, &parts, "completed"));
    }

    fn reasoning(&mut self, text: &str, signature: Option<&Signature>) {
        if text.is_empty() && signature.is_none() {
            return;
        }
        self.flush();
        let id = item::id(self.naming, "rs", self.items.len());
        self.items.push(item::reasoning(&id, text, signature));
    }

    fn block(&mut self, block: &Block, logprobs: &mut Vec<Value>, losses: &mut Losses) {
        match block {
            Block::Text { text, citations } if !text.0.is_empty() => {
                let annotations = citation::all(citations, &text.0, losses);
                // All tokens are told at the first text.
                let logprobs = std::mem::take(logprobs);
                self.parts.push(item::text_part(&text.0, &annotations, &logprobs));
            }
            Block::Text { .. } => {}
            Block::Refusal(text) => self.parts.push(item::refusal_part(&text.0)),
            Block::Thinking { text, signature } => self.reasoning(&text.0, signature.as_ref()),
            Block::SealedThinking(signature) => self.reasoning("", Some(signature)),
            Block::ToolCall { .. } => self.call(block),
            Block::Media { media_type, base64 } => match media_type.strip_prefix("image/") {
                Some(format) => {
                    self.flush();
                    let id = item::id(self.naming, "ig", self.items.len());
                    self.items.push(item::image(&id, &base64.0, format));
                }
                None => losses.dropped("output", "a medium that the dialect has no item for"),
            },
            Block::Own(_) => losses.dropped("output", "an item that only another dialect has"),
        }
    }

    fn call(&mut self, block: &Block) {
        let Block::ToolCall { id, name, input, kind, signature } = block else { return };
        // This dialect has no place for the proof at a call, so it stands in front of it.
        self.reasoning("", signature.as_ref());
        self.flush();
        let index = self.items.len();
        let wrapped = *kind == ToolKind::Function && self.naming.custom_tools.contains(name);
        let call = self::call(self.naming, index, (id.as_deref(), name), *kind);
        let input = if wrapped { custom::unwrap(&input.0) } else { input.0.clone() };
        let input = if input.is_empty() && !call.custom { "{}".to_owned() } else { input };
        self.items.push(call.value(&input, "completed"));
    }
}

/// The names of the call at a place of the output.
pub(super) fn call(
    naming: &Naming,
    index: usize,
    (id, name): (Option<&str>, &str),
    kind: ToolKind,
) -> Call {
    let custom =
        kind == ToolKind::Custom || naming.custom_tools.iter().any(|custom| custom == name);
    let call_id = id.filter(|id| !id.is_empty()).map(str::to_owned);
    Call {
        item_id: item::id(naming, if custom { "ctc" } else { "fc" }, index),
        call_id: call_id.unwrap_or_else(|| format!("call_{}_{index}", naming.id)),
        name: name.to_owned(),
        custom,
    }
}
