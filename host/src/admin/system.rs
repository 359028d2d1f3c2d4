//! `/system`: what is running, how the journal is doing, and which limits hold.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::AdminState;
use super::error::ApiError;
use super::text::rfc3339;

pub(super) async fn get(State(state): State<AdminState>) -> Result<Response, ApiError> {
    state
        .reading(|parts| {
            let journal = parts.ledger.health();
            let numbers = parts.numbers.numbers().into_iter();
            let numbers: serde_json::Map<String, Value> =
                numbers.map(|(name, value)| (name.to_owned(), json!(value))).collect();
            Ok(Json(json!({
                "version": env!("CARGO_PKG_VERSION"),
                "started_at": rfc3339(parts.started_at_ms),
                "keys": parts.directory.load().len(),
                "journal": {
                    "last_seq": journal.last_seq,
                    "durable_seq": journal.durable_seq,
                    "open_holds": journal.open_holds,
                    "failed": journal.failed,
                    "full": journal.full,
                    "view_error": journal.view_error,
                },
                "usage": {"records_dropped": parts.usage.dropped()},
                "limits": {
                    "json_body_bytes": super::extract::JSON_BODY_BYTES_MAX,
                    "component_bytes": parts.bounds.component_bytes,
                    "plugins_per_org": parts.bounds.components_per_org,
                    "plugins": parts.bounds.components,
                    "keys": super::keys::KEYS_MAX,
                    "deadline_ms": parts.bounds.deadline_ms,
                },
                "numbers": numbers,
            }))
            .into_response())
        })
        .await
}
