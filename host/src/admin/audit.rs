//! `/audit` and `/orgs/{org}/audit`: who changed what, the latest first. Only reads; entries are
//! made where changes are stored.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::ApiError;
use super::extract::{Params, page_limit};
use super::publish::zone_of;
use super::text::{parse_time_in, rfc3339};
use crate::store::{AuditEntry, AuditFilter, AuditedChange};

/// Which page, and of what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<u64>,
    org: Option<String>,
    actor: Option<String>,
    method: Option<String>,
    path: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

fn shown(entry: AuditEntry) -> Value {
    let change = |it: AuditedChange| {
        let AuditedChange { what, id, before, after } = it;
        json!({"what": what, "id": id, "before": before, "after": after})
    };
    json!({
        "id": entry.seq,
        "at": rfc3339(entry.at_ms),
        "actor": entry.actor,
        "method": entry.method,
        "path": entry.path,
        "org": entry.org,
        "changes": entry.changes.into_iter().map(change).collect::<Vec<_>>(),
        "more": entry.more,
    })
}

async fn answer(
    state: AdminState,
    query: Query,
    org: Option<String>,
) -> Result<Response, ApiError> {
    let limit = page_limit(query.limit)?;
    if org.is_some() && query.org.is_some() {
        return Err(ApiError::invalid("org", "the address names the organization; leave it out"));
    }
    state
        .reading(move |parts| {
            let zone = match &org {
                Some(org) => zone_of(&parts.store.org_ever(org)?),
                None => TimeZone::UTC,
            };
            let time = |field, text: Option<String>| {
                text.map(|text| parse_time_in(field, &text, &zone)).transpose()
            };
            let filter = AuditFilter {
                org: org.clone().or(query.org),
                actor: query.actor,
                method: query.method.map(|method| method.to_ascii_uppercase()),
                path: query.path,
                from_ms: time("from", query.from)?,
                to_ms: time("to", query.to)?,
            };
            let (entries, more) = parts.store.audit(&filter, query.after, limit)?;
            let next = entries.last().filter(|_| more).map(|entry| entry.seq);
            let items: Vec<Value> = entries.into_iter().map(shown).collect();
            Ok(Json(json!({"items": items, "next": next})).into_response())
        })
        .await
}

pub(super) async fn all(
    State(state): State<AdminState>,
    Params(query): Params<Query>,
) -> Result<Response, ApiError> {
    answer(state, query, None).await
}

pub(super) async fn of_org(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(query): Params<Query>,
) -> Result<Response, ApiError> {
    answer(state, query, Some(org)).await
}
