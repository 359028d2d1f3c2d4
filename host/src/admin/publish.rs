//! From the store to what the data plane reads: the directory of keys, and the ledger's budgets.
//! The bindings' way is the integrator's, through `BindingsChanged`.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use turnpike_ledger::{Ledger, LedgerError, PicoUsd};

use super::AdminParts;
use super::error::ApiError;
use crate::auth::{
    BudgetRef, Caller, Clearance, Directory, ModelRules, OrgBudgets, Pepper, PlanTerms, Watched,
    period_of,
};
use crate::limits::{Limits, Meter, Registry};
use crate::store::{
    ApiKey, BudgetMode, BudgetPeriod, Organization, PlanRecord, RateLimits, ScopeBudget,
    SpendScope, Store, StoreError,
};

/// What the keys of one organization share.
#[derive(Default)]
struct OrgTerms {
    budgets: OrgBudgets,
    plan: Option<Arc<PlanTerms>>,
    limits: HashMap<String, Arc<Meter>>,
}

/// The directory of all keys in the store, with their budgets and limits.
pub fn directory_of(
    store: &Store,
    pepper: Pepper,
    limits: &Registry,
) -> Result<Directory, StoreError> {
    let terms = terms_of(store, limits)?;
    let without = OrgTerms::default();
    let keys = store.all_keys()?;
    let callers = keys.iter().map(|key| {
        let terms = terms.get(&key.org).unwrap_or(&without);
        (key.hash, caller_of(key, terms, limits))
    });
    let former = keys
        .iter()
        .flat_map(|key| key.former.iter().map(|former| (former.hash, key.hash, former.until_ms)));
    let directory = Directory::new(pepper, callers).with_former(former);
    let watched = watched_of(store, &keys, &terms)?;
    Ok(directory.watching(watched))
}

/// The budgets that alerts may be raised about.
fn watched_of(
    store: &Store,
    keys: &[ApiKey],
    terms: &HashMap<String, OrgTerms>,
) -> Result<Vec<Watched>, StoreError> {
    let zone = |org: &str| terms.get(org).map_or(TimeZone::UTC, |terms| terms.budgets.zone());
    let mut watched = Vec::new();
    for it in store.all_budgets(None)? {
        let (label, period) = (it.scope.label(), period_of(it.period));
        watched.push(Watched {
            org: it.org.as_str().into(),
            budget: BudgetRef::of_scope(&it.id, &label, period, zone(&it.org)),
            amount: it.amount_usd,
            thresholds: it.alerts,
        });
    }
    for key in keys {
        let Some(own) = key.budget else { continue };
        watched.push(Watched {
            org: key.org.as_str().into(),
            budget: key_budget(&key.id, own.period, zone(&key.org)),
            amount: own.amount,
            thresholds: own.alerts,
        });
    }
    Ok(watched)
}

fn terms_of(store: &Store, limits: &Registry) -> Result<HashMap<String, OrgTerms>, StoreError> {
    let mut budgets: HashMap<String, Vec<ScopeBudget>> = HashMap::new();
    for budget in store.all_budgets(None)? {
        budgets.entry(budget.org.clone()).or_default().push(budget);
    }
    let plans = store.all_plans()?;
    let mut terms = HashMap::new();
    for org in store.all_orgs()? {
        let own = budgets.get(&org.id).map_or(&[] as &[_], Vec::as_slice);
        let zone = zone_of(&org);
        let plan = plans.iter().find(|plan| Some(&plan.id) == org.plan.as_ref());
        let plan = plan.map(|plan| Arc::new(PlanTerms::new(plan, &org.id, &zone)));
        let budgets = OrgBudgets::new(&zone, own);
        terms.insert(org.id, OrgTerms { budgets, plan, limits: HashMap::new() });
    }
    for limited in store.all_limits(None)? {
        let Some(terms) = terms.get_mut(&limited.org) else { continue };
        let label = limited.scope.label();
        let meter = limits.meter(&limited.org, &label, numbers(limited.limits));
        terms.limits.insert(label, meter);
    }
    Ok(terms)
}

fn numbers(limits: RateLimits) -> Limits {
    Limits { requests: limits.rpm, tokens: limits.tpm, running: limits.concurrency }
}

/// In which zone an organization's days begin. A zone that this machine does not know any more is
/// told as an error, and is UTC.
pub(super) fn zone_of(org: &Organization) -> TimeZone {
    let Some(name) = &org.time_zone else { return TimeZone::UTC };
    TimeZone::get(name).unwrap_or_else(|error| {
        tracing::error!(org = org.id, name, %error, "a time zone is not known here; UTC is used");
        TimeZone::UTC
    })
}

/// Makes sure that the ledger knows every budget, which it refuses to reserve against otherwise.
/// For the start of the gateway; what the ledger knows already costs nothing.
pub fn ensure_budgets(store: &Store, ledger: &Ledger, at_ms: u64) -> Result<(), ApiError> {
    for key in store.all_keys()? {
        set_budget(ledger, &key, at_ms)?;
    }
    for budget in store.all_budgets(None)? {
        set_scope_budget(ledger, &budget, at_ms)?;
    }
    let plans = store.all_plans()?;
    for org in store.all_orgs()? {
        let plan = plans.iter().find(|plan| Some(&plan.id) == org.plan.as_ref());
        if let Some(plan) = plan {
            set_plan_budgets(ledger, &org.id, plan, at_ms)?;
        }
    }
    Ok(())
}

