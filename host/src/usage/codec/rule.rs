//! Which scores the built-in route policy would give: what a record need not say. Part of the
//! format and so never changed, even where the policy is: it has an edition for each kind of
//! record, and a score that another rule or another configuration gave is written out. Decides
//! nothing. The first two editions, here, are multiplications and divisions of floats alone, in the
//! policy's own order, so that writer and reader come to the same bits.

mod third;

use super::super::explanation::{FiguresFact, ObjectiveFact};

/// The policy's settings where nobody has changed them.
const FLOOR: f64 = 0.45;
const FLOOR_PER_DIFFICULTY: f64 = 0.5;
const CHEAP_RELIEF: f64 = 0.15;
const QUALITY_VALUE: f64 = 5.0;
const WARM_SLACK: f64 = 0.05;
const WARM_PREMIUM: f64 = 4.0;
const SHAKY_BELOW: f64 = 0.5;
const TYPICAL_OUTPUT_TOKENS: f64 = 300.0;
const FLOOR_OF_BEST: f64 = 0.97;
const ESTIMATED_PRICE: f64 = 1.1;
const WARM: f64 = 0.9;
const WARM_DELAY: f64 = 1.5;
/// Since the second edition.
const WARM_PREMIUM_CHEAP: f64 = 1.1;
const FAST_COST_SHARE: f64 = 0.15;
const FLOOR_SINCE_SECOND: f64 = 0.48;
const WARM_SHARE: f64 = 0.8;
const LOAD_PER_REQUEST: f64 = 0.01;
const TAIL: f64 = 0.3;
const QUALITY_TIE: f64 = 0.01;
const LEAST_AVAILABILITY: f64 = 0.01;

/// What a score begins with.
const STAYS: f64 = 4.0;
const PREFERRED: f64 = 3.0;
const CLEARS: f64 = 2.0;
const BELOW_FLOOR: f64 = 1.0;
const SHAKY: f64 = 0.0;

/// The built-in policy as it was when a kind of records was first written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edition {
    First,
    /// The floor is a little higher. Under `fast` cost counts a little. A warm session stays where
    /// a rule prefers an offer only if that is its own, and under `cheap` only if it is hardly
    /// dearer.
    Second,
    /// Costs and times are compared with the least of those that clear the floor. A price of zero
    /// counts for something. No warm session goes below the organization's own floor.
    Third,
}

/// What the scores were made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aim<'a> {
    pub(super) edition: Edition,
    pub(super) objective: &'a ObjectiveFact,
    pub(super) difficulty: f64,
}

/// What one candidate was scored by, as a reader will know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) quality: f64,
    pub(super) cost_usd: f64,
    pub(super) first_token_ms: f64,
    pub(super) more: FiguresFact,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Cost,
    Time,
    Quality,
    /// Percents of cost, speed and quality.
    Weights([f64; 3]),
}

struct Row {
    known: Known,
    cost: f64,
    time: f64,
    /// None where a ceiling excludes it.
    tier: Option<f64>,
    weighed: f64,
}

struct Means {
    cost: f64,
    time: f64,
}

/// The scores of all that were in the running, in their order; below 0 for one that is excluded.
pub(super) fn scores(aim: Aim<'_>, known: &[Known]) -> Vec<f64> {
    if aim.edition == Edition::Third {
        return third::scores(aim, known);
    }
    let by = By::of(&aim.objective.profile);
    let cheap = &*aim.objective.profile == "cheap";
    let best = known.iter().map(|row| clamped(row.quality)).fold(0.0, f64::max);
    let floor = floor(aim, cheap, best);
    let value = if cheap { 0.0 } else { QUALITY_VALUE };
    let mut rows: Vec<Row> = known
        .iter()
        .map(|known| {
            let known = Known { quality: clamped(known.quality), ..*known };
            let shortfall = match by {
                By::Cost => 1.0 + value * (best - known.quality),
                _ => 1.0,
            };
            let tier = tier(aim.objective, floor, &known);
            Row { known, cost: cost(&known, shortfall), time: time(&known), tier, weighed: 0.0 }
        })
        .collect();
    let means = Means { cost: mean(&rows, |row| row.cost), time: mean(&rows, |row| row.time) };
    if let By::Weights(weights) = by {
        for row in &mut rows {
            row.weighed = weighed(row, weights, &means);
        }
    }
    let first = aim.edition == Edition::First;
    let premium = if cheap && !first { WARM_PREMIUM_CHEAP } else { WARM_PREMIUM };
    promote(by, premium, first, &mut rows);
    let fast_cost_share = if first { 0.0 } else { FAST_COST_SHARE };
    rows.iter().map(|row| score(by, row, fast_cost_share, &means)).collect()
}

impl By {
    fn of(profile: &str) -> Self {
        match profile {
            "fast" => Self::Time,
            "best" => Self::Quality,
            other => Self::weights(other).unwrap_or(Self::Cost),
        }
    }

    fn weights(profile: &str) -> Option<Self> {
        let mut shares = profile.strip_prefix("weighted-")?.split('-').map(str::parse::<u8>);
        let mut share = || shares.next()?.ok().map(f64::from);
        Some(Self::Weights([share()?, share()?, share()?]))
    }
}

fn clamped(share: f64) -> f64 {
    if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
}

