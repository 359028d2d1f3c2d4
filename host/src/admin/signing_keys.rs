//! `/orgs/{org}/signing-keys`: whose signatures on policies an organization trusts. Public keys
//! only; one that is taken off the list puts nothing out of force.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::access::Principal;
use super::error::ApiError;
use super::extract::JsonBody;
use super::signatures;
use super::text::{check_name, rfc3339};
use super::{AdminParts, AdminState};
use crate::clock;
use crate::policy::signature::PublicKey;
use crate::store::{Organization, SigningKey};

/// Keys of one organization: each upload may be compared with all of them.
const SIGNING_KEYS_MAX: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    name: String,
    /// `ed25519:…`, as `turnpike plugin keygen` writes it.
    public_key: String,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    name: String,
    public_key: String,
    added_by: String,
    added_at: String,
}

impl From<SigningKey> for Shown {
    fn from(key: SigningKey) -> Self {
        let SigningKey { id, name, public_key, added_by, added_at_ms } = key;
        Self { id, name, public_key, added_by, added_at: rfc3339(added_at_ms) }
    }
}

pub(super) async fn add(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Extension(by): Extension<Principal>,
    JsonBody(input): JsonBody<Add>,
) -> Result<Response, ApiError> {
    check_name("name", &input.name)?;
    let key = PublicKey::parse(&input.public_key)
        .map_err(|why| ApiError::invalid("public_key", why.to_string()))?;
    let key = SigningKey {
        id: key.id(),
        name: input.name,
        public_key: key.to_string(),
        added_by: by.0.to_string(),
        added_at_ms: clock::now_ms(),
    };
    state
        .changing(move |parts| {
            let mut org = parts.store.org(&org)?;
            if org.signing.keys.iter().any(|there| there.id == key.id) {
                let message = format!("the key {} is on the list already", key.id);
                return Err(ApiError::conflict("exists", message));
            }
            if org.signing.keys.len() >= SIGNING_KEYS_MAX {
                let message = format!("there are {SIGNING_KEYS_MAX} keys; remove old ones");
                return Err(ApiError::conflict("too_many_signing_keys", message));
            }
            org.signing.keys.push(key.clone());
            parts.store.update_org(&org)?;
            Ok((StatusCode::CREATED, Json(Shown::from(key))).into_response())
        })
        .await
}

/// The keys, what is required, and what is in force without a trusted signature.
pub(super) async fn list(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            let org = parts.store.org(&org)?;
            let unsigned = unsigned_bindings(parts, &org)?;
            let installation = parts.signatures.keys.iter();
            let installation: Vec<_> = installation
                .map(|key| json!({"id": key.id(), "public_key": key.to_string()}))
                .collect();
            let required = signatures::required(&parts.signatures, &org);
            let keys: Vec<Shown> = org.signing.keys.into_iter().map(Shown::from).collect();
            Ok(Json(json!({
                "items": keys, "next": null,
                "required": required,
                "installation": {"required": parts.signatures.required, "keys": installation},
                "unsigned_bindings": unsigned,
            }))
            .into_response())
        })
        .await
}

/// Bindings in force of policies that have no signature which is trusted now.
fn unsigned_bindings(
    parts: &AdminParts,
    org: &Organization,
) -> Result<Vec<serde_json::Value>, ApiError> {
    let mut unsigned = Vec::new();
    for binding in parts.store.bindings(&org.id)? {
        for link in binding.links() {
            // One that is part of the program is not among the uploads and needs no signature.
            let Ok(plugin) = parts.store.plugin(&org.id, &link.plugin, &link.version) else {
                continue;
            };
            if !signatures::is_trusted(&parts.signatures, org, &plugin) {
                unsigned.push(json!({
                    "hook": binding.hook.label(),
                    "scope": binding.scope.label(),
                    "mode": binding.mode.label(),
                    "plugin": format!("{}@{}", link.plugin, link.version),
                }));
            }
        }
    }
    Ok(unsigned)
}

pub(super) async fn remove(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    state
        .changing(move |parts| {
            let mut org = parts.store.org(&org)?;
            let before = org.signing.keys.len();
            org.signing.keys.retain(|key| key.id != id);
            if org.signing.keys.len() == before {
                let message = format!("{:?} has no signing key {id}; GET lists them", org.id);
                return Err(ApiError::not_found(message));
            }
            parts.store.update_org(&org)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}
