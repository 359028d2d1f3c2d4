//! The dictionary of a segment: texts that repeat (offers, keys, reasons…) are written once, in
//! frames of their own before the first record that uses them, and records hold their numbers.
//! Every segment has its own, so it can be read and removed without any other.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::UsageError;
use super::board::{BOARD, Board, BoardBook, Standings};
use super::roster::{ROSTER, Rosters};
use super::segment::{for_each, widen};
use super::wire::{Broken, Reader, put};

/// The first byte of a frame with words. Another version of the format takes another number.
pub(super) const WORDS: u8 = 2;

/// Words in a dictionary: far more than a gateway has offers, keys and reasons. What comes beyond
/// (a caller inventing names) is written out in each record, until the segment is full.
const WORDS_MAX: usize = 16_384;

/// Bytes of a dictionary's words, so that all of them fit into one frame.
const WORDS_BYTES_MAX: usize = 512 * 1024;

/// The longest word. Longer texts seldom repeat.
const WORD_BYTES_MAX: usize = 200;

/// Dictionaries of old segments kept in memory for readers: each usually of two to four MiB.
const BOOKS_MAX: usize = 4;

/// The words of a segment by number, for reading.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    words: Vec<Arc<str>>,
    rosters: Vec<Arc<[u8]>>,
    board: BoardBook,
}

/// How much of a dictionary there is in frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Framed {
    words: usize,
    rosters: usize,
    board: usize,
}

/// The same for writing.
#[derive(Debug, Default)]
pub(super) struct Lexicon {
    words: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    bytes: usize,
    pub(super) rosters: Rosters,
    pub(super) board: Board,
}

/// The dictionaries that are in memory, by segment: that of the open one, and some others.
#[derive(Debug, Default)]
pub(super) struct Books(BTreeMap<u64, Arc<Book>>);

// === impl Book ===

impl Book {
    pub(super) fn get(&self, number: u64) -> Option<&Arc<str>> {
        self.words.get(usize::try_from(number).ok()?)
    }

    /// A roster's bytes.
    pub(super) fn roster(&self, number: u64) -> Option<&[u8]> {
        self.rosters.get(usize::try_from(number).ok()?).map(|bytes| &**bytes)
    }

    /// How all offers were doing at a place of the board.
    pub(super) fn standings(&self, place: u64) -> Result<Standings, Broken> {
        self.board.at(place)
    }

    /// Reads a frame of words, a roster, or a part of the board.
    fn read(&mut self, payload: &[u8]) -> Result<(), Broken> {
        let mut reader = Reader(payload);
        let kind = reader.byte()?;
        if kind == BOARD {
            return self.board.read(reader, self.words.len());
        }
        let first = usize::try_from(reader.varint()?).map_err(|_| Broken)?;
        match kind {
            WORDS if first == self.words.len() => {
                while !reader.is_empty() {
                    self.words.push(reader.text()?.into());
                }
                Ok(())
            }
            ROSTER if first == self.rosters.len() => {
                self.rosters.push(reader.0.into());
                Ok(())
            }
            _ => Err(Broken),
        }
    }
}

// === impl Lexicon ===

impl Lexicon {
    /// Goes on with the words of a segment that is opened again.
    pub(super) fn go_on(book: &Book) -> Self {
        let (rosters, board) = (Rosters::go_on(&book.rosters), Board::go_on(&book.board));
        let mut lexicon = Self { rosters, board, ..Self::default() };
        for word in &book.words {
            lexicon.add(Arc::clone(word));
        }
        lexicon
    }

    /// How many words there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// The number of a word, which is added if there is room for it.
    pub(super) fn number(&mut self, word: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(word) {
            return Some(*number);
        }
        let bytes = self.bytes.saturating_add(word.len());
        let room = self.words.len() < WORDS_MAX && bytes <= WORDS_BYTES_MAX;
        (room && word.len() <= WORD_BYTES_MAX).then(|| self.add(word.into()))
    }

    /// The same where the number is likely to be `guess`: comparing is much cheaper than hashing.
    pub(super) fn number_near(&mut self, guess: Option<u32>, word: &str) -> Option<u32> {
        let guessed = guess
            .and_then(|guess| self.words.get(usize::try_from(guess).ok()?))
            .is_some_and(|guessed| **guessed == *word);
        if guessed { guess } else { self.number(word) }
    }

    fn add(&mut self, word: Arc<str>) -> u32 {
        let number = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        self.bytes = self.bytes.saturating_add(word.len());
        self.words.push(Arc::clone(&word));
        self.numbers.insert(word, number);
        number
    }

    /// How much there is.
    pub(super) fn framed(&self) -> Framed {
        let (words, rosters) = (self.words.len(), self.rosters.len());
        Framed { words, rosters, board: self.board.len() }
    }

