//! The conversation: turns alternate, and a person begins. Never sends a proof of thinking that is
//! not Anthropic's.

use serde_json::{Value, json};

use crate::bedrock::encode::cache_point;
use crate::neutral::{
    CacheMark, Issuer, Losses, Media, MediaKind, MediaSource, Part, Request, Signature, Speaker,
    ToolKind,
};

/// Bytes of a tool call's id.
const ID_MAX: usize = 64;

/// The messages while they are written.
pub(super) struct Messages<'a> {
    /// Points of caching are written.
    marks: bool,
    losses: &'a mut Losses,
    messages: Vec<Value>,
    documents: u32,
}

// === impl Messages ===

impl<'a> Messages<'a> {
    pub(super) fn new(marks: bool, losses: &'a mut Losses) -> Self {
        Self { marks, losses, messages: Vec::new(), documents: 0 }
    }

    pub(super) fn system(&mut self, request: &Request) -> Vec<Value> {
        let mut blocks = Vec::new();
        for part in &request.system {
            match part {
                Part::Text { .. } => self.part(part, "system", &mut blocks),
                _ => self.losses.dropped("system", "only text can be an instruction"),
            }
        }
        blocks
    }

    pub(super) fn write_turns(&mut self, request: &Request) {
        for turn in &request.turns {
            let at = turn.at.as_str();
            let role = match turn.speaker {
                Speaker::Assistant => "assistant",
                Speaker::User => "user",
                Speaker::System => {
                    self.losses.approximated(at, "sent in the words of the user");
                    "user"
                }
            };
            if turn.name.is_some() {
                self.losses.dropped(format!("{at}.name"), "names of speakers are left out");
            }
            let mut blocks = Vec::new();
            for part in &turn.parts {
                self.part(part, at, &mut blocks);
            }
            self.add(role, blocks);
        }
    }

    fn add(&mut self, role: &str, mut blocks: Vec<Value>) {
        if blocks.is_empty() {
            return;
        }
        // A document is refused in a message without a text.
        let has = |name: &str| blocks.iter().any(|block| block.get(name).is_some());
        if has("document") && !has("text") {
            blocks.push(json!({"text": "."}));
        }
        let same = |message: &Value| message.get("role").and_then(Value::as_str) == Some(role);
        let last = self.messages.last_mut().filter(|message| same(message));
        match last.and_then(|last| last.get_mut("content")).and_then(Value::as_array_mut) {
            Some(content) => content.extend(blocks),
            None => self.messages.push(json!({"role": role, "content": blocks})),
        }
    }

    /// All messages, with what the API insists on.
    pub(super) fn finish(mut self) -> Vec<Value> {
        let first = self.messages.first().and_then(|message| message.get("role"));
        if first.and_then(Value::as_str) != Some("user") {
            self.losses.approximated("messages", "a first message of the user was added");
            self.messages.insert(0, json!({"role": "user", "content": [{"text": "."}]}));
        }
        self.messages
    }

    fn mark(&self, mark: Option<&CacheMark>, out: &mut Vec<Value>) {
        if let Some(mark) = mark.filter(|_| self.marks && !out.is_empty()) {
            out.push(cache_point(mark));
        }
    }

    fn part(&mut self, part: &Part, at: &str, out: &mut Vec<Value>) {
        match part {
            Part::Text { text, cache, .. } => {
                if !text.0.trim().is_empty() {
                    out.push(json!({"text": text.0}));
                }
                self.mark(cache.as_ref(), out);
            }
            Part::Refusal(text) => out.push(json!({"text": text.0})),
            Part::Media(media) => {
                out.extend(self.media(media, at));
                self.mark(media.cache.as_ref(), out);
            }
            Part::Thinking { text, signature } => match signature.as_ref().and_then(own_of) {
                Some(proof) => out.push(json!({"reasoningContent": {"reasoningText":
                    {"text": text.0, "signature": proof}}})),
                None => self.foreign(),
            },
            Part::SealedThinking(signature) => match own_of(signature) {
                Some(sealed) => {
                    out.push(json!({"reasoningContent": {"redactedContent": sealed}}));
                }
                None => self.foreign(),
            },
            Part::ToolCall { id, name, input, kind, cache, .. } => {
                let input = self.input(&input.0, *kind, at);
                out.push(json!({"toolUse": {"toolUseId": safe(id), "name": name,
                    "input": input}}));
                self.mark(cache.as_ref(), out);
            }
            Part::ToolResult { call_id, parts, failed, cache, .. } => {
                let mut content = Vec::new();
                for part in parts {
                    self.part(part, at, &mut content);
                }
                if content.is_empty() {
                    content.push(json!({"text": " "}));
                }
                let mut result = json!({"toolUseId": safe(call_id), "content": content});
                // Success is the default, and a word that some models do not take.
                if let Some(result) = result.as_object_mut().filter(|_| *failed) {
                    result.insert("status".to_owned(), json!("error"));
                }
                out.push(json!({"toolResult": result}));
                self.mark(cache.as_ref(), out);
            }
            Part::Own(own) => self.losses.dropped(own.at.as_str(), "unknown to the provider"),
        }
    }

