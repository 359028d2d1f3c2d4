//! The rule itself: figures in, a standing and a score for each row out. A score is its tier plus
//! a fraction below 1, so that no price is low enough to lift an offer out of its tier.

use turnpike_policy_sdk::{
    Figures, MARK_PREFERRED, MARK_PRICE_ESTIMATED, MARK_WARM, Objective, Refusal,
};

use crate::config::Config;

/// A floor never asks for more than nearly the best there is: otherwise a set of modest offers
/// would be ranked by quality alone, and its price would not count.
const FLOOR_OF_BEST: f64 = 0.97;
/// An estimated price counts for more than it says.
const ESTIMATED_PRICE: f64 = 1.1;
/// A warm session counts for a little less than it costs: signatures and caches live there.
const WARM: f64 = 0.9;
/// Under `fast` a warm session stays while it takes at most so many times as long as the quickest.
const WARM_DELAY: f64 = 1.5;
/// Under weights it stays while it comes to at least this share of the best.
const WARM_SHARE: f64 = 0.8;
/// Each request in flight makes an offer look slower by this share.
const LOAD_PER_REQUEST: f64 = 0.01;
/// Whoever asks for cheap is moved by what is hardly cheaper; what is cached is in the cost.
const WARM_PREMIUM_CHEAP: f64 = 1.1;
/// Share of the tail in the expected time to the first token.
const TAIL: f64 = 0.3;
/// Quality differences below this are decided by price under `best`.
const QUALITY_TIE: f64 = 0.01;
/// Keeps a division defined for an offer that never answered.
const LEAST_AVAILABILITY: f64 = 0.01;

const TIER_STAYS: f64 = 4.0;
const TIER_PREFERRED: f64 = 3.0;
const TIER_CLEARS: f64 = 2.0;
const TIER_BELOW_FLOOR: f64 = 1.0;
const TIER_SHAKY: f64 = 0.0;
const EXCLUDED: f64 = -1.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    Cheapest,
    Quickest,
    Best,
    /// Percents of cost, speed and quality.
    Weighted([u8; 3]),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Standing {
    /// The session is warm here, and nothing is so much better that it should move.
    Stays,
    /// A rule of the organization prefers it, and it is good enough.
    Preferred,
    Clears,
    BelowFloor,
    Shaky,
    TooDear {
        ceiling: f64,
    },
    TooSlow {
        ceiling: f64,
    },
    PriceUnknown,
}

/// One offer's figures as the rule saw them, and what came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) aim: Aim,
    pub(crate) standing: Standing,
    pub(crate) score: f64,
    pub(crate) floor: f64,
    pub(crate) quality: f64,
    /// What its price counts for because it is not the best.
    pub(crate) shortfall: f64,
    pub(crate) cost_usd: f64,
    /// Expected milliseconds to the end of a typical answer.
    pub(crate) time_ms: f64,
    pub(crate) first_token_ms: f64,
    pub(crate) availability: f64,
    pub(crate) in_flight: f64,
    pub(crate) marks: u8,
}

pub(crate) fn rank(
    config: &Config,
    difficulty: f64,
    figures: &Figures,
    objective: &Objective,
) -> Result<Vec<Row>, Refusal> {
    let aim = Aim::of(&objective.profile);
    let mut rows = read(config, aim, figures)?;
    let floor = floor(config, difficulty, objective, &rows);
    let best = best_quality(&rows);
    // Whoever asks for cheap wants the price to decide alone.
    let value = if objective.profile == "cheap" { 0.0 } else { config.quality_value };
    for row in &mut rows {
        row.floor = floor;
        row.shortfall = 1.0 + value * (best - row.quality);
        row.standing = standing(config, objective, row);
    }
    let means = Means::of(&rows);
    let best = Best::of(&rows, &means);
    let cheap = objective.profile == "cheap";
    let premium = if cheap { WARM_PREMIUM_CHEAP } else { config.warm_premium };
    for row in &mut rows {
        if row.standing == Standing::Clears {
            row.standing = promoted(config, row, premium, &means, &best);
        }
        row.score = score(config, row, &means);
    }
    Ok(rows)
}

impl Aim {
    /// Of a profile; `weighted-50-30-20` has percents of cost, speed and quality.
    fn of(profile: &str) -> Self {
        match profile {
            "fast" => Self::Quickest,
            "best" => Self::Best,
            other => Self::weighted(other).unwrap_or(Self::Cheapest),
        }
    }

