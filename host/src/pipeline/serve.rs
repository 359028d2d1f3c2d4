//! The endpoints that cost nothing and know no dialect – the greeting that clients probe with, and
//! health – and what every endpoint does first: find out who asks.

use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode};
use uuid::Uuid;

use crate::auth::{self, Caller, Found};
use crate::egress::{GatewayBody, content_type, refuse, request_id};
use crate::error::Refusal;
use crate::gateway::Gateway;

use super::endpoint;

/// Whose key the request carries.
pub(super) fn caller(
    gateway: &Gateway,
    head: &Parts,
    now_ms: u64,
) -> Result<Arc<Caller>, Box<Refusal>> {
    recognised(gateway, head, now_ms).map(|found| found.caller)
}

/// The same, with what is known of the secret that was sent.
pub(super) fn recognised(
    gateway: &Gateway,
    head: &Parts,
    now_ms: u64,
) -> Result<Found, Box<Refusal>> {
    let in_url = endpoint::parameter(&head.uri, "key");
    auth::recognise(&head.headers, in_url, &gateway.directory.load(), now_ms).map_err(|error| {
        Box::new(Refusal::unauthenticated_because(error.code(), error.to_string()))
    })
}

/// `HEAD /` and `GET /`: clients look whether somebody is there.
pub(super) fn greeting(id: Uuid) -> Response<GatewayBody> {
    json(bytes::Bytes::from_static(b"{\"service\":\"turnpike\"}"), id)
}

/// The process answers.
pub(super) fn live(id: Uuid) -> Response<GatewayBody> {
    json(bytes::Bytes::from_static(b"{\"status\":\"live\"}"), id)
}

/// The gateway can take paid work.
pub(super) fn ready(gateway: &Gateway, id: Uuid) -> Response<GatewayBody> {
    let journal = gateway.ledger.health();
    if journal.failed.is_some() || journal.full.is_some() {
        let refusal = Refusal::ledger_unavailable();
        return refuse(&refusal, turnpike_protocol::Dialect::OpenAiChat, &id.to_string());
    }
    json(bytes::Bytes::from_static(b"{\"status\":\"ready\"}"), id)
}

/// A whole body with status 200.
pub(super) fn json(body: bytes::Bytes, id: Uuid) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::whole(body));
    *response.status_mut() = StatusCode::OK;
    content_type(response.headers_mut(), "application/json");
    request_id(response.headers_mut(), &id.to_string());
    response
}
