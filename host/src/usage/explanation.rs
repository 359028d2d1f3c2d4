//! Why a request went the way it went: what it was taken for, every candidate with its score or
//! the reason it was rejected, each attempt, and how the cost came about. Holds names, numbers and
//! reasons; never content. Amounts are decimal strings in USD, times are in the unit of the name.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;
use uuid::Uuid;

/// A word that is usually a constant of the program, so that filling it in costs nothing.
pub type Label = Cow<'static, str>;

/// The whole explanation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The request.
    pub id: Uuid,
    /// Its organization.
    pub org: Arc<str>,
    /// The key's id.
    pub key: Arc<str>,
    /// The model that was asked for.
    pub model_asked: Arc<str>,
    /// What that name stood for, where it was an alias of the organization's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<Arc<str>>,
    /// What the caller asked to be served by: `balanced`, `cheap`, `fast`, `best`, and `balanced`
    /// where nothing was asked; what counted is in the objective.
    pub profile: Option<Label>,
    /// What routing was to aim at; none if it was refused before, or by an older version.
    #[serde(default)]
    pub objective: Option<ObjectiveFact>,
    /// What it was taken for; none if it was refused before.
    pub task: Option<TaskFact>,
    /// What the expected costs of all candidates were made of; none where it did not come so far,
    /// or by an older version.
    #[serde(default)]
    pub expected: Option<ExpectedFact>,
    /// Every offer that was looked at.
    pub candidates: Vec<CandidateFact>,
    /// The offers in the order they were to be tried.
    pub plan: Vec<Arc<str>>,
    /// The offers that were tried.
    pub attempts: Vec<AttemptFact>,
    /// What was used, in disjoint buckets.
    pub usage: Usage,
    /// Who counted: `provider` or `estimated`; none if nothing was used.
    pub usage_source: Option<Label>,
    /// How the cost came about; the amounts add up to it.
    pub line_items: Vec<LineItem>,
    /// What was set aside at first.
    pub hold_usd: PicoUsd,
    /// What the caller pays.
    pub cost_usd: PicoUsd,
    /// What the platform paid for this request and charges nobody, at official prices.
    #[serde(default = "nothing")]
    pub absorbed_usd: PicoUsd,
    /// How it ended, in a word of the settlement rulebook.
    pub settlement: Label,
    /// The policies that were asked.
    pub policies: Vec<PolicyFact>,
    /// What was found and done to it, counted; never what it was.
    pub redactions: Vec<RedactionFact>,
    /// What translation between two dialects could not carry over.
    #[serde(default)]
    pub losses: Vec<LossFact>,
    /// Where the time went.
    pub timing: Timing,
}

/// What a request was taken for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskFact {
    /// The kind of task.
    pub task: Arc<str>,
    /// From 0 (trivial) to 1 (hardest).
    pub difficulty: f64,
    /// From 0 to 1.
    pub confidence: f64,
    /// Abilities a model must have for it.
    pub needs: Vec<Label>,
    /// The policy that decided, as `name@version`.
    pub decided_by: Arc<str>,
}

/// What routing was to aim at, beside the profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveFact {
    /// The profile that the route policy was told; rules may set another than the caller's.
    pub profile: Arc<str>,
    /// From 0 to 1; 0 for none.
    pub quality_floor: f64,
    /// 0 for none.
    pub cost_ceiling_usd: f64,
    /// In milliseconds; 0 for none.
    pub first_token_ceiling_ms: f64,
    /// From 0 to 1; 0 for none. What is not so good was out before any policy was told of it.
    #[serde(default)]
    pub min_quality: f64,
    /// The class of data that it was of, where anybody said.
    pub data_class: Option<Label>,
    /// Only providers that keep nothing could have it.
    pub zero_retention: bool,
    /// The rules that fit, in their order.
    pub rules: Vec<Arc<str>>,
}

/// How large the request was expected to be: with the prices of an offer and the tokens of its
/// answer ([`FiguresFact::answer_tokens`], [`FiguresFact::thinking_tokens`]) it makes that offer's
/// expected cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExpectedFact {
    /// All tokens of the prompt.
    pub prompt_tokens: u64,
    /// Of these the sound and the pictures.
    pub audio_tokens: u64,
    pub image_tokens: u64,
    /// Of these what was cached where the conversation was warm, and there only.
    pub cached_tokens: u64,
    /// How long the provider was asked to keep the prompt: `minutes`, `hour`, or not at all.
    pub keeping: Option<Label>,
    /// Tokens of an answer of a model whose answers are as long as others at the task.
    pub answer_tokens: u64,
    /// The caller's limit for them.
    pub answer_limit: Option<u64>,
    /// Answers that were asked for.
    pub answers: u64,
    /// The caller asked for thinking.
    pub thinking: bool,
    /// The answers are spoken: where sound has a price of its own, their tokens are at that.
    #[serde(default)]
    pub spoken: bool,
    /// The service tier asked for, where it is one that is known.
    pub service_tier: Option<Label>,
    /// Searches of the web and calls of other tools of the provider's own, where it got them:
    /// [`FiguresFact::without_searches`] tells who did not.
    pub searches: u64,
    pub hosted_calls: u64,
}

