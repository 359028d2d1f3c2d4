//! The third edition: offers are compared by doublings of cost and time over the least of those
//! that clear the floor, so that no other offer has a say in which of two goes first. Logarithms
//! may differ in their last digit from one machine to another, which is no digit of a score that a
//! record has.

use super::super::super::explanation::ObjectiveFact;
use super::{
    Aim, BELOW_FLOOR, By, CHEAP_RELIEF, CLEARS, ESTIMATED_PRICE, FAST_COST_SHARE, FLOOR_OF_BEST,
    FLOOR_PER_DIFFICULTY, FLOOR_SINCE_SECOND, Known, PREFERRED, QUALITY_VALUE, SHAKY, SHAKY_BELOW,
    STAYS, WARM_DELAY, WARM_PREMIUM, WARM_PREMIUM_CHEAP, WARM_SLACK, clamped, time, trouble,
};

const ZERO_PRICE_SHARE: f64 = 0.25;
const WARM_WEIGHTED: f64 = 2.0;
const BELOW_NEXT_TIER: f64 = 1.0 - 1e-6;
const BETWEEN_EQUALS: f64 = 1e-5;
const FAR: f64 = 1e300;

/// What a doubling of the cost, one of the time, and 1 of quality count for.
type Shares = [f64; 3];

const BEST: Shares = [0.02, 0.0, 10.0];

struct Row {
    known: Known,
    cost: f64,
    time: f64,
    /// Beside those that clear the floor, of which it is one.
    burden: f64,
    /// None where a ceiling excludes it.
    tier: Option<f64>,
}

/// The least cost and time, and the best quality.
#[derive(Clone, Copy)]
struct Least {
    cost: f64,
    time: f64,
    quality: f64,
}

pub(super) fn scores(aim: Aim<'_>, known: &[Known]) -> Vec<f64> {
    let by = By::of(&aim.objective.profile);
    let cheap = &*aim.objective.profile == "cheap";
    let row = |known: &Known| {
        let known = Known { quality: clamped(known.quality), ..*known };
        let tier = sound(aim.objective, &known);
        Row { known, cost: 0.0, time: time(&known), burden: 0.0, tier }
    };
    let mut rows: Vec<Row> = known.iter().map(row).collect();
    put_below_floor(aim, cheap, &mut rows);
    count_costs(&mut rows);
    let least = Least::of(rows.iter().filter(|row| row.tier == Some(CLEARS)));
    let of_all = Least::of(rows.iter().filter(|row| row.tier.is_some()));
    let shares = shares(by, cheap);
    for row in rows.iter_mut().filter(|row| row.tier == Some(CLEARS)) {
        row.burden = burden(shares, row, &least);
    }
    promote(by, cheap, &mut rows);
    let score = |row: &Row| match row.tier {
        None => -1.0,
        Some(SHAKY) => {
            let within = within(burden(shares, row, &of_all));
            SHAKY + clamped(row.known.more.availability) * 0.9 + within * 0.09
        }
        Some(BELOW_FLOOR) => BELOW_FLOOR + within(burden(BEST, row, &of_all)),
        Some(tier) => tier + within(row.burden),
    };
    rows.iter().map(score).collect()
}

/// The tier before the floor is looked at.
fn sound(objective: &ObjectiveFact, known: &Known) -> Option<f64> {
    let (dearest, slowest) = (objective.cost_ceiling_usd, objective.first_token_ceiling_ms);
    let dear = dearest > 0.0 && known.cost_usd > dearest;
    let slow = slowest > 0.0 && known.first_token_ms > slowest;
    let shaky = clamped(known.more.availability) < SHAKY_BELOW;
    (!dear && !slow).then_some(if shaky { SHAKY } else { CLEARS })
}

fn put_below_floor(aim: Aim<'_>, cheap: bool, rows: &mut [Row]) {
    let relief = if cheap { CHEAP_RELIEF } else { 0.0 };
    let difficulty = if aim.difficulty.is_finite() { aim.difficulty } else { 0.5 };
    let wanted = FLOOR_SINCE_SECOND + FLOOR_PER_DIFFICULTY * difficulty.clamp(0.0, 1.0) - relief;
    let clears = |row: &&mut Row| row.tier == Some(CLEARS);
    let best = rows.iter_mut().filter(clears).map(|row| row.known.quality).fold(0.0, f64::max);
    let wanted = wanted.max(0.0).min(best * FLOOR_OF_BEST);
    let own = aim.objective.quality_floor;
    let own = if own.is_finite() { own } else { 0.0 };
    for row in rows.iter_mut().filter(clears) {
        let slack = if row.known.more.warm { WARM_SLACK } else { 0.0 };
        if row.known.quality < (wanted - slack).max(own) {
            row.tier = Some(BELOW_FLOOR);
        }
    }
}

