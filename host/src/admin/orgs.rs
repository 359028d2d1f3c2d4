//! `/orgs`: organizations. A deleted one takes its keys, plugins and bindings with it; its money
//! stays in the ledger, and its id stays taken, because the accounts are named after it.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::ApiError;
use super::extract::{JsonBody, PageParams, Params, maybe, or_default};
use super::publish::{publish_keys, set_plan_budgets, stored_or_put_back};
use super::text::{check_id, check_name, rfc3339};
use super::{AdminParts, AdminState};
use crate::clock;
use crate::route::{OrgAliases, OrgRules};
use crate::store::{Organization, PolicyLimitsRecord, Signing};

const UTC: &str = "UTC";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    id: String,
    /// The id, if none is given.
    name: Option<String>,
    /// UTC, if none is given.
    time_zone: Option<String>,
    plan: Option<String>,
}

/// Absent keeps, null is the default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    /// Null is the id.
    #[serde(default, deserialize_with = "maybe")]
    name: Option<Option<String>>,
    /// Whether its policies must be signed from now on; null is no.
    #[serde(default, deserialize_with = "maybe")]
    require_signature: Option<Option<bool>>,
    /// In which its days begin; null is UTC.
    #[serde(default, deserialize_with = "maybe")]
    time_zone: Option<Option<String>>,
    #[serde(default, deserialize_with = "maybe")]
    plan: Option<Option<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteParams {
    #[serde(default)]
    force: bool,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    name: String,
    require_signature: bool,
    time_zone: String,
    plan: Option<String>,
    created_at: String,
}

impl From<Organization> for Shown {
    fn from(org: Organization) -> Self {
        Self {
            id: org.id,
            name: org.name,
            require_signature: org.signing.required,
            time_zone: org.time_zone.unwrap_or_else(|| UTC.to_owned()),
            plan: org.plan,
            created_at: rfc3339(org.created_at_ms),
        }
    }
}

/// Makes the counters of an organization's plan, before it is on it.
fn put_on_plan(parts: &AdminParts, org: &Organization) -> Result<(), ApiError> {
    let Some(id) = &org.plan else { return Ok(()) };
    let plan = parts.store.plan(id);
    let plan = plan.map_err(|error| ApiError::invalid("plan", error.to_string()))?;
    Ok(set_plan_budgets(&parts.ledger, &org.id, &plan, clock::now_ms())?)
}

/// Refuses a zone that is not known here.
fn read_zone(name: String) -> Result<String, ApiError> {
    match TimeZone::get(&name) {
        Ok(_) => Ok(name),
        Err(_) => Err(ApiError::invalid(
            "time_zone",
            "this machine knows no such time zone; write an IANA name such as Europe/Berlin (the \
             system's tzdata is needed for any but UTC)",
        )),
    }
}

pub(super) async fn create(
    State(state): State<AdminState>,
    JsonBody(input): JsonBody<Create>,
) -> Result<Response, ApiError> {
    check_id("id", &input.id)?;
    let name = input.name.unwrap_or_else(|| input.id.clone());
    check_name("name", &name)?;
    let created_at_ms = clock::now_ms();
    let org = Organization {
        id: input.id,
        name,
        created_at_ms,
        deleted_at_ms: None,
        signing: Signing::default(),
        policy_imports: Vec::new(),
        fetch_hosts: Vec::new(),
        policy_limits: PolicyLimitsRecord::default(),
        time_zone: input.time_zone.map(read_zone).transpose()?,
        plan: input.plan,
        routing: Vec::new(),
        aliases: Vec::new(),
    };
    state
        .changing(move |parts| {
            // Looked at before the ledger is told anything: the counters of a plan are named after
            // the organization, and a refusal must change nothing of the one that is there.
            parts.store.check_unused(&org.id)?;
            put_on_plan(parts, &org)?;
            parts.store.create_org(&org)?;
            Ok((StatusCode::CREATED, Json(Shown::from(org))).into_response())
        })
        .await
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Params(page): Params<PageParams>,
) -> Result<Response, ApiError> {
    let limit = page.limit()?;
    state
        .reading(move |parts| {
            let page = parts.store.orgs(page.after.as_deref(), limit)?;
            let next = page.items.last().filter(|_| page.more).map(|org| org.id.clone());
            let items: Vec<Shown> = page.items.into_iter().map(Shown::from).collect();
            Ok(Json(json!({"items": items, "next": next})).into_response())
        })
        .await
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<Response, ApiError> {
    state.reading(move |parts| Ok(Json(Shown::from(parts.store.org(&org)?)).into_response())).await
}

pub(super) async fn patch(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    JsonBody(input): JsonBody<Patch>,
) -> Result<Response, ApiError> {
    if let Some(Some(name)) = &input.name {
        check_name("name", name)?;
    }
    state
        .changing(move |parts| {
            let mut org = parts.store.org(&org)?;
            let terms_change = input.time_zone.is_some() || input.plan.is_some();
            let changes = terms_change || input.name.is_some() || input.require_signature.is_some();
            if let Some(name) = input.name {
                org.name = name.unwrap_or_else(|| org.id.clone());
            }
            org.signing.required = or_default(input.require_signature, org.signing.required);
            if let Some(zone) = input.time_zone {
                org.time_zone = zone.map(read_zone).transpose()?;
            }
            let before = input.plan.is_some().then(|| org.clone());
            if let Some(plan) = input.plan {
                org.plan = plan;
                put_on_plan(parts, &org)?;
            }
            if changes {
                let put_back = || before.map_or(Ok(()), |before| put_on_plan(parts, &before));
                stored_or_put_back(parts.store.update_org(&org), put_back)?;
            }
            if terms_change {
                publish_keys(parts)?;
            }
            Ok(Json(Shown::from(org)).into_response())
        })
        .await
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    Params(params): Params<DeleteParams>,
) -> Result<StatusCode, ApiError> {
    state
        .changing(move |parts| {
            parts.store.org(&id)?;
            let balance = parts.ledger.balance(&id);
            if !balance.held.is_zero() {
                let message = format!(
                    "{} USD of {id:?} are held for requests under way; switch its keys off and \
                     try again when they have ended",
                    balance.held
                );
                return Err(ApiError::conflict("holds_open", message));
            }
            if !balance.available.is_zero() && !params.force {
                let message = format!(
                    "{id:?} has {} USD of credit left, which nobody could spend any more; pay it \
                     out, or repeat with ?force=true",
                    balance.available
                );
                return Err(ApiError::conflict("credit_left", message));
            }
            let switch = parts.bindings.prepare(&id, &[]).map_err(super::bindings::refused)?;
            parts.store.delete_org(&id, clock::now_ms())?;
            publish_keys(parts)?;
            switch();
            parts.bindings.granted(&id, None);
            parts.routing.rulebook.set(&id, OrgRules::default());
            parts.routing.answers.forget(&id);
            parts.aliases.set(&id, &OrgAliases::new());
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}
