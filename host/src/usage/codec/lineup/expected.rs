//! What is expected of a record's candidates before it says anything of them; the same for whoever
//! writes it and whoever reads it.

use std::sync::Arc;

use turnpike_ledger::PicoUsd;

pub(super) use super::super::rule::Known;

use super::super::super::board::size_of;
use super::super::super::explanation::{CandidateFact, ExpectedFact, Explanation, FiguresFact};
use super::super::super::looked_at::Seen;
use super::super::super::roster::{Doing, MS_STEPS, QUALITY_STEPS, Roster, in_steps};
use super::super::super::segment::widen;
use super::super::rule::{Aim, Edition, scores};
use super::standing::Standing;

/// What the difficulty is taken for where nothing was classified.
const DIFFICULTY_UNKNOWN: f64 = 0.5;

/// Reasons of those that were scored all the same; those of money that is short were left out
/// before records said what was expected.
const SCORED_BEFORE: [&str; 2] = ["excluded_by_policy", "model_budget"];
const SHORT: [&str; 2] = ["budget_short", "credit_short"];

/// What a roster leads to expect of one request.
pub(super) struct Expected<'a> {
    pub(super) roster: &'a Roster,
    pub(super) made_of: &'a ExpectedFact,
    /// Whether each candidate has an answer of its own.
    pub(super) answers: bool,
    /// The first number of each of the roster's sentences, where it is another one.
    pub(super) firsts: Vec<Option<u64>>,
    /// How each offer is expected to be doing.
    pub(super) standing: Vec<Standing>,
}

// === impl Expected ===

impl Expected<'_> {
    /// With an answer of so many tokens.
    pub(super) fn cost(&self, place: usize, answer: u32) -> Option<PicoUsd> {
        let [request, input, output] = self.roster.rows.get(place)?.prices?;
        let made_of = self.made_of;
        let each = if self.answers { answer.into() } else { made_of.answer_tokens };
        let written = u128::from(each.saturating_mul(made_of.answers));
        let read = u128::from(made_of.prompt_tokens);
        let tokens = read.saturating_mul(input.0).saturating_add(written.saturating_mul(output.0));
        Some(PicoUsd(request.0.saturating_add(tokens)))
    }

    pub(super) fn candidate(&self, place: usize) -> Option<CandidateFact> {
        let row = self.roster.rows.get(place)?;
        let standing = self.standing.get(place)?;
        let label = |text: Arc<str>| text.to_string().into();
        Some(CandidateFact {
            offer: Arc::clone(&row.offer),
            score: None,
            quality: row.quality,
            expected_cost_usd: self.cost(place, standing.doing.unwrap_or_default().answer),
            first_token_ms: standing.first_token.map(|steps| steps as f64 / MS_STEPS),
            figures: standing.doing.map(Doing::figures),
            rejected: self.roster.reason(place, &self.firsts).map(label),
            reason_code: row.reason_code.clone().map(label),
        })
    }

    /// Whether a candidate was rejected for another reason.
    pub(super) fn differs(&self, place: usize, rejected: Option<&str>) -> bool {
        let is_plain = matches!(self.roster.phrased.get(place), Some(None));
        if is_plain || self.firsts.iter().all(Option::is_none) {
            let plain = self.roster.rows.get(place).and_then(|row| row.rejected.as_deref());
            return plain != rejected;
        }
        self.roster.reason(place, &self.firsts).as_deref() != rejected
    }
}

/// A candidate that was written, as it will be read; `kept` is a quality that the roster has.
pub(super) fn as_read<'a>(candidate: &Seen<'a>, kept: Option<f64>) -> Seen<'a> {
    let near = |value: f64, steps: f64| {
        in_steps(value, steps).map_or(value, |scaled| scaled as f64 / steps)
    };
    let figures = |figures: FiguresFact| Doing::of(&figures).map_or(figures, Doing::figures);
    Seen {
        quality: kept.or(candidate.quality.map(|quality| near(quality, QUALITY_STEPS))),
        first_token_ms: candidate.first_token_ms.map(|ms| near(ms, MS_STEPS)),
        figures: candidate.figures.map(figures),
        ..*candidate
    }
}

/// What a candidate was scored by; none if it was not. `ceiling_ms`: of the first token, where
/// records say who was only assumed to be over it.
pub(super) fn known(read: &Seen<'_>, ceiling_ms: Option<f64>) -> Option<Known> {
    let scored = match (read.rejected, read.reason_code) {
        (None, None) => true,
        (_, Some(code)) if SHORT.contains(&code) => ceiling_ms.is_some(),
        (_, code) => code.is_some_and(|code| SCORED_BEFORE.contains(&code)),
    };
    let (quality, figures) = (read.quality?, read.figures?);
    let (cost, first_token_ms) = (read.expected_cost_usd?, read.first_token_ms?);
    let over = |ceiling: &f64| figures.assumed_over_ceiling && *ceiling > 0.0;
    let first_token_ms = match ceiling_ms.filter(over) {
        Some(ceiling_ms) => first_token_ms.min(ceiling_ms),
        None => first_token_ms,
    };
    let cost_usd = ranking_usd(cost);
    scored.then_some(Known { quality, cost_usd, first_token_ms, more: figures })
}

/// As offers are ranked by it: a float of the whole amount, which is good to sixteen digits.
fn ranking_usd(amount: PicoUsd) -> f64 {
    let pico = u64::try_from(amount.0).unwrap_or(u64::MAX);
    let high = u32::try_from(pico >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(pico & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    (f64::from(high) * 4_294_967_296.0 + f64::from(low)) / 1e12
}

/// The scores that the built-in policy would have given.
pub(super) fn expected_scores(
    edition: Edition,
    explanation: &Explanation,
    known: &[Option<Known>],
) -> Vec<Option<f64>> {
    let Some(objective) = &explanation.objective else { return vec![None; known.len()] };
    let difficulty = explanation.task.as_ref().map_or(DIFFICULTY_UNKNOWN, |task| task.difficulty);
    let rows: Vec<Known> = known.iter().flatten().copied().collect();
    let mut scores = scores(Aim { edition, objective, difficulty }, &rows).into_iter();
    let score = |of: &Option<Known>| of.and_then(|_| scores.next()).filter(|score| *score >= 0.0);
    known.iter().map(score).collect()
}

/// Which kind of request a record is of: those of one kind share a roster. Only ever a guess, since
/// whatever is not as in the roster is written out.
pub(super) fn kind(seen: &[Seen<'_>], explanation: &Explanation, prompt_tokens: u64) -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    if let Some(task) = &explanation.task {
        hash.take(task.task.as_bytes());
    }
    hash.take(&widen(size_of(prompt_tokens)).to_le_bytes());
    hash.take(&widen(seen.len()).to_le_bytes());
    // A few of the names: whose lists are of the same length differ in one of these.
    for place in [0, seen.len() / 2, seen.len().saturating_sub(1)] {
        hash.take(seen.get(place).map_or("", |one| one.offer).as_bytes());
    }
    for candidate in seen {
        let code = candidate.reason_code.unwrap_or_default().as_bytes();
        let first = code.first().copied().unwrap_or_default();
        let len = code.len().to_le_bytes()[0];
        hash.take(&[u8::from(candidate.quality.is_some()), first, len]);
    }
    hash.0
}

/// Fowler, Noll and Vo's: a few instructions a byte, and nobody gains by a collision.
struct Fnv(u64);

impl Fnv {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
