//! The content blocks of a Messages request: each checked by itself, counted, and read for what
//! an answer depends on.

use serde_json::Value;

use super::error::invalid;
use crate::answer::{Ask, Document, Media};
use crate::speech::ErrorBody;
use crate::tally::Tally;
use crate::tokens;

/// Tokens that each message costs beside its content.
const TOKENS_PER_MESSAGE: u64 = 3;
/// Tokens of an image of common size, and of a document's page.
const TOKENS_PER_IMAGE: u64 = 1568;
/// How the notes begin that Claude Code puts beside what its user said.
const REMINDER: &str = "<system-reminder>";
/// Blocks and the members that each may have besides its type.
const BLOCKS: [(&str, &[&str]); 8] = [
    ("text", &["text", "cache_control", "citations"]),
    ("image", &["source", "cache_control"]),
    ("document", &["source", "title", "context", "citations", "cache_control"]),
    ("tool_use", &["id", "name", "input", "cache_control", "caller", "toolset_name"]),
    ("tool_result", &["tool_use_id", "content", "is_error", "cache_control", "toolset_name"]),
    ("thinking", &["thinking", "signature"]),
    ("redacted_thinking", &["data"]),
    ("search_result", &["source", "title", "content", "citations", "cache_control"]),
];
/// Blocks of tools that Anthropic runs itself: taken back as they are.
const SERVER_BLOCKS: [&str; 12] = [
    "compaction",
    "advisor_tool_result",
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "container_upload",
];
/// Kinds of images.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Reads `system`: a text, or text blocks.
pub(super) fn read_system(system: Option<&Value>, tally: &mut Tally) -> Result<(), ErrorBody> {
    match system {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(text)) => {
            tally.text(text);
            Ok(())
        }
        Some(Value::Array(blocks)) => {
            for (index, block) in blocks.iter().enumerate() {
                let text = block.get("text").and_then(Value::as_str);
                match (block.get("type").and_then(Value::as_str), text) {
                    (Some("text"), Some("")) => {
                        return Err(invalid("system: text content blocks must be non-empty"));
                    }
                    (Some("text"), Some(text)) => tally.part(block, tokens::count(text)),
                    (Some("text"), None) => {
                        return Err(invalid(&format!("system.{index}.text: Field required")));
                    }
                    _ => {
                        return Err(invalid(&format!(
                            "system.{index}.type: Input should be 'text'"
                        )));
                    }
                }
            }
            Ok(())
        }
        Some(_) => Err(invalid("system: Input should be a valid list")),
    }
}

/// Reads the messages, in order.
pub(super) fn read_messages(
    messages: &[Value],
    ask: &mut Ask,
    tally: &mut Tally,
) -> Result<(), ErrorBody> {
    tally.tokens += TOKENS_PER_MESSAGE;
    for (index, message) in messages.iter().enumerate() {
        tally.tokens += TOKENS_PER_MESSAGE;
        let user = message.get("role").and_then(Value::as_str) == Some("user");
        let mut said = Vec::new();
        let mut result = None;
        match message.get("content") {
            Some(Value::String(text)) => {
                tally.text(text);
                said.push(text.clone());
            }
            Some(Value::Array(blocks)) => {
                for (nth, block) in blocks.iter().enumerate() {
                    let at = format!("messages.{index}.content.{nth}");
                    check(block, &at)?;
                    tally.part(block, weight(block));
                    match block.get("type").and_then(Value::as_str) {
                        Some("text") => said.push(text_of(Some(block))),
                        Some("tool_result") => result = Some(text_of(block.get("content"))),
                        Some("tool_use") => ask.calls_made += 1,
                        _ => {}
                    }
                    read_media(block, ask);
                }
            }
            _ => {}
        }
        ask.tool_result = result;
        let words: Vec<String> =
            said.into_iter().filter(|text| !text.trim_start().starts_with(REMINDER)).collect();
        if user && !words.is_empty() {
            (ask.last_user_text, ask.tool_result) = (words.concat(), None);
        }
    }
    Ok(())
}

