//! The `input` of a request: every string in it becomes a text, but for what is a type, an id, a
//! function's name, base64 or a proof of thinking. Items in the manner of chat messages are read
//! too, because some clients mix both. Never drops a member it does not know.

use crate::call::{Channel, Message, Role};
use crate::draft::{Draft, Known, Mark};
use crate::inline;
use crate::labels::{is_call_id, is_function, is_name};
use crate::names::Names;
use crate::openai_chat::message as chat;
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};

const ITEM: &[&str] = &[
    "type",
    "role",
    "content",
    "id",
    "call_id",
    "name",
    "arguments",
    "input",
    "output",
    "summary",
    "encrypted_content",
    "status",
    "phase",
    "action",
    "result",
    "outputs",
    "tool_calls",
    "tool_call_id",
    "refusal",
    "namespace",
];
const PART: &[&str] = &[
    "type",
    "text",
    "refusal",
    "image_url",
    "input_audio",
    "file",
    "file_data",
    "file_url",
    "url",
    "file_id",
    "filename",
    "detail",
    "annotations",
    "encrypted_content",
    "cache_control",
];
const AUDIO: &[&str] = &["data", "format"];
const FILE: &[&str] = &["file_data", "file_id", "filename"];
const IMAGE: &[&str] = &["url", "detail"];
const PROMPT: &[&str] = &["id", "version", "variables"];
/// Members inside calls, results and annotations that are names and ids.
const STRUCTURE: Known = Known {
    labels: &["type", "id", "call_id", "file_id", "container_id", "status"],
    plain: is_call_id,
    sealed: &["encrypted_content"],
};

/// What an item turns out to be while it is read.
#[derive(Debug, Default)]
struct Item {
    kind: String,
    role: Option<Role>,
    /// There is a member other than type and id.
    filled: bool,
}

/// Reads the value of `input`. Returns whether an item is named by its id alone.
pub(super) fn read(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<bool, RequestError> {
    match scanner.kind()? {
        Kind::String => return lone(draft, scanner, Role::User, Channel::Text).map(|()| false),
        Kind::Null => return Ok(scanner.skip().map(|_| false)?),
        Kind::Array => scanner.open_array()?,
        _ => return Err(RequestError::invalid("input", "a string or an array of items")),
    }
    let (mut position, mut referred) = (0_usize, false);
    while scanner.next_item()? {
        match scanner.kind()? {
            Kind::Object => referred |= item(draft, scanner, position)?,
            _ => {
                let at = format!("input[{position}]");
                return Err(RequestError::invalid(at, "an object with a type or a role"));
            }
        }
        position = position.saturating_add(1);
    }
    Ok(referred)
}

/// A string that stands for a whole message.
pub(super) fn lone(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    role: Role,
    channel: Channel,
) -> Result<(), RequestError> {
    let index = draft.next_message()?;
    let first = draft.texts.len();
    draft.walk(scanner, Mark { channel, role, message: Some(index) }, &[])?;
    let texts = first..draft.texts.len();
    draft.messages.push(Message { role, texts, images: 0, audio: 0, files: 0 });
    Ok(())
}

fn item(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    position: usize,
) -> Result<bool, RequestError> {
    let index = draft.next_message()?;
    let first = draft.texts.len();
    let mark = Mark { channel: Channel::Text, role: Role::Other, message: Some(index) };
    let mut message =
        Message { role: Role::Other, texts: first..first, images: 0, audio: 0, files: 0 };
    let mut item = Item::default();
    let mut names = Names::new(ITEM);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, mark)? {
        item.filled |= !matches!(name, "type" | "id");
        match name {
            "type" if scanner.kind()? == Kind::String => {
                item.kind = draft.label(scanner, mark, is_name)?.into_owned();
            }
            "role" => item.role = Some(role(draft, scanner, mark, position)?),
            _ => member(name, draft, scanner, mark, &mut message)?,
        }
    }
    let role = item.role(position)?;
    let said = item.channel(role);
    message.role = role;
    message.texts = first..draft.texts.len();
    // Type and role may come after the content, so they are filled in last.
    for text in draft.texts.iter_mut().skip(first) {
        text.role = role;
        if text.channel == Channel::Text {
            text.channel = said;
        }
    }
    draft.needs.image_input |= message.images > 0;
    draft.needs.audio_input |= message.audio > 0;
    draft.needs.file_input |= message.files > 0;
    draft.messages.push(message);
    Ok(item.kind == "item_reference" || !item.filled)
}

