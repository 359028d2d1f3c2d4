//! `/orgs/{org}/keys`: API keys. The clear text is in the answer that made it, to a POST, and
//! nowhere else, ever.

mod rotation;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::tz::TimeZone;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;
use turnpike_ledger::{Ledger, PicoUsd};

use super::budgets::{self, Counter};
use super::error::ApiError;
use super::extract::{JsonBody, PageParams, Params, maybe, or_default, required};
use super::limits::{LimitsPatch, check};
use super::publish::{key_budget, publish_keys, set_budget, stored_or_put_back, zone_of};
use super::text::{check_name, parse_time, rfc3339, rfc3339_opt};
use super::warnings::{Warned, Warning, of_models};
use super::{AdminParts, AdminState};
use crate::auth::{Clearance, KeyText, ModelRules};
use crate::clock;
use crate::json::Object;
pub(super) use rotation::rotate;

use crate::store::{ApiKey, BudgetMode, BudgetRecord, RateLimits};

/// Keys of an installation: all are in memory, about 500 bytes each, and every change of a key
/// makes the directory anew.
pub(super) const KEYS_MAX: usize = 200_000;

/// The fields of a key. In a POST, what is absent has its default; in a PATCH, it stays. Null is
/// the default in both, and refused where there is none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    #[serde(default, deserialize_with = "maybe")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "maybe")]
    team: Option<Option<String>>,
    #[serde(default, deserialize_with = "maybe")]
    project: Option<Option<String>>,
    #[serde(default, deserialize_with = "maybe")]
    user: Option<Option<String>>,
    #[serde(default, deserialize_with = "maybe")]
    models: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "maybe")]
    clearance: Option<Option<String>>,
    #[serde(default, deserialize_with = "maybe")]
    budget: Option<Option<Object<budgets::Patch>>>,
    #[serde(default, deserialize_with = "maybe")]
    limits: Option<Option<Object<LimitsPatch>>>,
    #[serde(default, deserialize_with = "maybe")]
    disabled: Option<Option<bool>>,
    #[serde(default, deserialize_with = "maybe")]
    expires_at: Option<Option<String>>,
    /// Only null, which ends the grace of the secret before the present one.
    #[serde(default, deserialize_with = "maybe")]
    previous: Option<Option<IgnoredAny>>,
}

#[derive(Serialize)]
struct ShownBudget {
    amount_usd: PicoUsd,
    period: &'static str,
    mode: BudgetMode,
    alerts: Vec<u16>,
    #[serde(flatten)]
    counter: Counter,
}

/// A secret that a rotation took the place of, and that still works.
#[derive(Serialize)]
struct Previous {
    prefix: String,
    works_until: String,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    org: String,
    prefix: String,
    previous: Option<Previous>,
    name: String,
    team: Option<String>,
    project: Option<String>,
    user: Option<String>,
    models: Vec<String>,
    clearance: String,
    budget: Option<ShownBudget>,
    limits: RateLimits,
    disabled: bool,
    expires_at: Option<String>,
    created_at: String,
    rotated_at: Option<String>,
}

// === impl Shown ===

impl Shown {
    fn of(key: ApiKey, zone: &TimeZone, ledger: &Ledger) -> Self {
        let shown = |budget| ShownBudget::of(&key.id, budget, zone, ledger);
        let previous = key.still_working(clock::now_ms()).map(|former| Previous {
            prefix: former.prefix.clone(),
            works_until: rfc3339(former.until_ms),
        });
        Self {
            previous,
            budget: key.budget.map(shown),
            limits: key.limits,
            id: key.id,
            org: key.org,
            prefix: key.prefix,
            name: key.name,
            team: key.team,
            project: key.project,
            user: key.user,
            models: key.models,
            clearance: key.clearance,
            disabled: key.disabled,
            expires_at: rfc3339_opt(key.expires_at_ms),
            created_at: rfc3339(key.created_at_ms),
            rotated_at: rfc3339_opt(key.rotated_at_ms),
        }
    }
}

impl ShownBudget {
    fn of(key_id: &str, budget: BudgetRecord, zone: &TimeZone, ledger: &Ledger) -> Self {
        let known = key_budget(key_id, budget.period, zone.clone());
        Self {
            amount_usd: budget.amount,
            period: budget.period.label(),
            mode: budget.mode,
            alerts: budget.alerts.iter().collect(),
            counter: Counter::of(&known, ledger),
        }
    }
}

// === impl Input ===

impl Input {
    /// Writes what is given over the key's fields.
    fn apply(self, key: &mut ApiKey) -> Result<(), ApiError> {
        if self.name.is_some() {
            key.name = required("name", self.name, Some(std::mem::take(&mut key.name)))?;
            check_name("name", &key.name)?;
        }
        let labels = [
            ("team", self.team, &mut key.team),
            ("project", self.project, &mut key.project),
            ("user", self.user, &mut key.user),
        ];
        for (field, given, place) in labels {
            let Some(given) = given else { continue };
            if let Some(label) = &given {
                check_name(field, label)?;
            }
            *place = given;
        }
        if let Some(models) = self.models {
            key.models = models.unwrap_or_default();
            ModelRules::parse(&key.models)?;
        }
        if let Some(clearance) = self.clearance {
            let clearance = clearance.unwrap_or_else(|| Clearance::Internal.label().to_owned());
            if Clearance::from_label(&clearance).is_none() {
                let message = "clearance is public, internal, confidential or restricted";
                return Err(ApiError::invalid("clearance", message));
            }
            key.clearance = clearance;
        }
        if let Some(budget) = self.budget {
            let before = key.budget;
            key.budget = budget.map(|Object(given)| given.over("budget.", before)).transpose()?;
        }
        if let Some(limits) = self.limits {
            let before = key.limits;
            key.limits = limits.map_or_else(RateLimits::default, |Object(it)| it.over(before));
            check("limits", &key.limits)?;
        }
        key.disabled = or_default(self.disabled, key.disabled);
        if let Some(expires_at) = self.expires_at {
            let read = |text: String| parse_time("expires_at", &text);
            key.expires_at_ms = expires_at.map(read).transpose()?;
        }
        match self.previous {
            None => {}
            Some(None) => key.end_former(),
            Some(Some(_)) => {
                let message = "previous can only be null, which ends its grace; rotate the key \
                               for a new secret";
                return Err(ApiError::invalid("previous", message));
            }
        }
        Ok(())
    }
}

