//! Thinking in the members that compatible servers invented for it, and the signatures that come
//! with it. The same thinking often stands in two members at once: it is read once. Never shows a
//! signature to anyone but its issuer (see `neutral::signature`).

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::Value;

use crate::neutral::{Issuer, Part, Signature, Words};

use super::super::tree::{self, Object};

/// One entry of `reasoning_details`.
#[derive(Debug)]
pub(super) enum Detail {
    Plain {
        text: String,
        signature: Option<Signature>,
    },
    /// The id is that of the tool call it belongs to, if any.
    Sealed {
        id: Option<String>,
        signature: Signature,
    },
}

/// Signatures that belong to tool calls, by the calls' ids, in order.
pub(super) type OfCalls = HashMap<String, VecDeque<Signature>>;

/// Who made a signature, by the format that stands beside it.
fn issuer(format: Option<&str>) -> Issuer {
    match format {
        Some(format) if format.starts_with("anthropic") => Issuer::Anthropic,
        Some(format) if format.starts_with("openai") => Issuer::OpenAi,
        Some(format) if format.starts_with("google") => Issuer::Gemini,
        _ => Issuer::Other,
    }
}

/// Reads `reasoning_details` of a message or delta.
pub(super) fn details(spoken: &Object) -> Vec<Detail> {
    let entries = tree::items(spoken, "reasoning_details").iter().filter_map(Value::as_object);
    entries.filter_map(detail).collect()
}

fn detail(entry: &Object) -> Option<Detail> {
    let native = issuer(tree::string(entry, "format"));
    if let Some(data) = tree::string(entry, "data") {
        let signature = Signature::read(native, data);
        return Some(Detail::Sealed {
            id: tree::string(entry, "id").map(str::to_owned),
            signature,
        });
    }
    let text = tree::string(entry, "text").or_else(|| tree::string(entry, "summary"));
    let signature = tree::string(entry, "signature").map(|data| Signature::read(native, data));
    if text.is_none() && signature.is_none() {
        return None;
    }
    Some(Detail::Plain { text: text.unwrap_or_default().to_owned(), signature })
}

/// The thinking of a message or delta in one of the members that hold it bare.
pub(super) fn bare(spoken: &Object) -> Option<&str> {
    ["reasoning_content", "reasoning", "thinking"]
        .into_iter()
        .find_map(|key| tree::string(spoken, key))
}

/// A part of type `thinking`: Mistral's, whose text is a list of parts, or Anthropic's.
pub(super) fn nested(part: &Object) -> Option<Part> {
    let text = nested_text(part);
    let signature = tree::string(part, "signature");
    let signature = signature.map(|data| Signature::read(Issuer::Anthropic, data));
    let empty = text.is_empty() && signature.is_none();
    (!empty).then_some(Part::Thinking { text: Words::from(text), signature })
}

/// The text of such a part.
pub(super) fn nested_text(part: &Object) -> String {
    if let Some(text) = tree::string(part, "thinking") {
        return text.to_owned();
    }
    let inner = tree::items(part, "thinking").iter();
    inner.filter_map(|item| item.get("text").and_then(Value::as_str)).collect()
}

/// All thinking of an assistant's message, and the signatures that belong to its tool calls.
pub(super) fn history(message: &Object) -> (Vec<Part>, OfCalls) {
    let mut parts = Vec::new();
    let mut of_calls = OfCalls::new();
    let calls = calls(message);
    let mut plain = bare(message).map(str::to_owned);
    for detail in details(message) {
        match detail {
            Detail::Plain { text, signature } => {
                // A signature alone signs the thinking that stands bare beside it.
                let taken = plain.take();
                let text = if text.is_empty() { taken.unwrap_or_default() } else { text };
                parts.push(Part::Thinking { text: Words::from(text), signature });
            }
            Detail::Sealed { id: Some(id), signature } if calls.contains(id.as_str()) => {
                of_calls.entry(id).or_default().push_back(signature);
            }
            Detail::Sealed { signature, .. } => parts.push(Part::SealedThinking(signature)),
        }
    }
    if parts.is_empty() {
        // LiteLLM keeps Anthropic's blocks whole beside the bare text.
        let blocks = tree::items(message, "thinking_blocks").iter().filter_map(Value::as_object);
        parts.extend(blocks.filter_map(nested));
    }
    let spoken = parts.iter().any(|part| matches!(part, Part::Thinking { .. }));
    if let Some(text) = plain.filter(|_| !spoken) {
        parts.insert(0, Part::Thinking { text: Words::from(text), signature: None });
    }
    (parts, of_calls)
}

/// The ids of a message's tool calls.
fn calls(message: &Object) -> HashSet<&str> {
    let calls = tree::items(message, "tool_calls").iter();
    calls.filter_map(|call| call.get("id")?.as_str()).collect()
}

/// The signature that Google's servers put on a tool call.
pub(super) fn of_call(call: &Object) -> Option<Signature> {
    let google = tree::object(tree::object(call, "extra_content")?, "google")?;
    let data = tree::string(google, "thought_signature")?;
    Some(Signature::read(Issuer::Gemini, data))
}
