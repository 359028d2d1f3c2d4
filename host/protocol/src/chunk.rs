//! One event of a streamed answer: a neutral view over its payload, which passes on untouched
//! unless a delta is replaced. Also the few frames that the host makes itself, in the likeness of
//! the stream they join. Never keeps anything between chunks.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::answer::AnswerError;
use crate::call::Channel;
use crate::content::{Content, Wire};
use crate::openai_chat::spoken::Field;
use crate::splice::{self, Edit};
use crate::{Dialect, Usage, openai_chat};

/// An error that a provider sent in a body or a stream.
#[derive(Debug, Clone)]
pub struct StreamError {
    /// The provider's words, which may quote the prompt: content, not for logs.
    pub message: Content,
    /// Its `type`, such as `server_error`.
    pub kind: Option<String>,
    /// Its `code`; a number is given in digits.
    pub code: Option<String>,
}

/// The place in a streamed answer that a delta adds to. Texts of equal slots, in order, are one
/// text; texts of different slots never are, even where choice, channel and tool agree (some
/// providers send the same thinking in two members).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Index of the choice.
    pub choice: u32,
    /// What kind of text.
    pub channel: Channel,
    /// Index of the tool call; 0 where there is none.
    pub tool: u32,
    pub(crate) field: Field,
}

/// A piece of text.
#[derive(Debug, Clone)]
pub struct Delta {
    /// Index of the choice.
    pub choice: u32,
    /// `Text`, `Reasoning` or `ToolArguments`.
    pub channel: Channel,
    /// Index of the tool call; 0 where there is none.
    pub tool: u32,
    /// The decoded text, as replaced last; for tool arguments a fragment of JSON.
    pub content: Content,
    pub(crate) field: Field,
    pub(crate) span: Range<usize>,
    pub(crate) edited: bool,
}

/// One parsed payload of a stream.
#[derive(Clone)]
pub struct Chunk {
    /// The dialect it is in.
    pub dialect: Dialect,
    /// Texts, without empty ones.
    pub deltas: Vec<Delta>,
    /// What the call used so far, if it says so: replaces what an earlier chunk said.
    pub usage: Option<Usage>,
    /// Choices that end here.
    pub finished: Vec<u32>,
    /// An error in place of an answer.
    pub error: Option<StreamError>,
    /// Usage and no choices: the chunk to hold back from callers that did not ask for usage.
    pub usage_only: bool,
    /// A tool call begins here.
    pub tool_started: bool,
    pub(crate) media: bool,
    /// Where the probabilities of tokens stand, with the index of their choice.
    pub(crate) logprobs: Vec<(u32, Range<usize>)>,
    /// Choices whose probabilities are not to go on.
    pub(crate) stale: Vec<u32>,
    pub(crate) data: Wire,
    pub(crate) head: openai_chat::chunk::Head,
}

/// What all chunks of one stream share: id, time, model. Makes frames that belong to the stream.
#[derive(Clone)]
pub struct ChunkHead {
    /// The members as JSON, without the braces.
    pub(crate) members: Bytes,
}

// === impl Delta ===

impl Delta {
    /// The place this text belongs to; the key for anything held between chunks.
    pub fn slot(&self) -> Slot {
        let Self { choice, channel, tool, field, .. } = *self;
        Slot { choice, channel, tool, field }
    }
}

// === impl Chunk ===

impl Chunk {
    /// Reads and validates one payload, as [`crate::sse::Frame::data`] holds it.
    ///
    /// # Errors
    /// [`AnswerError`] when it is not UTF-8, not JSON, nested deeper than 128 or of another shape.
    pub fn parse(dialect: Dialect, data: &Bytes) -> Result<Self, AnswerError> {
        match dialect {
            Dialect::OpenAiChat => openai_chat::chunk::parse(data),
        }
    }

    /// Whether a payload is the mark that ends a stream.
    pub fn done_marker(data: &[u8]) -> bool {
        data.trim_ascii() == b"[DONE]"
    }

    /// The model that the provider says it uses.
    pub fn model(&self) -> Option<String> {
        self.head.model(&self.data.0)
    }

    /// The service tier that is served, which may change the price.
    pub fn service_tier(&self) -> Option<String> {
        self.head.service_tier(&self.data.0)
    }

