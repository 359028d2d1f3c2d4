//! What speaks against an offer, in doublings: of its cost and of its time over the least there is,
//! and of the price that the quality it is short of is worth. Logarithms are added, so that which
//! of two offers goes first follows from these two, whoever else is on offer.

use crate::config::Config;
use crate::rank::{Aim, Row};

/// What 1 of quality, or a doubling of the cost, counts for where it decides between equals only.
const BETWEEN_EQUALS: f64 = 1e-5;
/// Farther away than this nobody can be: keeps a logarithm finite.
const FAR: f64 = 1e300;

/// What each counts for: a doubling of the cost, one of the time, and 1 of quality.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shares {
    cost: f64,
    time: f64,
    quality: f64,
}

/// The least cost and time, and the best quality, of the offers that are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Least {
    cost: f64,
    time: f64,
    pub(crate) quality: f64,
}

impl Shares {
    /// Quality, and the price where that is the same but for 0.002 for each doubling.
    pub(crate) const BEST: Self = Self { cost: 0.02, time: 0.0, quality: 10.0 };

    pub(crate) fn of(config: &Config, aim: Aim) -> Self {
        let (value, by_cost) = (config.quality_value, config.fast_cost_share);
        match aim {
            Aim::Balanced => Self { cost: 1.0, time: 0.0, quality: value },
            Aim::Cheapest => Self { cost: 1.0, time: 0.0, quality: BETWEEN_EQUALS },
            // A moment less is not worth any price.
            Aim::Quickest => Self { cost: by_cost, time: 1.0 - by_cost, quality: BETWEEN_EQUALS },
            Aim::Best => Self::BEST,
            Aim::Weighted(weights) => {
                let [cost, time, quality] = weights.map(f64::from);
                let sum = (cost + time + quality).max(1.0);
                // Of sellers that are alike otherwise nobody wants the dearest.
                Self {
                    cost: (cost / sum).max(BETWEEN_EQUALS),
                    time: time / sum,
                    quality: (quality / sum * value).max(BETWEEN_EQUALS),
                }
            }
        }
    }

    /// Of one of the offers that are compared.
    pub(crate) fn burden(&self, row: &Row, least: &Least) -> f64 {
        doublings(self.cost, row.counted_usd, least.cost)
            + doublings(self.time, row.counted_ms, least.time)
            + self.quality * (least.quality - row.quality)
    }
}

impl Least {
    pub(crate) fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let none = Self { cost: f64::INFINITY, time: f64::INFINITY, quality: 0.0 };
        rows.fold(none, |least, row| Self {
            cost: least.cost.min(row.counted_usd),
            time: least.time.min(row.counted_ms),
            quality: least.quality.max(row.quality),
        })
    }
}

/// How often the least has to be doubled, each time for so much.
fn doublings(each: f64, amount: f64, least: f64) -> f64 {
    // Nobody takes the logarithm of what does not count.
    if each > 0.0 && amount > least { each * (amount / least).min(FAR).log2() } else { 0.0 }
}
