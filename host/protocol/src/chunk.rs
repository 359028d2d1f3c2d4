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
use crate::{Dialect, Usage, UsageUpdate, anthropic, gemini, openai_chat, openai_responses};

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
    pub(crate) member: Member,
}

/// The member of a payload that holds a delta's text, by dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Member {
    Chat(Field),
    Responses(openai_responses::chunk::Field),
    Anthropic(anthropic::chunk::Field),
    Gemini(gemini::chunk::Field),
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
    /// The text is not a piece of its slot's but all of it, said once more, as the closing events
    /// of the Responses dialect do.
    pub whole: bool,
    pub(crate) member: Member,
    pub(crate) span: Range<usize>,
    pub(crate) edited: bool,
}

/// What a stream's answer says of itself, where its last event has to say it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The answer's id.
    pub id: String,
    /// Seconds since 1970.
    pub created_s: u64,
    /// The model, as the answer names it.
    pub model: String,
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
    /// Counts that this event states, to be laid over what earlier ones said: in dialects whose
    /// events do not each repeat the whole report.
    pub usage_update: Option<Box<UsageUpdate>>,
    /// Choices that end here.
    pub finished: Vec<u32>,
    /// Slots that end here though their choice goes on: choice and `Slot::tool`.
    pub closed: Vec<(u32, u32)>,
    /// OpenAI chat: what grows here, choice by choice. Its parts have no end of their own: one
    /// ends where another follows.
    pub(crate) grows: Vec<(u32, Channel)>,
    /// OpenAI chat: choice and index of details of thinking that a signature seals here.
    pub(crate) sealed: Vec<(u32, u32)>,
    /// The block that opens here, in dialects that number them one after the other.
    pub opened: Option<u32>,
    /// The stream is complete with this event.
    pub done: bool,
    /// An error in place of an answer.
    pub error: Option<StreamError>,
    /// Usage and no choices: the chunk to hold back from callers that did not ask for usage.
    pub usage_only: bool,
    /// A tool call begins here.
    pub tool_started: bool,
    /// A choice ends because the model, or a filter, declines.
    pub declined: bool,
    /// OpenAI responses: the answer that the event is of.
    pub origin: Option<Origin>,
    pub(crate) media: bool,
    /// Where the probabilities of tokens stand, with the index of their choice.
    pub(crate) logprobs: Vec<(u32, Range<usize>)>,
    /// Choices whose probabilities are not to go on.
    pub(crate) stale: Vec<u32>,
    pub(crate) data: Wire,
    /// The name in the event's `event` line; the same word that the payload has as its `type`.
    pub(crate) event: Option<Box<str>>,
    pub(crate) head: Head,
    /// Where the payload's `sequence_number` stands, in dialects that count their events.
    pub(crate) sequence: Option<Range<usize>>,
    /// By how much that number is to be raised.
    pub(crate) shift: u64,
}

/// What a payload says of its stream.
#[derive(Debug, Clone)]
pub(crate) enum Head {
    /// Read only when asked for: every chunk of this dialect repeats it.
    Chat(openai_chat::chunk::Head),
    Said {
        model: Option<String>,
        service_tier: Option<String>,
        members: Bytes,
    },
}

/// What the payloads of one stream were seen to begin with, so that it need not be read in each of
/// them. Knows nothing of what they say.
#[derive(Debug, Default)]
pub struct Beginning {
    chat: openai_chat::chunk::Beginning,
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
        let Self { choice, channel, tool, member, .. } = *self;
        Slot { choice, channel, tool, member }
    }
}

// === impl Chunk ===

impl Chunk {
    /// Reads and validates one payload, as [`crate::sse::Frame::data`] holds it.
    ///
    /// # Errors
    /// [`AnswerError`] when it is not UTF-8, not JSON, nested deeper than 128 or of another shape.
    pub fn parse(dialect: Dialect, data: &Bytes) -> Result<Self, AnswerError> {
        Self::parse_next(dialect, data, &mut Beginning::default())
    }

