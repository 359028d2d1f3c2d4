//! A whole answer as every dialect means it. The same blocks arrive as events in a stream.

use crate::Usage;
use crate::chunk::StreamError;

use super::{Json, Signature, ToolKind, Words};

/// One answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    /// The provider's id of it.
    pub(crate) id: Option<String>,
    /// The model that the provider says it used.
    pub(crate) model: Option<String>,
    /// Seconds since 1970.
    pub(crate) created_s: Option<u64>,
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Option<Usage>,
    pub(crate) service_tier: Option<String>,
    /// An error in place of an answer.
    pub(crate) error: Option<StreamError>,
}

/// One of the answers asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    pub(crate) blocks: Vec<Block>,
    pub(crate) finish: Option<Finish>,
    /// The stop sequence that was met.
    pub(crate) stop_sequence: Option<Words>,
    /// In the shape of OpenAI chat: `{"content": […], "refusal": …}`.
    pub(crate) logprobs: Option<Json>,
}

/// A piece of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Block {
    Text {
        text: Words,
        /// In the issuer's own shape.
        citations: Vec<Json>,
    },
    Refusal(Words),
    Thinking {
        text: Words,
        signature: Option<Signature>,
    },
    /// Thinking that only its issuer can read.
    SealedThinking(Signature),
    ToolCall {
        id: Option<String>,
        name: String,
        /// JSON in text for functions (`{}` at least), free text for custom tools.
        input: Words,
        kind: ToolKind,
        signature: Option<Signature>,
    },
    /// Base64 of an image or a clip that the model made.
    Media {
        media_type: String,
        base64: Words,
    },
    /// What only its dialect has, such as a server tool's call and result.
    Own(Json),
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The model was done.
    Stop,
    StopSequence,
    /// The bound on answer tokens, or the model's context, was reached.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// The model refused.
    Refusal,
    /// The provider's filter stopped it.
    ContentFilter,
    /// A long turn is paused and may be continued by sending it back.
    Pause,
    Other,
}

// === impl Choice ===

impl Choice {
    /// Whether a tool is to be called.
    pub(crate) fn calls_tools(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, Block::ToolCall { .. }))
    }
}
