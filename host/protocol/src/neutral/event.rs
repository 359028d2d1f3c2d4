//! A streamed answer as every dialect means it: blocks that open, grow and close, then why it ended
//! and what it used. Decoders make these events, encoders write them; neither sees the other.

use crate::Usage;
use crate::chunk::StreamError;

use super::{Finish, Json, Signature, ToolKind, Words};

/// One event.
///
/// The order that every decoder keeps: `Start` first and once; then blocks, each `Open` before its
/// deltas and `Close` after them, numbered from 0 in the order of opening over all choices; at most
/// one `Finish` for each choice, after its blocks are closed; `Usage` any time, each replacing the
/// one before; `End` or `Error` last and once. Blocks of one choice may be open side by side (see
/// `sequence` for encoders that must have one at a time).
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Start {
        id: Option<String>,
        model: Option<String>,
        /// Seconds since 1970.
        created_s: Option<u64>,
    },
    Open {
        block: u32,
        choice: u32,
        opening: Opening,
    },
    /// More of a block: text, thinking, or a tool's input as it is written.
    Delta {
        block: u32,
        text: Words,
    },
    /// The signature of a thinking block or a tool call.
    Signed {
        block: u32,
        signature: Signature,
    },
    /// A citation for a text block, in the issuer's own shape.
    Cited {
        block: u32,
        citation: Json,
    },
    Close {
        block: u32,
    },
    /// Probabilities of the tokens just sent, in the shape of OpenAI chat.
    Logprobs {
        choice: u32,
        value: Json,
    },
    Finish {
        choice: u32,
        reason: Finish,
        stop_sequence: Option<Words>,
    },
    Usage {
        usage: Usage,
        service_tier: Option<String>,
    },
    /// Keeps the connection alive.
    Ping,
    /// The provider failed; nothing follows.
    Error(StreamError),
    /// The stream is complete; nothing follows.
    End,
}

/// What kind of block opens.
#[derive(Debug, Clone)]
pub(crate) enum Opening {
    Text,
    Refusal,
    Thinking,
    /// Thinking that only its issuer can read; has no deltas.
    SealedThinking(Signature),
    ToolCall {
        id: Option<String>,
        name: String,
        kind: ToolKind,
    },
    /// Base64 of an image or a clip that the model made; has no deltas.
    Media {
        media_type: String,
        base64: Words,
    },
    /// What only its dialect has; has no deltas.
    Own(Json),
}
