//! `/offers`: what the gateway knows of each offer at this moment: how fast it is, how often it
//! answers, how many requests are on their way, and what its breakers allow. Reads memory only.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::AdminState;
use super::error::ApiError;
use super::text::{rfc3339, rfc3339_opt};
use crate::clock;
use crate::route::{Gate, Observed};

pub(super) async fn list(State(state): State<AdminState>) -> Result<Response, ApiError> {
    state
        .reading(|parts| {
            let (routing, now_ms) = (&parts.routing, clock::now_ms());
            let offers = routing.offers.offers().iter().enumerate();
            let items: Vec<Value> = offers
                .filter_map(|(index, offer)| {
                    let seen = routing.health.observed(index, now_ms)?;
                    Some(json!({
                        "offer": offer.id,
                        "model": offer.model,
                        "provider": offer.provider,
                        "region": offer.region,
                        "zero_retention": offer.zero_retention,
                        "live": live(&seen),
                    }))
                })
                .collect();
            Ok(Json(json!({"items": items, "next": null})).into_response())
        })
        .await
}

/// The live figures of one offer.
pub(super) fn live(seen: &Observed) -> Value {
    let bands: Vec<Value> = seen
        .bands
        .iter()
        .map(|band| {
            json!({
                "from_tokens": band.from_tokens,
                "first_token_ms": band.first_token_ms,
                "first_token_p50_ms": band.first_token_p50_ms,
                "first_token_p95_ms": band.first_token_p95_ms,
                "tokens_per_second": band.tokens_per_second,
            })
        })
        .collect();
    let credentials: Vec<Value> = seen
        .lanes
        .iter()
        .map(|lane| {
            let (state, until) = gate(lane.gate);
            json!({
                "weight": lane.weight,
                "state": state,
                "until": until,
                "failures_in_a_row": lane.failures_in_a_row,
                "limited": lane.limited,
                "requests_left": lane.left.map(|(left, _)| left),
                "requests_left_until": rfc3339_opt(lane.left.map(|(_, until_ms)| until_ms)),
            })
        })
        .collect();
    let (state, until) = gate(seen.gate);
    json!({
        "state": state,
        "until": until,
        "last_sample_at": rfc3339_opt((seen.sampled_ms > 0).then_some(seen.sampled_ms)),
        "availability": seen.now.availability,
        "in_flight": seen.now.in_flight,
        "concurrency": (seen.concurrency > 0).then_some(seen.concurrency),
        "first_token_ms": seen.now.first_token_ms,
        "first_token_p95_ms": seen.now.first_token_p95_ms,
        "tokens_per_second": seen.now.tokens_per_second,
        "by_prompt_size": bands,
        "credentials": credentials,
    })
}

/// A gate in a word, and until when it is shut.
fn gate(gate: Gate) -> (&'static str, Option<String>) {
    match gate {
        Gate::Closed => ("open_for_requests", None),
        Gate::HalfOpen => ("probing", None),
        Gate::Full { .. } => ("busy", None),
        Gate::Open { until_ms } => ("resting", Some(rfc3339(until_ms))),
    }
}
