//! The `messages` of a request: every string in them becomes a text, but for what is a type, an id,
//! a tool's name, a signature or base64. Never drops a member it does not know: unknown text is
//! scanned too.

use crate::call::{Channel, Message, Role};
use crate::draft::{Draft, Known, Mark};
use crate::inline::{self, is_base64};
use crate::labels::{is_call_id, is_function, is_media_type, is_name, is_version};
use crate::names::Names;
use crate::neutral::{Issuer, Signature};
use crate::request_error::RequestError;
use crate::scan::{Kind, Literal, Scanner};

use super::thoughts::{Item, Thought, Thoughts};

const MESSAGE: &[&str] = &["role", "content"];
const BLOCK: &[&str] = &[
    "type",
    "text",
    "thinking",
    "signature",
    "data",
    "id",
    "tool_use_id",
    "name",
    "input",
    "content",
    "source",
    "cache_control",
    "encrypted_content",
    "encrypted_index",
    "encrypted_stdout",
    "file_id",
];
const SOURCE: &[&str] = &["type", "media_type", "data", "url", "file_id", "content"];
/// Members that are not text, in blocks that are walked as they are.
const KNOWN: Known = Known {
    labels: &["type", "ttl", "id", "file_id"],
    plain: |text| is_version(text) || is_call_id(text),
    sealed: &["encrypted_index", "encrypted_content", "encrypted_stdout"],
};

/// A message while it is read.
struct Reading<'a> {
    draft: &'a mut Draft,
    message: Message,
    /// A block of text that is the speaker's own.
    spoke: bool,
    /// A tool's result.
    answers: bool,
}

/// A block while it is read.
#[derive(Debug, Default)]
struct Block {
    kind: String,
    /// The signature of thinking, or sealed thinking itself.
    proof: Option<Literal>,
}

/// Reads the array of messages.
pub(super) fn read_all(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    thoughts: &mut Thoughts,
) -> Result<(), RequestError> {
    if scanner.kind()? != Kind::Array {
        return Err(RequestError::invalid("messages", "an array of messages"));
    }
    scanner.open_array()?;
    loop {
        let item = Item::begin(scanner);
        if !scanner.next_item()? {
            return Ok(());
        }
        let index = draft.next_message()?;
        if scanner.kind()? != Kind::Object {
            let expected = "an object with a role and content";
            return Err(RequestError::invalid(format!("messages[{index}]"), expected));
        }
        read(draft, scanner, index, thoughts)?;
        let end = scanner.position();
        thoughts.messages.push(item.end(end));
    }
}

fn read(
    draft: &mut Draft,
    scanner: &mut Scanner<'_>,
    index: u32,
    thoughts: &mut Thoughts,
) -> Result<(), RequestError> {
    let first = draft.texts.len();
    let mark = Mark { channel: Channel::Text, role: Role::Other, message: Some(index) };
    let message = Message { role: Role::Other, texts: first..first, images: 0, audio: 0, files: 0 };
    let mut reading = Reading { draft, message, spoke: false, answers: false };
    let (mut role, mut said) = (None, false);
    let mut names = Names::new(MESSAGE);
    scanner.open_object()?;
    while let Some(name) = names.next_in(scanner, reading.draft, mark)? {
        match name {
            "role" => role = Some(read_role(reading.draft, scanner, mark)?),
            "content" => {
                said = true;
                reading.content(scanner, mark, Some(&mut *thoughts))?;
            }
            _ => reading.draft.walk(scanner, mark.on(Channel::Document), &[])?,
        }
    }
    let role = role.ok_or_else(|| {
        RequestError::missing(format!("messages[{index}].role"), "user or assistant")
    })?;
    if !said {
        let expected = "a string or an array of blocks";
        return Err(RequestError::missing(format!("messages[{index}].content"), expected));
    }
    thoughts.answers_tools = reading.answers;
    reading.close(first, role);
    Ok(())
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
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => Role::Other,
    })
}

// === impl Reading ===

