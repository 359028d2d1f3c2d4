//! A stream for callers that did not ask for events (`alt=sse`): the same payloads as the items of
//! one JSON list, written as they come. Never looks into a payload.

use bytes::Bytes;

use crate::sse::Frame;

/// Writes one list.
#[derive(Debug, Default)]
pub struct JsonArray {
    begun: bool,
}

// === impl JsonArray ===

impl JsonArray {
    /// A list without items.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes that add an event's payload; none for an event without.
    pub fn push(&mut self, frame: &Frame) -> Bytes {
        if !frame.carries_data() {
            return Bytes::new();
        }
        let before: &[u8] = if self.begun { b",\r\n" } else { b"[" };
        self.begun = true;
        Bytes::from([before, &frame.data].concat())
    }

    /// The bytes that end the list.
    pub fn finish(&mut self) -> Bytes {
        Bytes::from_static(if self.begun { b"]" } else { b"[]" })
    }
}
