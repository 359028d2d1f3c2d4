//! `/plans`: what organizations may be on. Whoever is on a plan that changes has its new terms with
//! the next request.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use turnpike_ledger::PicoUsd;

use super::error::ApiError;
use super::extract::{JsonBody, PageParams, Params, maybe, or_default, required};
use super::publish::{publish_keys, set_plan_budgets, stored_or_put_back};
use super::text::{check_id, check_name, rfc3339};
use super::warnings::{Warned, of_models};
use super::{AdminParts, AdminState};
use crate::auth::ModelRules;
use crate::clock;
use crate::json::Object;
use crate::store::{Discount, InvoiceTerms, PlanRecord};

/// Plans of an installation.
const PLANS_MAX: usize = 1_000;
/// Steps of a discount.
const STEPS_MAX: usize = 32;
/// Hundredths of a percent in all.
const PERMYRIAD: u32 = 10_000;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    from_usd: PicoUsd,
    /// With up to two digits after the point: `"12.5"`.
    percent: String,
}

#[derive(Serialize)]
struct Terms {
    due_days: u32,
    note: String,
}

/// The fields of an invoice, in the way of the plan's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermsInput {
    #[serde(default, deserialize_with = "maybe")]
    due_days: Option<Option<u32>>,
    #[serde(default, deserialize_with = "maybe")]
    note: Option<Option<String>>,
}

/// The fields of a plan. In a POST, what is absent has its default; in a PATCH, it stays. Null is
/// the default in both, and refused where there is none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    #[serde(default, deserialize_with = "maybe")]
    id: Option<Option<String>>,
    #[serde(default, deserialize_with = "maybe")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "maybe")]
    models: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "maybe")]
    daily_allowance_usd: Option<Option<PicoUsd>>,
    #[serde(default, deserialize_with = "maybe")]
    daily_limit_usd: Option<Option<PicoUsd>>,
    #[serde(default, deserialize_with = "maybe")]
    discounts: Option<Option<Vec<Object<Step>>>>,
    #[serde(default, deserialize_with = "maybe")]
    invoice: Option<Option<Object<TermsInput>>>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    name: String,
    models: Vec<String>,
    daily_allowance_usd: Option<PicoUsd>,
    daily_limit_usd: Option<PicoUsd>,
    discounts: Vec<Step>,
    invoice: Option<Terms>,
    created_at: String,
}

impl From<PlanRecord> for Shown {
    fn from(plan: PlanRecord) -> Self {
        let step = |it: &Discount| Step { from_usd: it.from_usd, percent: percent(it.permyriad) };
        Self {
            id: plan.id,
            name: plan.name,
            models: plan.models,
            daily_allowance_usd: plan.daily_allowance_usd,
            daily_limit_usd: plan.daily_limit_usd,
            discounts: plan.discounts.iter().map(step).collect(),
            invoice: plan.invoice.map(|it| Terms { due_days: it.due_days, note: it.note }),
            created_at: rfc3339(plan.created_at_ms),
        }
    }
}

/// Hundredths of a percent as a percentage.
fn percent(permyriad: u32) -> String {
    match (permyriad / 100, permyriad % 100) {
        (whole, 0) => whole.to_string(),
        (whole, part) if part % 10 == 0 => format!("{whole}.{}", part / 10),
        (whole, part) => format!("{whole}.{part:02}"),
    }
}

