//! Which window of a budget a moment falls into. Pure: the time is an argument, and so is the zone
//! in which days begin. Says nothing about what is left in a budget; that is the ledger's.

use std::sync::Arc;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use parking_lot::Mutex;
use turnpike_ledger::PicoUsd;

use crate::store::BudgetMode;

const HOUR_MS: i64 = 3_600_000;

/// How long a budget's counter runs before it starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// From each full hour.
    Hour,
    /// From midnight in the organization's time zone.
    Day,
    /// From Monday, midnight (ISO weeks).
    Week,
    /// From the first of the month, midnight.
    Month,
    /// Never starts again.
    Total,
}

// === impl Period ===

impl Period {
    /// The name in budget ids and in the API.
    pub fn label(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

/// A stretch of time in which a budget counts: from `start_ms`, inclusive, to `end_ms`, exclusive,
/// in milliseconds since the Unix epoch. Its start is its number in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Where it begins; 0 for a total budget.
    pub start_ms: u64,
    /// Where the next begins; none for a total budget.
    pub end_ms: Option<u64>,
}

/// What a budget is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// For each window.
    pub amount: PicoUsd,
    /// Whether it refuses.
    pub mode: BudgetMode,
}

/// A budget, as the ledger knows it.
#[derive(Debug)]
pub struct BudgetRef {
    /// The ledger's budget id: `key:<key id>:<period>` or `budget:<id>:<period>`. The period is
    /// part of it because the ledger's windows only ever grow: another period needs a counter of
    /// its own.
    pub id: Arc<str>,
    /// Whose spending it counts, in the words of the API: `team:research`.
    pub scope: Arc<str>,
    /// Its period.
    pub period: Period,
    /// What it is set to, to be shown; the limit that counts is the ledger's.
    pub setting: Option<Setting>,
    zone: TimeZone,
    /// The window that was asked for last: it is the same for every request of an hour or a month,
    /// and working it out costs more than everything else about a budget.
    latest: Mutex<Option<Window>>,
}

// === impl BudgetRef ===

impl BudgetRef {
    /// The budget of a key.
    pub fn of_key(key_id: &str, period: Period, zone: TimeZone) -> Self {
        let id = format!("key:{key_id}:{}", period.label());
        Self::new(id.into(), format!("key:{key_id}").into(), period, zone)
    }

    /// A budget of a scope, by its record's id.
    pub fn of_scope(id: &str, scope: &str, period: Period, zone: TimeZone) -> Self {
        Self::new(format!("budget:{id}:{}", period.label()).into(), scope.into(), period, zone)
    }

    /// A counter of an organization's plan.
    pub fn of_plan(org: &str, period: Period, zone: TimeZone) -> Self {
        Self::new(format!("plan:{org}:{}", period.label()).into(), "the plan".into(), period, zone)
    }

    fn new(id: Arc<str>, scope: Arc<str>, period: Period, zone: TimeZone) -> Self {
        Self { id, scope, period, setting: None, zone, latest: Mutex::new(None) }
    }

    /// The same with what it is set to.
    #[must_use]
    pub fn set_to(self, amount: PicoUsd, mode: BudgetMode) -> Self {
        Self { setting: Some(Setting { amount, mode }), ..self }
    }

    /// The window that a moment falls into.
    pub fn window(&self, now_ms: u64) -> Window {
        let mut latest = self.latest.lock();
        match *latest {
            Some(window) if window.covers(now_ms) => window,
            _ => *latest.insert(window_of(self.period, &self.zone, now_ms)),
        }
    }

    /// The window that ended when this one began; `None` of a total budget.
    pub fn window_before(&self, window: Window) -> Option<Window> {
        window.end_ms?;
        let just_before = window.start_ms.checked_sub(1)?;
        Some(window_of(self.period, &self.zone, just_before))
    }
}

// === impl Window ===

impl Window {
    fn covers(&self, now_ms: u64) -> bool {
        self.start_ms <= now_ms && self.end_ms.is_none_or(|end_ms| now_ms < end_ms)
    }
}

/// The window of a period that a moment falls into, in milliseconds since the Unix epoch. Days are
/// as long as they are in that zone: 23 hours or 25 where clocks change.
pub fn window_of(period: Period, zone: &TimeZone, now_ms: u64) -> Window {
    bounds(period, zone, now_ms).unwrap_or(Window { start_ms: 0, end_ms: None })
}

/// None for a total budget, and for times beyond the year 9999.
fn bounds(period: Period, zone: &TimeZone, now_ms: u64) -> Option<Window> {
    let stamp = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
    if period == Period::Hour {
        return hour(zone, stamp);
    }
    let today = stamp.to_zoned(zone.clone()).start_of_day().ok()?;
    let (start, span) = match period {
        Period::Day => (today, 1.day()),
        Period::Week => {
            let days = i64::from(today.weekday().since(Weekday::Monday));
            (today.checked_sub(days.days()).ok()?, 1.week())
        }
        Period::Month => (today.first_of_month().ok()?, 1.month()),
        Period::Hour | Period::Total => return None,
    };
    // Where midnight is skipped by a change of clocks, the day begins when it does.
    let start = start.start_of_day().ok()?;
    let end = start.checked_add(span).and_then(|end| end.start_of_day()).ok()?;
    Some(Window { start_ms: to_ms(&start), end_ms: Some(to_ms(&end)) })
}

/// The hour of the wall clock: with its offset, which is not of whole hours everywhere. An hour
/// that a change of clocks repeats is two windows.
fn hour(zone: &TimeZone, at: Timestamp) -> Option<Window> {
    let offset_ms = i64::from(zone.to_offset(at).seconds()).checked_mul(1_000)?;
    let local_ms = at.as_millisecond().checked_add(offset_ms)?;
    let start = local_ms.checked_sub(local_ms.rem_euclid(HOUR_MS))?.checked_sub(offset_ms)?;
    let end = u64::try_from(start.checked_add(HOUR_MS)?).ok()?;
    Some(Window { start_ms: u64::try_from(start).unwrap_or(0), end_ms: Some(end) })
}

fn to_ms(at: &Zoned) -> u64 {
    u64::try_from(at.timestamp().as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
