//! The order in which offers are tried, made of the scores that a route policy gave them. Never
//! scores by itself, and never puts an offer of a lower tier before one of a higher.

use std::sync::Arc;

use super::{Candidate, FigureRow};
use crate::catalog::Offer;

/// What a plan is made under, beside the scores.
#[derive(Debug, Clone, Copy, Default)]
pub struct Planning {
    /// Offers that are asked before the request fails; one more where all are one provider's.
    pub attempts_max: usize,
    /// The quality that a rule of the organization asks for, 0 to 1.
    pub quality_floor: f64,
    /// A row to try before the best, where both have an attempt.
    pub first: Option<usize>,
}

/// What no offer crosses for its provider's sake, or to be tried. The whole part of a score is its
/// tier: the built-in policy puts what is good enough above what is not. What rules ask for counts
/// beside it, whatever a policy makes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tier {
    whole: f64,
    clears: bool,
    preferred: bool,
}

/// The plan in the making.
struct Draft<'a> {
    candidates: &'a [Candidate],
    offers: &'a [Arc<Offer>],
    planning: Planning,
    rows: Vec<usize>,
}

/// Puts the candidates that a policy gave a score into the order in which they are tried: the best
/// first, ties broken by lot, so that equal offers share the load. Of those in the tier of the best
/// that is left, one at a provider that is not in the plan yet goes first: when one model of a
/// provider fails, its others often fail with it. Where all are at one provider, another's best
/// comes last, whatever its tier: so many failures say that it is the provider. `offers` are what
/// the candidates' indices stand for.
pub fn plan(candidates: &[Candidate], offers: &[Arc<Offer>], planning: Planning) -> Vec<usize> {
    plan_by(candidates, offers, planning, &mut rand::random::<u32>)
}

/// The same with lots of the caller's own, so that a plan can be made again.
pub fn plan_by(
    candidates: &[Candidate],
    offers: &[Arc<Offer>],
    planning: Planning,
    lot: &mut dyn FnMut() -> u32,
) -> Vec<usize> {
    let attempts_max = planning.attempts_max;
    let rows = Vec::with_capacity(attempts_max.saturating_add(1).min(candidates.len()));
    let mut draft = Draft { candidates, offers, planning, rows };
    if attempts_max > 1 {
        draft.put_first(lot);
    }
    while draft.rows.len() < attempts_max {
        let Some(row) = draft.next(lot) else { return draft.rows };
        draft.rows.push(row);
    }
    if attempts_max > 1 && draft.is_of_one_provider() {
        let elsewhere = draft.best_fresh(None, lot);
        draft.rows.extend(elsewhere);
    }
    draft.rows
}

// === impl Tier ===

impl Tier {
    /// Whether an offer of it may go before one of another, which has the better score.
    pub(super) fn may_precede(self, other: Self) -> bool {
        self.whole.total_cmp(&other.whole).is_eq()
            && self.clears >= other.clears
            && self.preferred >= other.preferred
    }
}

/// The tier of a candidate with that score.
pub(super) fn tier_of(candidate: &Candidate, score: f64, quality_floor: f64) -> Tier {
    let figures = candidate.figures.as_ref();
    Tier {
        whole: score.trunc(),
        clears: figures.is_none_or(|row| row.quality >= quality_floor),
        preferred: figures.is_some_and(FigureRow::is_preferred),
    }
}

// === impl Draft ===

impl<'a> Draft<'a> {
    /// What a row is tried by; none where it is not, or is in the plan already.
    fn score(&self, row: usize) -> Option<f64> {
        let candidate = self.candidates.get(row)?;
        // Scored, and found too dear afterwards.
        let out = candidate.rejection.is_some() || self.rows.contains(&row);
        candidate.score.filter(|score| !out && *score >= 0.0)
    }

    fn provider(&self, row: usize) -> Option<&'a str> {
        let index = self.candidates.get(row)?.index;
        self.offers.get(index).map(|offer| &*offer.provider)
    }

    fn tier(&self, row: usize) -> Option<Tier> {
        let candidate = self.candidates.get(row)?;
        Some(tier_of(candidate, candidate.score?, self.planning.quality_floor))
    }

    fn is_fresh(&self, row: usize) -> bool {
        let provider = self.provider(row);
        !self.rows.iter().any(|planned| self.provider(*planned) == provider)
    }

    fn is_of_one_provider(&self) -> bool {
        let mut providers = self.rows.iter().map(|row| self.provider(*row));
        let first = providers.next();
        providers.all(|provider| Some(provider) == first)
    }

    /// Puts the row that is to be tried before the best, and the best behind it whatever its
    /// provider: it is not to fall out of the plan for what is only tried.
    fn put_first(&mut self, lot: &mut dyn FnMut() -> u32) {
        let first = self.planning.first;
        let Some((row, score)) = first.and_then(|row| Some((row, self.score(row)?))) else {
            return;
        };
        self.rows.push(row);
        let best = self.best(lot, |other| self.score(other) > Some(score));
        self.rows.extend(best);
    }

    /// The best of those left, or of its tier the best at a fresh provider, where there is one.
    fn next(&self, lot: &mut dyn FnMut() -> u32) -> Option<usize> {
        let best = self.best(lot, |_| true)?;
        if self.is_fresh(best) {
            return Some(best);
        }
        let tier = self.tier(best);
        Some(self.best_fresh(tier, lot).unwrap_or(best))
    }

    /// The best at a provider that is not in the plan yet, of all or of those that may precede.
    fn best_fresh(&self, before: Option<Tier>, lot: &mut dyn FnMut() -> u32) -> Option<usize> {
        let may = |row| match before {
            Some(tier) => self.tier(row).is_some_and(|own| own.may_precede(tier)),
            None => true,
        };
        self.best(lot, |row| may(row) && self.is_fresh(row))
    }

    /// The best of those that will do, by lot of several. A few attempts of dozens of candidates:
    /// looking through them each time beats sorting them.
    fn best(&self, lot: &mut dyn FnMut() -> u32, will_do: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        let mut equals = 1_u32;
        for row in 0..self.candidates.len() {
            let Some(score) = self.score(row) else { continue };
            let before = best.map(|(_, score)| score);
            if before.is_some_and(|before| score < before) || !will_do(row) {
                continue;
            }
            equals = if before == Some(score) { equals.saturating_add(1) } else { 1 };
            // Of n equals each stays with the chance of one in n.
            if equals == 1 || lot().is_multiple_of(equals) {
                best = Some((row, score));
            }
        }
        best.map(|(row, _)| row)
    }
}

#[cfg(test)]
mod tests;
