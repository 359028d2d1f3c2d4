//! `/orgs/{org}/usage`: who used what, what it cost, and what routing saved; by the hour, grouped,
//! filtered, and by time. As JSON, as CSV, and in the columns of FOCUS for the tools of finance.

mod asked;
mod csv;
mod files;
mod focus;

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use self::asked::{Asked, Until};
pub(super) use self::files::{as_csv, as_focus};
use super::AdminState;
use super::error::ApiError;
use super::extract::Params;
use super::text::rfc3339;
use crate::clock;
use crate::usage::{Dimension, Group, Totals, UsageLog, UsageReport};

/// Groups in one report, the costliest first: more is not read by anyone, and an answer is bounded.
const GROUPS_MAX: usize = 1_000;
/// The same by time, and in files for other programs.
const ROWS_MAX: usize = 100_000;
/// The same by time of one key's own: ten models by the hour for a month. Whoever has a key may
/// ask for it, and what it is grouped by may be made up by the caller.
const KEY_ROWS_MAX: usize = 10_000;

type Pairs = Params<Vec<(String, String)>>;

pub(super) async fn report(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(params): Pairs,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            let asked = Asked::of_org(params, parts, &org, Until::now())?;
            let report = asked.report(&parts.usage, &org, groups_max(&asked));
            let names = asked.key_names(parts, &org)?;
            Ok(Json(shown(&asked, &report, &names)).into_response())
        })
        .await
}

/// How many groups an answer in JSON has at most.
fn groups_max(asked: &Asked) -> usize {
    if asked.bucket.is_some() { ROWS_MAX } else { GROUPS_MAX }
}

/// The report as it is answered.
fn shown(asked: &Asked, report: &UsageReport, keys: &HashMap<String, String>) -> Value {
    let items: Vec<Value> =
        report.groups.iter().map(|group| item(&asked.by, group, keys)).collect();
    json!({
        "items": items,
        "next": null,
        "left_out": report.groups_left_out,
        "total": Value::Object(figures(&report.total).collect()),
        "from": rfc3339(report.from_ms),
        "to": rfc3339(report.to_ms),
        "complete_from": rfc3339(report.complete_from_ms),
        "detailed_from": rfc3339(report.detailed_from_ms),
        "told_apart_from": rfc3339(report.told_apart_from_ms),
        "complete_to": rfc3339(report.complete_to_ms),
    })
}

/// A report of one key's own usage, for whoever has the key.
#[derive(Debug)]
pub struct UsageOfKey {
    asked: Asked,
}

impl UsageOfKey {
    /// Reads the query of a URL: as for an organization, whose zone it is, without the parameter
    /// `key`, which is where some clients put the key itself.
    ///
    /// # Errors
    /// Which parameter can't be used.
    pub fn read(uri: &http::Uri, key_id: &str, zone: TimeZone) -> Result<Self, ApiError> {
        let Params(mut params) = Params::<Vec<(String, String)>>::of(uri)?;
        params.retain(|(name, _)| name != "key");
        let mut asked = Asked::read(params, zone, Until::now())?;
        // The one filter that is always there: nobody else's figures are shown.
        asked.only.push((Dimension::Key, vec![Some(key_id.to_owned())]));
        Ok(Self { asked })
    }

    /// The report; reads sums in memory, which takes some milliseconds: run it off the workers.
    pub fn report(&self, usage: &UsageLog, org: &str) -> Value {
        let most = groups_max(&self.asked).min(KEY_ROWS_MAX);
        let report = self.asked.report(usage, org, most);
        let mut shown = shown(&self.asked, &report, &HashMap::new());
        // It is when the organization's oldest request under way began, whoever sent that.
        if let Some(members) = shown.as_object_mut() {
            members.shift_remove("complete_to");
        }
        shown
    }
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
