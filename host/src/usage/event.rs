//! One request's facts, as they are kept. Built by the pipeline when a request has ended.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;
use uuid::Uuid;

use super::explanation::{Explanation, Label};

/// Every word for how a request ends.
pub const SETTLEMENTS: [&str; 9] = [
    "complete",
    "complete_estimated",
    "empty",
    "partial",
    "failed_partial",
    "abandoned",
    "refused",
    "failed",
    "free",
];

/// What one request was and came to. Facts only: there is no field that could hold content.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageEvent {
    /// The request's id, a UUID of version 7; `x-request-id` on the wire.
    pub id: Uuid,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The organization that pays.
    pub org: Arc<str>,
    /// The key's id.
    pub key: Arc<str>,
    /// The team its cost is attributed to.
    pub team: Option<Arc<str>>,
    /// The project its cost is attributed to.
    pub project: Option<Arc<str>>,
    /// The user its cost is attributed to.
    pub user: Option<Arc<str>>,
    /// The session that the caller, or its agent program, says it is of.
    #[serde(default)]
    pub session: Option<Arc<str>>,
    /// The agent that asked, as its program calls it.
    #[serde(default)]
    pub agent: Option<Arc<str>>,
    /// The agent that started that one.
    #[serde(default)]
    pub parent_agent: Option<Arc<str>>,
    /// What the caller tagged it with, as name and value.
    #[serde(default)]
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// The wire dialect it came in, such as `openai-chat`.
    pub protocol: Label,
    /// The model that was asked for, such as `auto`.
    pub model_asked: Arc<str>,
    /// The offer that served it, such as `openai/gpt-5.4@openai`; none if none did.
    pub offer: Option<Arc<str>>,
    /// The served model's catalogue id.
    pub model: Option<Arc<str>>,
    /// The provider that served it.
    pub provider: Option<Arc<str>>,
    /// The task it was classified as.
    pub task: Option<Arc<str>>,
    /// Whether it was streamed.
    pub stream: bool,
    /// The HTTP status that the caller got.
    pub status: u16,
    /// How it ended, in a word of the settlement rulebook; one of [`SETTLEMENTS`].
    pub settlement: Label,
    /// What was used.
    pub usage: Usage,
    /// What it cost the caller.
    pub cost_usd: PicoUsd,
    /// What it would have been at list prices, where that differs.
    #[serde(default)]
    pub list_usd: Option<PicoUsd>,
    /// What the strongest candidate would have cost for the same usage at its list prices; none
    /// where that is not known.
    #[serde(default)]
    pub baseline_usd: Option<PicoUsd>,
    /// How many offers were tried.
    pub attempts: u32,
    /// From acceptance to the last byte, in milliseconds.
    pub duration_ms: u64,
}

impl UsageEvent {
    /// Whether the caller got a result.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What is kept of a request: the event that statistics are made of, and its explanation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The facts.
    pub event: UsageEvent,
    /// Why it went the way it went.
    pub explanation: Explanation,
}
