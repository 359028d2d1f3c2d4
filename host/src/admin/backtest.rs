//! `/orgs/{org}/plugins/{name}/{version}/backtest`: what a route or bill policy would have decided
//! about the requests of the last days. Bounds what is asked and how much of it runs at a time;
//! the replay itself is the gateway's. Changes nothing: no ledger, no binding, no record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use turnpike_ledger::PicoUsd;
use uuid::Uuid;

use super::error::ApiError;
use super::extract::JsonBody;
use super::text::{rfc3339, rfc3339_opt};
use super::{AdminParts, AdminState, BindingRefused, bindings};
use crate::clock;
use crate::store::Hook;

/// Days that are looked back when nobody says how many, and at most.
const DAYS: u32 = 7;
const DAYS_MAX: u32 = 90;
/// Requests that are replayed when nobody says how many, and at most.
const REQUESTS: u32 = 1_000;
const REQUESTS_MAX: u32 = 10_000;
/// Replays that run at the same time, of all organizations: each keeps a thread busy.
const REPLAYS_MAX: usize = 2;
const DAY_MS: u64 = 86_400_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    days: Option<u32>,
    limit: Option<u32>,
    /// `route` or `bill`, for a policy that decides both.
    hook: Option<String>,
    config: Option<Box<RawValue>>,
}

/// What is to be replayed.
#[derive(Debug, Clone)]
pub struct BacktestOf {
    /// Whose requests.
    pub org: String,
    /// The policy's name and digest.
    pub plugin: String,
    /// SHA-256 of the component, in lowercase hex.
    pub digest: String,
    /// `Route` or `Bill`.
    pub hook: Hook,
    /// JSON for `configure`.
    pub config: Option<String>,
    /// Requests since then, in milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// At most so many, the newest.
    pub limit: u32,
}

/// What a replay came to. Amounts are pico-US-dollars.
#[derive(Debug, Clone, Default)]
pub struct BacktestReport {
    /// Requests by what became of them.
    pub counts: Counts,
    /// Calls without a verdict, by kind; abstaining is among them.
    pub failures: BTreeMap<&'static str, u64>,
    /// What the replayed requests were expected to cost, or did.
    pub current_pico: u128,
    /// What they would.
    pub tried_pico: u128,
    /// Milliseconds to the first token, added up over what has one in both decisions; route only.
    pub current_first_token_ms: f64,
    /// The same of the tried decisions.
    pub tried_first_token_ms: f64,
    /// Those that differ, newest first.
    pub examples: Vec<Example>,
    /// The oldest request that was looked at.
    pub oldest_ms: Option<u64>,
    /// Why it ended before all were looked at; none if it did not.
    pub ended_early: Option<&'static str>,
}

/// Requests by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Looked at.
    pub requests: u64,
    /// Decided again.
    pub replayed: u64,
    /// Of those, the ones that were decided otherwise.
    pub changed: u64,
    /// Of those, the ones for which no offer was left.
    pub refused: u64,
    /// Not replayed, because too little is kept of them: no task, no charge, an offer that is gone.
    pub left_out: u64,
}

/// A request that would have been decided otherwise, in labels and numbers.
#[derive(Debug, Clone)]
pub struct Example {
    /// The request.
    pub request: Uuid,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What was decided.
    pub current: String,
    /// What would have been.
    pub tried: String,
    /// What it was expected to cost, or did.
    pub current_pico: u128,
    /// What it would.
    pub tried_pico: u128,
}

/// Replays requests. Runs off the async threads, on one that may block.
pub trait Backtest: Send + Sync {
    /// Asks a policy about requests of the past, from what is kept of them.
    fn run(&self, what: &BacktestOf) -> Result<BacktestReport, BindingRefused>;
}

/// Organizations whose requests are being replayed.
#[derive(Debug, Clone, Default)]
pub(super) struct Replaying(Arc<Mutex<BTreeSet<String>>>);

/// A replay's turn; over when dropped.
struct Turn(Replaying, String);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}

impl Replaying {
    fn turn(&self, org: &str) -> Result<Turn, ApiError> {
        let mut running = self.0.lock();
        if running.contains(org) {
            let message = format!("a backtest of {org:?} is running; try again when it has ended");
            return Err(ApiError::conflict("backtest_running", message));
        }
        if running.len() >= REPLAYS_MAX {
            let message = format!("{REPLAYS_MAX} backtests are running; try again in a minute");
            return Err(ApiError::unavailable("backtests_busy", message));
        }
        running.insert(org.to_owned());
        Ok(Turn(self.clone(), org.to_owned()))
    }
}

