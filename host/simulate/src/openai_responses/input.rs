//! The input items of a Responses request: each checked by itself, calls paired with outputs,
//! reasoning verified, and all read for what an answer depends on.

use serde_json::Value;

use super::items::ENCRYPTED;
use super::{invalid, missing};
use crate::answer::{Ask, Media};
use crate::openai_chat::error;
use crate::seal::is_ours;
use crate::speech::{ErrorBody, Incoming};
use crate::tally::Tally;
use crate::tokens;

/// Tokens that each item costs beside its text.
const TOKENS_PER_ITEM: u64 = 3;
/// Tokens of an image or a file.
const TOKENS_PER_IMAGE: u64 = 85;
/// Items and how their ids begin.
const ITEMS: [(&str, &str); 18] = [
    ("message", "msg"),
    ("function_call", "fc"),
    ("function_call_output", "fc"),
    ("custom_tool_call", "ctc"),
    ("custom_tool_call_output", "ctc"),
    ("reasoning", "rs"),
    ("item_reference", ""),
    ("web_search_call", "ws"),
    ("file_search_call", "fs"),
    ("computer_call", "cu"),
    ("computer_call_output", "cu"),
    ("image_generation_call", "ig"),
    ("code_interpreter_call", "ci"),
    ("local_shell_call", "lsh"),
    ("local_shell_call_output", "lsh"),
    ("mcp_call", "mcp"),
    ("mcp_list_tools", "mcpl"),
    ("compaction", "cmp"),
];
/// Parts that may stand in a message of the caller's, and of the model's.
const PARTS: [&str; 4] = ["input_text", "input_image", "input_file", "input_audio"];
const ANSWER_PARTS: [&str; 2] = ["output_text", "refusal"];

/// Reads all items, in order.
pub(super) fn read(
    items: &[Value],
    incoming: &Incoming<'_>,
    ask: &mut Ask,
    tally: &mut Tally,
) -> Result<(), ErrorBody> {
    tally.tokens += TOKENS_PER_ITEM;
    for (index, item) in items.iter().enumerate() {
        let at = format!("input[{index}]");
        let kind = check_kind(&at, item)?;
        let weight = match kind {
            "message" => read_message(&at, item, ask)?,
            "function_call" | "custom_tool_call" => read_call(&at, kind, item, ask)?,
            "function_call_output" | "custom_tool_call_output" => read_output(&at, item, ask)?,
            "reasoning" => check_reasoning(item, incoming).map(|()| 0)?,
            "item_reference" => check_reference(item, incoming).map(|()| 0)?,
            _ => 0,
        };
        tally.part(item, weight + TOKENS_PER_ITEM);
    }
    check_pairs(items)
}

fn text<'a>(item: &'a Value, name: &str) -> Option<&'a str> {
    item.get(name).and_then(Value::as_str)
}

fn check_kind<'a>(at: &str, item: &'a Value) -> Result<&'a str, ErrorBody> {
    let kind = match text(item, "type") {
        Some(kind) => kind,
        None if item.get("role").is_some() => "message",
        None => return Err(missing(&format!("{at}.type"))),
    };
    let Some((_, prefix)) = ITEMS.iter().find(|(known, _)| *known == kind) else {
        let known = ITEMS.map(|(name, _)| format!("'{name}'")).join(", ");
        let text = format!("Invalid value: '{kind}'. Supported values are: {known}.");
        return Err(invalid(&text, Some(at), Some("invalid_value")));
    };
    if let Some(id) = text(item, "id").filter(|id| !id.starts_with(prefix)) {
        let text =
            format!("Invalid '{at}.id': '{id}'. Expected an ID that begins with '{prefix}'.");
        return Err(invalid(&text, Some(&format!("{at}.id")), Some("invalid_value")));
    }
    Ok(kind)
}

fn read_message(at: &str, item: &Value, ask: &mut Ask) -> Result<u64, ErrorBody> {
    let role = text(item, "role").unwrap_or("");
    let allowed: &[&str] = match role {
        "user" | "system" | "developer" => &PARTS,
        "assistant" => &ANSWER_PARTS,
        _ => {
            let text = format!(
                "Invalid value: '{role}'. Supported values are: 'assistant', 'system', \
                 'developer', and 'user'."
            );
            return Err(invalid(&text, Some(&format!("{at}.role")), Some("invalid_value")));
        }
    };
    let Some(content) = item.get("content") else {
        return Err(missing(&format!("{at}.content")));
    };
    let parts = content.as_array().map_or(&[] as &[_], Vec::as_slice);
    for (nth, part) in parts.iter().enumerate() {
        let kind = text(part, "type").unwrap_or("");
        if !allowed.contains(&kind) {
            let known: Vec<String> = allowed.iter().map(|name| format!("'{name}'")).collect();
            let known = known.join(", ");
            let text = format!("Invalid value: '{kind}'. Supported values are: {known}.");
            let param = format!("{at}.content[{nth}]");
            return Err(invalid(&text, Some(&param), Some("invalid_value")));
        }
    }
    let images = read_media(parts, ask);
    let said = text_of(content);
    let weight = tokens::count(&said) + images;
    match role {
        "user" => (ask.last_user_text, ask.tool_result) = (said, None),
        "assistant" => ask.tool_result = None,
        _ => {}
    }
    Ok(weight)
}

