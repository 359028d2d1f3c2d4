//! `/orgs/{org}/budgets`: budgets of an organization, a team, a project, a user, a key, a tag or a
//! model. Each is in the ledger before the next request sees it.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::json;
use turnpike_ledger::{Ledger, PicoUsd};

use super::error::ApiError;
use super::extract::{JsonBody, PageParams, Params, maybe, meant, or_default, required};
use super::publish::{publish_keys, set_scope_budget, stored_or_put_back, zone_of};
use super::text::{rfc3339, rfc3339_opt};
use super::warnings::{Warned, of_scope};
use super::{AdminParts, AdminState};
use crate::auth::{BudgetRef, ModelRules, period_of};
use crate::clock;
use crate::store::{BudgetMode, BudgetPeriod, BudgetRecord, ScopeBudget, SpendScope, Thresholds};

/// Budgets of one scope: the periods there are, and some that only count beside them.
const SCOPE_BUDGETS_MAX: usize = 4;
/// Budgets by model of one organization: each that fits is counted on by a request.
const MODEL_BUDGETS_MAX: usize = 32;
/// Budgets of one organization: all are read into memory with every change of a key.
const BUDGETS_MAX: usize = 10_000;
/// Bytes of a scope: a row's key, and a part of the ledger's names.
const SCOPE_BYTES_MAX: usize = 256;

/// The fields of a budget, also of a key's, that can be changed: absent keeps, null is the default,
/// and refused where there is none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    #[serde(default, deserialize_with = "maybe")]
    amount_usd: Option<Option<PicoUsd>>,
    #[serde(default, deserialize_with = "maybe")]
    period: Option<Option<String>>,
    #[serde(default, deserialize_with = "maybe")]
    mode: Option<Option<String>>,
    #[serde(default, deserialize_with = "maybe")]
    alerts: Option<Option<Vec<u16>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    scope: String,
    amount_usd: PicoUsd,
    period: String,
    mode: Option<String>,
    alerts: Option<Vec<u16>>,
}

/// What is spent and held of a budget in the window that is running.
#[derive(Serialize)]
pub(super) struct Counter {
    pub(super) spent_usd: PicoUsd,
    pub(super) held_usd: PicoUsd,
    pub(super) window_start: Option<String>,
    pub(super) window_end: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    scope: String,
    amount_usd: PicoUsd,
    period: &'static str,
    mode: BudgetMode,
    alerts: Vec<u16>,
    #[serde(flatten)]
    counter: Counter,
    created_at: String,
}

// === impl Counter ===

impl Counter {
    pub(super) fn of(budget: &BudgetRef, ledger: &Ledger) -> Self {
        let window = budget.window(clock::now_ms());
        let state = ledger.budget(&budget.id, window.start_ms);
        let (spent_usd, held_usd) =
            state.map_or((PicoUsd::ZERO, PicoUsd::ZERO), |state| (state.spent, state.held));
        Self {
            spent_usd,
            held_usd,
            window_start: window.end_ms.map(|_| rfc3339(window.start_ms)),
            window_end: rfc3339_opt(window.end_ms),
        }
    }
}

// === impl Shown ===

impl Shown {
    fn of(budget: &ScopeBudget, zone: TimeZone, ledger: &Ledger) -> Self {
        let scope = budget.scope.label();
        let known = BudgetRef::of_scope(&budget.id, &scope, period_of(budget.period), zone);
        Self {
            id: budget.id.clone(),
            scope,
            amount_usd: budget.amount_usd,
            period: budget.period.label(),
            mode: budget.mode,
            alerts: budget.alerts.iter().collect(),
            counter: Counter::of(&known, ledger),
            created_at: rfc3339(budget.created_at_ms),
        }
    }
}

// === impl Patch ===

