//! Texts in which the same scanner found nothing not long ago, so that a conversation is not
//! scanned whole again with each of its turns. Keeps a keyed fingerprint of a text and nothing of
//! what it says; bounded in number and in time, in memory only. Never decides which verdicts may
//! be kept: the session does.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use parking_lot::Mutex;

/// Locks; each is held for a look-up in a set.
const SHARDS: usize = 16;
/// Texts of one shard and generation: 262,144 in all, some 9 MB. Past that the older half goes.
const SHARD_TEXTS_MAX: usize = 8_192;

/// A text in its context, by its fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark([u8; 16]);

/// See the head of this file.
pub(super) struct CleanTexts {
    /// None where nothing is kept.
    key: Option<LessSafeKey>,
    contexts: RandomState,
    shards: Box<[Mutex<Shard>]>,
    /// A text is forgotten at the latest after two of these, at the earliest after one.
    generation_ms: u64,
}

/// What was seen in this generation, and what only in the one before.
#[derive(Default)]
struct Shard {
    young: HashSet<Mark>,
    old: HashSet<Mark>,
    began_ms: u64,
}

// === impl CleanTexts ===

impl CleanTexts {
    /// Texts are kept for `keep_ms` at most after they were last seen; 0: none is.
    pub(super) fn new(keep_ms: u64) -> Self {
        Self {
            key: (keep_ms > 0).then(random_key).flatten(),
            contexts: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            generation_ms: keep_ms / 2,
        }
    }

    /// The fingerprint of a text in its context: whose it is, who scans it, where it stands.
    ///
    /// It is the GMAC of the text under a key of this process, with the keyed hash of the context
    /// as its nonce. Two texts of 16 MiB have the same one with a probability of 2^-108, and who
    /// does not know the key can't look for such a pair: no fingerprint leaves the process, so
    /// that a nonce may be used again. That is what keeps a text from passing for another one.
    pub(super) fn mark(&self, context: impl Hash, text: &str) -> Option<Mark> {
        let key = self.key.as_ref()?;
        let mut nonce = [0; 12];
        let context = self.contexts.hash_one(context).to_le_bytes();
        for (byte, hashed) in nonce.iter_mut().zip(context) {
            *byte = hashed;
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let text = Aad::from(text.as_bytes());
        let tag = key.seal_in_place_separate_tag(nonce, text, &mut []).ok()?;
        tag.as_ref().try_into().ok().map(Mark)
    }

    /// Whether it was kept and is not yet forgotten; if so, it is as young as a new one again.
    pub(super) fn knows(&self, mark: Mark, now_ms: u64) -> bool {
        let Some(shard) = self.shard(mark) else { return false };
        let mut shard = shard.lock();
        shard.age(now_ms, self.generation_ms);
        if shard.young.contains(&mark) {
            return true;
        }
        let known = shard.old.remove(&mark);
        if known {
            shard.young.insert(mark);
        }
        known
    }

    /// Nothing was found in it.
    pub(super) fn keep(&self, mark: Mark, now_ms: u64) {
        if let Some(shard) = self.shard(mark) {
            let mut shard = shard.lock();
            shard.age(now_ms, self.generation_ms);
            shard.young.insert(mark);
        }
    }

    fn shard(&self, mark: Mark) -> Option<&Mutex<Shard>> {
        let [first, ..] = mark.0;
        self.shards.get(usize::from(first).checked_rem(self.shards.len())?)
    }
}

impl fmt::Debug for CleanTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CleanTexts").finish_non_exhaustive()
    }
}

/// None where the system gives no random bytes.
fn random_key() -> Option<LessSafeKey> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?))
}

// === impl Shard ===

impl Shard {
    /// Begins a new generation where this one is over or full.
    fn age(&mut self, now_ms: u64, generation_ms: u64) {
        let passed = now_ms.saturating_sub(self.began_ms);
        if passed < generation_ms && self.young.len() < SHARD_TEXTS_MAX {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if passed >= generation_ms.saturating_mul(2) {
            self.old = HashSet::new();
        }
        self.began_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_in_its_own_context_only() {
        let texts = CleanTexts::new(1_000);
        let mark = |context: &str, text: &str| texts.mark(context, text).unwrap();
        texts.keep(mark("one", "a text"), 0);
        assert!(texts.knows(mark("one", "a text"), 0));
        for (context, text) in
            [("two", "a text"), ("one", "a text "), ("one", "b text"), ("one", "")]
        {
            assert!(!texts.knows(mark(context, text), 0), "{context} {text}");
        }
        let other = CleanTexts::new(1_000);
        assert_ne!(other.mark("one", "a text").unwrap().0, mark("one", "a text").0, "another key");
    }

    #[test]
    fn what_is_not_seen_again_is_forgotten() {
        let texts = CleanTexts::new(1_000);
        let [seen, unseen] = ["seen", "unseen"].map(|text| texts.mark("", text).unwrap());
        texts.keep(seen, 0);
        texts.keep(unseen, 0);
        for now_ms in (0..5_000).step_by(400) {
            assert!(texts.knows(seen, now_ms), "{now_ms}");
        }
        assert!(!texts.knows(unseen, 5_000));
        assert!(!texts.knows(seen, 7_000));
        assert!(CleanTexts::new(0).mark("", "seen").is_none(), "where nothing is kept");
    }

    #[test]
    fn never_are_there_too_many() {
        let texts = CleanTexts::new(1_000);
        for number in 0..400_000_u32 {
            texts.keep(texts.mark(number, "").unwrap(), 0);
        }
        let kept = |shard: &Mutex<Shard>| shard.lock().young.len() + shard.lock().old.len();
        let kept: usize = texts.shards.iter().map(kept).sum();
        assert!(kept <= SHARDS * SHARD_TEXTS_MAX * 2, "{kept}");
        assert!(texts.knows(texts.mark(399_999_u32, "").unwrap(), 0), "the oldest go first");
    }
}
