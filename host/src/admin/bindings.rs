//! `/orgs/{org}/bindings/{hook}`: which policy takes a decision, for all of an organization's
//! requests or for a scope of them. A binding is loaded and configured before it is stored, and
//! visible to the next request when the answer is sent. Without one, the built-in decides.

mod input;
mod output;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::header::{ETAG, IF_MATCH};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use self::input::{Put, Rollback};
pub(super) use self::output::difference;
use super::error::ApiError;
use super::extract::{JsonBody, OptionalJson, Params};
use super::signatures::check_bindable;
use super::{AdminParts, AdminState, BindingRefused};
use crate::clock;
use crate::store::{BindingRecord, Hook, Mode, Scope};

/// What a call is about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    scope: Option<String>,
    mode: Option<String>,
}

/// One hook and scope of an organization.
struct Place {
    org: String,
    hook: Hook,
    scope: Scope,
}

/// The methods of one binding.
pub(super) fn methods() -> MethodRouter<AdminState> {
    axum::routing::get(get).put(put).delete(delete)
}

/// What the data plane says against bindings.
pub(super) fn refused(refused: BindingRefused) -> ApiError {
    let error = ApiError::refused("binding_refused", refused.message);
    match refused.field {
        Some(field) => error.at(field),
        None => error,
    }
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            parts.store.org(&org)?;
            let bound = parts.store.bindings(&org)?;
            let mut items = Vec::with_capacity(Hook::ALL.len());
            for hook in Hook::ALL {
                let of_hook = bound.iter().filter(|one| one.hook == hook);
                let mut scopes: Vec<&Scope> = of_hook.map(|one| &one.scope).collect();
                scopes.push(&Scope::Organization);
                scopes.sort();
                scopes.dedup();
                for scope in scopes {
                    let place = Place { org: org.clone(), hook, scope: scope.clone() };
                    items.push(output::short(&place, &bound));
                }
            }
            Ok(Json(json!({"items": items, "next": null})).into_response())
        })
        .await
}

async fn get(
    State(state): State<AdminState>,
    Path((org, hook)): Path<(String, String)>,
    Params(which): Params<Which>,
) -> Result<Response, ApiError> {
    let place = read_place(org, &hook, which.scope.as_deref())?;
    if which.mode.is_some() {
        let message = "all modes are in one answer; leave it out";
        return Err(ApiError::invalid("mode", message));
    }
    state
        .reading(move |parts| {
            parts.store.org(&place.org)?;
            let bound = parts.store.bindings(&place.org)?;
            let tag = etag(&place, &bound);
            Ok(([(ETAG, tag)], Json(output::long(parts, &place, &bound)?)).into_response())
        })
        .await
}

async fn put(
    State(state): State<AdminState>,
    Path((org, hook)): Path<(String, String)>,
    Params(which): Params<Which>,
    headers: HeaderMap,
    JsonBody(input): JsonBody<Put>,
) -> Result<Response, ApiError> {
    let scope = input.scope.as_deref().or(which.scope.as_deref());
    let place = read_place(org, &hook, scope)?;
    if which.mode.is_some() {
        return Err(ApiError::invalid("mode", "the mode belongs into the body"));
    }
    state
        .changing(move |parts| {
            parts.store.org(&place.org)?;
            check_unchanged(parts, &place, &headers)?;
            let (binding, uploaded) = input::read(parts, &place, input)?;
            check_bindable(parts, &place.org, &uploaded)?;
            bind(parts, &place, &binding, &uploaded)
        })
        .await
}

/// Brings the revision before the present one back, or a named one, as a new revision.
pub(super) async fn roll_back(
    State(state): State<AdminState>,
    Path((org, hook)): Path<(String, String)>,
    Params(which): Params<Which>,
    headers: HeaderMap,
    OptionalJson(Rollback { revision }): OptionalJson<Rollback>,
) -> Result<Response, ApiError> {
    let place = read_place(org, &hook, which.scope.as_deref())?;
    let mode = which.mode.as_deref().map_or(Ok(Mode::Active), input::mode)?;
    state
        .changing(move |parts| {
            parts.store.org(&place.org)?;
            check_unchanged(parts, &place, &headers)?;
            let earlier = earlier(parts, &place, mode, revision)?;
            let uploaded = input::still_there(parts, &earlier)?;
            check_bindable(parts, &place.org, &uploaded)?;
            let binding = BindingRecord {
                restores: Some(earlier.restores.unwrap_or(earlier.revision)),
                revision: parts.store.next_revision()?,
                bound_at_ms: clock::now_ms(),
                ..earlier
            };
            bind(parts, &place, &binding, &uploaded)
        })
        .await
}

