//! One request to one provider: the caller's own bytes with the provider's model name and the
//! gateway's credential, and the judgement of the answer's head.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use turnpike_protocol::quirks::Envelope;
use turnpike_protocol::{Dialect, Losses, Outgoing, StreamError};

use crate::budget::OUTPUT_TOKENS_UNKNOWN;
use crate::catalog::Offer;
use crate::clock;
use crate::error::Refusal;
use crate::gateway::{Framing, Operation, Provider, TokenError, Unsigned};
use crate::route::Rejection;
use crate::secret::Secret;
use crate::upstream::{BodyReader, ErrorKind, RequestHead, Timeouts, TransportError};

use super::super::flight::Flight;
use super::super::{fidelity, settle};
use super::Asking;
use super::blame::{self, Blame};
use super::limits;
use super::outcome::{Fault, Trouble};
use super::said::{self, Said};
use super::silence;

/// Bytes of an error body that is passed on.
const ERROR_BODY_BYTES_MAX: usize = 256 << 10;
/// For the body of an error after which somebody else is asked: it comes with its head, or it is
/// not worth waiting for.
const ERROR_BODY_TIME_MAX: Duration = Duration::from_secs(1);

/// The media type of Amazon's binary messages.
const AMAZON_STREAM: &str = "application/vnd.amazon.eventstream";
/// Anthropic's list of what a body needs beyond the API.
const BETA: &str = "anthropic-beta";

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
    let body = written(flight, asking, provider).await?;
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
pub(super) fn refuses_signature(fault: &Fault) -> bool {
    let Fault::Request(said) = fault else { return false };
    let Ok(words) = std::str::from_utf8(&said.body) else { return false };
    said.status == StatusCode::BAD_REQUEST
        && said.dialect == Dialect::AnthropicMessages
        && words.contains("signature")
        && words.contains("thinking")
}

pub(super) async fn exchange(
    flight: &Flight,
    asking: &mut Asking,
    provider: &Provider,
    body: bytes::Bytes,
) -> Result<BodyReader, Refused> {
    let offer = &asking.offer;
    let stream = flight.call.stream;
    let accept = match (stream, asking.framing) {
        (false, _) => "application/json",
        (true, Framing::Events) => "text/event-stream",
        (true, Framing::Messages | Framing::Wrapped) => AMAZON_STREAM,
    };
    let operation =
        if flight.call.embeds() { Operation::Embed } else { Operation::Answer { stream } };
    let path = provider.path(asking.dialect, provider.model(offer), operation);
    let path = with_query(path, flight, asking.dialect, provider);
    let unsigned = Unsigned { path: &path, body: &body };
    let credential = asking.lane().credential;
    let signed = sign(flight, &asking.offer, provider, (credential, &unsigned)).await?;
    let mut headers = plain_headers(accept);
    headers.extend(signed.iter().map(|(name, value)| (*name, value.reveal())));
    let passed_on = provider_headers(flight, asking.dialect, provider, offer);
    headers.extend(passed_on.iter().map(|(name, value)| (*name, &**value)));
    let head = RequestHead { method: "POST", path: &path, headers: &headers };
    let timeouts = timeouts(flight, stream);
    let sent = flight.gateway.upstream.send(&provider.endpoint, &head, body, &timeouts);
    let Some(sent) = silence::unless(flight, asking, sent).await else {
        return Err(Refused::Trouble(Trouble::Silent));
    };
    let response = sent.map_err(|error| match error.kind {
        ErrorKind::Request => {
            tracing::error!(id = &*flight.id_text, %error, "a request can't be put on the wire");
            Refused::Fault(Box::new(Fault::Unsendable))
        }
        _ => Refused::Trouble(Trouble::Transport(error)),
    })?;
    asking.alive_ms = asking.watch.millis();
    asking.first_byte_ms = Some(asking.alive_ms);
    asking.in_flight.heard(clock::steady_ms());
    asking.status = Some(response.status.as_u16());
    limits::learn(&flight.gateway.health, asking.lane(), &response.headers);
    judge(flight, asking, response.status, &response.headers, response.body).await
}

