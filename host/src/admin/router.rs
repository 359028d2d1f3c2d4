//! Every route of the admin API on one page.

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{delete, get, post};

use super::{
    AdminState, access, adjustments, alerts, aliases, audit, backtest, bindings, budgets, credits,
    grants, holds, keys, limits, nowhere, offers, orgs, plans, plugins, policy_limits, requests,
    rules, signing_keys, system, usage,
};

/// The admin API, all under `/admin/v1` and behind the operator token.
pub fn router(state: AdminState) -> Router {
    let organization = Router::new()
        .route("/", get(orgs::get).patch(orgs::patch).delete(orgs::delete))
        .route("/keys", post(keys::create).get(keys::list))
        .route("/keys/{id}", get(keys::get).patch(keys::patch).delete(keys::delete))
        .route("/keys/{id}/rotate", post(keys::rotate))
        .route("/budgets", post(budgets::create).get(budgets::list))
        .route("/budgets/{id}", get(budgets::get).patch(budgets::patch).delete(budgets::delete))
        .route("/limits", get(limits::list))
        .route("/limits/{scope}", get(limits::get).put(limits::put).delete(limits::delete))
        .route("/alerts", get(alerts::list))
        .route(
            "/webhook",
            get(alerts::get_webhook).put(alerts::put_webhook).delete(alerts::delete_webhook),
        )
        .route("/aliases", get(aliases::list))
        .route("/aliases/{name}", get(aliases::get).put(aliases::put).delete(aliases::delete))
        .route("/credits", get(credits::balance))
        .route("/credits/topups", post(credits::top_up))
        .route("/credits/entries", get(credits::entries))
        .route("/credits/adjustments", post(adjustments::create))
        .route("/credits/holds", get(holds::list))
        .route("/plugins", post(plugins::upload).get(plugins::list))
        .route("/plugins/{name}/{version}", get(plugins::get).delete(plugins::delete))
        .route("/plugins/{name}/{version}/backtest", post(backtest::run))
        .route("/signing-keys", post(signing_keys::add).get(signing_keys::list))
        .route("/signing-keys/{id}", delete(signing_keys::remove))
        .route("/bindings", get(bindings::list))
        .route("/bindings/{hook}", bindings::methods())
        .route("/bindings/{hook}/rollback", post(bindings::roll_back))
        .route("/policy-grants", get(grants::get).put(grants::put))
        .route("/policy-limits", get(policy_limits::get).put(policy_limits::put))
        .route("/audit", get(audit::of_org))
        .route("/rules", post(rules::create).get(rules::list))
        .route(
            "/rules/{id}",
            get(rules::get).put(rules::put).patch(rules::patch).delete(rules::delete),
        )
        .route("/usage", get(usage::report))
        .route("/usage.csv", get(usage::as_csv))
        .route("/usage/focus.csv", get(usage::as_focus))
        .route("/usage/anomalies", get(usage::anomalies))
        .route("/requests", get(requests::list))
        .route("/requests/{id}", get(requests::get_of_org));
    let admin = Router::new()
        .route("/orgs", post(orgs::create).get(orgs::list))
        .nest("/orgs/{org}", organization)
        .route("/plans", post(plans::create).get(plans::list))
        .route("/plans/{id}", get(plans::get).patch(plans::patch).delete(plans::delete))
        .route("/requests/{id}", get(requests::get))
        .route("/audit", get(audit::all))
        .route("/offers", get(offers::list))
        .route("/models/{*id}", get(offers::model))
        .route("/system", get(system::get));
    let served: Router = Router::new()
        .nest("/admin/v1", admin)
        .fallback(nowhere::address)
        .layer(from_fn_with_state(state.clone(), access::require_operator))
        .with_state(state);
    // Around all of it: only there it is known which methods an address takes.
    Router::new().fallback_service(served).layer(map_response(nowhere::methods))
}

#[cfg(test)]
mod tests;
