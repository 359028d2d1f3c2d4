//! `/orgs/{org}/credits/holds`: money set aside for requests under way, and the holds that nobody
//! settled in time, for who reconciles them. Only reads.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use turnpike_ledger::{Entry, Event, HoldRow, TransferId};

use super::AdminState;
use super::credits::after_seq;
use super::error::ApiError;
use super::extract::{PageParams, Params};
use super::text::rfc3339;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldParams {
    /// `open` if absent, or `expired`.
    state: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(params): Params<HoldParams>,
) -> Result<Response, ApiError> {
    let page = PageParams { limit: params.limit, after: params.after };
    let limit = page.limit()?;
    let expired = match params.state.as_deref() {
        None | Some("open") => false,
        Some("expired") => true,
        Some(_) => return Err(ApiError::invalid("state", "the state is open or expired")),
    };
    state
        .reading(move |parts| {
            parts.store.org_ever(&org)?;
            let (items, next): (Vec<Value>, _) = if expired {
                let page = parts.ledger.expired_holds(&org, after_seq(&page)?, limit)?;
                let next = page.next_after_seq.map(|seq| seq.to_string());
                (page.entries.iter().filter_map(expired_hold).collect(), next)
            } else {
                let after = page.after.as_deref().map(read_place).transpose()?;
                let holds = parts.ledger.open_holds_of(&org, after, limit);
                let last = holds.last().filter(|_| holds.len() >= limit);
                (holds.iter().map(open_hold).collect(), last.map(place))
            };
            Ok(Json(json!({"items": items, "next": next})).into_response())
        })
        .await
}

/// Where an open hold is in the order of the list.
fn place(hold: &HoldRow) -> String {
    format!("{}.{}", hold.expires_at_ms, hold.id)
}

fn read_place(text: &str) -> Result<(u64, TransferId), ApiError> {
    let read = || {
        let (expires_at_ms, id) = text.split_once('.')?;
        Some((expires_at_ms.parse().ok()?, TransferId::parse(id)?))
    };
    read().ok_or_else(|| ApiError::invalid("after", "use the \"next\" of the page before"))
}

fn open_hold(hold: &HoldRow) -> Value {
    let budgets = hold.budgets.iter().map(|at| json!({"id": at.budget, "window": at.window}));
    json!({
        "id": hold.id.to_string(),
        "state": "open",
        "amount_usd": hold.amount,
        "reserved_usd": hold.reserved,
        "at": rfc3339(hold.at_ms),
        "expires_at": rfc3339(hold.expires_at_ms),
        "budgets": budgets.collect::<Vec<Value>>(),
        "seq": hold.seq,
    })
}

fn expired_hold(entry: &Entry) -> Option<Value> {
    let Event::Expire { hold, returned, .. } = &entry.event else { return None };
    Some(json!({
        "id": hold.to_string(),
        "state": "expired",
        "amount_usd": returned,
        "expired_at": rfc3339(entry.at_ms),
        "seq": entry.seq,
    }))
}
