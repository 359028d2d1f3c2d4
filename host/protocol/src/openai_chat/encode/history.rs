//! The conversation as messages: results of tools become messages of their own, neighbouring turns
//! of the model become one, and what a result cannot hold follows in a user's message. Never writes
//! an empty text, nor a message without anything in it.

use serde_json::{Value, json};

use crate::neutral::{Issuer, Losses, Part, Signature, Speaker, ToolKind, Turn};
use crate::quirks::{Quirks, SignatureField};

use super::super::tree::Object;
use super::{chosen, media, thinking, tool};

/// OpenAI refuses longer ids of tool calls; other houses make them.
const CALL_ID_MAX: usize = 40;

/// Messages while they are written.
#[derive(Debug)]
pub(super) struct History<'a> {
    quirks: &'a Quirks,
    messages: Vec<Value>,
    spoken: Spoken,
    /// Media of tool results, which only a user's message can hold: they wait until the results of
    /// all parallel calls are written, because nothing may stand between those.
    waiting: Vec<Value>,
}

/// A message of the model.
#[derive(Debug, Default)]
struct Spoken {
    text: String,
    refusal: String,
    thinking: String,
    details: Vec<Value>,
    calls: Vec<Value>,
    name: Option<String>,
}

/// A tool's result, apart from its kind and cache mark.
struct Outcome<'a> {
    call_id: &'a str,
    parts: &'a [Part],
    failed: bool,
}

// === impl History ===

impl<'a> History<'a> {
    pub(super) fn new(quirks: &'a Quirks) -> Self {
        let (messages, waiting) = (Vec::new(), Vec::new());
        Self { quirks, messages, spoken: Spoken::default(), waiting }
    }

    /// The instructions, with one more at their end if there is one. One string: many servers take
    /// no parts here.
    pub(super) fn system(&mut self, parts: &[Part], more: Option<&str>, losses: &mut Losses) {
        let mut texts = texts_only("messages[].content", parts, losses);
        texts.extend(more);
        self.instruct(&texts);
    }

    fn instruct(&mut self, texts: &[&str]) {
        if !texts.is_empty() {
            let role = if self.quirks.developer_role { "developer" } else { "system" };
            self.messages.push(json!({"role": role, "content": texts.join("\n\n")}));
        }
    }

    /// One turn of the conversation.
    pub(super) fn turn(&mut self, turn: &Turn, losses: &mut Losses) {
        let at = turn.at.as_str();
        match turn.speaker {
            Speaker::Assistant => {
                self.show_waiting();
                self.assistant(at, turn, losses);
            }
            Speaker::System => {
                self.settle();
                self.show_waiting();
                let texts = texts_only(at, &turn.parts, losses);
                self.instruct(&texts);
            }
            Speaker::User => {
                self.settle();
                self.user(turn, losses);
            }
        }
    }

    /// All messages.
    pub(super) fn finish(mut self) -> Value {
        self.settle();
        self.show_waiting();
        Value::Array(self.messages)
    }

    fn user(&mut self, turn: &Turn, losses: &mut Losses) {
        let mut parts = Vec::new();
        for (position, part) in turn.parts.iter().enumerate() {
            let at = turn.at_of_part(position);
            match part {
                Part::ToolResult { call_id, parts, failed, .. } => {
                    let outcome = Outcome { call_id, parts, failed: *failed };
                    self.outcome(&at, &outcome, losses);
                }
                Part::Text { text, .. } if text.0.is_empty() => {}
                Part::Text { text, .. } | Part::Refusal(text) => parts.push(media::text(&text.0)),
                Part::Media(medium) => parts.extend(media::parts(&at, medium, losses)),
                Part::Own(own) => losses.dropped(own.at.as_str(), "only its dialect has it"),
                Part::Thinking { .. } | Part::SealedThinking(_) | Part::ToolCall { .. } => {
                    losses.dropped(at, "only the model says that");
                }
            }
        }
        if parts.is_empty() {
            return;
        }
        parts.splice(0..0, std::mem::take(&mut self.waiting));
        self.messages.push(said("user", parts, turn.name.as_deref()));
    }

