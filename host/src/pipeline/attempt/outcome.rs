//! How an attempt can end without an answer, and what that means: for the next attempt, for the
//! offer's health, for the caller.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use turnpike_protocol::Dialect;
use turnpike_protocol::error_body::{self, ErrorFacts};

use crate::catalog::Offer;
use crate::egress::{GatewayBody, anthropic_request_id, refuse, request_id};
use crate::error::Refusal;
use crate::upstream::{ErrorKind, TransportError};
use crate::usage::AttemptFact;

use super::super::flight::{Bill, Ending, Flight};
use super::{Asking, unreachable_plan};

/// The longest rest that a provider's `retry-after` may ask for; then one probe looks again.
const REST_MAX: Duration = Duration::from_secs(60);

/// The provider's trouble, before any content.
#[derive(Debug)]
pub(in crate::pipeline) enum Trouble {
    /// Status 408, 429, 5xx, 404 for a model it should have, or 402: the operator's account there
    /// is empty.
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// No connection, no TLS, broken HTTP, or hung up.
    Transport(TransportError),
    /// An error in the stream before any content.
    StreamError(String),
    /// It is no answer in the dialect that was spoken.
    Malformed(&'static str),
    /// It ended without content.
    Empty,
}

/// What another provider would not do better.
#[derive(Debug)]
pub(in crate::pipeline) enum Fault {
    /// A 4xx about the request: the caller gets it as the provider wrote it, or in its own dialect
    /// where that is another.
    Request {
        status: StatusCode,
        content_type: Option<HeaderValue>,
        body: Bytes,
        /// In which it is written.
        dialect: Dialect,
    },
    /// The request can't be said in the provider's dialect.
    Untranslatable(Box<Refusal>),
    /// The provider refused the gateway's own credential.
    Credential { provider: String },
    /// The request can't be put on the wire.
    Unsendable,
}

impl Trouble {
    /// For the explanation and the metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Status { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS => {
                "rate_limited"
            }
            Self::Status { status, .. } if *status == StatusCode::PAYMENT_REQUIRED => "no_credit",
            Self::Status { .. } => "error",
            Self::Transport(error) => match error.kind {
                ErrorKind::Timeout(_) => "timeout",
                ErrorKind::Connect | ErrorKind::Tls => "connect",
                ErrorKind::Closed => "died",
                ErrorKind::Protocol | ErrorKind::Request | ErrorKind::TooLarge => "malformed",
            },
            Self::StreamError(_) => "error",
            Self::Malformed(_) => "malformed",
            Self::Empty => "died",
        }
    }

    /// In words; never an upstream's body.
    pub(super) fn detail(&self) -> &str {
        match self {
            Self::Status { status, .. } if *status == StatusCode::PAYMENT_REQUIRED => {
                "the operator's account at the provider is empty"
            }
            Self::Status { .. } => "",
            Self::Transport(error) => &error.detail,
            // The provider's word for it, if it is a word: anything else may quote the prompt.
            Self::StreamError(kind) if is_word(kind) => kind,
            Self::StreamError(_) => "an error of a kind of its own",
            Self::Malformed(what) => what,
            Self::Empty => "it ended before any content",
        }
    }

    /// How long the provider asks to be left alone.
    pub(super) fn rest(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => retry_after.map(|rest| rest.min(REST_MAX)),
            _ => None,
        }
    }

    /// Whether the same offer may do better at once: a quick failure may have been one server of
    /// many; who was slow will be slow again, and who asks for rest gets it.
    pub(super) fn worth_repeating(&self) -> bool {
        match self {
            Self::Status { status, retry_after } => {
                status.is_server_error() && retry_after.is_none()
            }
            Self::Transport(error) => matches!(error.kind, ErrorKind::Connect | ErrorKind::Closed),
            Self::StreamError(_) | Self::Empty => true,
            Self::Malformed(_) => false,
        }
    }
}

/// An error type as providers have them: `server_error`, `overloaded`.
fn is_word(kind: &str) -> bool {
    kind.len() <= 64 && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

impl Fault {
    /// Whether the provider does not have the earlier response that the request goes on from:
    /// another one may have given it. Nothing is kept here that would tell which.
    pub(super) fn keeps_it_not(&self) -> bool {
        let Self::Request { status, body, dialect: Dialect::OpenAiResponses, .. } = self else {
            return false;
        };
        let error = error_body::parse(Dialect::OpenAiResponses, body);
        *status == StatusCode::BAD_REQUEST
            && error.is_some_and(|e| e.code.as_deref() == Some("previous_response_not_found"))
    }

    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Request { .. } => "refused",
            Self::Untranslatable(_) => "untranslatable",
            Self::Credential { .. } => "credential",
            Self::Unsendable => "unsendable",
        }
    }
}

