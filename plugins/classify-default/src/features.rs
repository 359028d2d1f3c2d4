//! The features of a turn: its words, their beginnings and ends, pairs of words, the words with
//! which it begins and ends once more, and the shape of its lines, each as a number of 32 bits. One
//! pass over the text, which adds up the weights as it goes. The training program runs this very
//! code, so there is nothing that the two could disagree about. Never decides anything.

use crate::model::{BATCH, Batch, Part, Sums, Weights};
use crate::needles;
use crate::shape::Shape;

/// Words at either end of the turn that count once more by where they stand: an instruction is
/// nearly always there, and what it is about in between.
const EDGE_WORDS: usize = 12;
/// Longer numbers are as good as this long.
const MOST_DIGITS: u32 = 4;

/// A word has at most so many features, of which two are for where it stands.
const FEATURES_OF_A_WORD: usize = 8;
const _: () = assert!(FEATURES_OF_A_WORD <= BATCH && EDGE_WORDS <= BATCH);
/// All that the shape of a text says fits beside each other.
const FEATURES_OF_A_FORM: usize =
    Shape::VALUES + Shape::TOGETHER.len() + REPETITION_WEIGHT as usize;
const _: () = assert!(FEATURES_OF_A_FORM <= BATCH && BATCH <= 32);

const SEED: u32 = 0x811C_9DC5;
const PRIME: u32 = 0x0100_0193;
/// Marks the kind of a feature within the hash.
const BEGINNING_4: u32 = 1;
const BEGINNING_5: u32 = 2;
const ENDING_3: u32 = 3;
const PAIR: u32 = 4;
const PAIR_OF_BEGINNINGS: u32 = 5;
const AT_HEAD: u32 = 6;
const AT_HEAD_BEGINNING: u32 = 7;
const AT_TAIL: u32 = 8;
const NUMBER: u32 = 9;
const FORM: u32 = 10;
const REPETITION: u32 = 11;
const FORMS: u32 = 12;
/// The share of words that repeat, in so many steps, and as so many features: what is asked about
/// a few things over and over is harder than it is long.
const REPETITION_STEPS: u32 = 12;
const REPETITION_WEIGHT: u32 = 3;

/// What the pass over a turn finds.
pub(crate) struct Features<'w> {
    /// The weights of all distinct features.
    pub(crate) sums: Sums<'w>,
    /// Words of the last turn.
    pub(crate) words: u32,
    /// Those that were there before.
    repeated: u32,
    /// Distinct signs of a hard task, as bits.
    pub(crate) hard: u32,
    pub(crate) shape: Shape,
    previous: Word,
    /// The last words, for [`AT_TAIL`]; a ring.
    tail: [u32; EDGE_WORDS],
    word: Word,
    /// Features that are not added up yet.
    batch: Batch,
    /// Which of them are words of the last turn, as bits.
    own_words: u32,
    /// The distinct features as they came, and the part that each belongs to.
    #[cfg(feature = "train")]
    pub(crate) found: Vec<(u32, usize)>,
}

/// A word in the making.
#[derive(Debug, Clone, Copy)]
struct Word {
    hash: u32,
    /// Of the first four and five characters.
    first4: u32,
    first5: u32,
    /// The last three characters, 10 bits each.
    last3: u32,
    length: u32,
    digits: u32,
}

const NO_WORD: Word =
    Word { hash: SEED, first4: SEED, first5: SEED, last3: 0, length: 0, digits: 0 };

impl<'w> Features<'w> {
    /// Of the last turn's window, and of what stood before it where it is read too.
    pub(crate) fn of(weights: Weights<'w>, own: &str, before: &str) -> Self {
        let mut features = Self::none(weights);
        features.read(own, true);
        features.tail();
        features.form();
        features.previous = NO_WORD;
        features.read(before, false);
        features.add_up();
        features
    }

    fn none(weights: Weights<'w>) -> Self {
        Self {
            sums: Sums::new(weights),
            words: 0,
            repeated: 0,
            hard: 0,
            shape: Shape::default(),
            previous: NO_WORD,
            tail: [0; EDGE_WORDS],
            word: NO_WORD,
            batch: Batch::EMPTY,
            own_words: 0,
            #[cfg(feature = "train")]
            found: Vec::new(),
        }
    }

