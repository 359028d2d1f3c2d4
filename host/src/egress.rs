//! What goes back to the caller: bodies, headers and error bodies in the caller's protocol.
//! Decides nothing and never looks at a provider.

mod headers;
mod refusal;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

pub use headers::{RESPONSE_HEADERS, Served, anthropic_request_id, content_type, request_id, set};
pub use refusal::{body, refuse};

/// A response's body: nothing or bytes in hand, or a stream that the pipeline relays.
pub enum GatewayBody {
    /// The whole body.
    Whole(Option<Bytes>),
    /// A relay, polled by the connection itself, so that a stream costs no task and no channel.
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = std::io::Error> + Send>>),
}

impl std::fmt::Debug for GatewayBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "GatewayBody::Whole",
            Self::Stream(_) => "GatewayBody::Stream",
        })
    }
}

impl GatewayBody {
    /// No body.
    pub fn empty() -> Self {
        Self::Whole(None)
    }

    /// These bytes.
    pub fn whole(bytes: Bytes) -> Self {
        Self::Whole(if bytes.is_empty() { None } else { Some(bytes) })
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(Some(bytes)) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Self::Whole(None) => SizeHint::with_exact(0),
            Self::Stream(body) => body.size_hint(),
        }
    }
}
