//! The features of a text: hashed words, its first words once more, and marks of its form, as
//! distinct bucket numbers. `train/features.py` computes the same, and a test holds the two
//! together.

/// Number of buckets; a row of weights each.
pub(crate) const BUCKETS: usize = 4096;
/// A longer text is known by both of its ends.
pub(crate) const HEAD_BYTES: u32 = 1536;
pub(crate) const TAIL_BYTES: u32 = 768;

const FNV_OFFSET: u32 = 0x811C_9DC5;
const FNV_PRIME: u32 = 0x0100_0193;
const FIRST_WORDS: usize = 4;

/// Marks whose presence says something about the task.
const MARKS: [&[u8]; 11] =
    [b"```", b"?", b"def ", b"();", b"{", b"\\", b"$", b"\n- ", b"(a)", b".csv", b"http"];

/// A set of buckets.
pub(crate) struct Features {
    seen: [u64; BUCKETS / 64],
    /// Distinct buckets in the order in which they were met.
    pub(crate) buckets: Vec<usize>,
}

impl Features {
    /// Of a text in lower case that is a window already.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut features =
            Self { seen: [0; BUCKETS / 64], buckets: Vec::with_capacity(text.len() / 3 + 16) };
        features.words(text);
        features.form(text);
        features
    }

    fn add(&mut self, hash: u32) {
        // BUCKETS is a power of two below 2^32.
        let bucket = usize::try_from(hash ^ (hash >> 15)).unwrap_or(0) % BUCKETS;
        let bit = 1_u64 << (bucket % 64);
        if let Some(seen) = self.seen.get_mut(bucket / 64) {
            if *seen & bit == 0 {
                *seen |= bit;
                self.buckets.push(bucket);
            }
        }
    }

    fn words(&mut self, text: &[u8]) {
        let words = text.split(|byte| !is_word(*byte)).filter(|word| !word.is_empty());
        for (index, word) in words.enumerate() {
            let hash = mix(FNV_OFFSET, word);
            self.add(hash);
            if index < FIRST_WORDS {
                self.add(mix(hash, b"^"));
            }
        }
    }

    fn form(&mut self, text: &[u8]) {
        let count = |wanted: fn(&u8) -> bool| text.iter().filter(|byte| wanted(byte)).count();
        self.mark(b"#length", bits(text.len()).min(16));
        self.mark(b"#lines", bits(count(|byte| *byte == b'\n')).min(8));
        self.mark(b"#digits", bits(count(u8::is_ascii_digit)).min(8));
        let found = found(text, &MARKS, false);
        for (index, mark) in MARKS.iter().enumerate() {
            if found & (1 << index) != 0 {
                self.add(mix(mix(FNV_OFFSET, b"#has"), mark));
            }
        }
    }

    fn mark(&mut self, name: &[u8], number: u32) {
        self.add(mix(mix(FNV_OFFSET, name), number.to_string().as_bytes()));
    }
}

fn bits(number: usize) -> u32 {
    usize::BITS - number.leading_zeros()
}

fn mix(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// Which of at most 32 needles occur, as bits, in one pass; with `at_words` only where a word
/// begins.
pub(crate) fn found(text: &[u8], needles: &[&[u8]], at_words: bool) -> u32 {
    let mut begins = [false; 256];
    for first in needles.iter().filter_map(|needle| needle.first()) {
        if let Some(slot) = begins.get_mut(usize::from(*first)) {
            *slot = true;
        }
    }
    let mut bits = 0;
    let mut in_word = false;
    for (at, byte) in text.iter().enumerate() {
        let continues = at_words && in_word;
        in_word = is_word(*byte);
        if continues || !begins.get(usize::from(*byte)).is_some_and(|begins| *begins) {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        for (index, needle) in needles.iter().enumerate() {
            if needle.first() == Some(byte) && rest.starts_with(needle) {
                bits |= 1 << (index % 32);
            }
        }
    }
    bits
}

/// Words are runs of ASCII letters and digits and of everything beyond ASCII.
pub(crate) fn is_word(byte: u8) -> bool {
    byte >= 0x80 || byte.is_ascii_alphanumeric()
}
