//! Parts of a turn as content blocks for a provider of this dialect. Only thinking that Anthropic
//! signed is sent back to it; empty texts are not sent at all, because they are refused.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::anthropic::is_own_block;
use crate::neutral::{
    CacheMark, Issuer, Losses, Media, MediaKind, MediaSource, Own, Part, Signature, ToolKind, Words,
};

use super::plain_id;

/// Writes blocks; remembers how ids of calls were spelt, so that results find theirs.
#[derive(Default)]
pub(super) struct Blocks {
    ids: HashMap<String, String>,
}

// === impl Blocks ===

impl Blocks {
    /// Writes one part at the end of `out`.
    pub(super) fn push(&mut self, part: &Part, losses: &mut Losses, out: &mut Vec<Value>) {
        let block = match part {
            Part::Text { text, cache, citations } => {
                let cited = citations.iter().filter_map(|given| super::citation(given, losses));
                let cited: Vec<Value> = cited.collect();
                text_block(text, cache.as_ref(), cited)
            }
            Part::Refusal(text) => text_block(text, None, Vec::new()),
            Part::Media(media) => self::media(media, losses),
            Part::Thinking { text, signature } => thinking(text, signature.as_ref(), losses),
            Part::SealedThinking(signature) => sealed(signature, losses),
            Part::ToolCall { id, name, input, kind, signature, cache } => {
                if signature.is_some() {
                    foreign(losses);
                }
                let mut block = json!({
                    "type": "tool_use",
                    "id": self.id(id),
                    "name": name,
                    "input": input_object(input, *kind, losses),
                });
                mark(&mut block, cache.as_ref());
                Some(block)
            }
            Part::ToolResult { call_id, parts, failed, cache, .. } => {
                let mut block = json!({ "type": "tool_result", "tool_use_id": self.id(call_id) });
                if let Some(content) = self.result(parts, losses) {
                    set(&mut block, "content", content);
                }
                if *failed {
                    set(&mut block, "is_error", Value::Bool(true));
                }
                mark(&mut block, cache.as_ref());
                Some(block)
            }
            Part::Own(own) => own_block(own, losses),
        };
        out.extend(block);
    }

    /// The content of a tool's result; a single plain text is written as a string.
    fn result(&mut self, parts: &[Part], losses: &mut Losses) -> Option<Value> {
        if let [Part::Text { text, cache: None, citations }] = parts
            && citations.is_empty()
        {
            return (!text.0.trim().is_empty()).then(|| Value::from(text.0.as_str()));
        }
        let mut blocks = Vec::new();
        for part in parts {
            self.push(part, losses, &mut blocks);
        }
        (!blocks.is_empty()).then_some(Value::Array(blocks))
    }

    /// The id as it is sent, the same for a call and its result, and for no other call.
    fn id(&mut self, id: &str) -> String {
        if let Some(known) = self.ids.get(id) {
            return known.clone();
        }
        let mut plain = plain_id(id);
        if plain.is_empty() || self.ids.values().any(|used| *used == plain) {
            plain = format!("{plain}_{}", self.ids.len());
        }
        self.ids.insert(id.to_owned(), plain.clone());
        plain
    }
}

