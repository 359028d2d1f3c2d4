//! Which offer of unknown speed a quick choice tries: an offer that was never asked is taken for a
//! middling one, and beside offers that are known to be quicker it would never show what it is.
//! Never decides by itself: it lends one candidate figures to be hoped for, and the route policy
//! scores it by them like any other, at the same floors and ceilings.

use super::{Candidate, Health};

/// What was measured so long ago, in milliseconds, says as little of a speed as nothing.
const KNOWN_FOR_MS: u64 = 3_600_000;

/// In times of the quickest that is known: enough to go before it, so that its speed is learnt.
const HOPED_FIRST_TOKEN: f64 = 0.5;

/// How often a quick choice tries an offer of unknown speed: one in so many, never by 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exploring(pub u32);

impl Exploring {
    /// Whether this choice is one of them.
    pub fn is_due(self, lot: &mut dyn FnMut() -> u32) -> bool {
        self.0 > 0 && lot().is_multiple_of(self.0)
    }

    /// Lends one of the candidates whose speed is unknown, drawn by lot, those of the quickest, if
    /// one is known to be quicker in anything.
    pub fn lend(
        candidates: &mut [Candidate],
        health: &Health,
        now_ms: u64,
        lot: &mut dyn FnMut() -> u32,
    ) {
        let is_known = |candidate: &Candidate| {
            let sampled_ms = health.sampled_ms(candidate.index);
            sampled_ms > 0 && now_ms.saturating_sub(sampled_ms) < KNOWN_FOR_MS
        };
        // By whom an answer begins soonest, and by whom it is written fastest.
        let mut quickest: Option<(f64, f64)> = None;
        let mut drawn: Option<usize> = None;
        let mut unknown = 0_u32;
        for (row, candidate) in candidates.iter().enumerate() {
            let Some(figures) = &candidate.figures else { continue };
            if candidate.rejection.is_some() {
                continue;
            }
            if is_known(candidate) {
                let (first_ms, speed) = (figures.first_token_ms, figures.tokens_per_second);
                quickest = Some(quickest.map_or((first_ms, speed), |before| {
                    (before.0.min(first_ms), before.1.max(speed))
                }));
                continue;
            }
            unknown = unknown.saturating_add(1);
            // Of n each stays with the chance of one in n.
            if lot().is_multiple_of(unknown) {
                drawn = Some(row);
            }
        }
        let drawn = drawn.and_then(|row| candidates.get_mut(row)?.figures.as_mut());
        let (Some((first_ms, speed)), Some(drawn)) = (quickest, drawn) else { return };
        if first_ms < drawn.first_token_ms || speed > drawn.tokens_per_second {
            drawn.first_token_ms = drawn.first_token_ms.min(first_ms * HOPED_FIRST_TOKEN);
            drawn.first_token_p95_ms = drawn.first_token_ms;
            drawn.tokens_per_second = drawn.tokens_per_second.max(speed);
            drawn.explored = true;
        }
    }
}

#[cfg(test)]
mod tests;
