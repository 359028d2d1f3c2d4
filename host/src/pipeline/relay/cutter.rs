//! What a read of the provider's socket brings, cut into frames: server-sent events, or Amazon's
//! binary messages. Never looks into what they say.

use bytes::Bytes;
use turnpike_protocol::bedrock;
use turnpike_protocol::eventstream::{self, EventStreamError};
use turnpike_protocol::sse::{Frame, Framer};

use crate::gateway::Framing;

/// See the head of this file.
pub(super) enum Cutter {
    Events(Framer),
    Messages {
        parser: eventstream::Parser,
        /// Each holds an event of Anthropic's.
        wrapped: bool,
    },
}

pub(in crate::pipeline) const TOO_LARGE: &str = "an event is longer than limits.event_bytes";
const NO_MESSAGE: &str = "it is no event stream of Amazon's";

// === impl Cutter ===

impl Cutter {
    /// A cutter for one stream whose events have at most `limit` bytes.
    pub(super) fn new(framing: Framing, limit: usize) -> Self {
        let messages =
            |wrapped| Self::Messages { parser: eventstream::Parser::new(limit), wrapped };
        match framing {
            Framing::Events => Self::Events(Framer::new(limit)),
            Framing::Messages => messages(false),
            Framing::Wrapped => messages(true),
        }
    }

    /// Adds the frames that are now complete; else what is wrong with the stream.
    pub(super) fn push(&mut self, bytes: Bytes, out: &mut Vec<Frame>) -> Result<(), &'static str> {
        match self {
            Self::Events(framer) => framer.push(bytes, out).map_err(|_| TOO_LARGE),
            Self::Messages { parser, wrapped: false } => parser.push(&bytes, out).map_err(reason),
            Self::Messages { parser, wrapped: true } => {
                let mut messages = Vec::new();
                parser.push(&bytes, &mut messages).map_err(reason)?;
                for message in &messages {
                    let event = bedrock::anthropic_frame(message).map_err(|_| NO_MESSAGE)?;
                    out.extend(event);
                }
                Ok(())
            }
        }
    }

    /// The body has ended. A message that is cut off is left out: without its end the answer is
    /// not complete either.
    pub(super) fn finish(&mut self, out: &mut Vec<Frame>) {
        if let Self::Events(framer) = self {
            framer.finish(out);
        }
    }
}

fn reason(error: EventStreamError) -> &'static str {
    match error {
        EventStreamError::TooLarge { .. } => TOO_LARGE,
        EventStreamError::Malformed(_) | EventStreamError::Truncated => NO_MESSAGE,
    }
}
