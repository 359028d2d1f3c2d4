//! `/orgs/{org}/rules`: what an organization asks of routing without writing a policy. A change is
//! in force for the next request. A rule that means nothing is refused and never kept.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::{ETAG, IF_MATCH};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::access::Principal;
use super::error::ApiError;
use super::extract::{JsonBody, refused};
use super::text::rfc3339;
use super::warnings::{Warned, of_rule};
use super::{AdminParts, AdminState};
use crate::catalog::ConfiguredCatalog;
use crate::clock;
use crate::json::read_value;
use crate::route::{
    OrgRules, RULE_BYTES_MAX, RULES_BYTES_MAX, RULES_MAX, Rule, RuleFault, Weights,
};
use crate::store::{Organization, RuleRecord, StoreError};

#[derive(Serialize)]
struct Shown {
    id: String,
    #[serde(flatten)]
    rule: Rule,
    etag: String,
    changed_by: String,
    created_at: String,
    changed_at: String,
}

// === impl Shown ===

impl Shown {
    fn of(record: RuleRecord) -> Result<Self, ApiError> {
        Ok(Self {
            rule: read(&record)?,
            etag: etag(&record),
            changed_by: record.changed_by,
            created_at: rfc3339(record.created_at_ms),
            changed_at: rfc3339(record.changed_at_ms),
            id: record.id,
        })
    }
}

/// An organization's rules as the data plane reads them.
///
/// # Errors
/// When a stored rule can't be read by this version.
pub fn compiled_rules(
    org: &Organization,
    offers: &ConfiguredCatalog,
) -> Result<OrgRules, StoreError> {
    let one = |record: &RuleRecord| {
        let rule = serde_json::from_str(&record.rule).map_err(|cause| StoreError::Unreadable {
            table: "organizations",
            key: format!("{}, rule {}", org.id, record.id),
            cause: cause.to_string(),
        })?;
        Ok((Arc::from(record.id.as_str()), rule))
    };
    let rules = org.routing.iter().map(one).collect::<Result<Vec<_>, StoreError>>()?;
    Ok(OrgRules::compile(&rules, offers))
}

fn read(record: &RuleRecord) -> Result<Rule, ApiError> {
    serde_json::from_str(&record.rule).map_err(|cause| ApiError::internal("reading a rule", &cause))
}

fn etag(record: &RuleRecord) -> String {
    format!("\"r{}\"", record.revision)
}

/// The rule as text, if it means something.
fn checked(rule: &Rule) -> Result<String, ApiError> {
    rule.check().map_err(|fault: RuleFault| ApiError::invalid(fault.field, fault.to_string()))?;
    let text = serde_json::to_string(rule).map_err(|cause| written(&cause))?;
    if text.len() > RULE_BYTES_MAX {
        let message = format!("a rule has at most {RULE_BYTES_MAX} bytes; use patterns with *");
        return Err(ApiError::refused("too_large", message));
    }
    Ok(text)
}

fn written(cause: &serde_json::Error) -> ApiError {
    ApiError::internal("writing a rule", cause)
}

/// Keeps the organization, then brings its rules to the data plane.
fn publish(parts: &AdminParts, org: &Organization) -> Result<(), ApiError> {
    if org.routing.iter().map(|record| record.rule.len()).sum::<usize>() > RULES_BYTES_MAX {
        let message = format!("all rules together have at most {RULES_BYTES_MAX} bytes");
        return Err(ApiError::refused("too_large", message));
    }
    let compiled = compiled_rules(org, &parts.routing.offers)?;
    parts.store.update_org(org)?;
    parts.routing.rulebook.set(&org.id, compiled);
    Ok(())
}

fn place(org: &Organization, id: &str) -> Result<usize, ApiError> {
    org.routing.iter().position(|record| record.id == id).ok_or_else(|| {
        ApiError::not_found(format!("{:?} has no rule {id}; GET lists them", org.id))
    })
}

/// Refuses a change of what the caller has not seen, where it says what it has.
fn check_unchanged(record: &RuleRecord, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(seen) = headers.get(IF_MATCH) else { return Ok(()) };
    let (seen, present) = (seen.to_str().unwrap_or_default(), etag(record));
    if seen.split(',').map(str::trim).any(|one| one == "*" || one == present) {
        return Ok(());
    }
    let message = format!("the rule is at {present} by now; read it again, then change it");
    Err(ApiError::changed(message))
}

fn next_revision(org: &Organization) -> u64 {
    org.routing.iter().map(|one| one.revision).max().unwrap_or(0).saturating_add(1)
}

fn shown(status: StatusCode, record: RuleRecord) -> Result<Response, ApiError> {
    let tag = etag(&record);
    Ok((status, [(ETAG, tag)], Json(Shown::of(record)?)).into_response())
}