pub(super) async fn create(
    State(state): State<AdminState>,
    Path(org): Path<String>,
    JsonBody(input): JsonBody<Input>,
) -> Result<Response, ApiError> {
    let Some(name) = input.name.clone().flatten() else {
        return Err(ApiError::invalid("name", "a key needs a name; say what it is for"));
    };
    let text = KeyText::generate().map_err(|cause| ApiError::internal("making a key", &cause))?;
    state
        .changing(move |parts| {
            if parts.directory.load().len() >= KEYS_MAX {
                let message = format!("there are {KEYS_MAX} keys already; delete unused ones");
                return Err(ApiError::conflict("too_many_keys", message));
            }
            let mut key = ApiKey {
                id: clock::new_id().to_string(),
                org,
                hash: parts.directory.load().pepper().hash(text.reveal()),
                prefix: text.shown_prefix(),
                former: Vec::new(),
                rotated_at_ms: None,
                name,
                team: None,
                project: None,
                user: None,
                models: Vec::new(),
                clearance: Clearance::Internal.label().to_owned(),
                budget: None,
                limits: RateLimits::default(),
                disabled: false,
                expires_at_ms: None,
                created_at_ms: clock::now_ms(),
            };
            input.apply(&mut key)?;
            let zone = zone_of(&parts.store.org(&key.org)?);
            // The budget first: a key without its limit must never work.
            set_budget(&parts.ledger, &key, key.created_at_ms)?;
            parts.store.create_key(&key)?;
            publish_keys(parts)?;
            let warnings = warnings_of(parts, &key);
            let made = Warned::new(Shown::of(key, &zone, &parts.ledger), warnings);
            with_secret(StatusCode::CREATED, &made, &text)
        })
        .await
}

/// What of its models fits nothing here, and whether it has expired as it is.
fn warnings_of(parts: &AdminParts, key: &ApiKey) -> Vec<Warning> {
    let alias = |name: &str| parts.aliases.target(&key.org, name);
    let mut warnings = of_models(&key.models, &parts.routing.offers, alias);
    if key.expires_at_ms.is_some_and(|at_ms| at_ms <= clock::now_ms()) {
        let message = "that time has passed, so the key is refused; give a later one, or null for \
                       a key that does not expire";
        warnings.push(Warning::new("already_expired", "expires_at", message));
    }
    warnings
}

/// The one answer that holds a secret in clear.
fn with_secret(
    status: StatusCode,
    shown: &impl Serialize,
    text: &KeyText,
) -> Result<Response, ApiError> {
    let mut body = serde_json::to_value(shown)
        .map_err(|cause| ApiError::internal("writing the answer", &cause))?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("key".to_owned(), text.reveal().into());
    }
    Ok((status, Json(body)).into_response())
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
            let page = parts.store.keys(&org, page.after.as_deref(), limit)?;
            let next = page.items.last().filter(|_| page.more).map(|key| key.id.clone());
            let shown = |key| Shown::of(key, &zone, &parts.ledger);
            let items: Vec<Shown> = page.items.into_iter().map(shown).collect();
            Ok(Json(json!({"items": items, "next": next})).into_response())
        })
        .await
}

pub(super) async fn get(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    state.reading(move |parts| show(parts, parts.store.key(&org, &id)?)).await
}

pub(super) async fn patch(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
    JsonBody(input): JsonBody<Input>,
) -> Result<Response, ApiError> {
    state
        .changing(move |parts| {
            let mut key = parts.store.key(&org, &id)?;
            let before = key.clone();
            input.apply(&mut key)?;
            set_budget(&parts.ledger, &key, clock::now_ms())?;
            let put_back =
                || set_budget(&parts.ledger, &before, clock::now_ms()).map_err(ApiError::from);
            stored_or_put_back(parts.store.update_key(&key), put_back)?;
            publish_keys(parts)?;
            let zone = zone_of(&parts.store.org(&key.org)?);
            let warnings = warnings_of(parts, &key);
            let shown = Shown::of(key, &zone, &parts.ledger);
            Ok(Json(Warned::new(shown, warnings)).into_response())
        })
        .await
}

pub(super) async fn delete(
    State(state): State<AdminState>,
    Path((org, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    state
        .changing(move |parts| {
            parts.store.delete_key(&org, &id)?;
            publish_keys(parts)?;
            Ok(StatusCode::NO_CONTENT)
        })
        .await
}

fn show(parts: &AdminParts, key: ApiKey) -> Result<Response, ApiError> {
    let zone = zone_of(&parts.store.org(&key.org)?);
    Ok(Json(Shown::of(key, &zone, &parts.ledger)).into_response())
}
