//! A whole chat completion as every dialect means it. Never repairs a body of another shape.

use bytes::Bytes;
use serde_json::Value;

use crate::answer::AnswerError;
use crate::neutral::{Block, Choice, Part, Reply, ToolKind, Words};

use super::super::tree::{self, Object};
use super::super::usage;
use super::citation;
use super::ending::{self, Said};
use super::thinking::{self, OfCalls};

/// Reads a whole body.
pub(crate) fn reply(body: &[u8]) -> Result<Reply, AnswerError> {
    let tree: Object = tree::read(body)?;
    if let Some(error) = ending::error(&Bytes::copy_from_slice(body), false) {
        return Ok(Reply { error: Some(error), ..Reply::default() });
    }
    let Some(choices) = tree.get("choices").and_then(Value::as_array) else {
        return Err(AnswerError { at: 0, what: "neither choices nor an error" });
    };
    let mut numbered: Vec<(u32, Choice)> = Vec::with_capacity(choices.len());
    for (position, item) in choices.iter().enumerate() {
        let Some(item) = item.as_object() else {
            return Err(AnswerError { at: 0, what: "a choice that is no object" });
        };
        let index = tree::number(item, "index");
        let index = index.or_else(|| u32::try_from(position).ok()).unwrap_or(u32::MAX);
        numbered.push((index, choice(item)));
    }
    numbered.sort_by_key(|(index, _)| *index);
    Ok(Reply {
        id: tree::string(&tree, "id").map(str::to_owned),
        model: tree::string(&tree, "model").map(str::to_owned),
        created_s: tree.get("created").and_then(Value::as_u64),
        choices: numbered.into_iter().map(|(_, choice)| choice).collect(),
        usage: usage_of(&tree),
        service_tier: tree::string(&tree, "service_tier").map(str::to_owned),
        error: None,
    })
}

/// The usage of a body or chunk, which some servers put elsewhere.
pub(super) fn usage_of(tree: &Object) -> Option<crate::Usage> {
    let groq = tree::object(tree, "x_groq").and_then(|inner| inner.get("usage"));
    let value = tree.get("usage").filter(|usage| usage.is_object()).or(groq)?;
    usage::parse(&value.to_string())
}

fn choice(item: &Object) -> Choice {
    let mut choice = Choice::default();
    if let Some(message) = tree::object(item, "message") {
        blocks(message, &mut choice.blocks);
    }
    let refused = choice.blocks.iter().any(|block| matches!(block, Block::Refusal(_)));
    let said = Said { called: choice.calls_tools(), refused };
    let word = tree::string(item, "finish_reason").unwrap_or("stop");
    choice.finish = Some(ending::finish(word, said));
    choice.logprobs =
        item.get("logprobs").filter(|value| !value.is_null()).cloned().map(Into::into);
    choice
}

fn blocks(message: &Object, blocks: &mut Vec<Block>) {
    let (thoughts, mut signatures) = thinking::history(message);
    blocks.extend(thoughts.into_iter().filter_map(thought));
    match message.get("content") {
        Some(Value::String(text)) => push_text(text, blocks),
        Some(Value::Array(parts)) => parts.iter().for_each(|part| content_part(part, blocks)),
        _ => {}
    }
    let cited = citation::read(message);
    let text = blocks.iter_mut().rev().find_map(|block| match block {
        Block::Text { citations, .. } => Some(citations),
        _ => None,
    });
    if let Some(citations) = text {
        citations.extend(cited);
    }
    if let Some(refusal) = tree::string(message, "refusal") {
        blocks.push(Block::Refusal(refusal.into()));
    }
    if let Some(audio) = tree::object(message, "audio") {
        push_text(tree::string(audio, "transcript").unwrap_or_default(), blocks);
        if let Some(base64) = tree::string(audio, "data") {
            let media_type = "audio/wav".to_owned();
            blocks.push(Block::Media { media_type, base64: base64.into() });
        }
    }
    blocks.extend(images(message).map(|(media_type, base64)| Block::Media { media_type, base64 }));
    for call in tree::items(message, "tool_calls").iter().filter_map(Value::as_object) {
        blocks.push(tool_call(call, &mut signatures));
    }
    if let Some(call) = tree::object(message, "function_call") {
        blocks.push(tool_call(call, &mut signatures));
    }
}

fn push_text(text: &str, blocks: &mut Vec<Block>) {
    if !text.is_empty() {
        blocks.push(Block::Text { text: text.into(), citations: Vec::new() });
    }
}

fn thought(part: Part) -> Option<Block> {
    match part {
        Part::Thinking { text, signature } => Some(Block::Thinking { text, signature }),
        Part::SealedThinking(signature) => Some(Block::SealedThinking(signature)),
        _ => None,
    }
}

fn content_part(part: &Value, blocks: &mut Vec<Block>) {
    let Some(part) = part.as_object() else {
        return push_text(part.as_str().unwrap_or_default(), blocks);
    };
    match tree::string(part, "type") {
        Some("thinking") => blocks.extend(thinking::nested(part).and_then(thought)),
        Some("refusal") => {
            let refusal = tree::string(part, "refusal").unwrap_or_default();
            blocks.push(Block::Refusal(refusal.into()));
        }
        _ => push_text(tree::string(part, "text").unwrap_or_default(), blocks),
    }
}

/// Inline images that the model made, in OpenRouter's member.
pub(super) fn images(spoken: &Object) -> impl Iterator<Item = (String, Words)> {
    let items = tree::items(spoken, "images").iter().filter_map(Value::as_object);
    items.filter_map(|image| {
        let url = tree::string(tree::object(image, "image_url")?, "url")?;
        let (head, base64) = url.strip_prefix("data:")?.split_once(',')?;
        Some((head.strip_suffix(";base64")?.to_owned(), Words::from(base64)))
    })
}

fn tool_call(call: &Object, signatures: &mut OfCalls) -> Block {
    let custom = tree::object(call, "custom");
    let inner = custom.or_else(|| tree::object(call, "function")).unwrap_or(call);
    let id = tree::string(call, "id").map(str::to_owned);
    let sealed = id.as_ref().and_then(|id| signatures.get_mut(id)?.pop_front());
    let signature = thinking::of_call(call).or(sealed);
    let (kind, input) = match custom {
        Some(custom) => (ToolKind::Custom, tree::input(custom.get("input"))),
        None => (ToolKind::Function, tree::or_braces(tree::input(inner.get("arguments")))),
    };
    let name = tree::string(inner, "name").unwrap_or_default().to_owned();
    Block::ToolCall { id, name, input: Words::from(input), kind, signature }
}
