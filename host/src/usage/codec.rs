//! Writing and reading of a record are one walk over its fields ([`super::row`]), done by a
//! [`Codec`]: the [`Encoder`] writes the fields it is shown, the [`Decoder`] fills them in. So the
//! two can't fall apart. Texts that repeat go through the segment's dictionary.

use std::sync::Arc;

use turnpike_ledger::PicoUsd;

use super::explanation::{CandidateFact, Explanation, Label};
use super::looked_at::{LookedAt, Seen};
use super::segment::widen;
use super::template;
use super::wire::{Broken, Reader, put, put_exact, put_money};
use super::words::{Book, Lexicon};

mod candidates;
mod figures;
mod lineup;
mod rule;
mod scores;

pub(super) use lineup::Shape;

/// Every step of a walk; writing never fails.
pub(super) type Step = Result<(), Broken>;

/// In place of a word's number: there is no text.
const ABSENT: u64 = 0;

/// In place of a word's number: the text follows. Numbers follow after it.
const INLINE: u64 = 1;
const FIRST_WORD: u64 = 2;

/// Steps of the numbers that are kept exactly: six digits after the point are written shortly.
const EXACT_STEPS: f64 = 1e6;

/// A text of a record.
pub(super) trait Text: Default {
    fn text(&self) -> &str;
    fn of(word: &Arc<str>) -> Self;
}

impl Text for Arc<str> {
    fn text(&self) -> &str {
        self
    }

    fn of(word: &Arc<str>) -> Self {
        Arc::clone(word)
    }
}

impl Text for Label {
    fn text(&self) -> &str {
        self
    }

    fn of(word: &Arc<str>) -> Self {
        Self::Owned(word.to_string())
    }
}

/// What can be done with a field.
pub(super) trait Codec: Sized {
    fn number(&mut self, value: &mut u64) -> Step;
    fn bytes<const N: usize>(&mut self, value: &mut [u8; N]) -> Step;
    fn money(&mut self, value: &mut PicoUsd) -> Step;
    /// A number exactly; shortly if it is a whole number of steps.
    fn exact(&mut self, value: &mut f64, steps: f64) -> Step;
    /// A text that hardly repeats.
    fn inline(&mut self, value: &mut Arc<str>) -> Step;
    /// A text from the dictionary, if there is one.
    fn maybe_word<T: Text>(&mut self, value: &mut Option<T>) -> Step;
    /// A sentence whose numbers are kept apart from its dictionary entry, if there is one.
    fn maybe_phrase<T: Text>(&mut self, value: &mut Option<T>) -> Step;
    fn candidates(&mut self, value: &mut Vec<CandidateFact>) -> Step;
    /// The candidates with all of it, by a roster. The task and the objective come before.
    fn lineup(&mut self, explanation: &mut Explanation, shape: Shape) -> Step;
    /// What the candidates that have a quality were scored by beside it.
    fn figures(&mut self, value: &mut Vec<CandidateFact>) -> Step;

    fn float(&mut self, value: &mut f64) -> Step {
        self.exact(value, EXACT_STEPS)
    }

    fn word<T: Text>(&mut self, value: &mut T) -> Step {
        let mut some = Some(std::mem::take(value));
        self.maybe_word(&mut some)?;
        *value = some.ok_or(Broken)?;
        Ok(())
    }

    fn phrase<T: Text>(&mut self, value: &mut T) -> Step {
        let mut some = Some(std::mem::take(value));
        self.maybe_phrase(&mut some)?;
        *value = some.ok_or(Broken)?;
        Ok(())
    }

    fn small<T: Copy + Into<u64> + TryFrom<u64>>(&mut self, value: &mut T) -> Step {
        let mut wide = (*value).into();
        self.number(&mut wide)?;
        *value = T::try_from(wide).map_err(|_| Broken)?;
        Ok(())
    }

    fn flag(&mut self, value: &mut bool) -> Step {
        let mut number = u64::from(*value);
        self.number(&mut number)?;
        *value = number != 0;
        Ok(())
    }

    fn option<T: Default>(
        &mut self,
        value: &mut Option<T>,
        walk: fn(&mut Self, &mut T) -> Step,
    ) -> Step {
        let mut some = value.is_some();
        self.flag(&mut some)?;
        if some { walk(self, value.get_or_insert_default()) } else { Ok(()) }
    }

    /// A list; the one that is read into is empty.
    fn list<T: Default>(
        &mut self,
        value: &mut Vec<T>,
        walk: fn(&mut Self, &mut T) -> Step,
    ) -> Step {
        let mut count = widen(value.len());
        self.number(&mut count)?;
        let written = value.iter_mut().try_for_each(|item| walk(self, item));
        // Every item has a byte at least, so a false count ends where the bytes end.
        for _ in widen(value.len())..count {
            let mut item = T::default();
            walk(self, &mut item)?;
            value.push(item);
        }
        written
    }
}

/// Appends a record to `out`, adding new words to the dictionary.
#[derive(Debug)]
pub(super) struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    lexicon: &'a mut Lexicon,
    /// Written as the candidates, in place of those that the explanation has.
    looked_at: Option<&'a LookedAt>,
    template: String,
    numbers: Vec<u64>,
}

/// Fills a record in.
#[derive(Debug)]
pub(super) struct Decoder<'a> {
    reader: Reader<'a>,
    book: &'a Book,
}

// === impl Encoder ===

