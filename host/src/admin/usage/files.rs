//! Usage as files for other programs: `usage.csv`, and `usage/focus.csv` for the tools of finance.
//! A file has no place to say that something is missing, and nobody would see it there: one that
//! has not all that was asked for, or something that another file has as well, is refused, unless
//! the caller says that it will do.

use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use serde_json::json;

use super::asked::{Asked, Until, full_hour};
use super::{Pairs, ROWS_MAX, csv, focus};
use crate::admin::error::ApiError;
use crate::admin::extract::Params;
use crate::admin::filters;
use crate::admin::text::rfc3339;
use crate::admin::{AdminParts, AdminState};
use crate::auth::Period;
use crate::usage::{Dimension, UsageReport};

/// The parameter that takes a file with what there is.
const PARTIAL: &str = "partial";

/// `usage.csv`: the same groups as in JSON, a line each.
pub(in crate::admin) async fn as_csv(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(mut params): Pairs,
) -> Result<Response, ApiError> {
    let partial = take_partial(&mut params)?;
    state
        .reading(move |parts| {
            let asked = read(params, parts, &org, partial)?;
            let report = asked.report(&parts.usage, &org, ROWS_MAX);
            check_whole(&asked, &report, partial)?;
            let names = asked.key_names(parts, &org)?;
            let lines = csv::groups(&asked.by, &report, &names);
            Ok(telling(csv::response("usage.csv", lines), &report))
        })
        .await
}

/// `usage/focus.csv`: charges by day in the columns of FOCUS.
pub(in crate::admin) async fn as_focus(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(mut params): Pairs,
) -> Result<Response, ApiError> {
    let partial = take_partial(&mut params)?;
    state
        .reading(move |parts| {
            let mut asked = read(params, parts, &org, partial)?;
            let tags = take_tags(&mut asked)?;
            let period = *asked.bucket.get_or_insert(Period::Day);
            // What nobody was asked for has no provider and no price: a refusal, a count of tokens.
            asked.present.push(Dimension::Provider);
            let name = parts.store.org_ever(&org)?.name;
            let keys = filters::key_names(parts, &org)?;
            let report = asked.report(&parts.usage, &org, ROWS_MAX);
            check_whole(&asked, &report, partial)?;
            let payer = focus::Payer { org: &org, name: &name, keys: &keys, tags: &tags };
            let lines = focus::charges(&payer, &report, (period, &asked.zone), asked.now_ms);
            Ok(telling(csv::response("focus.csv", lines), &report))
        })
        .await
}

/// What a file is asked for: without an end, all that will not change any more.
fn read(
    params: Vec<(String, String)>,
    parts: &AdminParts,
    org: &str,
    partial: bool,
) -> Result<Asked, ApiError> {
    let until = if partial { Until::now() } else { Until::complete(&parts.usage, org) };
    let asked = Asked::of_org(params, parts, org, until)?;
    if !partial {
        check_hours(&asked)?;
    }
    Ok(asked)
}

/// The tags that are asked for beside the groups of FOCUS, which are put before them.
fn take_tags(asked: &mut Asked) -> Result<Vec<Dimension>, ApiError> {
    if !asked.grouped {
        asked.by.clear();
    }
    if !asked.by.iter().all(|one| matches!(one, Dimension::Tag(_))) {
        let message = "its groups are those of FOCUS; only tags can be added, as tag:NAME";
        return Err(ApiError::invalid("group_by", message));
    }
    let tags = std::mem::replace(&mut asked.by, focus::GROUPS.to_vec());
    asked.by.extend(tags.iter().cloned());
    Ok(tags)
}

/// Takes `partial` out of the parameters.
fn take_partial(params: &mut Vec<(String, String)>) -> Result<bool, ApiError> {
    let mut partial = Ok(false);
    params.retain(|(name, value)| {
        if name == PARTIAL {
            partial = value
                .parse()
                .map_err(|_| ApiError::invalid(PARTIAL, "partial is \"true\" or \"false\""));
        }
        name != PARTIAL
    });
    partial
}

/// Refuses a file that begins or ends within an hour: a sum can't be cut, so both files that meet
/// there would have all of it.
fn check_hours(asked: &Asked) -> Result<(), ApiError> {
    for (field, at_ms) in [("from", asked.from_ms), ("to", asked.to_ms)] {
        let next_ms = full_hour(at_ms);
        if next_ms != at_ms {
            let message = format!(
                "sums are by the full hour of UTC, and {} is within one: another file that meets \
                 this one there would have the same charges; {field}={} would do, as would a date, \
                 or {PARTIAL}=true, with which the file has all of that hour",
                rfc3339(at_ms),
                rfc3339(next_ms)
            );
            return Err(ApiError::invalid(field, message));
        }
    }
    Ok(())
}

