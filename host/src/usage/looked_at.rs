//! The candidates of a request that has just ended, as its pipeline has them: numbers in rows, over
//! a list of offers that all requests share. Copying a name for every candidate of every request
//! would cost more than all else that is recorded; the usage thread writes the names, and whoever
//! reads the record back gets [`CandidateFact`]s.

use std::fmt;
use std::sync::Arc;

use turnpike_ledger::PicoUsd;

use super::event::Record;
use super::explanation::{CandidateFact, FiguresFact, Label};

/// What the rows' indices stand for.
pub trait OfferNames: Send + Sync {
    /// `vendor/model@provider`.
    fn name(&self, index: usize) -> Option<&str>;

    /// What one asks for a request, a token of the prompt and one of the answer by the list in
    /// force at that time, where what requests are expected to cost is mostly made of these.
    fn token_prices(&self, index: usize, at_ms: u64) -> Option<[PicoUsd; 3]>;
}

/// One offer that was looked at; the fields mean what those of [`CandidateFact`] do.
#[derive(Debug, Clone, PartialEq)]
pub struct LookedAtRow {
    /// Which offer.
    pub index: usize,
    /// The route policy's score.
    pub score: Option<f64>,
    /// What is known only of those that were in the running.
    pub figures: Option<LookedAtFigures>,
    /// Why it was rejected: which of the reasons.
    pub reason: Option<usize>,
}

/// The figures of an offer in the running.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LookedAtFigures {
    /// How good it is believed to be at the task, from 0 to 1.
    pub quality: f64,
    /// What the request was expected to cost with it.
    pub expected_cost_usd: PicoUsd,
    /// How long its first token was expected to take, in milliseconds.
    pub first_token_ms: f64,
    /// The rest of what it was scored by.
    pub more: FiguresFact,
    /// How long its model's answers are, in hundredths of the usual.
    pub answer_percent: u32,
}

/// All of them.
#[derive(Clone)]
pub struct LookedAt {
    /// What the indices stand for.
    pub names: Arc<dyn OfferNames>,
    /// When the request began, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// In the order of the catalogue.
    pub rows: Vec<LookedAtRow>,
    /// Why candidates were rejected, each reason once: in words and as a stable word for programs.
    pub reasons: Vec<(Label, &'static str)>,
}

impl fmt::Debug for LookedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookedAt").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// A record on its way to the log. With `looked_at` these are its candidates, and the explanation
/// has none of its own.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// All but the candidates.
    pub record: Record,
    /// The candidates.
    pub looked_at: Option<LookedAt>,
}

impl From<Record> for Fresh {
    fn from(record: Record) -> Self {
        Self { record, looked_at: None }
    }
}

/// A candidate as it is written, from either source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) offer: &'a str,
    pub(super) score: Option<f64>,
    pub(super) quality: Option<f64>,
    pub(super) expected_cost_usd: Option<PicoUsd>,
    pub(super) first_token_ms: Option<f64>,
    pub(super) figures: Option<FiguresFact>,
    /// Known only of what comes from the pipeline.
    pub(super) answer_percent: Option<u32>,
    pub(super) rejected: Option<&'a str>,
    pub(super) reason_code: Option<&'a str>,
}

impl<'a> From<&'a CandidateFact> for Seen<'a> {
    fn from(fact: &'a CandidateFact) -> Self {
        Self {
            offer: &fact.offer,
            score: fact.score,
            quality: fact.quality,
            expected_cost_usd: fact.expected_cost_usd,
            first_token_ms: fact.first_token_ms,
            figures: fact.figures,
            answer_percent: None,
            rejected: fact.rejected.as_deref(),
            reason_code: fact.reason_code.as_deref(),
        }
    }
}

impl LookedAt {
    pub(super) fn seen(&self) -> impl ExactSizeIterator<Item = Seen<'_>> {
        self.rows.iter().map(|row| {
            let reason = row.reason.and_then(|reason| self.reasons.get(reason));
            Seen {
                offer: self.names.name(row.index).unwrap_or_default(),
                score: row.score,
                quality: row.figures.map(|figures| figures.quality),
                expected_cost_usd: row.figures.map(|figures| figures.expected_cost_usd),
                first_token_ms: row.figures.map(|figures| figures.first_token_ms),
                figures: row.figures.map(|figures| figures.more),
                answer_percent: row.figures.map(|figures| figures.answer_percent),
                rejected: reason.map(|(words, _)| &**words),
                reason_code: reason.map(|(_, code)| *code),
            }
        })
    }
}
