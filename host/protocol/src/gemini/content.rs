//! The `contents` and the `systemInstruction` of a request: every string in them becomes a text,
//! but for what is a type, an id, a function's name, a signature or base64. Never drops a member it
//! does not know: unknown text is scanned too.

use crate::call::{Channel, Message, Role};
use crate::draft::{Draft, Known, Mark};
use crate::inline;
use crate::labels::{is_call_id, is_function, is_media_type, is_name};
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};

use super::keys::{Keys, each};
use super::request::role_of;

const CONTENT: &[&str] = &["role", "parts"];
const PART: &[&str] = &[
    "text",
    "thought",
    "thoughtSignature",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
];
const DATA: &[&str] = &["mimeType", "data", "fileUri", "displayName"];
const FUNCTION: &[&str] = &["id", "name", "args", "response", "parts", "scheduling"];
/// Names in what Google's own code tool was given and has answered.
const CODE: Known =
    Known { labels: &["id", "language", "outcome"], plain: is_call_id, sealed: &[] };

/// What a content turned out to hold beside texts.
#[derive(Debug, Default)]
struct Found {
    images: u32,
    audio: u32,
    files: u32,
    /// There is a function's result.
    results: bool,
    /// There is something else than a function's result.
    others: bool,
}

/// Reads the list of contents.
pub(super) fn read_all(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    if !matches!(scanner.kind()?, Kind::Array | Kind::Object) {
        return Err(RequestError::invalid("contents", "a list of contents"));
    }
    each(scanner, |scanner| {
        let index = draft.next_message()?;
        if scanner.kind()? != Kind::Object {
            let expected = "an object with a role and parts";
            return Err(RequestError::invalid(format!("contents[{index}]"), expected));
        }
        read(draft, scanner, index)
    })
}

/// Reads the instructions, which are a content, or a bare string in some clients.
pub(super) fn system(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    let mark = Mark { channel: Channel::System, role: Role::System, message: None };
    if scanner.kind()? != Kind::Object {
        return draft.walk(scanner, mark, &[]);
    }
    let mut keys = Keys::new(CONTENT);
    let mut found = Found::default();
    scanner.open_object()?;
    while let Some(name) = keys.next_in(scanner, draft, mark)? {
        match name {
            "role" => draft.labels(scanner, mark, is_name)?,
            "parts" => each(scanner, |scanner| part(draft, scanner, mark, &mut found))?,
            _ => draft.walk(scanner, mark.on(Channel::Document), &[])?,
        }
    }
    Ok(())
}

fn read(draft: &mut Draft, scanner: &mut Scanner<'_>, index: u32) -> Result<(), RequestError> {
    let first = draft.texts.len();
    let mark = Mark { channel: Channel::Text, role: Role::Other, message: Some(index) };
    let (mut role, mut found) = (Role::User, Found::default());
    let mut keys = Keys::new(CONTENT);
    scanner.open_object()?;
    while let Some(name) = keys.next_in(scanner, draft, mark)? {
        match name {
            "role" => role = read_role(draft, scanner, mark)?,
            "parts" => each(scanner, |scanner| part(draft, scanner, mark, &mut found))?,
            _ => draft.walk(scanner, mark.on(Channel::Document), &[])?,
        }
    }
    if role == Role::User && found.results && !found.others {
        role = Role::Tool;
    }
    let texts = first..draft.texts.len();
    // The role may come after the parts, so it is filled in last.
    for text in draft.texts.iter_mut().skip(first) {
        text.role = if text.channel == Channel::ToolResult { Role::Tool } else { role };
        if text.channel == Channel::Text && role == Role::System {
            text.channel = Channel::System;
        }
    }
    let Found { images, audio, files, .. } = found;
    draft.needs.image_input |= images > 0;
    draft.needs.audio_input |= audio > 0;
    draft.needs.file_input |= files > 0;
    draft.messages.push(Message { role, texts, images, audio, files });
    Ok(())
}

fn read_role(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
) -> Result<Role, RequestError> {
    let index = mark.message.unwrap_or_default();
    match scanner.kind()? {
        Kind::Null => Ok(scanner.skip().map(|_| Role::User)?),
        Kind::String => Ok(role_of(&draft.label(scanner, mark.on(Channel::Document), is_name)?)),
        _ => Err(RequestError::invalid(format!("contents[{index}].role"), "user or model")),
    }
}

