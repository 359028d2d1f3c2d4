//! The `messages` of a request: every string in them becomes a text, but for what is a type, an id,
//! a function's name or base64. Never drops a member it does not know: unknown text is scanned too.

use crate::call::{Channel, Message, Role};
use crate::draft::{Draft, Known, Mark};
use crate::inline;
use crate::labels::{is_call_id, is_function, is_name, is_path};
use crate::names::Names;
use crate::request_error::RequestError;
use crate::scan::{Kind, Scanner};

const MESSAGE: &[&str] = &[
    "role",
    "content",
    "refusal",
    "name",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "thinking_blocks",
    "audio",
];
/// Members by which an assistant's message says something without content.
const SAID_OTHERWISE: [&str; 8] = [
    "tool_calls",
    "function_call",
    "refusal",
    "audio",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "thinking_blocks",
];
const PART: &[&str] =
    &["type", "text", "refusal", "thinking", "image_url", "input_audio", "file", "cache_control"];
const TOOL_CALL: &[&str] = &["id", "type", "index", "function", "custom", "extra_content"];
const FUNCTION: &[&str] = &["name", "arguments", "input"];
const IMAGE: &[&str] = &["url", "detail"];
const AUDIO: &[&str] = &["data", "format"];
const FILE: &[&str] = &["file_data", "file_id", "filename"];
/// Members of thinking that are not text: signatures must come back byte for byte.
pub(crate) const THINKING: Known = Known {
    labels: &["type", "id", "format"],
    plain: |text| is_call_id(text) || is_path(text),
    sealed: &["signature", "data", "thought_signature"],
};

/// Reads the array of messages.
pub(super) fn read_all(draft: &mut Draft, scanner: &mut Scanner<'_>) -> Result<(), RequestError> {
    if scanner.kind()? != Kind::Array {
        return Err(RequestError::invalid("messages", "an array of messages"));
    }
    scanner.open_array()?;
    while scanner.next_item()? {
        let index = draft.next_message()?;
        if scanner.kind()? != Kind::Object {
            return Err(RequestError::invalid(
                format!("messages[{index}]"),
                "an object with a role and content",
            ));
        }
        read(draft, scanner, index)?;
    }
    Ok(())
}

fn read(draft: &mut Draft, scanner: &mut Scanner<'_>, index: u32) -> Result<(), RequestError> {
    let first = draft.texts.len();
    let mark = Mark { channel: Channel::Text, role: Role::Other, message: Some(index) };
    let mut message =
        Message { role: Role::Other, texts: first..first, images: 0, audio: 0, files: 0 };
    let (mut role, mut content_kind, mut said_otherwise) = (None, None, false);
    let mut names = Names::new(MESSAGE);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, mark)? {
        let kind = scanner.kind()?;
        said_otherwise |= kind != Kind::Null && SAID_OTHERWISE.contains(&name);
        if name == "content" {
            content_kind = Some(kind);
        }
        match name {
            "role" => role = Some(read_role(draft, scanner, mark)?),
            "content" => content(draft, scanner, mark, &mut message)?,
            "refusal" => draft.walk(scanner, mark, &[])?,
            "tool_calls" => tool_calls(draft, scanner, mark)?,
            "function_call" => function(draft, scanner, mark)?,
            "reasoning_content" | "reasoning" | "reasoning_details" | "thinking_blocks" => {
                draft.sift(scanner, mark.on(Channel::Reasoning), &THINKING)?;
            }
            "audio" => draft.sift(scanner, mark.on(Channel::Document), &THINKING)?,
            // Must be what `tool_calls` says: the same text gets the same pseudonym.
            "tool_call_id" => draft.labels(scanner, mark, is_call_id)?,
            _ => draft.walk(scanner, mark.on(Channel::Document), &[])?,
        }
    }
    let role = role.ok_or_else(|| {
        RequestError::missing(format!("messages[{index}].role"), "system, user, assistant or tool")
    })?;
    says_something(role, content_kind, said_otherwise, index)?;
    message.role = role;
    message.texts = first..draft.texts.len();
    // The role may come after the content, so it is filled in last.
    for text in draft.texts.iter_mut().skip(first) {
        text.role = role;
        if text.channel == Channel::Text {
            text.channel = channel_of(role);
        }
    }
    draft.needs.image_input |= message.images > 0;
    draft.needs.audio_input |= message.audio > 0;
    draft.needs.file_input |= message.files > 0;
    draft.messages.push(message);
    Ok(())
}