    fn weighted(profile: &str) -> Option<Self> {
        let mut shares = profile.strip_prefix("weighted-")?.split('-').map(str::parse);
        let mut share = || shares.next()?.ok();
        let weights = [share()?, share()?, share()?];
        Some(Self::Weighted(weights))
    }
}

fn read(config: &Config, aim: Aim, figures: &Figures) -> Result<Vec<Row>, Refusal> {
    let columns = figures
        .quality
        .iter()
        .zip(&figures.cost_usd)
        .zip(&figures.first_token_ms)
        .zip(&figures.first_token_p95_ms)
        .zip(&figures.tokens_per_second)
        .zip(&figures.availability)
        .zip(&figures.in_flight)
        .zip(&figures.marks);
    let mut rows = Vec::with_capacity(figures.quality.len());
    for (((((((quality, cost), first), tail), speed), availability), in_flight), marks) in columns {
        let first_token_ms = or(*first, 0.0);
        let tail_ms = or(*tail, first_token_ms).max(first_token_ms);
        let speed = or(*speed, 1.0).max(1.0);
        rows.push(Row {
            aim,
            standing: Standing::Clears,
            score: EXCLUDED,
            floor: 0.0,
            shortfall: 1.0,
            quality: or(*quality, 0.0).clamp(0.0, 1.0),
            cost_usd: *cost,
            time_ms: first_token_ms * (1.0 - TAIL)
                + tail_ms * TAIL
                + config.typical_output_tokens / speed * 1000.0,
            first_token_ms,
            availability: or(*availability, 1.0).clamp(0.0, 1.0),
            in_flight: or(*in_flight, 0.0).max(0.0),
            marks: *marks,
        });
    }
    if rows.len() == figures.quality.len() {
        Ok(rows)
    } else {
        Err(Refusal::Invalid("the columns of figures differ in length".to_owned()))
    }
}

fn or(figure: f64, otherwise: f64) -> f64 {
    if figure.is_finite() { figure } else { otherwise }
}

fn floor(config: &Config, difficulty: f64, objective: &Objective, rows: &[Row]) -> f64 {
    let relief = if objective.profile == "cheap" { config.cheap_relief } else { 0.0 };
    let difficulty = or(difficulty, 0.5).clamp(0.0, 1.0);
    let wanted = (config.floor + config.floor_per_difficulty * difficulty - relief).max(0.0);
    let best = best_quality(rows);
    // The organization's own floor is not bent by what happens to be on offer.
    wanted.min(best * FLOOR_OF_BEST).max(or(objective.quality_floor, 0.0))
}

fn best_quality(rows: &[Row]) -> f64 {
    rows.iter().map(|row| row.quality).fold(0.0, f64::max)
}

fn standing(config: &Config, objective: &Objective, row: &Row) -> Standing {
    let dearest = objective.cost_ceiling_usd;
    let slowest = objective.first_token_ceiling_ms;
    if !row.cost_usd.is_finite() || row.cost_usd < 0.0 {
        Standing::PriceUnknown
    } else if dearest > 0.0 && row.cost_usd > dearest {
        Standing::TooDear { ceiling: dearest }
    } else if slowest > 0.0 && row.first_token_ms > slowest {
        Standing::TooSlow { ceiling: slowest }
    } else if row.availability < config.shaky_below {
        Standing::Shaky
    } else if row.quality < row.floor - if is_warm(row) { config.warm_slack } else { 0.0 } {
        Standing::BelowFloor
    } else {
        Standing::Clears
    }
}

fn in_play(row: &Row) -> bool {
    matches!(row.standing, Standing::Clears | Standing::BelowFloor | Standing::Shaky)
}

fn is_warm(row: &Row) -> bool {
    row.marks & MARK_WARM != 0
}

/// What an offer that clears the floor comes to: a warm session stays while nothing is much better
/// and it is one of those that the organization prefers, if there are any; then come these.
fn promoted(config: &Config, row: &Row, premium: f64, means: &Means, best: &Best) -> Standing {
    let preferred = row.marks & MARK_PREFERRED != 0;
    let stays = is_warm(row)
        && (preferred || !best.preferred)
        && match row.aim {
            Aim::Cheapest => cost(row) <= best.cost * premium,
            Aim::Quickest => time(row) <= best.time * WARM_DELAY,
            Aim::Best => row.quality >= best.quality - config.warm_slack,
            Aim::Weighted(weights) => weighed(row, weights, means) >= best.weighed * WARM_SHARE,
        };
    match (stays, preferred) {
        (true, _) => Standing::Stays,
        (false, true) => Standing::Preferred,
        (false, false) => Standing::Clears,
    }
}

