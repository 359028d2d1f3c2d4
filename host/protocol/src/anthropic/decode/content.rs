//! Content blocks of a request: of a message, of the instructions, of a tool's result. Blocks that
//! only this dialect has are kept whole, with their place. Never changes the order.

use serde_json::{Map, Value};

use crate::neutral::{
    CacheMark, Issuer, Media, MediaKind, MediaSource, Own, Part, Signature, ToolKind, Words,
};
use crate::request_error::RequestError;

use super::string;

/// Content: a string, or an array of blocks. `at` is its path.
pub(super) fn parts(content: Option<&Value>, at: &str) -> Result<Vec<Part>, RequestError> {
    let mut parts = Vec::new();
    match content {
        None | Some(Value::Null) => {}
        // An empty text says nothing, and other providers refuse it.
        Some(Value::String(text)) if text.is_empty() => {}
        Some(Value::String(text)) => parts.push(Part::text(text.as_str())),
        Some(Value::Array(blocks)) => {
            for (index, value) in blocks.iter().enumerate() {
                let at = format!("{at}[{index}]");
                let Some(block) = value.as_object() else {
                    return Err(RequestError::invalid(at, "a block: an object with a type"));
                };
                push(block, value, &at, &mut parts)?;
            }
        }
        Some(_) => return Err(RequestError::invalid(at, "a string or an array of blocks")),
    }
    Ok(parts)
}

fn push(
    block: &Map<String, Value>,
    value: &Value,
    at: &str,
    parts: &mut Vec<Part>,
) -> Result<(), RequestError> {
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
    let part = match kind {
        "text" => {
            let text = required(block, "text", at)?;
            if text.is_empty() {
                return Ok(());
            }
            Part::Text { text: text.into(), cache: cache(block), citations: citations(block) }
        }
        "image" => media(block, value, MediaKind::Image, at)?,
        "document" => media(block, value, MediaKind::Document, at)?,
        "thinking" => thinking(block),
        "redacted_thinking" => {
            let data = required(block, "data", at)?;
            Part::SealedThinking(Signature::read(Issuer::Anthropic, &data))
        }
        "tool_use" => tool_call(block, at, parts)?,
        "tool_result" => Part::ToolResult {
            call_id: required(block, "tool_use_id", at)?,
            name: None,
            kind: ToolKind::Function,
            parts: self::parts(block.get("content"), &format!("{at}.content"))?,
            failed: block.get("is_error").and_then(Value::as_bool).unwrap_or(false),
            cache: cache(block),
        },
        _ => own(value, at),
    };
    parts.push(part);
    Ok(())
}

fn thinking(block: &Map<String, Value>) -> Part {
    let signature = string(block, "signature").filter(|signature| !signature.is_empty());
    let signature = signature.map(|text| Signature::read(Issuer::Anthropic, &text));
    // A tag without a signature behind it stands for thinking that never had one.
    let signature = signature.filter(|signature| !signature.data.0.is_empty());
    Part::Thinking { text: string(block, "thinking").unwrap_or_default().into(), signature }
}

/// A tool's call. Sealed thinking of Gemini right before it is that call's own signature, for which
/// this dialect has no other place.
fn tool_call(
    block: &Map<String, Value>,
    at: &str,
    parts: &mut Vec<Part>,
) -> Result<Part, RequestError> {
    let signature = match parts.last() {
        Some(Part::SealedThinking(signature)) if signature.issuer == Issuer::Gemini => {
            let signature = signature.clone();
            parts.pop();
            Some(signature)
        }
        _ => None,
    };
    Ok(Part::ToolCall {
        id: required(block, "id", at)?,
        name: required(block, "name", at)?,
        input: input(block.get("input")),
        kind: ToolKind::Function,
        signature,
        cache: cache(block),
    })
}

/// A tool's input as JSON text, which is never empty.
pub(super) fn input(value: Option<&Value>) -> Words {
    match value {
        None | Some(Value::Null) => "{}".into(),
        Some(Value::String(text)) if text.trim().is_empty() => "{}".into(),
        Some(value) => value.to_string().into(),
    }
}

fn media(
    block: &Map<String, Value>,
    value: &Value,
    kind: MediaKind,
    at: &str,
) -> Result<Part, RequestError> {
    let Some(source) = block.get("source").and_then(Value::as_object) else {
        return Err(RequestError::missing(format!("{at}.source"), "where the bytes are"));
    };
    let at = format!("{at}.source");
    let media_type = string(source, "media_type");
    let source = match source.get("type").and_then(Value::as_str).unwrap_or_default() {
        "base64" => MediaSource::Inline {
            media_type: media_type
                .ok_or_else(|| RequestError::missing(format!("{at}.media_type"), "a media type"))?,
            base64: required(source, "data", &at)?.into(),
        },
        "text" => MediaSource::Text(required(source, "data", &at)?.into()),
        "url" => MediaSource::Url { url: required(source, "url", &at)?.into(), media_type },
        "file" => MediaSource::FileId(required(source, "file_id", &at)?),
        "content" => match source.get("content") {
            Some(Value::String(text)) => MediaSource::Text(text.as_str().into()),
            _ => return Ok(own(value, at.trim_end_matches(".source"))),
        },
        _ => return Ok(own(value, at.trim_end_matches(".source"))),
    };
    let asked = block.get("citations").and_then(|citations| citations.get("enabled"));
    Ok(Part::Media(Media {
        kind,
        source,
        detail: None,
        name: string(block, "title").map(Words::from),
        context: string(block, "context").map(Words::from),
        citations: asked.and_then(Value::as_bool).unwrap_or(false),
        cache: cache(block),
    }))
}

fn own(value: &Value, at: &str) -> Part {
    Part::Own(Own { at: at.to_owned(), value: value.clone().into() })
}

fn required(block: &Map<String, Value>, key: &str, at: &str) -> Result<String, RequestError> {
    string(block, key).ok_or_else(|| RequestError::missing(format!("{at}.{key}"), "a string"))
}

/// The `cache_control` of a block or a tool.
pub(super) fn cache(object: &Map<String, Value>) -> Option<CacheMark> {
    let mark = object.get("cache_control")?.as_object()?;
    Some(CacheMark { ttl: string(mark, "ttl") })
}

pub(super) fn citations(block: &Map<String, Value>) -> Vec<crate::neutral::Json> {
    let list = block.get("citations").and_then(Value::as_array);
    list.into_iter().flatten().cloned().map(Into::into).collect()
}
