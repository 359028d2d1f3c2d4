//! Rosters: what the candidates of requests of one kind have in common, kept once in a segment's
//! dictionary. The offers, what is believed of their quality, their prices and why some are out
//! hardly change from one request to the next, so a record names its roster and says what differs.
//! Never holds anything of one request alone.

use std::collections::HashMap;
use std::sync::Arc;

use turnpike_ledger::PicoUsd;

use super::codec::{Codec, Step};
use super::explanation::FiguresFact;
use super::template;

/// The first byte of a frame with a roster.
pub(super) const ROSTER: u8 = 9;

/// Fewer candidates are written out: a roster of so few saves nothing.
pub(super) const ROWS_MIN: usize = 2;

/// Kinds of requests whose rosters are at hand: tasks, sizes and needs that come in turns.
const CURRENT_MAX: usize = 64;

/// Bytes of all rosters of a segment, which readers keep in memory. Beyond it those at hand are
/// used on, until the segment is full.
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// Records by which it is known what those of one roster usually say, and after how many another
/// one is made in any case.
const EARLY: usize = 32;
const RECORDS_MAX: usize = 8_192;

/// Steps of the times, speeds and shares that are kept.
pub(super) const MS_STEPS: f64 = 10.0;
pub(super) const SPEED_STEPS: f64 = 100.0;
pub(super) const SHARE_STEPS: f64 = 1e4;
/// Marks of an offer that requests of a kind usually share; others come and go.
const MARKS_LASTING: u16 = 0b1111;
/// Among the marks: some of its answer is thought, at a price of its own.
pub(super) const THINKS: u16 = 1 << 6;
/// Steps of a quality that is written shortly; another is kept to the last bit.
pub(super) const QUALITY_STEPS: f64 = 1e4;

/// A number in whole steps, if there is one that is near.
pub(super) fn in_steps(value: f64, steps: f64) -> Option<u64> {
    const STEPS_MAX: f64 = 1e12;
    let scaled = (value * steps).round();
    // A float below the bound has an integer of its own.
    (value.is_sign_positive() && scaled < STEPS_MAX).then_some(scaled as u64)
}

/// How an offer was doing, in whole steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Doing {
    pub(super) tail: u64,
    pub(super) speed: u64,
    pub(super) share: u64,
    pub(super) in_flight: u32,
    pub(super) marks: u16,
    /// Tokens of its answer, and of these those that are thought: of each request, and so in no
    /// roster.
    pub(super) answer: u32,
    pub(super) thought: u32,
}

/// One candidate, as far as it is the same for many requests.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct RosterRow {
    pub(super) offer: Arc<str>,
    pub(super) quality: Option<f64>,
    /// What an offer asks for a request, a token of the prompt and one of the answer.
    pub(super) prices: Option<[PicoUsd; 3]>,
    pub(super) first_token: Option<u64>,
    pub(super) doing: Option<Doing>,
    pub(super) rejected: Option<Arc<str>>,
    pub(super) reason_code: Option<Arc<str>>,
}

/// Those of one kind of requests.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Roster {
    pub(super) rows: Vec<RosterRow>,
    /// The sentences among the reasons that have numbers, each once.
    pub(super) templates: Vec<String>,
    /// Which of them is each row's, with its numbers.
    pub(super) phrased: Vec<Option<(usize, Vec<u64>)>>,
}

/// The rosters of the segment that is being written.
#[derive(Debug, Default)]
pub(super) struct Rosters {
    written: Vec<Arc<[u8]>>,
    bytes: usize,
    current: HashMap<u64, Current>,
    turn: u64,
}

#[derive(Debug)]
struct Current {
    number: usize,
    roster: Arc<Roster>,
    /// What it took to write it.
    bytes: usize,
    /// Records since, and what they have said because they differ from it: all of them, and those
    /// beyond the first ones, as far as it is more than the first ones' mean.
    records: usize,
    early: usize,
    beyond: usize,
    used: u64,
}

// === impl Doing ===

impl Doing {
    /// None where a number is far off the scale.
    pub(super) fn of(figures: &FiguresFact) -> Option<Self> {
        let marks = [
            figures.warm,
            figures.price_estimated,
            figures.quality_estimated,
            figures.preferred,
            figures.explored,
            figures.assumed_over_ceiling,
            figures.thinking_tokens > 0,
            figures.without_searches,
            figures.without_hosted_calls,
        ];
        let marks = marks.iter().rev().fold(0, |all, set| (all << 1) | u16::from(*set));
        Some(Self {
            tail: in_steps(figures.first_token_p95_ms, MS_STEPS)?,
            speed: in_steps(figures.tokens_per_second, SPEED_STEPS)?,
            share: in_steps(figures.availability, SHARE_STEPS)?,
            in_flight: figures.in_flight,
            marks,
            answer: figures.answer_tokens,
            thought: figures.thinking_tokens,
        })
    }

    /// As a reader gets it.
    pub(super) fn figures(self) -> FiguresFact {
        let marked = |bit: u16| self.marks & bit != 0;
        FiguresFact {
            first_token_p95_ms: self.tail as f64 / MS_STEPS,
            tokens_per_second: self.speed as f64 / SPEED_STEPS,
            availability: self.share as f64 / SHARE_STEPS,
            in_flight: self.in_flight,
            warm: marked(1),
            price_estimated: marked(2),
            quality_estimated: marked(4),
            preferred: marked(8),
            answer_tokens: self.answer,
            thinking_tokens: self.thought,
            explored: marked(16),
            assumed_over_ceiling: marked(32),
            without_searches: marked(128),
            without_hosted_calls: marked(256),
        }
    }

