//! The rule itself: figures in, a standing and a score for each row out. A score is its tier plus
//! a fraction below 1, so that no price is low enough to lift an offer out of its tier.

use turnpike_policy_sdk::{
    Figures, MARK_PREFERRED, MARK_PRICE_ESTIMATED, MARK_WARM, Objective, Refusal,
};

use crate::burden::{Least, Shares};
use crate::config::Config;

/// A floor never asks for more than nearly the best there is: otherwise a set of modest offers
/// would be ranked by quality alone, and its price would not count.
const FLOOR_OF_BEST: f64 = 0.97;
/// An estimated price counts for more than it says.
const ESTIMATED_PRICE: f64 = 1.1;
/// A warm session counts for a little less than it costs: signatures and caches live there.
const WARM: f64 = 0.9;
/// Under `fast` a warm session stays while it comes to at most so many times the quickest.
const WARM_DELAY: f64 = 1.5;
/// Under weights it stays while it comes to at most so many times the best.
const WARM_WEIGHTED: f64 = 2.0;
/// Each request in flight makes an offer look slower by this share.
const LOAD_PER_REQUEST: f64 = 0.01;
/// Whoever asks for cheap is moved by what is hardly cheaper; what is cached is in the cost.
const WARM_PREMIUM_CHEAP: f64 = 1.1;
/// Share of the tail in the expected time to the first token.
const TAIL: f64 = 0.3;
/// Keeps a division defined for an offer that never answered.
const LEAST_AVAILABILITY: f64 = 0.01;
/// Keeps the best of a tier below the next one.
const BELOW_NEXT_TIER: f64 = 1.0 - 1e-6;

const TIER_STAYS: f64 = 4.0;
const TIER_PREFERRED: f64 = 3.0;
const TIER_CLEARS: f64 = 2.0;
const TIER_BELOW_FLOOR: f64 = 1.0;
const TIER_SHAKY: f64 = 0.0;
const EXCLUDED: f64 = -1.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// `balanced`: quality above the floor has a price.
    Balanced,
    /// `cheap`: it has none.
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
    pub(crate) cost_usd: f64,
    /// What it is taken to cost, in dollars, with what speaks for and against it.
    pub(crate) counted_usd: f64,
    /// Expected milliseconds to the end of a typical answer.
    pub(crate) time_ms: f64,
    /// The same as it counts.
    pub(crate) counted_ms: f64,
    /// What speaks against it beside those that clear the floor, of which it is one; else 0.
    burden: f64,
    pub(crate) first_token_ms: f64,
    pub(crate) availability: f64,
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
    for row in &mut rows {
        row.standing = standing(config, objective, row);
    }
    let floor = Floor::new(config, difficulty, objective, &rows);
    for row in &mut rows {
        row.floor = floor.of(false);
        if row.standing == Standing::Clears && row.quality < floor.of(is_warm(row)) {
            row.standing = Standing::BelowFloor;
        }
    }
    count_costs(config, &mut rows);
    let clears = |row: &&Row| row.standing == Standing::Clears;
    let (least, of_all) = (Least::of(rows.iter().filter(clears)), Least::of(in_play(&rows)));
    let shares = Shares::of(config, aim);
    // Once for each: it takes a logarithm or two.
    for row in rows.iter_mut().filter(|row| row.standing == Standing::Clears) {
        row.burden = shares.burden(row, &least);
    }
    let bar = Bar::of(config, &least, &rows);
    for row in &mut rows {
        if row.standing == Standing::Clears {
            row.standing = bar.promoted(row);
        }
        row.score = score(row, shares, &of_all);
    }
    Ok(rows)
}

impl Aim {
    /// Of a profile; `weighted-50-30-20` has percents of cost, speed and quality.
    fn of(profile: &str) -> Self {
        match profile {
            "cheap" => Self::Cheapest,
            "fast" => Self::Quickest,
            "best" => Self::Best,
            other => Self::weighted(other).unwrap_or(Self::Balanced),
        }
    }

    fn weighted(profile: &str) -> Option<Self> {
        let mut shares = profile.strip_prefix("weighted-")?.split('-').map(str::parse);
        let mut share = || shares.next()?.ok();
        let weights = [share()?, share()?, share()?];
        shares.next().is_none().then_some(Self::Weighted(weights))
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
        let time_ms = first_token_ms * (1.0 - TAIL)
            + tail_ms * TAIL
            + config.typical_output_tokens / speed * 1000.0;
        let mut row = Row {
            aim,
            standing: Standing::Clears,
            score: EXCLUDED,
            floor: 0.0,
            quality: or(*quality, 0.0).clamp(0.0, 1.0),
            cost_usd: *cost,
            counted_usd: 0.0,
            time_ms,
            counted_ms: 0.0,
            burden: 0.0,
            first_token_ms,
            availability: or(*availability, 1.0).clamp(0.0, 1.0),
            marks: *marks,
        };
        let load = 1.0 + or(*in_flight, 0.0).max(0.0) * LOAD_PER_REQUEST;
        row.counted_ms = time_ms * trouble(&row) * load;
        rows.push(row);
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

/// What speaks against it but its quality.
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
    } else {
        Standing::Clears
    }
}

/// The quality that a request takes.
struct Floor {
    /// As the difficulty has it.
    wanted: f64,
    slack: f64,
    /// The organization's own, which neither what is on offer nor a warm session bends.
    own: f64,
}