/// What signs a request in. A token that can't be had is the provider's trouble, unless it is
/// refused for good.
pub(super) async fn sign(
    flight: &Flight,
    offer: &Offer,
    provider: &Provider,
    (credential, request): (usize, &Unsigned<'_>),
) -> Result<Vec<(&'static str, Secret)>, Refused> {
    let gateway = &flight.gateway;
    let signed = provider.credential(credential, request, &gateway.upstream, &gateway.tasks).await;
    signed.map_err(|error| {
        let (id, provider) = (&*flight.id_text, offer.provider.to_string());
        tracing::error!(id, provider, ?error, "no token could be had to sign in with");
        match error {
            TokenError::Refused(_) => {
                Refused::Fault(Box::new(Fault::Credential { provider, of_key: true }))
            }
            TokenError::Failed(detail) => {
                let kind = ErrorKind::Connect;
                Refused::Trouble(Trouble::Transport(TransportError { kind, detail }))
            }
        }
    })
}

/// The body in the provider's dialect: the caller's own bytes where that is the caller's.
pub(super) async fn written(
    flight: &mut Flight,
    asking: &Asking,
    provider: &Provider,
) -> Result<bytes::Bytes, Refused> {
    let out = outgoing(flight, &asking.offer, provider);
    if asking.dialect == flight.call.dialect {
        flight.losses = flight.call.refused(out.quirks);
        let withheld = settle::withheld(flight, &asking.offer);
        if withheld.any() {
            flight.losses.extend(flight.call.without_paid(withheld));
            return Ok(flight.call.encode_without_paid(withheld, &out));
        }
        return Ok(flight.call.encode(&out));
    }
    let Some(translated) = fidelity::translated(flight, asking.dialect, &out).await else {
        return Err(Refused::Fault(Box::new(Fault::Unsendable)));
    };
    match translated {
        Ok(translated) => {
            // What was looked at before did not know of a bound that the money sets.
            if let Some(what) = fidelity::intolerable(flight, &translated.losses) {
                let rejection = Rejection::Lossy { what };
                let reason = format!("{}: {rejection}", asking.offer.id);
                let refusal = Box::new(Refusal::no_candidate(&reason));
                return Err(Refused::Fault(Box::new(Fault::Untranslatable(refusal))));
            }
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

/// The caller's own bytes for a provider of its dialect.
pub(super) fn own_words(flight: &Flight, asking: &Asking, provider: &Provider) -> bytes::Bytes {
    flight.call.encode(&outgoing(flight, &asking.offer, provider))
}

/// What these lose there.
pub(super) fn own_losses(flight: &Flight, asking: &Asking) -> Losses {
    let provider = flight.gateway.providers.get(&*asking.offer.provider);
    provider.map_or_else(Losses::default, |provider| {
        flight.call.refused(provider.quirks(&asking.offer.upstream_model))
    })
}

fn outgoing<'a>(flight: &Flight, offer: &'a Offer, provider: &'a Provider) -> Outgoing<'a> {
    Outgoing {
        model: provider.model(offer),
        output_limit: output_limit(flight, offer),
        model_limit: (offer.output_tokens > 0).then_some(offer.output_tokens),
        limit_field: provider.limit_field,
        quirks: provider.quirks(&offer.upstream_model),
    }
}

/// The path with the caller's query, where the provider is asked as the caller asks.
pub(super) fn with_query(
    path: String,
    flight: &Flight,
    dialect: Dialect,
    provider: &Provider,
) -> String {
    let alike = dialect == flight.call.dialect && provider.is_first_party();
    match &flight.manner.query {
        Some(query) if alike && !path.contains('?') => {
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

/// The dialect's own headers, and those of the caller's that belong to the body it gets: all of
/// them to a provider's own API, to a cloud the betas that it knows.
pub(super) fn provider_headers<'a>(
    flight: &'a Flight,
    dialect: Dialect,
    provider: &'a Provider,
    offer: &Offer,
) -> Vec<(&'static str, Cow<'a, str>)> {
    let quirks = provider.quirks(&offer.upstream_model);
    let mut headers: Vec<(&'static str, Cow<'a, str>)> = Vec::with_capacity(4);
    if dialect == flight.call.dialect {
        let forwarded = flight.manner.forwarded.iter().filter(|(name, _)| match &quirks.betas {
            // The version is in the body there.
            Some(_) => false,
            None => provider.is_first_party() || *name == BETA,
        });
        headers.extend(forwarded.map(|(name, value)| (*name, value.as_str().into())));
        if quirks.betas.is_some() && quirks.envelope != Envelope::Bedrock {
            let known = flight.call.betas_for(quirks).join(",");
            headers.extend((!known.is_empty()).then_some((BETA, known.into())));
        }
    }
    // What the caller says of its body's version goes before what is assumed of it.
    for (name, value) in provider.headers(dialect) {
        if !headers.iter().any(|(known, _)| *known == name) {
            headers.push((name, value.into()));
        }
    }
    headers
}

/// The limit to write in place of the caller's: what the money allows; or, where neither the caller
/// nor the catalogue says how long an answer may be, the length that was held for.
fn output_limit(flight: &Flight, offer: &Offer) -> Option<u32> {
    let unbounded = flight.call.output_limit.is_none() && offer.output_tokens == 0;
    let limit = flight.clamp_of(offer).or_else(|| unbounded.then_some(OUTPUT_TOKENS_UNKNOWN))?;
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
        return match check_head(headers, flight.call.stream, asking.framing) {
            Ok(()) => Ok(body),
            Err(what) => Err(Refused::Trouble(Trouble::Malformed(what))),
        };
    }
    let hopeless = status.is_server_error()
        || status.is_redirection()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::NOT_FOUND
                | StatusCode::PAYMENT_REQUIRED
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                // Of Bedrock, whose model failed; OpenAI's comes at once.
                | StatusCode::FAILED_DEPENDENCY
        );
    let time = if hopeless { ERROR_BODY_TIME_MAX } else { Duration::MAX };
    let read = tokio::time::timeout(time, body.collect(ERROR_BODY_BYTES_MAX)).await;
    let body = match read {
        Ok(Err(error)) if !hopeless => return Err(Refused::Trouble(Trouble::Transport(error))),
        read => read.ok().and_then(Result::ok).unwrap_or_default(),
    };
    let said = heard(flight, asking, status, headers, body);
    if said.is_beyond_tier() {
        return Err(Refused::Trouble(Trouble::BeyondTier(Box::new(said))));
    }
    Err(match said.blame() {
        Blame::Request => Refused::Fault(Box::new(Fault::Request(said))),
        Blame::Account => Refused::Trouble(empty_account(flight, asking)),
        Blame::Credential => refused_credential(flight, asking, status),
        Blame::Limit | Blame::Provider => Refused::Trouble(trouble(status, headers, said)),
    })
}

/// What a provider says, in whichever dialect it says it.
fn heard(
    flight: &Flight,
    asking: &Asking,
    status: StatusCode,
    headers: &HeaderMap,
    body: bytes::Bytes,
) -> Said {
    let provider = flight.gateway.providers.get(&*asking.offer.provider);
    let asked = asking.dialect;
    let dialect = provider.map_or(asked, |provider| provider.words(asked, &body));
    Said::new(status, dialect, headers, body)
}

/// A status after which somebody else is asked, with what the provider says about it: the caller
/// hears it if there is nobody else. What it says of a model that it should have is not for the
/// caller.
fn trouble(status: StatusCode, headers: &HeaderMap, said: Said) -> Trouble {
    let told = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if !told {
        return Trouble::Status { status, retry_after: said::wait(headers), said: None };
    }
    let retry_after = said::wait(headers).or_else(|| said.wait());
    Trouble::Status { status, retry_after, said: Some(Box::new(said)) }
}

/// What the provider's trouble with an answer is when its own error says more: under status 200
/// come errors too that are about the request.
pub(super) fn judged(flight: &Flight, asking: &Asking, trouble: Trouble) -> Refused {
    let Trouble::StreamError(error) = trouble else { return Refused::Trouble(trouble) };
    match blame::of_answer(&error) {
        Blame::Request => {
            let said = Said::inside(&error, asking.dialect, &flight.id_text);
            Refused::Fault(Box::new(Fault::Request(said)))
        }
        Blame::Account => Refused::Trouble(empty_account(flight, asking)),
        Blame::Credential => refused_credential(flight, asking, StatusCode::OK),
        Blame::Limit => Refused::Trouble(limited(&error, asking.dialect, &flight.id_text)),
        Blame::Provider => Refused::Trouble(Trouble::StreamError(error)),
    }
}

/// A rate limit that the provider tells inside an answer: OpenAI's streams begin with status 200
/// and end with it. What follows is what follows the status 429.
pub(super) fn limited(error: &StreamError, dialect: Dialect, id: &str) -> Trouble {
    let message = error.message.expose();
    let retry_after = limits::wait_in_words(message);
    let beyond = blame::exceeds_the_tier(message, retry_after.is_some());
    let said = Box::new(Said::limited(error, dialect, id, beyond));
    if beyond {
        return Trouble::BeyondTier(said);
    }
    let status = StatusCode::TOO_MANY_REQUESTS;
    Trouble::Status { status, retry_after, said: Some(said) }
}

/// The operator's account at the provider is empty.
fn empty_account(flight: &Flight, asking: &Asking) -> Trouble {
    let (id, provider) = (&*flight.id_text, &*asking.offer.provider);
    tracing::error!(id, provider, "the account at a provider is empty; top it up there");
    Trouble::Status { status: StatusCode::PAYMENT_REQUIRED, retry_after: None, said: None }
}

/// The provider does not take the operator's credential.
fn refused_credential(flight: &Flight, asking: &Asking, status: StatusCode) -> Refused {
    let (id, provider) = (&*flight.id_text, asking.offer.provider.to_string());
    let of_key = status != StatusCode::FORBIDDEN;
    let status = status.as_u16();
    tracing::error!(id, provider, status, "a provider refused our credential");
    if let Some(refusing) = flight.gateway.providers.get(&*asking.offer.provider) {
        refusing.credential_refused(asking.lane().credential);
    }
    Refused::Fault(Box::new(Fault::Credential { provider, of_key }))
}

/// Whether the body is of the kind that was asked for.
fn check_head(headers: &HeaderMap, stream: bool, framing: Framing) -> Result<(), &'static str> {
    let encoded = headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity");
    if encoded {
        return Err("it is compressed in a way that is not known here");
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let wanted = if framing == Framing::Events { "text/event-stream" } else { AMAZON_STREAM };
    let is_stream = kind.is_some_and(|kind| kind.starts_with(wanted));
    if stream && !is_stream {
        return Err("it is no event stream, although one was asked for");
    }
    Ok(())
}
