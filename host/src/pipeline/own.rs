//! `GET /v1/key` and `GET /v1/key/usage`: what a key is, what it may still spend and what it has
//! used, for whoever has it. Shows no figure that other keys have a part in: of the budgets that
//! are shared only whose they are and when they begin anew, of the organization's credit nothing,
//! and not since when requests of others are under way. One thing is told that others may have
//! brought about: since when an hour was too large to tell keys apart, because this one's own
//! figures lack something there.

use std::sync::Arc;

use http::Response;
use http::request::Parts;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use turnpike_ledger::{Ledger, PicoUsd};
use uuid::Uuid;

use crate::admin::UsageOfKey;
use crate::auth::{BudgetRef, Caller, Found, Setting};
use crate::clock;
use crate::egress::{GatewayBody, refuse};
use crate::error::Refusal;
use crate::gateway::Gateway;
use crate::limits::Limits;
use crate::tasks::Busy;

use super::{admit, endpoint, serve};

/// `GET /v1/key`.
pub(super) fn key(gateway: &Gateway, id: Uuid, head: &Parts) -> Response<GatewayBody> {
    match serve::recognised(gateway, head, clock::now_ms()) {
        Ok(found) => serve::json(shown(&found, &gateway.ledger).to_string().into(), id),
        Err(refusal) => refused(&refusal, head, id),
    }
}

/// `GET /v1/key/usage`.
pub(super) async fn usage(gateway: &Arc<Gateway>, id: Uuid, head: &Parts) -> Response<GatewayBody> {
    match report(gateway, head).await {
        Ok(report) => serve::json(report.to_string().into(), id),
        Err(refusal) => refused(&refusal, head, id),
    }
}

fn refused(refusal: &Refusal, head: &Parts, id: Uuid) -> Response<GatewayBody> {
    refuse(refusal, endpoint::errors_of(&head.uri, &head.headers), &id.to_string())
}

async fn report(gateway: &Arc<Gateway>, head: &Parts) -> Result<Value, Box<Refusal>> {
    let caller = serve::caller(gateway, head, clock::now_ms())?;
    let zone = caller.budgets.zone.clone().unwrap_or(TimeZone::UTC);
    let asked = UsageOfKey::read(&head.uri, &caller.key_id, zone).map_err(|error| {
        let (status, code, message, field) = error.told();
        let field = field.map(str::to_owned);
        Box::new(Refusal::invalid(status.as_u16(), code, message.to_owned(), field))
    })?;
    let _place = admit::let_question_in(&caller)?;
    let log = gateway.recorder.log();
    let org = Arc::clone(&caller.org);
    let read = move || asked.report(&log, &caller.org);
    match gateway.turns.reports.run(&org, read).await {
        Ok(report) => report.ok_or_else(|| Box::new(Refusal::internal())),
        Err(Busy) => Err(Box::new(Refusal::busy("reports of usage"))),
    }
}

fn shown(found: &Found, ledger: &Ledger) -> Value {
    let caller = &found.caller;
    let own = format!("key:{}", caller.key_id);
    // That of the key itself is known by its counter: its scope has the key's name.
    let counter = format!("{own}:");
    let is_own =
        |budget: &&Arc<BudgetRef>| *budget.scope == *own || budget.id.starts_with(&counter);
    let (own_budgets, shared): (Vec<_>, Vec<_>) = caller.budgets.always.iter().partition(is_own);
    let own_budgets = own_budgets.into_iter().filter_map(|budget| own_budget(budget, ledger));
    let Limits { requests, tokens, running } = own_limits(caller, &own);
    json!({
        "id": caller.key_id,
        "name": caller.name,
        "org": caller.org,
        "team": caller.team,
        "project": caller.project,
        "user": caller.user,
        "plan": caller.plan.as_ref().map(|plan| &plan.id),
        "models": caller.models.patterns().collect::<Vec<_>>(),
        "clearance": caller.clearance.label(),
        "limits": { "rpm": requests, "tpm": tokens, "concurrency": running },
        "budgets": own_budgets.collect::<Vec<_>>(),
        "shared_budgets": shared.into_iter().filter_map(|it| shared_budget(it)).collect::<Vec<_>>(),
        "expires_at": caller.expires_at_ms.map(clock::rfc3339),
        "secret_works_until": found.works_until_ms.map(clock::rfc3339),
    })
}

fn own_limits(caller: &Caller, own: &str) -> Limits {
    let mut meters = caller.limits.iter().flat_map(|meters| meters.iter());
    meters.find(|meter| meter.scope() == own).map_or_else(Limits::default, |it| it.limits())
}

/// A budget that nobody else spends from. What is held for requests under way is not remaining.
fn own_budget(budget: &BudgetRef, ledger: &Ledger) -> Option<Value> {
    let Setting { amount, mode } = budget.setting?;
    let window = budget.window(clock::now_ms());
    let state = ledger.budget(&budget.id, window.start_ms);
    let (spent, held) =
        state.map_or((PicoUsd::ZERO, PicoUsd::ZERO), |state| (state.spent, state.held));
    let used = spent.saturating_add(held);
    Some(json!({
        "amount_usd": amount,
        "period": budget.period.label(),
        "mode": mode,
        "spent_usd": spent,
        "held_usd": held,
        "remaining_usd": amount.saturating_sub(used),
        "window_start": window.end_ms.map(|_| clock::rfc3339(window.start_ms)),
        "window_end": window.end_ms.map(clock::rfc3339),
    }))
}

/// One that others spend from too: no figure of it is this key's alone. Counters of a plan have no
/// setting and are left out.
fn shared_budget(budget: &BudgetRef) -> Option<Value> {
    let Setting { mode, .. } = budget.setting?;
    let window = budget.window(clock::now_ms());
    Some(json!({
        "scope": &*budget.scope,
        "period": budget.period.label(),
        "mode": mode,
        "window_end": window.end_ms.map(clock::rfc3339),
    }))
}