/// Notes what is no text; its tokens.
fn read_media(parts: &[Value], ask: &mut Ask) -> u64 {
    let mut weight = 0;
    for part in parts {
        let (kind, address) = match text(part, "type") {
            Some("input_image") => ("image", text(part, "image_url")),
            Some("input_file") => {
                ("document", text(part, "file_data").or_else(|| text(part, "file_url")))
            }
            Some("input_audio") => ("audio", None),
            _ => continue,
        };
        let media_type = crate::openai_chat::media_type(address);
        ask.media.push(Media { kind, media_type });
        weight += TOKENS_PER_IMAGE;
    }
    weight
}

/// A text itself, or the text parts of a list.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| text(part, "text")).collect(),
        _ => String::new(),
    }
}

fn read_call(at: &str, kind: &str, item: &Value, ask: &mut Ask) -> Result<u64, ErrorBody> {
    let member = if kind == "function_call" { "arguments" } else { "input" };
    for name in ["call_id", "name", member] {
        match item.get(name) {
            None => return Err(missing(&format!("{at}.{name}"))),
            Some(value) if !value.is_string() => {
                let param = format!("{at}.{name}");
                let text = format!("Invalid type for '{param}': expected a string.");
                return Err(invalid(&text, Some(&param), Some("invalid_type")));
            }
            Some(_) => {}
        }
    }
    ask.calls_made += 1;
    ask.tool_result = None;
    Ok(text(item, member).map_or(0, tokens::count))
}

fn read_output(at: &str, item: &Value, ask: &mut Ask) -> Result<u64, ErrorBody> {
    let Some(output) = item.get("output") else { return Err(missing(&format!("{at}.output"))) };
    let images = read_media(output.as_array().map_or(&[], Vec::as_slice), ask);
    let said = text_of(output);
    let weight = tokens::count(&said) + images;
    ask.tool_result = Some(said);
    Ok(weight)
}

/// Every output answers an earlier call, and every call has one.
fn check_pairs(items: &[Value]) -> Result<(), ErrorBody> {
    let mut open: Vec<(&str, &str)> = Vec::new();
    for item in items {
        let (kind, id) = (text(item, "type").unwrap_or(""), text(item, "call_id").unwrap_or(""));
        match kind {
            "function_call" | "custom_tool_call" => open.push((kind, id)),
            "function_call_output" | "custom_tool_call_output" => {
                let Some(at) = open.iter().position(|(_, call)| *call == id) else {
                    let what = if kind.starts_with('f') { "function" } else { "custom tool" };
                    let text =
                        format!("No tool call found for {what} call output with call_id {id}.");
                    return Err(invalid(&text, Some("input"), None));
                };
                open.remove(at);
            }
            _ => {}
        }
    }
    let Some((kind, id)) = open.first() else { return Ok(()) };
    let what = if *kind == "function_call" { "function call" } else { "custom tool call" };
    let text = format!("No tool output found for {what} {id}.");
    Err(invalid(&text, Some("input"), None))
}

fn check_reasoning(item: &Value, incoming: &Incoming<'_>) -> Result<(), ErrorBody> {
    if let Some(content) = text(item, "encrypted_content") {
        let sealed = content.strip_prefix(ENCRYPTED).unwrap_or("");
        if is_ours(incoming.issuer, sealed) {
            return Ok(());
        }
        let shown: String = content.chars().take(4).collect();
        let text = format!(
            "The encrypted content {shown}... could not be verified. Reason: Encrypted content \
             could not be decrypted or parsed."
        );
        return Err(invalid(&text, None, Some("invalid_encrypted_content")));
    }
    check_reference(item, incoming)
}

fn check_reference(item: &Value, incoming: &Incoming<'_>) -> Result<(), ErrorBody> {
    let Some(id) = text(item, "id") else { return Err(missing("input.id")) };
    if incoming.memory.stored(id).is_some() {
        return Ok(());
    }
    let text = format!(
        "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try \
         again with `store` set to true, or remove this item from your input."
    );
    Err(error(404, &text, "invalid_request_error", Some("input"), None))
}
