//! `/orgs/{org}/usage`: who used what, what it cost, and what routing saved; by the hour, grouped,
//! filtered, and by time. As JSON, as CSV, and in the columns of FOCUS for the tools of finance.

mod csv;
mod focus;

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::extract::Params;
use super::filters;
use super::publish::zone_of;
use super::text::{parse_time, rfc3339};
use super::{AdminParts, AdminState};
use crate::auth::{Period, window_of};
use crate::clock;
use crate::usage::{Dimension, Group, Only, Query, Totals, UsageLog, UsageReport};

/// How far back a report goes that doesn't say.
const DEFAULT_SPAN_MS: u64 = 30 * 24 * 3_600_000;
/// Groups in one report, the costliest first: more is not read by anyone, and an answer is bounded.
const GROUPS_MAX: usize = 1_000;
/// The same by time, and in files for other programs.
const ROWS_MAX: usize = 100_000;
/// The same by time of one key's own: ten models by the hour for a month. Whoever has a key may
/// ask for it, and what it is grouped by may be made up by the caller.
const KEY_ROWS_MAX: usize = 10_000;

/// What was asked for, read.
#[derive(Debug)]
struct Asked {
    by: Vec<Dimension>,
    /// Whether that is what was asked for.
    grouped: bool,
    only: Vec<Only>,
    from_ms: u64,
    to_ms: u64,
    bucket: Option<Period>,
}

// === impl Asked ===

impl Asked {
    /// Reads `group_by`, `from`, `to`, `bucket`, and filters by the names of dimensions.
    fn read(params: Vec<(String, String)>) -> Result<Self, ApiError> {
        let now_ms = clock::now_ms();
        let (mut by, mut from, mut bucket) = (vec![Dimension::Model], None, None);
        // The hour that is running belongs to it.
        let mut to_ms = now_ms.saturating_add(1);
        let (mut only, mut grouped) = (Vec::new(), false);
        for (name, value) in params {
            match name.as_str() {
                "group_by" => {
                    by = read_dimensions(&value)?;
                    grouped = true;
                }
                "from" => from = Some(parse_time("from", &value)?),
                "to" => to_ms = parse_time("to", &value)?,
                "bucket" => bucket = Some(read_bucket(&value)?),
                _ => {
                    if !filters::add(&mut only, &name, &value)? {
                        return Err(unknown(&name));
                    }
                }
            }
        }
        let from_ms = from.unwrap_or(to_ms.saturating_sub(DEFAULT_SPAN_MS));
        if from_ms >= to_ms {
            return Err(ApiError::invalid("from", "from must be before to"));
        }
        Ok(Self { by, grouped, only, from_ms, to_ms, bucket })
    }

    /// The names of keys, by id, where groups are by key.
    fn key_names(
        &self,
        parts: &AdminParts,
        org: &str,
    ) -> Result<HashMap<String, String>, ApiError> {
        match self.by.contains(&Dimension::Key) {
            true => filters::key_names(parts, org),
            false => Ok(HashMap::new()),
        }
    }

    fn report(&self, parts: &AdminParts, org: &str, groups_max: usize) -> Result<Found, ApiError> {
        let zone = zone_of(&parts.store.org_ever(org)?);
        let report = self.read_from(&parts.usage, org, &zone, groups_max);
        Ok(Found { report, zone })
    }

    fn read_from(&self, usage: &UsageLog, org: &str, zone: &TimeZone, most: usize) -> UsageReport {
        let bucket =
            self.bucket.map(|period| move |hour_ms: u64| window_of(period, zone, hour_ms).start_ms);
        usage.report(&Query {
            org,
            by: &self.by,
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            only: &self.only,
            bucket: bucket.as_ref().map(|bucket| bucket as _),
            groups_max: most,
        })
    }

    /// How many groups an answer in JSON has at most.
    fn groups_max(&self) -> usize {
        if self.bucket.is_some() { ROWS_MAX } else { GROUPS_MAX }
    }

    /// The report as it is answered.
    fn shown(&self, report: &UsageReport, keys: &HashMap<String, String>) -> Value {
        let items: Vec<Value> =
            report.groups.iter().map(|group| item(&self.by, group, keys)).collect();
        json!({
            "items": items,
            "next": null,
            "left_out": report.groups_left_out,
            "total": Value::Object(figures(&report.total).collect()),
            "from": rfc3339(report.from_ms),
            "to": rfc3339(report.to_ms),
            "complete_from": rfc3339(report.complete_from_ms),
            "detailed_from": rfc3339(report.detailed_from_ms),
        })
    }
}

/// A report, and the zone in which its days begin.
struct Found {
    report: UsageReport,
    zone: TimeZone,
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

type Pairs = Params<Vec<(String, String)>>;

pub(super) async fn report(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(params): Pairs,
) -> Result<Response, ApiError> {
    let mut asked = Asked::read(params)?;
    state
        .reading(move |parts| {
            filters::name_keys(&mut asked.only, parts, &org)?;
            let Found { report, .. } = asked.report(parts, &org, asked.groups_max())?;
            let names = asked.key_names(parts, &org)?;
            Ok(Json(asked.shown(&report, &names)).into_response())
        })
        .await
}

/// A report of one key's own usage, for whoever has the key.
#[derive(Debug)]
pub struct UsageOfKey {
    asked: Asked,
}

impl UsageOfKey {
    /// Reads the query of a URL: as for an organization, without the parameter `key`, which is
    /// where some clients put the key itself.
    ///
    /// # Errors
    /// Which parameter can't be used.
    pub fn read(uri: &http::Uri, key_id: &str) -> Result<Self, ApiError> {
        let Params(mut params) = Params::<Vec<(String, String)>>::of(uri)?;
        params.retain(|(name, _)| name != "key");
        let mut asked = Asked::read(params)?;
        // The one filter that is always there: nobody else's figures are shown.
        asked.only.push((Dimension::Key, vec![Some(key_id.to_owned())]));
        Ok(Self { asked })
    }