impl Patch {
    /// What it comes to over a budget that there is, or over none. `place` is where the fields are
    /// in the caller's body: nothing, or a path that ends with a full stop.
    pub(super) fn over(
        self,
        place: &str,
        before: Option<BudgetRecord>,
    ) -> Result<BudgetRecord, ApiError> {
        let field = |name: &str| format!("{place}{name}");
        let period = meant(self.period, |it| read_period(&field("period"), &it))?;
        let period = required(&field("period"), period, before.map(|it| it.period))?;
        let amount = before.map(|it| it.amount);
        let amount = required(&field("amount_usd"), self.amount_usd, amount)?;
        let said = before.is_none() || self.mode.is_some() || self.alerts.is_some();
        let mode = meant(self.mode, |it| read_mode(&field("mode"), &it))?;
        let mode = or_default(mode, before.map(|it| it.mode).unwrap_or_default());
        let alerts = meant(self.alerts, |it| read_alerts(&field("alerts"), &it))?;
        let alerts = or_default(alerts, before.map(|it| it.alerts).unwrap_or_default());
        // One that was set before this was refused can still be changed otherwise.
        if said {
            check_reachable(&field("alerts"), mode, &alerts)?;
        }
        Ok(BudgetRecord { amount, period, mode, alerts })
    }
}

/// Reads a period; `field` is what the caller calls it.
fn read_period(field: &str, text: &str) -> Result<BudgetPeriod, ApiError> {
    BudgetPeriod::from_label(text)
        .ok_or_else(|| ApiError::invalid(field, "a period is hour, day, week, month or total"))
}

/// Reads a mode.
fn read_mode(field: &str, text: &str) -> Result<BudgetMode, ApiError> {
    match text {
        "hard" => Ok(BudgetMode::Hard),
        "alert" => Ok(BudgetMode::Alert),
        _ => Err(ApiError::invalid(field, "a budget's mode is \"hard\" or \"alert\"")),
    }
}

/// Reads the percentages at which alerts are raised.
fn read_alerts(field: &str, percentages: &[u16]) -> Result<Thresholds, ApiError> {
    Thresholds::of(percentages).ok_or_else(|| {
        let (most, highest) = (Thresholds::MAX, Thresholds::PERCENT_MAX);
        let message = format!("alerts are at most {most} percentages of 1 to {highest}");
        ApiError::invalid(field, message)
    })
}

/// Refuses alerts that could never be raised: a hard budget does not let spending go past it.
fn check_reachable(field: &str, mode: BudgetMode, alerts: &Thresholds) -> Result<(), ApiError> {
    let beyond = alerts.iter().find(|percent| *percent > 100);
    let (BudgetMode::Hard, Some(percent)) = (mode, beyond) else { return Ok(()) };
    let message = format!(
        "a hard budget refuses what goes past 100 %, so its alert at {percent} % could never be \
         raised; use 1 to 100, or \"mode\":\"alert\" for a budget that only counts"
    );
    Err(ApiError::invalid(field, message))
}

/// Reads a scope.
pub(super) fn read_scope(text: &str) -> Result<SpendScope, ApiError> {
    let message = "a scope is organization, team:NAME, project:NAME, user:NAME, key:ID, \
                   tag:NAME=VALUE or model:PATTERN";
    let printable = text.len() <= SCOPE_BYTES_MAX && !text.chars().any(char::is_control);
    let scope = SpendScope::from_label(text).filter(|_| printable);
    let scope = scope.ok_or_else(|| ApiError::invalid("scope", message))?;
    match &scope {
        SpendScope::Model(pattern) => {
            ModelRules::parse(&[pattern])
                .map_err(|error| ApiError::invalid("scope", error.to_string()))?;
        }
        // No request has such a tag.
        SpendScope::Tag(_, value) if value.is_empty() => {
            return Err(ApiError::invalid("scope", message));
        }
        _ => {}
    }
    Ok(scope)
}