pub(super) async fn run(
    State(state): State<AdminState>,
    Path((org, name, version)): Path<(String, String, String)>,
    JsonBody(input): JsonBody<Input>,
) -> Result<Response, ApiError> {
    let days = within("days", input.days.unwrap_or(DAYS), DAYS_MAX)?;
    let limit = within("limit", input.limit.unwrap_or(REQUESTS), REQUESTS_MAX)?;
    let replaying = state.replaying.clone();
    state
        .reading(move |parts| {
            parts.store.org(&org)?;
            let (digest, interfaces) = policy(parts, &org, &name, &version)?;
            let hook = hook(input.hook.as_deref(), &interfaces)?;
            let now_ms = clock::now_ms();
            let what = BacktestOf {
                plugin: format!("{name}@{version}"),
                digest,
                hook,
                config: input.config.map(|config| config.get().to_owned()),
                from_ms: now_ms.saturating_sub(DAY_MS.saturating_mul(u64::from(days))),
                limit,
                org,
            };
            let _turn = replaying.turn(&what.org)?;
            let report = parts.backtests.run(&what).map_err(bindings::refused)?;
            Ok(Json(shown(&what, &report)).into_response())
        })
        .await
}

fn within(field: &'static str, number: u32, most: u32) -> Result<u32, ApiError> {
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(ApiError::invalid(field, format!("{field} is 1 to {most}")))
}

/// Digest and decisions of an upload, or of a built-in of that version.
fn policy(
    parts: &AdminParts,
    org: &str,
    name: &str,
    version: &str,
) -> Result<(String, Vec<String>), ApiError> {
    let missing = match parts.store.plugin(org, name, version) {
        Ok(plugin) => return Ok((plugin.digest, plugin.interfaces)),
        Err(missing) => missing,
    };
    match parts.admission.builtin(name).filter(|own| own.version == version) {
        Some(own) => Ok((own.digest, own.interfaces)),
        None => Err(missing.into()),
    }
}

fn hook(asked: Option<&str>, interfaces: &[String]) -> Result<Hook, ApiError> {
    let served = [Hook::Route, Hook::Bill].into_iter();
    let mut served = served.filter(|hook| interfaces.iter().any(|it| it == hook.label()));
    let asked = match asked {
        None => None,
        Some(label) => match Hook::from_label(label) {
            Some(hook @ (Hook::Route | Hook::Bill)) => Some(hook),
            _ => {
                let message = "route and bill are decided from facts that are kept; texts are not";
                return Err(ApiError::invalid("hook", message));
            }
        },
    };
    let found = match (asked, served.next(), served.next()) {
        (Some(asked), one, other) => [one, other].into_iter().flatten().find(|it| *it == asked),
        (None, Some(_), Some(_)) => {
            let message = "the policy decides both: say \"route\" or \"bill\"";
            return Err(ApiError::invalid("hook", message));
        }
        (None, one, _) => one,
    };
    found.ok_or_else(|| {
        let message = format!(
            "a route or bill policy can be replayed; this one serves: {}",
            interfaces.join(", ")
        );
        ApiError::invalid("hook", message)
    })
}

fn shown(what: &BacktestOf, report: &BacktestReport) -> Value {
    let usd = |pico: u128| PicoUsd(pico).to_string();
    let Counts { requests, replayed, changed, refused, left_out } = report.counts;
    let compared = u32::try_from(replayed.saturating_sub(refused)).unwrap_or(u32::MAX);
    let mean = |sum: f64| (compared > 0).then(|| sum / f64::from(compared));
    let first_token = (what.hook == Hook::Route).then(|| {
        let (current, tried) = (report.current_first_token_ms, report.tried_first_token_ms);
        json!({"current_ms": mean(current), "tried_ms": mean(tried),
            "difference_ms": mean(tried - current)})
    });
    let examples: Vec<Value> = report
        .examples
        .iter()
        .map(|one| {
            json!({"request": one.request, "at": rfc3339(one.at_ms), "current": one.current,
                "tried": one.tried, "cost_current_usd": usd(one.current_pico),
                "cost_tried_usd": usd(one.tried_pico)})
        })
        .collect();
    let difference = bindings::difference(report.current_pico, report.tried_pico);
    json!({
        "plugin": what.plugin, "digest": what.digest, "hook": what.hook.label(),
        "from": rfc3339(what.from_ms), "oldest": rfc3339_opt(report.oldest_ms),
        "requests": requests, "replayed": replayed, "changed": changed, "refused": refused,
        "left_out": left_out, "failures": report.failures,
        "cost_current_usd": usd(report.current_pico), "cost_tried_usd": usd(report.tried_pico),
        "cost_difference_usd": difference,
        "first_token": first_token,
        "ended_early": report.ended_early,
        "examples": examples,
    })
}

#[cfg(test)]
mod tests {
    use super::Replaying;

    #[test]
    fn an_organization_has_one_turn_and_all_have_two() {
        let replaying = Replaying::default();
        let turn = |org: &str| replaying.turn(org);
        let (one, other) = (turn("one").unwrap(), turn("other").unwrap());
        for org in ["one", "third"] {
            assert!(turn(org).is_err(), "{org}");
        }
        drop(one);
        assert!(turn("other").is_err());
        drop((turn("third").unwrap(), other));
        assert!(turn("other").is_ok());
    }
}
