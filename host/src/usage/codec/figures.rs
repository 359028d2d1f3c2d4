//! What candidates were scored by beside quality, cost and first token: one byte for an offer of
//! which nothing is known, which most are. A byte of flags says what follows, and holds the marks.
//!
//! Times have one digit after the point, speeds two, shares four: a score made again from them
//! differs from the one that decided after the third digit.

use super::super::explanation::{CandidateFact, FiguresFact};
use super::super::looked_at::Seen;
use super::super::roster::{MS_STEPS, SHARE_STEPS, SPEED_STEPS};
use super::super::wire::{Broken, put, put_rounded};
use super::{Decoder, Encoder, Step};

/// Nothing is known of how they were scored.
const NONE: u8 = 0;
/// They are there.
const SOME: u8 = 1;
const WARM: u8 = 1 << 1;
const PRICE_ESTIMATED: u8 = 1 << 2;
const QUALITY_ESTIMATED: u8 = 1 << 3;
const PREFERRED: u8 = 1 << 4;
/// The time to the first token hardly varies: its 95th percentile is the time itself.
const TAIL: u8 = 1 << 5;
/// Not what is assumed of an offer that was never asked.
const SPEED: u8 = 1 << 6;
/// Attempts that failed, or requests on their way.
const LOAD: u8 = 1 << 7;

/// After these, where records say how long answers were expected to be: its tokens, above marks.
const EXPLORED: u64 = 1;
const ASSUMED_OVER_CEILING: u64 = 1 << 1;
/// How many of these are thought, at a price of its own, comes next.
const THINKS: u64 = 1 << 2;
const WITHOUT_SEARCHES: u64 = 1 << 3;
const WITHOUT_HOSTED_CALLS: u64 = 1 << 4;
const ANSWER_SHIFT: u32 = 5;

/// Tokens per second that are assumed of an offer that was never asked; what else is written out.
const SPEED_UNKNOWN: f64 = 60.0;

impl Encoder<'_> {
    /// `answers`: whether the record says how long answers were expected to be.
    pub(super) fn put_all_figures<'s>(
        &mut self,
        candidates: impl Iterator<Item = Seen<'s>>,
        answers: bool,
    ) {
        for candidate in candidates.filter(|candidate| candidate.quality.is_some()) {
            match candidate.figures {
                Some(figures) => {
                    self.put_one(&figures, candidate.first_token_ms.unwrap_or(0.0));
                    if answers {
                        self.put_answer(&figures);
                    }
                }
                None => self.out.push(NONE),
            }
        }
    }

    fn put_answer(&mut self, figures: &FiguresFact) {
        let flags = [
            (figures.explored, EXPLORED),
            (figures.assumed_over_ceiling, ASSUMED_OVER_CEILING),
            (figures.thinking_tokens > 0, THINKS),
            (figures.without_searches, WITHOUT_SEARCHES),
            (figures.without_hosted_calls, WITHOUT_HOSTED_CALLS),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag);
        put(self.out, (u64::from(figures.answer_tokens) << ANSWER_SHIFT) | flags);
        if figures.thinking_tokens > 0 {
            put(self.out, figures.thinking_tokens.into());
        }
    }

    fn put_one(&mut self, figures: &FiguresFact, first_token_ms: f64) {
        let differs = |a: f64, b: f64| a.to_bits() != b.to_bits();
        let tail = differs(figures.first_token_p95_ms, first_token_ms);
        let speed = differs(figures.tokens_per_second, SPEED_UNKNOWN);
        let load = differs(figures.availability, 1.0) || figures.in_flight > 0;
        let flags = [
            (figures.warm, WARM),
            (figures.price_estimated, PRICE_ESTIMATED),
            (figures.quality_estimated, QUALITY_ESTIMATED),
            (figures.preferred, PREFERRED),
            (tail, TAIL),
            (speed, SPEED),
            (load, LOAD),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).fold(SOME, |all, (_, flag)| all | flag);
        self.out.push(flags);
        if tail {
            put_rounded(self.out, figures.first_token_p95_ms, MS_STEPS);
        }
        if speed {
            put_rounded(self.out, figures.tokens_per_second, SPEED_STEPS);
        }
        if load {
            put_rounded(self.out, figures.availability, SHARE_STEPS);
            put(self.out, figures.in_flight.into());
        }
    }
}

impl Decoder<'_> {
    pub(super) fn read_all_figures(
        &mut self,
        candidates: &mut [CandidateFact],
        answers: bool,
    ) -> Step {
        for candidate in candidates.iter_mut().filter(|one| one.quality.is_some()) {
            candidate.figures = self.read_one(candidate.first_token_ms.unwrap_or(0.0))?;
            if let Some(figures) = candidate.figures.as_mut().filter(|_| answers) {
                let answer = self.reader.varint()?;
                figures.explored = answer & EXPLORED != 0;
                figures.assumed_over_ceiling = answer & ASSUMED_OVER_CEILING != 0;
                figures.without_searches = answer & WITHOUT_SEARCHES != 0;
                figures.without_hosted_calls = answer & WITHOUT_HOSTED_CALLS != 0;
                let tokens = u32::try_from(answer >> ANSWER_SHIFT);
                figures.answer_tokens = tokens.map_err(|_| Broken)?;
                if answer & THINKS != 0 {
                    let thought = u32::try_from(self.reader.varint()?);
                    figures.thinking_tokens = thought.map_err(|_| Broken)?;
                }
            }
        }
        Ok(())
    }

    fn read_one(&mut self, first_token_ms: f64) -> Result<Option<FiguresFact>, Broken> {
        let flags = self.reader.byte()?;
        if flags & SOME == 0 {
            return Ok(None);
        }
        let mut read = FiguresFact {
            first_token_p95_ms: first_token_ms,
            tokens_per_second: SPEED_UNKNOWN,
            availability: 1.0,
            in_flight: 0,
            warm: flags & WARM != 0,
            price_estimated: flags & PRICE_ESTIMATED != 0,
            quality_estimated: flags & QUALITY_ESTIMATED != 0,
            preferred: flags & PREFERRED != 0,
            ..FiguresFact::default()
        };
        if flags & TAIL != 0 {
            read.first_token_p95_ms = self.reader.fixed(MS_STEPS)?;
        }
        if flags & SPEED != 0 {
            read.tokens_per_second = self.reader.fixed(SPEED_STEPS)?;
        }
        if flags & LOAD != 0 {
            read.availability = self.reader.fixed(SHARE_STEPS)?;
            read.in_flight = u32::try_from(self.reader.varint()?).map_err(|_| Broken)?;
        }
        Ok(Some(read))
    }
}
