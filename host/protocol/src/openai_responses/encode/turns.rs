//! The conversation as input items, in order. Thinking goes only to whoever issued it.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::Dialect;
use crate::neutral::{
    Issuer, Losses, Media, MediaKind, MediaSource, Own, Part, Request, Signature, Speaker,
    ToolKind, Turn,
};

use crate::openai_chat::encode::fitted;

use super::citation;

/// OpenAI refuses longer ids of tool calls; other houses make them.
const CALL_ID_MAX: usize = 64;

/// What a request's conversation becomes.
pub(super) struct Input {
    pub(super) instructions: Option<String>,
    pub(super) items: Vec<Value>,
}

/// Parts of one message that have not been written yet.
struct Writer<'a> {
    /// Ids of the conversation's calls of custom tools: results do not say the kind.
    custom: HashSet<&'a str>,
    /// The caller speaks this dialect, so that items of its own mean what they say.
    native: bool,
    items: Vec<Value>,
    held: Vec<Value>,
    role: &'static str,
}

/// Writes instructions and turns.
pub(super) fn write(request: &Request, losses: &mut Losses) -> Input {
    let mut writer = Writer {
        custom: custom(request),
        native: request.is_of(Dialect::OpenAiResponses),
        items: Vec::new(),
        held: Vec::new(),
        role: "developer",
    };
    let mut system = request.system.iter();
    let mut instructions = None;
    // The first text is the instructions; what follows keeps its place in front of the talk.
    if let Some(first) = system.next() {
        match first {
            Part::Text { text, .. } => instructions = Some(text.0.clone()),
            other => writer.part(other, "system[0]", losses),
        }
    }
    for (index, part) in system.enumerate() {
        writer.part(part, &format!("system[{}]", index.saturating_add(1)), losses);
    }
    writer.flush();
    for turn in &request.turns {
        writer.turn(turn, &turn.at, losses);
    }
    Input { instructions, items: writer.items }
}

/// Ids of the calls of custom tools.
fn custom(request: &Request) -> HashSet<&str> {
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    let ids = parts.filter_map(|part| match part {
        Part::ToolCall { id, kind: ToolKind::Custom, .. } => Some(id.as_str()),
        _ => None,
    });
    ids.collect()
}

// === impl Writer ===

impl Writer<'_> {
    fn turn(&mut self, turn: &Turn, at: &str, losses: &mut Losses) {
        self.role = match turn.speaker {
            Speaker::System => "developer",
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
        };
        for (index, part) in turn.parts.iter().enumerate() {
            self.part(part, &turn.at_of_part(index), losses);
        }
        self.flush_turn(turn);
        if turn.name.is_some() {
            losses.dropped(format!("{at}.name"), "the provider knows no names of speakers");
        }
    }

    /// Writes the message whose parts have been gathered.
    fn flush(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let content = std::mem::take(&mut self.held);
        self.items.push(json!({"type": "message", "role": self.role, "content": content}));
    }

    /// The same, but a person who said nothing said it: the provider takes an empty text, and no
    /// conversation without anything in it.
    fn flush_turn(&mut self, turn: &Turn) {
        let text = |part: &Part| matches!(part, Part::Text { .. });
        if self.role == "user" && self.held.is_empty() && turn.parts.iter().all(text) {
            self.held.push(json!({"type": "input_text", "text": ""}));
        }
        self.flush();
    }

    fn item(&mut self, value: Value) {
        self.flush();
        self.items.push(value);
    }

    fn part(&mut self, part: &Part, at: &str, losses: &mut Losses) {
        match part {
            Part::Text { text, citations, .. } => {
                if text.0.is_empty() {
                    return;
                }
                self.held.push(if self.role == "assistant" {
                    let annotations = citation::all(citations, &text.0, losses);
                    json!({"type": "output_text", "text": text.0, "annotations": annotations})
                } else {
                    json!({"type": "input_text", "text": text.0})
                });
            }
            Part::Refusal(text) => {
                self.held.push(json!({"type": "refusal", "refusal": text.0}));
            }
            Part::Media(media) => self.held.extend(self::media(media, at, losses)),
            Part::Thinking { text, signature } => {
                self.thinking(Some(&text.0), signature.as_ref(), at, losses);
            }
            Part::SealedThinking(signature) => self.thinking(None, Some(signature), at, losses),
            Part::ToolCall { .. } => self.call(part, at, losses),
            Part::ToolResult { .. } => self.result(part, at, losses),
            Part::Own(own) => self.own(own, losses),
        }
    }

    fn thinking(
        &mut self,
        text: Option<&str>,
        signature: Option<&Signature>,
        at: &str,
        losses: &mut Losses,
    ) {
        let Some(sealed) = signature.and_then(|one| one.for_issuer(Issuer::OpenAi)) else {
            losses.dropped(at, "thinking that the provider did not issue");
            return;
        };
        let summary = text.filter(|text| !text.is_empty());
        let summary: Vec<Value> =
            summary.into_iter().map(|text| json!({"type": "summary_text", "text": text})).collect();
        self.item(json!({"type": "reasoning", "summary": summary, "encrypted_content": sealed}));
    }

    fn call(&mut self, part: &Part, at: &str, losses: &mut Losses) {
        let Part::ToolCall { id, name, input, kind, signature, .. } = part else { return };
        if signature.is_some() {
            losses.dropped(format!("{at}.signature"), "a proof that the provider did not issue");
        }
        let id = fitted(id, CALL_ID_MAX, "call_");
        match kind {
            ToolKind::Function => self.item(json!({
                "type": "function_call", "call_id": id, "name": name, "arguments": input.0,
            })),
            ToolKind::Custom => self.item(json!({
                "type": "custom_tool_call", "call_id": id, "name": name, "input": input.0,
            })),
            ToolKind::BuiltIn => losses.dropped(at, "a call of a tool that another provider runs"),
        }
    }

    fn result(&mut self, part: &Part, at: &str, losses: &mut Losses) {
        let Part::ToolResult { call_id, kind, parts, failed, .. } = part else { return };
        if *failed {
            losses.approximated(format!("{at}.is_error"), "told only by the result's own words");
        }
        let output = match parts.as_slice() {
            [] => json!(""),
            [Part::Text { text, .. }] => json!(text.0),
            _ => Value::Array(self.outputs(parts, at, losses)),
        };
        let custom = *kind == ToolKind::Custom || self.custom.contains(call_id.as_str());
        let call_id = fitted(call_id, CALL_ID_MAX, "call_");
        let kind = if custom { "custom_tool_call_output" } else { "function_call_output" };
        self.item(json!({"type": kind, "call_id": call_id, "output": output}));
    }

    fn outputs(&self, parts: &[Part], at: &str, losses: &mut Losses) -> Vec<Value> {
        let mut out = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            match part {
                Part::Text { text, .. } | Part::Refusal(text) => {
                    out.push(json!({"type": "input_text", "text": text.0}));
                }
                Part::Media(media) => {
                    out.extend(self::media(media, &format!("{at}.content[{index}]"), losses));
                }
                Part::Own(own) if self.native => out.push(own.value.0.clone()),
                _ => {
                    let at = format!("{at}.content[{index}]");
                    losses.dropped(at, "a result of a kind that only another dialect has");
                }
            }
        }
        out
    }

    fn own(&mut self, own: &Own, losses: &mut Losses) {
        if !self.native {
            losses.dropped(own.at.as_str(), "a part that only another dialect has");
        } else if own.at.contains(".content[") {
            self.held.push(own.value.0.clone());
        } else {
            self.item(own.value.0.clone());
        }
    }
}

