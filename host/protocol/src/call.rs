//! A request as every dialect means it: a neutral view over the original bytes. Reading it costs
//! one pass; writing it splices the few spans that change. Never holds a JSON tree.

mod asked;
mod attribution;
mod keeping;
mod text;
mod tokens;

use std::ops::Range;

use bytes::Bytes;

use crate::Dialect;
use crate::content::{Content, Source};
use crate::quirks::Quirks;
use crate::request_error::RequestError;
use crate::splice;
use crate::{anthropic, embeddings, gemini, openai_chat, openai_responses};
pub use tokens::MediaTokens;

pub use text::Text;
pub(crate) use text::text_edits;

/// Messages in one call. The longest agent sessions seen have hundreds; each costs a small record.
pub const MESSAGES_MAX: usize = 16_384;
/// Tools in one call. Providers accept 128; agents with many tool servers send a few hundred.
pub const TOOLS_MAX: usize = 2_048;
/// Texts in one call, all that is scanned. Bounds the work that a small body can cause.
pub const TEXTS_MAX: usize = 65_536;
/// Calls of tools in one conversation. Agents that run for days make some thousands.
pub const TOOL_CALLS_MAX: usize = 32_768;
/// Bytes of a tool's name that every dialect takes.
pub(crate) const TOOL_NAME_BYTES: usize = 64;
/// Blocks of content in one call: parts of messages, of results and of instructions.
pub const BLOCKS_MAX: usize = 65_536;
/// Bytes of a model name. Names on the market stay below 120.
pub const MODEL_BYTES_MAX: usize = 256;
/// Answers to one call (`n`), as OpenAI bounds it.
pub const CHOICES_MAX: u32 = 128;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions of the application.
    System,
    /// Instructions of the application, by their newer name.
    Developer,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool, also by its older name `function`.
    Tool,
    /// Not part of a message, or a role of some provider's own.
    Other,
}

/// What kind of text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// What is said, refusals included.
    Text,
    /// System and developer instructions.
    System,
    /// Thinking that is sent along.
    Reasoning,
    /// What a tool is called with: JSON in a string, unescaped once.
    ToolArguments,
    /// What a tool answered.
    ToolResult,
    /// Everything else that can hold text: tool and schema descriptions, names of people and
    /// files, `user`, `metadata`, predictions, and every member this crate does not know.
    Document,
}

/// One message of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Its texts: a range of `Call::texts`.
    pub texts: Range<usize>,
    /// Images it carries.
    pub images: u32,
    /// Audio clips it carries.
    pub audio: u32,
    /// Files it carries.
    pub files: u32,
}

/// A tool that the model may call.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Its name; the type for tools that have none.
    pub name: String,
    /// What it says of itself, as replaced last.
    pub description: Option<Content>,
    /// It is called with free text, not with JSON.
    pub custom: bool,
    pub(crate) description_text: Option<usize>,
}

/// What the call needs of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Tools or functions are offered.
    pub tools: bool,
    /// The answer must be JSON, of a schema or not.
    pub structured_output: bool,
    /// The answer must keep to a JSON schema.
    pub schema: bool,
    /// Thinking is asked for.
    pub reasoning: bool,
    /// There are images.
    pub image_input: bool,
    /// There is audio.
    pub audio_input: bool,
    /// There are files.
    pub file_input: bool,
    /// The answer shall be spoken.
    pub audio_output: bool,
    /// Probabilities of tokens are asked for.
    pub logprobs: bool,
    /// The provider may search the web for the answer, if it is asked in the caller's dialect.
    pub web_search: bool,
    /// The same of other tools of its own that it charges by the piece.
    pub hosted_tools: bool,
    /// Among the tools is one that the caller runs, or that may be one.
    pub caller_tools: bool,
}

impl Needs {
    /// Whether tools that a provider runs by itself are all that is offered: the request is about
    /// them then. Agents bring such tools along beside their own to each of their requests.
    pub fn only_hosted(self) -> bool {
        self.tools && !self.caller_tools
    }
}

/// Tools of a provider's own that it charges by the piece, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaidTools {
    /// It searches the web.
    pub searches: bool,
    /// It runs code, searches files, draws.
    pub hosted: bool,
}

impl PaidTools {
    /// Whether there is any.
    pub fn any(self) -> bool {
        self.searches || self.hosted
    }
}

/// How long the provider is asked to keep the prompt's beginning, where that has a price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keeping {
    /// Nothing is asked for.
    #[default]
    None,
    /// For minutes.
    Minutes,
    /// For an hour.
    Hour,
}