/// The figures that the route policy scored, beside those of [`CandidateFact`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FiguresFact {
    /// In milliseconds.
    pub first_token_p95_ms: f64,
    pub tokens_per_second: f64,
    /// From 0 to 1.
    pub availability: f64,
    /// Requests that were on their way to it.
    pub in_flight: u32,
    /// The conversation's beginning was cached there.
    pub warm: bool,
    pub price_estimated: bool,
    pub quality_estimated: bool,
    /// A rule of the organization preferred it.
    pub preferred: bool,
    /// Tokens that one answer of it was expected to have, those of thinking too; 0 by an older
    /// version.
    pub answer_tokens: u32,
    /// Of these what was expected to be charged at a price for thinking, where the offer has one
    /// that is not that of what is written; else 0.
    pub thinking_tokens: u32,
    /// Its speed was not known, and it was drawn to be tried first.
    pub explored: bool,
    /// Its time to the first token was only assumed, and over the ceiling: scored as the ceiling's.
    pub assumed_over_ceiling: bool,
    /// It would not have got the search that was expected of others, or the calls of other tools,
    /// as in another dialect: they are not in its expected cost.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_searches: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_hosted_calls: bool,
}

/// One offer that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CandidateFact {
    /// The offer, as `vendor/model@provider`.
    pub offer: Arc<str>,
    /// The route policy's score, higher is better; none if it was rejected before.
    pub score: Option<f64>,
    /// How good it is believed to be at the task, from 0 to 1.
    pub quality: Option<f64>,
    /// What the request was expected to cost with it.
    pub expected_cost_usd: Option<PicoUsd>,
    /// How long its first token was expected to take, in milliseconds.
    pub first_token_ms: Option<f64>,
    /// The rest of what it was scored by.
    #[serde(default)]
    pub figures: Option<FiguresFact>,
    /// Why it was rejected, in words.
    pub rejected: Option<Label>,
    /// The same as a stable word for programs.
    pub reason_code: Option<Label>,
}

/// One offer that was tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AttemptFact {
    /// The offer.
    pub offer: Arc<str>,
    /// `answered`, or why it did not: `error`, `timeout`, `connect`, `died`…
    pub outcome: Label,
    /// The upstream's HTTP status, if there was one.
    pub status: Option<u16>,
    /// How long the attempt took, in milliseconds.
    pub ms: u64,
    /// Until its first byte, in milliseconds, if one came.
    pub first_byte_ms: Option<u64>,
    /// What happened, in words; never an upstream's body.
    pub detail: Option<Label>,
}

/// One line of the bill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LineItem {
    /// What was sold, such as `input` or `cache-read`.
    pub item: Label,
    /// How many units.
    pub count: u64,
    /// The price of one unit.
    pub unit_price_usd: PicoUsd,
    /// Count times price.
    pub amount_usd: PicoUsd,
    /// What the bill policy had to say.
    pub note: Option<Label>,
}

/// One policy that was asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyFact {
    /// The decision: `classify`, `route`, `redact` or `bill`.
    pub hook: Label,
    /// The policy's name.
    pub policy: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// SHA-256 of its bytes, lower-case hex.
    pub digest: Arc<str>,
    /// The first 16 digits of the SHA-256 of its configuration; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Arc<str>>,
    /// How long it took, in microseconds, all its calls together.
    pub micros: u32,
    /// How it failed, if it did; another policy then decided.
    pub failure: Option<Failure>,
}

/// How a policy failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// `trap`, `deadline`, `memory`, `nonsense`…
    pub kind: Label,
    /// What happened, in words.
    pub detail: Arc<str>,
}

/// Findings of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RedactionFact {
    /// `input` or `output`.
    pub direction: Label,
    /// The kind of finding, such as `email`.
    pub kind: Arc<str>,
    /// What was done: `count`, `mask`, `pseudonymise` or `block`.
    pub action: Label,
    /// How many.
    pub count: u64,
}

/// One thing that a translation lost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LossFact {
    /// Where in the caller's request or in the answer: `tools[2].strict`.
    pub at: Arc<str>,
    /// What became of it, in words.
    pub what: Label,
    /// `approximated`, `dropped` or `unsupported`.
    pub severity: Label,
}

/// Where the time went, in microseconds; zero for a step that wasn't reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timing {
    /// Parsing the body.
    pub parse_us: u64,
    /// Redacting the input.
    pub redact_us: u64,
    /// Classifying.
    pub classify_us: u64,
    /// Matching and scoring the candidates.
    pub route_us: u64,
    /// Quoting and reserving.
    pub reserve_us: u64,
    /// From acceptance to the upstream's first content.
    pub first_content_us: u64,
    /// Pricing and settling.
    pub settle_us: u64,
    /// From acceptance to the last byte.
    pub total_us: u64,
    /// What of all this policies waited for the network.
    #[serde(default)]
    pub policy_fetch_us: u64,
    /// How often they asked it; no time, but of it.
    #[serde(default)]
    pub policy_fetches: u64,
}

// === impl ExpectedFact ===

impl ExpectedFact {
    /// Tokens of one answer of a model that writes so many hundredths of the usual.
    pub(super) fn answer_of(&self, percent: u32) -> u64 {
        let tokens = self.answer_tokens.saturating_mul(percent.into()).div_ceil(100);
        tokens.min(self.answer_limit.unwrap_or(u64::MAX))
    }
}

fn nothing() -> PicoUsd {
    PicoUsd::ZERO
}

impl Explanation {
    /// An explanation in which nothing has happened yet, for the pipeline to fill as it goes.
    pub fn begin(id: Uuid, org: Arc<str>, key: Arc<str>, model_asked: Arc<str>) -> Self {
        Self {
            id,
            org,
            key,
            model_asked,
            alias_of: None,
            profile: None,
            objective: None,
            task: None,
            expected: None,
            candidates: Vec::new(),
            plan: Vec::new(),
            attempts: Vec::new(),
            usage: Usage::default(),
            usage_source: None,
            line_items: Vec::new(),
            hold_usd: PicoUsd::ZERO,
            cost_usd: PicoUsd::ZERO,
            absorbed_usd: PicoUsd::ZERO,
            settlement: Label::Borrowed("none"),
            policies: Vec::new(),
            redactions: Vec::new(),
            losses: Vec::new(),
            timing: Timing::default(),
        }
    }
}
