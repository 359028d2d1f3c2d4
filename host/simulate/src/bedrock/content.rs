//! The messages of a Converse request: turns that alternate, blocks of one kind each, results for
//! every call; and what an answer depends on.

use serde_json::Value;

use super::error::invalid;
use super::request::only;
use crate::answer::{Ask, Media};
use crate::encode::from_base64;
use crate::seal::is_ours;
use crate::speech::{ErrorBody, Incoming};
use crate::tally::Tally;
use crate::tokens;

/// Tokens of an image or a document.
const TOKENS_PER_MEDIA: u64 = 300;
/// Kinds of blocks.
const BLOCKS: [&str; 9] = [
    "text",
    "image",
    "document",
    "video",
    "audio",
    "toolUse",
    "toolResult",
    "reasoningContent",
    "cachePoint",
];

/// Reads all messages, in order.
pub(super) fn read(
    body: &Value,
    incoming: &Incoming<'_>,
    ask: &mut Ask,
    tally: &mut Tally,
) -> Result<(), ErrorBody> {
    let messages = body.get("messages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut before = "assistant";
    let mut called: Vec<&str> = Vec::new();
    for message in messages {
        only(message, &["role", "content"], "#/messages")?;
        let role = message.get("role").and_then(Value::as_str).unwrap_or("");
        if role == before || !["user", "assistant"].contains(&role) {
            return Err(invalid(
                "A conversation must alternate between user and assistant roles, and begin with \
                 a user message.",
            ));
        }
        before = role;
        let blocks = message.get("content").and_then(Value::as_array);
        let blocks = blocks.map_or(&[][..], Vec::as_slice);
        if blocks.is_empty() {
            return Err(invalid("The content field in the Message object is empty."));
        }
        check_results(blocks, &called)?;
        let ids = blocks.iter().filter_map(|block| block.pointer("/toolUse/toolUseId"));
        called = ids.filter_map(Value::as_str).collect();
        let mut said = Vec::new();
        for block in blocks {
            let weight = read_block(block, incoming, ask)?;
            said.extend(block.get("text").and_then(Value::as_str));
            tally.part(block, weight);
        }
        if role == "assistant" {
            ask.tool_result = None;
        } else if !said.is_empty() {
            ask.last_user_text = said.concat();
            if !blocks.iter().any(|block| block.get("toolResult").is_some()) {
                ask.tool_result = None;
            }
        }
    }
    if messages.is_empty() {
        return Err(invalid("The messages field is empty."));
    }
    Ok(())
}

/// The results of a turn are those of the calls before it, all of them.
fn check_results(blocks: &[Value], called: &[&str]) -> Result<(), ErrorBody> {
    let results = blocks.iter().filter_map(|block| block.pointer("/toolResult/toolUseId"));
    let results: Vec<&str> = results.filter_map(Value::as_str).collect();
    let missing = called.iter().any(|id| !results.contains(id));
    let strange = results.iter().any(|id| !called.contains(id));
    if missing || strange {
        return Err(invalid(
            "The number of toolResult blocks exceeds or is below the number of toolUse blocks of \
             previous turn.",
        ));
    }
    Ok(())
}

/// Notes what an answer depends on; the block's tokens.
fn read_block(block: &Value, incoming: &Incoming<'_>, ask: &mut Ask) -> Result<u64, ErrorBody> {
    only(block, &BLOCKS, "#/messages/content")?;
    if let Some(text) = block.get("text") {
        let text = text.as_str().unwrap_or("");
        if text.trim().is_empty() {
            return Err(invalid("The text field in the ContentBlock object is blank."));
        }
        return Ok(tokens::count(text));
    }
    for kind in ["image", "document", "video", "audio"] {
        if let Some(media) = block.get(kind) {
            return read_media(kind, media, ask);
        }
    }
    if let Some(call) = block.get("toolUse") {
        if !call.get("input").is_some_and(Value::is_object) {
            return Err(invalid("The value of toolUse.input is not a JSON object."));
        }
        ask.calls_made += 1;
        return Ok(tokens::count(&call.to_string()));
    }
    if let Some(result) = block.get("toolResult") {
        let parts = result.get("content").and_then(Value::as_array);
        let texts = parts.into_iter().flatten().filter_map(|part| match part.get("text") {
            Some(text) => text.as_str().map(str::to_owned),
            None => part.get("json").map(Value::to_string),
        });
        let said: String = texts.collect();
        let weight = tokens::count(&said);
        ask.tool_result = Some(said);
        return Ok(weight);
    }
    if let Some(proof) = block.pointer("/reasoningContent/reasoningText/signature") {
        if !proof.as_str().is_some_and(|proof| is_ours(incoming.issuer, proof)) {
            return Err(invalid(
                "The model returned the following errors: messages.1.content.0: Invalid \
                 `signature` in `thinking` block",
            ));
        }
        return Ok(0);
    }
    Ok(0)
}

fn read_media(kind: &str, media: &Value, ask: &mut Ask) -> Result<u64, ErrorBody> {
    let format = media.get("format").and_then(Value::as_str).unwrap_or("");
    let bytes = media.pointer("/source/bytes").and_then(Value::as_str);
    if format.is_empty() || bytes.and_then(from_base64).is_none() {
        return Err(invalid(&format!("The {kind} has no format or no bytes in base64.")));
    }
    if kind == "document" && media.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(invalid("The document has no name."));
    }
    let (kind, family) = match kind {
        "image" => ("image", "image"),
        "audio" => ("audio", "audio"),
        _ => ("document", "application"),
    };
    ask.media.push(Media { kind, media_type: format!("{family}/{format}") });
    Ok(TOKENS_PER_MEDIA)
}
