//! Which window of a budget a moment falls into. Pure: the time is an argument, the zone is UTC.
//! Says nothing about what is left in a budget; that is the ledger's.

use std::sync::Arc;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Unit, Zoned, ZonedRound};

/// How long a budget's counter runs before it starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// From each full hour.
    Hour,
    /// From midnight UTC.
    Day,
    /// From Monday, midnight UTC (ISO weeks).
    Week,
    /// From the first of the month, midnight UTC.
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

/// A key's budget, as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRef {
    /// The ledger's budget id: `key:<key id>:<period>`. The period is part of it because the
    /// ledger's windows only ever grow: another period needs a counter of its own.
    pub id: Arc<str>,
    /// Its period.
    pub period: Period,
}

// === impl BudgetRef ===

impl BudgetRef {
    /// The budget of a key.
    pub fn of_key(key_id: &str, period: Period) -> Self {
        Self { id: format!("key:{key_id}:{}", period.label()).into(), period }
    }

    /// The window that a moment falls into, as the ledger counts windows: its start in
    /// milliseconds since the Unix epoch.
    pub fn window(&self, now_ms: u64) -> u64 {
        window_start_ms(self.period, now_ms)
    }
}

/// The start of the window that a moment falls into, both in milliseconds since the Unix epoch.
/// The one window of a total budget starts at 0.
pub fn window_start_ms(period: Period, now_ms: u64) -> u64 {
    if period == Period::Total {
        return 0;
    }
    start_of(period, now_ms).map_or(0, |start| to_ms(start.timestamp()))
}

/// The moment from which a budget counts anew, in milliseconds since the Unix epoch; none for a
/// total budget.
pub fn window_end_ms(period: Period, now_ms: u64) -> Option<u64> {
    let start = start_of(period, now_ms)?;
    let span = match period {
        Period::Hour => 1.hour(),
        Period::Day => 1.day(),
        Period::Week => 1.week(),
        Period::Month => 1.month(),
        Period::Total => return None,
    };
    start.checked_add(span).ok().map(|end| to_ms(end.timestamp()))
}

/// None only for times beyond the year 9999.
fn start_of(period: Period, now_ms: u64) -> Option<Zoned> {
    let stamp = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
    let now = stamp.to_zoned(TimeZone::UTC);
    match period {
        Period::Hour => {
            now.round(ZonedRound::new().smallest(Unit::Hour).mode(jiff::RoundMode::Floor)).ok()
        }
        Period::Day => now.start_of_day().ok(),
        Period::Week => {
            let today = now.start_of_day().ok()?;
            let days = i64::from(today.weekday().since(Weekday::Monday));
            today.checked_sub(days.days()).ok()
        }
        Period::Month => now.first_of_month().ok()?.start_of_day().ok(),
        Period::Total => None,
    }
}

fn to_ms(stamp: Timestamp) -> u64 {
    u64::try_from(stamp.as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{BudgetRef, Period, window_end_ms, window_start_ms};

    fn ms(text: &str) -> u64 {
        let stamp: jiff::Timestamp = text.parse().unwrap();
        u64::try_from(stamp.as_millisecond()).unwrap()
    }

    #[test]
    fn windows_begin_and_end_exactly_at_their_edges() {
        for (period, inside, start, end) in [
            (
                Period::Hour,
                "2026-11-22T10:59:59.999Z",
                "2026-11-22T10:00:00Z",
                "2026-11-22T11:00:00Z",
            ),
            (Period::Hour, "2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z", "2026-11-22T12:00:00Z"),
            (
                Period::Day,
                "2026-12-31T23:59:59.999Z",
                "2026-12-31T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (Period::Day, "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"),
            // 2026-11-22 is a Sunday: the last day of its ISO week.
            (
                Period::Week,
                "2026-11-22T23:59:59.999Z",
                "2026-11-16T00:00:00Z",
                "2026-11-23T00:00:00Z",
            ),
            (Period::Week, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            (
                Period::Month,
                "2028-02-29T23:59:59.999Z",
                "2028-02-01T00:00:00Z",
                "2028-03-01T00:00:00Z",
            ),
            (Period::Month, "2028-03-01T00:00:00Z", "2028-03-01T00:00:00Z", "2028-04-01T00:00:00Z"),
        ] {
            let now = ms(inside);
            assert_eq!(window_start_ms(period, now), ms(start), "{period:?} {inside}");
            assert_eq!(window_end_ms(period, now), Some(ms(end)), "{period:?} {inside}");
        }
    }

    #[test]
    fn the_first_week_of_the_epoch_and_absurd_times_have_a_window() {
        // The epoch was a Thursday: its week began before it, which the ledger counts as 0.
        assert_eq!(window_start_ms(Period::Week, 0), 0);
        assert_eq!(window_start_ms(Period::Day, u64::MAX), 0);
        assert_eq!(window_end_ms(Period::Day, u64::MAX), None);
    }

    #[test]
    fn a_total_budget_has_one_window_for_ever() {
        let budget = BudgetRef::of_key("k1", Period::Total);
        assert_eq!((budget.window(0), budget.window(ms("2999-01-01T00:00:00Z"))), (0, 0));
        assert_eq!(window_end_ms(Period::Total, 5), None);
        assert_eq!(&*budget.id, "key:k1:total");
    }

    #[test]
    fn windows_grow_with_time() {
        let mut last = 0;
        for hour in 0..24_u64 * 40 {
            let start =
                window_start_ms(Period::Hour, ms("2026-11-22T10:59:00Z") + hour * 3_600_000);
            assert!(start > last);
            last = start;
        }
    }
}
