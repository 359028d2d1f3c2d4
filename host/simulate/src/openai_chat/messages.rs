//! The messages of a chat completion request: roles, calls paired with results, and what an
//! answer depends on.

use serde_json::Value;

use super::error::invalid;
use super::rules::media_type;
use crate::answer::{Ask, Media};
use crate::speech::ErrorBody;
use crate::tally::Tally;
use crate::tokens;

/// Tokens that each message costs beside its text, and the answer's opening.
pub(super) const TOKENS_PER_MESSAGE: u64 = 3;
/// Tokens that an image costs, as OpenAI's low detail.
pub(super) const TOKENS_PER_IMAGE: u64 = 85;

/// Reads all messages, in order.
pub(super) fn read_messages(
    messages: &[Value],
    ask: &mut Ask,
    tally: &mut Tally,
) -> Result<(), ErrorBody> {
    tally.tokens += TOKENS_PER_MESSAGE;
    // Calls of the last message that made any, and those of them that wait for a result.
    let (mut known, mut open): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for (index, message) in messages.iter().enumerate() {
        let text = text_of(message.get("content"));
        let media = read_media(message, ask);
        let mut weight = TOKENS_PER_MESSAGE + tokens::count(&text) + media * TOKENS_PER_IMAGE;
        let role = message.get("role").and_then(Value::as_str);
        if role != Some("tool") && !open.is_empty() {
            return Err(unanswered(index, &open));
        }
        match role {
            Some("user") => (ask.last_user_text, ask.tool_result) = (text, None),
            Some("assistant") => {
                ask.tool_result = None;
                known.clear();
                let calls = message.get("tool_calls").and_then(Value::as_array);
                for call in calls.into_iter().flatten() {
                    known.extend(call.get("id").and_then(Value::as_str));
                    let custom = call.pointer("/custom/input");
                    let arguments = call.pointer("/function/arguments").or(custom);
                    weight += arguments.and_then(Value::as_str).map_or(0, tokens::count);
                    ask.calls_made += 1;
                }
                open.clone_from(&known);
            }
            Some("tool") => {
                let id = message.get("tool_call_id").and_then(Value::as_str);
                let Some(id) = id.filter(|id| known.contains(id)) else {
                    return Err(orphan_result(index));
                };
                open.retain(|waiting| *waiting != id);
                ask.tool_result = Some(text);
            }
            Some("system" | "developer" | "function") => {}
            _ => {
                let text = format!("Invalid value for 'messages[{index}].role'.");
                return Err(invalid(&text, Some("messages"), Some("invalid_value")));
            }
        }
        tally.part(message, weight);
    }
    if open.is_empty() { Ok(()) } else { Err(unanswered(messages.len(), &open)) }
}

fn orphan_result(index: usize) -> ErrorBody {
    let text = "Invalid parameter: messages with role 'tool' must be a response to a preceeding \
        message with 'tool_calls'.";
    invalid(text, Some(&format!("messages.[{index}].role")), None)
}

fn unanswered(index: usize, ids: &[&str]) -> ErrorBody {
    let text = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to \
         each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        ids.join(", ")
    );
    invalid(&text, Some(&format!("messages.[{index}].role")), None)
}

/// The text of a content field: a string, or the text parts of an array.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
        }
        _ => String::new(),
    }
}

/// Notes what is no text; how many there are.
fn read_media(message: &Value, ask: &mut Ask) -> u64 {
    let parts = message.get("content").and_then(Value::as_array).into_iter().flatten();
    let mut count = 0;
    for part in parts {
        let text = |pointer: &str| part.pointer(pointer).and_then(Value::as_str);
        let (kind, media_type) = match part.get("type").and_then(Value::as_str) {
            Some("input_audio") => {
                let format = text("/input_audio/format").unwrap_or("unknown");
                ("audio", format!("audio/{format}"))
            }
            Some("file") => ("document", media_type(text("/file/file_data"))),
            _ if part.get("image_url").is_some() => {
                ("image", media_type(text("/image_url/url").or_else(|| text("/image_url"))))
            }
            _ => continue,
        };
        ask.media.push(Media { kind, media_type });
        count += 1;
    }
    count
}
