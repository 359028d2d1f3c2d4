//! What is shown of a plan: every figure that went into it, so that it can be made again by hand.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Serialize;
use turnpike_ledger::PicoUsd;

use crate::error::Refusal;
use crate::route::{Candidate, Rejection};
use crate::usage::{ExpectedFact, FiguresFact, ObjectiveFact};

use super::super::explain;
use super::super::flight::Flight;

/// The best rows by score for which the route policy is asked for its reasons: each is a call of a
/// guest, and what stands behind so many others has its figures to explain it.
const REASONS_MAX: usize = 64;

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    model_asked: &'a str,
    dialect: &'static str,
    input_tokens: u32,
    task: Task<'a>,
    objective: Option<ObjectiveFact>,
    /// What the expected costs are made of.
    expected: Option<ExpectedFact>,
    /// In the order in which they would be tried.
    plan: Vec<&'a str>,
    expected_cost_usd: Option<PicoUsd>,
    /// What would be held: the dearest of the plan.
    worst_case_cost_usd: Option<PicoUsd>,
    /// The output limit that the money allows the first of the plan, where it is lower than asked.
    clamped: Option<u32>,
    second_best: Option<SecondBest<'a>>,
    refused: Option<Refused<'a>>,
    candidates: Vec<Shortlisted<'a>>,
    policies: Vec<Asked<'a>>,
    took_us: u32,
}

#[derive(Serialize)]
struct Task<'a> {
    task: &'a str,
    difficulty: f64,
    confidence: f64,
    needs: &'a [String],
    decided_by: Option<&'a str>,
}

#[derive(Serialize)]
struct SecondBest<'a> {
    offer: &'a str,
    expected_cost_usd: PicoUsd,
    /// More than the best; negative where it is cheaper.
    difference_usd: String,
}

#[derive(Serialize)]
struct Refused<'a> {
    status: u16,
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct Shortlisted<'a> {
    offer: &'a str,
    score: Option<f64>,
    quality: Option<f64>,
    expected_cost_usd: Option<PicoUsd>,
    /// With as long an answer as it would be asked for.
    worst_case_cost_usd: Option<PicoUsd>,
    first_token_ms: Option<f64>,
    figures: Option<FiguresFact>,
    /// Why it stands where it stands, in the route policy's words.
    reason: Option<&'a str>,
    rejected: Option<String>,
    reason_code: Option<&'static str>,
}

#[derive(Serialize)]
struct Asked<'a> {
    hook: &'static str,
    policy: &'a str,
    /// Of its configuration, as in a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<&'a str>,
    micros: u32,
    failure: Option<&'static str>,
}

/// The route policy's reasons, by row of the candidates. The policy knows a row by its place among
/// those that it scored, which those keep that turned out too dear for the money since.
pub(super) async fn reasons(flight: &mut Flight) -> HashMap<usize, String> {
    let scored = flight.candidates.iter().enumerate();
    let scored = scored.filter(|(_, candidate)| was_scored(candidate));
    let mut scored: Vec<(u32, usize, f64)> = (0..)
        .zip(scored)
        .map(|(place, (row, one))| (place, row, one.score.unwrap_or(f64::MIN)))
        .collect();
    scored.sort_by(|(_, _, a), (_, _, b)| b.total_cmp(a));
    scored.truncate(REASONS_MAX);
    let places: Vec<u32> = scored.iter().map(|(place, _, _)| *place).collect();
    let told = flight.session.reasons(&places).await.unwrap_or_default();
    let rows = scored.into_iter().map(|(_, row, _)| row);
    rows.zip(told).filter(|(_, reason)| !reason.is_empty()).collect()
}

/// Whether the route policy was asked about it, whatever has become of it.
fn was_scored(candidate: &Candidate) -> bool {
    candidate.score.is_some() || candidate.rejection == Some(Rejection::Policy)
}

