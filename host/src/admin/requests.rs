//! `/orgs/{org}/requests` and `/requests/{id}`: what happened to requests, and why.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::json;
use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;
use uuid::Uuid;

use super::error::ApiError;
use super::extract::{Params, page_limit};
use super::filters;
use super::publish::zone_of;
use super::text::{parse_time_in, rfc3339};
use super::{AdminParts, AdminState};
use crate::usage::{Between, Explanation, Label, Only, SETTLEMENTS, UsageEvent};

/// The id of a request is made a moment before its time is taken.
const ID_AHEAD_MS: u64 = 1_000;

/// What was asked for, read.
#[derive(Default)]
struct Asked {
    limit: usize,
    before: Option<Uuid>,
    /// Milliseconds since the Unix epoch: from the first on, and before the second.
    from_ms: Option<u64>,
    to_ms: Option<u64>,
    only: Vec<Only>,
    statuses: Vec<(u16, u16)>,
    settlements: Vec<&'static str>,
}

// === impl Asked ===

impl Asked {
    /// Reads the query; dates are days of that zone.
    fn read(params: Vec<(String, String)>, zone: &TimeZone) -> Result<Self, ApiError> {
        let mut this = Self { limit: page_limit(None)?, ..Self::default() };
        for (name, value) in params {
            match name.as_str() {
                "limit" => {
                    // What is no number is out of range too, and is told the range.
                    this.limit = page_limit(Some(value.parse().unwrap_or(0)))?;
                }
                "after" => {
                    let message = "use the \"next\" of the page before";
                    let id = Uuid::try_parse(&value);
                    this.before = Some(id.map_err(|_| ApiError::invalid("after", message))?);
                }
                "from" => this.from_ms = Some(parse_time_in("from", &value, zone)?),
                "to" => this.to_ms = Some(parse_time_in("to", &value, zone)?),
                "status" => {
                    for text in value.split(',') {
                        this.statuses.push(read_status(text.trim())?);
                    }
                }
                "settlement" => {
                    for text in value.split(',') {
                        this.settlements.push(read_settlement(text.trim())?);
                    }
                }
                _ => {
                    if !filters::add(&mut this.only, &name, &value)? {
                        let message = format!(
                            "there is no parameter {name:?}; use limit, after, from, to, or a \
                             filter: status, settlement, {}",
                            filters::names()
                        );
                        return Err(ApiError::bad_request("bad_query", message).at(name));
                    }
                }
            }
        }
        if let (Some(from), Some(to)) = (this.from_ms, this.to_ms)
            && from >= to
        {
            return Err(ApiError::invalid("from", "from must be before to"));
        }
        Ok(this)
    }

    /// Where the page begins and the list ends: what is younger than `to` or older than `from` is
    /// not even looked at, since ids are by time.
    fn between(&self) -> Between {
        let to = self.to_ms.map(first_id_of);
        let before = match (self.before, to) {
            (Some(page), Some(to)) => Some(page.min(to)),
            (page, to) => page.or(to),
        };
        let first = self.from_ms.map(|from| first_id_of(from.saturating_sub(ID_AHEAD_MS)));
        Between { first, before }
    }

    fn takes(&self, event: &UsageEvent) -> bool {
        let (statuses, settlements) = (&self.statuses, &self.settlements);
        let status = |(from, to): &(u16, u16)| (*from..=*to).contains(&event.status);
        self.from_ms.is_none_or(|from| event.at_ms >= from)
            && self.to_ms.is_none_or(|to| event.at_ms < to)
            && (statuses.is_empty() || statuses.iter().any(status))
            && (settlements.is_empty() || settlements.iter().any(|one| *one == event.settlement))
            && self.only.iter().all(|(dimension, wanted)| {
                let value = dimension.value_in(event);
                wanted.iter().any(|one| one.as_deref() == value)
            })
    }
}

/// The least id of a request that began in that millisecond: ids are UUIDs of version 7, which
/// begin with 48 bits of the time.
fn first_id_of(at_ms: u64) -> Uuid {
    Uuid::from_u128(u128::from(at_ms) << 80)
}

/// `404`, or `4xx` for all of a kind: from and to.
fn read_status(text: &str) -> Result<(u16, u16), ApiError> {
    let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
    let range = match class.filter(|class| (1..=5).contains(class)) {
        Some(class) => Some((class.saturating_mul(100), class.saturating_mul(100) + 99)),
        None => text.parse().ok().filter(|code| (100..600).contains(code)).map(|code| (code, code)),
    };
    range.ok_or_else(|| ApiError::invalid("status", "a status is written like 404 or 4xx"))
}

