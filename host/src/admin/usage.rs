//! `/orgs/{org}/usage`: who used what, and what it cost, by the hour and grouped.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::ApiError;
use super::extract::Params;
use super::text::{parse_time, rfc3339};
use crate::clock;
use crate::usage::{Dimension, Totals};

/// How far back a report goes that doesn't say.
const DEFAULT_SPAN_MS: u64 = 30 * 24 * 3_600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportParams {
    /// Dimensions, separated by commas; `model` if absent.
    group_by: Option<String>,
    /// The start, inclusive; 30 days ago if absent.
    from: Option<String>,
    /// The end, exclusive; now if absent.
    to: Option<String>,
}

pub(super) async fn report(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(params): Params<ReportParams>,
) -> Result<Response, ApiError> {
    let by = read_dimensions(params.group_by.as_deref().unwrap_or("model"))?;
    let now_ms = clock::now_ms();
    let to_ms = match &params.to {
        Some(to) => parse_time("to", to)?,
        // The hour that is running belongs to it.
        None => now_ms.saturating_add(1),
    };
    let from_ms = match &params.from {
        Some(from) => parse_time("from", from)?,
        None => to_ms.saturating_sub(DEFAULT_SPAN_MS),
    };
    if from_ms >= to_ms {
        return Err(ApiError::invalid("from", "from must be before to"));
    }
    state
        .reading(move |parts| {
            parts.store.org(&org)?;
            let report = parts.usage.report(&org, &by, from_ms, to_ms);
            let items: Vec<Value> = report
                .groups
                .iter()
                .map(|group| {
                    let names = by.iter().zip(&group.values);
                    let names = names.map(|(one, value)| (one.label().to_owned(), json!(value)));
                    let mut item: serde_json::Map<String, Value> = names.collect();
                    item.extend(figures(&group.totals));
                    Value::Object(item)
                })
                .collect();
            Ok(Json(json!({
                "items": items,
                "next": null,
                "left_out": report.groups_left_out,
                "total": Value::Object(figures(&report.total).collect()),
                "from": rfc3339(report.from_ms),
                "to": rfc3339(report.to_ms),
                "complete_from": rfc3339(report.complete_from_ms),
            }))
            .into_response())
        })
        .await
}

fn figures(totals: &Totals) -> impl Iterator<Item = (String, Value)> {
    [
        ("requests", json!(totals.requests)),
        ("succeeded", json!(totals.succeeded)),
        ("streamed", json!(totals.streamed)),
        ("attempts", json!(totals.attempts)),
        ("cost_usd", json!(totals.cost_usd)),
        ("usage", json!(totals.usage)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
}

fn read_dimensions(text: &str) -> Result<Vec<Dimension>, ApiError> {
    let mut by = Vec::new();
    for label in text.split(',').map(str::trim) {
        let known: Vec<&str> = Dimension::ALL.iter().map(|one| one.label()).collect();
        let one = Dimension::from_label(label).ok_or_else(|| {
            let message = format!("can't group by {label:?}; use any of {}", known.join(", "));
            ApiError::invalid("group_by", message)
        })?;
        if !by.contains(&one) {
            by.push(one);
        }
    }
    Ok(by)
}
