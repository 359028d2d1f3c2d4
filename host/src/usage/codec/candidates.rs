//! The candidates of an explanation, by far its largest part: a dozen bytes for one with figures,
//! four for one that was rejected. A byte of flags says what follows. Offers come in the order of
//! the catalogue, so an offer's number is usually the one after its neighbour's.
//!
//! The score has seven significant digits, the quality four digits after the point and the time
//! to the first token one: a person compares them, nothing is computed from them.

use std::ops::Range;
use std::sync::Arc;

use super::super::explanation::CandidateFact;
use super::super::looked_at::Seen;
use super::super::segment::widen;
use super::super::wire::{Broken, put, put_money, put_rounded, put_short};
use super::{Codec, Decoder, Encoder, FIRST_WORD, Step};

const NEXT_OFFER: u8 = 1;
const SCORE: u8 = 1 << 1;
const QUALITY: u8 = 1 << 2;
const COST: u8 = 1 << 3;
const FIRST_TOKEN: u8 = 1 << 4;
/// The same time to the first token as the candidate before; an offer never used has a default.
const SAME_FIRST_TOKEN: u8 = 1 << 5;
const REJECTED: u8 = 1 << 6;
const REASON_CODE: u8 = 1 << 7;

/// Reasons that are remembered within one record: looking through more would cost what it saves.
const REASONS_KEPT: usize = 8;

const QUALITY_STEPS: f64 = super::super::roster::QUALITY_STEPS;
const FIRST_TOKEN_STEPS: f64 = super::super::roster::MS_STEPS;

impl Encoder<'_> {
    pub(super) fn put_candidates<'s>(
        &mut self,
        candidates: impl ExactSizeIterator<Item = Seen<'s>>,
    ) {
        put(self.out, widen(candidates.len()));
        let mut before: Option<Seen<'_>> = None;
        let mut expected = None;
        let mut reasons = Reasons::default();
        for candidate in candidates {
            let number = self.lexicon.number_near(expected, candidate.offer);
            let flags = flags(&candidate, before.as_ref(), number.is_some() && number == expected);
            self.out.push(flags);
            if flags & NEXT_OFFER == 0 {
                match number {
                    Some(number) => put(self.out, u64::from(number).saturating_add(FIRST_WORD)),
                    None => self.put_inline(candidate.offer),
                }
            }
            self.put_figures(&candidate, flags);
            self.put_reasons(&candidate, &mut reasons);
            expected = number.and_then(|number| number.checked_add(1));
            before = Some(candidate);
        }
    }

    /// One that is no neighbour's, with all that it was scored by.
    pub(super) fn put_one_candidate<'s>(
        &mut self,
        candidate: &Seen<'s>,
        answers: bool,
        reasons: &mut Reasons<'s>,
    ) {
        let flags = flags(candidate, None, true);
        self.out.push(flags);
        self.put_figures(candidate, flags);
        self.put_reasons(candidate, reasons);
        self.put_all_figures(std::iter::once(*candidate), answers);
    }

    fn put_figures(&mut self, candidate: &Seen<'_>, flags: u8) {
        if let Some(score) = candidate.score {
            put_short(self.out, score);
        }
        if let Some(quality) = candidate.quality {
            put_rounded(self.out, quality, QUALITY_STEPS);
        }
        if let Some(cost) = candidate.expected_cost_usd {
            put_money(self.out, cost);
        }
        if flags & FIRST_TOKEN != 0 {
            put_rounded(self.out, candidate.first_token_ms.unwrap_or(0.0), FIRST_TOKEN_STEPS);
        }
    }

    /// Dozens of candidates share a few reasons, so what the same two texts came to for an earlier
    /// candidate is copied.
    pub(super) fn put_reasons<'s>(&mut self, candidate: &Seen<'s>, written: &mut Reasons<'s>) {
        let reason = (candidate.rejected, candidate.reason_code);
        if reason == (None, None) {
            return;
        }
        if let Some((_, range)) = written.0.iter().find(|(earlier, _)| *earlier == reason) {
            self.out.extend_from_within(range.clone());
            return;
        }
        let start = self.out.len();
        if let Some(rejected) = candidate.rejected {
            self.put_phrase(rejected);
        }
        if let Some(code) = candidate.reason_code {
            self.put_word(code);
        }
        if written.0.len() < REASONS_KEPT {
            written.0.push((reason, start..self.out.len()));
        }
    }
}

