//! What a call costs that has been served and must be paid, also where its list leaves a price out:
//! settlement and the check of price lists both bill here. Never takes an unknown price for zero.

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;

use super::{Quantity, RateCard, Rates};

/// The line items of a served call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Billed {
    pub lines: Vec<Quantity>,
    /// The first bucket for which the list has no price. Its line has the price of its side, or is
    /// missing where not even that is known.
    pub unpriced: Option<&'static str>,
}

/// Which side of a call an item belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Prompt,
    Answer,
    /// Neither: requests, searches, calls of other tools.
    Call,
}

impl Side {
    /// Of an item, by its name in `bill.quantity`.
    pub fn of(item: &str) -> Self {
        match item {
            "output" | "reasoning" | "output-audio" | "output-image" | "output-video"
            | "citation" => Self::Answer,
            "request" | "search" | "hosted-call" => Self::Call,
            _ => Self::Prompt,
        }
    }
}

// === impl Rates ===

impl Rates {
    /// What an item without a price of its own is charged as, because it was served: the nearest
    /// item of the same side that has one.
    fn stand_in(&self, item: &str) -> Option<PicoUsd> {
        match (item, Side::of(item)) {
            ("cache-write-long", _) => self.price("cache-write-short"),
            (_, Side::Prompt) => self.input,
            (_, Side::Answer) => self.output,
            (_, Side::Call) => None,
        }
    }
}

// === impl RateCard ===

impl RateCard {
    /// The line items of what a response reported, at official prices. Empty buckets are left out.
    /// A service tier that costs more and has no price is charged as the standard one.
    pub fn billed(&self, usage: &Usage, served: Option<&str>) -> Billed {
        let mut billed = Billed::default();
        let input = usage.input_tokens();
        let rates = self.rates(input, served).or_else(|unpriced| {
            billed.unpriced = Some(unpriced.item);
            self.rates(input, None)
        });
        let Ok(rates) = rates else { return billed };
        billed.lines.reserve(4);
        for (item, count) in usage.iter().filter(|(_, count)| **count > 0) {
            let known = rates.price(item);
            if known.is_none() {
                billed.unpriced = billed.unpriced.or(Some(item));
            }
            let Some(unit_price) = known.or_else(|| rates.stand_in(item)) else { continue };
            if item != "request" || !unit_price.is_zero() {
                billed.lines.push(Quantity { item, count: *count, unit_price });
            }
        }
        billed
    }
}

// === impl Billed ===

impl Billed {
    /// The sum of one side's lines, saturating.
    pub fn of_side(&self, side: Side) -> PicoUsd {
        let lines = self.lines.iter().filter(|line| Side::of(line.item) == side);
        lines.fold(PicoUsd(0), |sum, line| super::add(sum, line.count, line.unit_price))
    }

    /// The sum of all lines, saturating.
    pub fn total(&self) -> PicoUsd {
        [Side::Prompt, Side::Answer, Side::Call]
            .into_iter()
            .fold(PicoUsd(0), |sum, side| sum.saturating_add(self.of_side(side)))
    }
}
