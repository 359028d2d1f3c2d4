//! `chat.completion.chunk` payloads: read in one pass, edited in place, and the few made here.

use std::ops::Range;

use bytes::Bytes;

use crate::Dialect;
use crate::answer::AnswerError;
use crate::call::Channel;
use crate::chunk::{Chunk, ChunkHead, Delta, Head as AnyHead, Member, Slot};
use crate::cut::Cut;
use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};
use crate::splice::write_literal;
use crate::sse::Frame;

use super::answer::{DECLINED, content_of, optional_string};
use super::spoken::{Field, Heard};
use super::{error, usage};

/// Spans of the members that all chunks of a stream share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    id: Option<Range<usize>>,
    created: Option<Range<usize>>,
    model: Option<Range<usize>>,
    service_tier: Option<Range<usize>>,
    system_fingerprint: Option<Range<usize>>,
}

/// What the payloads of a stream begin with, up to their choices: servers repeat it byte for byte,
/// so it is read once and then compared. Holds no word of an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beginning {
    text: String,
    head: Head,
}

/// Longer beginnings are read each time.
const BEGINNING_BYTES_MAX: usize = 1024;

/// Reads one payload.
pub(crate) fn parse(data: &Bytes, beginning: &mut Beginning) -> Result<Chunk, AnswerError> {
    let text = std::str::from_utf8(data)
        .map_err(|error| AnswerError { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let mut chunk = Chunk::empty(Dialect::OpenAiChat, data);
    let mut head = Head::default();
    let mut count = 0;
    let mut outer_usage = None;
    // Whether nothing has been read but what a beginning is made of.
    let mut begins = true;
    if beginning.begins(text) {
        head.clone_from(&beginning.head);
        scanner.within_object(beginning.text.len());
        count = choices(&mut chunk, &mut scanner, data)?;
        begins = false;
    } else {
        scanner.open_object()?;
    }
    while let Some(key) = scanner.next_key()? {
        match key.as_ref() {
            "id" => head.id = Some(scanner.skip()?),
            "object" => {
                scanner.skip()?;
            }
            "created" => head.created = Some(scanner.skip()?),
            "model" => head.model = Some(scanner.skip()?),
            "service_tier" => head.service_tier = Some(scanner.skip()?),
            "system_fingerprint" => head.system_fingerprint = Some(scanner.skip()?),
            "choices" => {
                if begins {
                    beginning.keep(text, scanner.passed(), &head);
                }
                count = choices(&mut chunk, &mut scanner, data)?;
                begins = false;
            }
            other => {
                begins = false;
                match other {
                    "usage" => outer_usage = usage::read(&mut scanner)?,
                    "error" => chunk.error = error::read(&mut scanner)?,
                    _ => {
                        scanner.skip()?;
                    }
                }
            }
        }
    }
    scanner.end()?;
    chunk.usage = outer_usage.or(chunk.usage);
    chunk.usage_only = count == 0 && chunk.usage.is_some();
    chunk.head = AnyHead::Chat(head);
    Ok(chunk)
}

/// Reads the choices; returns how many there are.
fn choices(chunk: &mut Chunk, scanner: &mut Scanner<'_>, data: &Bytes) -> Result<u32, Fault> {
    let mut count = 0_u32;
    if scanner.null()? {
        return Ok(count);
    }
    scanner.open_array()?;
    while scanner.next_item()? {
        let mut heard = Heard::default();
        let mut choice = count;
        let mut finished = false;
        let mut logprobs = None;
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match key.as_ref() {
                "delta" => heard.read(scanner)?,
                "logprobs" if scanner.kind()? == Kind::Object => {
                    logprobs = Some(scanner.skip()?);
                }
                "index" if scanner.kind()? == Kind::Number => {
                    let number = scanner.whole_number()?.and_then(|n| u32::try_from(n).ok());
                    choice = number.unwrap_or(choice);
                }
                "finish_reason" => {
                    // Some servers write an empty one into every chunk.
                    let word = optional_string(scanner)?.unwrap_or_default();
                    finished = !word.is_empty();
                    chunk.declined |= word == DECLINED;
                }
                // Some servers put the usage of the stream into its last choice.
                "usage" => chunk.usage = usage::read(scanner)?.or(chunk.usage),
                _ => {
                    scanner.skip()?;
                }
            }
        }
        count = count.saturating_add(1);
        if finished {
            chunk.finished.push(choice);
        }
        chunk.logprobs.extend(logprobs.map(|span| (choice, span)));
        chunk.tool_started |= heard.tool_started;
        chunk.media |= heard.media;
        let spoken = heard.texts.iter().map(|text| text.field.channel());
        let silent = [
            (heard.tool_started, Channel::ToolArguments),
            (!heard.sealed.is_empty() || heard.encrypted, Channel::Reasoning),
        ];
        let silent = silent.into_iter().filter(|(is, _)| *is).map(|(_, channel)| channel);
        // Usually one of each in a chunk, and the first growth of a list makes room for four.
        if chunk.deltas.capacity() == 0 {
            chunk.deltas.reserve_exact(heard.texts.len());
        }
        chunk.grows.extend(spoken.chain(silent).map(|channel| (choice, channel)));
        chunk.sealed.extend(heard.sealed.iter().map(|index| (choice, *index)));
        chunk.deltas.extend(heard.texts.into_iter().map(|spoken| Delta {
            choice,
            channel: spoken.field.channel(),
            tool: spoken.tool,
            content: content_of(scanner, data, &spoken.literal),
            whole: false,
            member: Member::Chat(spoken.field),
            span: spoken.literal.span,
            edited: false,
        }));
    }
    Ok(count)
}

// === impl Beginning ===

impl Beginning {
    /// Whether a payload begins like this.
    fn begins(&self, payload: &str) -> bool {
        !self.text.is_empty() && payload.starts_with(&self.text)
    }

    /// Remembers what was read of a payload up to there.
    fn keep(&mut self, payload: &str, to: usize, head: &Head) {
        self.text.clear();
        if let Some(read) = payload.get(..to).filter(|read| read.len() <= BEGINNING_BYTES_MAX) {
            self.text.push_str(read);
            self.head.clone_from(head);
        }
    }
}

// === impl Head ===

impl Head {
    pub(crate) fn model(&self, data: &[u8]) -> Option<String> {
        string_at(data, self.model.as_ref())
    }

    pub(crate) fn service_tier(&self, data: &[u8]) -> Option<String> {
        string_at(data, self.service_tier.as_ref())
    }

    /// The shared members, written out as they stand in the payload.
    pub(crate) fn shared(&self, data: &[u8]) -> ChunkHead {
        let mut out = b"\"object\":\"chat.completion.chunk\"".to_vec();
        let members = [
            ("id", &self.id),
            ("created", &self.created),
            ("model", &self.model),
            ("service_tier", &self.service_tier),
            ("system_fingerprint", &self.system_fingerprint),
        ];
        for (name, span) in members {
            let Some(value) = span.as_ref().and_then(|span| data.get(span.clone())) else {
                continue;
            };
            for part in [",\"", name, "\":"] {
                out.extend_from_slice(part.as_bytes());
            }
            // A line break is white space here, and would end the data line of the event.
            out.extend(value.iter().map(|byte| match byte {
                b'\n' | b'\r' => b' ',
                other => *other,
            }));
        }
        ChunkHead { members: Bytes::from(out) }
    }
}

fn string_at(data: &[u8], span: Option<&Range<usize>>) -> Option<String> {
    let raw = std::str::from_utf8(data.get(span?.clone())?).ok()?;
    optional_string(&mut Scanner::new(raw, LoneSurrogate::Accept)).ok()?
}

/// An event with one delta and nothing else.
pub(crate) fn delta_frame(head: &ChunkHead, slot: Slot, field: Field, text: &str) -> Bytes {
    let (before, after) = field.frame(slot.tool);
    let choice = slot.choice;
    let mut rest = format!("\"choices\":[{{\"index\":{choice},\"delta\":{{{before}").into_bytes();
    write_literal(&mut rest, text);
    rest.extend_from_slice(after.as_bytes());
    rest.extend_from_slice(b"},\"finish_reason\":null}]");
    frame(head, &rest)
}

/// The end of a stream that stops here: every open choice is at its length, then the usage.
pub(crate) fn cut(cut: &Cut<'_>) -> Vec<Frame> {
    let members = cut.chat_members();
    let made = |rest: String| Frame::made(None, &[b"{", &*members, rest.as_bytes(), b"}"].concat());
    let ends = cut.ended().map(|choice| {
        made(format!(
            ",\"choices\":[{{\"index\":{choice},\"delta\":{{}},\"finish_reason\":\"length\"}}]"
        ))
    });
    let mut frames: Vec<Frame> = ends.collect();
    frames.push(made(format!(",\"choices\":[],\"usage\":{}", super::usage::write(cut.usage))));
    frames.push(Frame::made(None, b"[DONE]"));
    frames
}

fn frame(head: &ChunkHead, rest: &[u8]) -> Bytes {
    let parts: [&[u8]; 5] = [b"data: {", &head.members, b",", rest, b"}\n\n"];
    Bytes::from(parts.concat())
}