/// The reasons of the candidates so far, and where they were written.
#[derive(Default)]
pub(super) struct Reasons<'s>(Vec<(Reason<'s>, Range<usize>)>);

type Reason<'s> = (Option<&'s str>, Option<&'s str>);

fn flags(candidate: &Seen<'_>, before: Option<&Seen<'_>>, next_offer: bool) -> u8 {
    let bits = |time: f64| time.to_bits();
    let first_token = candidate.first_token_ms.map(bits);
    let same = first_token.is_some()
        && before.is_some_and(|before| before.first_token_ms.map(bits) == first_token);
    let mut flags = 0;
    for (set, flag) in [
        (next_offer, NEXT_OFFER),
        (candidate.score.is_some(), SCORE),
        (candidate.quality.is_some(), QUALITY),
        (candidate.expected_cost_usd.is_some(), COST),
        (first_token.is_some() && !same, FIRST_TOKEN),
        (same, SAME_FIRST_TOKEN),
        (candidate.rejected.is_some(), REJECTED),
        (candidate.reason_code.is_some(), REASON_CODE),
    ] {
        flags |= if set { flag } else { 0 };
    }
    flags
}

impl Decoder<'_> {
    pub(super) fn read_candidates(&mut self, candidates: &mut Vec<CandidateFact>) -> Step {
        let count = self.reader.varint()?;
        let mut expected = None;
        for _ in 0..count {
            let flags = self.reader.byte()?;
            let code = match expected {
                Some(expected) if flags & NEXT_OFFER != 0 => expected,
                _ => self.reader.varint()?,
            };
            let offer: Arc<str> = if code < FIRST_WORD {
                self.reader.text()?.into()
            } else {
                Arc::clone(self.word_of(code)?)
            };
            expected = code.checked_add(1).filter(|_| code >= FIRST_WORD);
            let before = candidates.last().and_then(|before| before.first_token_ms);
            let candidate = CandidateFact { offer, ..self.read_figures(flags, before)? };
            candidates.push(candidate);
        }
        Ok(())
    }

    pub(super) fn read_one_candidate(
        &mut self,
        offer: Arc<str>,
        answers: bool,
    ) -> Result<CandidateFact, Broken> {
        let flags = self.reader.byte()?;
        let mut read = [CandidateFact { offer, ..self.read_figures(flags, None)? }];
        self.read_all_figures(&mut read, answers)?;
        let [read] = read;
        Ok(read)
    }

    fn read_figures(&mut self, flags: u8, before: Option<f64>) -> Result<CandidateFact, Broken> {
        let mut read = CandidateFact::default();
        if flags & SCORE != 0 {
            read.score = Some(self.reader.short()?);
        }
        if flags & QUALITY != 0 {
            read.quality = Some(self.reader.fixed(QUALITY_STEPS)?);
        }
        if flags & COST != 0 {
            read.expected_cost_usd = Some(self.reader.money()?);
        }
        if flags & FIRST_TOKEN != 0 {
            read.first_token_ms = Some(self.reader.fixed(FIRST_TOKEN_STEPS)?);
        } else if flags & SAME_FIRST_TOKEN != 0 {
            read.first_token_ms = before;
        }
        if flags & REJECTED != 0 {
            self.maybe_phrase(&mut read.rejected)?;
        }
        if flags & REASON_CODE != 0 {
            self.maybe_word(&mut read.reason_code)?;
        }
        Ok(read)
    }
}
