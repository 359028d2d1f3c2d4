//! Items of an answer's `output` as blocks. Never looks at the state of a stream.

use serde_json::Value;

use crate::neutral::{Block, Issuer, Signature, ToolKind};

/// Adds the blocks of one item.
pub(super) fn of_item(item: &Value, out: &mut Vec<Block>) {
    match str_of(item, "type") {
        "message" => {
            let parts = item.get("content").and_then(Value::as_array);
            out.extend(parts.into_iter().flatten().filter_map(of_part));
        }
        "reasoning" => out.extend(thinking(item)),
        "function_call" => out.push(call(item, ToolKind::Function)),
        "custom_tool_call" => out.push(call(item, ToolKind::Custom)),
        "image_generation_call" if !str_of(item, "result").is_empty() => out.push(image(item)),
        _ => out.push(Block::Own(item.clone().into())),
    }
}

/// One part of a message; `None` for an empty one, which no dialect should be made to repeat.
pub(super) fn of_part(part: &Value) -> Option<Block> {
    if str_of(part, "type") == "refusal" || part.get("refusal").is_some() {
        let refusal = str_of(part, "refusal");
        return (!refusal.is_empty()).then(|| Block::Refusal(refusal.into()));
    }
    let text = str_of(part, "text");
    (!text.is_empty()).then(|| Block::Text { text: text.into(), citations: citations(part) })
}

fn citations(part: &Value) -> Vec<crate::neutral::Json> {
    let annotations = part.get("annotations").and_then(Value::as_array);
    annotations.into_iter().flatten().map(|one| one.clone().into()).collect()
}

fn call(item: &Value, kind: ToolKind) -> Block {
    let input = input(item, kind);
    let id = [str_of(item, "call_id"), str_of(item, "id")].into_iter().find(|id| !id.is_empty());
    Block::ToolCall {
        id: id.map(str::to_owned),
        name: str_of(item, "name").to_owned(),
        input: input.into(),
        kind,
        signature: None,
    }
}

/// What a tool is called with, never empty for a function.
pub(super) fn input(item: &Value, kind: ToolKind) -> String {
    match (kind, item.get("arguments")) {
        (ToolKind::Function, Some(Value::String(text))) if !text.trim().is_empty() => text.clone(),
        // Some servers leave the arguments as an object.
        (ToolKind::Function, Some(object @ Value::Object(_))) => object.to_string(),
        (ToolKind::Function, _) => "{}".to_owned(),
        _ => str_of(item, "input").to_owned(),
    }
}

/// A reasoning item: readable, sealed, or nothing at all.
pub(super) fn thinking(item: &Value) -> Option<Block> {
    let sealed = signature(item);
    match (thought(item), sealed) {
        (text, Some(signature)) if text.is_empty() => Some(Block::SealedThinking(signature)),
        (text, None) if text.is_empty() => None,
        (text, signature) => Some(Block::Thinking { text: text.into(), signature }),
    }
}

/// The proof that a reasoning item carries, whoever made it.
pub(super) fn signature(item: &Value) -> Option<Signature> {
    let sealed = str_of(item, "encrypted_content");
    (!sealed.is_empty()).then(|| Signature::read(Issuer::OpenAi, sealed))
}

/// The text of a reasoning item: its summary, else the thinking itself.
pub(super) fn thought(item: &Value) -> String {
    let texts = |name: &str| {
        let parts = item.get(name).and_then(Value::as_array);
        let texts = parts.into_iter().flatten().map(|part| str_of(part, "text"));
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
    };
    let summary = texts("summary");
    if summary.is_empty() { texts("content") } else { summary }
}

fn image(item: &Value) -> Block {
    let format = match str_of(item, "output_format") {
        "" => "png",
        format => format,
    };
    let base64 = str_of(item, "result").into();
    Block::Media { media_type: format!("image/{format}"), base64 }
}

/// Adds the probabilities that an item's texts carry.
pub(super) fn logprobs(item: &Value, out: &mut Vec<Value>) {
    let parts = item.get("content").and_then(Value::as_array);
    for part in parts.into_iter().flatten() {
        let tokens = part.get("logprobs").and_then(Value::as_array);
        out.extend(tokens.into_iter().flatten().cloned());
    }
}

/// A string member, or nothing.
pub(super) fn str_of<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