/// What was forgotten would be answered, and charged, as if nothing had been meant. OpenAI refuses
/// it as well; what it refuses beyond that, such as a tool's result that is null, other providers
/// take.
fn says_something(
    role: Role,
    content: Option<Kind>,
    said_otherwise: bool,
    index: u32,
) -> Result<(), RequestError> {
    let at = || format!("messages[{index}].content");
    let expected = "a string or an array of parts";
    match (role, content) {
        (Role::User | Role::System | Role::Developer, Some(Kind::Null)) => {
            Err(RequestError::invalid(at(), expected))
        }
        (Role::Assistant, None) if !said_otherwise => {
            Err(RequestError::missing(at(), "a string or an array of parts, or tool_calls"))
        }
        (Role::User | Role::System | Role::Developer | Role::Tool, None) => {
            Err(RequestError::missing(at(), expected))
        }
        _ => Ok(()),
    }
}

fn read_role(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
) -> Result<Role, RequestError> {
    let index = mark.message.unwrap_or_default();
    if scanner.kind()? != Kind::String {
        return Err(RequestError::invalid(format!("messages[{index}].role"), "a string"));
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

fn channel_of(role: Role) -> Channel {
    match role {
        Role::System | Role::Developer => Channel::System,
        Role::Tool => Channel::ToolResult,
        Role::User | Role::Assistant | Role::Other => Channel::Text,
    }
}

fn content(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
    message: &mut Message,
) -> Result<(), RequestError> {
    match scanner.kind()? {
        Kind::String | Kind::Null => return draft.walk(scanner, mark, &[]),
        Kind::Array => scanner.open_array()?,
        Kind::Bool | Kind::Number | Kind::Object => {
            let index = mark.message.unwrap_or_default();
            let expected = "a string, null or an array of parts";
            return Err(RequestError::invalid(format!("messages[{index}].content"), expected));
        }
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
    let mut names = Names::new(PART);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, mark)? {
        match name {
            "type" => draft.labels(scanner, mark, is_name)?,
            "thinking" => draft.sift(scanner, mark.on(Channel::Reasoning), &THINKING)?,
            "image_url" => {
                message.images = message.images.saturating_add(1);
                draft.media.image_bytes += media(draft, scanner, mark, IMAGE)?;
            }
            "input_audio" => {
                message.audio = message.audio.saturating_add(1);
                draft.media.audio_bytes += media(draft, scanner, mark, AUDIO)?;
            }
            "file" => {
                message.files = message.files.saturating_add(1);
                let bytes = media(draft, scanner, mark, FILE)?;
                draft.media.file_bytes += bytes;
                if bytes == 0 {
                    draft.media.add_named();
                }
            }
            _ => draft.walk(scanner, mark, &[])?,
        }
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
    let mut opaque = 0;
    if scanner.kind()? != Kind::Object {
        return inline::address(draft, scanner, mark);
    }
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

pub(crate) fn tool_calls(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    mark: Mark,
) -> Result<(), RequestError> {
    if scanner.kind()? != Kind::Array {
        return draft.walk(scanner, mark.on(Channel::ToolArguments), &[]);
    }
    scanner.open_array()?;
    while scanner.next_item()? {
        draft.tool_call()?;
        if scanner.kind()? != Kind::Object {
            draft.walk(scanner, mark.on(Channel::ToolArguments), &[])?;
            continue;
        }
        let mut names = Names::new(TOOL_CALL);
        scanner.open_object()?;
        while let Some(name) = names.next_in(scanner, draft, mark)? {
            match name {
                "id" => draft.labels(scanner, mark, is_call_id)?,
                "type" | "index" => draft.labels(scanner, mark, is_name)?,
                "function" | "custom" => function(draft, scanner, mark)?,
                "extra_content" => {
                    draft.sift(scanner, mark.on(Channel::Document), &THINKING)?;
                }
                _ => draft.walk(scanner, mark.on(Channel::Document), &[])?,
            }
        }
    }
    Ok(())
}

fn function(draft: &mut Draft, scanner: &mut Scanner<'_>, mark: Mark) -> Result<(), RequestError> {
    let mark = mark.on(Channel::ToolArguments);
    if scanner.kind()? != Kind::Object {
        return draft.walk(scanner, mark, &[]);
    }
    let mut names = Names::new(FUNCTION);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, draft, mark)? {
        match name {
            "name" => draft.labels(scanner, mark, is_function)?,
            "arguments" | "input" => draft.json(scanner, mark)?,
            _ => draft.walk(scanner, mark, &[])?,
        }
    }
    Ok(())
}
