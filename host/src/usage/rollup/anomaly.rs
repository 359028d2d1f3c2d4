//! Hours in which an organization, or a team of it, spent out of the usual. The rule is a plain one
//! that can be worked out by hand: more than a dollar, more than three times the mean of the hours
//! before, and more than four standard deviations above it. The hours before are up to a week's,
//! from the first in which anything was spent, and at least a day's; hours without spending count.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use turnpike_ledger::{PICO_PER_USD, PicoUsd};

use super::names::{NONE, NameId};
use super::org::OrgRows;
use super::{HOUR_MS, Rollup, TEAM, get, hour_of};

/// Hours that an hour is compared with.
const HOURS_BEFORE: u64 = 7 * 24;
/// Fewer hours of history say nothing.
const HOURS_BEFORE_MIN: u64 = 24;
/// Less than this is never out of the usual.
const SPENT_MIN: u128 = PICO_PER_USD;
/// Times the mean.
const TIMES_MEAN: u128 = 3;
/// Standard deviations above the mean.
const DEVIATIONS: u128 = 4;
/// Amounts are squared in steps of a micro-dollar, so that no sum of squares overflows.
const STEP: u128 = 1_000_000;

/// An hour out of the usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// Whose spending.
    pub org: Arc<str>,
    /// The team; none for the whole organization.
    pub team: Option<Arc<str>>,
    /// When the hour began, in milliseconds since the Unix epoch.
    pub hour_ms: u64,
    /// What was spent in it.
    pub spent_usd: PicoUsd,
    /// What would just have been usual.
    pub usual_usd: PicoUsd,
}

/// Spending of one organization, or team, by the hour.
type Series = BTreeMap<u64, u128>;

// === impl Rollup: anomalies ===

impl Rollup {
    /// Hours out of the usual among those from `from_ms` to `now_ms`, of one organization or of
    /// all; the latest first.
    pub(in super::super) fn anomalies(
        &self,
        org: Option<&str>,
        from_ms: u64,
        now_ms: u64,
    ) -> Vec<Anomaly> {
        let mut found = Vec::new();
        let orgs = self.orgs.iter().filter(|(own, _)| org.is_none_or(|org| org == &***own));
        for (org, own) in orgs {
            for (team, series) in own.spending(from_ms, now_ms) {
                for (hour_ms, spent) in series.range(hour_of(from_ms)..=hour_of(now_ms)) {
                    let usual = usual(&series, *hour_ms).filter(|usual| spent > usual);
                    found.extend(usual.map(|usual| Anomaly {
                        org: Arc::clone(org),
                        team: own.names.name(team).cloned(),
                        hour_ms: *hour_ms,
                        spent_usd: PicoUsd(*spent),
                        usual_usd: PicoUsd(usual),
                    }));
                }
            }
        }
        found.sort_by(|a, b| {
            b.hour_ms.cmp(&a.hour_ms).then_with(|| (&a.org, &a.team).cmp(&(&b.org, &b.team)))
        });
        found
    }
}

// === impl OrgRows: anomalies ===

impl OrgRows {
    /// By team, and of all of it under none.
    fn spending(&self, from_ms: u64, now_ms: u64) -> HashMap<NameId, Series> {
        let first = hour_of(from_ms).saturating_sub(HOURS_BEFORE.saturating_mul(HOUR_MS));
        let mut all: HashMap<NameId, Series> = HashMap::new();
        for (hour_ms, hour) in self.hours.range(first..=hour_of(now_ms)) {
            for (about, totals) in &hour.rows {
                if totals.cost_usd.is_zero() {
                    continue;
                }
                let team = get(about, TEAM);
                // Of a request without a team there is nothing but the whole.
                let places = [Some(NONE), (team != NONE).then_some(team)];
                for place in places.into_iter().flatten() {
                    let series = all.entry(place).or_default();
                    let spent = series.entry(*hour_ms).or_default();
                    *spent = spent.saturating_add(totals.cost_usd.0);
                }
            }
        }
        all
    }
}

/// The most that would be usual in an hour, from the hours before it; none where those are too few.
fn usual(series: &Series, hour_ms: u64) -> Option<u128> {
    let first = hour_ms.saturating_sub(HOURS_BEFORE.saturating_mul(HOUR_MS));
    let before = || series.range(first..hour_ms);
    let since = before().next().map(|(hour_ms, _)| *hour_ms)?;
    let hours = hour_ms.saturating_sub(since) / HOUR_MS;
    if hours < HOURS_BEFORE_MIN {
        return None;
    }
    let hours = u128::from(hours);
    let (mut sum, mut squares) = (0_u128, 0_u128);
    for (_, spent) in before() {
        let steps = spent / STEP;
        sum = sum.saturating_add(steps);
        squares = squares.saturating_add(steps.saturating_mul(steps));
    }
    let mean = sum / hours;
    let variance = (squares / hours).saturating_sub(mean.saturating_mul(mean));
    let deviation = variance.isqrt();
    let above = mean.saturating_add(deviation.saturating_mul(DEVIATIONS));
    let usual = above.max(mean.saturating_mul(TIMES_MEAN)).saturating_mul(STEP);
    Some(usual.max(SPENT_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(hours: &[(u64, u128)]) -> Series {
        hours.iter().map(|(hour, usd)| (hour * HOUR_MS, usd * PICO_PER_USD)).collect()
    }

    #[test]
    fn a_day_of_history_is_needed_and_hours_without_spending_count() {
        let steady: Vec<(u64, u128)> = (100..148).map(|hour| (hour, 2)).collect();
        let steady = series(&steady);
        assert_eq!(usual(&steady, 123 * HOUR_MS), None, "23 hours are too few");
        assert_eq!(usual(&steady, 124 * HOUR_MS), Some(6 * PICO_PER_USD), "three times the mean");
        // Two dollars once in 100 hours: mean 0.02, deviation 0.199.
        let rare = series(&[(100, 2)]);
        let once = usual(&rare, 200 * HOUR_MS).unwrap();
        assert_eq!(once, PICO_PER_USD, "less than a dollar is never out of the usual");
        assert_eq!(usual(&series(&[]), 200 * HOUR_MS), None);
        let waves: Vec<(u64, u128)> =
            (0..96).map(|h| (100 + h, if h % 2 == 0 { 2 } else { 10 })).collect();
        // Mean 6, deviation 4.
        assert_eq!(usual(&series(&waves), 196 * HOUR_MS), Some(22 * PICO_PER_USD));
    }
}
