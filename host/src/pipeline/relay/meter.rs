//! Whether what is held for a stream still covers it. The provider was told how long its answer may
//! be, so this is for one that does not keep to it. Holds more where it can; never decides what
//! becomes of a stream that is too dear.

use std::sync::Arc;

use crate::catalog::Offer;
use crate::clock;

use super::super::flight::Flight;
use super::super::{reserve, settle};

/// Bytes of text for one token where tokens are long: what came in so many bytes has had at least
/// so many tokens, and a stream that keeps to its bound is never ended for its long words.
const BYTES_PER_TOKEN_LONG: u64 = 6;
/// The same where they are short, for a stream that does not keep to its bound: what is held for it
/// is to be enough also then.
const BYTES_PER_TOKEN_SHORT: u64 = 4;
/// Between two tries to hold more.
const AGAIN_BYTES: u64 = 1_024;
/// Tokens that are held for at least, whenever more is: fewer would mean an entry of the journal
/// for every few words.
const MORE_TOKENS_MIN: u64 = 256;

/// See the head of this file.
pub(super) struct Meter {
    /// Tokens of answer that the hold covers, of all choices together.
    covered: u64,
    /// It has written past its bound.
    beyond: bool,
    /// Not before so many bytes is more asked for again.
    again_at: u64,
}

// === impl Meter ===

impl Meter {
    pub(super) fn new(flight: &Flight, offer: &Arc<Offer>) -> Self {
        let one = u64::from(reserve::held_tokens(flight, offer));
        let covered = one.saturating_mul(u64::from(flight.call.choices));
        Self { covered, beyond: false, again_at: 0 }
    }

    /// Whether more has to be held for `text_bytes` of answer. Asked for every piece of a stream.
    pub(super) fn is_due(&self, text_bytes: u64) -> bool {
        let each = if self.beyond { BYTES_PER_TOKEN_SHORT } else { BYTES_PER_TOKEN_LONG };
        text_bytes / each >= self.covered && text_bytes >= self.again_at
    }

    /// Holds for half as much again, or for a little more, and for the prompt as the provider
    /// counts it; false when neither can be had and what is held is used up.
    pub(super) async fn extend(
        &mut self,
        flight: &mut Flight,
        offer: &Offer,
        text_bytes: u64,
        input_tokens: u64,
    ) -> bool {
        self.beyond = true;
        let input_tokens = u32::try_from(input_tokens).unwrap_or(u32::MAX);
        flight.input_tokens = flight.input_tokens.max(input_tokens);
        let come = (text_bytes / BYTES_PER_TOKEN_SHORT).max(self.covered);
        for more in [come / 2, 0] {
            let tokens = come.saturating_add(more.max(MORE_TOKENS_MIN));
            if hold(flight, offer, tokens).await {
                self.covered = tokens;
                return true;
            }
        }
        self.again_at = text_bytes.saturating_add(AGAIN_BYTES);
        text_bytes / BYTES_PER_TOKEN_LONG < self.covered
    }
}

/// Holds for so many tokens of all answers together.
async fn hold(flight: &mut Flight, offer: &Offer, tokens: u64) -> bool {
    let each = tokens.div_ceil(u64::from(flight.call.choices).max(1));
    let each = u32::try_from(each).unwrap_or(u32::MAX);
    let Some(cost) = settle::quote(flight, offer, each).await else { return false };
    let hold_ms = flight.gateway.settings.hold_ms;
    flight.hold.as_mut().is_some_and(|hold| hold.grow(cost, hold_ms, clock::now_ms()))
}
