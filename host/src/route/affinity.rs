//! Which offer a conversation was answered by last, and how much of it that provider has cached: a
//! reason to ask there again, as far as the route policy lets it be one, and never a reason to ask
//! one that is resting or ruled out.
//! Keeps a keyed hash of each conversation's name and nothing of what it says; bounded in number
//! and in time, in memory only.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

use crate::catalog::Offer;

/// Locks; each is held for a look-up in a map.
const SHARDS: usize = 16;
/// Conversations of one shard: 65,536 in all, some 5 MB. Past that the oldest are forgotten. One
/// that a header names takes two: its own, and its session's.
const SHARD_PINS_MAX: usize = 4_096;
/// Shorter prompts are cached by no provider.
const CACHED_TOKENS_MIN: u64 = 1_024;

/// A conversation, by the keyed hash of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation(u64);

/// Where a conversation is warm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Index in the configured catalogue.
    pub offer: usize,
    /// Tokens of its beginning that the provider is believed to have cached.
    pub cached_tokens: u32,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Affinity {
    shards: Box<[Mutex<Shard>]>,
    key: RandomState,
    /// After so long a pin is forgotten; 0: there are none.
    pin_ms: u64,
}

#[derive(Debug, Default)]
struct Shard {
    pins: HashMap<u64, (Pin, u64)>,
    /// Every pin that was set, the oldest first, with its end: what is set again stands here twice,
    /// and only its last entry counts.
    order: VecDeque<(u64, u64)>,
}

// === impl Affinity ===

impl Affinity {
    /// Pins that last `pin_ms` after the conversation's last answer.
    pub fn new(pin_ms: u64) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, key: RandomState::new(), pin_ms }
    }

    /// The conversation of these parts: whose it is and what it is known by.
    pub fn conversation<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) -> Conversation {
        let mut hasher = self.key.build_hasher();
        for part in parts {
            // Each with its length, so that no two lists of parts are one text.
            std::hash::Hash::hash(part, &mut hasher);
        }
        Conversation(std::hash::Hasher::finish(&hasher))
    }

    /// Where it is warm at `now_ms`.
    pub fn recall(&self, of: Conversation, now_ms: u64) -> Option<Pin> {
        let shard = self.shard(of)?.lock();
        shard.pins.get(&of.0).filter(|(_, until_ms)| now_ms < *until_ms).map(|(pin, _)| *pin)
    }

    /// It was answered there.
    pub fn keep(&self, of: Conversation, pin: Pin, now_ms: u64) {
        if self.pin_ms == 0 {
            return;
        }
        if let Some(shard) = self.shard(of) {
            shard.lock().keep(of.0, pin, now_ms, now_ms.saturating_add(self.pin_ms));
        }
    }

    fn shard(&self, of: Conversation) -> Option<&Mutex<Shard>> {
        let shards = u64::try_from(self.shards.len()).ok()?;
        self.shards.get(usize::try_from(of.0.checked_rem(shards)?).ok()?)
    }
}

// === impl Shard ===

impl Shard {
    fn keep(&mut self, key: u64, pin: Pin, now_ms: u64, until_ms: u64) {
        while let Some((oldest, end_ms)) = self.order.front().copied()
            && (end_ms <= now_ms || self.order.len() >= SHARD_PINS_MAX)
        {
            self.order.pop_front();
            if self.pins.get(&oldest).is_some_and(|(_, until_ms)| *until_ms == end_ms) {
                self.pins.remove(&oldest);
            }
        }
        self.order.push_back((key, until_ms));
        self.pins.insert(key, (pin, until_ms));
    }
}

// === impl Pin ===

impl Pin {
    /// After an answer: what the provider says it has cached, or the whole prompt where it caches
    /// by itself and charges nothing for it, unless it was `warm` there and nothing was cached.
    pub fn after(
        index: usize,
        offer: &Offer,
        input_tokens: u64,
        cached_tokens: u64,
        warm: bool,
    ) -> Self {
        let rates = &offer.rates.base;
        let by_itself = rates.cache_read.is_some()
            && rates.cache_write_short.is_none()
            && input_tokens >= CACHED_TOKENS_MIN
            && !(warm && cached_tokens == 0);
        let cached = if by_itself { input_tokens } else { cached_tokens };
        Self { offer: index, cached_tokens: u32::try_from(cached).unwrap_or(u32::MAX) }
    }

    /// The same where nothing of what is sent now is known to be cached there.
    pub fn uncached(self) -> Self {
        Self { cached_tokens: 0, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(offer: usize) -> Pin {
        Pin { offer, cached_tokens: 7 }
    }

    fn named(affinity: &Affinity, name: &str) -> Conversation {
        affinity.conversation([name.as_bytes()].into_iter())
    }

    #[test]
    fn pitfall_62_a_conversation_is_found_again_where_it_was() {
        let affinity = Affinity::new(1_000);
        let (one, two) = (named(&affinity, "one"), named(&affinity, "two"));
        affinity.keep(one, pin(1), 0);
        affinity.keep(two, pin(2), 0);
        assert_eq!(affinity.recall(one, 999), Some(pin(1)));
        assert_eq!(affinity.recall(two, 999), Some(pin(2)));
        affinity.keep(one, pin(3), 999);
        assert_eq!(affinity.recall(one, 1_500), Some(pin(3)), "who answered last counts");
        assert_eq!(affinity.recall(two, 1_500), None);
    }

    #[test]
    fn pitfall_63_a_pin_ends_and_never_are_there_too_many() {
        let affinity = Affinity::new(1_000);
        let one = named(&affinity, "one");
        affinity.keep(one, pin(1), 0);
        assert_eq!(affinity.recall(one, 1_000), None, "not pinned for ever");
        for number in 0..200_000_u32 {
            let key = affinity.conversation([&number.to_be_bytes()[..]].into_iter());
            affinity.keep(key, pin(1), 10);
        }
        let pins: usize = affinity.shards.iter().map(|shard| shard.lock().pins.len()).sum();
        let order: usize = affinity.shards.iter().map(|shard| shard.lock().order.len()).sum();
        assert!(pins <= order && order <= SHARDS * SHARD_PINS_MAX, "{pins} of {order}");
        let last = affinity.conversation([&199_999_u32.to_be_bytes()[..]].into_iter());
        assert_eq!(affinity.recall(last, 11), Some(pin(1)), "the oldest are forgotten first");
        assert!(Affinity::new(0).recall(one, 0).is_none());
    }

    #[test]
    fn parts_are_not_one_text() {
        let affinity = Affinity::new(1);
        let of = |parts: &[&str]| affinity.conversation(parts.iter().map(|part| part.as_bytes()));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
    }
}
