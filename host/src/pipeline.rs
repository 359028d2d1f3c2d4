//! The one page that knows the order of a request. Each step is a room with one function; this
//! room calls them in turn and keeps what they found. It never parses a wire format, never books
//! money by itself and never calls a provider but through `attempt`.

mod attempt;
mod decide;
mod explain;
mod facts;
mod flight;
mod relay;
mod serve;
mod settle;

use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use turnpike_protocol::{Call, Dialect};
use uuid::Uuid;

use crate::egress::{GatewayBody, refuse};
use crate::error::Refusal;
use crate::gateway::Gateway;
use crate::{auth, clock, ingress};
use flight::Flight;

impl crate::server::Service for Gateway {
    async fn call(self: &Arc<Self>, request: Request<Incoming>) -> Response<GatewayBody> {
        let id = clock::new_id();
        let path = request.uri().path();
        match (request.method(), path) {
            (&Method::POST, "/v1/chat/completions") => {
                // Boxed: the connection holds one future for all endpoints.
                Box::pin(chat(Arc::clone(self), id, request)).await
            }
            (&Method::GET, "/v1/models") => serve::models(self, id, request.headers()),
            (&Method::GET, path) if path.starts_with("/v1/models/") => {
                serve::model(self, id, request.headers(), path)
            }
            (&Method::HEAD | &Method::GET, "/") => serve::greeting(id),
            (&Method::GET | &Method::HEAD, "/health/live") => serve::live(id),
            (&Method::GET | &Method::HEAD, "/health/ready") => serve::ready(self, id),
            (method, path) => {
                let known = matches!(
                    path,
                    "/v1/chat/completions" | "/v1/models" | "/" | "/health/live" | "/health/ready"
                ) || path.starts_with("/v1/models/");
                refuse(&Refusal::no_route(method, path, known), &id.to_string())
            }
        }
    }
}

/// Steps 2 to 13 for a chat completion.
async fn chat(
    gateway: Arc<Gateway>,
    id: Uuid,
    request: Request<Incoming>,
) -> Response<GatewayBody> {
    let watch = clock::Stopwatch::start();
    let at_ms = clock::now_ms();
    let (head, body) = request.into_parts();
    let refused = |refusal: &Refusal| {
        let took = watch.elapsed();
        let status = refusal.status.as_u16();
        gateway.metrics.request(crate::telemetry::Outcome::Refused, status, took);
        refuse(refusal, &id.to_string())
    };
    let caller = match auth::authenticate(&head.headers, &gateway.directory.load(), at_ms) {
        Ok(caller) => caller,
        Err(error) => return refused(&serve::unauthenticated(error)),
    };
    let body = match ingress::read(body, gateway.settings.body_bytes).await {
        Ok(body) => body,
        Err(refusal) => return refused(&refusal),
    };
    let parsing = clock::Stopwatch::start();
    let call = match Call::parse(Dialect::OpenAiChat, body) {
        Ok(call) => call,
        Err(e) => {
            return refused(&Refusal::invalid(e.status, e.code, e.message.clone(), e.param));
        }
    };
    let started = flight::Started { id, at_ms, watch };
    let mut flight = Box::new(Flight::new(gateway, caller, call, started, &head.headers));
    flight.timing.parse_us = parsing.micros().into();
    match plan(&mut flight).await {
        Ok(plan) => attempt::run(flight, plan).await,
        Err(refusal) => flight.refuse(&refusal),
    }
}

/// Steps 4 to 8: everything that is decided before a provider is asked.
async fn plan(flight: &mut Flight) -> Result<Vec<usize>, Box<Refusal>> {
    let watch = clock::Stopwatch::start();
    decide::redact_input(flight).await?;
    let redacted = watch.micros();
    decide::classify(flight).await;
    let classified = watch.micros();
    decide::match_offers(flight)?;
    let plan = decide::score(flight).await?;
    let routed = watch.micros();
    decide::reserve(flight, &plan).await?;
    flight.timing.redact_us = redacted.into();
    flight.timing.classify_us = classified.saturating_sub(redacted).into();
    flight.timing.route_us = routed.saturating_sub(classified).into();
    flight.timing.reserve_us = watch.micros().saturating_sub(routed).into();
    Ok(plan)
}