/// Brings keys, budgets and limits to the data plane: the next request sees them.
pub(super) fn publish_keys(parts: &AdminParts) -> Result<(), ApiError> {
    let pepper = parts.directory.load().pepper().clone();
    let directory = directory_of(&parts.store, pepper, &parts.limits)?;
    parts.directory.store(Arc::new(directory));
    parts.limits.sweep();
    Ok(())
}

/// The end of a change whose limits the ledger has been told already, because what is stored must
/// be in force: where the change was not stored, the ledger is told again what holds. What can't be
/// put back now, the next start puts back ([`ensure_budgets`]).
pub(super) fn stored_or_put_back<E: Into<ApiError>>(
    stored: Result<(), E>,
    put_back: impl FnOnce() -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    stored.map_err(|refused| {
        if let Err(cause) = put_back() {
            let (_, code, message, _) = cause.told();
            tracing::error!(code, message, "budgets of a refused change stay until a restart");
        }
        refused.into()
    })
}

/// Sets a key's budget in the ledger, durably.
pub(super) fn set_budget(ledger: &Ledger, key: &ApiKey, at_ms: u64) -> Result<(), LedgerError> {
    let Some(budget) = key.budget else { return Ok(()) };
    let known = key_budget(&key.id, budget.period, TimeZone::UTC);
    set(ledger, &known, budget.amount, budget.mode, at_ms)
}

/// Sets a scope's budget in the ledger, durably.
pub(super) fn set_scope_budget(
    ledger: &Ledger,
    budget: &ScopeBudget,
    at_ms: u64,
) -> Result<(), LedgerError> {
    let (label, period) = (budget.scope.label(), period_of(budget.period));
    let known = BudgetRef::of_scope(&budget.id, &label, period, TimeZone::UTC);
    set(ledger, &known, budget.amount_usd, budget.mode, at_ms)
}

/// Sets the counters of a plan for one organization in the ledger, durably.
pub(super) fn set_plan_budgets(
    ledger: &Ledger,
    org: &str,
    plan: &PlanRecord,
    at_ms: u64,
) -> Result<(), LedgerError> {
    let counter = |period| BudgetRef::of_plan(org, period, TimeZone::UTC);
    let day = counter(crate::auth::Period::Day);
    let (limit, mode) = match plan.daily_limit_usd {
        Some(limit) => (limit, BudgetMode::Hard),
        None => (PicoUsd::ZERO, BudgetMode::Alert),
    };
    set(ledger, &day, limit, mode, at_ms)?;
    let month = counter(crate::auth::Period::Month);
    set(ledger, &month, PicoUsd::ZERO, BudgetMode::Alert, at_ms)
}

/// One that only raises alerts is a counter without a limit.
fn set(
    ledger: &Ledger,
    budget: &BudgetRef,
    amount: PicoUsd,
    mode: BudgetMode,
    at_ms: u64,
) -> Result<(), LedgerError> {
    let limit = match mode {
        BudgetMode::Hard => Some(amount),
        BudgetMode::Alert => None,
    };
    let period = match budget.period {
        crate::auth::Period::Hour => turnpike_ledger::Period::Hour,
        crate::auth::Period::Day => turnpike_ledger::Period::Day,
        crate::auth::Period::Week => turnpike_ledger::Period::Week,
        crate::auth::Period::Month => turnpike_ledger::Period::Month,
        crate::auth::Period::Total => turnpike_ledger::Period::Total,
    };
    let posted = ledger.set_budget(&budget.id, limit, period, at_ms)?;
    ledger.wait_durable(posted.seq())
}

/// The ledger's budget of a key.
pub(super) fn key_budget(key_id: &str, period: BudgetPeriod, zone: TimeZone) -> BudgetRef {
    BudgetRef::of_key(key_id, period_of(period), zone)
}

fn caller_of(key: &ApiKey, terms: &OrgTerms, registry: &Registry) -> Caller {
    let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
    // Both were checked when the key was stored. Should a row have been changed by hand into
    // something that can't be read, the key is switched off rather than widened.
    let models = ModelRules::parse(&key.models).ok();
    let clearance = Clearance::from_label(&key.clearance);
    let readable = models.is_some() && clearance.is_some();
    Caller {
        org: key.org.as_str().into(),
        key_id: key.id.as_str().into(),
        name: key.name.as_str().into(),
        team: shared(&key.team),
        project: shared(&key.project),
        user: shared(&key.user),
        models: models.unwrap_or_default(),
        clearance: clearance.unwrap_or(Clearance::Public),
        plan: terms.plan.clone(),
        budgets: terms.budgets.of_key(key, terms.plan.as_deref()),
        limits: meters_of(key, terms, registry),
        disabled: key.disabled || !readable,
        expires_at_ms: key.expires_at_ms,
    }
}

/// The limits that concern a key, from the organization's down to its own; none where nothing is
/// limited, so that such keys pay nothing for it.
fn meters_of(key: &ApiKey, terms: &OrgTerms, registry: &Registry) -> Option<Arc<[Arc<Meter>]>> {
    let part = |kind: &str, name: &Option<String>| {
        let label = name.as_ref().map(|name| format!("{kind}:{name}"))?;
        terms.limits.get(&label)
    };
    let shared = [
        terms.limits.get(&SpendScope::Organization.label()),
        part("team", &key.team),
        part("project", &key.project),
        part("user", &key.user),
    ];
    let mut meters: Vec<Arc<Meter>> = shared.into_iter().flatten().cloned().collect();
    if !key.limits.is_none() {
        meters.push(registry.meter(&key.org, &format!("key:{}", key.id), numbers(key.limits)));
    }
    (!meters.is_empty()).then(|| meters.into())
}