/// A price of zero counts as a share of the least that another asks.
fn count_costs(rows: &mut [Row]) {
    let least = |of: fn(&Row) -> bool, rows: &[Row]| {
        let asked = rows.iter().filter(|row| of(row)).map(|row| row.known.cost_usd);
        asked.filter(|cost| *cost > 0.0).reduce(f64::min)
    };
    let of_those_that_clear = least(|row| row.tier == Some(CLEARS), rows);
    let least = of_those_that_clear.or_else(|| least(|row| row.tier.is_some(), rows));
    let nothing = least.unwrap_or(1.0) * ZERO_PRICE_SHARE;
    for row in rows {
        let asked = row.known.cost_usd;
        let estimated = if row.known.more.price_estimated { ESTIMATED_PRICE } else { 1.0 };
        let asked = if asked > 0.0 { asked } else { nothing };
        row.cost = asked * trouble(&row.known) * estimated;
    }
}

impl Least {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let none = Self { cost: f64::INFINITY, time: f64::INFINITY, quality: 0.0 };
        rows.fold(none, |least, row| Self {
            cost: least.cost.min(row.cost),
            time: least.time.min(row.time),
            quality: least.quality.max(row.known.quality),
        })
    }
}

fn shares(by: By, cheap: bool) -> Shares {
    match by {
        By::Cost if cheap => [1.0, 0.0, BETWEEN_EQUALS],
        By::Cost => [1.0, 0.0, QUALITY_VALUE],
        By::Time => [FAST_COST_SHARE, 1.0 - FAST_COST_SHARE, BETWEEN_EQUALS],
        By::Quality => BEST,
        By::Weights([cost, time, quality]) => {
            let sum = (cost + time + quality).max(1.0);
            let at_least = |share: f64| share.max(BETWEEN_EQUALS);
            [at_least(cost / sum), time / sum, at_least(quality / sum * QUALITY_VALUE)]
        }
    }
}

fn doublings(each: f64, amount: f64, least: f64) -> f64 {
    if each > 0.0 && amount > least { each * (amount / least).min(FAR).log2() } else { 0.0 }
}

fn burden([cost, time, quality]: Shares, row: &Row, least: &Least) -> f64 {
    doublings(cost, row.cost, least.cost)
        + doublings(time, row.time, least.time)
        + quality * (least.quality - row.known.quality)
}

fn within(burden: f64) -> f64 {
    BELOW_NEXT_TIER / (1.0 + burden)
}

/// A warm offer stays while nothing is much better, and a rule prefers it or none that clears the
/// floor; then come those that a rule prefers.
fn promote(by: By, cheap: bool, rows: &mut [Row]) {
    let times = match by {
        By::Cost if cheap => WARM_PREMIUM_CHEAP,
        By::Cost => WARM_PREMIUM,
        By::Time => WARM_DELAY,
        By::Weights(_) => WARM_WEIGHTED,
        By::Quality => f64::INFINITY,
    };
    let clears = || rows.iter().filter(|row| row.tier == Some(CLEARS));
    let most = clears().map(|row| row.burden).fold(f64::INFINITY, f64::min) + times.log2();
    let best = clears().map(|row| row.known.quality).fold(0.0, f64::max);
    let least_quality = if by == By::Quality { best - WARM_SLACK } else { 0.0 };
    let preferred = clears().any(|row| row.known.more.preferred);
    for row in rows.iter_mut().filter(|row| row.tier == Some(CLEARS)) {
        let near = row.known.quality >= least_quality && row.burden <= most;
        let may_stay = row.known.more.preferred || !preferred;
        if row.known.more.warm && near && may_stay {
            row.tier = Some(STAYS);
        } else if row.known.more.preferred {
            row.tier = Some(PREFERRED);
        }
    }
}
