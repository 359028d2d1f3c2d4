//! A streamed chat completion, chunk by chunk. Texts, thinking and tool calls become blocks that
//! open with their first words, so that no empty one ever does. Never keeps a text.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::answer::AnswerError;
use crate::neutral::{Event, Json, Opening, Signature, Words};
use crate::sse::Frame;
use crate::{Chunk, Usage};

use super::super::tree::{self, Object};
use super::citation;
use super::ending::{self, Said};
use super::reply::{images, usage_of};
use super::thinking::{self, Detail};
use super::toolcall::Calls;

/// The state of one stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    started: bool,
    ended: bool,
    blocks: u32,
    choices: BTreeMap<u32, Choice>,
    service_tier: Option<String>,
}

/// The kind of the block that words go to, tool calls aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Voice {
    Text,
    Refusal,
    Thinking,
}

#[derive(Debug, Default)]
struct Choice {
    /// The block that is being written, tool calls aside.
    open: Option<(Voice, u32)>,
    calls: Calls,
    refused: bool,
    /// Citations that came before any text.
    cited: Vec<Json>,
    finished: bool,
}

/// What is needed to open a block and to tell of it.
struct Opener<'a> {
    choice: u32,
    blocks: &'a mut u32,
}

// === impl Stream ===

impl Stream {
    /// Takes one frame.
    pub(crate) fn push(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Result<(), AnswerError> {
        if self.ended {
            return Ok(());
        }
        if !frame.carries_data() {
            if self.started {
                out.push(Event::Ping);
            }
            return Ok(());
        }
        if Chunk::done_marker(&frame.data) {
            self.end(out);
            return Ok(());
        }
        let tree: tree::Object = tree::read(&frame.data)?;
        let named = frame.event.as_deref() == Some(b"error");
        let failed = named || tree.get("error").is_some_and(|error| !error.is_null());
        if let Some(error) = failed.then(|| ending::error(&frame.data, named)).flatten() {
            self.start(&tree, out);
            self.ended = true;
            out.push(Event::Error(error));
            return Ok(());
        }
        self.chunk(&tree, out);
        Ok(())
    }

    /// The body has ended, perhaps without the mark that some servers never send. An answer
    /// without an end of any kind stays without one: it was cut off.
    pub(crate) fn finish(&mut self, out: &mut Vec<Event>) {
        let complete = self.choices.values().all(|choice| choice.finished);
        if !self.ended && complete && !self.choices.is_empty() {
            self.ended = true;
            out.push(Event::End);
        }
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.start(&Object::new(), out);
        for (index, choice) in &mut self.choices {
            let mut opener = Opener { choice: *index, blocks: &mut self.blocks };
            choice.finish("stop", &mut opener, out);
        }
        self.ended = true;
        out.push(Event::End);
    }

    fn start(&mut self, tree: &Object, out: &mut Vec<Event>) {
        if self.started {
            return;
        }
        self.started = true;
        out.push(Event::Start {
            id: tree::string(tree, "id").map(str::to_owned),
            model: tree::string(tree, "model").map(str::to_owned),
            created_s: tree.get("created").and_then(Value::as_u64).filter(|time| *time > 0),
        });
    }

    fn chunk(&mut self, tree: &Object, out: &mut Vec<Event>) {
        let choices = tree::items(tree, "choices");
        // Azure sends the verdict on the prompt first, in a chunk without id, model and choices.
        if choices.is_empty() && tree::string(tree, "id").is_none() && !self.started {
            return;
        }
        self.start(tree, out);
        if let Some(tier) = tree::string(tree, "service_tier") {
            self.service_tier = Some(tier.to_owned());
        }
        let mut usage = usage_of(tree);
        for (position, item) in choices.iter().enumerate() {
            let Some(item) = item.as_object() else { continue };
            let index = tree::number(item, "index");
            let index = index.or_else(|| u32::try_from(position).ok()).unwrap_or(u32::MAX);
            let choice = self.choices.entry(index).or_default();
            let mut opener = Opener { choice: index, blocks: &mut self.blocks };
            choice.item(item, &mut opener, out);
            usage = usage.or_else(|| usage_of(item));
        }
        if let Some(usage) = usage {
            self.usage(usage, out);
        }
    }

    fn usage(&self, usage: Usage, out: &mut Vec<Event>) {
        out.push(Event::Usage { usage, service_tier: self.service_tier.clone() });
    }
}

// === impl Opener ===

impl Opener<'_> {
    fn event(&mut self, opening: Opening) -> Event {
        let block = *self.blocks;
        *self.blocks = block.saturating_add(1);
        Event::Open { block, choice: self.choice, opening }
    }

    /// A block that is whole at once.
    fn whole(&mut self, opening: Opening, out: &mut Vec<Event>) {
        let event = self.event(opening);
        let close = if let Event::Open { block, .. } = event { Some(block) } else { None };
        out.push(event);
        out.extend(close.map(|block| Event::Close { block }));
    }
}

// === impl Choice ===