fn floor(aim: Aim<'_>, cheap: bool, best: f64) -> f64 {
    let relief = if cheap { CHEAP_RELIEF } else { 0.0 };
    let difficulty = if aim.difficulty.is_finite() { aim.difficulty } else { 0.5 };
    let base = if aim.edition == Edition::First { FLOOR } else { FLOOR_SINCE_SECOND };
    let wanted = (base + FLOOR_PER_DIFFICULTY * difficulty.clamp(0.0, 1.0) - relief).max(0.0);
    let own = aim.objective.quality_floor;
    wanted.min(best * FLOOR_OF_BEST).max(if own.is_finite() { own } else { 0.0 })
}

fn tier(objective: &ObjectiveFact, floor: f64, known: &Known) -> Option<f64> {
    let (dearest, slowest) = (objective.cost_ceiling_usd, objective.first_token_ceiling_ms);
    let slack = if known.more.warm { WARM_SLACK } else { 0.0 };
    if (dearest > 0.0 && known.cost_usd > dearest)
        || (slowest > 0.0 && known.first_token_ms > slowest)
    {
        None
    } else if clamped(known.more.availability) < SHAKY_BELOW {
        Some(SHAKY)
    } else if known.quality < floor - slack {
        Some(BELOW_FLOOR)
    } else {
        Some(CLEARS)
    }
}

/// A warm offer stays while nothing is much better; then come those that a rule prefers. `always`:
/// also where a rule prefers others.
fn promote(by: By, premium: f64, always: bool, rows: &mut [Row]) {
    let clears = || rows.iter().filter(|row| row.tier == Some(CLEARS));
    let least = |of: fn(&Row) -> f64| clears().map(of).fold(f64::INFINITY, f64::min);
    let most = |of: fn(&Row) -> f64| clears().map(of).fold(0.0, f64::max);
    let (cost, time) = (least(|row| row.cost), least(|row| row.time));
    let (quality, weighed) = (most(|row| row.known.quality), most(|row| row.weighed));
    let preferred = clears().any(|row| row.known.more.preferred);
    for row in rows.iter_mut().filter(|row| row.tier == Some(CLEARS)) {
        let near = match by {
            By::Cost => row.cost <= cost * premium,
            By::Time => row.time <= time * WARM_DELAY,
            By::Quality => row.known.quality >= quality - WARM_SLACK,
            By::Weights(_) => row.weighed >= weighed * WARM_SHARE,
        };
        let may_stay = always || row.known.more.preferred || !preferred;
        if row.known.more.warm && near && may_stay {
            row.tier = Some(STAYS);
        } else if row.known.more.preferred {
            row.tier = Some(PREFERRED);
        }
    }
}

fn trouble(known: &Known) -> f64 {
    let warm = if known.more.warm { WARM } else { 1.0 };
    warm / clamped(known.more.availability).max(LEAST_AVAILABILITY)
}

fn cost(known: &Known, shortfall: f64) -> f64 {
    let estimated = if known.more.price_estimated { ESTIMATED_PRICE } else { 1.0 };
    known.cost_usd * trouble(known) * estimated * shortfall
}

fn time(known: &Known) -> f64 {
    let first = known.first_token_ms;
    let tail = known.more.first_token_p95_ms.max(first);
    let speed = known.more.tokens_per_second.max(1.0);
    let time = first * (1.0 - TAIL) + tail * TAIL + TYPICAL_OUTPUT_TOKENS / speed * 1000.0;
    time * trouble(known) * (1.0 + f64::from(known.more.in_flight) * LOAD_PER_REQUEST)
}

fn mean(rows: &[Row], of: fn(&Row) -> f64) -> f64 {
    let in_play = rows.iter().filter(|row| row.tier.is_some()).map(of);
    let (sum, count) = in_play.fold((0.0, 0.0), |(sum, count), it| (sum + it, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

fn lightness(burden: f64, mean: f64) -> f64 {
    if burden > 0.0 { mean / (mean + burden) } else { 1.0 }
}

fn weighed(row: &Row, [by_cost, by_speed, by_quality]: [f64; 3], means: &Means) -> f64 {
    let sum = (by_cost + by_speed + by_quality).max(1.0);
    let weighed = by_cost * lightness(row.cost, means.cost)
        + by_speed * lightness(row.time, means.time)
        + by_quality * row.known.quality;
    weighed / sum * (1.0 - 1e-6)
}

fn score(by: By, row: &Row, fast_cost_share: f64, means: &Means) -> f64 {
    let Some(tier) = row.tier else { return -1.0 };
    let light = lightness(row.cost, means.cost);
    let lightness = match by {
        By::Time => {
            let share = fast_cost_share;
            lightness(row.time, means.time) * (1.0 - share) + light * share
        }
        By::Cost | By::Quality | By::Weights(_) => light,
    };
    let quality = row.known.quality;
    let by_quality = quality * (1.0 - QUALITY_TIE) + lightness * QUALITY_TIE * 0.99;
    let by_burden = lightness * (1.0 - 1e-6) + quality * 1e-7;
    if tier == BELOW_FLOOR {
        return tier + by_quality;
    }
    if tier == SHAKY {
        return tier + clamped(row.known.more.availability) * 0.9 + by_burden * 0.09;
    }
    tier + match by {
        By::Quality => by_quality,
        By::Cost | By::Time => by_burden,
        By::Weights(_) => row.weighed,
    }
}

#[cfg(test)]
mod tests;