/// The same with what of it fits nothing here.
fn warned(
    parts: &AdminParts,
    org: &str,
    status: StatusCode,
    record: RuleRecord,
) -> Result<Response, ApiError> {
    let tag = etag(&record);
    let shown = Shown::of(record)?;
    let aliases = parts.aliases.of(org);
    let aliases = aliases.iter().flat_map(|own| own.keys().map(ToString::to_string));
    let aliases: Vec<String> = aliases.collect();
    let warnings = of_rule(&shown.rule, &parts.routing.offers, &aliases);
    Ok((status, [(ETAG, tag)], Json(Warned::new(shown, warnings))).into_response())
}

pub(super) async fn create(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Extension(by): Extension<Principal>,
    JsonBody(rule): JsonBody<Rule>,
) -> Result<Response, ApiError> {
    let text = checked(&rule)?;
    state
        .changing(move |parts| {
            let mut org = parts.store.org(&org)?;
            if org.routing.len() >= RULES_MAX {
                let message = format!("there are {RULES_MAX} rules; join or delete some");
                return Err(ApiError::conflict("too_many_rules", message));
            }
            let now_ms = clock::now_ms();
            let record = RuleRecord {
                id: clock::new_id().to_string(),
                revision: next_revision(&org),
                rule: text,
                changed_by: by.0.to_string(),
                created_at_ms: now_ms,
                changed_at_ms: now_ms,
            };
            org.routing.push(record.clone());
            publish(parts, &org)?;
            warned(parts, &org.id, StatusCode::CREATED, record)
        })
        .await
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            let records = parts.store.org(&org)?.routing.into_iter();
            let items = records.map(Shown::of).collect::<Result<Vec<_>, _>>()?;
            Ok(Json(json!({"items": items, "next": null})).into_response())
        })
        .await
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            let mut org = parts.store.org(&org)?;
            let place = place(&org, &id)?;
            shown(StatusCode::OK, org.routing.swap_remove(place))
        })
        .await
}

pub(super) async fn put(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
    Extension(by): Extension<Principal>,
    headers: HeaderMap,
    JsonBody(rule): JsonBody<Rule>,
) -> Result<Response, ApiError> {
    change(&state, (org, id), by, headers, move |_| Ok(rule)).await
}

/// Merges as JSON Merge Patch does (RFC 7396): what is given is written over the rule, within
/// `when` and `weights` too, and `null` takes a member away.
pub(super) async fn patch(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
    Extension(by): Extension<Principal>,
    headers: HeaderMap,
    JsonBody(given): JsonBody<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let merged = move |rule: Rule| {
        let every = Rule { weights: Some(Weights::default()), ..Rule::default() };
        let shape = serde_json::to_value(every).map_err(|cause| written(&cause))?;
        let mut whole = serde_json::to_value(rule).map_err(|cause| written(&cause))?;
        merge(&mut whole, given, &shape, "")?;
        read_value(whole).map_err(refused)
    };
    change(&state, (org, id), by, headers, merged).await
}

/// Writes what is given over an object, or over nothing. Of `shape` only the names count: what has
/// none of them is refused, since a null for it would do nothing and nobody would be told.
fn merge(
    over: &mut Value,
    given: Map<String, Value>,
    shape: &Value,
    place: &str,
) -> Result<(), ApiError> {
    if !over.is_object() {
        *over = Value::Object(Map::new());
    }
    let (Some(over), Some(shape)) = (over.as_object_mut(), shape.as_object()) else {
        return Ok(());
    };
    for (name, value) in given {
        let field = format!("{place}{name}");
        let Some(known) = shape.get(&name) else {
            let names: Vec<&str> = shape.keys().map(String::as_str).collect();
            let names = names.join(", ");
            let message = format!("{field}: there is none of that name; there are {names}");
            return Err(ApiError::invalid(field, message));
        };
        match value {
            Value::Null => drop(over.shift_remove(&name)),
            Value::Object(given) if known.is_object() => {
                let inner = over.entry(name).or_insert(Value::Null);
                merge(inner, given, known, &format!("{field}."))?;
            }
            value => drop(over.insert(name, value)),
        }
    }
    Ok(())
}

async fn change(
    state: &AdminState,
    (org, id): (String, String),
    by: Principal,
    headers: HeaderMap,
    into: impl FnOnce(Rule) -> Result<Rule, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    state
        .changing(move |parts| {
            let mut org = parts.store.org(&org)?;
            let revision = next_revision(&org);
            let place = place(&org, &id)?;
            let Some(record) = org.routing.get_mut(place) else { return Err(gone(&id)) };
            check_unchanged(record, &headers)?;
            record.rule = checked(&into(read(record)?)?)?;
            record.revision = revision;
            record.changed_by = by.0.to_string();
            record.changed_at_ms = clock::now_ms();
            let record = record.clone();
            publish(parts, &org)?;
            warned(parts, &org.id, StatusCode::OK, record)
        })
        .await
}

fn gone(id: &str) -> ApiError {
    ApiError::not_found(format!("there is no rule {id}; GET lists them"))
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    state
        .changing(move |parts| {
            let mut org = parts.store.org(&org)?;
            let place = place(&org, &id)?;
            let removed = org.routing.remove(place);
            check_unchanged(&removed, &headers)?;
            publish(parts, &org)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}