/// How requests end is known: another word would find nothing, for ever.
fn read_settlement(text: &str) -> Result<&'static str, ApiError> {
    SETTLEMENTS.into_iter().find(|known| *known == text).ok_or_else(|| {
        let message = format!("there is no settlement {text:?}; use {}", SETTLEMENTS.join(", "));
        ApiError::invalid("settlement", message)
    })
}

/// What the list and the single request have in common.
#[derive(Serialize)]
struct Facts {
    at: String,
    team: Option<Arc<str>>,
    project: Option<Arc<str>>,
    user: Option<Arc<str>>,
    session: Option<Arc<str>>,
    agent: Option<Arc<str>>,
    parent_agent: Option<Arc<str>>,
    /// What it would have been at list prices.
    list_usd: PicoUsd,
    /// What the strongest candidate would have cost, where that is known.
    strongest_usd: Option<PicoUsd>,
    tags: serde_json::Map<String, serde_json::Value>,
    protocol: Label,
    offer: Option<Arc<str>>,
    model: Option<Arc<str>>,
    provider: Option<Arc<str>>,
    stream: bool,
    status: u16,
    duration_ms: u64,
}

impl From<UsageEvent> for Facts {
    fn from(event: UsageEvent) -> Self {
        let tag = |(name, value): (Arc<str>, Arc<str>)| (name.to_string(), json!(value));
        Self {
            at: rfc3339(event.at_ms),
            team: event.team,
            project: event.project,
            user: event.user,
            session: event.session,
            agent: event.agent,
            parent_agent: event.parent_agent,
            list_usd: event.list_usd.unwrap_or(event.cost_usd),
            strongest_usd: event.baseline_usd,
            tags: event.tags.into_iter().map(tag).collect(),
            protocol: event.protocol,
            offer: event.offer,
            model: event.model,
            provider: event.provider,
            stream: event.stream,
            status: event.status,
            duration_ms: event.duration_ms,
        }
    }
}

#[derive(Serialize)]
struct Listed {
    id: Uuid,
    org: Arc<str>,
    key: Arc<str>,
    model_asked: Arc<str>,
    task: Option<Arc<str>>,
    settlement: Label,
    usage: Usage,
    cost_usd: PicoUsd,
    attempts: u32,
    #[serde(flatten)]
    facts: Facts,
}

impl From<UsageEvent> for Listed {
    fn from(event: UsageEvent) -> Self {
        Self {
            id: event.id,
            org: Arc::clone(&event.org),
            key: Arc::clone(&event.key),
            model_asked: Arc::clone(&event.model_asked),
            task: event.task.clone(),
            settlement: event.settlement.clone(),
            usage: event.usage,
            cost_usd: event.cost_usd,
            attempts: event.attempts,
            facts: Facts::from(event),
        }
    }
}

#[derive(Serialize)]
struct Explained {
    #[serde(flatten)]
    explanation: Explanation,
    #[serde(flatten)]
    facts: Facts,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(params): Params<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            let zone = zone_of(&parts.store.org_ever(&org)?);
            let mut asked = Asked::read(params, &zone)?;
            filters::name_keys(&mut asked.only, parts, &org)?;
            let takes = |event: &UsageEvent| asked.takes(event);
            let page = parts.usage.newest(&org, asked.between(), asked.limit, takes)?;
            let items: Vec<Listed> = page.items.into_iter().map(Listed::from).collect();
            Ok(Json(json!({"items": items, "next": page.next})).into_response())
        })
        .await
}

pub(super) async fn get_of_org(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            parts.store.org_ever(&org)?;
            explain(parts, Some(&org), &id)
        })
        .await
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    state.reading(move |parts| explain(parts, None, &id)).await
}

fn explain(parts: &AdminParts, org: Option<&str>, id: &str) -> Result<Response, ApiError> {
    let absent = || {
        ApiError::not_found(format!(
            "no request {id:?} is kept; use the x-request-id of an answer, and mind that old \
             requests are removed"
        ))
    };
    let uuid = Uuid::try_parse(id).map_err(|_| absent())?;
    let record = parts.usage.find(org, uuid)?.ok_or_else(absent)?;
    let facts = Facts::from(record.event);
    Ok(Json(Explained { explanation: record.explanation, facts }).into_response())
}
