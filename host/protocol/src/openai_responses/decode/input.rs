//! The `input` of a request as turns. Items of one side become parts of one turn where that loses
//! nothing; thinking and calls stay in order. Never invents a turn.

use serde_json::Value;

use crate::neutral::{
    Issuer, Media, MediaKind, MediaSource, Own, Part, Request, Speaker, ToolKind, Turn,
};
use crate::request_error::RequestError;

use super::blocks::{self, str_of};

/// Reads the value of `input`.
pub(super) fn read(value: &Value, request: &mut Request) -> Result<(), RequestError> {
    match value {
        Value::String(text) => {
            let parts = vec![Part::text(text.as_str())];
            request.turns.push(turn("input", Speaker::User, parts));
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                item(value, &format!("input[{index}]"), request)?;
            }
        }
        _ => return Err(RequestError::invalid("input", "a string or an array of items")),
    }
    Ok(())
}

fn turn(at: &str, speaker: Speaker, parts: Vec<Part>) -> Turn {
    Turn { at: at.to_owned(), speaker, parts, name: None }
}

fn item(value: &Value, at: &str, request: &mut Request) -> Result<(), RequestError> {
    match str_of(value, "type") {
        "message" => message(value, at, request),
        "" if value.get("role").is_some() => message(value, at, request),
        "reasoning" => {
            thinking(value, at, request);
            Ok(())
        }
        "function_call" => call(value, at, ToolKind::Function, request),
        "custom_tool_call" => call(value, at, ToolKind::Custom, request),
        "function_call_output" => result(value, at, ToolKind::Function, request),
        "custom_tool_call_output" => result(value, at, ToolKind::Custom, request),
        kind => {
            let speaker =
                if kind.ends_with("_output") { Speaker::User } else { Speaker::Assistant };
            join(request, at, speaker, Part::Own(own(at, value)));
            Ok(())
        }
    }
}

fn own(at: &str, value: &Value) -> Own {
    Own { at: at.to_owned(), value: value.clone().into() }
}

fn message(value: &Value, at: &str, request: &mut Request) -> Result<(), RequestError> {
    let role = str_of(value, "role");
    let content = value.get("content").unwrap_or(&Value::Null);
    if role == "tool" {
        let id = str_of(value, "tool_call_id");
        return outcome(content, id, at, ToolKind::Function, request);
    }
    let parts = parts(content, &format!("{at}.content"))?;
    let name = value.get("name").and_then(Value::as_str).map(str::to_owned);
    match role {
        "system" | "developer" if request.turns.is_empty() => request.system.extend(parts),
        "system" | "developer" => {
            let at = at.to_owned();
            request.turns.push(Turn { at, speaker: Speaker::System, parts, name });
        }
        "assistant" => said(value, parts, at, request)?,
        _ => {
            let at = at.to_owned();
            request.turns.push(Turn { at, speaker: Speaker::User, parts, name });
        }
    }
    Ok(())
}

/// What the model said: behind its thinking, and a new turn behind anything else.
fn said(
    value: &Value,
    mut parts: Vec<Part>,
    at: &str,
    request: &mut Request,
) -> Result<(), RequestError> {
    if let Some(refusal) = value.get("refusal").and_then(Value::as_str) {
        parts.push(Part::Refusal(refusal.into()));
    }
    let thinks = |part: &Part| matches!(part, Part::Thinking { .. } | Part::SealedThinking(_));
    match request.turns.last_mut() {
        Some(last) if last.speaker == Speaker::Assistant && last.parts.iter().all(thinks) => {
            last.parts.extend(parts);
        }
        _ => request.turns.push(turn(at, Speaker::Assistant, parts)),
    }
    // Calls in the manner of chat.
    let calls = value.get("tool_calls").and_then(Value::as_array);
    for (index, made) in calls.into_iter().flatten().enumerate() {
        let at = format!("{at}.tool_calls[{index}]");
        let id = str_of(made, "id");
        let (kind, inner) = match made.get("custom") {
            Some(inner) => (ToolKind::Custom, inner),
            None => (ToolKind::Function, made.get("function").unwrap_or(made)),
        };
        called(inner, id, &at, kind, request)?;
    }
    Ok(())
}

fn thinking(value: &Value, at: &str, request: &mut Request) {
    let part = match blocks::thinking(value) {
        Some(crate::neutral::Block::Thinking { text, signature }) => {
            Part::Thinking { text, signature }
        }
        Some(crate::neutral::Block::SealedThinking(signature)) => Part::SealedThinking(signature),
        _ => return,
    };
    join(request, at, Speaker::Assistant, part);
}

fn call(
    value: &Value,
    at: &str,
    kind: ToolKind,
    request: &mut Request,
) -> Result<(), RequestError> {
    called(value, str_of(value, "call_id"), at, kind, request)
}

fn called(
    value: &Value,
    id: &str,
    at: &str,
    kind: ToolKind,
    request: &mut Request,
) -> Result<(), RequestError> {
    if id.is_empty() {
        return Err(RequestError::missing(format!("{at}.call_id"), "the id of the call"));
    }
    let name = str_of(value, "name");
    if name.is_empty() {
        return Err(RequestError::missing(format!("{at}.name"), "the name of the tool"));
    }
    let part = Part::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        input: blocks::input(value, kind).into(),
        kind,
        signature: call_signature(request),
        cache: None,
    };
    join(request, at, Speaker::Assistant, part);
    Ok(())
}

