//! Images, clips and documents of a request, as parts of a user's message. Never decodes base64 and
//! never fetches an address.

use serde_json::{Value, json};

use crate::neutral::{Losses, Media, MediaKind, MediaSource};

use super::super::tree::Object;

/// The parts that stand for one medium; none if it cannot be carried.
pub(super) fn parts(at: &str, media: &Media, losses: &mut Losses) -> Vec<Value> {
    let mut parts = Vec::new();
    if let Some(context) = media.context.as_ref().filter(|context| !context.0.is_empty()) {
        losses.approximated(format!("{at}.context"), "sent as a text before the document");
        parts.push(text(&context.0));
    }
    if media.citations {
        losses.dropped(format!("{at}.citations"), "this dialect cites no documents");
    }
    let part = match media.kind {
        MediaKind::Image => image(at, media, losses),
        MediaKind::Audio => audio(at, media, losses),
        MediaKind::Document => document(at, media, losses),
        MediaKind::Video => {
            losses.unsupported(at, "this dialect takes no video");
            None
        }
    };
    parts.extend(part);
    parts
}

/// A text part.
pub(super) fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn image(at: &str, media: &Media, losses: &mut Losses) -> Option<Value> {
    let url = match &media.source {
        MediaSource::Inline { media_type, base64 } => data_url(media_type, &base64.0),
        MediaSource::Url { url, .. } => url.0.clone(),
        MediaSource::FileId(_) | MediaSource::Text(_) => {
            losses.unsupported(at, "this dialect takes no image by a file id");
            return None;
        }
    };
    let mut inner = Object::new();
    inner.insert("url".to_owned(), url.into());
    if let Some(detail) = &media.detail {
        inner.insert("detail".to_owned(), detail.as_str().into());
    }
    Some(json!({"type": "image_url", "image_url": inner}))
}

fn data_url(media_type: &str, base64: &str) -> String {
    format!("data:{media_type};base64,{base64}")
}

fn audio(at: &str, media: &Media, losses: &mut Losses) -> Option<Value> {
    let MediaSource::Inline { media_type, base64 } = &media.source else {
        losses.unsupported(at, "this dialect takes audio only inline");
        return None;
    };
    let format = match media_type.strip_prefix("audio/").unwrap_or(media_type) {
        "mpeg" | "mp3" | "x-mp3" => "mp3",
        "wav" | "x-wav" | "wave" | "vnd.wave" => "wav",
        other => other,
    };
    Some(json!({"type": "input_audio", "input_audio": {"data": base64.0, "format": format}}))
}

fn document(at: &str, media: &Media, losses: &mut Losses) -> Option<Value> {
    let name = media.name.as_ref().map(|name| name.0.as_str());
    let mut inner = Object::new();
    match &media.source {
        MediaSource::Text(body) => {
            let titled = name.map(|name| format!("{name}\n\n{}", body.0));
            let whole = titled.unwrap_or_else(|| body.0.clone());
            return (!whole.is_empty()).then(|| text(&whole));
        }
        MediaSource::Inline { media_type, base64 } => {
            // A file without a name is refused.
            inner.insert("filename".to_owned(), name.unwrap_or("document.pdf").into());
            inner.insert("file_data".to_owned(), data_url(media_type, &base64.0).into());
        }
        MediaSource::FileId(id) => {
            losses.unsupported(at, "a file belongs to the provider it was uploaded to");
            inner.insert("file_id".to_owned(), id.as_str().into());
        }
        MediaSource::Url { .. } => {
            losses.unsupported(at, "this dialect takes no document by its address");
            return None;
        }
    }
    Some(json!({"type": "file", "file": inner}))
}
