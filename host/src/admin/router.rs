//! Every route of the admin API on one page.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};

use super::error::ApiError;
use super::{
    AdminState, access, aliases, backtest, bindings, credits, grants, keys, orgs, plugins,
    requests, signing_keys, system, usage,
};

/// The admin API, all under `/admin/v1` and behind the operator token.
pub fn router(state: AdminState) -> Router {
    let organization = Router::new()
        .route("/", get(orgs::get).patch(orgs::patch).delete(orgs::delete))
        .route("/keys", post(keys::create).get(keys::list))
        .route("/keys/{id}", get(keys::get).patch(keys::patch).delete(keys::delete))
        .route("/aliases", get(aliases::list))
        .route("/aliases/{name}", get(aliases::get).put(aliases::put).delete(aliases::delete))
        .route("/credits", get(credits::balance))
        .route("/credits/topups", post(credits::top_up))
        .route("/credits/entries", get(credits::entries))
        .route("/plugins", post(plugins::upload).get(plugins::list))
        .route("/plugins/{name}/{version}", get(plugins::get).delete(plugins::delete))
        .route("/plugins/{name}/{version}/backtest", post(backtest::run))
        .route("/signing-keys", post(signing_keys::add).get(signing_keys::list))
        .route("/signing-keys/{id}", delete(signing_keys::remove))
        .route("/bindings", get(bindings::list))
        .route("/bindings/{hook}", bindings::methods())
        .route("/bindings/{hook}/rollback", post(bindings::roll_back))
        .route("/policy-grants", get(grants::get).put(grants::put))
        .route("/usage", get(usage::report))
        .route("/requests", get(requests::list))
        .route("/requests/{id}", get(requests::get_of_org));
    let admin = Router::new()
        .route("/orgs", post(orgs::create).get(orgs::list))
        .nest("/orgs/{org}", organization)
        .route("/requests/{id}", get(requests::get))
        .route("/system", get(system::get));
    Router::new()
        .nest("/admin/v1", admin)
        .fallback(|| async {
            ApiError::not_found("there is nothing at this address; see the API's reference")
        })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(from_fn_with_state(state.clone(), access::require_operator))
        .with_state(state)
}

#[cfg(test)]
mod tests;