fn member(
    name: &'static str,
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
    message: &mut Message,
) -> Result<(), RequestError> {
    match name {
        "content" => parts(draft, scanner, mark, message),
        "output" => parts(draft, scanner, mark.on(Channel::ToolResult), message),
        "refusal" => draft.walk(scanner, mark, &[]),
        "summary" => draft.sift(scanner, mark.on(Channel::Reasoning), &STRUCTURE),
        "arguments" | "input" => draft.json(scanner, mark.on(Channel::ToolArguments)),
        "action" => draft.sift(scanner, mark.on(Channel::ToolArguments), &STRUCTURE),
        "tool_calls" => chat::tool_calls(draft, scanner, mark),
        "outputs" => parts(draft, scanner, mark.on(Channel::ToolResult), message),
        "result" => {
            draft.media.image_bytes += inline::bare(draft, scanner, mark.on(Channel::Document))?;
            Ok(())
        }
        // Must be alike in a call and its result: the same text gets the same pseudonym.
        "id" | "call_id" | "tool_call_id" => draft.labels(scanner, mark, is_call_id),
        "name" | "namespace" => draft.labels(scanner, mark, is_function),
        "status" | "phase" => draft.labels(scanner, mark, is_name),
        "encrypted_content" if scanner.kind()? == Kind::String => {
            inline::sealed(draft, scanner, mark).map(|_| ())
        }
        _ => draft.sift(scanner, mark.on(Channel::Document), &STRUCTURE),
    }
}

fn role(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
    position: usize,
) -> Result<Role, RequestError> {
    if scanner.kind()? != Kind::String {
        return Err(RequestError::invalid(format!("input[{position}].role"), "a string"));
    }
    Ok(match draft.label(scanner, mark.on(Channel::Document), is_name)?.as_ref() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => Role::Other,
    })
}

/// A string, or an array of strings and parts; any other value is all text.
fn parts(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
    message: &mut Message,
) -> Result<(), RequestError> {
    match scanner.kind()? {
        Kind::Array => scanner.open_array()?,
        // The output of a computer is one part.
        Kind::Object => return part(draft, scanner, mark, message),
        _ => return draft.walk(scanner, mark, &[]),
    }
    while scanner.next_item()? {
        match scanner.kind()? {
            Kind::Object => part(draft, scanner, mark, message)?,
            _ => draft.walk(scanner, mark, &[])?,
        }
    }
    Ok(())
}

fn part(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
    message: &mut Message,
) -> Result<(), RequestError> {
    draft.block()?;
    let (mut image, mut audio, mut file) = (false, false, false);
    let file_bytes = draft.media.file_bytes;
    let mut names = Names::new(PART);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, mark)? {
        let document = mark.on(Channel::Document);
        match name {
            "type" if scanner.kind()? == Kind::String => {
                let kind = draft.label(scanner, mark, is_name)?;
                image |= matches!(kind.as_ref(), "input_image" | "computer_screenshot");
                file |= kind == "input_file";
            }
            // The picture that a provider's own code has drawn.
            "url" => draft.media.image_bytes += inline::address(draft, scanner, document)?,
            "image_url" => {
                image |= scanner.kind()? != Kind::Null;
                draft.media.image_bytes += media(draft, scanner, mark, IMAGE)?;
            }
            "input_audio" => {
                audio = true;
                draft.media.audio_bytes += media(draft, scanner, mark, AUDIO)?;
            }
            "file" => {
                file = true;
                draft.media.file_bytes += media(draft, scanner, mark, FILE)?;
            }
            "file_data" | "file_url" => {
                file |= scanner.kind()? != Kind::Null;
                draft.media.file_bytes += inline::address(draft, scanner, document)?;
            }
            "filename" => draft.walk(scanner, document, &[])?,
            "file_id" => draft.labels(scanner, mark, is_call_id)?,
            "detail" => draft.labels(scanner, mark, is_name)?,
            "encrypted_content" if scanner.kind()? == Kind::String => {
                inline::sealed(draft, scanner, mark).map(|_| ())?;
            }
            "annotations" => draft.sift(scanner, document, &STRUCTURE)?,
            _ => draft.sift(scanner, mark, &STRUCTURE)?,
        }
    }
    message.images = message.images.saturating_add(u32::from(image));
    message.audio = message.audio.saturating_add(u32::from(audio));
    message.files = message.files.saturating_add(u32::from(file));
    if file && draft.media.file_bytes == file_bytes {
        draft.media.add_named();
    }
    Ok(())
}