    fn outcome(&mut self, at: &str, outcome: &Outcome<'_>, losses: &mut Losses) {
        let mut texts = Vec::new();
        for (position, part) in outcome.parts.iter().enumerate() {
            let at = format!("{at}.content[{position}]");
            match part {
                Part::Text { text, .. } | Part::Refusal(text) => texts.push(text.0.as_str()),
                Part::Media(medium) => {
                    let parts = media::parts(&at, medium, losses);
                    if !parts.is_empty() {
                        losses.approximated(at, "moved from the result to a user's message");
                        texts.push("(see the attachment below)");
                    }
                    self.waiting.extend(parts);
                }
                Part::Own(own) => losses.dropped(own.at.as_str(), "only its dialect has it"),
                _ => losses.dropped(at, "no result of a tool"),
            }
        }
        texts.retain(|text| !text.is_empty());
        let mut content = texts.join("\n");
        if outcome.failed {
            losses.approximated(format!("{at}.is_error"), "the result says so in words");
            let says = content.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("error"));
            if !says {
                content = format!("Error: {content}");
            }
        }
        let id = chosen::fitted(outcome.call_id, CALL_ID_MAX, "call_");
        self.messages.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
    }

    fn assistant(&mut self, at: &str, turn: &Turn, losses: &mut Losses) {
        if self.spoken.name.is_none() {
            self.spoken.name.clone_from(&turn.name);
        }
        let mut first = true;
        for (position, part) in turn.parts.iter().enumerate() {
            match part {
                Part::Text { text, .. } if !text.0.is_empty() => {
                    // Blocks of one turn are one text; turns are not.
                    if first && !self.spoken.text.is_empty() {
                        self.spoken.text.push_str("\n\n");
                    }
                    first = false;
                    self.spoken.text.push_str(&text.0);
                }
                Part::Text { .. } => {}
                Part::Refusal(text) => self.spoken.refusal.push_str(&text.0),
                Part::Thinking { text, signature } => {
                    self.thought(&text.0, signature.as_ref(), losses);
                }
                Part::SealedThinking(signature) => self.sealed(None, signature, losses),
                Part::ToolCall { .. } => self.call(part, losses),
                Part::Own(own) => losses.dropped(own.at.as_str(), "only its dialect has it"),
                Part::Media(_) | Part::ToolResult { .. } => {
                    let at = format!("{at}.content[{position}]");
                    losses.dropped(at, "no place in a message of the model");
                }
            }
        }
    }

    fn thought(&mut self, text: &str, signature: Option<&Signature>, losses: &mut Losses) {
        let details = self.quirks.signatures == SignatureField::Details;
        if let Some(Signature { issuer, data }) = signature.filter(|_| details) {
            let entry = thinking::signed(text, &data.0, *issuer, self.spoken.details.len());
            self.spoken.details.push(entry);
            return;
        }
        // Signed thinking of another house is not this provider's to read.
        let own = signature.is_none_or(|signature| signature.issuer == Issuer::Other);
        if own && self.quirks.replays_reasoning {
            if !self.spoken.thinking.is_empty() && !text.is_empty() {
                self.spoken.thinking.push_str("\n\n");
            }
            self.spoken.thinking.push_str(text);
            return;
        }
        losses.dropped("messages[].reasoning_content", "earlier thinking is not sent back");
    }

    fn sealed(&mut self, id: Option<&str>, signature: &Signature, losses: &mut Losses) {
        if self.quirks.signatures == SignatureField::Details {
            let Signature { issuer, data } = signature;
            let index = self.spoken.details.len();
            self.spoken.details.push(thinking::sealed(id, &data.0, *issuer, index));
            return;
        }
        losses.dropped("messages[].reasoning_details", "thinking of another provider is left out");
    }

    fn call(&mut self, part: &Part, losses: &mut Losses) {
        let Part::ToolCall { id, name, input, kind, signature, .. } = part else { return };
        let id = &chosen::fitted(id, CALL_ID_MAX, "call_");
        let mut call = match kind {
            ToolKind::Custom if !self.quirks.functions_only => {
                json!({"id": id, "type": "custom", "custom": {"name": name, "input": input.0}})
            }
            ToolKind::Custom => called(id, name, &tool::wrap_input(&input.0)),
            ToolKind::Function | ToolKind::BuiltIn => called(id, name, &input.0),
        };
        if let Some(signature) = signature {
            let google = self.quirks.signatures == SignatureField::Google;
            match signature.for_issuer(Issuer::Gemini).filter(|_| google) {
                Some(data) => {
                    let extra = json!({"google": {"thought_signature": data}});
                    if let Some(call) = call.as_object_mut() {
                        call.insert("extra_content".to_owned(), extra);
                    }
                }
                None => self.sealed(Some(id), signature, losses),
            }
        }
        self.spoken.calls.push(call);
    }

    /// Writes the model's message, if it has said anything.
    fn settle(&mut self) {
        let spoken = std::mem::take(&mut self.spoken);
        let silent = spoken.text.is_empty() && spoken.refusal.is_empty();
        if silent && spoken.calls.is_empty() {
            return;
        }
        let mut message = Object::new();
        message.insert("role".to_owned(), "assistant".into());
        let content = if spoken.text.is_empty() { Value::Null } else { Value::String(spoken.text) };
        message.insert("content".to_owned(), content);
        if !spoken.refusal.is_empty() {
            message.insert("refusal".to_owned(), spoken.refusal.into());
        }
        if !spoken.thinking.is_empty() {
            message.insert("reasoning_content".to_owned(), spoken.thinking.into());
        }
        if !spoken.details.is_empty() {
            message.insert("reasoning_details".to_owned(), spoken.details.into());
        }
        if !spoken.calls.is_empty() {
            message.insert("tool_calls".to_owned(), spoken.calls.into());
        }
        if let Some(name) = spoken.name {
            message.insert("name".to_owned(), name.into());
        }
        self.messages.push(Value::Object(message));
    }

    fn show_waiting(&mut self) {
        if !self.waiting.is_empty() {
            let parts = std::mem::take(&mut self.waiting);
            self.messages.push(json!({"role": "user", "content": parts}));
        }
    }
}

fn called(id: &str, name: &str, arguments: &str) -> Value {
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// A message whose content is a string where it is one text, and parts otherwise.
fn said(role: &str, mut parts: Vec<Value>, name: Option<&str>) -> Value {
    let alone = parts.len() == 1;
    let text = parts.first_mut().filter(|_| alone).and_then(|part| part.get_mut("text"));
    let content = match text {
        Some(text) => text.take(),
        None => Value::Array(parts),
    };
    let mut message = json!({"role": role, "content": content});
    if let (Some(name), Some(message)) = (name, message.as_object_mut()) {
        message.insert("name".to_owned(), name.into());
    }
    message
}

fn texts_only<'p>(at: &str, parts: &'p [Part], losses: &mut Losses) -> Vec<&'p str> {
    let mut texts = Vec::new();
    for part in parts {
        match part {
            Part::Text { text, .. } if text.0.is_empty() => {}
            Part::Text { text, .. } | Part::Refusal(text) => texts.push(text.0.as_str()),
            Part::Media(_) => losses.unsupported(at, "instructions of this dialect are text"),
            _ => losses.dropped(at, "instructions of this dialect are text"),
        }
    }
    texts
}
