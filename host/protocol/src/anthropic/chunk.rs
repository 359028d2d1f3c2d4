//! Events of a streamed message: read in one pass, edited in place. The name in the `event` line is
//! written whenever an event is: clients dispatch on it. Never keeps anything between events.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Dialect;
use crate::answer::AnswerError;
use crate::call::Channel;
use crate::chunk::{Chunk, Delta, Head, Member, Slot};
use crate::cut::Cut;
use crate::scan::{Fault, Kind, Literal, LoneSurrogate, Scanner};
use crate::splice::write_literal;
use crate::sse::Frame;

use super::answer::{DECLINED, content_of, member, optional_string, walk};
use super::{error, is_own_block, usage};

/// The member of an event that holds a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Text,
    Thinking,
    /// Pieces of JSON.
    Input,
    /// A text that comes whole: inside a citation, a result, an input; which one of its event.
    Whole(u32),
}

/// An event while it is read.
#[derive(Debug, Default)]
struct Reading {
    kind: String,
    index: u32,
    /// Type of the block that starts.
    block: String,
    /// Pieces of a slot's text.
    pieces: Vec<(Field, Literal)>,
    /// Whole texts.
    wholes: Vec<(Channel, Literal)>,
    /// Something was done that has no text: a signature.
    silent: bool,
    stopped: bool,
    /// Because the model declines.
    declined: bool,
    model: Option<String>,
    report: usage::Report,
}

/// Reads one payload.
pub(crate) fn parse(data: &Bytes) -> Result<Chunk, AnswerError> {
    let text = std::str::from_utf8(data)
        .map_err(|error| AnswerError { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let mut chunk = Chunk::empty(Dialect::AnthropicMessages, data);
    let mut reading = Reading::default();
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match (key.as_ref(), scanner.kind()?) {
            ("type", Kind::String) => reading.kind = scanner.string()?.into_owned(),
            ("index", Kind::Number) => reading.index = index(&mut scanner)?,
            ("message", Kind::Object) => reading.message(&mut scanner)?,
            ("content_block", Kind::Object) => reading.block(&mut scanner)?,
            ("delta", Kind::Object) => reading.delta(&mut scanner)?,
            ("usage", _) => reading.report = usage::read(&mut scanner)?,
            ("error", _) => chunk.error = error::read(&mut scanner)?,
            _ => {
                scanner.skip()?;
            }
        }
    }
    scanner.end()?;
    reading.fill(&mut chunk, &scanner);
    Ok(chunk)
}

fn index(scanner: &mut Scanner<'_>) -> Result<u32, Fault> {
    let number = scanner.whole_number()?.unwrap_or_default();
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

// === impl Reading ===

impl Reading {
    /// The message of `message_start`, empty but for what it says of the stream.
    fn message(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match (key.as_ref(), scanner.kind()?) {
                ("model", _) => self.model = optional_string(scanner)?,
                ("usage", _) => self.report = usage::read(scanner)?,
                ("content", _) => walk(scanner, Channel::Text, &mut self.wholes)?,
                _ => {
                    scanner.skip()?;
                }
            }
        }
        Ok(())
    }

    /// A block that starts, mostly empty.
    fn block(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match (key.as_ref(), scanner.kind()?) {
                ("type", Kind::String) => self.block = scanner.string()?.into_owned(),
                ("text", Kind::String) => self.piece(scanner, Field::Text)?,
                ("thinking", Kind::String) => self.piece(scanner, Field::Thinking)?,
                (key, _) => member(scanner, key, &mut self.wholes)?,
            }
        }
        Ok(())
    }

    fn delta(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match (key.as_ref(), scanner.kind()?) {
                ("text", Kind::String) => self.piece(scanner, Field::Text)?,
                ("thinking", Kind::String) => self.piece(scanner, Field::Thinking)?,
                ("partial_json", Kind::String) => self.piece(scanner, Field::Input)?,
                ("signature", Kind::String) => {
                    self.silent = true;
                    scanner.skip()?;
                }
                ("stop_reason", kind) => {
                    self.stopped = kind == Kind::String;
                    self.declined = optional_string(scanner)?.as_deref() == Some(DECLINED);
                }
                // A word of the caller's own request.
                ("stop_sequence", _) => {
                    scanner.skip()?;
                }
                (key, _) => member(scanner, key, &mut self.wholes)?,
            }
        }
        Ok(())
    }

    fn piece(&mut self, scanner: &mut Scanner<'_>, field: Field) -> Result<(), Fault> {
        let literal = scanner.literal()?;
        if !literal.is_empty() {
            self.pieces.push((field, literal));
        }
        Ok(())
    }

    fn fill(self, chunk: &mut Chunk, scanner: &Scanner<'_>) {
        let data = chunk.data.0.clone();
        let mut add = |channel, field, literal: Literal| {
            chunk.deltas.push(Delta {
                choice: 0,
                channel,
                tool: self.index,
                content: content_of(scanner, &data, &literal),
                whole: matches!(field, Field::Whole(_)),
                member: Member::Anthropic(field),
                span: literal.span,
                edited: false,
            });
        };
        for (field, literal) in self.pieces {
            add(field.channel(), field, literal);
        }
        for (number, (channel, literal)) in (0..).zip(self.wholes) {
            add(channel, Field::Whole(number), literal);
        }
        let starts = self.kind == "content_block_start";
        chunk.opened = starts.then_some(self.index);
        chunk.tool_started = starts && self.block == "tool_use";
        let sealed = self.block == "redacted_thinking" || is_own_block(&self.block);
        chunk.media = self.silent || (starts && sealed);
        // A signature seals what was thought before it.
        if self.kind == "content_block_stop" || self.silent {
            chunk.closed.push((0, self.index));
        }
        chunk.declined = self.declined;
        if self.stopped {
            chunk.finished.push(0);
        }
        chunk.done = self.kind == "message_stop";
        chunk.usage_update = (!self.report.update.is_empty()).then(|| Box::new(self.report.update));
        let service_tier = self.report.service_tier;
        chunk.head = Head::Said { model: self.model, service_tier, members: Bytes::new() };
        // Anything else could not stand in an `event` line.
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let named = !self.kind.is_empty() && self.kind.bytes().all(plain);
        chunk.event = named.then(|| self.kind.into_boxed_str());
    }
}

