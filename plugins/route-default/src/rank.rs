//! The rule itself: figures in, a standing and a score for each row out. A score is its tier plus
//! a fraction below 1, so that no price is low enough to lift an offer out of its tier.

use turnpike_policy_sdk::{Figures, MARK_PRICE_ESTIMATED, MARK_WARM, Objective, Refusal};

use crate::config::Config;

/// A floor never asks for more than nearly the best there is: otherwise a set of modest offers
/// would be ranked by quality alone, and its price would not count.
const FLOOR_OF_BEST: f64 = 0.97;
/// An estimated price counts for more than it says.
const ESTIMATED_PRICE: f64 = 1.1;
/// A warm session stays unless something is clearly better: signatures and caches live there.
const WARM: f64 = 0.9;
/// Each request in flight makes an offer look slower by this share.
const LOAD_PER_REQUEST: f64 = 0.01;
/// Share of the tail in the expected time to the first token.
const TAIL: f64 = 0.3;
/// Quality differences below this are decided by price under `best`.
const QUALITY_TIE: f64 = 0.01;
/// Keeps a division defined for an offer that never answered.
const LEAST_AVAILABILITY: f64 = 0.01;

const TIER_CLEARS: f64 = 2.0;
const TIER_BELOW_FLOOR: f64 = 1.0;
const TIER_SHAKY: f64 = 0.0;
const EXCLUDED: f64 = -1.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    Cheapest,
    Quickest,
    Best,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Standing {
    Clears,
    BelowFloor,
    Shaky,
    TooDear { ceiling: f64 },
    TooSlow { ceiling: f64 },
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
    let aim = match objective.profile.as_str() {
        "fast" => Aim::Quickest,
        "best" => Aim::Best,
        _ => Aim::Cheapest,
    };
    let mut rows = read(config, aim, figures)?;
    let floor = floor(config, difficulty, objective, &rows);
    for row in &mut rows {
        row.floor = floor;
        row.standing = standing(config, objective, row);
    }
    let mean = mean(rows.iter().filter(|row| in_play(row)).map(burden));
    for row in &mut rows {
        row.score = score(row, mean);
    }
    Ok(rows)
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
    let best = rows.iter().map(|row| row.quality).fold(0.0, f64::max);
    // The organization's own floor is not bent by what happens to be on offer.
    wanted.min(best * FLOOR_OF_BEST).max(or(objective.quality_floor, 0.0))
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
    } else if row.quality < row.floor {
        Standing::BelowFloor
    } else {
        Standing::Clears
    }
}

fn in_play(row: &Row) -> bool {
    matches!(row.standing, Standing::Clears | Standing::BelowFloor | Standing::Shaky)
}

/// What the rule keeps low: dollars or milliseconds, made heavier by what speaks against the
/// offer and lighter by a warm session.
fn burden(row: &Row) -> f64 {
    let warm = if row.marks & MARK_WARM == 0 { 1.0 } else { WARM };
    let estimated = if row.marks & MARK_PRICE_ESTIMATED == 0 { 1.0 } else { ESTIMATED_PRICE };
    let trouble = warm / row.availability.max(LEAST_AVAILABILITY);
    match row.aim {
        Aim::Quickest => row.time_ms * trouble * (1.0 + row.in_flight * LOAD_PER_REQUEST),
        Aim::Cheapest | Aim::Best => row.cost_usd * trouble * estimated,
    }
}

fn mean(burdens: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = burdens.fold((0.0, 0.0), |(sum, count), it| (sum + it, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

fn score(row: &Row, mean: f64) -> f64 {
    let burden = burden(row);
    // Falls from 1 (costs nothing) towards 0; a half at the mean, whatever the scale.
    let lightness = if burden > 0.0 { mean / (mean + burden) } else { 1.0 };
    // The last digit decides between equals: quality where price leads.
    let fraction = lightness * (1.0 - 1e-6) + row.quality * 1e-7;
    match (row.standing, row.aim) {
        (Standing::Clears, Aim::Best) => {
            TIER_CLEARS + row.quality * (1.0 - QUALITY_TIE) + lightness * QUALITY_TIE * 0.99
        }
        (Standing::Clears, Aim::Cheapest | Aim::Quickest) => TIER_CLEARS + fraction,
        (Standing::BelowFloor, _) => {
            TIER_BELOW_FLOOR + row.quality * (1.0 - QUALITY_TIE) + lightness * QUALITY_TIE * 0.99
        }
        (Standing::Shaky, _) => TIER_SHAKY + row.availability * 0.9 + fraction * 0.09,
        (Standing::TooDear { .. } | Standing::TooSlow { .. } | Standing::PriceUnknown, _) => {
            EXCLUDED
        }
    }
}