fn part(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
    found: &mut Found,
) -> Result<(), RequestError> {
    draft.block()?;
    if scanner.kind()? != Kind::Object {
        found.others = true;
        return draft.walk(scanner, mark, &[]);
    }
    let mut keys = Keys::new(PART);
    let (mut text, mut thought) = (None, false);
    scanner.open_object()?;
    while let Some(name) = keys.next_in(scanner, draft, mark)? {
        found.others |= !matches!(name, "functionResponse" | "thoughtSignature" | "thought");
        match (name, scanner.kind()?) {
            ("text", Kind::String) => {
                text = Some(draft.texts.len());
                draft.walk(scanner, mark, &[])?;
            }
            ("thought", Kind::Bool) => thought = scanner.boolean()?,
            ("thoughtSignature", Kind::String) => {
                inline::sealed(draft, scanner, mark)?;
            }
            ("inlineData" | "fileData", Kind::Object) => data(draft, scanner, mark, found)?,
            ("functionCall" | "functionResponse", Kind::Object) => {
                match name {
                    "functionCall" => draft.tool_call()?,
                    _ => found.results = true,
                }
                function(draft, scanner, mark, found)?;
            }
            ("executableCode", _) => {
                draft.sift(scanner, mark.on(Channel::ToolArguments), &CODE)?;
            }
            ("codeExecutionResult", _) => {
                draft.sift(scanner, mark.on(Channel::ToolResult), &CODE)?;
            }
            _ => draft.walk(scanner, mark.on(Channel::Document), &[])?,
        }
    }
    if let Some(text) = text.filter(|_| thought).and_then(|index| draft.texts.get_mut(index)) {
        text.channel = Channel::Reasoning;
    }
    Ok(())
}

/// Reads inline data or the address of a file.
fn data(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
    found: &mut Found,
) -> Result<(), RequestError> {
    let mut keys = Keys::new(DATA);
    let (mut bytes, mut mime) = (0_usize, String::new());
    scanner.open_object()?;
    while let Some(name) = keys.next_in(scanner, draft, mark)? {
        match (name, scanner.kind()?) {
            ("mimeType", Kind::String) => {
                mime = draft.label(scanner, mark, is_media_type)?.into_owned();
            }
            ("data", Kind::String) => {
                bytes += inline::bare(draft, scanner, mark.on(Channel::Document))?;
            }
            _ => draft.walk(scanner, mark.on(Channel::Document), &[])?,
        }
    }
    let (count, total) = match mime.split('/').next() {
        Some("image") => (&mut found.images, &mut draft.media.image_bytes),
        Some("audio") => (&mut found.audio, &mut draft.media.audio_bytes),
        _ => (&mut found.files, &mut draft.media.file_bytes),
    };
    *count = count.saturating_add(1);
    *total += bytes;
    // A picture has its own bound.
    if bytes == 0 && !mime.starts_with("image/") {
        draft.media.add_named();
    }
    Ok(())
}

/// Reads a function's call or its result.
fn function(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
    found: &mut Found,
) -> Result<(), RequestError> {
    let mut keys = Keys::new(FUNCTION);
    scanner.open_object()?;
    while let Some(name) = keys.next_in(scanner, draft, mark)? {
        match (name, scanner.kind()?) {
            // Must be alike in a call and its result: the same text gets the same pseudonym.
            ("id", Kind::String) => draft.labels(scanner, mark, is_call_id)?,
            ("name", Kind::String) => draft.labels(scanner, mark, is_function)?,
            ("scheduling", Kind::String) => draft.labels(scanner, mark, is_name)?,
            ("args", _) => draft.json(scanner, mark.on(Channel::ToolArguments))?,
            ("response", _) => draft.json(scanner, mark.on(Channel::ToolResult))?,
            ("parts", Kind::Array) => each(scanner, |scanner| {
                let mut inner = Found::default();
                part(draft, scanner, mark.on(Channel::ToolResult), &mut inner)?;
                found.images = found.images.saturating_add(inner.images);
                found.audio = found.audio.saturating_add(inner.audio);
                found.files = found.files.saturating_add(inner.files);
                Ok(())
            })?,
            _ => draft.walk(scanner, mark.on(Channel::Document), &[])?,
        }
    }
    Ok(())
}
