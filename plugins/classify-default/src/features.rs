//! The features of a text: hashed words, its first words once more, and marks of its form, as
//! distinct bucket numbers; and beside them the signs of difficulty and of a task that it names.
//! All in one pass over the bytes. `train/features.py` computes the same features, and a test
//! holds the two together.

use crate::model::Sums;
use crate::needles::{self, ANYWHERE, AT_WORDS, Sign, WORD};

/// Number of buckets; a row of weights each.
pub(crate) const BUCKETS: usize = 4096;
/// A longer text is known by both of its ends.
pub(crate) const HEAD_BYTES: u32 = 768;
pub(crate) const TAIL_BYTES: u32 = 256;

const FNV_OFFSET: u32 = 0x811C_9DC5;
const FNV_PRIME: u32 = 0x0100_0193;
const FIRST_WORDS: u32 = 4;
const LENGTH: u32 = mix(FNV_OFFSET, b"#length");
const LINES: u32 = mix(FNV_OFFSET, b"#lines");
const DIGITS: u32 = mix(FNV_OFFSET, b"#digits");
const HAS: u32 = mix(FNV_OFFSET, b"#has");
/// Where a verb must stand, from either end of the turn, to be what is asked for.
const VERB_BYTES: usize = 160;

/// What one pass over a text finds.
pub(crate) struct Features {
    seen: [u64; BUCKETS / 64],
    /// The weights of all distinct buckets.
    pub(crate) sums: Sums,
    pub(crate) words: u32,
    /// A code fence is in the text.
    pub(crate) fence: bool,
    /// The task that a verb at the beginning or the end of the turn names.
    pub(crate) asked: Option<&'static str>,
    /// Distinct signs of a hard task, as bits.
    pub(crate) hard: u32,
    marks: u32,
}

impl Features {
    /// Of a text in lower case that is a window already; its first `own` bytes are the last turn.
    pub(crate) fn of(text: &[u8], own: usize) -> Self {
        let mut features = Self {
            seen: [0; BUCKETS / 64],
            sums: Sums::default(),
            words: 0,
            fence: false,
            asked: None,
            hard: 0,
            marks: 0,
        };
        features.read(text, own);
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
                self.sums.add(bucket);
            }
        }
    }

    fn read(&mut self, text: &[u8], own: usize) {
        let mut hash = FNV_OFFSET;
        let mut in_word = false;
        for (at, byte) in text.iter().enumerate() {
            let class = needles::class(*byte);
            if class & ANYWHERE != 0 || (class & AT_WORDS != 0 && !in_word) {
                self.signs(text, at, *byte, in_word, own);
            }
            if class & WORD != 0 {
                hash = step(hash, *byte);
                in_word = true;
            } else if in_word {
                self.word(hash);
                hash = FNV_OFFSET;
                in_word = false;
            }
        }
        if in_word {
            self.word(hash);
        }
    }

    fn word(&mut self, hash: u32) {
        self.add(hash);
        if self.words < FIRST_WORDS {
            self.add(step(hash, b'^'));
        }
        self.words += 1;
    }

    fn signs(&mut self, text: &[u8], at: usize, first: u8, in_word: bool, own: usize) {
        let rest = text.get(at..).unwrap_or_default();
        for (needle, sign) in needles::beginning_with(first) {
            // The second byte tells nearly always, and a comparison of slices is a call.
            if needle.get(1).is_some_and(|second| rest.get(1) != Some(second))
                || !rest.starts_with(needle)
            {
                continue;
            }
            match *sign {
                Sign::Mark(index) => self.marks |= 1 << index,
                Sign::Hard(index) if !in_word => self.hard |= 1 << index,
                Sign::Asks(task) if !in_word || first >= 0x80 => {
                    let near = at < VERB_BYTES || at + VERB_BYTES >= own;
                    if at < own && near {
                        self.ask(task);
                    }
                }
                Sign::Hard(_) | Sign::Asks(_) => {}
            }
        }
    }

    /// Whoever asks for a translation of a summary wants a translation.
    fn ask(&mut self, task: &'static str) {
        if self.asked.is_none_or(|asked| needles::rank(task) < needles::rank(asked)) {
            self.asked = Some(task);
        }
    }

    fn form(&mut self, text: &[u8]) {
        let count = |wanted: fn(&u8) -> bool| text.iter().filter(|byte| wanted(byte)).count();
        self.mark(LENGTH, bits(text.len()).min(16));
        self.mark(LINES, bits(count(|byte| *byte == b'\n')).min(8));
        self.mark(DIGITS, bits(count(u8::is_ascii_digit)).min(8));
        self.fence = self.marks & 1 != 0;
        for (index, mark) in needles::MARKS.iter().enumerate() {
            if self.marks & (1 << index) != 0 {
                self.add(mix(HAS, mark));
            }
        }
    }

    /// Adds a named number below a hundred.
    fn mark(&mut self, name: u32, number: u32) {
        let digit = |value: u32| b'0' + u8::try_from(value % 10).unwrap_or(0);
        let tens = if number < 10 { name } else { step(name, digit(number / 10)) };
        self.add(step(tens, digit(number)));
    }

    /// The distinct buckets, in order.
    #[cfg(test)]
    pub(crate) fn buckets(&self) -> Vec<usize> {
        (0..BUCKETS).filter(|it| self.seen[it / 64] >> (it % 64) & 1 == 1).collect()
    }
}

fn bits(number: usize) -> u32 {
    usize::BITS - number.leading_zeros()
}

const fn step(hash: u32, byte: u8) -> u32 {
    // `From` is not const.
    (hash ^ byte as u32).wrapping_mul(FNV_PRIME)
}

const fn mix(seed: u32, mut bytes: &[u8]) -> u32 {
    let mut hash = seed;
    while let Some((byte, rest)) = bytes.split_first() {
        hash = step(hash, *byte);
        bytes = rest;
    }
    hash
}
