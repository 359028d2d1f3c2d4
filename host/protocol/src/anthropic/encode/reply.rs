//! A whole answer as a message for a caller of this dialect.

use serde_json::{Value, json};

use crate::Usage;
use crate::anthropic::{error, is_own_block, usage};
use crate::neutral::{Block, Choice, Issuer, Json, Losses, Reply, Signature, Words};
use crate::translate::Naming;

use super::content::{input_object, text_block};
use super::{citation, plain_id, stop_reason};

/// In place of the signature of thinking that has none: its maker is no one who checks.
pub(super) fn unsigned() -> Signature {
    Signature::new(Issuer::Other, "")
}

/// The id of a message: the provider's if it is of this dialect's form.
pub(super) fn message_id(id: Option<&str>, naming: &Naming) -> String {
    match id {
        Some(id) if id.starts_with("msg_") => plain_id(id),
        _ => format!("msg_{}", naming.id),
    }
}

/// The id of the n-th tool call.
pub(super) fn tool_id(id: Option<&str>, naming: &Naming, number: usize) -> String {
    match id {
        Some(id) if !id.is_empty() => plain_id(id),
        _ => format!("toolu_{}_{number}", naming.id),
    }
}

/// Writes a whole body.
pub(crate) fn reply(reply: &Reply, naming: &Naming, losses: &mut Losses) -> Vec<u8> {
    if let Some(failure) = &reply.error {
        let kind = error::type_of_kind(failure);
        return error::write(kind, failure.message.expose(), Some(&naming.id));
    }
    let nothing = Choice::default();
    let choice = reply.choices.first().unwrap_or(&nothing);
    if reply.choices.len() > 1 {
        losses.unsupported("n", "a message holds one answer");
    }
    let mut content = Vec::new();
    for block in &choice.blocks {
        write(block, naming, losses, &mut content);
    }
    let refused = choice.blocks.iter().any(|block| matches!(block, Block::Refusal(_)));
    let reason = match stop_reason(choice.finish, choice.calls_tools()) {
        "end_turn" if refused => "refusal",
        reason => reason,
    };
    let used =
        reply.usage.unwrap_or(Usage { input_uncached: naming.input_tokens, ..Usage::default() });
    let body = json!({
        "id": message_id(reply.id.as_deref(), naming),
        "type": "message",
        "role": "assistant",
        "model": reply.model.as_deref().unwrap_or(&naming.model),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": choice.stop_sequence.as_ref().map(|words| words.0.as_str()),
        "usage": usage::write(&used, reply.service_tier.as_deref()),
    });
    body.to_string().into_bytes()
}

fn write(block: &Block, naming: &Naming, losses: &mut Losses, content: &mut Vec<Value>) {
    let number = content.len();
    match block {
        Block::Text { text, citations } => {
            let cited = citations.iter().filter_map(|given| citation(given, losses)).collect();
            content.extend(text_block(text, None, cited));
        }
        Block::Refusal(text) => content.extend(text_block(text, None, Vec::new())),
        // Nothing was thought, or nothing of it is told.
        Block::Thinking { text, signature: None } if text.0.is_empty() => {}
        Block::Thinking { text, signature } => {
            content.push(thinking(text, signature.as_ref()));
        }
        Block::SealedThinking(signature) => content.push(sealed(signature)),
        Block::ToolCall { id, name, input, kind, signature } => {
            // The one place where this dialect's history keeps the signature of a call.
            content.extend(signature.as_ref().map(sealed));
            content.push(json!({
                "type": "tool_use",
                "id": tool_id(id.as_deref(), naming, number),
                "name": name,
                "input": input_object(input, *kind, losses),
            }));
        }
        Block::Media { .. } => {
            losses.dropped("content.media", "a message holds no image or sound of the model's");
        }
        Block::Own(value) => content.extend(own(value, losses)),
    }
}

fn thinking(text: &Words, signature: Option<&Signature>) -> Value {
    let signature = signature.cloned().unwrap_or_else(unsigned).write(Issuer::Anthropic);
    json!({ "type": "thinking", "thinking": text.0, "signature": signature })
}

/// Thinking that only its issuer can read.
pub(super) fn sealed(signature: &Signature) -> Value {
    json!({ "type": "redacted_thinking", "data": signature.write(Issuer::Anthropic) })
}

/// A block that only this dialect has, if it is one.
pub(super) fn own(value: &Json, losses: &mut Losses) -> Option<Value> {
    let kind = value.0.get("type").and_then(Value::as_str).unwrap_or_default();
    if is_own_block(kind) {
        return Some(value.0.clone());
    }
    losses.dropped("content", "only the provider's dialect has it");
    None
}
