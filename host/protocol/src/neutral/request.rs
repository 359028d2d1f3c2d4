//! A request as every dialect means it. Never validates: decoders refuse what they cannot read, and
//! encoders say what they cannot write.

use std::collections::{HashMap, HashSet};

use super::loss::{Losses, Severity};
use super::{Json, Signature, Words};
use crate::Dialect;

/// One request for an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Request {
    /// Betas of Anthropic's that are named beside the body.
    pub(crate) betas: Vec<String>,
    /// The dialect it came in: whose members, parts and built-in tools it has.
    pub(crate) origin: Option<Dialect>,
    /// The model asked for, as the caller wrote it.
    pub(crate) model: String,
    /// The answer shall be streamed.
    pub(crate) stream: bool,
    /// Instructions in front of the conversation, block by block, in order.
    pub(crate) system: Vec<Part>,
    /// The conversation. Tool results are parts of user turns; neighbours of one speaker may be
    /// separate turns, and an encoder merges them where its dialect wants alternation.
    pub(crate) turns: Vec<Turn>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: Option<ToolChoice>,
    /// `false` forbids several tool calls in one answer.
    pub(crate) parallel_tools: Option<bool>,
    /// What the answer's text must be; `None` is free text.
    pub(crate) format: Option<Format>,
    pub(crate) reasoning: Option<Reasoning>,
    pub(crate) sampling: Sampling,
    /// Bound on answer tokens, thinking included.
    pub(crate) output_limit: Option<u32>,
    /// Answers asked for, where it is not one.
    pub(crate) choices: Option<u32>,
    /// Probabilities of tokens: how many alternatives beside each.
    pub(crate) logprobs: Option<u32>,
    /// Who the end user is, as an opaque string.
    pub(crate) user: Option<String>,
    /// Key-value notes for the provider's log.
    pub(crate) metadata: Option<Json>,
    pub(crate) service_tier: Option<String>,
    /// A hint that groups requests for the provider's prompt cache.
    pub(crate) cache_key: Option<String>,
    /// How talkative the text shall be: `low`, `medium`, `high`.
    pub(crate) verbosity: Option<String>,
    /// Members that only the caller's dialect has, `origin`. An encoder of another dialect writes
    /// none of them, and reports each as a loss unless it is without effect there.
    pub(crate) own: Vec<Own>,
}

/// One speaker's turn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Turn {
    /// Where it began in the caller's request, in the caller's words: `contents[3]`. For losses.
    pub(crate) at: String,
    pub(crate) speaker: Speaker,
    pub(crate) parts: Vec<Part>,
    /// The speaker's name, where one is given.
    pub(crate) name: Option<String>,
}

impl Turn {
    /// Where its part of that number stood, if it began with this turn.
    pub(crate) fn at_of_part(&self, number: usize) -> String {
        let list = if self.at.starts_with("contents[") { "parts" } else { "content" };
        format!("{}.{list}[{number}]", self.at)
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Instructions in the middle of a conversation.
    System,
    User,
    Assistant,
}

/// A piece of a turn, of the instructions or of a tool's result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Text {
        text: Words,
        cache: Option<CacheMark>,
        /// Citations that came with the model's text, in the issuer's own shape.
        citations: Vec<Json>,
    },
    Media(Media),
    /// The model's thinking, sent back.
    Thinking {
        text: Words,
        signature: Option<Signature>,
    },
    /// Thinking that only its issuer can read.
    SealedThinking(Signature),
    ToolCall {
        id: String,
        name: String,
        /// A JSON object in text for functions, free text for custom tools. Never empty for a
        /// function: `{}` at least.
        input: Words,
        kind: ToolKind,
        signature: Option<Signature>,
        cache: Option<CacheMark>,
    },
    ToolResult {
        call_id: String,
        /// The tool's name where the dialect gives it or an earlier call of the conversation tells.
        name: Option<String>,
        kind: ToolKind,
        parts: Vec<Part>,
        failed: bool,
        cache: Option<CacheMark>,
    },
    /// What the model said in place of an answer.
    Refusal(Words),
    /// Something that only its own dialect has: `type` or path, and the whole value.
    Own(Own),
}

/// An image, a clip, a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Media {
    pub(crate) kind: MediaKind,
    pub(crate) source: MediaSource,
    /// `low`, `high`, `auto` … of images.
    pub(crate) detail: Option<String>,
    /// A file's name or a document's title.
    pub(crate) name: Option<Words>,
    /// What a document is about.
    pub(crate) context: Option<Words>,
    /// Whether answers shall cite it.
    pub(crate) citations: bool,
    pub(crate) cache: Option<CacheMark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaKind {
    Image,
    Audio,
    Document,
    Video,
}