/// Bytes of base64 in a body, which are not text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Media {
    pub(crate) image_bytes: usize,
    pub(crate) audio_bytes: usize,
    pub(crate) file_bytes: usize,
    /// Signatures and sealed thinking.
    pub(crate) sealed_bytes: usize,
    /// Files and sounds that are named only, by an address or an id: of any length.
    pub(crate) named: u32,
    /// Where they stand, in the order of the body.
    pub(crate) spans: Vec<Range<usize>>,
}

/// Where a dialect's encoder splices.
#[derive(Debug, Clone)]
pub(crate) enum Points {
    OpenAiChat(openai_chat::request::Points),
    OpenAiResponses(openai_responses::request::Points),
    Anthropic(anthropic::request::Points),
    Gemini(gemini::request::Points),
    Embeddings(embeddings::Points),
}

/// What the URL of a request says of it, in dialects where the body does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Addressed<'a> {
    /// The model, from Gemini's path.
    pub model: Option<&'a str>,
    /// Whether the answer shall be streamed, from Gemini's operation.
    pub stream: Option<bool>,
}

/// One parsed request.
#[derive(Debug, Clone)]
pub struct Call {
    /// The dialect it came in.
    pub dialect: Dialect,
    /// The model asked for.
    pub model: String,
    /// Whether the answer shall be streamed.
    pub stream: bool,
    /// Whether the caller wants the usage chunk of a stream. It is asked of the provider in any
    /// case, and passed on only if this is set.
    pub include_usage: bool,
    /// The bound on answer tokens that the caller set; the larger one if there are two.
    pub output_limit: Option<u32>,
    /// The service tier asked for, in lower case; it may change the price.
    pub service_tier: Option<String>,
    /// Answers asked for, 1 to 128.
    pub choices: u32,
    /// The conversation.
    pub messages: Vec<Message>,
    /// All text there is, in the order of the body. Empty strings are left out.
    pub texts: Vec<Text>,
    /// The tools offered.
    pub tools: Vec<Tool>,
    /// What the model must be able to do.
    pub needs: Needs,
    /// Bytes of the body as it came.
    pub body_len: usize,
    /// Betas of Anthropic's that the caller names beside the body.
    pub betas: Vec<String>,
    pub(crate) media: Media,
    pub(crate) source: Source,
    pub(crate) points: Points,
}

/// What the host decides about the request that goes upstream.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The model's name at the provider.
    pub model: &'a str,
    /// The bound on answer tokens to write, in place of the caller's if there was one.
    pub output_limit: Option<u32>,
    /// The model's own bound on answer tokens, where it is known: for dialects that insist on one.
    pub model_limit: Option<u32>,
    /// The field for that bound in OpenAI chat, whatever the caller wrote it as.
    pub limit_field: LimitField,
    /// How the provider differs from its dialect.
    pub quirks: &'a Quirks,
}

/// How a model wants to be told the bound on answer tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitField {
    /// `max_tokens`, which most compatible servers read.
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's thinking models insist on.
    MaxCompletionTokens,
}

// === impl Role ===

impl Role {
    /// Stable name for policies.
    pub fn label(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other => "other",
        }
    }
}

// === impl Channel ===

impl Channel {
    /// Stable name for policies.
    pub fn label(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::System => "system",
            Self::Reasoning => "reasoning",
            Self::ToolArguments => "tool-arguments",
            Self::ToolResult => "tool-result",
            Self::Document => "document",
        }
    }
}

// === impl Call ===

impl Call {
    /// The dialect of a body that came to an address of `endpoint`. Cursor sends bodies of the
    /// Responses dialect to the address of chat completions, and reads chat chunks; nothing else
    /// without messages could be answered there.
    pub fn dialect_of(endpoint: Dialect, body: &[u8]) -> Dialect {
        let suspect =
            endpoint == Dialect::OpenAiChat && memchr::memmem::find(body, b"\"input\"").is_some();
        match suspect && openai_responses::request::is_meant(body) {
            true => Dialect::OpenAiResponses,
            false => endpoint,
        }
    }

    /// Reads and validates a request body in one pass.
    ///
    /// # Errors
    /// [`RequestError`] with status 400 for what is not UTF-8, not JSON, nested deeper than 128,
    /// repeats a key that is acted on or has a wrong type there; 413 for too many items.
    pub fn parse(dialect: Dialect, body: Bytes) -> Result<Self, RequestError> {
        Self::parse_addressed(dialect, body, &Addressed::default())
    }

