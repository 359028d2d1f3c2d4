//! Which offer of unknown speed a quick choice tries: an offer that was never asked is taken for a
//! middling one, and beside offers that are known to be quicker it would never show what it is.
//! Changes no figure and no score: the one that is drawn goes before those of its own tier, and of
//! those only where its price is not far from theirs.

use super::planning::tier_of;
use super::{Candidate, Health};

/// What was measured so long ago, in milliseconds, says as little of a speed as nothing.
const KNOWN_FOR_MS: u64 = 3_600_000;

/// What a try may cost, in times of what the best is expected to: a caller that wants a quick
/// answer pays for it.
const DEARER_MAX: f64 = 3.0;

/// How often a quick choice tries an offer of unknown speed: one in so many, never by 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exploring(pub u32);

impl Exploring {
    /// Whether this choice is one of them.
    pub fn is_due(self, lot: &mut dyn FnMut() -> u32) -> bool {
        self.0 > 0 && lot().is_multiple_of(self.0)
    }

    /// Whether speed counts for something under a profile, as the route policy is told it.
    pub fn is_of_use(profile: &str) -> bool {
        let mut shares = profile.strip_prefix("weighted-").unwrap_or_default().split('-');
        profile == "fast" || shares.nth(1).is_some_and(|share| share.parse() != Ok(0_u8))
    }

    /// Draws one of those in the tier of the best whose speed is not known, where the best's is:
    /// else nothing is known to be quicker.
    pub fn draw(
        candidates: &[Candidate],
        health: &Health,
        quality_floor: f64,
        now_ms: u64,
        lot: &mut dyn FnMut() -> u32,
    ) -> Option<usize> {
        let is_known = |candidate: &Candidate| {
            let sampled_ms = health.sampled_ms(candidate.index);
            sampled_ms > 0 && now_ms.saturating_sub(sampled_ms) < KNOWN_FOR_MS
        };
        let running = || {
            candidates.iter().enumerate().filter_map(|(row, candidate)| {
                let score = candidate.score.filter(|_| candidate.rejection.is_none())?;
                Some((row, candidate, score, candidate.figures.as_ref()?))
            })
        };
        let (_, best, score, figures) = running().max_by(|a, b| a.2.total_cmp(&b.2))?;
        if !is_known(best) {
            return None;
        }
        let (tier, dearest) = (tier_of(best, score, quality_floor), figures.cost_usd * DEARER_MAX);
        let mut drawn: Option<usize> = None;
        let mut unknown = 0_u32;
        for (row, candidate, score, figures) in running() {
            let alike = tier_of(candidate, score, quality_floor).may_precede(tier);
            if !alike || figures.cost_usd > dearest || is_known(candidate) {
                continue;
            }
            unknown = unknown.saturating_add(1);
            // Of n each stays with the chance of one in n.
            if lot().is_multiple_of(unknown) {
                drawn = Some(row);
            }
        }
        drawn
    }
}

#[cfg(test)]
mod tests;