impl Reading<'_> {
    /// Files the message; the role may come after the content, so it is filled in last.
    fn close(mut self, first: usize, role: Role) {
        let draft = self.draft;
        self.message.texts = first..draft.texts.len();
        // A turn that only hands back what tools said is theirs, as in the other dialects.
        let tools_only = role == Role::User && self.answers && !self.spoke;
        self.message.role = if tools_only { Role::Tool } else { role };
        for text in draft.texts.iter_mut().skip(first) {
            if text.role == Role::Other {
                text.role = role;
            }
            if text.channel == Channel::Text && role == Role::System {
                text.channel = Channel::System;
            }
        }
        draft.needs.image_input |= self.message.images > 0;
        draft.needs.file_input |= self.message.files > 0;
        draft.messages.push(self.message);
    }

    /// Content of a message, a tool's result or a document: a string or an array of blocks.
    fn content(
        &mut self,
        scanner: &mut Scanner<'_>,
        mark: Mark,
        thoughts: Option<&mut Thoughts>,
    ) -> Result<(), RequestError> {
        let outer = thoughts.is_some();
        match scanner.kind()? {
            Kind::Array => scanner.open_array()?,
            Kind::String | Kind::Null => {
                self.spoke |= outer;
                return self.draft.walk(scanner, mark, &[]);
            }
            Kind::Bool | Kind::Number | Kind::Object if outer => {
                let index = mark.message.unwrap_or_default();
                let expected = "a string or an array of blocks";
                return Err(RequestError::invalid(format!("messages[{index}].content"), expected));
            }
            Kind::Bool | Kind::Number | Kind::Object => {
                return self.draft.sift(scanner, mark, &KNOWN);
            }
        }
        let (mut spans, mut found) = (Vec::new(), Vec::new());
        loop {
            let item = Item::begin(scanner);
            if !scanner.next_item()? {
                break;
            }
            if scanner.kind()? == Kind::Object {
                let block = self.block(scanner, mark)?;
                self.spoke |= outer && block.kind == "text";
                if matches!(block.kind.as_str(), "thinking" | "redacted_thinking") {
                    let foreign = block.is_foreign(scanner);
                    found.push(Thought { block: spans.len(), foreign });
                }
            } else {
                self.draft.walk(scanner, mark, &[])?;
            }
            let end = scanner.position();
            spans.push(item.end(end));
        }
        if let Some(thoughts) = thoughts {
            thoughts.note(spans, found);
        }
        Ok(())
    }

    fn block(&mut self, scanner: &mut Scanner<'_>, mark: Mark) -> Result<Block, RequestError> {
        self.draft.block()?;
        let mut block = Block::default();
        let mut named = false;
        let mut names = Names::new(BLOCK);
        scanner.open_object()?;
        while let Some(name) = names.next_in(scanner, self.draft, mark)? {
            match (name, scanner.kind()?) {
                ("type", Kind::String) => {
                    block.kind = self.draft.label(scanner, mark, is_version)?.into_owned();
                    self.count(&block.kind)?;
                }
                ("text", _) => self.draft.walk(scanner, mark, &[])?,
                ("thinking", _) => self.draft.walk(scanner, mark.on(Channel::Reasoning), &[])?,
                ("signature" | "data", Kind::String) => {
                    block.proof = Some(inline::sealed(self.draft, scanner, mark)?);
                }
                ("encrypted_content" | "encrypted_index" | "encrypted_stdout", Kind::String) => {
                    inline::sealed(self.draft, scanner, mark)?;
                }
                ("name", Kind::String) => self.draft.labels(scanner, mark, is_function)?,
                // Must be alike in a call and its result: the same text gets the same pseudonym.
                ("id" | "tool_use_id" | "file_id", Kind::String) => {
                    self.draft.labels(scanner, mark, is_call_id)?;
                }
                ("cache_control", Kind::Object) => self.draft.structure(scanner, mark, &[])?,
                ("input", _) => {
                    self.draft.json(scanner, mark.on(Channel::ToolArguments))?;
                }
                ("content", _) => self.result(scanner, mark)?,
                ("source", Kind::Object) => named |= self.source(scanner, mark)?,
                _ => self.draft.sift(scanner, mark.on(Channel::Document), &KNOWN)?,
            }
        }
        // A picture has its own bound.
        if block.kind == "container_upload" || (named && block.kind == "document") {
            self.draft.media.add_named();
        }
        Ok(block)
    }

    fn count(&mut self, kind: &str) -> Result<(), RequestError> {
        let counter = match kind {
            "image" => &mut self.message.images,
            "document" | "container_upload" => &mut self.message.files,
            "tool_result" => {
                self.answers = true;
                return Ok(());
            }
            "tool_use" => return self.draft.tool_call(),
            _ => return Ok(()),
        };
        *counter = counter.saturating_add(1);
        Ok(())
    }

    /// The content of a block, which only blocks of results and of documents have.
    fn result(&mut self, scanner: &mut Scanner<'_>, mark: Mark) -> Result<(), RequestError> {
        let mark = Mark { role: Role::Tool, ..mark.on(Channel::ToolResult) };
        self.content(scanner, mark, None)
    }

    /// Where an image or a document comes from. Inline base64 is counted; a document's plain text,
    /// an address and everything else are texts. Returns whether it is only named.
    fn source(&mut self, scanner: &mut Scanner<'_>, mark: Mark) -> Result<bool, RequestError> {
        let mark = mark.on(Channel::Document);
        let mut kind = String::new();
        let mut media_type = String::new();
        let mut data = None;
        let mut names = Names::new(SOURCE);
        scanner.open_object()?;
        while let Some(name) = names.next_in(scanner, self.draft, mark)? {
            match (name, scanner.kind()?) {
                ("type", Kind::String) => {
                    kind = self.draft.label(scanner, mark, is_version)?.into_owned();
                }
                ("media_type", Kind::String) => {
                    media_type = self.draft.label(scanner, mark, is_media_type)?.into_owned();
                }
                ("file_id", Kind::String) => self.draft.labels(scanner, mark, is_call_id)?,
                // Whether it is text is known only when the type is.
                ("data", Kind::String) => data = Some(scanner.literal()?),
                ("content", _) => self.content(scanner, mark, None)?,
                _ => self.draft.walk(scanner, mark, &[])?,
            }
        }
        let Some(literal) = data else { return Ok(matches!(kind.as_str(), "url" | "file")) };
        if kind == "text" || !is_base64(scanner.raw(literal.inner())) {
            return self.file(scanner, literal, mark).map(|()| false);
        }
        let bytes = literal.span.len();
        self.draft.media.spans.push(literal.span);
        if media_type.starts_with("image/") {
            self.draft.media.image_bytes += bytes;
        } else {
            self.draft.media.file_bytes += bytes;
        }
        Ok(false)
    }

    fn file(
        &mut self,
        scanner: &Scanner<'_>,
        literal: Literal,
        mark: Mark,
    ) -> Result<(), RequestError> {
        let decoded = literal.escaped.then(|| scanner.decode(&literal).into_owned());
        self.draft.push((literal, decoded), mark)
    }
}

// === impl Block ===

impl Block {
    /// Whether the gateway's own tag says that another provider signed this thinking.
    fn is_foreign(&self, scanner: &Scanner<'_>) -> bool {
        let Some(proof) = &self.proof else { return false };
        let proof = scanner.decode(proof);
        Signature::read(Issuer::Anthropic, &proof).issuer != Issuer::Anthropic
    }
}
