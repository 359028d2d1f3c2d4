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
use super::{AdminParts, AdminState, BindingRefused};
use crate::clock;
use crate::store::{BindingRecord, Hook, OnFailure};

/// The longest deadline of one call: a caller waits for it.
pub(super) const DEADLINE_MS_MAX: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    /// `name@version`.
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
            on_failure: default_on_failure(hook).label(),
            deadline_ms: default_deadline_ms(hook),
            revision: None,
            bound_at: None,
        }
    }
}

/// What happens when a policy fails and its binding doesn't say.
fn default_on_failure(hook: Hook) -> OnFailure {
    match hook {
        Hook::Redact => OnFailure::Closed,
        Hook::Classify | Hook::Route | Hook::Bill => OnFailure::Builtin,
    }
}

/// How long a call may take when its binding doesn't say, in milliseconds.
fn default_deadline_ms(hook: Hook) -> u32 {
    match hook {
        Hook::Classify | Hook::Bill => 20,
        Hook::Route => 10,
        Hook::Redact => 5,
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
            let binding = read(parts, org, hook, input)?;
            let mut bindings = parts.store.bindings(&binding.org)?;
            bindings.retain(|other| other.hook != hook);
            bindings.push(binding.clone());
            // Prepared first: what can't be used is never stored. Stored second: what is visible
            // is durable.
            let switch = parts.bindings.prepare(&binding.org, &bindings).map_err(refused)?;
            parts.store.put_binding(&binding)?;
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
) -> Result<BindingRecord, ApiError> {
    check_mode(input.mode.as_deref(), input.percent)?;
    let (name, version) = input.plugin.split_once('@').ok_or_else(|| {
        ApiError::invalid("plugin", "a plugin is named with its version, like my-router@1.2.0")
    })?;
    let plugin = parts
        .store
        .plugin(&org, name, version)
        .map_err(|cause| ApiError::invalid("plugin", format!("{cause}; upload it first")))?;
    if !plugin.interfaces.iter().any(|interface| interface == hook.label()) {
        let message = format!(
            "{} can't decide {}; it serves: {}",
            input.plugin,
            hook.label(),
            plugin.interfaces.join(", ")
        );
        return Err(ApiError::invalid("plugin", message));
    }
    let deadline_ms = input.deadline_ms.unwrap_or_else(|| default_deadline_ms(hook));
    if !(1..=DEADLINE_MS_MAX).contains(&deadline_ms) {
        let message = format!("a deadline is 1 to {DEADLINE_MS_MAX} milliseconds");
        return Err(ApiError::invalid("deadline_ms", message));
    }
    Ok(BindingRecord {
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
    })
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
    let Some(label) = label else { return Ok(default_on_failure(hook)) };
    match OnFailure::from_label(label) {
        // Going on without a decision makes sense only for redaction.
        Some(OnFailure::Open) if hook != Hook::Redact => Err(ApiError::invalid(
            "on_failure",
            "\"open\" is for redact only; use \"builtin\" or \"closed\"",
        )),
        Some(choice) => Ok(choice),
        None => Err(ApiError::invalid(
            "on_failure",
            "on_failure is \"builtin\", \"open\" or \"closed\"",
        )),
    }
}