/// The whole answer.
pub(super) fn whole(
    flight: &Flight,
    held: &Result<PicoUsd, Box<Refusal>>,
    worst: &[Option<PicoUsd>],
    reasons: &HashMap<usize, String>,
) -> Result<Bytes, Box<Refusal>> {
    let name = |row: &usize| flight.offer_of(*row).map(|offer| &*offer.id);
    let cost = |row: usize| {
        flight.candidates.get(row)?.figures.as_ref().map(|figures| figures.expected_cost)
    };
    let best = flight.plan.first().and_then(|row| cost(*row));
    let first = flight.plan.first().and_then(|row| flight.offer_of(*row));
    let second = second_best(flight).and_then(|row| {
        let (offer, expected) = (name(&row)?, cost(row)?);
        let difference_usd = difference(expected, best?);
        Some(SecondBest { offer, expected_cost_usd: expected, difference_usd })
    });
    let shown = Shown {
        id: &flight.id_text,
        model_asked: &flight.call.model,
        dialect: flight.call.dialect.label(),
        input_tokens: flight.input_tokens,
        task: Task {
            task: &flight.task.task,
            difficulty: flight.task.difficulty,
            confidence: flight.task.confidence,
            needs: &flight.task.needs,
            decided_by: flight.classified_by.as_ref().map(|by| &*by.label),
        },
        objective: explain::objective(flight),
        expected: explain::expected(flight),
        plan: flight.plan.iter().filter_map(name).collect(),
        expected_cost_usd: best,
        worst_case_cost_usd: held.as_ref().ok().copied(),
        clamped: first.and_then(|offer| flight.clamp_of(offer)),
        second_best: second,
        refused: held.as_ref().err().map(|refusal| Refused {
            status: refusal.status.as_u16(),
            code: refusal.code,
            message: &refusal.message,
        }),
        candidates: candidates(flight, worst, reasons),
        policies: policies(flight),
        took_us: flight.started.watch.micros(),
    };
    let text = serde_json::to_vec(&shown).map_err(|cause| {
        tracing::error!(%cause, "a plan can't be written");
        Box::new(Refusal::internal())
    })?;
    Ok(text.into())
}

/// The best row by score after the first of the plan.
fn second_best(flight: &Flight) -> Option<usize> {
    let first = flight.plan.first()?;
    let scored = flight.candidates.iter().enumerate();
    let scored = scored.filter(|(row, candidate)| row != first && candidate.rejection.is_none());
    let scored = scored.filter_map(|(row, candidate)| Some((row, candidate.score?)));
    scored.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(row, _)| row)
}

fn difference(amount: PicoUsd, than: PicoUsd) -> String {
    if amount >= than {
        return amount.saturating_sub(than).to_string();
    }
    format!("-{}", than.saturating_sub(amount))
}

fn candidates<'a>(
    flight: &'a Flight,
    worst: &[Option<PicoUsd>],
    reasons: &'a HashMap<usize, String>,
) -> Vec<Shortlisted<'a>> {
    let rows = flight.candidates.iter().enumerate();
    rows.filter_map(|(row, candidate)| {
        let figures = candidate.figures.as_ref();
        Some(Shortlisted {
            offer: &flight.offer(candidate)?.id,
            score: candidate.score.map(rounded),
            quality: figures.map(|it| rounded(it.quality)),
            expected_cost_usd: figures.map(|it| it.expected_cost),
            worst_case_cost_usd: worst.get(row).copied().flatten(),
            first_token_ms: figures.map(|it| it.first_token_ms),
            figures: figures.map(explain::scored_by),
            reason: reasons.get(&row).map(String::as_str),
            rejected: candidate.rejection.as_ref().map(|it| it.text().into_owned()),
            reason_code: candidate.rejection.as_ref().map(|it| it.code()),
        })
    })
    .collect()
}

/// Without the digits that only show how sums are made in binary.
fn rounded(figure: f64) -> f64 {
    (figure * 1e12).round() / 1e12
}

fn policies(flight: &Flight) -> Vec<Asked<'_>> {
    let trace = flight.session.trace().iter();
    trace
        .map(|record| Asked {
            hook: record.hook.label(),
            policy: &record.policy.label,
            config: record.policy.config.as_deref(),
            micros: record.micros,
            failure: record.failure.as_ref().map(|failure| failure.kind.label()),
        })
        .collect()
}
