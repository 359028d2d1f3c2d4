//! Usage as files for other programs: `usage.csv`, and `usage/focus.csv` for the tools of finance.
//! A file has no place to say that something is missing, and nobody would see it there: one that
//! has not all that was asked for is refused, unless the caller says that a part will do.

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderValue;
use serde_json::json;

use super::asked::Asked;
use super::{Pairs, ROWS_MAX, csv, focus};
use crate::admin::AdminState;
use crate::admin::error::ApiError;
use crate::admin::extract::Params;
use crate::admin::filters;
use crate::admin::text::rfc3339;
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
            let asked = Asked::of_org(params, parts, &org)?;
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
            let mut asked = Asked::of_org(params, parts, &org)?;
            let tags = take_tags(&mut asked)?;
            let period = *asked.bucket.get_or_insert(Period::Day);
            // What nobody was asked for has no provider and no price: a refusal, a count of tokens.
            asked.present.push(Dimension::Provider);
            let name = parts.store.org_ever(&org)?.name;
            let keys = filters::key_names(parts, &org)?;
            let report = asked.report(&parts.usage, &org, ROWS_MAX);
            check_whole(&asked, &report, partial)?;
            let payer = focus::Payer { org: &org, name: &name, keys: &keys, tags: &tags };
            let lines = focus::charges(&payer, &report, period, &asked.zone);
            Ok(telling(csv::response("focus.csv", lines), &report))
        })
        .await
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

/// Refuses a file that would have less than was asked for.
fn check_whole(asked: &Asked, report: &UsageReport, partial: bool) -> Result<(), ApiError> {
    let (from_ms, complete_ms) = (report.from_ms, report.complete_from_ms);
    let (field, why) = if partial {
        return Ok(());
    } else if from_ms < complete_ms {
        ("from", format!("sums of before {} are not kept any more", rfc3339(complete_ms)))
    } else if asked.is_detailed() && from_ms < report.detailed_from_ms {
        let since = rfc3339(report.detailed_from_ms);
        ("from", format!("sessions, agents and tags of before {since} are not kept any more"))
    } else if report.groups_left_out > 0 {
        let more = report.groups_left_out;
        ("to", format!("it has {more} lines more than the {ROWS_MAX} of a file"))
    } else {
        return Ok(());
    };
    let message = format!(
        "this file would not have all that was asked for: {why}; ask for less time, for longer \
         buckets or fewer groups, or for what there is, with {PARTIAL}=true"
    );
    let details = json!({
        "left_out": report.groups_left_out,
        "complete_from": rfc3339(complete_ms),
        "detailed_from": rfc3339(report.detailed_from_ms),
    });
    Err(ApiError::refused("incomplete", message).at(field).with(details))
}

/// The answer with what a report in JSON says beside its groups.
fn telling(mut response: Response, report: &UsageReport) -> Response {
    let told = [
        ("x-turnpike-left-out", report.groups_left_out.to_string()),
        ("x-turnpike-complete-from", rfc3339(report.complete_from_ms)),
        ("x-turnpike-detailed-from", rfc3339(report.detailed_from_ms)),
    ];
    for (name, value) in told {
        // Digits and times: always a value of a header.
        if let Ok(value) = HeaderValue::from_str(&value) {
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
        Asked::read(pairs, TimeZone::UTC).unwrap()
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
        }
    }

    /// Who imports a file can't see what is not in it.
    #[test]
    fn a_file_that_would_lack_something_is_refused_unless_a_part_will_do() {
        let (by_team, by_tag) = (asked("group_by=team"), asked("group_by=tag:job"));
        assert_eq!(check_whole(&by_tag, &report(), false), Ok(()));
        let forgotten = UsageReport { complete_from_ms: 11 * HOUR_MS, ..report() };
        let coarse = UsageReport { detailed_from_ms: 11 * HOUR_MS, ..report() };
        let cut = UsageReport { groups_left_out: 3, ..report() };
        for (asked, lacking, field) in [
            (&by_team, &forgotten, "from"),
            (&by_tag, &coarse, "from"),
            (&asked("group_by=team&session=a"), &coarse, "from"),
            (&by_team, &cut, "to"),
        ] {
            let refused = check_whole(asked, lacking, false).unwrap_err();
            let (status, code, message, at) = refused.told();
            assert_eq!((status.as_u16(), code, at), (422, "incomplete", Some(field)), "{message}");
            assert_eq!(check_whole(asked, lacking, true), Ok(()), "{message}");
        }
        assert_eq!(check_whole(&by_team, &coarse, false), Ok(()), "teams are still told apart");
        let later = UsageReport { from_ms: 11 * HOUR_MS, ..forgotten };
        assert_eq!(check_whole(&by_team, &later, false), Ok(()), "all that was asked for is there");
    }

    #[test]
    fn what_is_missing_is_in_the_headers_of_a_file() {
        let cut = UsageReport { groups_left_out: 3, complete_from_ms: HOUR_MS, ..report() };
        let answer = telling(csv::response("usage.csv", csv::Csv::default()), &cut);
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-turnpike-left-out"), "3");
        assert_eq!(header("x-turnpike-complete-from"), "1970-01-01T01:00:00Z");
        assert_eq!(header("x-turnpike-detailed-from"), "1970-01-01T00:00:00Z");
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
