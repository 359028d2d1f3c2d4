//! The conversation. Neighbours of one role become one content, because the API wants the results
//! of all calls of a step together. Never sends a signature to another than its issuer.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::Dialect;
use crate::gemini::decode::only_google_reads;
use crate::gemini::signature::DUMMY;
use crate::neutral::{
    Issuer, Losses, Media, MediaKind, MediaSource, Part, Request, Signature, Speaker, ToolKind,
    Turn,
};
use crate::quirks::Quirks;

/// Parts that Google's own tools make.
const OWN: [&str; 5] =
    ["executableCode", "codeExecutionResult", "toolCall", "toolResponse", "fileData"];

/// The contents while they are written.
pub(super) struct Contents<'a> {
    request: &'a Request,
    /// What the calls of the conversation called, by their ids.
    names: HashMap<&'a str, &'a str>,
    /// Ids of calls, media in results and proofs of calls are for Gemini 3 alone: the models before
    /// do without, and Vertex refused ids for long.
    newer: bool,
    losses: &'a mut Losses,
    contents: Vec<Value>,
    /// Where the turn begins that the model is in: the last thing a person said.
    current: usize,
}

// === impl Contents ===

impl<'a> Contents<'a> {
    pub(super) fn new(request: &'a Request, quirks: &Quirks, losses: &'a mut Losses) -> Self {
        let newer = quirks.thinking_level;
        let names = request.tool_names();
        Self { request, names, newer, losses, contents: Vec::new(), current: 0 }
    }

    /// The parts of the instructions.
    pub(super) fn system(&mut self) -> Vec<Value> {
        let mut parts = Vec::new();
        let request = self.request;
        for part in &request.system {
            self.part(part, "system", &mut parts);
        }
        parts
    }

    pub(super) fn write_turns(&mut self) {
        let request = self.request;
        for turn in &request.turns {
            self.turn(turn, &turn.at);
        }
        if let Some(at) = request.begun_answer() {
            self.losses.approximated(at, "the provider may answer anew rather than go on from it");
        }
    }

    fn turn(&mut self, turn: &Turn, at: &str) {
        let role = match turn.speaker {
            Speaker::Assistant => "model",
            Speaker::User => "user",
            Speaker::System => {
                self.losses.approximated(at, "sent in the words of the user");
                "user"
            }
        };
        if turn.name.is_some() {
            self.losses.dropped(format!("{at}.name"), "names of speakers are left out");
        }
        let mut parts = Vec::new();
        for part in &turn.parts {
            self.part(part, at, &mut parts);
        }
        if parts.is_empty() {
            return;
        }
        let same = |content: &Value| content.get("role").and_then(Value::as_str) == Some(role);
        match self.contents.last_mut().filter(|content| same(content)) {
            Some(content) => {
                if let Some(known) = content.get_mut("parts").and_then(Value::as_array_mut) {
                    known.extend(parts);
                }
            }
            None => self.contents.push(json!({"role": role, "parts": parts})),
        }
        let results = turn.parts.iter().any(|part| matches!(part, Part::ToolResult { .. }));
        if role == "user" && !results {
            self.current = self.contents.len().saturating_sub(1);
        }
    }

    /// All contents, with what the API insists on.
    pub(super) fn finish(mut self) -> Vec<Value> {
        if self.newer {
            for content in self.contents.iter_mut().skip(self.current) {
                prove(content);
            }
        }
        if self.contents.is_empty() {
            self.losses.approximated("messages", "an empty message of the user was added");
            self.contents.push(json!({"role": "user", "parts": [{"text": " "}]}));
        }
        self.contents
    }

