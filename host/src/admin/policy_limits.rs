//! `/orgs/{org}/policy-limits`: what one organization's policies may take, where the operator wants
//! it to differ from what the installation allows everybody, and never more than the installation
//! has. In force for the next instance, call, upload and binding; what is there already stays.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::extract::JsonBody;
use super::{AdminParts, AdminState, PolicyBounds};
use crate::policy::OrgLimits;
use crate::store::{Organization, PolicyLimitsRecord};

/// The least memory that is of use: what a small guest in C needs, and some.
const MEMORY_BYTES_MIN: usize = 1 << 20;
/// Memory is in pages of this size.
const PAGE_BYTES: usize = 64 << 10;
/// Log lines of an instance at most: they stay in memory and somebody is to read them.
const LOG_LINES_MAX: u32 = 1_000;
/// Bytes of a plugin's state where there is no limit.
const STATE_BYTES: usize = 256 << 10;
/// Bytes of a plugin's state at most: a sixteenth of what all states together may have.
const STATE_BYTES_MAX: usize = 4 << 20;

/// All limits from now on; what is absent is as the installation has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    deadline_ms: Option<u32>,
    memory_bytes: Option<usize>,
    instances: Option<u32>,
    log_lines: Option<u32>,
    state_bytes: Option<usize>,
    components: Option<usize>,
}

/// What a record's limits are to the policies.
pub fn limits_of(record: &PolicyLimitsRecord) -> OrgLimits {
    OrgLimits {
        deadline: record.deadline_ms.map(|ms| std::time::Duration::from_millis(ms.into())),
        memory_bytes: record.memory_bytes,
        instances: record.instances,
        log_lines: record.log_lines,
        state_bytes: record.state_bytes,
    }
}

/// The longest deadline that an organization's binding may ask for, in milliseconds.
pub(super) fn longest_deadline_ms(parts: &AdminParts, org: &str) -> Result<u32, ApiError> {
    let own = parts.store.org(org)?.policy_limits.deadline_ms;
    Ok(own.map_or(parts.bounds.deadline_ms, |own| own.min(parts.bounds.deadline_ms)))
}

fn read(input: &Put, bounds: &PolicyBounds) -> Result<PolicyLimitsRecord, ApiError> {
    let number = |value: Option<u32>| value.and_then(|value| usize::try_from(value).ok());
    let most = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    let checks = [
        ("deadline_ms", number(input.deadline_ms), 1, most(bounds.deadline_ms)),
        ("memory_bytes", input.memory_bytes, MEMORY_BYTES_MIN, bounds.memory_bytes),
        ("instances", number(input.instances), 1, most(bounds.instances)),
        ("log_lines", number(input.log_lines), 0, most(LOG_LINES_MAX)),
        ("state_bytes", input.state_bytes, 0, STATE_BYTES_MAX),
        ("components", input.components, 0, bounds.components),
    ];
    for (field, value, least, most) in checks {
        if value.is_some_and(|value| !(least..=most).contains(&value)) {
            let message = format!("{field} is {least} to {most} on this installation");
            return Err(ApiError::invalid(field, message));
        }
    }
    if input.memory_bytes.is_some_and(|bytes| !bytes.is_multiple_of(PAGE_BYTES)) {
        let message = format!("memory comes in pages: a multiple of {PAGE_BYTES}");
        return Err(ApiError::invalid("memory_bytes", message));
    }
    Ok(PolicyLimitsRecord {
        deadline_ms: input.deadline_ms,
        memory_bytes: input.memory_bytes,
        instances: input.instances,
        log_lines: input.log_lines,
        state_bytes: input.state_bytes,
        components: input.components,
    })
}

/// Each limit: what holds, whether it is the organization's own, and the highest there could be.
fn shown(org: &Organization, bounds: &PolicyBounds) -> Value {
    let own = &org.policy_limits;
    let limit = |own: Option<usize>, usual: usize, most: usize| {
        let value = own.unwrap_or(usual);
        json!({"value": value, "own": own.is_some(), "most": most})
    };
    let wide = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    let deadline = wide(bounds.deadline_ms);
    json!({
        "deadline_ms": limit(own.deadline_ms.map(wide), deadline, deadline),
        "memory_bytes": limit(own.memory_bytes, bounds.memory_bytes, bounds.memory_bytes),
        "instances": limit(
            own.instances.map(wide), wide(bounds.instances_per_org), wide(bounds.instances),
        ),
        "log_lines": limit(own.log_lines.map(wide), wide(bounds.log_lines), wide(LOG_LINES_MAX)),
        "state_bytes": limit(own.state_bytes, STATE_BYTES, STATE_BYTES_MAX),
        "components": limit(own.components, bounds.components_per_org, bounds.components),
    })
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            Ok(Json(shown(&parts.store.org(&org)?, &parts.bounds)).into_response())
        })
        .await
}

pub(super) async fn put(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    JsonBody(input): JsonBody<Put>,
) -> Result<Response, ApiError> {
    state
        .changing(move |parts| {
            let mut org = parts.store.org(&org)?;
            org.policy_limits = read(&input, &parts.bounds)?;
            parts.store.update_org(&org)?;
            parts.bindings.limited(&org.id, &limits_of(&org.policy_limits));
            Ok(Json(shown(&org, &parts.bounds)).into_response())
        })
        .await
}
