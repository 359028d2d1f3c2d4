//! The parts of a question and of an answer, in no provider's words.

use serde_json::Value;

/// A tool offered to the model.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) parameters: Value,
    /// Takes a text instead of an object.
    pub(crate) custom: bool,
}

/// Which tool the model may or must call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

/// What shape the text must have.
#[derive(Debug, Default)]
pub(crate) enum Format {
    #[default]
    Text,
    JsonObject,
    JsonSchema(Value),
}

/// What the request says about thinking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The dialect can't say: the script alone decides.
    #[default]
    Unsaid,
    No,
    /// It may cost tokens, but is not shown.
    Hidden,
    Shown,
}

/// Something that is no text.
#[derive(Debug)]
pub(crate) struct Media {
    /// "image", "document" or "audio".
    pub(crate) kind: &'static str,
    /// `image/png`; "url" where only an address was given.
    pub(crate) media_type: String,
}

/// A document that wants to be cited.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) title: Option<String>,
    pub(crate) text: String,
    /// Cited by pages, not by characters.
    pub(crate) pages: bool,
}

/// A beginning of the prompt that the caller wants cached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    /// Index of the prefix.
    pub(crate) at: usize,
    /// For an hour instead of five minutes.
    pub(crate) hour: bool,
}

/// Tokens that a cache gave and took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CacheUse {
    pub(crate) read: u64,
    pub(crate) write: u64,
    pub(crate) write_1h: u64,
}

/// An answer, before any dialect wrote it down.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) choices: Vec<Said>,
    pub(crate) usage: Used,
}

/// One alternative of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) reasoning: Option<String>,
    /// With calls: what was said before them. With a refusal: its text.
    pub(crate) text: String,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) finish: Finish,
    /// The stop sequence that ended it.
    pub(crate) stopped_by: Option<String>,
    pub(crate) citations: Vec<Citation>,
}

impl Said {
    /// Nothing, ending so.
    pub(super) fn ending(finish: Finish) -> Self {
        Self {
            reasoning: None,
            text: String::new(),
            calls: Vec::new(),
            finish,
            stopped_by: None,
            citations: Vec::new(),
        }
    }
}

/// A call of a tool; the arguments are JSON text, or any text for a custom tool.
#[derive(Debug, Clone)]
pub(crate) struct ToolCall {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
    pub(crate) custom: bool,
}

impl ToolCall {
    /// The arguments as a value; text that is no JSON object stays text.
    pub(crate) fn object(&self) -> Value {
        if self.arguments.is_empty() {
            return Value::Object(serde_json::Map::new());
        }
        serde_json::from_str(&self.arguments)
            .unwrap_or_else(|_| Value::String(self.arguments.clone()))
    }
}

/// Where a statement comes from.
#[derive(Debug, Clone)]
pub(crate) struct Citation {
    /// Index among the documents of the request; none for a source of the model's own.
    pub(crate) document: Option<usize>,
    pub(crate) title: Option<String>,
    pub(crate) cited: String,
    pub(crate) whole_page: bool,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    ToolCalls,
    Refusal,
}

/// Tokens of all choices together; cached and written ones are inside the prompt's, reasoning
/// ones inside the completion's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) prompt: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) cache_write_1h: u64,
    pub(crate) completion: u64,
    pub(crate) reasoning: u64,
}