    /// The same for a request whose URL says part of what it asks for.
    ///
    /// # Errors
    /// As for [`Call::parse`].
    pub fn parse_addressed(
        dialect: Dialect,
        body: Bytes,
        addressed: &Addressed<'_>,
    ) -> Result<Self, RequestError> {
        match dialect {
            Dialect::OpenAiChat => openai_chat::request::parse(body),
            Dialect::OpenAiResponses => openai_responses::request::parse(body),
            Dialect::AnthropicMessages => anthropic::request::parse(body),
            Dialect::Gemini => gemini::request::parse(body, addressed),
            Dialect::BedrockConverse => Err(RequestError::not_spoken()),
        }
    }

    /// Replaces a text, by its index in `texts`. From then on `content` reads the new text and
    /// `encode` writes it. An index out of range changes nothing.
    pub fn replace_text(&mut self, text: usize, new: String) {
        let Some(entry) = self.texts.get_mut(text) else { return };
        entry.replace(new);
        for tool in &mut self.tools {
            if tool.description_text == Some(text) {
                tool.description = Some(entry.content.clone());
            }
        }
    }

    /// Names of the tools that are called with free text.
    pub fn custom_tools(&self) -> Vec<String> {
        let custom = self.tools.iter().filter(|tool| tool.custom);
        custom.map(|tool| tool.name.clone()).collect()
    }

    /// Names of tools that some dialect has no room for: its providers know them by another one.
    pub fn long_tools(&self) -> Vec<String> {
        let names = self.tools.iter().map(|tool| &tool.name);
        names.filter(|name| name.len() > TOOL_NAME_BYTES).cloned().collect()
    }

    /// The request to send upstream: the original bytes with the model, the replaced texts, the
    /// output bound and, for a stream, the wish for usage spliced in.
    pub fn encode(&self, out: &Outgoing<'_>) -> Bytes {
        let mut edits = text_edits(&self.texts);
        match &self.points {
            Points::OpenAiChat(points) => points.edits(self.stream, out, &mut edits),
            Points::OpenAiResponses(points) => points.edits(out, &mut edits),
            Points::Anthropic(points) => points.edits(&self.betas, out, &mut edits),
            Points::Gemini(points) => points.edits(out, &mut edits),
            Points::Embeddings(points) => points.edits(out, &mut edits),
        }
        splice::apply(self.source.0.as_bytes(), edits, b"", b"")
    }

    /// The request once more without the thinking of earlier turns, for one further attempt after
    /// a provider refused a signature in it. `None` when it has none, or its dialect carries
    /// thinking in another way.
    pub fn encode_without_thinking(&self, out: &Outgoing<'_>) -> Option<Bytes> {
        let Points::Anthropic(points) = &self.points else { return None };
        let mut edits = text_edits(&self.texts);
        points.edits_without_thinking(&self.betas, out, &mut edits)?;
        Some(splice::apply(self.source.0.as_bytes(), edits, b"", b""))
    }

    /// The member that names by its id what a provider keeps of the conversation: an earlier
    /// response, a conversation, a prompt or an item of `input`. Only that provider can answer.
    pub fn kept_elsewhere(&self) -> Option<&'static str> {
        match &self.points {
            Points::OpenAiResponses(points) => points.elsewhere,
            _ => None,
        }
    }

    /// The text of a member of this name that belongs to no message, such as `prompt_cache_key`.
    pub fn document(&self, name: &str) -> Option<&str> {
        let named = |text: &&Text| {
            let before = self.source.0.as_bytes().get(..text.span.start).unwrap_or_default();
            // Its own opening quote may be part of the span.
            let before = before.strip_suffix(b"\"").unwrap_or(before).trim_ascii_end();
            let before = before.strip_suffix(b":").unwrap_or_default();
            let key = before.trim_ascii_end().strip_suffix(b"\"").unwrap_or_default();
            key.strip_suffix(name.as_bytes()).is_some_and(|rest| rest.ends_with(b"\""))
        };
        let own = |text: &&Text| text.message.is_none() && text.channel == Channel::Document;
        self.texts.iter().filter(own).find(named).map(|text| text.content.expose())
    }

    /// The caller's body with nothing but its replaced texts written anew: what a translation
    /// reads.
    pub(crate) fn redacted_body(&self) -> Bytes {
        splice::apply(self.source.0.as_bytes(), text_edits(&self.texts), b"", b"")
    }
}
