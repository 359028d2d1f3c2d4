use super::{BudgetRef, Period, TimeZone, window_of};

fn ms(text: &str) -> u64 {
    let stamp: jiff::Timestamp = text.parse().unwrap();
    u64::try_from(stamp.as_millisecond()).unwrap()
}

#[test]
fn windows_begin_and_end_exactly_at_their_edges() {
    for (period, inside, start, end) in [
        (Period::Hour, "2026-11-22T10:59:59.999Z", "2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z"),
        (Period::Hour, "2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z", "2026-11-22T12:00:00Z"),
        (Period::Day, "2026-12-31T23:59:59.999Z", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"),
        (Period::Day, "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"),
        // 2026-11-22 is a Sunday: the last day of its ISO week.
        (Period::Week, "2026-11-22T23:59:59.999Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        (Period::Week, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        (Period::Month, "2028-02-29T23:59:59.999Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Period::Month, "2028-03-01T00:00:00Z", "2028-03-01T00:00:00Z", "2028-04-01T00:00:00Z"),
    ] {
        let now = ms(inside);
        assert_eq!(
            window_of(period, &TimeZone::UTC, now).start_ms,
            ms(start),
            "{period:?} {inside}"
        );
        assert_eq!(
            window_of(period, &TimeZone::UTC, now).end_ms,
            Some(ms(end)),
            "{period:?} {inside}"
        );
    }
}

#[test]
fn the_first_week_of_the_epoch_and_absurd_times_have_a_window() {
    let utc = TimeZone::UTC;
    // The epoch was a Thursday: its week began before it, which the ledger counts as 0.
    assert_eq!(window_of(Period::Week, &utc, 0).start_ms, 0);
    let absurd = window_of(Period::Day, &utc, u64::MAX);
    assert_eq!((absurd.start_ms, absurd.end_ms), (0, None));
}

#[test]
fn the_window_before_ends_where_the_next_begins() {
    let budget = BudgetRef::of_key("k1", Period::Month, TimeZone::UTC);
    let now = budget.window(ms("2028-03-31T12:00:00Z"));
    let before = budget.window_before(now).unwrap();
    assert_eq!((before.start_ms, before.end_ms), (ms("2028-02-01T00:00:00Z"), Some(now.start_ms)));
    assert_eq!(budget.window(ms("2028-03-31T12:00:00Z")), now);
    let total = BudgetRef::of_key("k1", Period::Total, TimeZone::UTC);
    assert_eq!(total.window_before(total.window(5)), None);
}

#[test]
fn a_total_budget_has_one_window_for_ever() {
    let budget = BudgetRef::of_key("k1", Period::Total, TimeZone::UTC);
    for at_ms in [0, ms("2999-01-01T00:00:00Z")] {
        let window = budget.window(at_ms);
        assert_eq!((window.start_ms, window.end_ms), (0, None));
    }
    assert_eq!(&*budget.id, "key:k1:total");
}

#[test]
fn windows_grow_with_time_and_leave_no_gap_in_any_zone() {
    // Half hours, a change of clocks at midnight, one of half an hour, one that repeats an hour.
    for name in ["Asia/Kolkata", "America/Havana", "Australia/Lord_Howe", "Europe/Berlin", "UTC"] {
        let zone = TimeZone::get(name).unwrap();
        for period in [Period::Hour, Period::Day, Period::Week, Period::Month] {
            let mut last = window_of(period, &zone, ms("2026-01-01T00:10:00Z"));
            for half_hour in 0..2 * 24 * 366_u64 {
                let now = ms("2026-01-01T00:10:00Z") + half_hour * 1_800_000;
                let window = window_of(period, &zone, now);
                assert!(window.start_ms <= now && window.end_ms.unwrap() > now, "{name} {now}");
                assert!(window.start_ms >= last.start_ms, "{name} {period:?} goes back at {now}");
                let next = window.start_ms != last.start_ms;
                let joined = period == Period::Hour || window.start_ms == last.end_ms.unwrap();
                assert!(!next || joined, "{name} {period:?} has a gap before {now}");
                last = window;
            }
        }
    }
}

#[test]
fn days_are_as_long_as_they_are_where_the_organization_is() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let hours = |day: &str| {
        let window = window_of(Period::Day, &berlin, ms(day));
        (window.end_ms.unwrap() - window.start_ms) / 3_600_000
    };
    assert_eq!(hours("2026-03-28T12:00:00Z"), 24);
    assert_eq!(hours("2026-03-29T12:00:00Z"), 23, "clocks go forward");
    assert_eq!(hours("2026-10-25T12:00:00Z"), 25, "clocks go back");
    let start = |at: &str| window_of(Period::Day, &berlin, ms(at)).start_ms;
    assert_eq!(start("2026-11-22T22:59:59.999Z"), ms("2026-11-21T23:00:00Z"));
    assert_eq!(start("2026-11-22T23:00:00Z"), ms("2026-11-22T23:00:00Z"));
    assert_eq!(start("2026-07-01T22:00:00Z"), ms("2026-07-01T22:00:00Z"), "in summer");
    let month = window_of(Period::Month, &berlin, ms("2026-10-31T23:30:00Z"));
    assert_eq!(month.start_ms, ms("2026-10-31T23:00:00Z"), "November has begun there");
    // The two hours between two and three are two windows.
    let hour = |at: &str| window_of(Period::Hour, &berlin, ms(at)).start_ms;
    assert_eq!(hour("2026-10-25T00:30:00Z"), ms("2026-10-25T00:00:00Z"));
    assert_eq!(hour("2026-10-25T01:30:00Z"), ms("2026-10-25T01:00:00Z"));
    let kolkata = TimeZone::get("Asia/Kolkata").unwrap();
    let window = window_of(Period::Hour, &kolkata, ms("2026-11-22T10:10:00Z"));
    assert_eq!(window.start_ms, ms("2026-11-22T09:30:00Z"), "its hours begin at the half");
}

#[test]
fn the_window_that_is_remembered_is_left_when_it_is_over() {
    let budget = BudgetRef::of_key("k1", Period::Hour, TimeZone::UTC);
    let (before, after) = (ms("2026-11-22T10:59:59.999Z"), ms("2026-11-22T11:00:00Z"));
    assert_eq!(budget.window(before).start_ms, ms("2026-11-22T10:00:00Z"));
    assert_eq!(budget.window(after).start_ms, after);
    assert_eq!(budget.window(before).start_ms, ms("2026-11-22T10:00:00Z"), "one that was late");
}
