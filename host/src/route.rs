//! Which offers can and may take a request, what each would cost and how fast it would be, and the
//! ordered plan. The order itself is the route policy's decision. Never calls a provider, never
//! touches money.

mod affinity;
mod aliases;
mod answers;
mod exploration;
mod feedback;
mod figures;
mod health;
mod hedge_budget;
mod matching;
mod rules;
mod selector;

use std::cmp::Ordering;
use std::sync::Arc;

use crate::catalog::Offer;

pub use affinity::{Affinity, Conversation, Pin};
pub use aliases::{Aliases, OrgAliases};
pub use answers::Answers;
pub use exploration::Exploring;
pub use feedback::{
    CORRECTION_MAX, Corrections, Feedback, HALF_LIFE, HALFWAY_RATINGS, KEY_RATINGS_MAX, KeyRatings,
    Ratings,
};
pub use figures::{FigureRow, Particulars, Workload, figure_row, likely_tokens, ranking_usd};
pub use health::{
    Band, BandFigures, BreakerRule, Demand, Gate, Health, InFlight, Lane, NotNow, Observed,
    ObservedLane, Reach, Sample, Snapshot,
};
pub use hedge_budget::HedgeBudget;
pub use matching::{Asked, Rejection, check, forbidden, over_ceiling};
pub use rules::{
    Forbidden, OrgRules, RULE_BYTES_MAX, RULES_BYTES_MAX, RULES_MAX, Rule, RuleFault, Rulebook,
    Situation, Terms, Unmatched, Weights, When, unmatched,
};
pub use selector::{Profile, Selector};

/// An offer that was looked at. Names it by its index and holds no reference: counting references
/// up and down for every candidate of every request makes the workers wait for each other.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Index in the configured catalogue, also of its health.
    pub index: usize,
    /// Why it can't or may not; `None` when it is in the running.
    pub rejection: Option<Rejection>,
    /// Set for those in the running.
    pub figures: Option<FigureRow>,
    /// The route policy's; below 0 it excluded the row.
    pub score: Option<f64>,
}

/// Puts the candidates that a policy gave a score into the order in which they are tried: the best
/// first, ties broken by lot, so that equal offers share the load. Each further attempt goes to a
/// provider that is not in the plan yet, as long as there is one: when one model of a provider
/// fails, its others usually fail with it. `offers` are what the candidates' indices stand for.
pub fn plan(candidates: &[Candidate], offers: &[Arc<Offer>], attempts_max: usize) -> Vec<usize> {
    plan_by(candidates, offers, attempts_max, &mut rand::random::<u32>)
}

/// The same with lots of the caller's own, so that a plan can be made again.
pub fn plan_by(
    candidates: &[Candidate],
    offers: &[Arc<Offer>],
    attempts_max: usize,
    lot: &mut dyn FnMut() -> u32,
) -> Vec<usize> {
    let provider = |row: usize| {
        let index = candidates.get(row)?.index;
        offers.get(index).map(|offer| &*offer.provider)
    };
    let mut plan: Vec<usize> = Vec::with_capacity(attempts_max.min(candidates.len()));
    // A few attempts of dozens of candidates: looking through them each time beats sorting them.
    while plan.len() < attempts_max {
        let mut best: Option<(usize, bool, f64)> = None;
        let mut equals = 1_u32;
        for (row, candidate) in candidates.iter().enumerate() {
            let Some(score) = candidate.score.filter(|score| *score >= 0.0) else { continue };
            // Scored, and found too dear afterwards.
            if candidate.rejection.is_some() || plan.contains(&row) {
                continue;
            }
            // What scores less than the best of the fresh ones is out whatever its provider.
            if best.is_some_and(|(_, fresh, of_best)| fresh && score.total_cmp(&of_best).is_lt()) {
                continue;
            }
            let fresh = !plan.iter().any(|planned| provider(*planned) == provider(row));
            let order = best.map_or(Ordering::Greater, |(_, best_fresh, best_score)| {
                fresh.cmp(&best_fresh).then(score.total_cmp(&best_score))
            });
            equals = match order {
                Ordering::Less => continue,
                Ordering::Equal => equals.saturating_add(1),
                Ordering::Greater => 1,
            };
            // Of n equals each stays with the chance of one in n.
            if equals == 1 || lot().is_multiple_of(equals) {
                best = Some((row, fresh, score));
            }
        }
        let Some((row, _, _)) = best else { break };
        plan.push(row);
    }
    plan
}

#[cfg(test)]
mod tests;
