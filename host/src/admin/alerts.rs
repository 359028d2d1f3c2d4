//! `/orgs/{org}/webhook` and `/orgs/{org}/alerts`: where alerts are sent, and which there were. The
//! secret goes in and never comes out.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::ApiError;
use super::extract::{JsonBody, PageParams, Params};
use super::text::{rfc3339, rfc3339_opt};
use crate::clock;
use crate::secret::Secret;
use crate::store::{AlertRecord, Delivery, Webhook};

/// Characters of a secret: fewer could be guessed from one signature, more are of no use to HMAC.
const SECRET_CHARS: std::ops::RangeInclusive<usize> = 16..=256;

/// Says whether an organization's webhook may be sent to an address; the error says why not.
pub type WebhookRule = dyn Fn(&str) -> Result<(), String> + Send + Sync;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    url: String,
    /// May be left out where there is one already.
    secret: Option<String>,
}

fn shown(webhook: &Webhook) -> Value {
    json!({
        "url": webhook.url,
        "secret_set": true,
        "changed_at": rfc3339(webhook.changed_at_ms),
    })
}

pub(super) async fn put_webhook(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    JsonBody(input): JsonBody<Input>,
) -> Result<Response, ApiError> {
    let secret = input.secret.map(Secret::new);
    let fits = |secret: &Secret| SECRET_CHARS.contains(&secret.reveal().chars().count());
    if !secret.as_ref().is_none_or(fits) {
        let message = "a secret has 16 to 256 characters; make it of random ones";
        return Err(ApiError::invalid("secret", message));
    }
    state
        .changing(move |parts| {
            parts.store.org(&org)?;
            (parts.webhook_rule)(&input.url).map_err(|why| {
                ApiError::invalid("url", format!("alerts can't be sent there: {why}"))
            })?;
            let before = parts.store.webhook(&org)?;
            let sealed = match &secret {
                Some(secret) => {
                    parts.directory.load().pepper().seal(secret).ok_or_else(|| {
                        ApiError::internal("sealing a secret", &"no random numbers")
                    })?
                }
                None => before.map(|webhook| webhook.sealed_secret).ok_or_else(|| {
                    let message = "a webhook needs a secret, with which what is sent is signed";
                    ApiError::invalid("secret", message)
                })?,
            };
            let changed_at_ms = clock::now_ms();
            let webhook =
                Webhook { v: 0, org, url: input.url, sealed_secret: sealed, changed_at_ms };
            parts.store.put_webhook(&webhook)?;
            Ok(Json(shown(&webhook)).into_response())
        })
        .await
}

pub(super) async fn get_webhook(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            parts.store.org(&org)?;
            match parts.store.webhook(&org)? {
                Some(webhook) => Ok(Json(shown(&webhook)).into_response()),
                None => Err(ApiError::not_found("there is no webhook; set one with PUT")),
            }
        })
        .await
}

pub(super) async fn delete_webhook(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<StatusCode, ApiError> {
    state
        .changing(move |parts| {
            parts.store.org(&org)?;
            parts.store.delete_webhook(&org)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

/// The newest first.
pub(super) async fn list(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(page): Params<PageParams>,
) -> Result<Response, ApiError> {
    let limit = page.limit()?;
    state
        .reading(move |parts| {
            parts.store.org_ever(&org)?;
            let all = parts.store.all_alerts(&org)?;
            let before = page.after.as_deref();
            let older = |alert: &&AlertRecord| before.is_none_or(|place| *alert.place() < *place);
            let mut items: Vec<&AlertRecord> = all.iter().rev().filter(older).collect();
            let more = items.len() > limit;
            items.truncate(limit);
            let next = items.last().filter(|_| more).map(|alert| alert.place());
            let items: Vec<Value> = items.into_iter().map(shown_alert).collect();
            Ok(Json(json!({"items": items, "next": next})).into_response())
        })
        .await
}

fn shown_alert(alert: &AlertRecord) -> Value {
    json!({
        "id": alert.id,
        "type": alert.kind,
        "at": rfc3339(alert.at_ms),
        "scope": alert.scope,
        "budget": alert.budget,
        "threshold": alert.threshold,
        "limit_usd": alert.limit_usd,
        "spent_usd": alert.spent_usd,
        "needed_usd": alert.needed_usd,
        "window_start": rfc3339(alert.window_start_ms),
        "window_end": rfc3339_opt(alert.window_end_ms),
        "delivery": delivery(&alert.delivery),
    })
}

fn delivery(delivery: &Delivery) -> Value {
    match delivery {
        Delivery::None => json!({"state": "none"}),
        Delivery::Pending { attempts, next_at_ms, last_error } => json!({
            "state": "pending",
            "attempts": attempts,
            "next_at": rfc3339(*next_at_ms),
            "error": last_error,
        }),
        Delivery::Delivered { attempts, at_ms } => {
            json!({"state": "delivered", "attempts": attempts, "at": rfc3339(*at_ms)})
        }
        Delivery::Failed { attempts, last_error } => {
            json!({"state": "failed", "attempts": attempts, "error": last_error})
        }
    }
}
