//! Events of a Responses stream: read in one pass, edited in place, and the few made here. The
//! closing events repeat what was streamed; those texts are marked as whole.

use bytes::Bytes;

use crate::Dialect;
use crate::answer::AnswerError;
use crate::chunk::{Chunk, ChunkHead, Delta, Head, Member, Origin, Slot, StreamError};
use crate::content::Content;
use crate::openai_chat::answer::{content_of, optional_string};
use crate::openai_chat::error;
use crate::scan::{Fault, Kind, Literal, LoneSurrogate, Scanner};
use crate::splice::write_literal;

use super::answer::Response;
use super::output::Heard;

pub(crate) use super::output::Field;

/// Strings of an event that may be text, by its type.
const LOOSE: [&str; 6] = ["delta", "text", "refusal", "arguments", "input", "code"];

/// One event while it is read: its members come in any order.
#[derive(Debug, Default)]
struct Event {
    kind: String,
    /// Index of the output item.
    item: u32,
    /// Index of the part in the item, of whichever kind.
    part: u32,
    /// The item's id, as it stands in the payload.
    item_id: Option<String>,
    loose: Vec<(&'static str, Literal)>,
    heard: Option<Heard>,
    response: Option<Response>,
    error: Option<StreamError>,
    /// Members of an `error` event.
    message: Option<String>,
    code: Option<String>,
}

/// Reads one payload.
pub(crate) fn parse(data: &Bytes) -> Result<Chunk, AnswerError> {
    let text = std::str::from_utf8(data)
        .map_err(|error| AnswerError { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let mut chunk = Chunk::empty(Dialect::OpenAiResponses, data);
    let mut event = Event::default();
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        event.member(&key, &mut scanner, &mut chunk)?;
    }
    scanner.end()?;
    event.fill(&mut chunk, &scanner, data);
    Ok(chunk)
}

// === impl Event ===

impl Event {
    fn member(
        &mut self,
        key: &str,
        scanner: &mut Scanner<'_>,
        chunk: &mut Chunk,
    ) -> Result<(), Fault> {
        match (key, scanner.kind()?) {
            ("type", Kind::String) => self.kind = scanner.string()?.into_owned(),
            ("output_index", Kind::Number) => self.item = index(scanner)?,
            ("content_index" | "summary_index", Kind::Number) => self.part = index(scanner)?,
            ("item_id", Kind::String) => {
                let literal = scanner.literal()?;
                self.item_id = Some(scanner.raw(literal.span).to_owned());
            }
            ("logprobs", Kind::Array) => chunk.logprobs.push((0, scanner.skip()?)),
            ("sequence_number", Kind::Number) => chunk.sequence = Some(scanner.skip()?),
            ("item", Kind::Object) => {
                self.heard.get_or_insert_default().item(scanner)?;
            }
            // The part's number may come later; it is set when the event is filed.
            ("part", Kind::Object) => self.heard.get_or_insert_default().part(scanner, 0)?,
            ("response", Kind::Object) => self.response = Some(Response::read(scanner)?),
            ("error", _) => self.error = error::read(scanner)?,
            ("message", _) => self.message = optional_string(scanner)?,
            ("code", Kind::Number) => {
                let span = scanner.skip()?;
                self.code = Some(scanner.raw(span).to_owned());
            }
            ("partial_image_b64", Kind::String) => {
                chunk.media |= !scanner.literal()?.is_empty();
            }
            (_, Kind::String) => {
                let literal = scanner.literal()?;
                if let Some(name) = LOOSE.into_iter().find(|name| *name == key) {
                    self.loose.push((name, literal));
                }
            }
            _ => scanner.skip().map(|_| ())?,
        }
        Ok(())
    }

    /// Says what the members mean, now that the type is known.
    fn fill(mut self, chunk: &mut Chunk, scanner: &Scanner<'_>, data: &Bytes) {
        let kind = std::mem::take(&mut self.kind);
        self.own_texts(&kind, chunk, scanner, data);
        let added = kind == "response.output_item.added" || kind == "response.content_part.added";
        if let Some(heard) = self.heard.take() {
            chunk.tool_started |= heard.called;
            chunk.media |= heard.media;
            let part = kind.starts_with("response.content_part.")
                || kind.starts_with("response.reasoning_summary_part.");
            let renumber = part.then_some(self.part);
            file(chunk, scanner, data, Filed { heard, item: self.item, renumber, whole: !added });
        }
        let ended = matches!(kind.as_str(), "response.completed" | "response.incomplete");
        let failed = matches!(kind.as_str(), "response.failed" | "response.cancelled" | "error");
        chunk.done = ended || failed;
        if ended {
            chunk.finished.push(0);
        }
        let (mut model, mut service_tier) = (None, None);
        if let Some(response) = self.response.take() {
            chunk.error = response.failure();
            chunk.declined = response.is_declined();
            chunk.origin = response.id.map(|id| Origin {
                id,
                created_s: response.created_at.unwrap_or_default(),
                model: response.model.clone().unwrap_or_default(),
            });
            (model, service_tier) = (response.model, response.service_tier);
            chunk.usage = response.usage;
            for (position, heard) in response.items.into_iter().enumerate() {
                let item = u32::try_from(position).unwrap_or(u32::MAX);
                chunk.tool_started |= heard.called;
                chunk.media |= heard.media;
                file(chunk, scanner, data, Filed { heard, item, renumber: None, whole: true });
            }
        }
        if failed && chunk.error.is_none() {
            chunk.error = Some(self.failure(scanner));
        } else if self.error.is_some() && chunk.error.is_none() {
            chunk.error = self.error.take();
            chunk.done = true;
        }
        if kind.ends_with(".done") {
            chunk.closed.push((0, self.item));
        }
        let members = self.item_id.map(|id| format!("\"item_id\":{id}")).unwrap_or_default();
        chunk.head = Head::Said { model, service_tier, members: Bytes::from(members) };
        // The name goes into a line of its own, which nothing in it may end.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        chunk.event = (!kind.is_empty() && kind.bytes().all(plain)).then(|| kind.into());
    }

    /// Texts that are members of the event itself.
    fn own_texts(&self, kind: &str, chunk: &mut Chunk, scanner: &Scanner<'_>, data: &Bytes) {
        let wanted = match (Field::of_delta(kind, self.part), Field::of_done(kind, self.part)) {
            (Some(field), _) => Some(("delta", field, false)),
            (None, Some((name, field))) => Some((name, field, true)),
            (None, None) => None,
        };
        if kind == "response.audio.delta" {
            chunk.media |=
                self.loose.iter().any(|(name, text)| *name == "delta" && !text.is_empty());
        }
        let Some((wanted, field, whole)) = wanted else { return };
        for (name, literal) in &self.loose {
            if *name == wanted && !literal.is_empty() {
                let content = content_of(scanner, data, literal);
                chunk.deltas.push(delta(content, field, self.item, whole, literal));
            }
        }
    }

    /// The error of an event that is one.
    fn failure(&self, scanner: &Scanner<'_>) -> StreamError {
        let code = self.loose.iter().find(|(name, _)| *name == "code");
        let code = code.map(|(_, literal)| scanner.decode(literal).into_owned());
        let code = code.or_else(|| self.code.clone());
        self.error.clone().unwrap_or_else(|| StreamError {
            message: Content::from_string(self.message.clone().unwrap_or_default()),
            kind: Some(super::error::kind(code.as_deref().unwrap_or_default()).to_owned()),
            code,
        })
    }
}

/// Texts found in an item, and where it stands.
struct Filed {
    heard: Heard,
    item: u32,
    /// The number of the one part that was read.
    renumber: Option<u32>,
    whole: bool,
}

fn file(chunk: &mut Chunk, scanner: &Scanner<'_>, data: &Bytes, filed: Filed) {
    chunk.logprobs.extend(filed.heard.logprobs.into_iter().map(|span| (0, span)));
    for spoken in filed.heard.texts {
        let field = match (spoken.field, filed.renumber) {
            (Field::Text(_), Some(part)) => Field::Text(part),
            (Field::Refusal(_), Some(part)) => Field::Refusal(part),
            (Field::Summary(_), Some(part)) => Field::Summary(part),
            (Field::Thought(_), Some(part)) => Field::Thought(part),
            (field, _) => field,
        };
        let content = content_of(scanner, data, &spoken.literal);
        chunk.deltas.push(delta(content, field, filed.item, filed.whole, &spoken.literal));
    }
}

fn delta(content: Content, field: Field, item: u32, whole: bool, literal: &Literal) -> Delta {
    Delta {
        choice: 0,
        channel: field.channel(),
        tool: item,
        content,
        whole,
        member: Member::Responses(field),
        span: literal.span.clone(),
        edited: false,
    }
}

fn index(scanner: &mut Scanner<'_>) -> Result<u32, Fault> {
    let number = scanner.whole_number()?.and_then(|number| u32::try_from(number).ok());
    Ok(number.unwrap_or(0))
}

/// An event with one delta and nothing else. The head should be that of an event of the same item:
/// clients know the text by the item's id. Nothing for texts that no event adds to, which only ever
/// come whole.
pub(crate) fn delta_frame(head: &ChunkHead, slot: Slot, field: Field, text: &str) -> Bytes {
    let Some((event, part)) = field.delta_event() else { return Bytes::new() };
    let mut out = format!("event: {event}\ndata: {{\"type\":\"{event}\",").into_bytes();
    if !head.members.is_empty() {
        out.extend_from_slice(&head.members);
        out.push(b',');
    }
    out.extend_from_slice(format!("\"output_index\":{},", slot.tool).as_bytes());
    if let Some((name, part)) = part {
        out.extend_from_slice(format!("\"{name}\":{part},").as_bytes());
    }
    out.extend_from_slice(b"\"delta\":");
    write_literal(&mut out, text);
    if matches!(field, Field::Text(_)) {
        out.extend_from_slice(b",\"logprobs\":[]");
    }
    out.extend_from_slice(b"}\n\n");
    Bytes::from(out)
}