    /// As far as it is no matter of one request.
    pub(super) fn lasting(self) -> Self {
        Self { marks: self.marks & MARKS_LASTING, answer: 0, thought: 0, ..self }
    }

    fn walk<C: Codec>(c: &mut C, it: &mut Self) -> Step {
        c.number(&mut it.tail)?;
        c.number(&mut it.speed)?;
        c.number(&mut it.share)?;
        c.small(&mut it.in_flight)?;
        c.small(&mut it.marks)
    }
}

// === impl Roster ===

impl Roster {
    pub(super) fn of(rows: Vec<RosterRow>) -> Self {
        let mut roster = Self { rows, ..Self::default() };
        let mut template = String::new();
        for row in &roster.rows {
            let mut numbers = Vec::new();
            let split = row
                .rejected
                .as_deref()
                .and_then(|text| template::split(text, &mut template, &mut numbers))
                .filter(|()| !numbers.is_empty());
            let place = split.map(|()| {
                let known = roster.templates.iter().position(|known| *known == template);
                known.unwrap_or_else(|| {
                    roster.templates.push(template.clone());
                    roster.templates.len().saturating_sub(1)
                })
            });
            roster.phrased.push(place.map(|place| (place, numbers)));
        }
        roster
    }

    /// A row's reason where the first number of its sentence is another one.
    pub(super) fn reason(&self, row: usize, firsts: &[Option<u64>]) -> Option<Arc<str>> {
        let plain = self.rows.get(row)?.rejected.as_ref()?;
        let Some(Some((place, numbers))) = self.phrased.get(row) else {
            return Some(Arc::clone(plain));
        };
        let Some(first) = firsts.get(*place).copied().flatten() else {
            return Some(Arc::clone(plain));
        };
        let mut rest = std::iter::once(first).chain(numbers.iter().skip(1).copied());
        let joined = template::join(self.templates.get(*place)?, || rest.next().ok_or(()));
        joined.ok().map(Into::into)
    }

    /// Its bytes, or its rows from them: one walk.
    pub(super) fn walk<C: Codec>(c: &mut C, rows: &mut Vec<RosterRow>) -> Step {
        c.list(rows, |c, row| {
            c.word(&mut row.offer)?;
            c.option(&mut row.quality, |c, quality| c.exact(quality, QUALITY_STEPS))?;
            c.option(&mut row.prices, |c, prices| {
                prices.iter_mut().try_for_each(|price| c.money(price))
            })?;
            c.option(&mut row.first_token, C::number)?;
            c.option(&mut row.doing, Doing::walk)?;
            c.maybe_phrase(&mut row.rejected)?;
            c.maybe_word(&mut row.reason_code)
        })
    }
}

// === impl Rosters ===

impl Rosters {
    /// Goes on in a segment that has so many already.
    pub(super) fn go_on(written: &[Arc<[u8]>]) -> Self {
        let bytes = written.iter().map(|one| one.len()).sum();
        Self { written: written.to_vec(), bytes, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.written.len()
    }

    pub(super) fn since(&self, first: usize) -> &[Arc<[u8]>] {
        self.written.get(first..).unwrap_or_default()
    }

    /// The roster at hand for requests of that kind, with its number.
    pub(super) fn current(&mut self, kind: u64) -> Option<(usize, Arc<Roster>)> {
        self.turn = self.turn.saturating_add(1);
        let current = self.current.get_mut(&kind)?;
        current.used = self.turn;
        Some((current.number, Arc::clone(&current.roster)))
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX
    }

    /// Takes a new one in, in place of the one at hand.
    pub(super) fn add(&mut self, kind: u64, roster: Arc<Roster>, bytes: Vec<u8>) -> usize {
        if self.current.len() >= CURRENT_MAX
            && let Some(oldest) = self.current.iter().min_by_key(|(_, c)| c.used).map(|(k, _)| *k)
        {
            self.current.remove(&oldest);
        }
        let number = self.written.len();
        let (used, len) = (self.turn, bytes.len());
        self.bytes = self.bytes.saturating_add(len);
        self.written.push(bytes.into());
        let (records, early, beyond) = (0, 0, 0);
        let current = Current { number, roster, bytes: len, records, early, beyond, used };
        self.current.insert(kind, current);
        number
    }

    /// A record has said so much because it differs from its roster. Offers that are asked change
    /// all the time, and another roster would soon be as far from them: only what records say
    /// beyond what the first ones said is worth one.
    pub(super) fn differed(&mut self, kind: u64, bytes: usize) {
        let full = self.is_full();
        let Some(current) = self.current.get_mut(&kind) else { return };
        current.records = current.records.saturating_add(1);
        if current.records <= EARLY {
            current.early = current.early.saturating_add(bytes);
        } else {
            let usual = current.early / EARLY;
            current.beyond = current.beyond.saturating_add(bytes.saturating_sub(usual));
        }
        let worth = current.beyond > current.bytes || current.records > RECORDS_MAX;
        if worth && !full {
            self.current.remove(&kind);
        }
    }
}
