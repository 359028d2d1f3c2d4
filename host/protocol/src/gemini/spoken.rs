//! What a model says: a candidate of a whole answer and one of a chunk have the same members, read
//! here once for both. Never sees what is around them.

use std::ops::Range;

use bytes::Bytes;

use crate::call::Channel;
use crate::content::Content;
use crate::neutral::Finish;
use crate::scan::{Fault, Kind, Literal, Scanner};

/// Slots of texts that grow from chunk to chunk.
const TEXT: u32 = 0;
const THOUGHT: u32 = 1;
/// Slots from here on are for texts that are whole where they stand.
const WHOLE: u32 = 2;

/// The member that holds a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Text,
    Thought,
    /// A string somewhere in a function's `args`, or the code of a tool that Google runs.
    Argument,
    /// What code that Google ran has printed.
    Outcome,
    /// Sources, quotations and remarks beside the content; quotations repeat the answer.
    Aside,
}

/// One text found.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) field: Field,
    pub(crate) slot: u32,
    pub(crate) literal: Literal,
}

/// Everything found in one candidate.
#[derive(Debug, Default)]
pub(crate) struct Candidate {
    pub(crate) index: Option<u32>,
    pub(crate) texts: Vec<Spoken>,
    pub(crate) tool_started: bool,
    pub(crate) media: bool,
    pub(crate) finished: bool,
    pub(crate) declined: bool,
    /// Where the probabilities of tokens stand.
    pub(crate) logprobs: Option<Range<usize>>,
    /// Searches that Google made for it.
    pub(crate) searches: u64,
    /// The slot that the last part belongs to: the others have ended until text of theirs comes.
    last: Option<u32>,
    next: u32,
}

// === impl Field ===

impl Field {
    pub(crate) fn channel(self) -> Channel {
        match self {
            Self::Text | Self::Outcome | Self::Aside => Channel::Text,
            Self::Thought => Channel::Reasoning,
            Self::Argument => Channel::ToolArguments,
        }
    }
}

// === impl Candidate ===