pub(super) async fn create(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    JsonBody(input): JsonBody<Create>,
) -> Result<Response, ApiError> {
    let scope = read_scope(&input.scope)?;
    let budget = ScopeBudget {
        v: 0,
        id: clock::new_id().to_string(),
        org,
        scope,
        amount_usd: input.amount_usd,
        period: read_period("period", &input.period)?,
        mode: input.mode.map_or(Ok(BudgetMode::Hard), |mode| read_mode("mode", &mode))?,
        alerts: read_alerts("alerts", &input.alerts.unwrap_or_default())?,
        created_at_ms: clock::now_ms(),
    };
    check_reachable("alerts", budget.mode, &budget.alerts)?;
    state
        .changing(move |parts| {
            let zone = zone_of(&parts.store.org(&budget.org)?);
            if let SpendScope::Key(id) = &budget.scope {
                parts
                    .store
                    .key(&budget.org, id)
                    .map_err(|error| ApiError::invalid("scope", error.to_string()))?;
            }
            room_for(parts, &budget)?;
            // The ledger first: a budget that is shown must be in force.
            set_scope_budget(&parts.ledger, &budget, budget.created_at_ms)?;
            parts.store.put_budget(&budget)?;
            publish_keys(parts)?;
            let warnings = match &budget.scope {
                SpendScope::Model(pattern) => of_scope(pattern, &parts.routing.offers),
                _ => Vec::new(),
            };
            let made = Warned::new(Shown::of(&budget, zone, &parts.ledger), warnings);
            Ok((StatusCode::CREATED, Json(made)).into_response())
        })
        .await
}

/// Refuses more budgets than a request can count on.
fn room_for(parts: &AdminParts, budget: &ScopeBudget) -> Result<(), ApiError> {
    let all = parts.store.all_budgets(Some(&budget.org))?;
    let of_scope = all.iter().filter(|known| known.scope == budget.scope).count();
    let is_model = |scope: &SpendScope| matches!(scope, SpendScope::Model(_));
    let of_models = all.iter().filter(|known| is_model(&known.scope)).count();
    let full = if of_scope >= SCOPE_BUDGETS_MAX {
        format!("{} has {SCOPE_BUDGETS_MAX} budgets already", budget.scope)
    } else if is_model(&budget.scope) && of_models >= MODEL_BUDGETS_MAX {
        format!("there are {MODEL_BUDGETS_MAX} budgets by model already")
    } else if all.len() >= BUDGETS_MAX {
        format!("there are {BUDGETS_MAX} budgets already")
    } else {
        return Ok(());
    };
    Err(ApiError::conflict("too_many_budgets", format!("{full}; change or delete one")))
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    Params(page): Params<PageParams>,
) -> Result<Response, ApiError> {
    let limit = page.limit()?;
    state
        .reading(move |parts| {
            let zone = zone_of(&parts.store.org(&org)?);
            let page = parts.store.budgets(&org, page.after.as_deref(), limit)?;
            let next = page.items.last().filter(|_| page.more).map(|budget| budget.id.clone());
            let shown = |budget| Shown::of(budget, zone.clone(), &parts.ledger);
            let items: Vec<Shown> = page.items.iter().map(shown).collect();
            Ok(Json(json!({"items": items, "next": next})).into_response())
        })
        .await
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    state
        .reading(move |parts| {
            let zone = zone_of(&parts.store.org(&org)?);
            let budget = parts.store.budget(&org, &id)?;
            Ok(Json(Shown::of(&budget, zone, &parts.ledger)).into_response())
        })
        .await
}

pub(super) async fn patch(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
    JsonBody(input): JsonBody<Patch>,
) -> Result<Response, ApiError> {
    state
        .changing(move |parts| {
            let zone = zone_of(&parts.store.org(&org)?);
            let mut budget = parts.store.budget(&org, &id)?;
            let before = budget.clone();
            let ScopeBudget { amount_usd: amount, period, mode, alerts, .. } = budget;
            let given = input.over("", Some(BudgetRecord { amount, period, mode, alerts }))?;
            budget.amount_usd = given.amount;
            (budget.period, budget.mode, budget.alerts) = (given.period, given.mode, given.alerts);
            set_scope_budget(&parts.ledger, &budget, clock::now_ms())?;
            let put_back = || {
                set_scope_budget(&parts.ledger, &before, clock::now_ms()).map_err(ApiError::from)
            };
            stored_or_put_back(parts.store.put_budget(&budget), put_back)?;
            publish_keys(parts)?;
            Ok(Json(Shown::of(&budget, zone, &parts.ledger)).into_response())
        })
        .await
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    state
        .changing(move |parts| {
            parts.store.org(&org)?;
            parts.store.delete_budget(&org, &id)?;
            publish_keys(parts)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}