// === impl Field ===

impl Field {
    fn channel(self) -> Channel {
        match self {
            Self::Text | Self::Whole(_) => Channel::Text,
            Self::Thinking => Channel::Reasoning,
            Self::Input => Channel::ToolArguments,
        }
    }
}

/// An event with one delta and nothing else. A text that comes whole is never held back, so there
/// is none for it.
pub(crate) fn delta_frame(slot: Slot, field: Field, text: &str) -> Bytes {
    let (kind, name) = match field {
        Field::Text => ("text_delta", "text"),
        Field::Thinking => ("thinking_delta", "thinking"),
        Field::Input => ("input_json_delta", "partial_json"),
        Field::Whole(_) => return Bytes::new(),
    };
    let index = slot.tool;
    let mut data = format!(
        "{{\"type\":\"content_block_delta\",\"index\":{index},\
         \"delta\":{{\"type\":\"{kind}\",\"{name}\":"
    )
    .into_bytes();
    write_literal(&mut data, text);
    data.extend_from_slice(b"}}");
    Frame::made(Some("content_block_delta"), &data).raw
}

/// The end of a stream that stops here: the open block is closed, and the bound was reached.
pub(crate) fn cut(cut: &Cut<'_>) -> Vec<Frame> {
    let made = |name: &str, data: Value| Frame::made(Some(name), data.to_string().as_bytes());
    let stop = cut.block.map(|index| {
        made("content_block_stop", json!({ "type": "content_block_stop", "index": index }))
    });
    let last = json!({
        "type": "message_delta",
        "delta": { "stop_reason": "max_tokens", "stop_sequence": null },
        "usage": usage::write(cut.usage, None),
    });
    let end = json!({ "type": "message_stop" });
    stop.into_iter().chain([made("message_delta", last), made("message_stop", end)]).collect()
}
