//! A stream for callers that want one JSON list, written as it comes: the same events, after
//! everything else has been done to them. Never decides what is in it.

use bytes::Bytes;
use turnpike_protocol::JsonArray;
use turnpike_protocol::sse::{Frame, Framer};

/// Turns the bytes of events into those of a list.
pub(super) struct Listing {
    framer: Framer,
    frames: Vec<Frame>,
    list: JsonArray,
}

// === impl Listing ===

impl Listing {
    /// For events of at most that many bytes each.
    pub(super) fn new(event_bytes: usize) -> Self {
        let (framer, list) = (Framer::new(event_bytes), JsonArray::new());
        Self { framer, frames: Vec::new(), list }
    }

    /// The list's share of these bytes.
    pub(super) fn push(&mut self, events: Bytes) -> Bytes {
        // Events were framed within the same bound before, so none is too long here.
        self.framer.push(events, &mut self.frames).ok();
        self.written()
    }

    /// The end of the list.
    pub(super) fn finish(&mut self) -> Bytes {
        self.framer.finish(&mut self.frames);
        let last = self.written();
        super::join(last, self.list.finish())
    }

    fn written(&mut self) -> Bytes {
        let mut out = Bytes::new();
        for frame in self.frames.drain(..) {
            out = super::join(out, self.list.push(&frame));
        }
        out
    }
}
