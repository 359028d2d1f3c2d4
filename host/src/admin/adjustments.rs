//! `/orgs/{org}/credits/adjustments`: an operator's correction of a balance, booked on the account
//! `adjustment` with its reason. Durable before it is answered; a repeat of it books nothing.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use turnpike_ledger::{Adjust, Direction, LedgerError, PicoUsd, Posted, TransferId};

use super::AdminState;
use super::credits::{ShownBalance, id_of_reference};
use super::error::ApiError;
use super::extract::JsonBody;
use crate::clock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    amount_usd: PicoUsd,
    /// `credit`: to the organization; `debit`: from it, at most what is available.
    direction: String,
    /// Why, for whoever reads the entries later.
    reason: String,
    /// What it refers to, such as a request or a ticket. The same reference books once.
    reference: Option<String>,
    /// The caller's own id, a UUID; books once, whatever the reference.
    id: Option<String>,
}

fn read_direction(text: &str) -> Result<Direction, ApiError> {
    match text {
        "credit" => Ok(Direction::Credit),
        "debit" => Ok(Direction::Debit),
        _ => Err(ApiError::invalid("direction", "direction: it is \"credit\" or \"debit\"")),
    }
}

pub(super) async fn create(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    JsonBody(input): JsonBody<Input>,
) -> Result<Response, ApiError> {
    let Input { amount_usd: amount, direction, reason, reference, id } = input;
    if amount.is_zero() {
        return Err(ApiError::invalid("amount_usd", "the amount must be more than nothing"));
    }
    let direction = read_direction(&direction)?;
    if reason.trim().is_empty() {
        return Err(ApiError::invalid("reason", "say why; it is kept with the entry for ever"));
    }
    let reference = reference.unwrap_or_default();
    let id = match id {
        Some(text) => TransferId::parse(&text)
            .ok_or_else(|| ApiError::invalid("id", "an id is a UUID; leave it out to get one"))?,
        None if reference.is_empty() => TransferId(clock::new_id().into_bytes()),
        None => id_of_reference(["turnpike-adjustment", &org, "", &reference]),
    };
    state
        .changing(move |parts| {
            parts.store.org(&org)?;
            let at_ms = clock::now_ms();
            let (reference, reason) = (reference.as_str(), reason.as_str());
            let adjust = Adjust { id, org: &org, direction, amount, reference, reason, at_ms };
            let before = parts.ledger.balance(&org).available;
            let posted = parts.ledger.adjust(&adjust).map_err(|error| match error {
                LedgerError::IdReused(_) => ApiError::conflict(
                    "reference_reused",
                    "this id or reference was already booked with another amount, direction, \
                     reason or organization; use a new one if this is another correction",
                ),
                other => ApiError::from(other),
            })?;
            parts.ledger.wait_durable(posted.seq())?;
            let status = match posted {
                Posted::New { .. } => StatusCode::CREATED,
                Posted::Exists { .. } => StatusCode::OK,
            };
            let after = parts.ledger.balance(&org).available;
            let noted = json!({
                "id": id.to_string(), "amount_usd": amount, "direction": direction,
                "reason": reason, "reference": reference, "available_usd": after,
            });
            parts.store.note("credits", &org, json!({"available_usd": before}), noted);
            let body = json!({
                "id": id.to_string(),
                "seq": posted.seq(),
                "amount_usd": amount,
                "direction": direction,
                "reason": reason,
                "reference": reference,
                "balance": ShownBalance::from(parts.ledger.balance(&org)),
            });
            Ok((status, Json(body)).into_response())
        })
        .await
}