    fn part(&mut self, part: &Part, at: &str, out: &mut Vec<Value>) {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => {
                if !text.0.is_empty() {
                    out.push(json!({"text": text.0}));
                }
            }
            Part::Media(media) => out.extend(self.media(media, at)),
            Part::Thinking { text, signature } => self.thinking(&text.0, signature.as_ref(), out),
            Part::SealedThinking(signature) => self.sealed(signature, out),
            Part::ToolCall { id, name, input, kind, signature, .. } => {
                let mut call = Map::new();
                if self.newer {
                    call.insert("id".to_owned(), json!(id));
                }
                call.insert("name".to_owned(), json!(name));
                call.insert("args".to_owned(), self.args(&input.0, *kind, at));
                let mut part = json!({"functionCall": call});
                if let Some(proof) = signature.as_ref().and_then(own_of) {
                    set(&mut part, "thoughtSignature", json!(proof));
                }
                out.push(part);
            }
            Part::ToolResult { call_id, name, parts, failed, .. } => {
                let name = name.as_deref().or_else(|| self.names.get(call_id.as_str()).copied());
                let name = name.unwrap_or(call_id);
                self.result((call_id, name, *failed), parts, at, out);
            }
            Part::Own(own) => {
                let ours = own.value.0.as_object().and_then(|members| members.keys().next());
                let native = self.request.is_of(Dialect::Gemini);
                if native && ours.is_some_and(|key| OWN.contains(&key.as_str())) {
                    out.push(own.value.0.clone());
                } else {
                    self.losses.dropped(own.at.as_str(), "unknown to the provider");
                }
            }
        }
    }

    /// Thinking goes back to its issuer alone.
    fn thinking(&mut self, text: &str, signature: Option<&Signature>, out: &mut Vec<Value>) {
        match signature.and_then(own_of) {
            Some(proof) => {
                out.push(json!({"text": text, "thought": true, "thoughtSignature": proof}));
            }
            None => self.losses.dropped("messages[].thinking", "not the thinking of this provider"),
        }
    }

    /// A signature by itself belongs to the text before it.
    fn sealed(&mut self, signature: &Signature, out: &mut Vec<Value>) {
        let Some(proof) = own_of(signature) else {
            self.losses.dropped("messages[].thinking", "not the thinking of this provider");
            return;
        };
        let bare = |part: &&mut Value| {
            part.get("thoughtSignature").is_none() && part.get("functionCall").is_none()
        };
        match out.last_mut().filter(bare) {
            Some(part) => set(part, "thoughtSignature", json!(proof)),
            None => out.push(json!({"text": "", "thoughtSignature": proof})),
        }
    }

    /// What a function is called with, which must be an object.
    fn args(&mut self, input: &str, kind: ToolKind, at: &str) -> Value {
        let parsed = serde_json::from_str(input).ok();
        match (kind, parsed) {
            (ToolKind::Function | ToolKind::BuiltIn, Some(Value::Object(args))) => {
                Value::Object(args)
            }
            (ToolKind::Function | ToolKind::BuiltIn, _) => {
                self.losses.approximated(format!("{at}.tool_calls"), "arguments put in an object");
                json!({"input": input})
            }
            (ToolKind::Custom, _) => json!({"input": input}),
        }
    }

    fn result(
        &mut self,
        (id, name, failed): (&str, &str, bool),
        parts: &[Part],
        at: &str,
        out: &mut Vec<Value>,
    ) {
        let (mut texts, mut media) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Part::Text { text, .. } => texts.push(text.0.as_str()),
                other => self.part(other, at, &mut media),
            }
        }
        let mut result = Map::new();
        if self.newer {
            result.insert("id".to_owned(), json!(id));
        }
        result.insert("name".to_owned(), json!(name));
        result.insert("response".to_owned(), response(&texts.join("\n"), failed));
        if self.newer && !media.is_empty() {
            result.insert("parts".to_owned(), Value::Array(std::mem::take(&mut media)));
        }
        out.push(json!({"functionResponse": result}));
        if !media.is_empty() {
            self.losses.approximated(at, "media of a tool's result sent beside it");
            out.extend(media);
        }
    }

    fn media(&mut self, media: &Media, at: &str) -> Option<Value> {
        if media.citations {
            self.losses.dropped(format!("{at}.citations"), "answers do not cite documents");
        }
        if matches!(media.detail.as_deref(), Some("low" | "high")) {
            self.losses.dropped(format!("{at}.detail"), "no detail for one image");
        }
        match &media.source {
            MediaSource::Inline { media_type, base64 } => {
                let media_type = match media_type.as_str() {
                    "" => default_type(media.kind),
                    "image/jpg" => "image/jpeg",
                    known => known,
                };
                Some(json!({"inlineData": {"mimeType": media_type, "data": base64.0}}))
            }
            MediaSource::Url { url, media_type } => {
                let guessed = || guess(&url.0).unwrap_or_else(|| default_type(media.kind));
                if media_type.is_none() {
                    self.losses.approximated(format!("{at}.url"), "its media type is guessed");
                }
                let media_type = media_type.as_deref().unwrap_or_else(guessed);
                Some(json!({"fileData": {"mimeType": media_type, "fileUri": url.0}}))
            }
            MediaSource::FileId(uri) if only_google_reads(uri) => {
                Some(json!({"fileData": {"fileUri": uri}}))
            }
            MediaSource::FileId(_) => {
                self.losses.unsupported(format!("{at}.file"), "a file of another provider");
                None
            }
            MediaSource::Text(text) => {
                let heads = [&media.name, &media.context].into_iter().flatten();
                let heads: String = heads.map(|head| format!("{}\n", head.0)).collect();
                Some(json!({"text": format!("{heads}{}", text.0)}))
            }
        }
    }
}

fn own_of(signature: &Signature) -> Option<&str> {
    signature.for_issuer(Issuer::Gemini)
}

fn set(part: &mut Value, name: &str, value: Value) {
    if let Some(members) = part.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// The first call of a step must have a proof. One that another model made has none.
fn prove(content: &mut Value) {
    let parts = content.get_mut("parts").and_then(Value::as_array_mut);
    let mut calls = parts.into_iter().flatten().filter(|part| part.get("functionCall").is_some());
    let first = calls.next().filter(|first| first.get("thoughtSignature").is_none());
    if let Some(first) = first {
        set(first, "thoughtSignature", json!(DUMMY));
    }
}

/// What a function answered, which must be an object.
fn response(text: &str, failed: bool) -> Value {
    let object = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
    match (object, failed) {
        (Some(object), false) => object,
        (None, false) => json!({"result": text}),
        (Some(object), true) => json!({"error": object}),
        (None, true) => json!({"error": text}),
    }
}

fn default_type(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image/jpeg",
        MediaKind::Audio => "audio/mpeg",
        MediaKind::Document => "application/pdf",
        MediaKind::Video => "video/mp4",
    }
}

/// The media type that an address ends like.
fn guess(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain",
        "csv" => "text/csv",
        "html" => "text/html",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        _ => return None,
    })
}
