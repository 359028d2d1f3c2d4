//! `/offers` and `/models/{id}`: what the gateway knows of each offer at this moment: how fast it
//! is, how often it answers, how many requests are on their way, and what its breakers allow. Reads
//! memory only.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::ApiError;
use super::extract::{PageParams, Params};
use super::text::{rfc3339, rfc3339_opt};
use super::{AdminState, Routing};
use crate::catalog::{Offer, TASKS, TaskDemands};
use crate::clock::{self, wall_ms};
use crate::route::{CORRECTION_MAX, Gate, Observed};

/// All of them, or a page where a limit is given. `after` is an offer's id: they are in its order.
pub(super) async fn list(
    State(state): State<AdminState>,
    Params(page): Params<PageParams>,
) -> Result<Response, ApiError> {
    let limit = page.limit.map(|_| page.limit()).transpose()?.unwrap_or(usize::MAX);
    state
        .reading(move |parts| {
            let (routing, now_ms) = (&parts.routing, clock::steady_ms());
            let offers = routing.offers.offers().iter().enumerate();
            let behind = |id: &str| page.after.as_deref().is_none_or(|after| id > after);
            let mut offers = offers.filter(|(_, offer)| behind(&offer.id));
            let shown: Vec<_> = offers.by_ref().take(limit).collect();
            let more = offers.next().is_some();
            let next = shown.last().filter(|_| more).map(|(_, offer)| Arc::clone(&offer.id));
            let items: Vec<Value> = shown
                .into_iter()
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
            Ok(Json(json!({"items": items, "next": next})).into_response())
        })
        .await
}

/// `/models/{id}`: one model, by its catalogue id: who sells it, its quality, and what ratings say
/// of it.
pub(super) async fn model(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    state.reading(move |parts| page(&parts.routing, &id)).await
}

fn page(routing: &Routing, id: &str) -> Result<Response, ApiError> {
    let now_ms = clock::steady_ms();
    let sold = routing.offers.offers().iter().enumerate();
    let sold: Vec<(usize, &Arc<Offer>)> = sold.filter(|(_, offer)| *offer.model == *id).collect();
    let Some((_, first)) = sold.first() else {
        return Err(ApiError::not_found(format!("no configured provider has the model {id:?}")));
    };
    let offers = sold.iter().map(|(index, offer)| {
        let seen = routing.health.observed(*index, now_ms);
        json!({
            "offer": offer.id,
            "provider": offer.provider,
            "region": offer.region,
            "zero_retention": offer.zero_retention,
            "deprecated": offer.deprecated,
            "live": seen.as_ref().map(live),
        })
    });
    let ratings = routing.rated.of_model(id).into_iter().map(|(org, task, ratings)| {
        json!({
            "org": org,
            "task": task,
            "ratings": ratings.weight,
            "mean": ratings.mean,
            "correction": ratings.correction(),
        })
    });
    Ok(Json(json!({
        "model": first.model,
        "vendor": first.vendor,
        "name": first.display_name,
        "context_tokens": first.context_tokens,
        "output_tokens": first.output_tokens,
        "quality": quality(first),
        "ratings": ratings.collect::<Vec<_>>(),
        "correction_max": CORRECTION_MAX,
        "offers": offers.collect::<Vec<_>>(),
    }))
    .into_response())
}

/// What is believed of a model at each task before anyone has rated it.
fn quality(offer: &Offer) -> Value {
    let priors = TASKS.into_iter().map(|task| {
        let prior = offer.quality.prior(&TaskDemands::of(task));
        (task.to_owned(), json!({"value": prior.value, "source": prior.source.label()}))
    });
    Value::Object(priors.collect())
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
            let left_until = lane.left.map(|(_, until_ms)| wall_ms(until_ms));
            json!({
                "weight": lane.weight,
                "state": state,
                "until": until,
                "failures_in_a_row": lane.failures_in_a_row,
                "limited": lane.limited,
                "requests_left": lane.left.map(|(left, _)| left),
                "requests_left_until": rfc3339_opt(left_until),
            })
        })
        .collect();
    let (state, until) = gate(seen.gate);
    json!({
        "state": state,
        "until": until,
        "last_sample_at": rfc3339_opt((seen.sampled_ms > 0).then(|| wall_ms(seen.sampled_ms))),
        "availability": seen.now.availability,
        "in_flight": seen.now.in_flight,
        "concurrency": (seen.concurrency > 0).then_some(seen.concurrency),
        "first_token_ms": seen.now.first_token_ms,
        "first_token_p95_ms": seen.now.first_token_p95_ms,
        "tokens_per_second": seen.now.tokens_per_second,
        "whole_answer_ms": seen.whole_answer_ms,
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
        Gate::Open { until_ms } => ("resting", Some(rfc3339(wall_ms(until_ms)))),
    }
}
