//! One part of a content, which looks the same in a request and in an answer. Never knows where it
//! stands.

use serde_json::{Value, json};

use crate::gemini::signature;
use crate::gemini::tree::{self, Members, take, take_flag, take_object, take_string};
use crate::neutral::{Media, MediaKind, MediaSource, Signature, Words};

/// What a part is.
#[derive(Debug)]
pub(super) enum Piece {
    Text {
        text: String,
        thought: bool,
    },
    Call(Call),
    Result(Outcome),
    Media(Media),
    /// What only Google has: the whole part.
    Own(Value),
    /// Nothing but, perhaps, a signature.
    Nothing,
}

/// A part, its signature, and the members of it that are not known.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) piece: Piece,
    pub(super) thought: bool,
    pub(super) signature: Option<Signature>,
    pub(super) rest: Members,
}

/// A function's call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: Option<String>,
    pub(super) name: String,
    /// A JSON object in text.
    pub(super) input: Words,
}

/// A function's result.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) text: Option<Words>,
    pub(super) failed: bool,
    pub(super) parts: Vec<Value>,
}

/// Parts that Google's own tools make.
const OWN: [&str; 4] = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];

/// Reads one part.
pub(super) fn read(part: Value) -> Read {
    let mut members = match part {
        Value::Object(members) => members,
        Value::String(text) => json_text(text),
        _ => Members::new(),
    };
    let signature = take_string(&mut members, "thoughtSignature");
    let signature = signature.filter(|text| !text.is_empty()).map(|text| signature::read(&text));
    let thought = take_flag(&mut members, "thought");
    let piece = piece(&mut members, thought);
    Read { piece, thought, signature, rest: members }
}

/// A bare string where a part is expected.
fn json_text(text: String) -> Members {
    Members::from_iter([("text".to_owned(), Value::String(text))])
}

fn piece(members: &mut Members, thought: bool) -> Piece {
    if let Some(mut call) = take_object(members, "functionCall") {
        let read = read_call(&mut call);
        put_back(members, "functionCall", call);
        return Piece::Call(read);
    }
    if let Some(mut result) = take_object(members, "functionResponse") {
        let read = read_outcome(&mut result);
        put_back(members, "functionResponse", result);
        return Piece::Result(read);
    }
    if let Some(data) = take_object(members, "inlineData") {
        return Piece::Media(inline(data));
    }
    if let Some(file) = take_object(members, "fileData") {
        return Piece::Media(file_data(file));
    }
    for name in OWN {
        if let Some(value) = take(members, name) {
            return Piece::Own(json!({name: value}));
        }
    }
    match take_string(members, "text") {
        Some(text) if !text.is_empty() => Piece::Text { text, thought },
        _ => Piece::Nothing,
    }
}

/// Leaves what is not known of a call or a result where it was, for whoever tells what is lost.
fn put_back(members: &mut Members, name: &str, mut rest: Members) {
    // Nothing follows unless it says so.
    rest.retain(|_, value| !value.is_null() && *value != Value::Bool(false));
    if !rest.is_empty() {
        members.insert(name.to_owned(), Value::Object(rest));
    }
}

fn read_call(call: &mut Members) -> Call {
    let args = take(call, "args").unwrap_or_else(|| json!({}));
    let id = take_string(call, "id").filter(|id| !id.is_empty());
    let name = take_string(call, "name").unwrap_or_default();
    Call { id, name, input: Words::from(args.to_string()) }
}

fn read_outcome(result: &mut Members) -> Outcome {
    let response = take(result, "response");
    let (text, failed) = response.as_ref().map_or((None, false), said);
    Outcome {
        id: take_string(result, "id").filter(|id| !id.is_empty()),
        name: take_string(result, "name").unwrap_or_default(),
        text: text.map(Words::from),
        failed,
        parts: tree::items(take(result, "parts")),
    }
}

/// The text of a `response`, and whether it is that of a failure. An object with one member that is
/// Google's word for a result or an error stands for what is in it.
fn said(response: &Value) -> (Option<String>, bool) {
    let Value::Object(members) = response else {
        return (Some(text_of(response)), false);
    };
    let mut all = members.iter();
    match (all.next(), all.next()) {
        (None, _) => (None, false),
        (Some((name, value)), None) if name == "error" => (Some(text_of(value)), true),
        (Some((name, Value::String(text))), None) if name == "result" || name == "output" => {
            (Some(text.clone()), false)
        }
        _ => (Some(response.to_string()), false),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn inline(mut data: Members) -> Media {
    let media_type = take_string(&mut data, "mimeType").unwrap_or_default();
    let base64 = take_string(&mut data, "data").unwrap_or_default();
    let name = take_string(&mut data, "displayName");
    let kind = kind_of(&media_type);
    media(kind, MediaSource::Inline { media_type, base64: base64.into() }, name)
}

fn file_data(mut file: Members) -> Media {
    let media_type = take_string(&mut file, "mimeType");
    let uri = take_string(&mut file, "fileUri").unwrap_or_default();
    let name = take_string(&mut file, "displayName");
    let kind = kind_of(media_type.as_deref().unwrap_or_default());
    if only_google_reads(&uri) {
        return media(kind, MediaSource::FileId(uri), name);
    }
    media(kind, MediaSource::Url { url: uri.into(), media_type }, name)
}

/// Whether an address is of Google's own store, where no other provider may look.
pub(in crate::gemini) fn only_google_reads(uri: &str) -> bool {
    let stored = uri.contains("generativelanguage.googleapis.com/") && uri.contains("/files/");
    stored || uri.starts_with("gs://")
}

fn media(kind: MediaKind, source: MediaSource, name: Option<String>) -> Media {
    Media {
        kind,
        source,
        detail: None,
        name: name.map(Words::from),
        context: None,
        citations: false,
        cache: None,
    }
}

fn kind_of(media_type: &str) -> MediaKind {
    match media_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::Document,
    }
}