/// What the caller hears after the last attempt.
pub(super) fn refusal(last: Option<&Trouble>, tried: usize) -> Refusal {
    match last {
        None => unreachable_plan(),
        Some(Trouble::Status { status, retry_after })
            if *status == StatusCode::TOO_MANY_REQUESTS =>
        {
            let rest = retry_after.map_or(1, |rest| rest.min(REST_MAX).as_secs().max(1));
            Refusal::upstream_rate_limited(tried, rest)
        }
        Some(Trouble::Transport(error)) if matches!(error.kind, ErrorKind::Timeout(_)) => {
            Refusal::upstream_timeout(tried)
        }
        Some(Trouble::Status { status, .. }) if *status == StatusCode::PAYMENT_REQUIRED => {
            Refusal::upstream_failed(tried, "because the operator's account there is empty")
        }
        Some(Trouble::Status { status, .. }) => {
            Refusal::upstream_failed(tried, &format!("with status {}", status.as_u16()))
        }
        Some(Trouble::Transport(_)) => {
            Refusal::upstream_failed(tried, "hung up or was out of reach")
        }
        Some(Trouble::StreamError(_)) => {
            Refusal::upstream_failed(tried, "with an error before any content")
        }
        Some(Trouble::Malformed(_)) => {
            Refusal::upstream_failed(tried, "with something that is no answer")
        }
        Some(Trouble::Empty) => Refusal::upstream_failed(tried, "without any content"),
    }
}

/// Ends the request with what can't be mended by asking somebody else.
pub(super) fn pass_on(mut flight: Box<Flight>, fault: Fault) -> Response<GatewayBody> {
    let (response, ending) = match fault {
        Fault::Request { status, content_type, body, dialect } => {
            (providers_words(&flight, status, content_type, body, dialect), Ending::Refused)
        }
        Fault::Untranslatable(refusal) => {
            (refuse(&refusal, flight.manner.dialect, &flight.id_text), Ending::Refused)
        }
        Fault::Credential { provider } => {
            let refusal = Refusal::upstream_credential(&provider);
            (refuse(&refusal, flight.manner.dialect, &flight.id_text), Ending::Failed)
        }
        Fault::Unsendable => {
            let refusal = Refusal::internal();
            (refuse(&refusal, flight.manner.dialect, &flight.id_text), Ending::Failed)
        }
    };
    flight.release(turnpike_ledger::PicoUsd(0));
    let status = response.status().as_u16();
    flight.end(ending, status, &Bill::default());
    response
}

/// A provider's error. In the caller's own dialect it passes byte for byte, because clients match
/// on its wording to recover (pitfall 66); in another it says the same in the caller's shape.
fn providers_words(
    flight: &Flight,
    status: StatusCode,
    content_type: Option<HeaderValue>,
    body: Bytes,
    dialect: Dialect,
) -> Response<GatewayBody> {
    let caller = flight.manner.dialect;
    let (body, content_type) = if dialect == caller {
        (body, content_type)
    } else {
        let error = error_body::parse(dialect, &body);
        let unread = "the provider refused the request and did not say why in words that can be \
                      passed on";
        let facts = ErrorFacts {
            message: error.as_ref().map_or(unread, |error| error.message.expose()),
            kind: "invalid_request_error",
            param: None,
            code: error.as_ref().and_then(|error| error.code.as_deref()),
            status: status.as_u16(),
            request_id: Some(&flight.id_text),
        };
        let json = HeaderValue::from_static("application/json");
        (error_body::encode(caller, &facts), Some(json))
    };
    let mut response = Response::new(GatewayBody::whole(body));
    *response.status_mut() = status;
    if let Some(value) = content_type {
        response.headers_mut().insert(http::header::CONTENT_TYPE, value);
    }
    request_id(response.headers_mut(), &flight.id_text);
    if caller == Dialect::AnthropicMessages {
        anthropic_request_id(response.headers_mut(), &flight.id_text);
    }
    response
}

/// Writes an attempt into the explanation and the metrics.
pub(in crate::pipeline) fn note(
    flight: &mut Flight,
    asking: &Asking,
    outcome: &'static str,
    detail: &str,
) {
    flight.gateway.metrics.attempt(&asking.offer.provider, outcome);
    flight.attempts.push(AttemptFact {
        offer: std::sync::Arc::clone(&asking.offer.id),
        outcome: outcome.into(),
        status: asking.status,
        ms: asking.watch.millis(),
        first_byte_ms: asking.first_byte_ms,
        detail: (!detail.is_empty()).then(|| detail.to_owned().into()),
    });
}

/// An offer whose breaker opened between the choice and its turn.
pub(super) fn note_skipped(flight: &mut Flight, offer: &Offer) {
    flight.attempts.push(AttemptFact {
        offer: std::sync::Arc::clone(&offer.id),
        outcome: "skipped".into(),
        status: None,
        ms: 0,
        first_byte_ms: None,
        detail: Some("its breaker opened after the plan was made".into()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_account_at_the_provider_is_the_providers_trouble() {
        let empty = Trouble::Status { status: StatusCode::PAYMENT_REQUIRED, retry_after: None };
        assert_eq!(empty.label(), "no_credit");
        assert!(!empty.worth_repeating());
        let heard = refusal(Some(&empty), 2);
        assert_eq!((heard.status, heard.code), (StatusCode::BAD_GATEWAY, "upstream_failed"));
    }
}
