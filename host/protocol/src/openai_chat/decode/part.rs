//! Content of messages: a string, or parts of text, images, clips and files. Never looks inside
//! base64.

use serde_json::Value;

use crate::neutral::{CacheMark, Media, MediaKind, MediaSource, Own, Part, Words};
use crate::request_error::RequestError;

use super::super::tree::{self, Object};
use super::thinking;
use super::tool;

/// Reads a message's content into `parts`. Empty texts are left out.
pub(super) fn read(at: &str, value: Value, parts: &mut Vec<Part>) -> Result<(), RequestError> {
    match value {
        Value::Null => Ok(()),
        Value::String(text) => {
            push_text(text, None, parts);
            Ok(())
        }
        Value::Array(items) => {
            for (index, item) in items.into_iter().enumerate() {
                part(&format!("{at}[{index}]"), item, parts)?;
            }
            Ok(())
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(RequestError::invalid(at, "a string, null or an array of parts"))
        }
    }
}

fn push_text(text: String, cache: Option<CacheMark>, parts: &mut Vec<Part>) {
    if !text.is_empty() {
        parts.push(Part::Text { text: Words::from(text), cache, citations: Vec::new() });
    }
}

fn part(at: &str, item: Value, parts: &mut Vec<Part>) -> Result<(), RequestError> {
    let part = match item {
        Value::String(text) => {
            push_text(text, None, parts);
            return Ok(());
        }
        Value::Object(part) => part,
        _ => return Err(RequestError::invalid(at, "an object with a type")),
    };
    let cache = tool::cache(&part);
    match tree::string(&part, "type") {
        Some("text" | "input_text" | "output_text") => {
            let text = part.get("text").and_then(Value::as_str).ok_or_else(|| {
                RequestError::missing(format!("{at}.text"), "the text as a string")
            })?;
            push_text(text.to_owned(), cache, parts);
        }
        Some("refusal") => {
            let refusal = tree::string(&part, "refusal").unwrap_or_default();
            parts.push(Part::Refusal(refusal.into()));
        }
        Some("thinking") => parts.extend(thinking::nested(&part)),
        Some("image_url") => parts.push(Part::Media(image(at, &part, cache)?)),
        Some("video_url") => parts.push(Part::Media(video(at, &part, cache)?)),
        Some("input_audio") => parts.push(Part::Media(audio(at, &part, cache)?)),
        Some("file") => parts.push(Part::Media(file(at, &part, cache)?)),
        Some(_) => {
            parts.push(Part::Own(Own { at: at.to_owned(), value: Value::Object(part).into() }));
        }
        None => return Err(RequestError::missing(format!("{at}.type"), "text, image_url or file")),
    }
    Ok(())
}

fn media(kind: MediaKind, source: MediaSource, cache: Option<CacheMark>) -> Media {
    Media { kind, source, detail: None, name: None, context: None, citations: false, cache }
}

fn image(at: &str, part: &Object, cache: Option<CacheMark>) -> Result<Media, RequestError> {
    let url = address(at, part, "image_url")?;
    let detail = tree::object(part, "image_url").and_then(|image| tree::string(image, "detail"));
    let detail = detail.map(str::to_owned);
    Ok(Media { detail, ..media(MediaKind::Image, source(url), cache) })
}

fn video(at: &str, part: &Object, cache: Option<CacheMark>) -> Result<Media, RequestError> {
    Ok(media(MediaKind::Video, source(address(at, part, "video_url")?), cache))
}

/// The address in a member that is an object with `url`, or the address itself.
fn address<'a>(at: &str, part: &'a Object, key: &str) -> Result<&'a str, RequestError> {
    let nested = tree::object(part, key).and_then(|inner| tree::string(inner, "url"));
    nested.or_else(|| tree::string(part, key)).ok_or_else(|| {
        RequestError::missing(format!("{at}.{key}.url"), "an address or a data: URL")
    })
}

/// A `data:` URL's bytes, or an address.
fn source(url: &str) -> MediaSource {
    inline(url).unwrap_or_else(|| MediaSource::Url { url: url.into(), media_type: None })
}

fn inline(url: &str) -> Option<MediaSource> {
    let (head, base64) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?.split(';').next().unwrap_or_default();
    Some(MediaSource::Inline { media_type: media_type.to_owned(), base64: base64.into() })
}

fn audio(at: &str, part: &Object, cache: Option<CacheMark>) -> Result<Media, RequestError> {
    let missing = || RequestError::missing(format!("{at}.input_audio.data"), "base64 of the clip");
    let clip = tree::object(part, "input_audio").ok_or_else(missing)?;
    let base64 = tree::string(clip, "data").ok_or_else(missing)?;
    let media_type = match tree::string(clip, "format").unwrap_or("wav") {
        "mp3" => "audio/mpeg".to_owned(),
        format => format!("audio/{format}"),
    };
    // Some callers put a whole `data:` URL there.
    let source =
        inline(base64).unwrap_or_else(|| MediaSource::Inline { media_type, base64: base64.into() });
    Ok(media(MediaKind::Audio, source, cache))
}

fn file(at: &str, part: &Object, cache: Option<CacheMark>) -> Result<Media, RequestError> {
    let missing = || RequestError::missing(format!("{at}.file"), "file_data or file_id");
    let file = tree::object(part, "file").ok_or_else(missing)?;
    let source = match (tree::string(file, "file_data"), tree::string(file, "file_id")) {
        (Some(data), _) if data.starts_with("data:") || data.contains("://") => source(data),
        (Some(data), _) => {
            MediaSource::Inline { media_type: "application/pdf".to_owned(), base64: data.into() }
        }
        (None, Some(id)) => MediaSource::FileId(id.to_owned()),
        (None, None) => return Err(missing()),
    };
    let kind = match &source {
        MediaSource::Inline { media_type, .. } if media_type.starts_with("image/") => {
            MediaKind::Image
        }
        _ => MediaKind::Document,
    };
    let name = tree::string(file, "filename").map(Words::from);
    Ok(Media { name, ..media(kind, source, cache) })
}
