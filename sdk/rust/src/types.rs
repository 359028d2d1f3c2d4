//! The decision types in plain Rust, one for each record of the WIT package. They carry facts
//! between the glue and a policy and have no behaviour of their own.

/// Weight of a line in the host's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// A fact by name.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Number(f64),
    Flag(bool),
}

impl Value {
    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Flag(_) => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) | Self::Flag(_) => None,
        }
    }

    /// True only for a flag that is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        matches!(self, Self::Flag(true))
    }
}

/// Why a policy gives no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Cannot decide: the host takes its own default. Not a failure.
    Abstain,
    /// The request or the configuration is at fault.
    Invalid(String),
    /// The policy is at fault.
    Internal(String),
}

/// Who a policy is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    pub summary: String,
    /// JSON Schema of the configuration; "" for none.
    pub config_schema: String,
}

/// What kind of task, how hard, what it needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Classification {
    /// chat, writing, summarization, extraction, translation, code, data-analysis, reasoning,
    /// agent, vision, embedding, image, audio, video, or one's own.
    pub task: String,
    /// 0 trivial to 1 as hard as it gets.
    pub difficulty: f64,
    /// 0 to 1.
    pub confidence: f64,
    /// tools, structured-output, reasoning, image-input …
    pub needs: Vec<String>,
    /// Tokens of context wanted beyond what the request shows; 0 for none.
    pub context_tokens: u32,
    pub attrs: Vec<(String, Value)>,
}

/// This session's prompt is cached at the candidate.
pub const MARK_WARM: u8 = 1;
/// The candidate's price is an estimate.
pub const MARK_PRICE_ESTIMATED: u8 = 2;
/// The candidate's quality is an estimate.
pub const MARK_QUALITY_ESTIMATED: u8 = 4;
/// A rule of the organization prefers the candidate.
pub const MARK_PREFERRED: u8 = 8;

/// One column per figure; row i is candidate i. All columns have the same length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Prior for this task and difficulty, 0 to 1.
    pub quality: Vec<f64>,
    /// Expected for this very request, warm cache counted in; US dollars.
    pub cost_usd: Vec<f64>,
    /// At the request's output limit; US dollars.
    pub cost_worst_usd: Vec<f64>,
    /// Milliseconds.
    pub first_token_ms: Vec<f64>,
    /// Milliseconds.
    pub first_token_p95_ms: Vec<f64>,
    pub tokens_per_second: Vec<f64>,
    /// Recent share of attempts that answered, 0 to 1.
    pub availability: Vec<f64>,
    pub in_flight: Vec<f64>,
    /// Sums of [`MARK_WARM`], [`MARK_PRICE_ESTIMATED`], [`MARK_QUALITY_ESTIMATED`],
    /// [`MARK_PREFERRED`].
    pub marks: Vec<u8>,
}

/// What the caller and the organization want from the choice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objective {
    /// balanced, cheap, fast, best, or an organization's own.
    pub profile: String,
    /// 0 to 1; 0 for none.
    pub quality_floor: f64,
    /// US dollars; 0 for none.
    pub cost_ceiling_usd: f64,
    /// Milliseconds; 0 for none.
    pub first_token_ceiling_ms: f64,
}

/// Where a text stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// input or output.
    pub direction: String,
    /// text, system, reasoning, tool-arguments, tool-result, document.
    pub channel: String,
    /// system, developer, user, assistant, tool.
    pub role: String,
}

/// What the host shall do with an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Leave the text as it is and count the entity by kind.
    Note,
    /// Replace by a mask that names the kind.
    Mask,
    /// Replace by a placeholder that the host restores in the answer.
    Pseudonymize,
    /// Replace by this text.
    Replace(String),
    /// Refuse the whole request, with this reason.
    Block(String),
}

/// An entity in the scanned text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Byte offset, at a character boundary.
    pub start: u32,
    /// Bytes; start + length is at a character boundary.
    pub length: u32,
    pub kind: String,
    pub action: Action,
}

/// What a scan found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Ordered, not overlapping.
    pub spans: Vec<Span>,
    /// Trailing bytes that may begin an entity; 0 when the text was the last.
    pub hold: u32,
    /// A higher data class that the text shows, or "".
    pub data_class: String,
}

/// So many of one item at one official price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    pub item: String,
    pub count: u32,
    /// Exact decimal US dollars for one.
    pub unit_price: String,
}

/// What is to be priced.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BillCall {
    pub task: String,
    /// "vendor/model@provider"
    pub offer: String,
    pub quantities: Vec<Quantity>,
    /// false: the worst case, before the call; true: what happened.
    pub settled: bool,
    pub attrs: Vec<(String, Value)>,
}

/// One line of the bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub item: String,
    pub count: u32,
    /// Exact decimal US dollars for one.
    pub unit_price: String,
    /// count × unit price, exactly.
    pub amount: String,
    pub note: String,
}
