//! The candidates of a record as what differs from a roster ([`super::super::roster`]): a few bytes
//! where only one offer has been used since. What a request was expected to cost follows from its
//! tokens and the roster's prices, and the scores from all the rest; what does not is written out.
//! Amounts come back exactly, as everywhere.

use std::sync::Arc;

use super::super::explanation::{CandidateFact, ExpectedFact, Explanation};
use super::super::looked_at::Seen;
use super::super::roster::{
    Doing, MS_STEPS, QUALITY_STEPS, ROWS_MIN, Roster, RosterRow, THINKS, in_steps,
};
use super::super::segment::widen;
use super::super::segments::time_of;
use super::super::wire::{Broken, put, put_money, put_rounded, put_signed};
use super::candidates::Reasons;
use super::rule::Edition;
use super::scores::{put_scores, read_scores};
use super::{Codec, Decoder, Encoder, Step};

mod expected;
mod places;
mod standing;

use expected::{Expected, as_read, expected_scores, kind, known};
use standing::{Asked, Standing, roster_standing};

/// In place of a roster's number: all candidates are written out.
const WRITTEN_OUT: u64 = 0;
const FIRST_ROSTER: u64 = 1;

/// Beside the requests on their way: what else of the load differs.
const SHARE: u64 = 1;
const MARKS: u64 = 1 << 1;
/// Only where records say how long answers were expected to be.
const ANSWER: u64 = 1 << 2;

/// What differs of a candidate.
const QUALITY: u8 = 1;
const COST: u8 = 1 << 1;
const FIRST_TOKEN: u8 = 1 << 2;
const TAIL: u8 = 1 << 3;
const SPEED: u8 = 1 << 4;
/// Its availability, the requests on their way, or the marks.
const LOAD: u8 = 1 << 5;
const REASON: u8 = 1 << 6;
/// All of it, as in a record without a roster.
const ANEW: u8 = 1 << 7;

/// How the candidates of a kind of records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super::super) enum Shape {
    /// By a roster.
    Roster,
    /// By a roster and by how offers were doing.
    Board,
    /// The same, with scores as the second edition of the rule expects them.
    BoardAndSecondRule,
    /// With scores as the third edition expects them, what expected costs were made of, and how
    /// long each answer was expected to be; the tokens come before.
    Expected,
}

impl Shape {
    fn edition(self) -> Edition {
        match self {
            Self::Roster | Self::Board => Edition::First,
            Self::BoardAndSecondRule => Edition::Second,
            Self::Expected => Edition::Third,
        }
    }
}

/// Bits of a load that say what else of it differs.
fn load_bits(answers: bool) -> u32 {
    if answers { 3 } else { 2 }
}

/// The rule's ceiling of the first token, in records that say who was only assumed to be over it.
fn ceiling(shape: Shape, explanation: &Explanation) -> Option<f64> {
    let ceiling = explanation.objective.as_ref().map_or(0.0, |it| it.first_token_ceiling_ms);
    (shape == Shape::Expected).then_some(ceiling)
}

