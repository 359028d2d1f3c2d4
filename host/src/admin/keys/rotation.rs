//! `POST /orgs/{org}/keys/{id}/rotate`: a new secret for a key that stays the same key – its id,
//! budgets, spending, limits and attribution do not change. The secret before may go on to work
//! for a while; no earlier one does. Shows the new secret once, and never an old one.

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::super::AdminState;
use super::super::error::ApiError;
use super::super::extract::OptionalJson;
use super::super::publish::{publish_keys, zone_of};
use super::{Shown, with_secret};
use crate::auth::KeyText;
use crate::clock;

/// The longest that a secret works on: who needs longer than a week to change a setting should
/// make a second key.
const GRACE_S_MAX: u64 = 7 * 24 * 3_600;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::admin) struct Rotate {
    /// Seconds for which the present secret goes on to work.
    grace_seconds: u64,
}

pub(in crate::admin) async fn rotate(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
    OptionalJson(Rotate { grace_seconds }): OptionalJson<Rotate>,
) -> Result<Response, ApiError> {
    if grace_seconds > GRACE_S_MAX {
        let message = format!("grace_seconds is 0 to {GRACE_S_MAX}, which is a week");
        return Err(ApiError::invalid("grace_seconds", message));
    }
    let text = KeyText::generate().map_err(|cause| ApiError::internal("making a key", &cause))?;
    state
        .changing(move |parts| {
            let mut key = parts.store.key(&org, &id)?;
            let hash = parts.directory.load().pepper().hash(text.reveal());
            let grace_ms = grace_seconds.saturating_mul(1_000);
            key.rotate(hash, text.shown_prefix(), clock::now_ms(), grace_ms);
            parts.store.update_key(&key)?;
            publish_keys(parts)?;
            let zone = zone_of(&parts.store.org(&org)?);
            with_secret(StatusCode::OK, &Shown::of(key, &zone, &parts.ledger), &text)
        })
        .await
}