impl<'a> Encoder<'a> {
    pub(super) fn new(
        out: &'a mut Vec<u8>,
        lexicon: &'a mut Lexicon,
        looked_at: Option<&'a LookedAt>,
    ) -> Self {
        Self { out, lexicon, looked_at, template: String::new(), numbers: Vec::new() }
    }

    fn put_word(&mut self, text: &str) {
        match self.lexicon.number(text) {
            Some(number) => put(self.out, u64::from(number).saturating_add(FIRST_WORD)),
            None => self.put_inline(text),
        }
    }

    fn put_phrase(&mut self, text: &str) {
        let number = template::split(text, &mut self.template, &mut self.numbers)
            .and_then(|()| self.lexicon.number(&self.template));
        let Some(number) = number else { return self.put_inline(text) };
        put(self.out, u64::from(number).saturating_add(FIRST_WORD));
        for number in &self.numbers {
            put(self.out, *number);
        }
    }

    fn put_inline(&mut self, text: &str) {
        put(self.out, INLINE);
        self.put_text(text);
    }

    fn put_text(&mut self, text: &str) {
        put(self.out, widen(text.len()));
        self.out.extend(text.as_bytes());
    }
}

impl Codec for Encoder<'_> {
    fn number(&mut self, value: &mut u64) -> Step {
        put(self.out, *value);
        Ok(())
    }

    fn bytes<const N: usize>(&mut self, value: &mut [u8; N]) -> Step {
        self.out.extend(value.as_slice());
        Ok(())
    }

    fn money(&mut self, value: &mut PicoUsd) -> Step {
        put_money(self.out, *value);
        Ok(())
    }

    fn exact(&mut self, value: &mut f64, steps: f64) -> Step {
        put_exact(self.out, *value, steps);
        Ok(())
    }

    fn inline(&mut self, value: &mut Arc<str>) -> Step {
        self.put_text(value);
        Ok(())
    }

    fn maybe_word<T: Text>(&mut self, value: &mut Option<T>) -> Step {
        match value {
            Some(text) => self.put_word(text.text()),
            None => put(self.out, ABSENT),
        }
        Ok(())
    }

    fn maybe_phrase<T: Text>(&mut self, value: &mut Option<T>) -> Step {
        match value {
            Some(text) => self.put_phrase(text.text()),
            None => put(self.out, ABSENT),
        }
        Ok(())
    }

    fn candidates(&mut self, value: &mut Vec<CandidateFact>) -> Step {
        match self.looked_at {
            Some(looked_at) => self.put_candidates(looked_at.seen()),
            None => self.put_candidates(value.iter().map(Seen::from)),
        }
        Ok(())
    }

    fn lineup(&mut self, explanation: &mut Explanation, shape: Shape) -> Step {
        let explanation = &*explanation;
        let seen: Vec<Seen<'_>> = match self.looked_at {
            Some(looked_at) => looked_at.seen().collect(),
            None => explanation.candidates.iter().map(Seen::from).collect(),
        };
        self.put_lineup(&seen, explanation, shape);
        Ok(())
    }

    fn figures(&mut self, value: &mut Vec<CandidateFact>) -> Step {
        match self.looked_at {
            Some(looked_at) => self.put_all_figures(looked_at.seen(), false),
            None => self.put_all_figures(value.iter().map(Seen::from), false),
        }
        Ok(())
    }
}

// === impl Decoder ===

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8], book: &'a Book) -> Self {
        Self { reader: Reader(bytes), book }
    }

    /// Every byte was read.
    pub(super) fn end(&self) -> Step {
        if self.reader.is_empty() { Ok(()) } else { Err(Broken) }
    }

    fn word_of(&self, code: u64) -> Result<&'a Arc<str>, Broken> {
        self.book.get(code.checked_sub(FIRST_WORD).ok_or(Broken)?).ok_or(Broken)
    }
}

impl Codec for Decoder<'_> {
    fn number(&mut self, value: &mut u64) -> Step {
        *value = self.reader.varint()?;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self, value: &mut [u8; N]) -> Step {
        *value = self.reader.array()?;
        Ok(())
    }

    fn money(&mut self, value: &mut PicoUsd) -> Step {
        *value = self.reader.money()?;
        Ok(())
    }

    fn exact(&mut self, value: &mut f64, steps: f64) -> Step {
        *value = self.reader.fixed(steps)?;
        Ok(())
    }

    fn inline(&mut self, value: &mut Arc<str>) -> Step {
        *value = self.reader.text()?.into();
        Ok(())
    }

    fn maybe_word<T: Text>(&mut self, value: &mut Option<T>) -> Step {
        *value = match self.reader.varint()? {
            ABSENT => None,
            INLINE => Some(T::of(&self.reader.text()?.into())),
            code => Some(T::of(self.word_of(code)?)),
        };
        Ok(())
    }

    fn maybe_phrase<T: Text>(&mut self, value: &mut Option<T>) -> Step {
        *value = match self.reader.varint()? {
            ABSENT => None,
            INLINE => Some(T::of(&self.reader.text()?.into())),
            code => {
                let template = self.word_of(code)?;
                let text = template::join(template, || self.reader.varint())?;
                Some(T::of(&text.into()))
            }
        };
        Ok(())
    }

    fn candidates(&mut self, value: &mut Vec<CandidateFact>) -> Step {
        self.read_candidates(value)
    }

    fn lineup(&mut self, explanation: &mut Explanation, shape: Shape) -> Step {
        self.read_lineup(explanation, shape)
    }

    fn figures(&mut self, value: &mut Vec<CandidateFact>) -> Step {
        self.read_all_figures(value, false)
    }
}