impl Encoder<'_> {
    pub(super) fn put_lineup(
        &mut self,
        seen: &[Seen<'_>],
        explanation: &Explanation,
        shape: Shape,
    ) {
        let answers = shape == Shape::Expected;
        let mut made_of = explanation.expected.clone().unwrap_or_default();
        if !answers {
            made_of.answers = 1;
        }
        let kind = kind(seen, explanation, made_of.prompt_tokens);
        let Some((number, roster)) = self.roster_for(kind, seen) else {
            put(self.out, WRITTEN_OUT);
            self.put_candidates(seen.iter().copied());
            return self.put_all_figures(seen.iter().copied(), answers);
        };
        put(self.out, widen(number).saturating_add(FIRST_ROSTER));
        let start = self.out.len();
        let mut standing = roster_standing(&roster);
        if shape != Shape::Roster {
            let at_ms = match self.looked_at {
                Some(looked_at) => looked_at.at_ms,
                None => time_of(explanation.id).unwrap_or(0),
            };
            let asked = Asked { at_ms, made_of: &made_of, answers };
            let place = self.lexicon.look(asked, seen, &mut standing);
            put(self.out, widen(place));
        }
        let firsts = firsts(&roster, seen);
        let expected = Expected { roster: &roster, made_of: &made_of, answers, firsts, standing };
        for first in &expected.firsts {
            put(self.out, first.map_or(0, |first| first.saturating_add(1)));
        }
        if !answers {
            put(self.out, made_of.prompt_tokens);
            put(self.out, made_of.answer_tokens);
        }
        let known = self.put_differences(seen, &expected, ceiling(shape, explanation));
        let scores: Vec<Option<f64>> = seen.iter().map(|candidate| candidate.score).collect();
        put_scores(self.out, &scores, &expected_scores(shape.edition(), explanation, &known));
        let said = self.out.len().saturating_sub(start);
        self.lexicon.rosters.differed(kind, said);
    }

    /// The candidates that are not as expected: which, and what differs; and what a reader will
    /// know of each.
    fn put_differences(
        &mut self,
        seen: &[Seen<'_>],
        expected: &Expected<'_>,
        ceiling_ms: Option<f64>,
    ) -> Vec<Option<expected::Known>> {
        let rows = || seen.iter().zip(&expected.roster.rows);
        let flags: Vec<u8> = rows()
            .enumerate()
            .map(|(place, (candidate, row))| differences(candidate, row, expected, place))
            .collect();
        places::put_places(self.out, &flags);
        let mut all = Vec::with_capacity(seen.len());
        let mut reasons = Reasons::default();
        let standing = expected.standing.iter().copied();
        for (((candidate, row), differs), before) in rows().zip(flags).zip(standing) {
            if differs != 0 {
                self.out.push(differs);
                self.put_difference(candidate, before, (differs, expected.answers), &mut reasons);
            }
            let kept = row.quality.filter(|_| differs & (QUALITY | ANEW) == 0);
            all.push(known(&as_read(candidate, kept), ceiling_ms));
        }
        all
    }

    fn put_difference<'s>(
        &mut self,
        candidate: &Seen<'s>,
        before: Standing,
        (differs, answers): (u8, bool),
        reasons: &mut Reasons<'s>,
    ) {
        if differs & ANEW != 0 {
            return self.put_one_candidate(&Seen { score: None, ..*candidate }, answers, reasons);
        }
        if differs & QUALITY != 0 {
            put_rounded(self.out, candidate.quality.unwrap_or(0.0), QUALITY_STEPS);
        }
        if differs & COST != 0 {
            put_money(self.out, candidate.expected_cost_usd.unwrap_or_default());
        }
        let first = candidate.first_token_ms.and_then(|ms| in_steps(ms, MS_STEPS));
        if differs & FIRST_TOKEN != 0 {
            put_signed(self.out, first.unwrap_or(0), before.first_token.unwrap_or(0));
        }
        let doing = candidate.figures.as_ref().and_then(Doing::of).unwrap_or_default();
        let before = before.doing.unwrap_or_default();
        if differs & TAIL != 0 {
            put_signed(self.out, doing.tail, before.tail);
        }
        if differs & SPEED != 0 {
            put_signed(self.out, doing.speed, before.speed);
        }
        if differs & LOAD != 0 {
            self.put_load(doing, before, answers);
        }
        if differs & REASON != 0 {
            self.put_reasons(candidate, reasons);
        }
    }

    fn put_load(&mut self, doing: Doing, before: Doing, answers: bool) {
        let (share, marks) = (doing.share != before.share, doing.marks != before.marks);
        let answer = answers && doing.answer != before.answer;
        let bits = [(share, SHARE), (marks, MARKS), (answer, ANSWER)];
        let more = bits.iter().filter(|(set, _)| *set).fold(0, |all, (_, bit)| all | bit);
        put(self.out, (u64::from(doing.in_flight) << load_bits(answers)) | more);
        if share {
            put_signed(self.out, doing.share, before.share);
        }
        if marks {
            put(self.out, doing.marks.into());
            if answers && doing.marks & THINKS != 0 {
                put(self.out, doing.thought.into());
            }
        }
        if answer {
            put_signed(self.out, doing.answer.into(), before.answer.into());
        }
    }

    /// The roster at hand if it is of these offers, or a new one.
    fn roster_for(&mut self, kind: u64, seen: &[Seen<'_>]) -> Option<(usize, Arc<Roster>)> {
        if seen.len() < ROWS_MIN {
            return None;
        }
        let of_these = |roster: &Roster| {
            let same = |(row, seen): (&RosterRow, &Seen<'_>)| *row.offer == *seen.offer;
            roster.rows.len() == seen.len() && roster.rows.iter().zip(seen).all(same)
        };
        let at_hand = self.lexicon.rosters.current(kind);
        if let Some(found) = at_hand.filter(|(_, roster)| of_these(roster)) {
            return Some(found);
        }
        if self.lexicon.rosters.is_full() {
            return None;
        }
        let prices = self.looked_at.map(|it| (it, it.at_ms));
        let rows: Option<Vec<RosterRow>> = seen
            .iter()
            .enumerate()
            .map(|(place, candidate)| {
                let asked = prices.and_then(|(it, at_ms)| {
                    it.names.token_prices(it.rows.get(place)?.index, at_ms)
                });
                row_of(candidate, asked)
            })
            .collect();
        let mut rows = rows?;
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, self.lexicon, None);
        Roster::walk(&mut encoder, &mut rows).ok()?;
        let roster = Arc::new(Roster::of(rows));
        let number = self.lexicon.rosters.add(kind, Arc::clone(&roster), bytes);
        Some((number, roster))
    }
}

/// What a candidate is like, for others of its kind. None where a number is far off its scale.
fn row_of(
    candidate: &Seen<'_>,
    prices: Option<[turnpike_ledger::PicoUsd; 3]>,
) -> Option<RosterRow> {
    let cost = candidate.expected_cost_usd;
    let same = |cost| [cost, Default::default(), Default::default()];
    Some(RosterRow {
        offer: candidate.offer.into(),
        quality: candidate.quality,
        prices: cost.map(|cost| prices.unwrap_or(same(cost))),
        first_token: match candidate.first_token_ms {
            Some(ms) => Some(in_steps(ms, MS_STEPS)?),
            None => None,
        },
        doing: match &candidate.figures {
            Some(figures) => Some(Doing::of(figures)?.lasting()),
            None => None,
        },
        rejected: candidate.rejected.map(Into::into),
        reason_code: candidate.reason_code.map(Into::into),
    })
}

/// For each sentence with numbers the first one that it has in this record, where it is another
/// than in the roster.
fn firsts(roster: &Roster, seen: &[Seen<'_>]) -> Vec<Option<u64>> {
    let mut firsts = vec![None; roster.templates.len()];
    if firsts.is_empty() {
        return firsts;
    }
    let (mut template, mut numbers) = (String::new(), Vec::new());
    for ((candidate, row), phrased) in seen.iter().zip(&roster.rows).zip(&roster.phrased) {
        let (Some(text), Some((place, _))) = (candidate.rejected, phrased) else { continue };
        let Some(first) = firsts.get_mut(*place).filter(|first| first.is_none()) else { continue };
        if row.rejected.as_deref() == Some(text) {
            continue;
        }
        let split = super::super::template::split(text, &mut template, &mut numbers);
        if split.is_some() && roster.templates.get(*place) == Some(&template) {
            // The largest number has no room for what stands for none.
            *first = numbers.first().copied().filter(|first| *first < u64::MAX);
        }
    }
    firsts
}

fn differences(candidate: &Seen<'_>, row: &RosterRow, expected: &Expected<'_>, place: usize) -> u8 {
    let doing = candidate.figures.as_ref().map(Doing::of);
    let first = candidate.first_token_ms.map(|ms| in_steps(ms, MS_STEPS));
    let alike = candidate.quality.is_some() == row.quality.is_some()
        && candidate.expected_cost_usd.is_some() == row.prices.is_some()
        && first.is_some() == row.first_token.is_some()
        && doing.is_some() == row.doing.is_some()
        && candidate.rejected.is_some() == row.rejected.is_some()
        && candidate.reason_code == row.reason_code.as_deref();
    let Standing { first_token, doing: before } =
        expected.standing.get(place).copied().unwrap_or_default();
    let (doing, first) = (doing.unwrap_or(before), first.unwrap_or(first_token));
    if !alike || doing.is_some() != before.is_some() || first.is_some() != first_token.is_some() {
        return ANEW;
    }
    let (doing, before) = (doing.unwrap_or_default(), before.unwrap_or_default());
    let answer = |doing: Doing| if expected.answers { doing.answer } else { 0 };
    let load = |doing: Doing| (doing.share, doing.in_flight, doing.marks, answer(doing));
    let cost = candidate.expected_cost_usd != expected.cost(place, answer(doing));
    let mut flags = 0;
    for (set, flag) in [
        (candidate.quality.map(f64::to_bits) != row.quality.map(f64::to_bits), QUALITY),
        (cost, COST),
        (first != first_token, FIRST_TOKEN),
        (doing.tail != before.tail, TAIL),
        (doing.speed != before.speed, SPEED),
        (load(doing) != load(before), LOAD),
        (expected.differs(place, candidate.rejected), REASON),
    ] {
        flags |= if set { flag } else { 0 };
    }
    flags
}

impl Decoder<'_> {
    pub(super) fn read_lineup(&mut self, explanation: &mut Explanation, shape: Shape) -> Step {
        let answers = shape == Shape::Expected;
        let code = self.reader.varint()?;
        if code == WRITTEN_OUT {
            self.read_candidates(&mut explanation.candidates)?;
            return self.read_all_figures(&mut explanation.candidates, answers);
        }
        let roster = self.roster(code.saturating_sub(FIRST_ROSTER))?;
        let by_board = shape != Shape::Roster;
        let place = if by_board { Some(self.reader.varint()?) } else { None };
        let mut firsts = Vec::with_capacity(roster.templates.len());
        for _ in &roster.templates {
            firsts.push(self.reader.varint()?.checked_sub(1));
        }
        let made_of = match answers {
            true => explanation.expected.clone().unwrap_or_default(),
            false => {
                let (prompt_tokens, answer_tokens) = (self.reader.varint()?, self.reader.varint()?);
                ExpectedFact { prompt_tokens, answer_tokens, answers: 1, ..Default::default() }
            }
        };
        let mut standing = roster_standing(&roster);
        if let Some(place) = place {
            let asked = Asked { at_ms: 0, made_of: &made_of, answers };
            self.book.look(place, asked, &roster, &mut standing)?;
        }
        let expected = Expected { roster: &roster, made_of: &made_of, answers, firsts, standing };
        let mut candidates = Vec::with_capacity(roster.rows.len());
        for (place, differs) in
            places::read_places(&mut self.reader, roster.rows.len())?.into_iter().enumerate()
        {
            let candidate = match differs {
                true => self.read_difference(&expected, place),
                false => expected.candidate(place).ok_or(Broken),
            };
            candidates.push(candidate?);
        }
        let ceiling_ms = ceiling(shape, explanation);
        let seen = candidates.iter().map(Seen::from);
        let known: Vec<_> = seen.map(|seen| known(&seen, ceiling_ms)).collect();
        let expected = expected_scores(shape.edition(), explanation, &known);
        let scores = read_scores(&mut self.reader, &expected)?;
        for (candidate, score) in candidates.iter_mut().zip(scores) {
            candidate.score = score;
        }
        explanation.candidates = candidates;
        Ok(())
    }

    fn roster(&self, number: u64) -> Result<Roster, Broken> {
        let bytes = self.book.roster(number).ok_or(Broken)?;
        let mut decoder = Decoder::new(bytes, self.book);
        let mut rows = Vec::new();
        Roster::walk(&mut decoder, &mut rows)?;
        decoder.end()?;
        Ok(Roster::of(rows))
    }

    fn read_difference(
        &mut self,
        expected: &Expected<'_>,
        place: usize,
    ) -> Result<CandidateFact, Broken> {
        let mut read = expected.candidate(place).ok_or(Broken)?;
        let row = expected.roster.rows.get(place).ok_or(Broken)?;
        let before = expected.standing.get(place).copied().ok_or(Broken)?;
        let differs = self.reader.byte()?;
        if differs & ANEW != 0 {
            return self.read_one_candidate(Arc::clone(&row.offer), expected.answers);
        }
        if differs & QUALITY != 0 {
            read.quality = Some(self.reader.fixed(QUALITY_STEPS)?);
        }
        if differs & COST != 0 {
            read.expected_cost_usd = Some(self.reader.money()?);
        }
        if differs & FIRST_TOKEN != 0 {
            let first = self.reader.signed(before.first_token.unwrap_or(0))?;
            read.first_token_ms = Some(first as f64 / MS_STEPS);
        }
        let mut doing = before.doing.unwrap_or_default();
        if differs & TAIL != 0 {
            doing.tail = self.reader.signed(doing.tail)?;
        }
        if differs & SPEED != 0 {
            doing.speed = self.reader.signed(doing.speed)?;
        }
        if differs & LOAD != 0 {
            let load = self.reader.varint()?;
            if load & SHARE != 0 {
                doing.share = self.reader.signed(doing.share)?;
            }
            if load & MARKS != 0 {
                doing.marks = u16::try_from(self.reader.varint()?).map_err(|_| Broken)?;
                if expected.answers && doing.marks & THINKS != 0 {
                    doing.thought = u32::try_from(self.reader.varint()?).map_err(|_| Broken)?;
                }
            }
            if expected.answers && load & ANSWER != 0 {
                let answer = self.reader.signed(doing.answer.into())?;
                doing.answer = u32::try_from(answer).map_err(|_| Broken)?;
            }
            let in_flight = load >> load_bits(expected.answers);
            doing.in_flight = u32::try_from(in_flight).map_err(|_| Broken)?;
        }
        if differs & (TAIL | SPEED | LOAD) != 0 {
            read.figures = Some(doing.figures());
        }
        if differs & COST == 0 {
            read.expected_cost_usd = expected.cost(place, doing.answer);
        }
        if differs & REASON != 0 {
            self.maybe_phrase(&mut read.rejected)?;
            if read.reason_code.is_some() {
                self.maybe_word(&mut read.reason_code)?;
            }
        }
        Ok(read)
    }
}