/// Means over all offers in play: what a cost or a time is measured by.
struct Means {
    cost: f64,
    time: f64,
}

impl Means {
    fn of(rows: &[Row]) -> Self {
        let in_play = || rows.iter().filter(|row| in_play(row));
        Self { cost: mean(in_play().map(cost)), time: mean(in_play().map(time)) }
    }
}

/// The best that any offer comes to that clears the floor.
struct Best {
    cost: f64,
    time: f64,
    quality: f64,
    weighed: f64,
    /// A rule prefers one of them.
    preferred: bool,
}

impl Best {
    fn of(rows: &[Row], means: &Means) -> Self {
        let (cost_usd, time_ms) = (f64::INFINITY, f64::INFINITY);
        let mut best =
            Self { cost: cost_usd, time: time_ms, quality: 0.0, weighed: 0.0, preferred: false };
        for row in rows.iter().filter(|row| row.standing == Standing::Clears) {
            best.cost = best.cost.min(cost(row));
            best.time = best.time.min(time(row));
            best.quality = best.quality.max(row.quality);
            best.preferred |= row.marks & MARK_PREFERRED != 0;
            if let Aim::Weighted(weights) = row.aim {
                best.weighed = best.weighed.max(weighed(row, weights, means));
            }
        }
        best
    }
}

/// What speaks against an offer makes it heavier, and a warm session makes it lighter.
fn trouble(row: &Row) -> f64 {
    (if is_warm(row) { WARM } else { 1.0 }) / row.availability.max(LEAST_AVAILABILITY)
}

/// Dollars, as they count.
fn cost(row: &Row) -> f64 {
    let estimated = if row.marks & MARK_PRICE_ESTIMATED == 0 { 1.0 } else { ESTIMATED_PRICE };
    // Where price leads, what is hardly dearer and clearly better is worth it.
    let shortfall = if row.aim == Aim::Cheapest { row.shortfall } else { 1.0 };
    row.cost_usd * trouble(row) * estimated * shortfall
}

/// Milliseconds, as they count.
fn time(row: &Row) -> f64 {
    row.time_ms * trouble(row) * (1.0 + row.in_flight * LOAD_PER_REQUEST)
}

fn mean(burdens: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = burdens.fold((0.0, 0.0), |(sum, count), it| (sum + it, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// Falls from 1 (costs nothing) towards 0; a half at the mean, whatever the scale.
fn lightness(burden: f64, mean: f64) -> f64 {
    if burden > 0.0 { mean / (mean + burden) } else { 1.0 }
}

/// What an offer comes to by weights of cost, speed and quality, below 1.
fn weighed(row: &Row, weights: [u8; 3], means: &Means) -> f64 {
    let [by_cost, by_speed, by_quality] = weights.map(f64::from);
    let sum = (by_cost + by_speed + by_quality).max(1.0);
    let weighed = by_cost * lightness(cost(row), means.cost)
        + by_speed * lightness(time(row), means.time)
        + by_quality * row.quality;
    weighed / sum * (1.0 - 1e-6)
}

fn score(config: &Config, row: &Row, means: &Means) -> f64 {
    let light = lightness(cost(row), means.cost);
    let lightness = match row.aim {
        // A moment less is not worth any price.
        Aim::Quickest => {
            let share = config.fast_cost_share;
            lightness(time(row), means.time) * (1.0 - share) + light * share
        }
        Aim::Cheapest | Aim::Best | Aim::Weighted(_) => light,
    };
    let by_quality = row.quality * (1.0 - QUALITY_TIE) + lightness * QUALITY_TIE * 0.99;
    // The last digit decides between equals: quality where price leads.
    let by_burden = lightness * (1.0 - 1e-6) + row.quality * 1e-7;
    let within = match row.aim {
        Aim::Best => by_quality,
        Aim::Cheapest | Aim::Quickest => by_burden,
        Aim::Weighted(weights) => weighed(row, weights, means),
    };
    match row.standing {
        Standing::Stays => TIER_STAYS + within,
        Standing::Preferred => TIER_PREFERRED + within,
        Standing::Clears => TIER_CLEARS + within,
        Standing::BelowFloor => TIER_BELOW_FLOOR + by_quality,
        Standing::Shaky => TIER_SHAKY + row.availability * 0.9 + by_burden * 0.09,
        Standing::TooDear { .. } | Standing::TooSlow { .. } | Standing::PriceUnknown => EXCLUDED,
    }
}