impl Candidate {
    /// Reads one candidate.
    pub(crate) fn read(scanner: &mut Scanner<'_>) -> Result<Self, Fault> {
        let mut candidate = Self { next: WHOLE, ..Self::default() };
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match (key.as_ref(), scanner.kind()?) {
                ("index", Kind::Number) => {
                    let number = scanner.whole_number()?;
                    candidate.index = number.and_then(|number| u32::try_from(number).ok());
                }
                ("content", Kind::Object) => candidate.content(scanner)?,
                ("logprobsResult", Kind::Object) => candidate.logprobs = Some(scanner.skip()?),
                ("finishReason", Kind::String) => {
                    let word = scanner.string()?;
                    let finish = super::finish::read(&word);
                    candidate.finished = finish.is_some();
                    candidate.declined = finish == Some(Finish::ContentFilter);
                }
                ("groundingMetadata", Kind::Object) => candidate.grounding(scanner)?,
                (
                    "finishMessage"
                    | "citationMetadata"
                    | "groundingAttributions"
                    | "urlContextMetadata",
                    _,
                ) => candidate.walk(scanner, Field::Aside)?,
                _ => {
                    scanner.skip()?;
                }
            }
        }
        Ok(candidate)
    }

    /// Slots in which nothing follows at once: those of whole texts, and the text or the thought
    /// that something else has come after.
    pub(crate) fn closed(&self) -> impl Iterator<Item = u32> {
        let last = self.last;
        let ended =
            [TEXT, THOUGHT].into_iter().filter(move |slot| last.is_some_and(|l| l != *slot));
        ended.chain(WHOLE..self.next)
    }

    fn grounding(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            if key != "webSearchQueries" || scanner.kind()? != Kind::Array {
                self.walk(scanner, Field::Aside)?;
                continue;
            }
            scanner.open_array()?;
            while scanner.next_item()? {
                self.searches = self.searches.saturating_add(1);
                self.walk(scanner, Field::Aside)?;
            }
        }
        Ok(())
    }

    fn content(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            if key != "parts" || scanner.kind()? != Kind::Array {
                scanner.skip()?;
                continue;
            }
            scanner.open_array()?;
            while scanner.next_item()? {
                if scanner.kind()? == Kind::Object {
                    self.part(scanner)?;
                } else {
                    scanner.skip()?;
                }
            }
        }
        Ok(())
    }

    fn part(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        let (mut text, mut thought) = (None, false);
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match (key.as_ref(), scanner.kind()?) {
                ("text", Kind::String) => text = Some(scanner.literal()?),
                ("thought", Kind::Bool) => thought = scanner.boolean()?,
                ("functionCall", Kind::Object) => {
                    self.tool_started = true;
                    self.members(scanner, &["args"], Field::Argument)?;
                }
                ("executableCode", Kind::Object) => {
                    self.tool_started = true;
                    self.members(scanner, &["code"], Field::Argument)?;
                }
                ("codeExecutionResult", Kind::Object) => {
                    self.members(scanner, &["output"], Field::Outcome)?;
                }
                ("functionResponse" | "toolCall" | "toolResponse", Kind::Object) => {
                    self.members(scanner, &["response", "args"], Field::Outcome)?;
                }
                ("inlineData" | "fileData", Kind::Object) => {
                    self.media = true;
                    scanner.skip()?;
                }
                _ => {
                    scanner.skip()?;
                }
            }
        }
        if let Some(literal) = text {
            let (field, slot) =
                if thought { (Field::Thought, THOUGHT) } else { (Field::Text, TEXT) };
            if !literal.is_empty() {
                self.last = Some(slot);
                self.texts.push(Spoken { field, slot, literal });
            }
        }
        Ok(())
    }

    /// Reads an object of which only some members hold texts.
    fn members(
        &mut self,
        scanner: &mut Scanner<'_>,
        spoken: &[&str],
        field: Field,
    ) -> Result<(), Fault> {
        self.last = Some(WHOLE);
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            if spoken.contains(&key.as_ref()) {
                self.walk(scanner, field)?;
            } else {
                scanner.skip()?;
            }
        }
        Ok(())
    }

    /// Every string below the next value, each in a slot of its own.
    fn walk(&mut self, scanner: &mut Scanner<'_>, field: Field) -> Result<(), Fault> {
        match scanner.kind()? {
            Kind::String => {
                let literal = scanner.literal()?;
                if !literal.is_empty() {
                    self.texts.push(Spoken { field, slot: self.next, literal });
                    self.next = self.next.saturating_add(1);
                }
            }
            Kind::Array => {
                scanner.open_array()?;
                while scanner.next_item()? {
                    self.walk(scanner, field)?;
                }
            }
            Kind::Object => {
                scanner.open_object()?;
                while scanner.next_key()?.is_some() {
                    self.walk(scanner, field)?;
                }
            }
            Kind::Null | Kind::Bool | Kind::Number => {
                scanner.skip()?;
            }
        }
        Ok(())
    }
}

/// Reads every candidate of a list.
pub(crate) fn candidates(
    scanner: &mut Scanner<'_>,
    mut each: impl FnMut(&Scanner<'_>, Candidate),
) -> Result<(), Fault> {
    if scanner.null()? {
        return Ok(());
    }
    scanner.open_array()?;
    while scanner.next_item()? {
        let candidate = Candidate::read(scanner)?;
        each(scanner, candidate);
    }
    Ok(())
}

/// Reads `promptFeedback`; whether the prompt was blocked.
pub(crate) fn blocked(scanner: &mut Scanner<'_>) -> Result<bool, Fault> {
    let mut blocked = false;
    if scanner.kind()? != Kind::Object {
        scanner.skip()?;
        return Ok(false);
    }
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        if key == "blockReason" && scanner.kind()? == Kind::String {
            blocked = !matches!(scanner.string()?.as_ref(), "" | "BLOCK_REASON_UNSPECIFIED");
        } else {
            scanner.skip()?;
        }
    }
    Ok(blocked)
}

/// The text of a literal: a slice of `body` where it has no escapes.
pub(crate) fn content_of(scanner: &Scanner<'_>, body: &Bytes, literal: &Literal) -> Content {
    if literal.escaped {
        return Content::from_string(scanner.decode(literal).into_owned());
    }
    Content::slice(body.slice(literal.inner()))
}

/// A string, or `None` for a value of any other kind.
pub(crate) fn optional_string(scanner: &mut Scanner<'_>) -> Result<Option<String>, Fault> {
    if scanner.kind()? == Kind::String {
        return Ok(Some(scanner.string()?.into_owned()));
    }
    scanner.skip().map(|_| None)
}