    fn read(&mut self, text: &str, own: bool) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(rest @ [byte, ..]) = bytes.get(at..) {
            if small(*byte) != 0 {
                at += self.run(rest, own);
            } else if byte.is_ascii() {
                if own {
                    self.shape.take(u32::from(*byte));
                }
                self.end_word(own);
                at += 1;
            } else {
                let Some(character) = text.get(at..).and_then(|it| it.chars().next()) else {
                    break;
                };
                self.character(u32::from(character), own);
                at += character.len_utf8();
            }
        }
        self.end_word(own);
    }

    /// Takes the small and capital letters and the digits of ASCII with which the text goes on;
    /// tells how many they are. One loop, which ends once a word: where another would end, nobody
    /// could foresee either.
    #[inline]
    fn run(&mut self, rest: &[u8], own: bool) -> usize {
        let mut word = self.word;
        if word.length == 0 {
            self.hard |= needles::at(rest);
        }
        let mut length = 0;
        for byte in rest {
            let code = small(*byte);
            if code == 0 {
                break;
            }
            word.push(u32::from(code));
            length += 1;
        }
        if own {
            let digits = word.digits - self.word.digits;
            self.shape.run(rest.get(..length).unwrap_or_default(), digits);
        }
        self.word = word;
        length
    }

    /// Takes a character beyond ASCII.
    fn character(&mut self, code: u32, own: bool) {
        if own {
            self.shape.take(code);
        }
        match kind(code) {
            Kind::Letter => self.word.push(lower(code)),
            Kind::Alone => {
                self.end_word(own);
                self.word.push(code);
                self.end_word(own);
            }
            Kind::Gap => self.end_word(own),
        }
    }

    fn end_word(&mut self, own: bool) {
        if self.word.length == 0 {
            return;
        }
        self.make_room(FEATURES_OF_A_WORD);
        let mut word = std::mem::replace(&mut self.word, NO_WORD);
        if word.digits == word.length {
            word.hash = mix(word.length.min(MOST_DIGITS), NUMBER);
            (word.first4, word.length) = (word.hash, 1);
        }
        self.own_words |= u32::from(own) << self.batch.length();
        self.batch.push(Part::Words, word.hash);
        let long = word.length > 4;
        self.batch.push_if(long, Part::Words, mix(word.first4, BEGINNING_4));
        self.batch.push_if(long, Part::Words, mix(word.last3, ENDING_3));
        self.batch.push_if(word.length > 5, Part::Words, mix(word.first5, BEGINNING_5));
        let before = self.previous;
        self.batch.push(Part::Pairs, mix(before.hash.rotate_left(7) ^ word.hash, PAIR));
        let beginnings = before.first4.rotate_left(7) ^ word.first4;
        let long = long | (before.length > 4);
        self.batch.push_if(long, Part::Pairs, mix(beginnings, PAIR_OF_BEGINNINGS));
        self.previous = word;
        if own {
            self.edge(&word);
        }
    }

    fn edge(&mut self, word: &Word) {
        let nth = usize::try_from(self.words).unwrap_or(usize::MAX);
        if nth < EDGE_WORDS {
            self.batch.push(Part::Head, mix(word.hash, AT_HEAD));
            if word.length > 4 {
                self.batch.push(Part::Head, mix(word.first4, AT_HEAD_BEGINNING));
            }
        }
        if let Some(place) = self.tail.get_mut(nth % EDGE_WORDS) {
            *place = word.hash;
        }
        self.words += 1;
    }

    fn tail(&mut self) {
        self.make_room(EDGE_WORDS);
        for hash in self.tail {
            if hash != 0 {
                self.batch.push(Part::Tail, mix(hash, AT_TAIL));
            }
        }
    }

    fn form(&mut self) {
        self.add_up();
        self.shape.end();
        let mut values = [0; Shape::VALUES];
        self.shape.values(&mut values);
        for (name, value) in (0_u32..).zip(values) {
            self.batch.push(Part::Form, mix(name << 8 | value, FORM));
        }
        for (name, (one, other)) in (0_u32..).zip(Shape::TOGETHER) {
            let value = |index: usize| values.get(index).copied().unwrap_or_default();
            let both = name << 16 | value(one) << 8 | value(other);
            self.batch.push(Part::Form, mix(both, FORMS));
        }
        let repeated = self.repeated * REPETITION_STEPS / self.words.max(1);
        for copy in 0..REPETITION_WEIGHT {
            self.batch.push(Part::Form, mix(copy << 8 | repeated, REPETITION));
        }
    }

    /// Sees to it that so many more features have room.
    #[inline]
    fn make_room(&mut self, features: usize) {
        if self.batch.room() < features {
            self.add_up();
        }
    }

    /// Adds up the features that were found since the last time.
    fn add_up(&mut self) {
        #[cfg(feature = "train")]
        let came: Vec<(u32, usize)> = self.batch.all().collect();
        let new = self.sums.add(&mut self.batch);
        self.repeated += (self.own_words & !new).count_ones();
        self.own_words = 0;
        #[cfg(feature = "train")]
        self.found.extend(
            came.into_iter().enumerate().filter(|(nth, _)| new >> nth & 1 == 1).map(|(_, it)| it),
        );
    }
}

