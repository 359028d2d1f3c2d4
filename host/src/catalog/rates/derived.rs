//! Which prices of a list are estimates: a rule gave them, or one secondary source alone has them.
//! They are charged as they stand; only choices count them for a little more.

use super::RateCard;

/// What of a list is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Derived {
    /// The prices of prompts and answers: the first source doesn't have the offer, or has its
    /// price without a fee.
    pub whole: bool,
    /// What it costs to keep a prompt for an hour: twice the input, as the maker's list says.
    pub hour: bool,
}

/// The items that stand for either.
const WHOLE: &str = "input";
const HOUR: &str = "cache-write-long";

// === impl Derived ===

impl Derived {
    /// As a line of the snapshot lists it.
    pub(in crate::catalog) fn items(self) -> Vec<&'static str> {
        let all = [(WHOLE, self.whole), (HOUR, self.hour)];
        all.into_iter().filter(|(_, set)| *set).map(|(item, _)| item).collect()
    }

    pub(in crate::catalog) fn of(items: &[&str]) -> Self {
        Self { whole: items.contains(&WHOLE), hour: items.contains(&HOUR) }
    }

    /// Once somebody has named the price of an item, who knows.
    pub(in crate::catalog) fn settle(&mut self, item: &str) {
        self.whole &= !matches!(item, "input" | "output");
        self.hour &= item != HOUR;
    }
}

// === impl RateCard ===

impl RateCard {
    /// Whether a prompt and its answer are expected to cost what is only an estimate.
    pub fn is_estimated(&self, kept_for_an_hour: bool) -> bool {
        self.derived.whole || (kept_for_an_hour && self.derived.hour)
    }
}
