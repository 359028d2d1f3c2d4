//! One request to one provider: the caller's own bytes with the provider's model name and the
//! gateway's credential, and the judgement of the answer's head.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use turnpike_protocol::{Dialect, Outgoing, translate};

use crate::budget::OUTPUT_TOKENS_UNKNOWN;
use crate::catalog::Offer;
use crate::error::Refusal;
use crate::upstream::{BodyReader, ErrorKind, RequestHead, Timeouts};

use crate::gateway::{Operation, Provider};

use super::super::flight::Flight;
use super::Asking;
use super::outcome::{Fault, Trouble};
use super::said::{self, Said};

/// Bytes of an error body that is passed on.
const ERROR_BODY_BYTES_MAX: usize = 256 << 10;
/// For the body of an error after which somebody else is asked: it comes with its head, or it is
/// not worth waiting for.
const ERROR_BODY_TIME_MAX: Duration = Duration::from_secs(1);

pub(super) enum Refused {
    Trouble(Trouble),
    Fault(Box<Fault>),
}

/// Sends the call to the offer. The body that comes back is an answer's.
pub(super) async fn send(flight: &mut Flight, asking: &mut Asking) -> Result<BodyReader, Refused> {
    let gateway = Arc::clone(&flight.gateway);
    let Some(provider) = gateway.providers.get(&*asking.offer.provider) else {
        return Err(Refused::Fault(Box::new(Fault::Unsendable)));
    };
    let body = written(flight, asking, provider)?;
    match exchange(flight, asking, provider, body).await {
        Err(Refused::Fault(fault)) if refuses_signature(&fault) => {
            // Thinking of an earlier turn was issued elsewhere. The conversation goes on without
            // it; sent again as it is, it would be refused for ever (pitfall 15).
            let out = outgoing(flight, &asking.offer, provider);
            match flight.call.encode_without_thinking(&out) {
                Some(body) => exchange(flight, asking, provider, body).await,
                None => Err(Refused::Fault(fault)),
            }
        }
        other => other,
    }
}

/// Whether a provider of Anthropic's dialect does not know the signature of some thinking.
fn refuses_signature(fault: &Fault) -> bool {
    let Fault::Request(said) = fault else { return false };
    let Ok(words) = std::str::from_utf8(&said.body) else { return false };
    said.status == StatusCode::BAD_REQUEST
        && said.dialect == Dialect::AnthropicMessages
        && words.contains("signature")
        && words.contains("thinking")
}

async fn exchange(
    flight: &Flight,
    asking: &mut Asking,
    provider: &Provider,
    body: bytes::Bytes,
) -> Result<BodyReader, Refused> {
    let offer = &asking.offer;
    let stream = flight.call.stream;
    let accept = if stream { "text/event-stream" } else { "application/json" };
    let mut headers = plain_headers(accept);
    headers.extend(provider_headers(flight, asking.dialect, provider));
    let operation = Operation::Answer { stream };
    let path = provider.path(asking.dialect, &offer.upstream_model, operation);
    let path = with_query(path, flight, asking.dialect);
    let head = RequestHead { method: "POST", path: &path, headers: &headers };
    let timeouts = timeouts(flight, stream);
    let sent = flight.gateway.upstream.send(&provider.endpoint, &head, body, &timeouts).await;
    let response = sent.map_err(|error| match error.kind {
        ErrorKind::Request => {
            tracing::error!(id = &*flight.id_text, %error, "a request can't be put on the wire");
            Refused::Fault(Box::new(Fault::Unsendable))
        }
        _ => Refused::Trouble(Trouble::Transport(error)),
    })?;
    asking.first_byte_ms = Some(asking.watch.millis());
    asking.status = Some(response.status.as_u16());
    judge(flight, asking, response.status, &response.headers, response.body).await
}

/// The body in the provider's dialect: the caller's own bytes where that is the caller's.
fn written(
    flight: &mut Flight,
    asking: &Asking,
    provider: &Provider,
) -> Result<bytes::Bytes, Refused> {
    let out = outgoing(flight, &asking.offer, provider);
    if asking.dialect == flight.call.dialect {
        return Ok(flight.call.encode(&out));
    }
    match translate::request(&flight.call, asking.dialect, &out) {
        Ok(translated) => {
            flight.losses = translated.losses;
            Ok(translated.body)
        }
        Err(error) => {
            let refusal =
                Refusal::invalid(error.status, error.code, error.message.clone(), error.param);
            Err(Refused::Fault(Box::new(Fault::Untranslatable(Box::new(refusal)))))
        }
    }
}

fn outgoing<'a>(flight: &Flight, offer: &'a Offer, provider: &'a Provider) -> Outgoing<'a> {
    Outgoing {
        model: &offer.upstream_model,
        output_limit: output_limit(flight, offer),
        model_limit: (offer.output_tokens > 0).then_some(offer.output_tokens),
        limit_field: provider.limit_field,
        quirks: provider.quirks(&offer.upstream_model),
    }
}

/// The path with the caller's query, where the provider is asked as the caller asks.
pub(super) fn with_query(path: String, flight: &Flight, dialect: Dialect) -> String {
    match &flight.manner.query {
        Some(query) if dialect == flight.call.dialect && !path.contains('?') => {
            format!("{path}?{query}")
        }
        _ => path,
    }
}

