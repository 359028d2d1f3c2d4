//! `/orgs/{org}/plugins`: uploading, listing and deleting policies. A component is checked before
//! anything of it is stored; its digest is its identity.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::ApiError;
use super::extract::{PageParams, Params, read_body};
use super::text::{check_id, check_version, rfc3339};
use super::{AdminParts, AdminState, Admitted, PolicyBounds};
use crate::clock;
use crate::store::{PluginCheck, PluginFigures, PluginRecord};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadParams {
    /// What it is to be called; what it calls itself, if absent.
    name: Option<String>,
    /// Its version; the one it names itself, if absent.
    version: Option<String>,
}

#[derive(Serialize)]
struct ShownCheck {
    name: String,
    passed: bool,
    detail: String,
}

impl From<PluginCheck> for ShownCheck {
    fn from(check: PluginCheck) -> Self {
        Self { name: check.name, passed: check.passed, detail: check.detail }
    }
}

#[derive(Serialize)]
struct Shown {
    name: String,
    version: String,
    digest: String,
    size_bytes: u64,
    interfaces: Vec<String>,
    checks: Vec<ShownCheck>,
    figures: Option<ShownFigures>,
    uploaded_at: String,
}

/// Microseconds and bytes at admission.
#[derive(Serialize)]
struct ShownFigures {
    start_us: u32,
    fresh_us: u32,
    warm_us: u32,
    memory_bytes: u64,
}

impl From<PluginFigures> for ShownFigures {
    fn from(figures: PluginFigures) -> Self {
        let PluginFigures { start_us, fresh_us, warm_us, memory_bytes } = figures;
        Self { start_us, fresh_us, warm_us, memory_bytes }
    }
}

impl From<PluginRecord> for Shown {
    fn from(plugin: PluginRecord) -> Self {
        Self {
            name: plugin.name,
            version: plugin.version,
            digest: plugin.digest,
            size_bytes: plugin.size_bytes,
            interfaces: plugin.interfaces,
            checks: plugin.checks.into_iter().map(ShownCheck::from).collect(),
            figures: plugin.figures.map(ShownFigures::from),
            uploaded_at: rfc3339(plugin.uploaded_at_ms),
        }
    }
}

pub(super) async fn upload(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(params): Params<UploadParams>,
    request: Request,
) -> Result<Response, ApiError> {
    if let Some(name) = &params.name {
        check_id("name", name)?;
    }
    if let Some(version) = &params.version {
        check_version("version", version)?;
    }
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if kind.is_some_and(|kind| !matches!(kind, "application/wasm" | "application/octet-stream")) {
        let message = "a plugin is uploaded as \"content-type: application/wasm\"";
        return Err(ApiError::bad_request("wrong_content_type", message));
    }
    let known = org.clone();
    state.reading(move |parts| Ok(parts.store.org(&known)?)).await?;
    // Waits its turn before the body is read: those who wait hold no memory.
    let turn = state.admissions.clone().acquire_owned().await;
    let turn = turn.map_err(|cause| ApiError::internal("waiting for admission", &cause))?;
    let most = state.parts.bounds.component_bytes;
    let bytes = read_body(request.into_body(), most).await?;
    if bytes.is_empty() {
        return Err(ApiError::bad_request("empty_body", "the body is empty; send the component"));
    }
    let of = org.clone();
    let (admitted, bytes) = state
        .reading(move |parts| {
            // Kept until the work is done, also when the caller has hung up.
            let _turn = turn;
            let admitted = parts.admission.admit(&of, &bytes).map_err(not_admitted)?;
            Ok((admitted, bytes))
        })
        .await?;
    let plugin = record_of(org, params, admitted, bytes.len())?;
    state
        .changing(move |parts| {
            check_room(parts, &plugin)?;
            let digest = parts.store.files().put(&bytes)?;
            if digest != plugin.digest {
                return Err(ApiError::internal("storing the plugin", &"its digest changed"));
            }
            let created = parts.store.create_plugin(&plugin)?;
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, Json(Shown::from(plugin))).into_response())
        })
        .await
}

/// Whether one more component fits; one that is there already takes no room.
fn check_room(parts: &AdminParts, plugin: &PluginRecord) -> Result<(), ApiError> {
    if parts.store.plugin(&plugin.org, &plugin.name, &plugin.version).is_ok() {
        return Ok(());
    }
    let PolicyBounds { components_per_org: own, components: all, .. } = parts.bounds;
    let there = parts.store.plugins(&plugin.org, None, own.saturating_add(1))?.items.len();
    if there >= own {
        let message = format!(
            "{:?} has {there} components, at most {own} are kept (policy.components_per_org); \
             delete old ones",
            plugin.org
        );
        return Err(ApiError::conflict("too_many_plugins", message));
    }
    let there = parts.store.plugin_count()?;
    if there >= all {
        let message = format!(
            "there are {there} components in this installation, at most {all} are kept \
             (policy.components); delete old ones"
        );
        return Err(ApiError::conflict("too_many_plugins", message));
    }
    Ok(())
}

fn record_of(
    org: String,
    params: UploadParams,
    admitted: Admitted,
    size: usize,
) -> Result<PluginRecord, ApiError> {
    let mut checks = admitted.checks;
    let own = format!("{}@{}", admitted.name, admitted.version);
    let name = params.name.unwrap_or(admitted.name);
    let version = params.version.unwrap_or(admitted.version);
    // Its own name and version may be anything; what it is registered under may not.
    check_id("name", &name)?;
    check_version("version", &version)?;
    if own != format!("{name}@{version}") {
        let detail = format!("the component calls itself {own}");
        checks.push(PluginCheck { name: "name".to_owned(), passed: true, detail });
    }
    Ok(PluginRecord {
        org,
        name,
        version,
        digest: admitted.digest,
        size_bytes: u64::try_from(size).unwrap_or(u64::MAX),
        interfaces: admitted.interfaces,
        checks,
        figures: Some(admitted.figures),
        uploaded_at_ms: clock::now_ms(),
    })
}

fn not_admitted(checks: Vec<PluginCheck>) -> ApiError {
    let failed = checks.iter().find(|check| !check.passed);
    let reason = failed.map_or_else(String::new, |check| format!(": {}", check.detail));
    let checks: Vec<ShownCheck> = checks.into_iter().map(ShownCheck::from).collect();
    let message = format!("the component was not admitted{reason}");
    ApiError::refused("not_admitted", message).with(json!({"checks": checks}))
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(page): Params<PageParams>,
) -> Result<Response, ApiError> {
    let limit = page.limit()?;
    state
        .reading(move |parts| {
            parts.store.org(&org)?;
            let after = page.after.map(|after| after.replacen('@', "\0", 1));
            let page = parts.store.plugins(&org, after.as_deref(), limit)?;
            let next = page.items.last().filter(|_| page.more);
            let next = next.map(|plugin| format!("{}@{}", plugin.name, plugin.version));
            let items: Vec<Shown> = page.items.into_iter().map(Shown::from).collect();
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
            Ok(Json(Shown::from(plugin)).into_response())
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
