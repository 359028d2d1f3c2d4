//! A whole answer, not streamed: a neutral view over the provider's bytes, which pass on untouched
//! unless a text is replaced. Never holds a JSON tree.

use std::ops::Range;

use bytes::Bytes;

use crate::call::{Text, text_edits};
use crate::chunk::{StreamError, no_logprobs};
use crate::content::Wire;
use crate::scan::Fault;
use crate::splice::Edit;
use crate::{Dialect, Usage, anthropic, gemini, openai_chat, openai_responses, splice};

/// Why a provider's body could not be read. Quotes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the provider's body cannot be read at byte {at}: {what}; treat the attempt as failed")]
pub struct AnswerError {
    /// Byte of the body.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// A successful, whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The dialect it is in.
    pub dialect: Dialect,
    /// The model that the provider says it used.
    pub model: Option<String>,
    /// What it used, if it says so.
    pub usage: Option<Usage>,
    /// The service tier that was served, which may change the price.
    pub service_tier: Option<String>,
    /// All text, by choice. `message` is the index of the choice.
    pub texts: Vec<Text>,
    /// Choices that the body holds.
    pub choices: u32,
    /// Whether a tool is called.
    pub tool_called: bool,
    /// Whether it ends because the model, or a filter, declines.
    pub declined: bool,
    /// An error that came with a status of success.
    pub error: Option<StreamError>,
    pub(crate) media: bool,
    /// Where the probabilities of tokens stand, with the index of their choice.
    pub(crate) logprobs: Vec<(u32, Range<usize>)>,
    pub(crate) body: Wire,
}

// === impl AnswerError ===

impl AnswerError {
    /// There is no view of a dialect that callers do not speak: its answers are translated.
    pub(crate) const TRANSLATED_ONLY: Self =
        Self { at: 0, what: "answers in this dialect are only translated" };
}

impl From<Fault> for AnswerError {
    fn from(fault: Fault) -> Self {
        Self { at: fault.at, what: fault.what }
    }
}

// === impl Answer ===

impl Answer {
    /// Reads and validates a body in one pass.
    ///
    /// # Errors
    /// [`AnswerError`] when the body is not UTF-8, not JSON, nested deeper than 128 or of another
    /// shape. An error object is not a parse error: see `error`.
    pub fn parse(dialect: Dialect, body: Bytes) -> Result<Self, AnswerError> {
        match dialect {
            Dialect::OpenAiChat => openai_chat::answer::parse(body),
            Dialect::OpenAiResponses => openai_responses::answer::parse(body),
            Dialect::AnthropicMessages => anthropic::answer::parse(body),
            Dialect::Gemini => gemini::answer::parse(body),
            Dialect::BedrockConverse => Err(AnswerError::TRANSLATED_ONLY),
        }
    }

    /// Replaces a text, by its index in `texts`. An index out of range changes nothing.
    pub fn replace_text(&mut self, text: usize, new: String) {
        if let Some(entry) = self.texts.get_mut(text) {
            entry.replace(new);
        }
    }

    /// The body to send on: the provider's own bytes when nothing was replaced. Where a text of a
    /// choice was, its probabilities are left out: they repeat the text as it was.
    pub fn encode(&self) -> Bytes {
        let mut edits = text_edits(&self.texts);
        if edits.is_empty() {
            return self.body.0.clone();
        }
        let edited =
            |choice: u32| self.texts.iter().any(|text| text.edited && text.message == Some(choice));
        let stale = self.logprobs.iter().filter(|(choice, _)| edited(*choice));
        let none = |span: &Range<usize>| Edit::raw(span.clone(), no_logprobs(self.dialect));
        edits.extend(stale.map(|(_, span)| none(span)));
        splice::apply(&self.body.0, edits, b"", b"")
    }

    /// Whether the model said or did anything: text, thinking, a tool call, audio or an image.
    pub fn has_content(&self) -> bool {
        !self.texts.is_empty() || self.tool_called || self.media
    }
}
