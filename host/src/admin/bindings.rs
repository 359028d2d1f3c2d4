//! `/orgs/{org}/bindings/{hook}`: which policy takes a decision. A binding is loaded and configured
//! before it is stored, and visible to the next request when the answer is sent. Without one, the
//! built-in decides.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::error::ApiError;
use super::extract::JsonBody;
use super::text::rfc3339_opt;
use super::{AdminParts, AdminState, Admitted, BindingRefused};
use crate::clock;
use crate::store::{BindingRecord, Hook, OnFailure, PluginRecord};

/// The longest deadline of one call: a caller waits for it.
pub(super) const DEADLINE_MS_MAX: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    /// `name@version`; the name alone for a built-in.
    plugin: String,
    mode: Option<String>,
    percent: Option<u8>,
    config: Option<Box<RawValue>>,
    on_failure: Option<String>,
    deadline_ms: Option<u32>,
}

#[derive(Serialize)]
struct Shown {
    hook: &'static str,
    /// `name@version`; none for the built-in.
    plugin: Option<String>,
    builtin: bool,
    digest: Option<String>,
    mode: &'static str,
    config: Option<Box<RawValue>>,
    on_failure: &'static str,
    deadline_ms: u32,
    revision: Option<u64>,
    bound_at: Option<String>,
}

// === impl Shown ===

impl Shown {
    fn of(binding: BindingRecord) -> Self {
        Self {
            hook: binding.hook.label(),
            plugin: Some(format!("{}@{}", binding.plugin, binding.version)),
            builtin: false,
            digest: Some(binding.digest),
            mode: "active",
            config: binding.config.and_then(|text| RawValue::from_string(text).ok()),
            on_failure: binding.on_failure.label(),
            deadline_ms: binding.deadline_ms,
            revision: Some(binding.revision),
            bound_at: rfc3339_opt(Some(binding.bound_at_ms)),
        }
    }

    fn builtin(hook: Hook) -> Self {
        Self {
            hook: hook.label(),
            plugin: None,
            builtin: true,
            digest: None,
            mode: "active",
            config: None,
            on_failure: hook.default_on_failure().label(),
            deadline_ms: hook.default_deadline_ms(),
            revision: None,
            bound_at: None,
        }
    }
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
            let mut items = Vec::with_capacity(Hook::ALL.len());
            for hook in Hook::ALL {
                items.push(show(parts, &org, hook)?);
            }
            Ok(Json(json!({"items": items, "next": null})).into_response())
        })
        .await
}

