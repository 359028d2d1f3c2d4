//! `/orgs/{org}/aliases`: names that stand for a model or a choice in one organization. A change is
//! in force for the next request. What nobody could be asked for is refused, with what was meant.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::extract::JsonBody;
use super::{AdminParts, AdminState};
use crate::route::OrgAliases;
use crate::store::{AliasRecord, Organization};

/// Names of one organization: they share its record.
const ALIASES_MAX: usize = 256;
/// Bytes of a name, and of what it stands for.
const NAME_BYTES_MAX: usize = 128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    /// A catalogue id, an offer's id, a bare name, or `auto` and its profiles.
    model: String,
}

/// An organization's names as the data plane reads them.
pub fn aliases_of(org: &Organization) -> OrgAliases {
    org.aliases
        .iter()
        .map(|alias| (alias.name.as_str().into(), Arc::from(alias.model.as_str())))
        .collect()
}

fn shown(alias: &AliasRecord) -> Value {
    json!({ "name": alias.name, "model": alias.model })
}

/// Names are compared without case, and none can be mistaken for a choice or an offer.
fn check_name(name: &str) -> Result<String, ApiError> {
    let lower = name.to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_./:".contains(&b);
    let fits = (1..=NAME_BYTES_MAX).contains(&lower.len()) && lower.bytes().all(plain);
    if fits && lower != "auto" && !lower.starts_with("auto:") {
        return Ok(lower);
    }
    let message = format!(
        "an alias has 1 to {NAME_BYTES_MAX} of a-z, 0-9 and \"-_./:\", and is not \"auto\" or one \
         of its profiles"
    );
    Err(ApiError::invalid("name", message))
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            let items: Vec<Value> = parts.store.org(&org)?.aliases.iter().map(shown).collect();
            Ok(Json(json!({ "items": items, "next": null })).into_response())
        })
        .await
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path((org, name)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            let org = parts.store.org(&org)?;
            let at = place(&org, &name)?;
            Ok(Json(org.aliases.get(at).map(shown)).into_response())
        })
        .await
}

pub(super) async fn put(
    State(state): State<AdminState>,
    Path((org, name)): Path<(String, String)>,
    JsonBody(input): JsonBody<Put>,
) -> Result<Response, ApiError> {
    let name = check_name(&name)?;
    if input.model.len() > NAME_BYTES_MAX {
        let message = format!("a model's name has at most {NAME_BYTES_MAX} bytes");
        return Err(ApiError::invalid("model", message));
    }
    state
        .changing(move |parts| {
            let mut org = parts.store.org(&org)?;
            if parts.aliases.target(&org.id, &input.model).is_some() {
                let message = "an alias can't stand for another alias; name the model itself";
                return Err(ApiError::invalid("model", message));
            }
            let known = parts.aliases.check(&input.model);
            known.map_err(|unknown| ApiError::invalid("model", unknown.to_string()))?;
            let alias = AliasRecord { name, model: input.model };
            let answer = Json(shown(&alias));
            let before = org.aliases.len();
            org.aliases.retain(|one| one.name != alias.name);
            let is_new = org.aliases.len() == before;
            if is_new && before >= ALIASES_MAX {
                let message = format!("an organization has at most {ALIASES_MAX} aliases");
                return Err(ApiError::invalid("name", message));
            }
            org.aliases.push(alias);
            org.aliases.sort_by(|a, b| a.name.cmp(&b.name));
            let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
            keep(parts, &org)?;
            Ok((status, answer).into_response())
        })
        .await
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((org, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    state
        .changing(move |parts| {
            let mut org = parts.store.org(&org)?;
            let at = place(&org, &name)?;
            org.aliases.remove(at);
            keep(parts, &org)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

fn place(org: &Organization, name: &str) -> Result<usize, ApiError> {
    let lower = name.to_ascii_lowercase();
    let at = org.aliases.iter().position(|alias| alias.name == lower);
    at.ok_or_else(|| ApiError::not_found(format!("{:?} has no alias {name:?}", org.id)))
}

/// Into the store, and then to the data plane.
fn keep(parts: &AdminParts, org: &Organization) -> Result<(), ApiError> {
    parts.store.update_org(org)?;
    parts.aliases.set(&org.id, &aliases_of(org));
    Ok(())
}
