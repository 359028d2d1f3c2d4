//! A whole message: texts of its blocks, usage and tier, found in place. Every string that a person
//! could read is listed, also of what the provider's own tools brought.

use bytes::Bytes;

use crate::Dialect;
use crate::answer::{Answer, AnswerError};
use crate::call::{Channel, Role, Text};
use crate::content::{Content, Wire};
use crate::scan::{Fault, Kind, Literal, LoneSurrogate, Scanner};

use super::{error, usage};

/// Members of blocks that are not text, where they are strings.
const SKIP: &[&str] = &[
    "type",
    "id",
    "name",
    "tool_use_id",
    "file_id",
    "server_name",
    "signature",
    "data",
    "encrypted_index",
    "encrypted_content",
    "encrypted_stdout",
    "media_type",
    "error_code",
    "page_age",
];

/// The reason of an answer in which the model declines.
pub(super) const DECLINED: &str = "refusal";

/// A string found below a value, and the channel it belongs to.
pub(super) type Found = (Channel, Literal);

/// Reads a whole body.
pub(crate) fn parse(body: Bytes) -> Result<Answer, AnswerError> {
    let text = std::str::from_utf8(&body)
        .map_err(|error| AnswerError { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let mut answer = Answer {
        dialect: Dialect::AnthropicMessages,
        model: None,
        usage: None,
        service_tier: None,
        texts: Vec::new(),
        choices: 0,
        tool_called: false,
        declined: false,
        error: None,
        logprobs: Vec::new(),
        media: false,
        body: Wire(Bytes::new()),
    };
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match (key.as_ref(), scanner.kind()?) {
            ("model", _) => answer.model = optional_string(&mut scanner)?,
            ("usage", _) => {
                let report = usage::read(&mut scanner)?;
                answer.usage = report.usage();
                answer.service_tier = report.service_tier;
            }
            ("stop_reason", _) => {
                answer.declined = optional_string(&mut scanner)?.as_deref() == Some(DECLINED);
            }
            ("error", _) => answer.error = error::read(&mut scanner)?,
            ("content", Kind::Array) => content(&mut answer, &mut scanner, &body)?,
            _ => {
                scanner.skip()?;
            }
        }
    }
    scanner.end()?;
    answer.body = Wire(body);
    Ok(answer)
}

fn content(answer: &mut Answer, scanner: &mut Scanner<'_>, body: &Bytes) -> Result<(), Fault> {
    answer.choices = 1;
    scanner.open_array()?;
    while scanner.next_item()? {
        let mut found = Vec::new();
        let mut kind = String::new();
        if scanner.kind()? == Kind::Object {
            kind = block(scanner, &mut found)?;
        } else {
            walk(scanner, Channel::Text, &mut found)?;
        }
        answer.tool_called |= kind == "tool_use";
        answer.media |= kind == "redacted_thinking" || super::is_own_block(&kind);
        answer.texts.extend(found.into_iter().map(|(channel, literal)| Text {
            channel,
            role: Role::Assistant,
            message: Some(0),
            content: content_of(scanner, body, &literal),
            span: literal.span,
            edited: false,
            json: false,
        }));
    }
    Ok(())
}

/// Reads one block; returns its type.
fn block(scanner: &mut Scanner<'_>, found: &mut Vec<Found>) -> Result<String, Fault> {
    let mut kind = String::new();
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match (key.as_ref(), scanner.kind()?) {
            ("type", Kind::String) => kind = scanner.string()?.into_owned(),
            (key, _) => member(scanner, key, found)?,
        }
    }
    Ok(kind)
}

/// Reads one member of a block, in a whole answer or at the start of a stream's block.
pub(super) fn member(
    scanner: &mut Scanner<'_>,
    key: &str,
    found: &mut Vec<Found>,
) -> Result<(), Fault> {
    if SKIP.contains(&key) && scanner.kind()? == Kind::String {
        return scanner.skip().map(|_| ());
    }
    let channel = match key {
        "thinking" => Channel::Reasoning,
        "input" => Channel::ToolArguments,
        _ => Channel::Text,
    };
    walk(scanner, channel, found)
}

/// Lists every string below the next value, without empty ones.
pub(super) fn walk(
    scanner: &mut Scanner<'_>,
    channel: Channel,
    found: &mut Vec<Found>,
) -> Result<(), Fault> {
    match scanner.kind()? {
        Kind::String => {
            let literal = scanner.literal()?;
            if !literal.is_empty() {
                found.push((channel, literal));
            }
        }
        Kind::Array => {
            scanner.open_array()?;
            while scanner.next_item()? {
                walk(scanner, channel, found)?;
            }
        }
        Kind::Object => {
            scanner.open_object()?;
            while let Some(key) = scanner.next_key()? {
                // What a tool is called with has no members of ours.
                let known = channel != Channel::ToolArguments && SKIP.contains(&key.as_ref());
                if known && scanner.kind()? == Kind::String {
                    scanner.skip()?;
                } else {
                    walk(scanner, channel, found)?;
                }
            }
        }
        Kind::Null | Kind::Bool | Kind::Number => {
            scanner.skip()?;
        }
    }
    Ok(())
}

/// The text of a literal: a slice of `body` where it has no escapes.
pub(super) fn content_of(scanner: &Scanner<'_>, body: &Bytes, literal: &Literal) -> Content {
    if literal.escaped {
        return Content::from_string(scanner.decode(literal).into_owned());
    }
    Content::slice(body.slice(literal.inner()))
}

/// A string, or `None` for a value of any other kind.
pub(super) fn optional_string(scanner: &mut Scanner<'_>) -> Result<Option<String>, Fault> {
    if scanner.kind()? == Kind::String {
        return Ok(Some(scanner.string()?.into_owned()));
    }
    scanner.skip().map(|_| None)
}