    /// The report; reads sums in memory, which takes some milliseconds: run it off the workers.
    pub fn report(&self, usage: &UsageLog, org: &str, zone: &TimeZone) -> Value {
        let most = self.asked.groups_max().min(KEY_ROWS_MAX);
        let report = self.asked.read_from(usage, org, zone, most);
        self.asked.shown(&report, &HashMap::new())
    }
}

/// `usage.csv`: the same groups, a line each.
pub(super) async fn as_csv(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(params): Pairs,
) -> Result<Response, ApiError> {
    let mut asked = Asked::read(params)?;
    state
        .reading(move |parts| {
            filters::name_keys(&mut asked.only, parts, &org)?;
            let found = asked.report(parts, &org, ROWS_MAX)?;
            let names = asked.key_names(parts, &org)?;
            Ok(csv::response("usage.csv", csv::groups(&asked.by, &found.report, &names)))
        })
        .await
}

/// `usage/focus.csv`: charges by day in the columns of FOCUS.
pub(super) async fn as_focus(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(params): Pairs,
) -> Result<Response, ApiError> {
    let mut asked = Asked::read(params)?;
    if !asked.grouped {
        asked.by.clear();
    }
    if !asked.by.iter().all(|one| matches!(one, Dimension::Tag(_))) {
        let message = "its groups are those of FOCUS; only tags can be added, as tag:NAME";
        return Err(ApiError::invalid("group_by", message));
    }
    let tags = std::mem::replace(&mut asked.by, focus::GROUPS.to_vec());
    asked.by.extend(tags.iter().cloned());
    asked.bucket = asked.bucket.or(Some(Period::Day));
    state
        .reading(move |parts| {
            let name = parts.store.org_ever(&org)?.name;
            filters::name_keys(&mut asked.only, parts, &org)?;
            let keys = filters::key_names(parts, &org)?;
            let found = asked.report(parts, &org, ROWS_MAX)?;
            let period = asked.bucket.unwrap_or(Period::Day);
            let payer = focus::Payer { org: &org, name: &name, keys: &keys, tags: &tags };
            let text = focus::charges(&payer, &found.report, period, &found.zone);
            Ok(csv::response("focus.csv", text))
        })
        .await
}

/// `usage/anomalies`: hours of the last week in which spending was out of the usual.
pub(super) async fn anomalies(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            parts.store.org_ever(&org)?;
            let found = parts.usage.anomalies(Some(&org), clock::now_ms());
            let shown = found.iter().map(|it| {
                json!({
                    "scope": it.team.as_ref().map_or_else(
                        || "organization".to_owned(),
                        |team| format!("team:{team}"),
                    ),
                    "hour": rfc3339(it.hour_ms),
                    "spent_usd": it.spent_usd,
                    "usual_usd": it.usual_usd,
                })
            });
            Ok(Json(json!({"items": shown.collect::<Vec<_>>(), "next": null})).into_response())
        })
        .await
}

fn item(by: &[Dimension], group: &Group, keys: &HashMap<String, String>) -> Value {
    let mut item = Map::new();
    if let Some(bucket_ms) = group.bucket_ms {
        item.insert("bucket".to_owned(), json!(rfc3339(bucket_ms)));
    }
    let names = by.iter().zip(&group.values);
    item.extend(names.map(|(one, value)| (one.label(), json!(value))));
    if let Some(id) = key_of(by, group) {
        item.insert("key_name".to_owned(), json!(id.and_then(|id| keys.get(id))));
    }
    item.extend(figures(&group.totals));
    Value::Object(item)
}

/// The id of a group's key, where groups are by key.
fn key_of<'a>(by: &[Dimension], group: &'a Group) -> Option<Option<&'a str>> {
    let place = by.iter().position(|one| *one == Dimension::Key)?;
    Some(group.values.get(place).and_then(|value| value.as_deref()))
}

fn figures(totals: &Totals) -> impl Iterator<Item = (String, Value)> {
    [
        ("requests", json!(totals.requests)),
        ("succeeded", json!(totals.succeeded)),
        ("streamed", json!(totals.streamed)),
        ("attempts", json!(totals.attempts)),
        ("cost_usd", json!(totals.cost_usd)),
        ("list_usd", json!(totals.list_usd)),
        ("routed", json!(totals.routed)),
        ("strongest_usd", json!((totals.routed > 0).then_some(totals.baseline_usd))),
        ("saved_usd", json!(saved(totals))),
        ("usage", json!(totals.usage)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
}

/// What routing saved, below zero where it cost more; none where nothing is known of it.
fn saved(totals: &Totals) -> Option<String> {
    let (baseline, paid) = (totals.baseline_usd, totals.baseline_paid_usd);
    (totals.routed > 0).then(|| match baseline.checked_sub(paid) {
        Some(saved) => saved.to_string(),
        None => format!("-{}", paid.saturating_sub(baseline)),
    })
}