fn set(block: &mut Value, key: &str, value: Value) {
    if let Some(object) = block.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// Adds `cache_control`.
pub(super) fn mark(block: &mut Value, cache: Option<&CacheMark>) {
    let Some(cache) = cache else { return };
    let mut control = json!({ "type": "ephemeral" });
    if let Some(ttl) = &cache.ttl {
        set(&mut control, "ttl", Value::from(ttl.as_str()));
    }
    set(block, "cache_control", control);
}

/// A block of text; none for a text of nothing but white space.
pub(super) fn text_block(
    text: &Words,
    cache: Option<&CacheMark>,
    citations: Vec<Value>,
) -> Option<Value> {
    if text.0.trim().is_empty() {
        return None;
    }
    let mut block = json!({ "type": "text", "text": text.0 });
    if !citations.is_empty() {
        set(&mut block, "citations", Value::Array(citations));
    }
    mark(&mut block, cache);
    Some(block)
}

fn foreign(losses: &mut Losses) {
    losses.dropped("messages.thinking", "earlier thinking that another provider made is left out");
}

fn thinking(text: &Words, signature: Option<&Signature>, losses: &mut Losses) -> Option<Value> {
    let own = signature.and_then(|signature| signature.for_issuer(Issuer::Anthropic));
    let Some(own) = own.filter(|own| !own.is_empty()) else {
        foreign(losses);
        return None;
    };
    Some(json!({ "type": "thinking", "thinking": text.0, "signature": own }))
}

fn sealed(signature: &Signature, losses: &mut Losses) -> Option<Value> {
    let Some(data) = signature.for_issuer(Issuer::Anthropic) else {
        foreign(losses);
        return None;
    };
    Some(json!({ "type": "redacted_thinking", "data": data }))
}

/// The input of a call as the object that it must be here.
pub(super) fn input_object(input: &Words, kind: ToolKind, losses: &mut Losses) -> Value {
    if kind == ToolKind::Custom {
        return json!({ "input": input.0 });
    }
    if input.0.trim().is_empty() {
        return Value::Object(Map::new());
    }
    match serde_json::from_str(&input.0) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => {
            let what = "arguments that are no JSON object are sent in a member named input";
            losses.approximated("messages.tool_calls.arguments", what);
            json!({ "input": input.0 })
        }
    }
}

fn own_block(own: &Own, losses: &mut Losses) -> Option<Value> {
    let kind = own.value.0.get("type").and_then(Value::as_str).unwrap_or_default();
    // A document of blocks is the one shape of a shared type that has no neutral form.
    if is_own_block(kind) || kind == "document" {
        return Some(own.value.0.clone());
    }
    losses.dropped(own.at.as_str(), "only the caller's dialect has it");
    None
}

fn media(media: &Media, losses: &mut Losses) -> Option<Value> {
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio => {
            losses.unsupported("messages.content.audio", "the provider takes no audio");
            return None;
        }
        MediaKind::Video => {
            losses.unsupported("messages.content.video", "the provider takes no video");
            return None;
        }
    };
    let source = match &media.source {
        MediaSource::Inline { media_type, base64 } if is_refused(media_type) => {
            let what = "the provider takes documents of PDF or text only";
            losses.unsupported("messages.content.file", what);
            json!({ "type": "base64", "media_type": media_type, "data": base64.0 })
        }
        MediaSource::Inline { media_type, base64 } => {
            json!({ "type": "base64", "media_type": media_type, "data": base64.0 })
        }
        MediaSource::Url { url, .. } => json!({ "type": "url", "url": url.0 }),
        // Anthropic's own ids begin so; those of others mean nothing there.
        MediaSource::FileId(id) if !id.starts_with("file_") => {
            losses.unsupported("messages.content.file", "a file that another provider holds");
            return None;
        }
        MediaSource::FileId(id) => json!({ "type": "file", "file_id": id }),
        MediaSource::Text(text) => {
            json!({ "type": "text", "media_type": "text/plain", "data": text.0 })
        }
    };
    let mut block = json!({ "type": kind, "source": source });
    if media.kind == MediaKind::Document {
        if let Some(name) = media.name.as_ref().filter(|name| !name.0.is_empty()) {
            set(&mut block, "title", Value::from(name.0.as_str()));
        }
        if let Some(context) = &media.context {
            set(&mut block, "context", Value::from(context.0.as_str()));
        }
        if media.citations {
            set(&mut block, "citations", json!({ "enabled": true }));
        }
    }
    mark(&mut block, media.cache.as_ref());
    Some(block)
}

/// Base64 of anything but a PDF or an image is refused.
fn is_refused(media_type: &str) -> bool {
    media_type != "application/pdf" && !media_type.starts_with("image/")
}