impl Choice {
    fn item(&mut self, item: &Object, opener: &mut Opener<'_>, out: &mut Vec<Event>) {
        if self.finished {
            return;
        }
        if let Some(delta) = tree::object(item, "delta").or_else(|| tree::object(item, "message")) {
            self.delta(delta, opener, out);
        }
        if let Some(value) = item.get("logprobs").filter(|value| !value.is_null()) {
            let value = Json::from(value.clone());
            out.push(Event::Logprobs { choice: opener.choice, value });
        }
        if let Some(word) = tree::string(item, "finish_reason") {
            self.finish(word, opener, out);
        }
    }

    fn delta(&mut self, delta: &Object, opener: &mut Opener<'_>, out: &mut Vec<Event>) {
        self.thinking(delta, opener, out);
        match delta.get("content") {
            Some(Value::String(text)) => self.say(Voice::Text, text, opener, out),
            Some(Value::Array(parts)) => {
                for part in parts {
                    self.part(part, opener, out);
                }
            }
            _ => {}
        }
        if let Some(refusal) = tree::string(delta, "refusal") {
            self.say(Voice::Refusal, refusal, opener, out);
        }
        if let Some(audio) = tree::object(delta, "audio") {
            let transcript = tree::string(audio, "transcript").unwrap_or_default();
            self.say(Voice::Text, transcript, opener, out);
        }
        self.cited.extend(citation::read(delta));
        self.cite(out);
        for (media_type, base64) in images(delta) {
            self.hush(out);
            opener.whole(Opening::Media { media_type, base64 }, out);
        }
        let calls = !tree::items(delta, "tool_calls").is_empty();
        if calls || delta.get("function_call").is_some_and(Value::is_object) {
            self.hush(out);
            self.calls.push(delta, &mut |opening| opener.event(opening), out);
        }
    }

    fn part(&mut self, part: &Value, opener: &mut Opener<'_>, out: &mut Vec<Event>) {
        let Some(part) = part.as_object() else {
            return self.say(Voice::Text, part.as_str().unwrap_or_default(), opener, out);
        };
        match tree::string(part, "type") {
            Some("thinking") => {
                self.say(Voice::Thinking, &thinking::nested_text(part), opener, out);
            }
            _ => {
                let text = tree::string(part, "text").unwrap_or_default();
                self.say(Voice::Text, text, opener, out);
            }
        }
    }

    /// Thinking, which may stand in two members of one delta: what has its signature counts.
    fn thinking(&mut self, delta: &Object, opener: &mut Opener<'_>, out: &mut Vec<Event>) {
        let mut bare = thinking::bare(delta);
        for detail in thinking::details(delta) {
            match detail {
                Detail::Plain { text, signature } => {
                    let taken = bare.take().unwrap_or_default();
                    let text = if text.is_empty() { taken } else { text.as_str() };
                    self.say(Voice::Thinking, text, opener, out);
                    if let Some(signature) = signature {
                        self.sign(signature, opener, out);
                    }
                }
                Detail::Sealed { id, signature } => {
                    let calls = &mut self.calls;
                    let rest = match id {
                        Some(id) => calls.sign(&id, signature, out),
                        None => Some(signature),
                    };
                    if let Some(signature) = rest {
                        self.hush(out);
                        opener.whole(Opening::SealedThinking(signature), out);
                    }
                }
            }
        }
        self.say(Voice::Thinking, bare.unwrap_or_default(), opener, out);
    }

    /// A signature ends its block of thinking. One that comes alone gets a block of its own.
    fn sign(&mut self, signature: Signature, opener: &mut Opener<'_>, out: &mut Vec<Event>) {
        let block = self.voice(Voice::Thinking, opener, out);
        out.push(Event::Signed { block, signature });
        self.hush(out);
    }

    fn say(&mut self, voice: Voice, text: &str, opener: &mut Opener<'_>, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        self.refused |= voice == Voice::Refusal;
        let block = self.voice(voice, opener, out);
        out.push(Event::Delta { block, text: Words::from(text) });
        self.cite(out);
    }

    /// The block for this kind of words, opened if another is being written.
    fn voice(&mut self, voice: Voice, opener: &mut Opener<'_>, out: &mut Vec<Event>) -> u32 {
        if let Some((_, block)) = self.open.filter(|(open, _)| *open == voice) {
            return block;
        }
        self.hush(out);
        let block = *opener.blocks;
        out.push(opener.event(match voice {
            Voice::Text => Opening::Text,
            Voice::Refusal => Opening::Refusal,
            Voice::Thinking => Opening::Thinking,
        }));
        self.open = Some((voice, block));
        block
    }

    /// Citations belong to the text that is being written.
    fn cite(&mut self, out: &mut Vec<Event>) {
        if let Some((Voice::Text, block)) = self.open {
            let cited = self.cited.drain(..);
            out.extend(cited.map(|citation| Event::Cited { block, citation }));
        }
    }

    /// Closes the block that is being written, tool calls aside.
    fn hush(&mut self, out: &mut Vec<Event>) {
        if let Some((_, block)) = self.open.take() {
            out.push(Event::Close { block });
        }
    }

    fn finish(&mut self, word: &str, opener: &mut Opener<'_>, out: &mut Vec<Event>) {
        if self.finished {
            return;
        }
        self.finished = true;
        self.hush(out);
        self.calls.close(&mut |opening| opener.event(opening), out);
        let said = Said { called: self.calls.any(), refused: self.refused };
        let reason = ending::finish(word, said);
        out.push(Event::Finish { choice: opener.choice, reason, stop_sequence: None });
    }
}