/// What every request says of itself.
pub(super) fn plain_headers(accept: &str) -> Vec<(&str, &str)> {
    vec![
        ("content-type", "application/json"),
        ("accept", accept),
        // Decompressing would cost more than the bytes are worth on a data centre's network.
        ("accept-encoding", "identity"),
        ("user-agent", concat!("turnpike/", env!("CARGO_PKG_VERSION"))),
    ]
}

/// The provider's own headers, and those of the caller's that belong to the body it gets.
pub(super) fn provider_headers<'a>(
    flight: &'a Flight,
    dialect: Dialect,
    provider: &'a Provider,
) -> Vec<(&'a str, &'a str)> {
    let own = provider.headers(dialect);
    let mut headers: Vec<(&str, &str)> = Vec::with_capacity(own.len().saturating_add(2));
    let forwarded: &[(&str, String)] =
        if dialect == flight.call.dialect { &flight.manner.forwarded } else { &[] };
    // What the caller says of its body's version goes before what is assumed of it.
    let said = |name: &str| forwarded.iter().any(|(known, _)| *known == name);
    headers.extend(own.into_iter().filter(|(name, _)| !said(name)));
    headers.extend(forwarded.iter().map(|(name, value)| (*name, value.as_str())));
    headers
}

/// The limit to write in place of the caller's: what the money allows; or, where neither the caller
/// nor the catalogue says how long an answer may be, the length that was held for.
fn output_limit(flight: &Flight, offer: &Offer) -> Option<u32> {
    let unbounded = flight.call.output_limit.is_none() && offer.output_tokens == 0;
    let limit = flight.clamped.or_else(|| unbounded.then_some(OUTPUT_TOKENS_UNKNOWN))?;
    Some(if offer.output_tokens == 0 { limit } else { limit.min(offer.output_tokens) })
}

fn timeouts(flight: &Flight, stream: bool) -> Timeouts {
    let t = &flight.gateway.settings.timeouts;
    let first_byte = if stream { t.first_byte_ms } else { t.answer_ms };
    Timeouts {
        connect: Duration::from_millis(t.connect_ms),
        first_byte: Duration::from_millis(first_byte),
        idle: Duration::from_millis(t.idle_ms),
    }
}

async fn judge(
    flight: &Flight,
    asking: &Asking,
    status: StatusCode,
    headers: &HeaderMap,
    mut body: BodyReader,
) -> Result<BodyReader, Refused> {
    if status.is_success() {
        return match check_head(headers, flight.call.stream) {
            Ok(()) => Ok(body),
            Err(what) => Err(Refused::Trouble(Trouble::Malformed(what))),
        };
    }
    let fallback = status.is_server_error()
        || status.is_redirection()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::NOT_FOUND
                | StatusCode::PAYMENT_REQUIRED
        );
    if fallback {
        return Err(Refused::Trouble(trouble(flight, asking, status, headers, &mut body).await));
    }
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        let (id, provider) = (&*flight.id_text, asking.offer.provider.to_string());
        let status = status.as_u16();
        tracing::error!(id, provider, status, "a provider refused our credential");
        return Err(Refused::Fault(Box::new(Fault::Credential { provider })));
    }
    match body.collect(ERROR_BODY_BYTES_MAX).await {
        Ok(body) => {
            let said = Said::new(status, asking.dialect, headers, body);
            if said.is_about_the_account() {
                return Err(Refused::Trouble(empty_account(flight, asking)));
            }
            Err(Refused::Fault(Box::new(Fault::Request(said))))
        }
        Err(error) => Err(Refused::Trouble(Trouble::Transport(error))),
    }
}

/// A status after which somebody else is asked, with what the provider says about it: the caller
/// hears it if there is nobody else. What it says of the operator's account, or of a model that it
/// should have, is not for the caller.
async fn trouble(
    flight: &Flight,
    asking: &Asking,
    status: StatusCode,
    headers: &HeaderMap,
    body: &mut BodyReader,
) -> Trouble {
    let told = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if status == StatusCode::PAYMENT_REQUIRED {
        return empty_account(flight, asking);
    }
    if !told {
        return Trouble::Status { status, retry_after: said::wait(headers), said: None };
    }
    let read = tokio::time::timeout(ERROR_BODY_TIME_MAX, body.collect(ERROR_BODY_BYTES_MAX)).await;
    let body = read.ok().and_then(Result::ok).unwrap_or_default();
    let said = Said::new(status, asking.dialect, headers, body);
    if said.is_about_the_account() {
        return empty_account(flight, asking);
    }
    let retry_after = said::wait(headers).or_else(|| said.wait());
    Trouble::Status { status, retry_after, said: Some(Box::new(said)) }
}

/// The operator's account at the provider is empty.
fn empty_account(flight: &Flight, asking: &Asking) -> Trouble {
    let (id, provider) = (&*flight.id_text, &*asking.offer.provider);
    tracing::error!(id, provider, "the account at a provider is empty; top it up there");
    Trouble::Status { status: StatusCode::PAYMENT_REQUIRED, retry_after: None, said: None }
}

/// Whether the body is of the kind that was asked for.
fn check_head(headers: &HeaderMap, stream: bool) -> Result<(), &'static str> {
    let encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity");
    if encoded {
        return Err("it is compressed, although identity was asked for");
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
    if stream && !is_stream {
        return Err("it is no event stream, although one was asked for");
    }
    Ok(())
}
