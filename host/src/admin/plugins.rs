//! `/orgs/{org}/plugins`: uploading, listing and deleting policies. A component is checked before
//! anything of it is stored; its digest is its identity.

mod output;
mod upload;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use self::output::Shown;
pub(super) use self::upload::upload;
use super::AdminState;
use super::error::ApiError;
use super::extract::{PageParams, Params};

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(page): Params<PageParams>,
) -> Result<Response, ApiError> {
    let limit = page.limit()?;
    state
        .reading(move |parts| {
            let org = parts.store.org(&org)?;
            let after = page.after.map(|after| after.replacen('@', "\0", 1));
            let page = parts.store.plugins(&org.id, after.as_deref(), limit)?;
            let next = page.items.last().filter(|_| page.more);
            let next = next.map(|plugin| format!("{}@{}", plugin.name, plugin.version));
            let shown = page.items.into_iter().map(|plugin| Shown::of(parts, &org, plugin));
            let items: Vec<Shown> = shown.collect();
            Ok(Json(json!({"items": items, "next": next})).into_response())
        })
        .await
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path((org, name, version)): Path<(String, String, String)>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            let plugin = parts.store.plugin(&org, &name, &version)?;
            let org = parts.store.org(&org)?;
            Ok(Json(Shown::of(parts, &org, plugin)).into_response())
        })
        .await
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((org, name, version)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    state
        .changing(move |parts| {
            parts.store.delete_plugin(&org, &name, &version)?;
            if !parts.store.has_plugin(&org, &name)? {
                parts.bindings.deleted(&org, &name);
            }
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}
