//! `/orgs/{org}/limits`: how many requests and tokens within a minute, and how many requests at a
//! time, an organization, a team, a project or a user may have. A key's own are among its fields.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::budgets::read_scope;
use super::error::ApiError;
use super::extract::{JsonBody, maybe};
use super::publish::publish_keys;
use crate::store::{RateLimits, ScopeLimits, SpendScope};

/// Scopes of one organization that have limits: all are in memory.
const SCOPES_MAX: usize = 10_000;

/// Some of the limits, for a PATCH: absent keeps one, null takes it away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsPatch {
    #[serde(default, deserialize_with = "maybe")]
    rpm: Option<Option<u32>>,
    #[serde(default, deserialize_with = "maybe")]
    tpm: Option<Option<u32>>,
    #[serde(default, deserialize_with = "maybe")]
    concurrency: Option<Option<u32>>,
}

// === impl LimitsPatch ===

impl LimitsPatch {
    /// What they come to over those that were there.
    pub(super) fn over(self, before: RateLimits) -> RateLimits {
        RateLimits {
            rpm: self.rpm.unwrap_or(before.rpm),
            tpm: self.tpm.unwrap_or(before.tpm),
            concurrency: self.concurrency.unwrap_or(before.concurrency),
        }
    }
}

/// Refuses limits that would let nothing through.
pub(super) fn check(field: &str, limits: &RateLimits) -> Result<(), ApiError> {
    let RateLimits { rpm, tpm, concurrency } = limits;
    let named = [("rpm", rpm), ("tpm", tpm), ("concurrency", concurrency)];
    match named.into_iter().find(|(_, limit)| **limit == Some(0)) {
        None => Ok(()),
        Some((name, _)) => {
            let field = if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
            Err(ApiError::invalid(
                field,
                "a limit is 1 or more; null is none, and a disabled key lets nothing through",
            ))
        }
    }
}

/// Whether a scope may have limits: what has some may always change them.
fn has_room(known: &[ScopeLimits], scope: &SpendScope) -> bool {
    known.len() < SCOPES_MAX || known.iter().any(|one| one.scope == *scope)
}

fn shown(limits: &ScopeLimits) -> Value {
    let RateLimits { rpm, tpm, concurrency } = limits.limits;
    json!({
        "scope": limits.scope.label(),
        "rpm": rpm,
        "tpm": tpm,
        "concurrency": concurrency,
    })
}

fn limited_scope(text: &str) -> Result<SpendScope, ApiError> {
    match read_scope(text)? {
        SpendScope::Key(_) => {
            Err(ApiError::invalid("scope", "a key's limits are its field \"limits\""))
        }
        SpendScope::Tag(..) | SpendScope::Model(_) => {
            let message = "limits are of organization, team:NAME, project:NAME or user:NAME";
            Err(ApiError::invalid("scope", message))
        }
        scope => Ok(scope),
    }
}

pub(super) async fn put(
    State(state): State<AdminState>,
    Path((org, scope)): Path<(String, String)>,
    JsonBody(limits): JsonBody<RateLimits>,
) -> Result<Response, ApiError> {
    let scope = limited_scope(&scope)?;
    check("", &limits)?;
    if limits.is_none() {
        let message = "set one of rpm, tpm and concurrency, or DELETE the limits";
        return Err(ApiError::invalid("rpm", message));
    }
    state
        .changing(move |parts| {
            parts.store.org(&org)?;
            let known = parts.store.all_limits(Some(&org))?;
            if !has_room(&known, &scope) {
                let message = format!("{SCOPES_MAX} scopes have limits already; delete some");
                return Err(ApiError::conflict("too_many_limits", message));
            }
            let limits = ScopeLimits { v: 0, org, scope, limits };
            parts.store.put_limits(&limits)?;
            publish_keys(parts)?;
            Ok(Json(shown(&limits)).into_response())
        })
        .await
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            parts.store.org(&org)?;
            let all = parts.store.all_limits(Some(&org))?;
            let items: Vec<Value> = all.iter().map(shown).collect();
            Ok(Json(json!({"items": items, "next": null})).into_response())
        })
        .await
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path((org, scope)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let scope = limited_scope(&scope)?;
    state
        .reading(move |parts| {
            parts.store.org(&org)?;
            Ok(Json(shown(&parts.store.limits(&org, &scope)?)).into_response())
        })
        .await
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((org, scope)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let scope = limited_scope(&scope)?;
    state
        .changing(move |parts| {
            parts.store.org(&org)?;
            parts.store.delete_limits(&org, &scope)?;
            publish_keys(parts)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_there_can_be_changed_however_many_there_are() {
        let scope = |number: usize| SpendScope::Team(number.to_string());
        let known: Vec<ScopeLimits> = (0..SCOPES_MAX)
            .map(|number| {
                let (org, limits) = ("acme".to_owned(), RateLimits::default());
                ScopeLimits { v: 0, org, scope: scope(number), limits }
            })
            .collect();
        assert!(has_room(&known, &scope(7)));
        assert!(!has_room(&known, &scope(SCOPES_MAX)));
        assert!(has_room(known.get(1..).unwrap(), &scope(SCOPES_MAX)));
    }
}