async fn get(
    State(state): State<AdminState>,
    Path((org, hook)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let hook = read_hook(&hook)?;
    state
        .reading(move |parts| {
            parts.store.org(&org)?;
            Ok(Json(show(parts, &org, hook)?).into_response())
        })
        .await
}

async fn put(
    State(state): State<AdminState>,
    Path((org, hook)): Path<(String, String)>,
    JsonBody(input): JsonBody<Put>,
) -> Result<Response, ApiError> {
    let hook = read_hook(&hook)?;
    state
        .changing(move |parts| {
            parts.store.org(&org)?;
            let (binding, uploaded) = read(parts, org, hook, input)?;
            let mut bindings = parts.store.bindings(&binding.org)?;
            bindings.retain(|other| other.hook != hook);
            bindings.push(binding.clone());
            // Prepared first: what can't be used is never stored. Stored second: what is visible
            // is durable.
            let switch = parts.bindings.prepare(&binding.org, &bindings).map_err(refused)?;
            parts.store.put_binding(&binding, uploaded)?;
            switch();
            Ok(Json(Shown::of(binding)).into_response())
        })
        .await
}

async fn delete(
    State(state): State<AdminState>,
    Path((org, hook)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let hook = read_hook(&hook)?;
    state
        .changing(move |parts| {
            parts.store.org(&org)?;
            if parts.store.binding(&org, hook)?.is_none() {
                let message =
                    format!("{} has no binding in {org:?}; its built-in decides", hook.label());
                return Err(ApiError::not_found(message));
            }
            let mut bindings = parts.store.bindings(&org)?;
            bindings.retain(|other| other.hook != hook);
            let switch = parts.bindings.prepare(&org, &bindings).map_err(refused)?;
            parts.store.delete_binding(&org, hook)?;
            switch();
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

fn show(parts: &AdminParts, org: &str, hook: Hook) -> Result<Shown, ApiError> {
    let bound = parts.store.binding(org, hook)?;
    Ok(bound.map_or_else(|| Shown::builtin(hook), Shown::of))
}

fn read_hook(hook: &str) -> Result<Hook, ApiError> {
    Hook::from_label(hook).ok_or_else(|| {
        ApiError::not_found(format!(
            "there is no hook {hook:?}; the hooks are classify, route, redact and bill"
        ))
    })
}

fn read(
    parts: &AdminParts,
    org: String,
    hook: Hook,
    input: Put,
) -> Result<(BindingRecord, bool), ApiError> {
    check_mode(input.mode.as_deref(), input.percent)?;
    let plugin = named_plugin(parts, &org, &input.plugin)?;
    if !plugin.interfaces.iter().any(|interface| interface == hook.label()) {
        let message = format!(
            "{} can't decide {}; it serves: {}",
            input.plugin,
            hook.label(),
            plugin.interfaces.join(", ")
        );
        return Err(ApiError::invalid("plugin", message));
    }
    let deadline_ms = input.deadline_ms.unwrap_or_else(|| hook.default_deadline_ms());
    if !(1..=DEADLINE_MS_MAX).contains(&deadline_ms) {
        let message = format!("a deadline is 1 to {DEADLINE_MS_MAX} milliseconds");
        return Err(ApiError::invalid("deadline_ms", message));
    }
    let uploaded = plugin.uploaded;
    let binding = BindingRecord {
        on_failure: read_on_failure(hook, input.on_failure.as_deref())?,
        org,
        hook,
        plugin: plugin.name,
        version: plugin.version,
        digest: plugin.digest,
        config: input.config.map(|config| config.get().to_owned()),
        deadline_ms,
        revision: parts.store.next_revision()?,
        bound_at_ms: clock::now_ms(),
    };
    Ok((binding, uploaded))
}

/// An uploaded plugin by name and version, or a built-in by its name alone. An upload of the same
/// name and version goes before the built-in.
fn named_plugin(parts: &AdminParts, org: &str, named: &str) -> Result<Named, ApiError> {
    let (name, version) = match named.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (named, None),
    };
    if let Some(version) = version
        && let Ok(plugin) = parts.store.plugin(org, name, version)
    {
        let PluginRecord { name, version, digest, interfaces, .. } = plugin;
        return Ok(Named { name, version, digest, interfaces, uploaded: true });
    }
    let builtin = parts.admission.builtin(name);
    if let Some(own) = builtin.filter(|own| version.is_none_or(|v| v == own.version)) {
        let Admitted { name, version, digest, interfaces, .. } = own;
        return Ok(Named { name, version, digest, interfaces, uploaded: false });
    }
    let message = if version.is_some() {
        format!("{named} is neither uploaded nor built in; upload it first, or look at GET plugins")
    } else {
        "an uploaded plugin is named with its version, like my-router@1.2.0".to_owned()
    };
    Err(ApiError::invalid("plugin", message))
}

struct Named {
    name: String,
    version: String,
    digest: String,
    interfaces: Vec<String>,
    /// False for a built-in.
    uploaded: bool,
}

fn check_mode(mode: Option<&str>, percent: Option<u8>) -> Result<(), ApiError> {
    match mode {
        None | Some("active") if percent.is_none() => Ok(()),
        None | Some("active") => {
            Err(ApiError::invalid("percent", "percent belongs to mode \"canary\"; leave it out"))
        }
        Some("shadow" | "canary") => Err(ApiError::invalid(
            "mode",
            "shadow and canary are not available in this version; use \"active\"",
        )),
        Some(_) => Err(ApiError::invalid("mode", "the mode is \"active\"")),
    }
}

fn read_on_failure(hook: Hook, label: Option<&str>) -> Result<OnFailure, ApiError> {
    let Some(label) = label else { return Ok(hook.default_on_failure()) };
    match OnFailure::from_label(label) {
        // Without a task, a score or a price a request goes on all the same: there is nothing that
        // could pass unseen, and nothing that would close.
        Some(OnFailure::Open | OnFailure::Closed) if hook != Hook::Redact => {
            let message = format!(
                "{label:?} is for redact only; use \"builtin\": the built-in policy decides"
            );
            Err(ApiError::invalid("on_failure", message))
        }
        Some(choice) => Ok(choice),
        None => Err(ApiError::invalid(
            "on_failure",
            "on_failure is \"builtin\", or for redact also \"open\" or \"closed\"",
        )),
    }
}
