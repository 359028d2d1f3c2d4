//! What is asked of usage: the query of a report, read, and in which buckets of time its sums are.
//! Days, weeks and months are those of the organization's zone; sums are by the full hour of UTC.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use crate::admin::AdminParts;
use crate::admin::error::ApiError;
use crate::admin::filters;
use crate::admin::publish::zone_of;
use crate::admin::text::{is_date, parse_time_in, rfc3339};
use crate::auth::{Period, Window, window_of};
use crate::clock;
use crate::usage::{Dimension, Only, Query, UsageLog, UsageReport};

/// How far back a report goes that doesn't say.
const DEFAULT_SPAN_MS: u64 = 30 * 24 * HOUR_MS;
const HOUR_MS: u64 = 3_600_000;

/// When a report is asked for, and where one ends that doesn't say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until {
    now_ms: u64,
    ends_ms: u64,
    /// Whether that is where it ends because of what is under way.
    is_complete: bool,
}

// === impl Until ===

impl Until {
    /// With all that there is by now: the hour that is running belongs to it.
    pub(super) fn now() -> Self {
        let now_ms = clock::now_ms();
        Self { now_ms, ends_ms: now_ms.saturating_add(1), is_complete: false }
    }

    /// With the last hour of the organization that will not change any more.
    pub(super) fn complete(usage: &UsageLog, org: &str) -> Self {
        let now_ms = clock::now_ms();
        Self { now_ms, ends_ms: usage.complete_to(org, now_ms), is_complete: true }
    }

    /// Where a report ends that doesn't say, and begins here. One that goes on from the end of what
    /// is complete is of the hour that comes next: it can't be had yet, but nothing is wrong with
    /// where it begins.
    fn after(self, from_ms: Option<u64>) -> u64 {
        match from_ms {
            Some(from_ms) if self.is_complete && from_ms >= self.ends_ms => {
                from_ms.saturating_add(HOUR_MS)
            }
            _ => self.ends_ms,
        }
    }
}

/// What was asked for, read.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) by: Vec<Dimension>,
    /// Whether that is what was asked for.
    pub(super) grouped: bool,
    pub(super) only: Vec<Only>,
    /// What has nothing in one of these is left out.
    pub(super) present: Vec<Dimension>,
    pub(super) from_ms: u64,
    pub(super) to_ms: u64,
    pub(super) now_ms: u64,
    pub(super) bucket: Option<Period>,
    /// In which the organization's days begin.
    pub(super) zone: TimeZone,
}

// === impl Asked ===

impl Asked {
    /// Reads `group_by`, `from`, `to`, `bucket`, and filters by the names of dimensions.
    pub(super) fn read(
        params: Vec<(String, String)>,
        zone: TimeZone,
        until: Until,
    ) -> Result<Self, ApiError> {
        let mut by = vec![Dimension::Model];
        let (mut from, mut to, mut bucket) = (None, None, None);
        let (mut only, mut grouped) = (Vec::new(), false);
        for (name, value) in params {
            match name.as_str() {
                "group_by" => {
                    by = read_dimensions(&value)?;
                    grouped = true;
                }
                "from" => from = Some(read_time("from", &value, &zone)?),
                "to" => to = Some(read_time("to", &value, &zone)?),
                "bucket" => bucket = Some(read_bucket(&value)?),
                _ => {
                    if !filters::add(&mut only, &name, &value)? {
                        return Err(unknown(&name));
                    }
                }
            }
        }
        let to_ms = to.unwrap_or_else(|| until.after(from));
        let from_ms = from.unwrap_or(to_ms.saturating_sub(DEFAULT_SPAN_MS));
        if from_ms >= to_ms {
            let message = format!("from must be before to, which is {}", rfc3339(to_ms));
            return Err(ApiError::invalid("from", message));
        }
        let (present, now_ms) = (Vec::new(), until.now_ms);
        Ok(Self { by, grouped, only, present, from_ms, to_ms, now_ms, bucket, zone })
    }

    /// The same for an organization, whose keys may be given by their names.
    pub(super) fn of_org(
        params: Vec<(String, String)>,
        parts: &AdminParts,
        org: &str,
        until: Until,
    ) -> Result<Self, ApiError> {
        let zone = zone_of(&parts.store.org_ever(org)?);
        let mut asked = Self::read(params, zone, until)?;
        filters::name_keys(&mut asked.only, parts, org)?;
        Ok(asked)
    }

    /// The names of keys, by id, where groups are by key.
    pub(super) fn key_names(
        &self,
        parts: &AdminParts,
        org: &str,
    ) -> Result<HashMap<String, String>, ApiError> {
        match self.by.contains(&Dimension::Key) {
            true => filters::key_names(parts, org),
            false => Ok(HashMap::new()),
        }
    }

    pub(super) fn report(&self, usage: &UsageLog, org: &str, groups_max: usize) -> UsageReport {
        let zone = &self.zone;
        let bucket =
            self.bucket.map(|period| move |hour_ms: u64| bucket_of(period, zone, hour_ms).start_ms);
        let query = Query {
            org,
            by: &self.by,
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            only: &self.only,
            present: &self.present,
            bucket: bucket.as_ref().map(|bucket| bucket as _),
            groups_max,
        };
        usage.report(&query, self.now_ms)
    }

    /// Whether it tells apart what old hours forget.
    pub(super) fn is_detailed(&self) -> bool {
        let fine = |one: &Dimension| {
            matches!(one, Dimension::Session | Dimension::Agent | Dimension::Tag(_))
        };
        self.by.iter().any(fine) || self.only.iter().any(|(one, _)| fine(one))
    }
}