    /// The payloads of the frames with what has come since: words, then what uses them.
    pub(super) fn frames(&self, since: Framed) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let words = self.since(since.words);
        if !words.is_empty() {
            let mut payload = vec![WORDS];
            put(&mut payload, widen(since.words));
            for word in words {
                put(&mut payload, widen(word.len()));
                payload.extend(word.as_bytes());
            }
            frames.push(payload);
        }
        for (place, roster) in self.rosters.since(since.rosters).iter().enumerate() {
            let mut payload = vec![ROSTER];
            put(&mut payload, widen(since.rosters.saturating_add(place)));
            payload.extend_from_slice(roster);
            frames.push(payload);
        }
        frames.extend(self.board.frames(since.board));
        frames
    }

    fn since(&self, first: usize) -> &[Arc<str>] {
        self.words.get(first..).unwrap_or_default()
    }
}

// === impl Books ===

impl Books {
    pub(super) fn get(&self, segment: u64) -> Option<Arc<Book>> {
        self.0.get(&segment).map(Arc::clone)
    }

    /// Keeps a segment's dictionary, letting that of the oldest other segment go. The open segment
    /// is the newest and so never goes.
    pub(super) fn keep(&mut self, segment: u64, book: Arc<Book>) {
        self.0.insert(segment, book);
        if self.0.len() > BOOKS_MAX
            && let Some(oldest) = self.0.keys().find(|number| **number != segment).copied()
        {
            self.0.remove(&oldest);
        }
    }

    pub(super) fn forget(&mut self, segment: u64) {
        self.0.remove(&segment);
    }

    /// Tells readers the words that a segment has got. Copies the dictionary only while a reader
    /// is using it.
    pub(super) fn extend(&mut self, segment: u64, lexicon: &Lexicon) {
        let book = Arc::make_mut(self.0.entry(segment).or_default());
        book.words.extend_from_slice(lexicon.since(book.words.len()));
        book.rosters.extend_from_slice(lexicon.rosters.since(book.rosters.len()));
        let caught_up = book.board.catch_up(&lexicon.board, book.words.len());
        debug_assert_eq!(caught_up, Ok(()), "what was written is read");
    }
}

/// Calls `each` with every frame that holds no words and the words so far, as
/// [`super::segment::for_each`] does. Words that can't be read make the records that use them
/// unreadable, and those only.
pub(super) fn for_each_record(
    path: &Path,
    book: &mut Book,
    mut each: impl FnMut(u64, &[u8], &Book) -> bool,
) -> Result<u64, UsageError> {
    for_each(path, |offset, payload| {
        if !matches!(payload.first(), Some(&(WORDS | ROSTER | BOARD))) {
            return each(offset, payload, book);
        }
        if book.read(payload).is_err() {
            tracing::warn!(path = %path.display(), offset, "words of usage records are unreadable");
        }
        true
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{BOOKS_MAX, Book, Books, Framed, Lexicon, WORD_BYTES_MAX, WORDS_MAX};

    #[test]
    fn words_are_numbered_once_and_read_back_in_several_frames() {
        let mut lexicon = Lexicon::default();
        assert_eq!(lexicon.number("one"), Some(0));
        let first = lexicon.frames(Framed::default()).concat();
        let framed = lexicon.framed();
        assert_eq!(lexicon.number("two"), Some(1));
        assert_eq!(lexicon.number("one"), Some(0));
        let second = lexicon.frames(framed).concat();
        let mut book = Book::default();
        assert!(book.read(&second).is_err(), "out of order");
        book.read(&first).unwrap();
        book.read(&second).unwrap();
        assert_eq!(book.get(1).map(|word| &**word), Some("two"));
        assert_eq!(book.get(2), None);
        assert_eq!(lexicon.number_near(Some(1), "two"), Some(1));
        assert_eq!(lexicon.number_near(Some(9), "one"), Some(0));
        let mut again = Lexicon::go_on(&book);
        assert_eq!((again.number("two"), again.number("three")), (Some(1), Some(2)));
    }

    #[test]
    fn a_dictionary_is_bounded() {
        let mut lexicon = Lexicon::default();
        assert_eq!(lexicon.number(&"x".repeat(WORD_BYTES_MAX + 1)), None);
        for number in 0..WORDS_MAX {
            assert!(lexicon.number(&number.to_string()).is_some());
        }
        assert_eq!(lexicon.number("one more"), None);
        assert_eq!(lexicon.number("7"), Some(7));
    }

    #[test]
    fn only_some_dictionaries_stay_in_memory_and_the_newest_does() {
        let mut books = Books::default();
        books.keep(1_000, Arc::default());
        for number in (1..100).rev() {
            books.keep(number, Arc::default());
            assert!(books.get(number).is_some());
        }
        assert!(books.get(1_000).is_some());
        assert_eq!(books.0.len(), BOOKS_MAX);
    }
}
