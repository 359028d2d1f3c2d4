//! The frames of a batch put together into the one piece that goes on. Never looks into them.

use bytes::{Bytes, BytesMut};
use turnpike_protocol::sse::Frame;

/// Frames put together: a single one is not copied.
pub(super) struct Joined {
    single: Bytes,
    joined: BytesMut,
    room: usize,
}

// === impl Joined ===

impl Joined {
    pub(super) fn new(count: usize, room: usize) -> Self {
        let room = if count > 1 { room } else { 0 };
        Self { single: Bytes::new(), joined: BytesMut::with_capacity(room), room }
    }

    pub(super) fn for_frames(frames: &[Frame]) -> Self {
        Self::new(frames.len(), frames.iter().map(|frame| frame.raw.len()).sum())
    }

    pub(super) fn add(&mut self, frame: &Bytes) {
        if self.room == 0 && self.single.is_empty() && self.joined.is_empty() {
            self.single = frame.clone();
            return;
        }
        if !self.single.is_empty() {
            self.joined.extend_from_slice(&std::mem::take(&mut self.single));
        }
        self.joined.extend_from_slice(frame);
    }

    pub(super) fn finish(self) -> Bytes {
        if self.single.is_empty() { self.joined.freeze() } else { self.single }
    }
}