/// The bucket of a period that an hour of UTC is in. Where days begin within such an hour, as they
/// do in zones whose offset is not of whole hours, a bucket begins with the first that is all in
/// it: what a bucket holds is what was between its two ends, and no part of a sum is guessed.
pub(super) fn bucket_of(period: Period, zone: &TimeZone, hour_ms: u64) -> Window {
    let Window { start_ms, end_ms } = window_of(period, zone, hour_ms);
    Window { start_ms: full_hour(start_ms), end_ms: end_ms.map(full_hour) }
}

/// A full hour of UTC, or the next.
pub(super) fn full_hour(at_ms: u64) -> u64 {
    at_ms.checked_next_multiple_of(HOUR_MS).unwrap_or(at_ms)
}

/// A time; a date is where that day's bucket begins, so that one report goes on where another ends.
fn read_time(field: &'static str, text: &str, zone: &TimeZone) -> Result<u64, ApiError> {
    let at_ms = parse_time_in(field, text, zone)?;
    Ok(if is_date(text) { full_hour(at_ms) } else { at_ms })
}

fn unknown(name: &str) -> ApiError {
    let message = format!(
        "there is no parameter {name:?}; use group_by, from, to, bucket, or a filter: {}",
        filters::names()
    );
    ApiError::bad_request("bad_query", message).at(name)
}

fn read_bucket(text: &str) -> Result<Period, ApiError> {
    match text {
        "hour" => Ok(Period::Hour),
        "day" => Ok(Period::Day),
        "week" => Ok(Period::Week),
        "month" => Ok(Period::Month),
        _ => Err(ApiError::invalid("bucket", "a bucket is hour, day, week or month")),
    }
}

fn read_dimensions(text: &str) -> Result<Vec<Dimension>, ApiError> {
    let mut by = Vec::new();
    for label in text.split(',').map(str::trim).filter(|label| !label.is_empty()) {
        let one = Dimension::from_label(label).ok_or_else(|| {
            let message = format!("can't group by {label:?}; use any of {}", filters::names());
            ApiError::invalid("group_by", message)
        })?;
        if !by.contains(&one) {
            by.push(one);
        }
    }
    Ok(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn span(period: Period, zone_name: &str, hour: &str) -> [String; 2] {
        let hour_ms = parse_time_in("from", hour, &TimeZone::UTC).unwrap();
        let Window { start_ms, end_ms } = bucket_of(period, &zone(zone_name), hour_ms);
        assert!((start_ms..end_ms.unwrap()).contains(&hour_ms), "{zone_name} {hour}");
        [rfc3339(start_ms), rfc3339(end_ms.unwrap())]
    }

    /// An hour's sum can't be cut in two: its bucket says what it holds.
    #[test]
    fn a_bucket_holds_what_was_between_its_ends_in_every_zone() {
        let (day, hour) = (Period::Day, Period::Hour);
        for (period, name, at, expected) in [
            (day, "UTC", "2026-11-01T18:00:00Z", ["2026-11-01T00", "2026-11-02T00"]),
            (day, "Europe/Berlin", "2026-10-31T22:00:00Z", ["2026-10-30T23", "2026-10-31T23"]),
            // 18:30Z is midnight: that hour still counts to the day before.
            (day, "Asia/Kolkata", "2026-11-01T18:00:00Z", ["2026-10-31T19", "2026-11-01T19"]),
            (day, "Asia/Kolkata", "2026-11-01T19:00:00Z", ["2026-11-01T19", "2026-11-02T19"]),
            (day, "Asia/Kathmandu", "2026-11-01T18:00:00Z", ["2026-10-31T19", "2026-11-01T19"]),
            (hour, "Asia/Kolkata", "2026-11-01T18:00:00Z", ["2026-11-01T18", "2026-11-01T19"]),
            (
                Period::Month,
                "Asia/Kolkata",
                "2026-10-31T19:00:00Z",
                ["2026-10-31T19", "2026-11-30T19"],
            ),
        ] {
            let expected = expected.map(|start| format!("{start}:00:00Z"));
            assert_eq!(span(period, name, at), expected, "{name} {at}");
        }
    }

    #[test]
    fn dates_are_where_the_days_of_the_organization_begin() {
        let params = |from: &str, to: &str| {
            vec![("from".to_owned(), from.to_owned()), ("to".to_owned(), to.to_owned())]
        };
        for (name, from, to) in [
            ("UTC", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("Europe/Berlin", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"),
            ("America/New_York", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"),
            ("Asia/Kolkata", "2026-10-31T19:00:00Z", "2026-11-30T19:00:00Z"),
        ] {
            let params = params("2026-11-01", "2026-12-01");
            let asked = Asked::read(params, zone(name), Until::now()).unwrap();
            let read = [rfc3339(asked.from_ms), rfc3339(asked.to_ms)];
            assert_eq!(read, [from, to], "{name}");
        }
        let exact = params("2026-11-01T00:00:00Z", "2026-11-01T06:30:00+05:30");
        let asked = Asked::read(exact, zone("Asia/Kolkata"), Until::now()).unwrap();
        assert_eq!(rfc3339(asked.from_ms), "2026-11-01T00:00:00Z", "times are what they say");
        assert_eq!(rfc3339(asked.to_ms), "2026-11-01T01:00:00Z");
    }
}