/// An image, a document or a clip.
fn media(media: &Media, at: &str, losses: &mut Losses) -> Option<Value> {
    if media.citations {
        losses.dropped(format!("{at}.citations"), "the provider cites no documents");
    }
    if media.context.is_some() {
        losses.dropped(format!("{at}.context"), "the provider takes no context of documents");
    }
    match media.kind {
        MediaKind::Image => image(media, at, losses),
        MediaKind::Document => document(media, at, losses),
        MediaKind::Audio => audio(media, at, losses),
        MediaKind::Video => {
            losses.unsupported(at, "the provider takes no video");
            None
        }
    }
}

fn image(media: &Media, at: &str, losses: &mut Losses) -> Option<Value> {
    let detail = media.detail.as_deref().unwrap_or("auto");
    match &media.source {
        MediaSource::Inline { media_type, base64 } => {
            let url = format!("data:{media_type};base64,{}", base64.0);
            Some(json!({"type": "input_image", "image_url": url, "detail": detail}))
        }
        MediaSource::Url { url, .. } => {
            Some(json!({"type": "input_image", "image_url": url.0, "detail": detail}))
        }
        MediaSource::FileId(id) if id.starts_with("file-") => {
            Some(json!({"type": "input_image", "file_id": id, "detail": detail}))
        }
        MediaSource::FileId(_) | MediaSource::Text(_) => {
            losses.unsupported(at, "a file that only another provider holds");
            None
        }
    }
}

fn document(media: &Media, at: &str, losses: &mut Losses) -> Option<Value> {
    let name = media.name.as_ref().map(|name| name.0.as_str());
    match &media.source {
        MediaSource::Inline { media_type, base64 } => {
            let data = format!("data:{media_type};base64,{}", base64.0);
            let plain = if media_type == "application/pdf" { "document.pdf" } else { "document" };
            let name = name.unwrap_or(plain);
            Some(json!({"type": "input_file", "filename": name, "file_data": data}))
        }
        MediaSource::Url { url, .. } => Some(json!({"type": "input_file", "file_url": url.0})),
        MediaSource::FileId(id) if id.starts_with("file-") => {
            Some(json!({"type": "input_file", "file_id": id}))
        }
        MediaSource::FileId(_) => {
            losses.unsupported(at, "a file that only another provider holds");
            None
        }
        MediaSource::Text(text) => {
            losses.approximated(at, "a document as plain text");
            let title = name.map(|name| format!("{name}\n\n")).unwrap_or_default();
            Some(json!({"type": "input_text", "text": format!("{title}{}", text.0)}))
        }
    }
}

fn audio(media: &Media, at: &str, losses: &mut Losses) -> Option<Value> {
    let MediaSource::Inline { media_type, base64 } = &media.source else {
        losses.unsupported(at, "the provider takes audio only inline");
        return None;
    };
    let format = match media_type.strip_prefix("audio/").unwrap_or(media_type) {
        "mpeg" | "mp3" => "mp3",
        "wave" | "x-wav" => "wav",
        format => format,
    };
    Some(json!({"type": "input_audio", "input_audio": {"data": base64.0, "format": format}}))
}
