//! The one page that knows the order of a request. Each step is a room with one function; this
//! room calls them in turn and keeps what they found. It never parses a wire format, never books
//! money by itself and never calls a provider but through `attempt`.

mod admit;
mod attempt;
mod conversation;
mod count;
mod decide;
mod dry_run;
mod endpoint;
mod explain;
mod facts;
mod feedback;
mod fidelity;
mod flight;
mod models;
mod own;
mod relay;
mod repeats;
mod reserve;
mod serve;
mod settle;
mod terms;
mod vectors;

use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use turnpike_protocol::{Call, Dialect, RequestError, counted_request, embeddings};
use uuid::Uuid;

pub(crate) use facts::fact as offer_fact;
pub(crate) use facts::whole_catalog;
pub(crate) use repeats::Repeats;

use crate::egress::{GatewayBody, refuse};
use crate::error::Refusal;
use crate::gateway::Gateway;
use crate::{clock, ingress};
use endpoint::{Endpoint, Wire};
use flight::{Flight, Manner, Started};

impl crate::server::Service for Gateway {
    async fn call(self: &Arc<Self>, request: Request<Incoming>) -> Response<GatewayBody> {
        let id = clock::new_id();
        let (head, body) = request.into_parts();
        match endpoint::find(&head.method, &head.uri, &head.headers) {
            // Boxed: the connection holds one future for all endpoints.
            Endpoint::Answer(wire) => Box::pin(answer(self, id, &head, body, &wire)).await,
            Endpoint::CountTokens(wire) => {
                Box::pin(count::tokens(self, id, &head, body, &wire)).await
            }
            Endpoint::Route => Box::pin(dry_run::answer(self, id, &head, body)).await,
            Endpoint::Feedback => Box::pin(feedback::answer(self, id, &head, body)).await,
            Endpoint::Models(list) => models::all(self, id, &head, list),
            Endpoint::Model(list, name) => models::one(self, id, &head, list, &name),
            Endpoint::ModelInfo => models::priced(self, id, &head),
            Endpoint::OwnKey => own::key(self, id, &head),
            Endpoint::OwnUsage => Box::pin(own::usage(self, id, &head)).await,
            Endpoint::Greeting => serve::greeting(id),
            Endpoint::Live => serve::live(id),
            Endpoint::Ready => serve::ready(self, id),
            Endpoint::Nowhere { allow } => {
                let refusal = Refusal::no_route(&head.method, head.uri.path(), allow);
                let dialect = endpoint::errors_of(&head.uri, &head.headers);
                let mut response = refuse(&refusal, dialect, &id.to_string());
                if let Some(methods) = allow {
                    let methods = http::HeaderValue::from_static(methods);
                    response.headers_mut().insert(http::header::ALLOW, methods);
                }
                response
            }
        }
    }
}

/// Steps 2 to 13 for an answer.
async fn answer(
    gateway: &Arc<Gateway>,
    id: Uuid,
    head: &Parts,
    body: Incoming,
    wire: &Wire<'_>,
) -> Response<GatewayBody> {
    let watch = clock::Stopwatch::start();
    match take_in(gateway, id, head, body, wire).await {
        Ok(mut flight) => match plan(&mut flight).await {
            Ok(plan) => attempt::run(flight, plan).await,
            Err(refusal) => flight.refuse(&refusal),
        },
        Err(refusal) => {
            let status = refusal.status.as_u16();
            gateway.metrics.request(crate::telemetry::Outcome::Refused, status, watch.elapsed());
            refuse(&refusal, wire.dialect, &id.to_string())
        }
    }
}

/// Steps 2 and 3: who asks, and for what.
async fn take_in(
    gateway: &Arc<Gateway>,
    id: Uuid,
    head: &Parts,
    body: Incoming,
    wire: &Wire<'_>,
) -> Result<Box<Flight>, Box<Refusal>> {
    let watch = clock::Stopwatch::start();
    let at_ms = clock::now_ms();
    let caller = serve::caller(gateway, head, at_ms)?;
    let unrecorded = gateway.recorder.begin(&caller.org, at_ms);
    let awaits = head.headers.contains_key(http::header::EXPECT);
    let body = ingress::read(body, gateway.settings.body_bytes, awaits).await?;
    let path = head.uri.path();
    let print = gateway.repeats.print(&caller.key_id, &head.headers, path, &body)?;
    let body = match wire.stream {
        // Google's clients may put the whole request to count into a member of its own.
        None if wire.dialect == Dialect::Gemini => counted_request(body),
        _ => body,
    };
    let parsing = clock::Stopwatch::start();
    let call = parsed(wire, body)
        .map_err(|e| Refusal::invalid(e.status, e.code, e.message.clone(), e.param))?;
    let started = Started { id, at_ms, watch };
    let manner = Manner::of(wire.dialect, wire.array, &head.headers);
    let manner = manner.with_query(head.uri.query());
    let call = call.with_betas(manner.betas());
    let class = terms::class_of(&head.headers)?;
    terms::profile_of(&head.headers)?;
    let limits = terms::limits_of(&head.headers)?;
    let gateway = Arc::clone(gateway);
    let mut flight = Flight::new(gateway, caller, call, started, &head.headers, manner)?;
    flight.timing.parse_us = parsing.micros().into();
    flight.print = print;
    flight.unrecorded = Some(unrecorded);
    flight.class = class;
    flight.limits = limits;
    Ok(Box::new(flight))
}

fn parsed(wire: &Wire<'_>, body: bytes::Bytes) -> Result<Call, RequestError> {
    if wire.embeds {
        return embeddings::parse(body);
    }
    // Cursor's bodies are of another dialect than their address (pitfall 23).
    let dialect = Call::dialect_of(wire.dialect, &body);
    Call::parse_addressed(dialect, body, &wire.addressed())
}

/// Takes the `idempotency-key` that came with the request, if one did.
fn take_key(flight: &mut Flight) -> Result<(), Box<Refusal>> {
    if let Some(print) = flight.print.take() {
        let (repeats, org) = (&flight.gateway.repeats, &flight.caller.org);
        let ticket = repeats.begin(org, print, flight.started.id, clock::steady_ms())?;
        flight.repeat = Some(ticket);
    }
    Ok(())
}

/// Steps 4 to 8: everything that is decided before a provider is asked.
async fn plan(flight: &mut Flight) -> Result<Vec<usize>, Box<Refusal>> {
    let watch = clock::Stopwatch::start();
    // Before its key is taken: what is not let in leaves nothing behind.
    admit::let_in(flight)?;
    take_key(flight)?;
    decide::redact_input(flight).await?;
    let redacted = watch.micros();
    decide::classify(flight).await;
    let classified = watch.micros();
    decide::match_offers(flight).await?;
    let mut plan = decide::score(flight).await?;
    decide::explore(flight, &mut plan);
    let routed = watch.micros();
    reserve::reserve(flight, &plan).await?;
    flight.timing.redact_us = redacted.into();
    flight.timing.classify_us = classified.saturating_sub(redacted).into();
    flight.timing.route_us = routed.saturating_sub(classified).into();
    flight.timing.reserve_us = watch.micros().saturating_sub(routed).into();
    // Those that the money does not pay for have made room for others.
    Ok(if flight.plan == plan { plan } else { flight.plan.clone() })
}
