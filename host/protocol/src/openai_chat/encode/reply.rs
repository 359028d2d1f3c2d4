//! A whole answer as a chat completion. Every member that clients read without looking is there.

use serde_json::{Value, json};

use crate::Usage;
use crate::neutral::{Block, Choice, Issuer, Losses, Reply, Signature, ToolKind};
use crate::translate::Naming;

use super::super::tree::Object;
use super::{annotation, chosen, thinking, tool};

/// Writes a whole body.
pub(crate) fn reply(reply: &Reply, naming: &Naming, losses: &mut Losses) -> Vec<u8> {
    if let Some(error) = &reply.error {
        return chosen::error_body(error);
    }
    let mut writer = Writer { naming, losses, calls: 0 };
    let mut choices = Vec::with_capacity(reply.choices.len());
    for (index, choice) in reply.choices.iter().enumerate() {
        choices.push(writer.choice(index, choice));
    }
    let mut body = Object::new();
    let id = chosen::answer_id(reply.id.as_deref(), naming);
    body.insert("id".to_owned(), id.into());
    body.insert("object".to_owned(), "chat.completion".into());
    body.insert("created".to_owned(), reply.created_s.unwrap_or(naming.created_s).into());
    let model = reply.model.as_deref().unwrap_or(&naming.model);
    body.insert("model".to_owned(), model.into());
    body.insert("choices".to_owned(), choices.into());
    if let Some(usage) = &reply.usage {
        body.insert("usage".to_owned(), usage_value(usage));
    }
    if let Some(tier) = &reply.service_tier {
        body.insert("service_tier".to_owned(), tier_word(tier).into());
    }
    Value::Object(body).to_string().into_bytes()
}

/// A tier as OpenAI calls it.
pub(crate) fn tier_word(tier: &str) -> &str {
    if tier == "standard" { "default" } else { tier }
}

/// Usage in this dialect's shape.
pub(super) fn usage_value(usage: &Usage) -> Value {
    serde_json::from_str(&usage.to_openai_chat()).unwrap_or_default()
}

struct Writer<'a> {
    naming: &'a Naming,
    losses: &'a mut Losses,
    /// Tool calls so far, over all choices.
    calls: usize,
}

/// The members of one message.
#[derive(Default)]
struct Message {
    text: Option<String>,
    characters: usize,
    refusal: Option<String>,
    thinking: String,
    details: Vec<Value>,
    annotations: Vec<Value>,
    calls: Vec<Value>,
    media: Object,
}

// === impl Writer ===

impl Writer<'_> {
    fn choice(&mut self, index: usize, choice: &Choice) -> Value {
        let mut message = Message::default();
        for block in &choice.blocks {
            self.block(block, &mut message);
        }
        let (called, refused) = (!message.calls.is_empty(), message.refusal.is_some());
        let reason = chosen::finish(choice.finish, called, refused, self.losses);
        let logprobs = choice.logprobs.as_ref().map(|value| value.0.clone());
        json!({
            "index": index,
            "message": message.write(),
            "logprobs": logprobs,
            "finish_reason": reason,
        })
    }

    fn block(&mut self, block: &Block, message: &mut Message) {
        match block {
            Block::Text { text, citations } => {
                let from = message.characters;
                message.characters += text.0.chars().count();
                message.text.get_or_insert_default().push_str(&text.0);
                let span = (from, message.characters);
                for citation in citations {
                    let written = annotation::write(&citation.0, span, self.losses);
                    message.annotations.extend(written);
                }
            }
            Block::Refusal(text) => message.refusal.get_or_insert_default().push_str(&text.0),
            Block::Thinking { text, signature } => {
                message.think(&text.0);
                if let Some(signature) = signature {
                    let index = message.details.len();
                    let kept = thinking::kept(signature);
                    let entry = thinking::signed(&text.0, &kept, signature.issuer, index);
                    message.details.push(entry);
                }
            }
            Block::SealedThinking(signature) => message.seal(None, signature),
            Block::ToolCall { id, name, input, kind, signature } => {
                let id = chosen::call_id(id.as_deref(), self.naming, self.calls);
                self.calls += 1;
                let custom = self.naming.custom_tools.contains(name);
                let mut call = match kind {
                    ToolKind::Custom => custom_call(&id, name, &input.0),
                    _ if custom => custom_call(&id, name, &tool::unwrap_input(&input.0)),
                    _ => function_call(&id, name, &input.0),
                };
                match signature {
                    Some(signature) if signature.issuer == Issuer::Gemini => {
                        if let Some(call) = call.as_object_mut() {
                            let extra = thinking::extra_content(signature);
                            call.insert("extra_content".to_owned(), extra);
                        }
                    }
                    Some(signature) => message.seal(Some(&id), signature),
                    None => {}
                }
                message.calls.push(call);
            }
            Block::Media { media_type, base64 } => {
                message.show(media_type, &base64.0, &self.naming.id);
            }
            Block::Own(_) => {
                let what = "a part that only the provider's dialect has";
                self.losses.dropped("choices[].message", what);
            }
        }
    }
}

fn custom_call(id: &str, name: &str, input: &str) -> Value {
    json!({"id": id, "type": "custom", "custom": {"name": name, "input": input}})
}

fn function_call(id: &str, name: &str, arguments: &str) -> Value {
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

// === impl Message ===

impl Message {
    fn think(&mut self, text: &str) {
        if !self.thinking.is_empty() && !text.is_empty() {
            self.thinking.push_str("\n\n");
        }
        self.thinking.push_str(text);
    }

    fn seal(&mut self, id: Option<&str>, signature: &Signature) {
        let index = self.details.len();
        let kept = thinking::kept(signature);
        self.details.push(thinking::sealed(id, &kept, signature.issuer, index));
    }

    /// Pictures add up; of clips there is one.
    fn show(&mut self, media_type: &str, base64: &str, id: &str) {
        let (name, value) = chosen::medium(media_type, base64, id);
        match (self.media.get_mut(name).and_then(Value::as_array_mut), value) {
            (Some(list), Value::Array(more)) => list.extend(more),
            (_, value) => {
                self.media.insert(name.to_owned(), value);
            }
        }
    }

    fn write(self) -> Value {
        let spoken = self.text.filter(|text| !text.is_empty());
        let silent = self.calls.is_empty() && self.refusal.is_none();
        let content = match spoken {
            Some(text) => Value::String(text),
            None if silent => Value::String(String::new()),
            None => Value::Null,
        };
        let mut message = Object::new();
        message.insert("role".to_owned(), "assistant".into());
        message.insert("content".to_owned(), content);
        message.insert("refusal".to_owned(), self.refusal.into());
        if !self.thinking.is_empty() {
            message.insert("reasoning_content".to_owned(), self.thinking.into());
        }
        let lists = [
            ("reasoning_details", self.details),
            ("annotations", self.annotations),
            ("tool_calls", self.calls),
        ];
        for (name, list) in lists {
            if !list.is_empty() {
                message.insert(name.to_owned(), list.into());
            }
        }
        message.extend(self.media);
        Value::Object(message)
    }
}
