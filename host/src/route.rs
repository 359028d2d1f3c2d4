//! Which offers can and may take a request, what each would cost and how fast it would be, and the
//! ordered plan. The order itself is the route policy's decision. Never calls a provider, never
//! touches money.

mod figures;
mod health;
mod matching;
mod selector;

use std::sync::Arc;

use crate::catalog::Offer;

pub use figures::{FigureRow, Workload, figure_row};
pub use health::{BreakerRule, Gate, Health, InFlight, Sample, Snapshot};
pub use matching::{Asked, Rejection, check};
pub use selector::{Profile, Selector};

/// An offer that was looked at.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Index in the configured catalogue, also of its health.
    pub index: usize,
    pub offer: Arc<Offer>,
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
/// fails, its others usually fail with it.
pub fn plan(candidates: &[Candidate], attempts_max: usize) -> Vec<usize> {
    let mut order: Vec<(usize, f64, u32)> = candidates
        .iter()
        .enumerate()
        .filter_map(|(row, c)| c.score.filter(|s| *s >= 0.0).map(|s| (row, s, rand::random())))
        .collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.2.cmp(&b.2)));
    let provider = |row: usize| candidates.get(row).map(|c| &c.offer.provider);
    let mut left: Vec<usize> = order.into_iter().map(|(row, _, _)| row).collect();
    let mut plan: Vec<usize> = Vec::with_capacity(attempts_max.min(left.len()));
    while plan.len() < attempts_max && !left.is_empty() {
        let fresh = |row: &usize| !plan.iter().any(|planned| provider(*planned) == provider(*row));
        let next = left.iter().position(fresh).unwrap_or(0);
        plan.push(left.remove(next));
    }
    plan
}

#[cfg(test)]
mod tests;