/// The proof of Gemini's that travelled as an item of its own right in front of the call.
fn call_signature(request: &mut Request) -> Option<crate::neutral::Signature> {
    let last = request.turns.last_mut().filter(|turn| turn.speaker == Speaker::Assistant)?;
    let signature = match last.parts.last()? {
        Part::SealedThinking(signature) if signature.issuer == Issuer::Gemini => signature.clone(),
        _ => return None,
    };
    last.parts.pop();
    Some(signature)
}

fn result(
    value: &Value,
    at: &str,
    kind: ToolKind,
    request: &mut Request,
) -> Result<(), RequestError> {
    let output = value.get("output").unwrap_or(&Value::Null);
    outcome(output, str_of(value, "call_id"), at, kind, request)
}

/// What a tool answered: a part of a user's turn that holds nothing else.
fn outcome(
    output: &Value,
    call_id: &str,
    at: &str,
    kind: ToolKind,
    request: &mut Request,
) -> Result<(), RequestError> {
    if call_id.is_empty() {
        return Err(RequestError::missing(format!("{at}.call_id"), "the id of the call"));
    }
    let part = Part::ToolResult {
        call_id: call_id.to_owned(),
        // Found when all calls are read.
        name: None,
        kind,
        parts: parts(output, &format!("{at}.output"))?,
        failed: false,
        cache: None,
    };
    // Nothing else is ever put in front of a result or between two.
    let results = |last: &Turn| matches!(last.parts.last(), Some(Part::ToolResult { .. }));
    match request.turns.last_mut() {
        Some(last) if last.speaker == Speaker::User && results(last) => {
            last.parts.push(part);
        }
        _ => request.turns.push(turn(at, Speaker::User, vec![part])),
    }
    Ok(())
}

/// Adds a part to the speaker's turn at the end.
fn join(request: &mut Request, at: &str, speaker: Speaker, part: Part) {
    match request.turns.last_mut() {
        Some(last) if last.speaker == speaker => last.parts.push(part),
        _ => request.turns.push(turn(at, speaker, vec![part])),
    }
}

/// A string or an array of parts.
fn parts(content: &Value, at: &str) -> Result<Vec<Part>, RequestError> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Part::text(text.as_str())]),
        Value::Array(items) => {
            let read = |(index, value)| part(value, &format!("{at}[{index}]"));
            Ok(items.iter().enumerate().filter_map(read).collect())
        }
        // An output that is JSON, as some clients send it.
        Value::Object(_) => Ok(vec![Part::text(content.to_string())]),
        _ => Err(RequestError::invalid(at, "a string or an array of parts")),
    }
}

/// One part; `None` for an empty text.
fn part(value: &Value, at: &str) -> Option<Part> {
    if let Some(text) = value.as_str() {
        return (!text.is_empty()).then(|| Part::text(text));
    }
    match str_of(value, "type") {
        "input_text" | "output_text" | "text" => match blocks::of_part(value)? {
            crate::neutral::Block::Text { text, citations } => {
                Some(Part::Text { text, cache: None, citations })
            }
            _ => None,
        },
        "refusal" => Some(Part::Refusal(str_of(value, "refusal").into())),
        "input_image" | "image_url" | "computer_screenshot" => image(value, at),
        "input_file" => Some(file(value, at)),
        "file" => Some(file(value.get("file").unwrap_or(value), at)),
        "input_audio" => Some(audio(value)),
        _ => Some(Part::Own(own(at, value))),
    }
}

fn medium(kind: MediaKind, source: MediaSource) -> Media {
    Media { kind, source, detail: None, name: None, context: None, citations: false, cache: None }
}

/// `data:<type>;base64,<data>`, else an address.
fn address(url: &str) -> MediaSource {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, base64)) => {
            MediaSource::Inline { media_type: media_type.to_owned(), base64: base64.into() }
        }
        None => MediaSource::Url { url: url.into(), media_type: None },
    }
}

fn image(value: &Value, at: &str) -> Option<Part> {
    let url = match value.get("image_url") {
        Some(Value::String(url)) => Some(url.as_str()),
        Some(nested @ Value::Object(_)) => Some(str_of(nested, "url")),
        _ => None,
    };
    let source = match (url, str_of(value, "file_id")) {
        (Some(url), _) => address(url),
        (None, "") => return Some(Part::Own(own(at, value))),
        (None, id) => MediaSource::FileId(id.to_owned()),
    };
    let nested = value.get("image_url").map_or("", |url| str_of(url, "detail"));
    let detail = [str_of(value, "detail"), nested].into_iter().find(|word| !word.is_empty());
    let media = medium(MediaKind::Image, source);
    Some(Part::Media(Media { detail: detail.map(str::to_owned), ..media }))
}

fn file(value: &Value, at: &str) -> Part {
    let (data, url, id) =
        (str_of(value, "file_data"), str_of(value, "file_url"), str_of(value, "file_id"));
    let source = if data.starts_with("data:") {
        address(data)
    } else if !data.is_empty() {
        let media_type = "application/pdf".to_owned();
        MediaSource::Inline { media_type, base64: data.into() }
    } else if !url.is_empty() {
        address(url)
    } else if !id.is_empty() {
        MediaSource::FileId(id.to_owned())
    } else {
        return Part::Own(own(at, value));
    };
    let name = value.get("filename").and_then(Value::as_str).map(Into::into);
    Part::Media(Media { name, ..medium(MediaKind::Document, source) })
}

fn audio(value: &Value) -> Part {
    let inner = value.get("input_audio").unwrap_or(value);
    let format = match str_of(inner, "format") {
        "mp3" => "mpeg",
        "" => "wav",
        format => format,
    };
    let media_type = format!("audio/{format}");
    let base64 = str_of(inner, "data").into();
    Part::Media(medium(MediaKind::Audio, MediaSource::Inline { media_type, base64 }))
}