    fn foreign(&mut self) {
        self.losses.dropped("messages[].thinking", "not the thinking of this provider");
    }

    /// What a tool is called with, which must be an object.
    fn input(&mut self, input: &str, kind: ToolKind, at: &str) -> Value {
        let parsed = serde_json::from_str(input).ok().filter(Value::is_object);
        match (kind, parsed) {
            (ToolKind::Custom, _) => json!({"input": input}),
            (_, Some(object)) => object,
            (_, None) => {
                self.losses.approximated(format!("{at}.tool_calls"), "arguments put in an object");
                json!({"input": input})
            }
        }
    }

    fn media(&mut self, media: &Media, at: &str) -> Option<Value> {
        let (source, media_type) = match &media.source {
            MediaSource::Inline { media_type, base64 } => {
                (json!({"bytes": base64.0}), media_type.as_str())
            }
            MediaSource::Url { url, media_type } if url.0.starts_with("s3://") => {
                let found = media_type.as_deref().unwrap_or_default();
                (json!({"s3Location": {"uri": url.0}}), found)
            }
            MediaSource::Url { .. } => {
                self.losses.unsupported(format!("{at}.url"), "addresses are not fetched");
                return None;
            }
            MediaSource::FileId(_) => {
                self.losses.unsupported(format!("{at}.file"), "a file of another provider");
                return None;
            }
            MediaSource::Text(text) => (json!({"text": text.0}), "text/plain"),
        };
        let name = match media.kind {
            MediaKind::Image => "image",
            MediaKind::Video => "video",
            MediaKind::Audio => "audio",
            MediaKind::Document => return Some(self.document(media, media_type, &source)),
        };
        Some(json!({name: {"format": format_of(media_type), "source": source}}))
    }

    fn document(&mut self, media: &Media, media_type: &str, source: &Value) -> Value {
        self.documents = self.documents.saturating_add(1);
        let mut document = json!({"format": document_format(media_type),
            "name": document_name(media, self.documents), "source": source});
        if let Some(members) = document.as_object_mut() {
            let context = media.context.as_ref();
            members.extend(context.map(|context| ("context".to_owned(), json!(context.0))));
            if media.citations {
                members.insert("citations".to_owned(), json!({"enabled": true}));
            }
        }
        json!({"document": document})
    }
}

/// Proofs of thinking behind Bedrock are Anthropic's.
fn own_of(signature: &Signature) -> Option<&str> {
    signature.for_issuer(Issuer::Anthropic)
}

/// An id of the letters that are allowed. Ids that differ stay different where it matters: real
/// ones differ in letters and digits.
fn safe(id: &str) -> String {
    let letter = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => letter,
        _ => '_',
    };
    let id: String = id.chars().map(letter).collect();
    // The end of a long id is what differs.
    let skip = id.len().saturating_sub(ID_MAX);
    id.chars().skip(skip).collect()
}

fn format_of(media_type: &str) -> &str {
    match media_type.split_once('/').map_or(media_type, |(_, format)| format) {
        "jpg" => "jpeg",
        "mpeg" if media_type.starts_with("audio") => "mp3",
        "x-wav" => "wav",
        "quicktime" => "mov",
        "" => "png",
        other => other,
    }
}

fn document_format(media_type: &str) -> &str {
    match media_type {
        "text/csv" => "csv",
        "text/html" => "html",
        "text/markdown" => "md",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        other if other.starts_with("text/") => "txt",
        _ => "pdf",
    }
}

/// A name is a must, of few kinds of letters, and no two may be equal.
fn document_name(media: &Media, number: u32) -> String {
    let given = media.name.as_ref().map(|name| name.0.as_str()).unwrap_or_default();
    let allowed = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '(' | ')' | '[' | ']' => letter,
        _ => ' ',
    };
    let letters: String = given.chars().map(allowed).take(100).collect();
    let words: Vec<&str> = letters.split_whitespace().collect();
    if words.is_empty() {
        format!("document {number}")
    } else {
        format!("{} {number}", words.join(" "))
    }
}