    /// Replaces a text, by its index in `deltas`. An index out of range changes nothing.
    pub fn replace_delta(&mut self, delta: usize, new: String) {
        if let Some(entry) = self.deltas.get_mut(delta) {
            entry.content = Content::from_string(new);
            entry.edited = true;
        }
    }

    /// The choices of which a text was replaced.
    pub fn edited_choices(&self) -> impl Iterator<Item = u32> {
        self.deltas.iter().filter(|delta| delta.edited).map(|delta| delta.choice)
    }

    /// Writes `null` in place of a choice's `logprobs`, which repeat its text as it was. Returns
    /// whether it has any.
    pub fn drop_logprobs(&mut self, choice: u32) -> bool {
        let has = self.logprobs.iter().any(|(of, _)| *of == choice);
        if has && !self.stale.contains(&choice) {
            self.stale.push(choice);
        }
        has
    }

    /// The chunk as an event: the payload as it came but for replaced texts.
    pub fn encode(&self) -> Bytes {
        let edited = self.deltas.iter().filter(|delta| delta.edited);
        let mut edits: Vec<Edit> =
            edited.map(|delta| Edit::literal(delta.span.clone(), delta.content.expose())).collect();
        let stale = self.logprobs.iter().filter(|(choice, _)| self.stale.contains(choice));
        let dropped: Vec<&Range<usize>> = stale.map(|(_, span)| span).collect();
        edits.extend(dropped.iter().map(|span| Edit::raw((*span).clone(), "null".to_owned())));
        // A line break in JSON is white space, but in an event it would end the data line.
        let breaks = memchr::memchr2_iter(b'\n', b'\r', &self.data.0)
            .filter(|at| !dropped.iter().any(|span| span.contains(at)));
        edits.extend(breaks.map(|at| Edit::raw(at..at + 1, " ".to_owned())));
        splice::apply(&self.data.0, edits, b"data: ", b"\n\n")
    }

    /// Whether the model said or did anything here: text, a tool call's beginning, audio, an image,
    /// or the end of a choice. After such a chunk nothing may be replayed elsewhere.
    pub fn has_content(&self) -> bool {
        !self.deltas.is_empty() || self.tool_started || self.media || !self.finished.is_empty()
    }

    /// Whether the chunk only opens or keeps up the stream: a role, an empty delta, nothing else.
    pub fn is_lifecycle(&self) -> bool {
        !self.has_content() && self.usage.is_none() && self.error.is_none()
    }

    /// What the chunks of this stream share.
    pub fn head(&self) -> ChunkHead {
        self.head.shared(&self.data.0)
    }

    /// An event of the same stream that carries only `text`, for a channel in general: the member
    /// is the one this chunk uses for it, else the usual one. Prefer [`ChunkHead::delta_frame`].
    pub fn extra_delta(&self, choice: u32, channel: Channel, tool: u32, text: &str) -> Bytes {
        let same =
            |delta: &&Delta| (delta.choice, delta.channel, delta.tool) == (choice, channel, tool);
        let seen = self.deltas.iter().find(same);
        let field = seen.map_or_else(|| Field::usual(channel), |delta| delta.field);
        self.head().delta_frame(Slot { choice, channel, tool, field }, text)
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("data", &self.data)
            .field("deltas", &self.deltas)
            .field("usage", &self.usage)
            .field("finished", &self.finished)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

// === impl ChunkHead ===

impl ChunkHead {
    /// A head for a stream of which nothing has been seen.
    pub fn new(id: &str, created_s: u64, model: &str) -> Self {
        openai_chat::chunk::head(id, created_s, model)
    }

    /// An event that carries only `text`, in the member that the slot's other deltas use: to flush
    /// a tail that was held back.
    pub fn delta_frame(&self, slot: Slot, text: &str) -> Bytes {
        openai_chat::chunk::delta_frame(self, slot, text)
    }
}

impl fmt::Debug for ChunkHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkHead({} bytes)", self.members.len())
    }
}

/// An event that ends the given choices as cut short by a bound on length.
pub fn length_stop_frame(head: &ChunkHead, choices: &[u32]) -> Bytes {
    openai_chat::chunk::length_stop_frame(head, choices)
}

/// The usage event that ends a stream for callers that asked for it: no choices.
pub fn usage_frame(head: &ChunkHead, usage: &Usage) -> Bytes {
    openai_chat::chunk::usage_frame(head, usage)
}
