//! `/orgs/{org}/credits`: the balance, top-ups and the journal's entries. A top-up is durable
//! before it is answered, and a repeat of it books nothing.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use turnpike_ledger::{Balance, Entry, Event, LedgerError, PicoUsd, Posted, TopUp, TransferId};

use super::AdminState;
use super::error::ApiError;
use super::extract::{JsonBody, PageParams, Params};
use super::text::{check_id, rfc3339};
use crate::clock;

/// The channel of a top-up that names none.
const MANUAL: &str = "manual";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopUpInput {
    amount_usd: PicoUsd,
    /// How the money came in; `manual` if absent.
    channel: Option<String>,
    /// The channel's own reference, such as an invoice number. The same reference of the same
    /// channel books once.
    reference: Option<String>,
    /// The caller's own id, a UUID; books once, whatever the reference.
    id: Option<String>,
}

#[derive(Serialize)]
pub(super) struct ShownBalance {
    available_usd: PicoUsd,
    held_usd: PicoUsd,
    spent_usd: PicoUsd,
}

impl From<Balance> for ShownBalance {
    fn from(balance: Balance) -> Self {
        Self { available_usd: balance.available, held_usd: balance.held, spent_usd: balance.spent }
    }
}

pub(super) async fn balance(
    State(state): State<AdminState>,
    Path(org): Path<String>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            parts.store.org_ever(&org)?;
            Ok(Json(ShownBalance::from(parts.ledger.balance(&org))).into_response())
        })
        .await
}

pub(super) async fn top_up(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    JsonBody(input): JsonBody<TopUpInput>,
) -> Result<Response, ApiError> {
    if input.amount_usd.is_zero() {
        return Err(ApiError::invalid("amount_usd", "the amount must be more than nothing"));
    }
    let channel = input.channel.unwrap_or_else(|| MANUAL.to_owned());
    check_id("channel", &channel)?;
    let reference = input.reference.unwrap_or_default();
    let id = match input.id {
        Some(text) => TransferId::parse(&text)
            .ok_or_else(|| ApiError::invalid("id", "an id is a UUID; leave it out to get one"))?,
        None if reference.is_empty() => TransferId(clock::new_id().into_bytes()),
        None => id_of_reference(["turnpike-top-up", &org, &channel, &reference]),
    };
    state
        .changing(move |parts| {
            parts.store.org(&org)?;
            let top_up = TopUp {
                id,
                org: &org,
                amount: input.amount_usd,
                channel: &channel,
                reference: &reference,
                at_ms: clock::now_ms(),
            };
            let before = parts.ledger.balance(&org).available;
            let posted = parts.ledger.top_up(&top_up).map_err(|error| match error {
                LedgerError::IdReused(_) => ApiError::conflict(
                    "reference_reused",
                    "this id or reference was already booked with another amount, channel or \
                     organization; use a new one if this is another payment",
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
                "id": id.to_string(), "amount_usd": input.amount_usd, "channel": channel,
                "reference": reference, "available_usd": after,
            });
            parts.store.note("credits", &org, json!({"available_usd": before}), noted);
            let body = json!({
                "id": id.to_string(),
                "seq": posted.seq(),
                "amount_usd": input.amount_usd,
                "channel": channel,
                "reference": reference,
                "balance": ShownBalance::from(parts.ledger.balance(&org)),
            });
            Ok((status, Json(body)).into_response())
        })
        .await
}

pub(super) async fn entries(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(page): Params<PageParams>,
) -> Result<Response, ApiError> {
    let (limit, after_seq) = (page.limit()?, after_seq(&page)?);
    state
        .reading(move |parts| {
            parts.store.org_ever(&org)?;
            let page = parts.ledger.entries(Some(&org), after_seq, limit)?;
            let items: Vec<serde_json::Value> = page.entries.iter().map(shown).collect();
            let next = page.next_after_seq.map(|seq| seq.to_string());
            Ok(Json(json!({"items": items, "next": next})).into_response())
        })
        .await
}

/// The entry after which a page begins.
pub(super) fn after_seq(page: &PageParams) -> Result<u64, ApiError> {
    let parsed = page.after.as_deref().map_or(Ok(0), str::parse);
    parsed.map_err(|_| ApiError::invalid("after", "use the \"next\" of the page before"))
}

/// One id per kind of posting, organization, channel and reference, so that a repeat is recognised.
/// The length in front of each part keeps different parts from reading alike.
pub(super) fn id_of_reference(parts: [&str; 4]) -> TransferId {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    for (place, byte) in id.iter_mut().zip(digest) {
        *place = byte;
    }
    TransferId(id)
}

/// An entry with its double-entry postings.
fn shown(entry: &Entry) -> serde_json::Value {
    let posting = |posting: &turnpike_ledger::Posting| {
        json!({
            "from": posting.from.to_string(),
            "to": posting.to.to_string(),
            "amount_usd": posting.amount,
        })
    };
    let (channel, reference, note, reason) = match &entry.event {
        Event::TopUp { channel, reference, .. } => (Some(channel), Some(reference), None, None),
        Event::Adjust { reference, reason, .. } => (None, Some(reference), None, Some(reason)),
        Event::Capture { note, .. } => (None, None, Some(note), None),
        _ => (None, None, None, None),
    };
    json!({
        "seq": entry.seq,
        "at": rfc3339(entry.at_ms),
        "kind": entry.label(),
        "transfer": entry.transfer().map(|id| id.to_string()),
        "postings": entry.postings().iter().map(posting).collect::<Vec<_>>(),
        "channel": channel,
        "reference": reference,
        "note": note,
        "reason": reason,
    })
}