async fn delete(
    State(state): State<AdminState>,
    Path((org, hook)): Path<(String, String)>,
    Params(which): Params<Which>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let place = read_place(org, &hook, which.scope.as_deref())?;
    let mode = which.mode.as_deref().map(input::mode).transpose()?;
    state
        .changing(move |parts| {
            let Place { org, hook, scope } = &place;
            parts.store.org(org)?;
            check_unchanged(parts, &place, &headers)?;
            let gone = |one: &BindingRecord| {
                one.hook == *hook && one.scope == *scope && mode.is_none_or(|m| m == one.mode)
            };
            let mut bindings = parts.store.bindings(org)?;
            if !bindings.iter().any(gone) {
                let hook = hook.label();
                let message = match scope {
                    Scope::Organization => {
                        format!("{hook} has no binding in {org:?}; its built-in decides")
                    }
                    scope => format!("{hook} has no binding in {org:?} for {}", scope.label()),
                };
                return Err(ApiError::not_found(message));
            }
            bindings.retain(|one| !gone(one));
            let switch = parts.bindings.prepare(org, &bindings).map_err(refused)?;
            parts.store.delete_bindings(org, *hook, scope, mode)?;
            switch();
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

/// Puts a binding in force, and answers with it.
fn bind(
    parts: &AdminParts,
    place: &Place,
    binding: &BindingRecord,
    uploaded: &[(String, String)],
) -> Result<Response, ApiError> {
    let mut bindings = parts.store.bindings(&place.org)?;
    bindings.retain(|other| {
        other.hook != binding.hook || other.scope != binding.scope || other.mode != binding.mode
    });
    bindings.push(binding.clone());
    // Prepared first: what can't be used is never stored. Stored second: what is visible
    // is durable.
    let switch = parts.bindings.prepare(&place.org, &bindings).map_err(refused)?;
    parts.store.put_binding(binding, uploaded)?;
    switch();
    let tag = etag(place, &bindings);
    Ok(([(ETAG, tag)], Json(output::Shown::of(binding))).into_response())
}

/// The revision to bring back.
fn earlier(
    parts: &AdminParts,
    place: &Place,
    mode: Mode,
    wanted: Option<u64>,
) -> Result<BindingRecord, ApiError> {
    let Place { org, hook, scope } = place;
    let history = parts.store.binding_history(org, *hook, scope, mode)?;
    let find = |revision: u64| history.iter().find(|one| one.revision == revision).cloned();
    if let Some(wanted) = wanted {
        return find(wanted).ok_or_else(|| {
            let message = format!("revision {wanted} is not among those that are kept here");
            ApiError::invalid("revision", message)
        });
    }
    let previous = match parts.store.binding(org, *hook, scope, mode)? {
        // One that was brought back counts as what it is: twice back is two steps.
        Some(present) => {
            let as_if = present.restores.unwrap_or(present.revision);
            history.into_iter().rev().find(|one| one.restores.is_none() && one.revision < as_if)
        }
        // What was removed comes back first.
        None => history.into_iter().next_back(),
    };
    previous.ok_or_else(|| {
        let message = format!(
            "there is no earlier revision of {} for {} to go back to",
            hook.label(),
            scope.label()
        );
        ApiError::conflict("no_earlier_revision", message)
    })
}

/// The newest revision in force at a place, in quotes.
fn etag(place: &Place, bound: &[BindingRecord]) -> String {
    let here = bound.iter().filter(|one| one.hook == place.hook && one.scope == place.scope);
    format!("\"r{}\"", here.map(|one| one.revision).max().unwrap_or(0))
}

/// Refuses a change of what the caller has not seen, where it says what it has.
fn check_unchanged(parts: &AdminParts, place: &Place, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(seen) = headers.get(IF_MATCH) else { return Ok(()) };
    let present = etag(place, &parts.store.bindings(&place.org)?);
    let seen = seen.to_str().unwrap_or_default();
    let matches = seen.split(',').map(str::trim).any(|one| one == "*" || one == present);
    if matches {
        return Ok(());
    }
    let message = format!("the binding is at {present} by now; read it again, then change it");
    Err(ApiError::changed(message))
}

fn read_place(org: String, hook: &str, scope: Option<&str>) -> Result<Place, ApiError> {
    let hook = Hook::from_label(hook).ok_or_else(|| {
        ApiError::not_found(format!(
            "there is no hook {hook:?}; the hooks are classify, route, redact and bill"
        ))
    })?;
    let scope = match scope {
        None => Scope::Organization,
        Some(label) => Scope::from_label(label).ok_or_else(|| {
            let message = "a scope is \"organization\", \"team:NAME\", \"project:NAME\" or \
                           \"alias:MODEL\"";
            ApiError::invalid("scope", message)
        })?,
    };
    Ok(Place { org, hook, scope })
}