impl Floor {
    fn new(config: &Config, difficulty: f64, objective: &Objective, rows: &[Row]) -> Self {
        let relief = if objective.profile == "cheap" { config.cheap_relief } else { 0.0 };
        let difficulty = or(difficulty, 0.5).clamp(0.0, 1.0);
        let wanted = (config.floor + config.floor_per_difficulty * difficulty - relief).max(0.0);
        // What is excluded or hardly answers is no reason to ask more of the others.
        let sound = rows.iter().filter(|row| row.standing == Standing::Clears);
        let best = sound.map(|row| row.quality).fold(0.0, f64::max);
        let wanted = wanted.min(best * FLOOR_OF_BEST);
        Self { wanted, slack: config.warm_slack, own: or(objective.quality_floor, 0.0) }
    }

    fn of(&self, warm: bool) -> f64 {
        (self.wanted - if warm { self.slack } else { 0.0 }).max(self.own)
    }
}

fn in_play(rows: &[Row]) -> impl Iterator<Item = &Row> {
    let standings = [Standing::Clears, Standing::BelowFloor, Standing::Shaky];
    rows.iter().filter(move |row| standings.contains(&row.standing))
}

fn is_warm(row: &Row) -> bool {
    row.marks & MARK_WARM != 0
}

/// What speaks against an offer makes it heavier, and a warm session makes it lighter.
fn trouble(row: &Row) -> f64 {
    (if is_warm(row) { WARM } else { 1.0 }) / row.availability.max(LEAST_AVAILABILITY)
}

/// Sets what each is taken to cost. A price of zero counts as a share of the least that another
/// asks, of those that clear the floor if there is one: nothing times anything is nothing, and
/// neither its availability nor a warm session elsewhere would mean anything beside it.
fn count_costs(config: &Config, rows: &mut [Row]) {
    let clears = |row: &&Row| row.standing == Standing::Clears;
    let least = least_price(rows.iter().filter(clears)).or_else(|| least_price(in_play(rows)));
    // Where nobody asks for anything, any amount will do.
    let nothing = least.unwrap_or(1.0) * config.zero_price_share;
    for row in rows {
        let estimated = row.marks & MARK_PRICE_ESTIMATED != 0;
        let cost_usd = if row.cost_usd > 0.0 { row.cost_usd } else { nothing };
        row.counted_usd = cost_usd * trouble(row) * if estimated { ESTIMATED_PRICE } else { 1.0 };
    }
}

fn least_price<'a>(rows: impl Iterator<Item = &'a Row>) -> Option<f64> {
    rows.map(|row| row.cost_usd).filter(|cost| *cost > 0.0).reduce(f64::min)
}

/// What a warm session has to come up to.
struct Bar {
    /// The most that may speak against it.
    burden: f64,
    /// Its least quality, where that alone counts.
    quality: f64,
    /// A rule prefers an offer that clears the floor.
    preferred: bool,
}

impl Bar {
    fn of(config: &Config, least: &Least, rows: &[Row]) -> Self {
        let clears = || rows.iter().filter(|row| row.standing == Standing::Clears);
        let aim = rows.first().map_or(Aim::Balanced, |row| row.aim);
        let times = match aim {
            Aim::Balanced => config.warm_premium,
            Aim::Cheapest => WARM_PREMIUM_CHEAP,
            Aim::Quickest => WARM_DELAY,
            Aim::Weighted(_) => WARM_WEIGHTED,
            Aim::Best => f64::INFINITY,
        };
        let best = clears().map(|row| row.burden).fold(f64::INFINITY, f64::min);
        let by_quality = aim == Aim::Best;
        Self {
            burden: best + times.log2(),
            quality: if by_quality { least.quality - config.warm_slack } else { 0.0 },
            preferred: clears().any(|row| row.marks & MARK_PREFERRED != 0),
        }
    }

    /// What an offer that clears the floor comes to: a warm session stays while nothing is much
    /// better and it is one of those that the organization prefers, if there are any; then come
    /// these.
    fn promoted(&self, row: &Row) -> Standing {
        let preferred = row.marks & MARK_PREFERRED != 0;
        let stays = is_warm(row)
            && (preferred || !self.preferred)
            && row.quality >= self.quality
            && row.burden <= self.burden;
        match (stays, preferred) {
            (true, _) => Standing::Stays,
            (false, true) => Standing::Preferred,
            (false, false) => Standing::Clears,
        }
    }
}

/// From 1 for what is best in everything towards 0: a half at one doubling.
fn within(burden: f64) -> f64 {
    BELOW_NEXT_TIER / (1.0 + burden)
}

fn score(row: &Row, shares: Shares, of_all: &Least) -> f64 {
    let clears = || within(row.burden);
    match row.standing {
        Standing::Stays => TIER_STAYS + clears(),
        Standing::Preferred => TIER_PREFERRED + clears(),
        Standing::Clears => TIER_CLEARS + clears(),
        // Whatever the aim: what is nearest to the floor.
        Standing::BelowFloor => TIER_BELOW_FLOOR + within(Shares::BEST.burden(row, of_all)),
        Standing::Shaky => {
            let by_aim = within(shares.burden(row, of_all));
            TIER_SHAKY + row.availability * 0.9 + by_aim * 0.09
        }
        Standing::TooDear { .. } | Standing::TooSlow { .. } | Standing::PriceUnknown => EXCLUDED,
    }
}
