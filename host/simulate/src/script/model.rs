//! One model of a script: its pace, its answers, its figures, and what it insists on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ScriptError;
use super::answers::{AnswerScript, ToolCalls};
use crate::failure::Rule;

/// One model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelScript {
    /// Name on the wire.
    pub id: String,
    /// Name in the answer, when it is another (a dated snapshot).
    #[serde(default)]
    pub served_as: Option<String>,
    /// Milliseconds to the first token.
    #[serde(default)]
    pub first_token_ms: u64,
    /// Speed after the first token; 0: all at once.
    #[serde(default)]
    pub tokens_per_second: u64,
    /// Tokens in one stream chunk.
    #[serde(default = "one")]
    pub chunk_tokens: u32,
    /// How chunks are written.
    #[serde(default)]
    pub pace: Pace,
    /// What it says.
    #[serde(default)]
    pub answer: AnswerScript,
    /// What it does when the request has tools.
    #[serde(default)]
    pub tool_calls: ToolCalls,
    /// Share of the prompt's tokens that were cached, in percent.
    #[serde(default)]
    pub cached_percent: u8,
    /// Reasoning tokens, counted inside the completion's.
    #[serde(default)]
    pub reasoning_tokens: u64,
    /// Reasoning shown as `reasoning_content`, as DeepSeek does.
    #[serde(default)]
    pub reasoning_text: Option<String>,
    /// Tier named in the answer.
    #[serde(default = "default_tier")]
    pub service_tier: String,
    /// Refuses `max_tokens`, as OpenAI's reasoning models do; `max_completion_tokens` is accepted.
    /// Models named as OpenAI's (`o…`, `gpt-5…`) always do.
    #[serde(default)]
    pub refuses_max_tokens: bool,
    /// Refuses a `response_format` of `json_schema`, as DeepSeek's own API does; `json_object` is
    /// accepted. Models named `deepseek-…` always do.
    #[serde(default)]
    pub refuses_json_schema: bool,
    /// OpenAI Chat: more members that it refuses, in OpenAI's words.
    #[serde(default)]
    pub refuses: Vec<String>,
    /// Whether it thinks.
    #[serde(default)]
    pub thinking: ThinkingScript,
    /// Its thinking is shown encrypted only (`redacted_thinking`).
    #[serde(default)]
    pub redacted_thinking: bool,
    /// Gemini: a tool call that comes back without its `thoughtSignature` is refused. Absent: for
    /// models whose name begins with `gemini-3`.
    #[serde(default)]
    pub thought_signatures: Option<bool>,
    /// Whose signatures of thinking it accepts and issues; absent: its provider's name.
    #[serde(default)]
    pub signer: Option<String>,
    /// Said before tool calls.
    #[serde(default)]
    pub leading_text: Option<String>,
    /// Cites a source for its text.
    #[serde(default)]
    pub citations: bool,
    /// Why it stopped, in the provider's own word, instead of the true one.
    #[serde(default)]
    pub stop_reason: Option<String>,
    /// Figures that it reports instead of the true ones.
    #[serde(default)]
    pub usage: Option<UsageScript>,
    /// A prompt's repeated beginning is reported as cached. Anthropic's marks always are.
    #[serde(default)]
    pub prompt_cache: bool,
    /// Tokens from which a beginning is cached.
    #[serde(default = "cache_min")]
    pub cache_tokens_min: u64,
    /// Milliseconds between signs of life while nothing else is sent; 0: none.
    #[serde(default)]
    pub ping_every_ms: u64,
    /// Headers of every answer, errors included.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Limits told in the provider's rate limit headers, and kept: what is above is refused.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// Tokens that a prompt may have; a longer one is refused. Absent: any.
    #[serde(default)]
    pub context_tokens: Option<u64>,
    /// Tokens that an answer may have; a request for more is refused. Absent: any.
    #[serde(default)]
    pub output_tokens: Option<u64>,
    /// Writes on past the bound that the request sets, as some servers do.
    #[serde(default)]
    pub ignores_limit: bool,
    /// Length of its embeddings; absent: 1536.
    #[serde(default)]
    pub dimensions: Option<u32>,
    /// Builds its answer once, from the first request, and repeats it: for load.
    #[serde(default)]
    pub prebuilt: bool,
    /// Its failures.
    #[serde(default)]
    pub failures: Vec<Rule>,
}

/// How stream chunks go to the socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// One write per chunk, at the model's speed.
    #[default]
    Steady,
    /// The whole response, head included, in one write, after the first token's latency.
    Burst,
}

/// Whether a model thinks before it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThinkingScript {
    /// When the request asks for it.
    #[default]
    Asked,
    /// On every request.
    Always,
    /// Never, asked or not.
    Never,
}

/// Fixed figures; what is absent is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UsageScript {
    /// All tokens of the prompt, cached and written ones included.
    pub prompt: Option<u64>,
    /// Of these, read from a cache.
    pub cached: Option<u64>,
    /// Of these, written to a cache for five minutes.
    pub cache_write: Option<u64>,
    /// Of these, written to a cache for an hour.
    pub cache_write_1h: Option<u64>,
    /// All tokens of the answer, reasoning included.
    pub completion: Option<u64>,
    /// Of these, reasoning.
    pub reasoning: Option<u64>,
}

/// Limits per minute; the simulator's minute begins with its first request and does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests.
    pub requests: u64,
    /// Tokens, prompts and answers together.
    pub tokens: u64,
}

// === impl ModelScript ===

impl ModelScript {
    /// A model that answers at once with `answer`, for scripts made in code.
    pub fn instant(id: &str, answer: AnswerScript) -> Self {
        Self {
            id: id.to_owned(),
            served_as: None,
            first_token_ms: 0,
            tokens_per_second: 0,
            chunk_tokens: one(),
            pace: Pace::Steady,
            answer,
            tool_calls: ToolCalls::First,
            cached_percent: 0,
            reasoning_tokens: 0,
            reasoning_text: None,
            service_tier: default_tier(),
            refuses_max_tokens: false,
            refuses_json_schema: false,
            refuses: Vec::new(),
            thinking: ThinkingScript::Asked,
            redacted_thinking: false,
            thought_signatures: None,
            signer: None,
            leading_text: None,
            citations: false,
            stop_reason: None,
            usage: None,
            prompt_cache: false,
            cache_tokens_min: cache_min(),
            ping_every_ms: 0,
            headers: BTreeMap::new(),
            rate_limit: None,
            context_tokens: None,
            output_tokens: None,
            ignores_limit: false,
            dimensions: None,
            prebuilt: false,
            failures: Vec::new(),
        }
    }

    pub(crate) fn check(&self, provider: &str) -> Result<(), ScriptError> {
        if self.cached_percent > 100 || self.chunk_tokens == 0 {
            let id = &self.id;
            return Err(ScriptError::Content(format!(
                "provider {provider}: model {id}: cached_percent is 0 to 100, chunk_tokens from 1"
            )));
        }
        Ok(())
    }
}

fn one() -> u32 {
    1
}

/// As most providers have it.
fn cache_min() -> u64 {
    1024
}

fn default_tier() -> String {
    "default".to_owned()
}
