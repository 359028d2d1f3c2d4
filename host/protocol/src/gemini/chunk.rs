//! Payloads of `streamGenerateContent`: read in one pass, edited in place, and the few made here.
//! Each is a whole answer in small. The stream has no mark at its end.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Dialect;
use crate::answer::AnswerError;
use crate::chunk::{Chunk, ChunkHead, Delta, Head, Member, Slot};
use crate::cut::Cut;
use crate::scan::{LoneSurrogate, Scanner};
use crate::splice::write_literal;
use crate::sse::Frame;

use super::spoken::{blocked, candidates, content_of, optional_string};
use super::{error, usage};

pub(crate) use super::spoken::Field;

/// Reads one payload.
pub(crate) fn parse(data: &Bytes) -> Result<Chunk, AnswerError> {
    let text = std::str::from_utf8(data)
        .map_err(|error| AnswerError { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let mut chunk = Chunk::empty(Dialect::Gemini, data);
    let (mut count, mut refused, mut searches) = (0_u32, false, 0_u64);
    let (mut model, mut service_tier, mut members) = (None, None, Vec::new());
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match key.as_ref() {
            "candidates" => candidates(&mut scanner, |scanner, candidate| {
                let choice = candidate.index.unwrap_or(count);
                count = count.saturating_add(1);
                chunk.closed.extend(candidate.closed().map(|slot| (choice, slot)));
                if candidate.finished {
                    chunk.finished.push(choice);
                }
                chunk.tool_started |= candidate.tool_started;
                chunk.media |= candidate.media;
                chunk.declined |= candidate.declined;
                searches = searches.saturating_add(candidate.searches);
                chunk.logprobs.extend(candidate.logprobs.clone().map(|span| (choice, span)));
                chunk.deltas.extend(candidate.texts.into_iter().map(|spoken| Delta {
                    choice,
                    channel: spoken.field.channel(),
                    tool: spoken.slot,
                    content: content_of(scanner, data, &spoken.literal),
                    whole: spoken.field == Field::Aside,
                    member: Member::Gemini(spoken.field),
                    span: spoken.literal.span,
                    edited: false,
                }));
            })?,
            "usageMetadata" => {
                let report = usage::read(&mut scanner)?;
                (chunk.usage, service_tier) = (report.usage, report.service_tier);
            }
            "error" => chunk.error = error::read(&mut scanner)?,
            "promptFeedback" => refused = blocked(&mut scanner)?,
            "modelVersion" => {
                model = optional_string(&mut scanner)?;
                member(&mut members, "modelVersion", model.as_deref());
            }
            "responseId" => {
                let id = optional_string(&mut scanner)?;
                member(&mut members, "responseId", id.as_deref());
            }
            _ => {
                scanner.skip()?;
            }
        }
    }
    scanner.end()?;
    if refused && count == 0 {
        chunk.finished.push(0);
        chunk.declined = true;
    }
    chunk.usage_update = usage::searched(&mut chunk.usage, searches).map(Box::new);
    chunk.usage_only = count == 0 && !refused && chunk.usage.is_some();
    chunk.head = Head::Said { model, service_tier, members: Bytes::from(members) };
    Ok(chunk)
}

/// Adds a member to those that all chunks of the stream share.
fn member(members: &mut Vec<u8>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        members.extend_from_slice(format!(",\"{name}\":").as_bytes());
        write_literal(members, value);
    }
}

/// An event with one text and nothing else. Texts inside calls and quotations are whole where they
/// stand, so nothing of them is ever left over for such an event.
pub(crate) fn delta_frame(head: &ChunkHead, slot: Slot, field: Field, text: &str) -> Bytes {
    let mut out = b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":".to_vec();
    write_literal(&mut out, text);
    if field == Field::Thought {
        out.extend_from_slice(b",\"thought\":true");
    }
    let tail = format!("}}],\"role\":\"model\"}},\"index\":{}}}]", slot.choice);
    out.extend_from_slice(tail.as_bytes());
    out.extend_from_slice(&head.members);
    out.extend_from_slice(b"}\n\n");
    Bytes::from(out)
}

/// The end of a stream that stops here: every open candidate is at its length, with the usage.
pub(crate) fn cut(cut: &Cut<'_>) -> Vec<Frame> {
    let candidate = |choice: u32| {
        let content = json!({ "parts": [{ "text": "" }], "role": "model" });
        json!({ "content": content, "finishReason": "MAX_TOKENS", "index": choice })
    };
    let candidates: Vec<Value> = cut.ended().map(candidate).collect();
    let usage = super::usage::write(cut.usage, None);
    let rest = json!({ "candidates": candidates, "usageMetadata": usage }).to_string();
    let members = cut.head.map_or(&[] as &[u8], |head| &head.members);
    let rest = rest.strip_suffix('}').unwrap_or(&rest);
    vec![Frame::made(None, &[rest.as_bytes(), members, b"}"].concat())]
}