/// Reads a percentage of at most 100 with up to two digits after the point, exactly.
fn permyriad(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || part.len() > 2 || !digits(whole) || !digits(part) {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let part: u32 = format!("{part:0<2}").parse().ok()?;
    let all = whole.checked_mul(100)?.checked_add(part)?;
    (all <= PERMYRIAD).then_some(all)
}

// === impl Input ===

impl Input {
    fn apply(self, plan: &mut PlanRecord) -> Result<(), ApiError> {
        if let Some(name) = self.name {
            plan.name = name.unwrap_or_else(|| plan.id.clone());
            check_name("name", &plan.name)?;
        }
        if let Some(models) = self.models {
            plan.models = models.unwrap_or_default();
            ModelRules::parse(&plan.models)?;
        }
        if let Some(allowance) = self.daily_allowance_usd {
            if allowance.is_some_and(|amount| amount.is_zero()) {
                let message = "an allowance is more than nothing; null is none";
                return Err(ApiError::invalid("daily_allowance_usd", message));
            }
            let follows = plan.daily_limit_usd == plan.daily_allowance_usd;
            plan.daily_allowance_usd = allowance;
            // Who is given something each day may spend that, unless the plan says otherwise.
            if self.daily_limit_usd.is_none() && follows {
                plan.daily_limit_usd = allowance;
            }
        }
        if let Some(limit) = self.daily_limit_usd {
            plan.daily_limit_usd = limit;
        }
        if let Some(steps) = self.discounts {
            plan.discounts = read_steps(&steps.unwrap_or_default())?;
        }
        if let Some(terms) = self.invoice {
            let before = plan.invoice.take();
            plan.invoice = terms.map(|Object(given)| given.over(before)).transpose()?;
        }
        Ok(())
    }
}

// === impl TermsInput ===

impl TermsInput {
    /// What they come to over those that the plan has.
    fn over(self, before: Option<InvoiceTerms>) -> Result<InvoiceTerms, ApiError> {
        let days = before.as_ref().map(|terms| terms.due_days);
        let due_days = required("invoice.due_days", self.due_days, days)?;
        let note = or_default(self.note, before.map(|terms| terms.note).unwrap_or_default());
        if !note.is_empty() {
            check_name("invoice.note", &note)?;
        }
        Ok(InvoiceTerms { due_days, note })
    }
}

fn read_steps(steps: &[Object<Step>]) -> Result<Vec<Discount>, ApiError> {
    if steps.len() > STEPS_MAX {
        let message = format!("a plan has at most {STEPS_MAX} discounts");
        return Err(ApiError::invalid("discounts", message));
    }
    let mut read = Vec::with_capacity(steps.len());
    for (at, Object(step)) in steps.iter().enumerate() {
        let permyriad = permyriad(&step.percent).ok_or_else(|| {
            let message = "a percentage is 0 to 100 with up to two digits after the point";
            ApiError::invalid(format!("discounts.{at}.percent"), message)
        })?;
        read.push(Discount { from_usd: step.from_usd, permyriad });
    }
    read.sort_by_key(|step| step.from_usd);
    Ok(read)
}

pub(super) async fn create(
    State(state): State<AdminState>,
    JsonBody(input): JsonBody<Input>,
) -> Result<Response, ApiError> {
    let Some(id) = input.id.clone().flatten() else {
        return Err(ApiError::invalid("id", "a plan needs an id, such as \"free\""));
    };
    check_id("id", &id)?;
    let mut plan = PlanRecord {
        v: 0,
        name: id.clone(),
        id,
        models: Vec::new(),
        daily_allowance_usd: None,
        daily_limit_usd: None,
        discounts: Vec::new(),
        invoice: None,
        created_at_ms: clock::now_ms(),
    };
    input.apply(&mut plan)?;
    state
        .changing(move |parts| {
            if parts.store.all_plans()?.len() >= PLANS_MAX {
                let message = format!("there are {PLANS_MAX} plans already; delete unused ones");
                return Err(ApiError::conflict("too_many_plans", message));
            }
            parts.store.create_plan(&plan)?;
            Ok((StatusCode::CREATED, Json(warned(parts, plan))).into_response())
        })
        .await
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Params(page): Params<PageParams>,
) -> Result<Response, ApiError> {
    let limit = page.limit()?;
    state
        .reading(move |parts| {
            let page = parts.store.plans(page.after.as_deref(), limit)?;
            let next = page.items.last().filter(|_| page.more).map(|plan| plan.id.clone());
            let items: Vec<Shown> = page.items.into_iter().map(Shown::from).collect();
            Ok(Json(json!({"items": items, "next": next})).into_response())
        })
        .await
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    state.reading(move |parts| Ok(Json(Shown::from(parts.store.plan(&id)?)).into_response())).await
}

pub(super) async fn patch(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    JsonBody(input): JsonBody<Input>,
) -> Result<Response, ApiError> {
    if input.id.is_some() {
        return Err(ApiError::invalid("id", "a plan's id can't be changed; make another plan"));
    }
    state
        .changing(move |parts| {
            let mut plan = parts.store.plan(&id)?;
            let before = plan.clone();
            input.apply(&mut plan)?;
            // One organization after the other: the first that the ledger refuses ends it.
            let stored = on_it(parts, &plan).and_then(|()| Ok(parts.store.update_plan(&plan)?));
            stored_or_put_back(stored, || on_it(parts, &before))?;
            publish_keys(parts)?;
            Ok(Json(warned(parts, plan)).into_response())
        })
        .await
}

fn warned(parts: &AdminParts, plan: PlanRecord) -> Warned<Shown> {
    let warnings = of_models(&plan.models, &parts.routing.offers, |_| None);
    Warned::new(Shown::from(plan), warnings)
}

/// Brings a plan's terms to the counters of everyone who is on it.
fn on_it(parts: &AdminParts, plan: &PlanRecord) -> Result<(), ApiError> {
    for org in parts.store.all_orgs()? {
        if org.plan.as_deref() == Some(&*plan.id) {
            set_plan_budgets(&parts.ledger, &org.id, plan, clock::now_ms())?;
        }
    }
    Ok(())
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    state
        .changing(move |parts| {
            parts.store.delete_plan(&id)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::{percent, permyriad};

    #[test]
    fn percentages_are_read_exactly_and_written_shortly() {
        for (text, value) in [("0", 0), ("10", 1_000), ("12.5", 1_250), ("99.99", 9_999)] {
            assert_eq!(permyriad(text), Some(value));
            assert_eq!(percent(value), text);
        }
        assert_eq!(permyriad("0.05").map(percent).as_deref(), Some("0.05"));
        for bad in ["", "-1", "100.01", "1.234", "ten", "1e1", ".5", "+5"] {
            assert_eq!(permyriad(bad), None, "{bad}");
        }
    }
}
