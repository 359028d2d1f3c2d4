//! What policies are asked with and what they answer, as plain values. Never parses and never
//! judges: `validate` does, before a value of these types leaves the room.

use std::fmt;
use std::sync::Arc;

use super::binding::Hook;
use super::facts::AttrValue;
use super::failure::PolicyFailure;

/// What kind of task a request is. All labels are lowercase names of at most 64 bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// `chat`, `code`, `agent` … or an organization's own.
    pub task: String,
    /// 0 trivial to 1 as hard as it gets.
    pub difficulty: f64,
    /// 0 to 1.
    pub confidence: f64,
    /// `tools`, `structured-output`, `reasoning` …
    pub needs: Vec<String>,
    /// Tokens of context wanted beyond what the request shows; 0 for none.
    pub context_tokens: u32,
    /// For the route and bill policies. May carry text of the request: never store it.
    pub attrs: Vec<(String, AttrValue)>,
}

/// One column per figure; row i is offer i. All columns have the same length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Prior for this task and difficulty, 0 to 1.
    pub quality: Vec<f64>,
    /// Expected US dollars for this request.
    pub cost_usd: Vec<f64>,
    /// Worst-case US dollars for this request.
    pub cost_worst_usd: Vec<f64>,
    /// Milliseconds to the first token, middle.
    pub first_token_ms: Vec<f64>,
    /// Milliseconds to the first token, 95th percentile.
    pub first_token_p95_ms: Vec<f64>,
    /// Tokens per second of a stream.
    pub tokens_per_second: Vec<f64>,
    /// Recent share of attempts that answered, 0 to 1.
    pub availability: Vec<f64>,
    /// Requests on their way to that offer now.
    pub in_flight: Vec<f64>,
    /// Bits: 1 cached there, 2 price estimated, 4 quality estimated.
    pub marks: Vec<u8>,
    /// `cost_usd` exactly, in pico-US-dollars, for comparisons; no guest is given it. May be empty.
    pub expected_pico: Vec<u128>,
}

impl Figures {
    /// Empty columns with room for so many rows.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        let column = || Vec::with_capacity(rows);
        Self {
            quality: column(),
            cost_usd: column(),
            cost_worst_usd: column(),
            first_token_ms: column(),
            first_token_p95_ms: column(),
            tokens_per_second: column(),
            availability: column(),
            in_flight: column(),
            marks: Vec::with_capacity(rows),
            expected_pico: Vec::with_capacity(rows),
        }
    }
}

/// What the caller wants of the route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objective {
    /// `balanced`, `cheap`, `fast`, `best`, or an organization's own.
    pub profile: String,
    /// 0 to 1; 0 for none.
    pub quality_floor: f64,
    /// US dollars; 0 for none.
    pub cost_ceiling_usd: f64,
    /// Milliseconds; 0 for none.
    pub first_token_ceiling_ms: f64,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place<'a> {
    /// `input` or `output`.
    pub direction: &'a str,
    /// `text`, `system`, `reasoning`, `tool-arguments`, `tool-result`, `document`.
    pub channel: &'a str,
    /// The role of the message.
    pub role: &'a str,
}

/// What to do with a span. `Debug` never shows the texts.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Leave the text as it is and count the kind.
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

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note => f.write_str("Note"),
            Self::Mask => f.write_str("Mask"),
            Self::Pseudonymize => f.write_str("Pseudonymize"),
            Self::Replace(text) => write!(f, "Replace(<{} bytes>)", text.len()),
            Self::Block(text) => write!(f, "Block(<{} bytes>)", text.len()),
        }
    }
}

/// One entity in a text, in UTF-8 bytes, at character boundaries, at least one byte long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Bytes.
    pub length: usize,
    /// What it is: `email`, `payment-card` …
    pub kind: String,
    /// What to do with it.
    pub action: Action,
}

/// What a scan found: spans in order, not overlapping, none reaching into the held tail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The entities.
    pub spans: Vec<Span>,
    /// Trailing bytes to hold back and send again before what follows: at most 4096, 0 when last.
    pub hold: usize,
    /// A higher data class that the text shows, or empty.
    pub data_class: String,
}

/// What to price.
#[derive(Debug, Clone, PartialEq)]
pub struct BillCall {
    /// The task label.
    pub task: String,
    /// `vendor/model@provider`.
    pub offer: String,
    /// What was used, or the worst case.
    pub quantities: Vec<Quantity>,
    /// False before the call, true for what happened.
    pub settled: bool,
    /// Named facts.
    pub attrs: Vec<(String, AttrValue)>,
}

/// Units of one item at the official price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    /// `input`, `cache-read`, `output` …
    pub item: String,
    /// Units.
    pub count: u32,
    /// Pico-US-dollars for one unit.
    pub unit_price_pico: u128,
}

/// One priced line; `amount_pico` is exactly `count` × `unit_price_pico`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `input`, `cache-read`, `output` … or the policy's own.
    pub item: String,
    /// Units.
    pub count: u32,
    /// Pico-US-dollars for one unit.
    pub unit_price_pico: u128,
    /// Pico-US-dollars.
    pub amount_pico: u128,
    /// For the invoice; at most 256 bytes.
    pub note: String,
}

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRef {
    /// The policy's own name.
    pub name: Arc<str>,
    /// The policy's own version.
    pub version: Arc<str>,
    /// Both, as `name@version`.
    pub label: Arc<str>,
    /// SHA-256 of the component, lowercase hex.
    pub digest: Arc<str>,
    /// The first digits of the SHA-256 of its configuration, lowercase hex; none where it has none.
    pub config: Option<Arc<str>>,
    /// The binding's revision.
    pub revision: u64,
}

/// The outcome of one decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict<T> {
    /// What was decided. `None`: the bound policy failed and its binding says `closed`, or the
    /// built-in failed too.
    pub value: Option<T>,
    /// Whose value it is; the bound policy when there is none.
    pub decided_by: Arc<PolicyRef>,
    /// Why the bound policy did not decide. [`PolicyFailure::is_normal`] for an abstention.
    pub failure: Option<PolicyFailure>,
}

/// What calls to one policy cost within one session; scans of a stream add up in one record, a
/// failed call has its own.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyCallRecord {
    /// The decision.
    pub hook: Hook,
    /// Who was asked.
    pub policy: Arc<PolicyRef>,
    /// How many calls this record adds up.
    pub calls: u32,
    /// Microseconds of all of them, fresh instances included.
    pub micros: u32,
    /// How many of them made a fresh instance.
    pub fresh: u32,
    /// Why it failed.
    pub failure: Option<PolicyFailure>,
}