/// Where the bytes of a medium are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MediaSource {
    /// Inline: media type such as `image/png`, and base64 without a `data:` head.
    Inline { media_type: String, base64: Words },
    /// An address that the provider fetches.
    Url { url: Words, media_type: Option<String> },
    /// A file that the caller uploaded to one provider.
    FileId(String),
    /// A document given as plain text.
    Text(Words),
}

/// `cache_control` of a block: a point up to which the prompt may be cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheMark {
    /// `5m` or `1h`; `None` is the provider's default.
    pub(crate) ttl: Option<String>,
}

/// A tool on offer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tool {
    pub(crate) kind: ToolKind,
    pub(crate) name: String,
    pub(crate) description: Option<Words>,
    /// JSON schema of the input for functions; the `format` object for custom tools; the whole
    /// object for those built into a provider.
    pub(crate) schema: Option<Json>,
    pub(crate) strict: Option<bool>,
    pub(crate) cache: Option<CacheMark>,
}

/// What kind of tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ToolKind {
    /// Called with JSON, run by the caller.
    #[default]
    Function,
    /// Called with free text or text of a grammar, run by the caller.
    Custom,
    /// Run by the provider: web search, code execution … Cannot be translated.
    BuiltIn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    Auto,
    None,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Named(String),
    /// One of these may be called; with `required`, one must.
    Among {
        names: Vec<String>,
        required: bool,
    },
}

/// What the answer's text must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Format {
    /// Any JSON object.
    Json,
    /// JSON of this schema.
    Schema { name: String, description: Option<Words>, schema: Json, strict: Option<bool> },
}

/// How much the model shall think.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reasoning {
    pub(crate) effort: Option<Effort>,
    /// Tokens to think with at most; 0 switches thinking off.
    pub(crate) budget: Option<u32>,
    /// The model decides (`thinking: {"type": "adaptive"}`, a budget of -1).
    pub(crate) adaptive: bool,
    /// `auto`, `concise`, `detailed`: what of the thinking is shown; `None` is the default.
    pub(crate) summary: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    /// `xhigh`, `max`.
    Max,
}

/// Numbers are kept as the caller wrote them, so that no float is rounded.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sampling {
    pub(crate) temperature: Option<serde_json::Number>,
    pub(crate) top_p: Option<serde_json::Number>,
    pub(crate) top_k: Option<serde_json::Number>,
    pub(crate) frequency_penalty: Option<serde_json::Number>,
    pub(crate) presence_penalty: Option<serde_json::Number>,
    pub(crate) seed: Option<serde_json::Number>,
    pub(crate) stop: Vec<Words>,
    /// Map of token to bias, of one tokenizer.
    pub(crate) logit_bias: Option<Json>,
}

/// A member that only one dialect has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Own {
    /// Where it stood, such as `context_management` or `messages[3].content[0]`.
    pub(crate) at: String,
    pub(crate) value: Json,
}

/// Members of one dialect without which the question itself is another one.
const ESSENTIAL: &[&str] = &[
    "previous_response_id",
    "conversation",
    "prompt",
    "background",
    "cachedContent",
    "cached_content",
    "container",
    "mcp_servers",
    "audio",
    "web_search_options",
    "generationConfig.speechConfig",
];
/// Members without effect on the answer: how long the provider keeps caches, what the gateway asks
/// for in any case, the version of a dialect, and where an answer is computed, which can be said
/// only where it may be anywhere.
const WITHOUT_EFFECT: &[&str] = &[
    "include",
    "stream_options",
    "safety_identifier",
    "prompt_cache_retention",
    "cache_control",
    "anthropic_version",
    "inference_geo",
];
/// Members that say in what the answer may come.
const MODALITIES: &[&str] =
    &["modalities", "prediction.modalities", "generationConfig.responseModalities"];

// === impl Own ===

impl Own {
    /// How bad it is that a provider of another dialect does not get it; `None` where it only asks
    /// for what is given anyway, or no answer depends on it.
    pub(crate) fn without(&self) -> Option<Severity> {
        let at = self.at.as_str();
        if WITHOUT_EFFECT.contains(&at) {
            return None;
        }
        if MODALITIES.contains(&at) {
            let is_text = |item: &serde_json::Value| {
                item.as_str().is_some_and(|item| item.eq_ignore_ascii_case("text"))
            };
            let only_text = self.value.0.as_array().is_some_and(|list| list.iter().all(is_text));
            return (!only_text).then_some(Severity::Unsupported);
        }
        let essential = ESSENTIAL.contains(&at);
        Some(if essential { Severity::Unsupported } else { Severity::Dropped })
    }