    /// The same for one payload after the other of a stream.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_next(
        dialect: Dialect,
        data: &Bytes,
        beginning: &mut Beginning,
    ) -> Result<Self, AnswerError> {
        match dialect {
            Dialect::OpenAiChat => openai_chat::chunk::parse(data, &mut beginning.chat),
            Dialect::OpenAiResponses => openai_responses::chunk::parse(data),
            Dialect::AnthropicMessages => anthropic::chunk::parse(data),
            Dialect::Gemini => gemini::chunk::parse(data),
            Dialect::BedrockConverse => Err(AnswerError::TRANSLATED_ONLY),
        }
    }

    /// A chunk of which nothing has been read yet.
    pub(crate) fn empty(dialect: Dialect, data: &Bytes) -> Self {
        Self {
            dialect,
            deltas: Vec::new(),
            usage: None,
            usage_update: None,
            finished: Vec::new(),
            closed: Vec::new(),
            grows: Vec::new(),
            sealed: Vec::new(),
            opened: None,
            done: false,
            error: None,
            usage_only: false,
            tool_started: false,
            declined: false,
            origin: None,
            media: false,
            logprobs: Vec::new(),
            stale: Vec::new(),
            data: Wire(data.clone()),
            event: None,
            head: Head::Said { model: None, service_tier: None, members: Bytes::new() },
            sequence: None,
            shift: 0,
        }
    }

    /// Whether a payload is the mark that ends a stream of OpenAI chat.
    pub fn done_marker(data: &[u8]) -> bool {
        data.trim_ascii() == b"[DONE]"
    }

    /// The model that the provider says it uses.
    pub fn model(&self) -> Option<String> {
        match &self.head {
            Head::Chat(head) => head.model(&self.data.0),
            Head::Said { model, .. } => model.clone(),
        }
    }

    /// The service tier that is served, which may change the price.
    pub fn service_tier(&self) -> Option<String> {
        match &self.head {
            Head::Chat(head) => head.service_tier(&self.data.0),
            Head::Said { service_tier, .. } => service_tier.clone(),
        }
    }

    /// Replaces a text, by its index in `deltas`. An index out of range changes nothing.
    pub fn replace_delta(&mut self, delta: usize, new: String) {
        if let Some(entry) = self.deltas.get_mut(delta) {
            entry.content = Content::from_string(new);
            entry.edited = true;
        }
    }

    /// Whether nothing follows in this slot.
    pub fn closes(&self, slot: &Slot) -> bool {
        self.finished.contains(&slot.choice)
            || self.closed.contains(&(slot.choice, slot.tool))
            || self.follows(slot)
    }

    /// Whether another part of the choice has come after this one. Arguments of tools may come side
    /// by side, and readers put them together by their index.
    fn follows(&self, slot: &Slot) -> bool {
        if slot.member == Member::Chat(Field::ReasoningDetail)
            && self.sealed.contains(&(slot.choice, slot.tool))
        {
            return true;
        }
        let other = self.grows.iter().any(|(choice, _)| *choice == slot.choice);
        slot.channel != Channel::ToolArguments
            && other
            && !self.grows.contains(&(slot.choice, slot.channel))
    }

    /// Makes room for events that were put in front of this one: its number in the stream rises.
    /// Returns whether the chunk has a number at all, and so must be encoded anew.
    pub fn shift_sequence(&mut self, by: u64) -> bool {
        self.shift = by;
        by > 0 && self.sequence.is_some()
    }

    /// The choices of which a text was replaced.
    pub fn edited_choices(&self) -> impl Iterator<Item = u32> {
        self.deltas.iter().filter(|delta| delta.edited).map(|delta| delta.choice)
    }

    /// Leaves out a choice's probabilities, which repeat its text as it was. Returns whether it has
    /// any.
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
        let none = |span: &&Range<usize>| Edit::raw((*span).clone(), no_logprobs(self.dialect));
        edits.extend(dropped.iter().map(none));
        // A line break in JSON is white space, but in an event it would end the data line.
        let breaks = memchr::memchr2_iter(b'\n', b'\r', &self.data.0)
            .filter(|at| !dropped.iter().any(|span| span.contains(at)));
        edits.extend(breaks.map(|at| Edit::raw(at..at + 1, " ".to_owned())));
        edits.extend(self.sequence_edit());
        match &self.event {
            None => splice::apply(&self.data.0, edits, b"data: ", b"\n\n"),
            Some(event) => {
                let before = format!("event: {event}\ndata: ");
                splice::apply(&self.data.0, edits, before.as_bytes(), b"\n\n")
            }
        }
    }

    fn sequence_edit(&self) -> Option<Edit> {
        let span = self.sequence.clone().filter(|_| self.shift > 0)?;
        Some(Edit::raw(span, self.sequence_number()?.to_string()))
    }

    /// The number of this event in its stream, as raised.
    pub fn sequence_number(&self) -> Option<u64> {
        let digits = self.data.0.get(self.sequence.clone()?)?;
        let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(number.saturating_add(self.shift))
    }

    fn numbered(&self, members: &Bytes) -> Bytes {
        let Some(number) = self.sequence_number() else { return members.clone() };
        let comma: &[u8] = if members.is_empty() { b"" } else { b"," };
        let number = format!("\"sequence_number\":{number}");
        Bytes::from([&members[..], comma, number.as_bytes()].concat())
    }

    /// Whether the model said or did anything here: text, a tool call's beginning, audio, an image,
    /// or the end of a choice. After such a chunk nothing may be replayed elsewhere.
    pub fn has_content(&self) -> bool {
        self.says_anything() || !self.finished.is_empty()
    }

    /// Whether the model said or did anything here, whether or not a choice ends.
    pub fn says_anything(&self) -> bool {
        !self.deltas.is_empty() || self.tool_started || self.media
    }

    /// Whether something of the answer itself comes here: anything but what the model thinks.
    pub fn answers(&self) -> bool {
        let said = |delta: &Delta| delta.channel != Channel::Reasoning;
        self.tool_started || self.media || self.deltas.iter().any(said)
    }

    /// Whether a sound, a picture or something else that is no text comes here.
    pub fn has_media(&self) -> bool {
        self.media
    }

    /// Whether an answer goes on here. What is said once more, or beside it, is no more of it.
    pub fn goes_on(&self) -> bool {
        self.tool_started || self.media || self.deltas.iter().any(|delta| !delta.whole)
    }

    /// Whether the chunk only opens or keeps up the stream: a role, an empty delta, nothing else.
    pub fn is_lifecycle(&self) -> bool {
        !self.has_content() && self.usage.is_none() && self.error.is_none()
    }

    /// Whether nothing is left of it: its text is held back or was taken out, and it says nothing
    /// else. Only in dialects whose events neither open a choice nor are counted.
    pub fn is_hollow(&self) -> bool {
        let silent = self.usage.is_none()
            && self.usage_update.is_none()
            && self.error.is_none()
            && self.finished.is_empty()
            && self.closed.is_empty();
        matches!(self.dialect, Dialect::AnthropicMessages | Dialect::Gemini)
            && silent
            && !(self.done || self.tool_started || self.media || self.deltas.is_empty())
            && self.deltas.iter().all(|delta| delta.content.is_empty())
    }

    /// What the stream has used after this chunk, when it had used `before`.
    pub fn usage_after(&self, before: Option<Usage>) -> Option<Usage> {
        let mut usage = self.usage.or(before);
        // Searches are counted from what stands beside the report, which may come but once.
        if let (Some(usage), Some(before)) = (&mut usage, before) {
            usage.searches = usage.searches.max(before.searches);
            usage.hosted_calls = usage.hosted_calls.max(before.hosted_calls);
        }
        match &self.usage_update {
            None => usage,
            Some(update) => {
                let mut usage = usage.unwrap_or_default();
                update.apply(&mut usage);
                Some(usage)
            }
        }
    }

    /// What the chunks of this stream share; where they are counted, also this one's number, which
    /// an event put in front of it takes over.
    pub fn head(&self) -> ChunkHead {
        match &self.head {
            Head::Chat(head) => head.shared(&self.data.0),
            Head::Said { members, .. } => ChunkHead { members: self.numbered(members) },
        }
    }
}

/// What stands for probabilities that are not told. Where they are a list, clients of Responses
/// look into it without asking.
pub(crate) fn no_logprobs(dialect: Dialect) -> String {
    if dialect == Dialect::OpenAiResponses { "[]".to_owned() } else { "null".to_owned() }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("data", &self.data)
            .field("deltas", &self.deltas)
            .field("usage", &self.usage)
            .field("usage_update", &self.usage_update)
            .field("finished", &self.finished)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

// === impl ChunkHead ===

impl ChunkHead {
    /// An event that carries only `text`, in the member that the slot's other deltas use: to flush
    /// a tail that was held back.
    pub fn delta_frame(&self, slot: Slot, text: &str) -> Bytes {
        match slot.member {
            Member::Chat(field) => openai_chat::chunk::delta_frame(self, slot, field, text),
            Member::Responses(field) => {
                openai_responses::chunk::delta_frame(self, slot, field, text)
            }
            Member::Anthropic(field) => anthropic::chunk::delta_frame(slot, field, text),
            Member::Gemini(field) => gemini::chunk::delta_frame(self, slot, field, text),
        }
    }
}

impl fmt::Debug for ChunkHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkHead({} bytes)", self.members.len())
    }
}
