//! The endpoints that cost nothing: the list of models, the greeting that clients probe with, and
//! health.

use http::{HeaderMap, Response, StatusCode};
use turnpike_protocol::Dialect;
use turnpike_protocol::models::{self, ModelEntry};
use uuid::Uuid;

use crate::auth::{self, Caller};
use crate::clock;
use crate::egress::{GatewayBody, content_type, refuse, request_id};
use crate::error::Refusal;
use crate::gateway::Gateway;

/// The names by which a caller asks the gateway to choose.
const AUTO: [&str; 4] = ["auto", "auto:cheap", "auto:fast", "auto:best"];

/// `GET /v1/models`: what this key may use, and the names that let the gateway choose.
pub(super) fn models(gateway: &Gateway, id: Uuid, headers: &HeaderMap) -> Response<GatewayBody> {
    match auth::authenticate(headers, &gateway.directory.load(), clock::now_ms()) {
        Ok(caller) => {
            json(StatusCode::OK, models::encode(Dialect::OpenAiChat, &listed(gateway, &caller)), id)
        }
        Err(error) => refuse(&unauthenticated(error), &id.to_string()),
    }
}

/// `GET /v1/models/{id}`; ids hold slashes.
pub(super) fn model(
    gateway: &Gateway,
    id: Uuid,
    headers: &HeaderMap,
    path: &str,
) -> Response<GatewayBody> {
    let caller = match auth::authenticate(headers, &gateway.directory.load(), clock::now_ms()) {
        Ok(caller) => caller,
        Err(error) => return refuse(&unauthenticated(error), &id.to_string()),
    };
    let asked = path.strip_prefix("/v1/models/").unwrap_or(path).replace("%2F", "/");
    match listed(gateway, &caller).into_iter().find(|model| model.id == asked) {
        Some(model) => json(StatusCode::OK, models::encode_one(Dialect::OpenAiChat, &model), id),
        None => refuse(&Refusal::unknown_model(&asked, &[]), &id.to_string()),
    }
}

/// What a request without a caller hears.
pub(super) fn unauthenticated(error: auth::AuthError) -> Refusal {
    Refusal::unauthenticated_because(error.code(), error.to_string())
}

fn listed(gateway: &Gateway, caller: &Caller) -> Vec<ModelEntry> {
    let auto = AUTO.iter().map(|name| ModelEntry {
        id: (*name).to_owned(),
        created_s: 0,
        owned_by: "turnpike".to_owned(),
    });
    let usable = gateway.offers.models().filter(|(model, offers)| {
        caller.may_use(model) && offers.iter().any(|offer| offer.is_priced())
    });
    let named = usable.filter_map(|(model, offers)| {
        let offer = offers.first()?;
        Some(ModelEntry {
            id: model.to_string(),
            created_s: offer.released.as_deref().map_or(0, clock::day_start_s),
            owned_by: offer.vendor.to_string(),
        })
    });
    auto.chain(named).collect()
}

/// `HEAD /` and `GET /`: clients look whether somebody is there.
pub(super) fn greeting(id: Uuid) -> Response<GatewayBody> {
    json(StatusCode::OK, bytes::Bytes::from_static(b"{\"service\":\"turnpike\"}"), id)
}

/// The process answers.
pub(super) fn live(id: Uuid) -> Response<GatewayBody> {
    json(StatusCode::OK, bytes::Bytes::from_static(b"{\"status\":\"live\"}"), id)
}

/// The gateway can take paid work.
pub(super) fn ready(gateway: &Gateway, id: Uuid) -> Response<GatewayBody> {
    if gateway.ledger.health().failed.is_some() {
        return refuse(&Refusal::ledger_unavailable(), &id.to_string());
    }
    json(StatusCode::OK, bytes::Bytes::from_static(b"{\"status\":\"ready\"}"), id)
}

fn json(status: StatusCode, body: bytes::Bytes, id: Uuid) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::whole(body));
    *response.status_mut() = status;
    content_type(response.headers_mut(), "application/json");
    request_id(response.headers_mut(), &id.to_string());
    response
}