impl Word {
    #[inline]
    fn push(&mut self, code: u32) {
        self.hash = step(self.hash, code);
        self.length += 1;
        self.first4 = if self.length <= 4 { self.hash } else { self.first4 };
        self.first5 = if self.length <= 5 { self.hash } else { self.first5 };
        self.last3 = (self.last3 << 10 ^ code) & 0x3FFF_FFFF;
        self.digits += u32::from(code.wrapping_sub(48) < 10);
    }
}

const fn step(hash: u32, code: u32) -> u32 {
    (hash ^ code).wrapping_mul(PRIME)
}

const fn mix(hash: u32, kind: u32) -> u32 {
    (hash ^ (hash >> 15) ^ kind.wrapping_mul(0x85EB_CA6B)).wrapping_mul(PRIME)
}

enum Kind {
    /// Part of a word.
    Letter,
    /// A word of its own: scripts without gaps between words, and Korean syllables.
    Alone,
    Gap,
}

fn kind(code: u32) -> Kind {
    match code {
        0x30..=0x39 | 0x41..=0x5A | 0x61..=0x7A => Kind::Letter,
        0..=0xBF | 0x2000..=0x206F | 0x3000..=0x303F | 0xFF00..=0xFF0F | 0xFF1A..=0xFF1F => {
            Kind::Gap
        }
        0xE00..=0xEFF | 0x3040..=0x30FF | 0x3400..=0x9FFF | 0xAC00..=0xD7AF => Kind::Alone,
        _ => Kind::Letter,
    }
}

/// What [`small`] says of each byte.
#[allow(clippy::indexing_slicing, reason = "in a constant a wrong index ends the build")]
static SMALL: [u8; 256] = {
    let mut small = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            small[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    small
};

/// The small letter of one of ASCII, a digit as it is, and 0 for every other byte.
#[inline]
fn small(byte: u8) -> u8 {
    SMALL.get(usize::from(byte)).copied().unwrap_or(0)
}

/// The small letter, of Latin, Greek and Cyrillic capitals.
fn lower(code: u32) -> u32 {
    match code {
        0x41..=0x5A | 0xC0..=0xDE | 0x391..=0x3A9 | 0x410..=0x42F => code + 0x20,
        0x100..=0x17F | 0x1E00..=0x1EFF => code | 1,
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::Features;
    use crate::model::{WEIGHTS, Weights};
    use crate::shape::Shape;

    /// Runs of letters, features in batches: all of it comes to what one character after the other
    /// comes to, with each feature added up as it comes.
    #[test]
    fn what_is_taken_together_counts_as_if_it_came_one_by_one() {
        let long = "The 12 toll-keepers keep the keys; ÉCOLE x1 été 42nd A) é1b — ".repeat(30);
        for text in ["", "a", "1", "ab é", "éa b", "Row: 1,2,3\n- b) {x}\n\tif (y) {", &long] {
            let mut whole = Features::none(Weights(WEIGHTS));
            whole.read(text, true);
            whole.add_up();
            let mut single = Features::none(Weights(WEIGHTS));
            for character in text.chars() {
                single.character(u32::from(character), true);
                single.add_up();
            }
            single.end_word(true);
            single.add_up();
            assert_eq!((whole.words, whole.repeated), (single.words, single.repeated), "{text}");
            assert_eq!(whole.sums.scores(), single.sums.scores(), "{text}");
            assert_eq!(whole.sums.gain(), single.sums.gain(), "{text}");
            let shape = |features: &mut Features<'_>| {
                let mut values = [0; Shape::VALUES];
                features.shape.end();
                features.shape.values(&mut values);
                values
            };
            assert_eq!(shape(&mut whole), shape(&mut single), "{text}");
        }
    }
}