    /// Notes that a provider does not get it.
    pub(crate) fn lost(&self, losses: &mut Losses, what: &'static str) {
        if let Some(severity) = self.without() {
            losses.note(severity, self.at.as_str(), what);
        }
    }
}

// === impl Effort ===

impl Effort {
    /// Reads the word that the OpenAI dialects use.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" | "max" => Self::Max,
            _ => return None,
        })
    }

    /// The word that the OpenAI dialects use; the highest is `high`, which every model has.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High | Self::Max => "high",
        }
    }

    /// Thinking tokens that stand for this effort where a budget is wanted: the figures that the
    /// providers' own compatibility layers use.
    pub(crate) fn budget(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Minimal | Self::Low => 1_024,
            Self::Medium => 8_192,
            Self::High => 24_576,
            Self::Max => 32_768,
        }
    }

    /// The effort that stands for a budget.
    pub(crate) fn of_budget(tokens: u32) -> Self {
        match tokens {
            0 => Self::None,
            1..=4_096 => Self::Low,
            4_097..=16_384 => Self::Medium,
            _ => Self::High,
        }
    }
}

// === impl Part ===

impl Part {
    /// Plain text.
    pub(crate) fn text(text: impl Into<Words>) -> Self {
        Self::Text { text: text.into(), cache: None, citations: Vec::new() }
    }
}

// === impl Request ===

impl Request {
    /// An empty request of a caller who speaks `dialect`.
    pub(crate) fn of(dialect: Dialect) -> Self {
        Self { origin: Some(dialect), ..Self::default() }
    }

    /// Whether what only one dialect has means at a provider of `dialect` what its name says there.
    /// Two dialects share names, and any caller can write any name: what came in another dialect
    /// is never written by its name.
    pub(crate) fn is_of(&self, dialect: Dialect) -> bool {
        self.origin == Some(dialect)
    }

    /// How bad it is that this tool can't be offered: who insists on it does not get what was asked
    /// for; an agent that merely brings it along, as Codex does web search, works without.
    pub(crate) fn without(&self, tool: &Tool) -> Severity {
        let insisted = match &self.tool_choice {
            Some(ToolChoice::Named(name)) => *name == tool.name,
            Some(ToolChoice::Among { names, required: true }) => names.contains(&tool.name),
            Some(ToolChoice::Required) => self.tools.len() == 1,
            _ => false,
        };
        if insisted { Severity::Unsupported } else { Severity::Dropped }
    }

    /// The same with its turns where a caller with as many messages would have them.
    #[cfg(test)]
    pub(crate) fn numbered(&self) -> Self {
        let mut request = self.clone();
        for (index, turn) in request.turns.iter_mut().enumerate() {
            turn.at = format!("messages[{index}]");
        }
        request
    }

    /// Where the beginning of the answer stands, which the caller wants to be gone on with; none
    /// where the last turn is no such thing.
    pub(crate) fn begun_answer(&self) -> Option<&str> {
        let begun = |turn: &Turn| {
            let spoken = turn.parts.iter().any(|part| matches!(part, Part::Text { .. }));
            let called = turn.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
            turn.speaker == Speaker::Assistant && spoken && !called
        };
        self.turns.last().filter(|turn| begun(turn)).map(|turn| turn.at.as_str())
    }

    /// The names of the tools that the conversation called, by the ids of the calls. Dialects
    /// whose tool results carry no name need them where a result must.
    pub(crate) fn tool_names(&self) -> HashMap<&str, &str> {
        let mut names = HashMap::new();
        for part in self.turns.iter().flat_map(|turn| &turn.parts) {
            if let Part::ToolCall { id, name, .. } = part {
                names.entry(id.as_str()).or_insert(name.as_str());
            }
        }
        names
    }

    /// Gives every tool result the name of the tool that was called, where an earlier call of its
    /// id tells.
    pub(crate) fn name_results(&mut self) {
        let mut names = HashMap::new();
        for part in self.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            match part {
                Part::ToolCall { id, name, .. } => {
                    names.insert(id.clone(), name.clone());
                }
                Part::ToolResult { call_id, name, .. } => {
                    *name = names.get(call_id.as_str()).cloned();
                }
                _ => {}
            }
        }
    }

    /// The names of all tools that the conversation called, each once, in order.
    pub(crate) fn called_tools(&self) -> Vec<&str> {
        let (mut seen, mut names) = (HashSet::new(), Vec::new());
        for part in self.turns.iter().flat_map(|turn| &turn.parts) {
            if let Part::ToolCall { name, .. } = part
                && seen.insert(name.as_str())
            {
                names.push(name.as_str());
            }
        }
        names
    }
}