/// Reads an image, a clip or a file; returns how many bytes of it are base64. An address that is
/// not inline data, and a file's name, are texts.
fn media(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
    known: &'static [&'static str],
) -> Result<usize, RequestError> {
    let mark = mark.on(Channel::Document);
    if scanner.kind()? != Kind::Object {
        return inline::address(draft, scanner, mark);
    }
    let mut opaque = 0;
    let mut names = Names::new(known);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, mark)? {
        match name {
            "url" | "file_data" => opaque += inline::address(draft, scanner, mark)?,
            "data" => opaque += inline::bare(draft, scanner, mark)?,
            "detail" | "format" => draft.labels(scanner, mark, is_name)?,
            "file_id" => draft.labels(scanner, mark, is_call_id)?,
            _ => draft.walk(scanner, mark, &[])?,
        }
    }
    Ok(opaque)
}

/// Reads what names an earlier response or a conversation: an id, alone or in an object.
pub(super) fn named(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    match scanner.kind()? {
        Kind::String => draft.labels(scanner, Mark::DOCUMENT, is_call_id),
        _ => draft.sift(scanner, Mark::DOCUMENT, &STRUCTURE),
    }
}

/// Reads a prompt that is kept at the provider: its id, and the values put into it, which are texts
/// or parts.
pub(super) fn prompt(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    let mark = Mark::DOCUMENT;
    if scanner.kind()? != Kind::Object {
        return draft.walk(scanner, mark, &[]);
    }
    let mut values = Message { role: Role::Other, texts: 0..0, images: 0, audio: 0, files: 0 };
    let mut names = Names::new(PROMPT);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, mark)? {
        match (name, scanner.kind()?) {
            ("id", Kind::String) => draft.labels(scanner, mark, is_call_id)?,
            ("version", Kind::String) => draft.labels(scanner, mark, is_name)?,
            ("variables", Kind::Object) => {
                scanner.open_object()?;
                while let Some(literal) = scanner.next_literal_key()? {
                    draft.key(scanner, literal, mark)?;
                    parts(draft, scanner, mark, &mut values)?;
                }
            }
            _ => draft.walk(scanner, mark, &[])?,
        }
    }
    draft.needs.image_input |= values.images > 0;
    draft.needs.audio_input |= values.audio > 0;
    draft.needs.file_input |= values.files > 0;
    Ok(())
}

// === impl Item ===

impl Item {
    /// Who speaks: as the item says, else by its type.
    fn role(&self, position: usize) -> Result<Role, RequestError> {
        if let Some(role) = self.role {
            return Ok(role);
        }
        let kind = self.kind.as_str();
        if kind == "message" || (kind.is_empty() && self.filled) {
            let at = format!("input[{position}].role");
            return Err(RequestError::missing(at, "user, assistant, system or developer"));
        }
        Ok(match kind {
            "reasoning" => Role::Assistant,
            _ if kind.ends_with("_call") => Role::Assistant,
            _ if kind.ends_with("_output") => Role::Tool,
            _ => Role::Other,
        })
    }

    /// What its content is.
    fn channel(&self, role: Role) -> Channel {
        match (self.kind.as_str(), role) {
            ("reasoning", _) => Channel::Reasoning,
            (_, Role::System | Role::Developer) => Channel::System,
            (_, Role::Tool) => Channel::ToolResult,
            (_, Role::User | Role::Assistant | Role::Other) => Channel::Text,
        }
    }
}