/// What a file lacks: the parameter, why, and the value of it with which nothing would be lacking,
/// if there is one.
type Lack = (&'static str, String, Option<u64>);

fn lack(asked: &Asked, report: &UsageReport) -> Option<Lack> {
    let (from_ms, to_ms) = (report.from_ms, report.to_ms);
    let since = |what: &str, since_ms: u64| {
        let why = format!("{what} of before {} are not kept any more", rfc3339(since_ms));
        Some(("from", why, Some(since_ms).filter(|since_ms| *since_ms < to_ms)))
    };
    if from_ms < report.complete_from_ms {
        return since("sums", report.complete_from_ms);
    }
    if asked.is_detailed() && from_ms < report.detailed_from_ms {
        return since("sessions, agents and tags", report.detailed_from_ms);
    }
    if report.told_apart_from_ms > 0 {
        let since_ms = report.told_apart_from_ms;
        let why = format!(
            "before {} there was too much in an hour to tell apart all that it is by, which is \
             under \"(other)\" or under nothing",
            rfc3339(since_ms)
        );
        return Some(("from", why, Some(since_ms).filter(|since_ms| *since_ms < to_ms)));
    }
    if to_ms > report.complete_to_ms {
        let last_ms = report.complete_to_ms;
        let some = from_ms < last_ms;
        let later = if some { "" } else { ": nothing from there on is complete, try again later" };
        let why = format!(
            "requests that began after {} may be under way or to come, and will count there{later}",
            rfc3339(last_ms)
        );
        return Some(("to", why, Some(last_ms).filter(|_| some)));
    }
    (report.groups_left_out > 0).then(|| {
        let more = report.groups_left_out;
        ("to", format!("it has {more} lines more than the {ROWS_MAX} of a file"), None)
    })
}

/// Refuses a file that would have less than was asked for.
fn check_whole(asked: &Asked, report: &UsageReport, partial: bool) -> Result<(), ApiError> {
    let Some((field, why, would_do)) = lack(asked, report).filter(|_| !partial) else {
        return Ok(());
    };
    let advice = match would_do {
        Some(at_ms) => format!("{field}={} would do; or ask", rfc3339(at_ms)),
        None => "ask".to_owned(),
    };
    let message = format!(
        "this file would not have all that was asked for: {why}; {advice} for less time, for \
         longer buckets or fewer groups, or for what there is, with {PARTIAL}=true"
    );
    let mut details = serde_json::Map::new();
    details.insert("left_out".to_owned(), json!(report.groups_left_out));
    details.extend(times(report).map(|(name, at)| (name.to_owned(), json!(at))));
    Err(ApiError::refused("incomplete", message).at(field).with(details.into()))
}

/// From when to when a report has what.
fn times(report: &UsageReport) -> impl Iterator<Item = (&'static str, String)> {
    [
        ("complete_from", report.complete_from_ms),
        ("detailed_from", report.detailed_from_ms),
        ("told_apart_from", report.told_apart_from_ms),
        ("complete_to", report.complete_to_ms),
    ]
    .into_iter()
    .map(|(name, at_ms)| (name, rfc3339(at_ms)))
}

/// The answer with what a report in JSON says beside its groups.
fn telling(mut response: Response, report: &UsageReport) -> Response {
    let left_out = ("left_out", report.groups_left_out.to_string());
    for (name, value) in std::iter::once(left_out).chain(times(report)) {
        let name = format!("x-turnpike-{}", name.replace('_', "-"));
        // Digits and times: always a value of a header.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::usage::Totals;

    const HOUR_MS: u64 = 3_600_000;

    fn asked(query: &str) -> Asked {
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Asked::read(pairs, TimeZone::UTC, Until::now()).unwrap()
    }

    fn report() -> UsageReport {
        UsageReport {
            groups: Vec::new(),
            groups_left_out: 0,
            total: Totals::default(),
            from_ms: 10 * HOUR_MS,
            to_ms: 20 * HOUR_MS,
            complete_from_ms: 0,
            detailed_from_ms: 0,
            told_apart_from_ms: 0,
            complete_to_ms: 20 * HOUR_MS,
        }
    }

    /// Who imports a file can't see what is not in it.
    #[test]
    fn a_file_that_would_lack_something_is_refused_unless_a_part_will_do() {
        let (by_team, by_tag) = (asked("group_by=team"), asked("group_by=tag:job"));
        assert_eq!(check_whole(&by_tag, &report(), false), Ok(()));
        let forgotten = UsageReport { complete_from_ms: 11 * HOUR_MS, ..report() };
        let coarse = UsageReport { detailed_from_ms: 11 * HOUR_MS, ..report() };
        let merged = UsageReport { told_apart_from_ms: 12 * HOUR_MS, ..report() };
        let running = UsageReport { complete_to_ms: 19 * HOUR_MS, ..report() };
        let cut = UsageReport { groups_left_out: 3, ..report() };
        let of_session = asked("group_by=team&session=a");
        for (asked, lacking, field, would_do) in [
            (&by_team, &forgotten, "from", "from=1970-01-01T11:00:00Z would do"),
            (&by_tag, &coarse, "from", "from=1970-01-01T11:00:00Z would do"),
            (&of_session, &coarse, "from", "from=1970-01-01T11:00:00Z would do"),
            (&by_team, &merged, "from", "from=1970-01-01T12:00:00Z would do"),
            (&by_team, &running, "to", "to=1970-01-01T19:00:00Z would do"),
            (&by_team, &cut, "to", "less time"),
        ] {
            let refused = check_whole(asked, lacking, false).unwrap_err();
            let (status, code, message, at) = refused.told();
            assert_eq!((status.as_u16(), code, at), (422, "incomplete", Some(field)), "{message}");
            assert!(message.contains(would_do), "{message}");
            assert_eq!(check_whole(asked, lacking, true), Ok(()), "{message}");
        }
        let never = UsageReport { complete_to_ms: 10 * HOUR_MS, ..report() };
        let refused = check_whole(&by_team, &never, false).unwrap_err();
        let message = refused.told().2;
        assert!(!message.contains("would do") && message.contains("try again later"), "{message}");
        assert_eq!(check_whole(&by_team, &coarse, false), Ok(()), "teams are still told apart");
        let later = UsageReport { from_ms: 11 * HOUR_MS, ..forgotten };
        assert_eq!(check_whole(&by_team, &later, false), Ok(()), "all that was asked for is there");
    }

    /// Else two files that meet within an hour would both have all of it.
    #[test]
    fn a_file_begins_and_ends_with_a_full_hour() {
        let (hour, within) = ("2026-11-01T18:00:00Z", "2026-11-02T00:00:00+05:30");
        let of = |from: &str, to: &str| check_hours(&asked(&format!("from={from}&to={to}")));
        assert_eq!(of(hour, "2026-11-02T18:00:00Z"), Ok(()));
        assert_eq!(of("2026-11-01", "2026-11-03T01:00:00+01:00"), Ok(()));
        for (from, to, field) in [(within, "2026-11-03", "from"), (hour, within, "to")] {
            let refused = of(from, to).unwrap_err();
            let (status, code, message, at) = refused.told();
            assert_eq!((status.as_u16(), code, at), (422, "invalid_field", Some(field)));
            assert!(message.contains(&format!("{field}=2026-11-01T19:00:00Z")), "{message}");
        }
    }

    #[test]
    fn what_is_missing_is_in_the_headers_of_a_file() {
        let cut = UsageReport { groups_left_out: 3, complete_from_ms: HOUR_MS, ..report() };
        let answer = telling(csv::response("usage.csv", csv::Csv::default()), &cut);
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-turnpike-left-out"), "3");
        assert_eq!(header("x-turnpike-complete-from"), "1970-01-01T01:00:00Z");
        assert_eq!(header("x-turnpike-detailed-from"), "1970-01-01T00:00:00Z");
        assert_eq!(header("x-turnpike-told-apart-from"), "1970-01-01T00:00:00Z");
        assert_eq!(header("x-turnpike-complete-to"), "1970-01-01T20:00:00Z");
    }

    #[test]
    fn partial_is_a_word_of_its_own() {
        let given = |value: &str| vec![("partial".to_owned(), value.to_owned())];
        let mut params = given("true");
        assert_eq!((take_partial(&mut params), params.len()), (Ok(true), 0));
        assert_eq!(take_partial(&mut Vec::new()), Ok(false));
        assert!(take_partial(&mut given("yes")).is_err());
    }
}
