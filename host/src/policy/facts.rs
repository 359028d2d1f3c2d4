//! What the host tells a policy about the request and the offers in hand. Plain values and two
//! small traits, so that nothing here depends on a wire dialect. Never copies text before a guest
//! asks for it.

use std::fmt;
use std::sync::Arc;

/// The value of a named fact. `Debug` never shows text, because a policy that reads content may
/// have put some of it there.
#[derive(Clone, PartialEq)]
pub enum AttrValue {
    /// Words.
    Text(String),
    /// A number; counts and amounts too, which lose exactness beyond 2^53.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl fmt::Debug for AttrValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text(<{} bytes>)", text.len()),
            Self::Number(number) => write!(f, "Number({number})"),
            Self::Flag(flag) => write!(f, "Flag({flag})"),
        }
    }
}

/// The messages and tools of a request, read piece by piece. Indices count from zero; out of range
/// is `None` or zero, never an error.
pub trait Conversation: Send + Sync {
    /// How many messages there are.
    fn messages(&self) -> usize;
    /// `system`, `developer`, `user`, `assistant`, `tool` or `other`.
    fn role(&self, message: usize) -> Option<&str>;
    /// The text parts of a message, in order, until `None`.
    fn part(&self, message: usize, part: usize) -> Option<&str>;
    /// How many tools the caller offers.
    fn tools(&self) -> usize;
    /// A tool's name.
    fn tool_name(&self, tool: usize) -> Option<&str>;
    /// A tool's description, which counts as content.
    fn tool_description(&self, tool: usize) -> Option<&str>;
}

impl Conversation for turnpike_protocol::Call {
    fn messages(&self) -> usize {
        self.messages.len()
    }

    fn role(&self, message: usize) -> Option<&str> {
        self.messages.get(message).map(|message| message.role.label())
    }

    fn part(&self, message: usize, part: usize) -> Option<&str> {
        let texts = self.texts.get(self.messages.get(message)?.texts.clone())?;
        texts.get(part).map(|text| text.content.expose())
    }

    fn tools(&self) -> usize {
        self.tools.len()
    }

    fn tool_name(&self, tool: usize) -> Option<&str> {
        self.tools.get(tool).map(|tool| tool.name.as_str())
    }

    fn tool_description(&self, tool: usize) -> Option<&str> {
        self.tools.get(tool)?.description.as_ref().map(turnpike_protocol::Content::expose)
    }
}

/// Everything that the `request` interface shows.
#[derive(Clone)]
pub struct RequestFacts {
    /// The request's id.
    pub id: String,
    /// `openai-chat` and so on.
    pub protocol: &'static str,
    /// The model as the caller wrote it: `auto`, `auto:fast`, an alias or a model id.
    pub model: String,
    /// Whether the caller wants a stream.
    pub streaming: bool,
    /// Estimated upwards.
    pub input_tokens: u32,
    /// The caller's own limit on output tokens.
    pub output_limit: Option<u32>,
    /// The messages; given as text to classify and redact, as lengths and roles to the others.
    pub call: Arc<dyn Conversation>,
    /// Named facts: `caller.organization`, `session`, `turns` …
    pub attrs: Vec<(String, AttrValue)>,
}

impl RequestFacts {
    /// The fact of that name.
    pub fn attr(&self, name: &str) -> Option<&AttrValue> {
        self.attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl fmt::Debug for RequestFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestFacts")
            .field("id", &self.id)
            .field("protocol", &self.protocol)
            .field("messages", &self.call.messages())
            .finish_non_exhaustive()
    }
}

/// The offers that a route policy scores, in the order of the figures' rows; read one by one, since
/// few policies ask for more than their number. A row out of range is `None`.
pub trait Offers: Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;
    /// `vendor/model@provider`.
    fn id(&self, row: usize) -> Option<&str>;
    /// A named fact: `vendor`, `context-tokens`, `needs.tools` …
    fn attr(&self, row: usize, name: &str) -> Option<AttrValue>;
}

impl fmt::Debug for dyn Offers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offers").field("count", &self.count()).finish_non_exhaustive()
    }
}