fn check(block: &Value, at: &str) -> Result<(), ErrorBody> {
    let Some(kind) = block.get("type").and_then(Value::as_str) else {
        return Err(invalid(&format!("{at}.type: Field required")));
    };
    let Some((_, members)) = BLOCKS.iter().find(|(known, _)| *known == kind) else {
        if SERVER_BLOCKS.contains(&kind) {
            return Ok(());
        }
        let mut known: Vec<String> = BLOCKS.iter().map(|(name, _)| format!("'{name}'")).collect();
        known.sort();
        let known = known.join(", ");
        return Err(invalid(&format!(
            "{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: \
             {known}"
        )));
    };
    let given = block.as_object().into_iter().flat_map(|members| members.keys());
    for name in given {
        if name != "type" && !members.contains(&name.as_str()) {
            return Err(invalid(&format!("{at}.{kind}.{name}: Extra inputs are not permitted")));
        }
    }
    let required = |name: &str| match block.get(name) {
        None => Err(invalid(&format!("{at}.{kind}.{name}: Field required"))),
        Some(value) => Ok(value),
    };
    match kind {
        "text" => check_text(required("text")?, at),
        "image" => check_image(required("source")?, at),
        "document" => required("source").map(drop),
        "thinking" => required("thinking").and(required("signature")).map(drop),
        "redacted_thinking" => required("data").map(drop),
        "tool_result" => required("tool_use_id").map(drop),
        "tool_use" => {
            required("name")?;
            let legal = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
            let id = required("id")?.as_str().unwrap_or("");
            if id.is_empty() || !id.chars().all(legal) {
                return Err(invalid(&format!(
                    "{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
                )));
            }
            if !required("input")?.is_object() {
                let text = format!("{at}.tool_use.input: Input should be a valid dictionary");
                return Err(invalid(&text));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_text(text: &Value, at: &str) -> Result<(), ErrorBody> {
    match text.as_str() {
        None => Err(invalid(&format!("{at}.text.text: Input should be a valid string"))),
        Some("") => Err(invalid("messages: text content blocks must be non-empty")),
        Some(text) if text.trim().is_empty() => {
            Err(invalid("messages: text content blocks must contain non-whitespace text"))
        }
        Some(_) => Ok(()),
    }
}

fn check_image(source: &Value, at: &str) -> Result<(), ErrorBody> {
    let text = |name: &str| source.get(name).and_then(Value::as_str);
    match text("type") {
        Some("base64") => {
            if !text("media_type").is_some_and(|kind| IMAGES.contains(&kind)) {
                return Err(invalid(&format!(
                    "{at}.image.source.base64.media_type: Input should be 'image/jpeg', \
                     'image/png', 'image/gif' or 'image/webp'"
                )));
            }
            let data = text("data").and_then(crate::encode::from_base64);
            if data.is_none_or(|data| data.is_empty()) {
                return Err(invalid(&format!(
                    "{at}.image.source.base64.data: Invalid base64 data"
                )));
            }
            Ok(())
        }
        Some("url") if text("url").is_some_and(|url| url.starts_with("http")) => Ok(()),
        Some("url") => {
            Err(invalid(&format!("{at}.image.source.url.url: Only HTTP(S) URLs are supported.")))
        }
        Some("file") => Ok(()),
        _ => Err(invalid(&format!(
            "{at}.image.source: Input tag found using 'type' does not match any of the expected \
             tags: 'base64', 'file', 'url'"
        ))),
    }
}

/// Tokens of a block, with what is inside it.
fn weight(block: &Value) -> u64 {
    let text = |name: &str| block.get(name).and_then(Value::as_str).map_or(0, tokens::count);
    match block.get("type").and_then(Value::as_str) {
        Some("text") => text("text"),
        Some("image" | "document") => TOKENS_PER_IMAGE,
        Some("tool_use") => {
            text("name") + block.get("input").map_or(0, |input| tokens::count(&input.to_string()))
        }
        Some("tool_result") => match block.get("content") {
            Some(Value::String(result)) => tokens::count(result),
            Some(Value::Array(inner)) => inner.iter().map(weight).sum(),
            _ => 0,
        },
        // Thinking of earlier turns is dropped, and not counted.
        _ => 0,
    }
}

/// The text of a content: a text itself, a text block, or the text blocks of a list.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(blocks)) => blocks.iter().map(|block| text_of(Some(block))).collect(),
        Some(block) => block.get("text").and_then(Value::as_str).unwrap_or("").to_owned(),
        None => String::new(),
    }
}

fn read_media(block: &Value, ask: &mut Ask) {
    let kind = match block.get("type").and_then(Value::as_str) {
        Some("image") => "image",
        Some("document") => "document",
        Some("tool_result") => {
            let inner = block.get("content").and_then(Value::as_array);
            return inner.into_iter().flatten().for_each(|block| read_media(block, ask));
        }
        _ => return,
    };
    let source = |name: &str| block.pointer(&format!("/source/{name}")).and_then(Value::as_str);
    let media_type = source("media_type").or_else(|| source("type")).unwrap_or("unknown");
    ask.media.push(Media { kind, media_type: media_type.to_owned() });
    let cited = block.pointer("/citations/enabled") == Some(&Value::Bool(true));
    if kind == "document" && cited {
        let plain = source("type") == Some("text");
        let text = if plain { source("data").unwrap_or("") } else { "The first page." };
        let title = block.get("title").and_then(Value::as_str).map(str::to_owned);
        ask.documents.push(Document { title, text: text.to_owned(), pages: !plain });
    }
}
