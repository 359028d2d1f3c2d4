//! Texts in which the same scanner found nothing not long ago, so that a conversation is not
//! scanned whole again with each of its turns. Keeps a keyed fingerprint of a text and nothing of
//! what it says; bounded in number and in time, in memory only. Never decides which verdicts may
//! be kept: the session does.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use parking_lot::Mutex;

/// Locks; each is held for a look-up in a set.
const SHARDS: usize = 16;
/// Texts of one shard and generation: 262,144 in all, some 9 MB. Past that the older half goes.
const SHARD_TEXTS_MAX: usize = 8_192;

/// A text in its context, by its fingerprint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark([u8; 16]);

/// Whose a text is, who scans it and where it stands, as a keyed hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context([u8; 8]);

type Marks = HashSet<Mark, BuildHasherDefault<LastBytes>>;

/// A fingerprint is as good as random already: its last bytes are its hash, for its first choose
/// the shard.
#[derive(Default)]
struct LastBytes(u64);

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
    young: Marks,
    old: Marks,
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

    /// What [`Self::mark`] needs to know beside the text.
    pub(super) fn context(&self, of: impl Hash) -> Context {
        Context(self.contexts.hash_one(of).to_le_bytes())
    }

    /// The fingerprint of a text in its context.
    ///
    /// It is the GMAC of the text under a key of this process, with the keyed hash of the context
    /// as its nonce. Two texts of 16 MiB have the same one with a probability of 2^-108, and who
    /// does not know the key can't look for such a pair: no fingerprint leaves the process, so
    /// that a nonce may be used again. That is what keeps a text from passing for another one.
    pub(super) fn mark(&self, context: Context, text: &str) -> Option<Mark> {
        let key = self.key.as_ref()?;
        let mut nonce = [0; 12];
        for (byte, hashed) in nonce.iter_mut().zip(context.0) {
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

// === impl Mark ===

impl Hash for Mark {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let last = self.0.last_chunk().copied().map_or(0, u64::from_le_bytes);
        state.write_u64(last);
    }
}

// === impl LastBytes ===

impl Hasher for LastBytes {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, last: u64) {
        self.0 = last;
    }

    fn finish(&self) -> u64 {
        self.0
    }
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
            self.old = Marks::default();
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
        let mark = |context: &str, text: &str| texts.mark(texts.context(context), text).unwrap();
        texts.keep(mark("one", "a text"), 0);
        assert!(texts.knows(mark("one", "a text"), 0));
        for (context, text) in
            [("two", "a text"), ("one", "a text "), ("one", "b text"), ("one", "")]
        {
            assert!(!texts.knows(mark(context, text), 0), "{context} {text}");
        }
        let other = CleanTexts::new(1_000);
        let elsewhere = other.mark(other.context("one"), "a text").unwrap();
        assert_ne!(elsewhere.0, mark("one", "a text").0, "another key");
    }

    #[test]
    fn what_is_not_seen_again_is_forgotten() {
        let texts = CleanTexts::new(1_000);
        let context = texts.context("");
        let [seen, unseen] = ["seen", "unseen"].map(|text| texts.mark(context, text).unwrap());
        texts.keep(seen, 0);
        texts.keep(unseen, 0);
        for at_ms in (0..5_000).step_by(400) {
            assert!(texts.knows(seen, at_ms), "{at_ms}");
        }
        assert!(!texts.knows(unseen, 5_000));
        assert!(!texts.knows(seen, 7_000));
        assert!(CleanTexts::new(0).mark(context, "seen").is_none(), "where nothing is kept");
    }

    #[test]
    fn never_are_there_too_many() {
        let texts = CleanTexts::new(1_000);
        let mark = |number: u32| texts.mark(texts.context(number), "").unwrap();
        for number in 0..400_000 {
            texts.keep(mark(number), 0);
        }
        let kept = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            shard.young.len() + shard.old.len()
        };
        let kept: usize = texts.shards.iter().map(kept).sum();
        assert!(kept <= SHARDS * SHARD_TEXTS_MAX * 2, "{kept}");
        assert!(texts.knows(mark(399_999), 0), "the oldest go first");
    }
}
