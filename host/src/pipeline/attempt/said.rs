//! What a provider says when it refuses: its error in its own words, which reach a caller of the
//! same dialect byte for byte, because clients match on them to recover (pitfall 66); and what the
//! gateway reads out of it. Never kept in a record, never logged.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use turnpike_protocol::error_body::{self, ErrorFacts};
use turnpike_protocol::{Dialect, StreamError};

use crate::clock;
use crate::egress::{GatewayBody, anthropic_request_id, content_type, request_id};

use super::super::flight::Flight;
use super::blame::{self, Blame};
use super::limits;

/// Where Anthropic's clients look for the id of a request.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// The same wait in milliseconds, which the SDKs of OpenAI and Anthropic prefer.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// In which the SDKs of OpenAI and Anthropic are told whether another try is worth it.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Beginnings of the headers in which providers tell a limit.
const LIMITS: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];
/// Headers about limits that are passed on; the providers have a dozen.
const LIMITS_MAX: usize = 32;

/// An error as the provider wrote it.
#[derive(Debug)]
pub(in crate::pipeline) struct Said {
    pub(super) status: StatusCode,
    /// In which it is written.
    pub(super) dialect: Dialect,
    pub(super) body: Bytes,
    /// Those of its headers that belong to it.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// It came in a stream that had begun: its status is the gateway's.
    in_stream: bool,
}

/// Whether headers tell a limit.
pub(super) fn tells_limits(headers: &HeaderMap) -> bool {
    headers.keys().any(is_of_limits)
}

fn is_of_limits(name: &HeaderName) -> bool {
    LIMITS.iter().any(|beginning| name.as_str().starts_with(beginning))
}

// === impl Said ===

impl Said {
    pub(super) fn new(
        status: StatusCode,
        dialect: Dialect,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Self {
        let kept = headers.iter().filter(|(name, _)| belongs(name)).take(LIMITS_MAX);
        let headers = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { status, dialect, body, headers, in_stream: false }
    }

    /// An error that came inside an answer of status 200, as it would have come by itself.
    pub(super) fn inside(error: &StreamError, dialect: Dialect, id: &str) -> Self {
        let kind = error.kind.as_deref().unwrap_or("invalid_request_error");
        let status = match kind {
            "request_too_large" => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::worded(error, (kind, status), dialect, id)
    }

    /// A rate limit that was told inside an answer of status 200. `beyond`: the request alone is
    /// over it, and no other try helps.
    pub(super) fn limited(error: &StreamError, dialect: Dialect, id: &str, beyond: bool) -> Self {
        let kind = error.kind.as_deref().unwrap_or("rate_limit_error");
        let mut said = Self::worded(error, (kind, StatusCode::TOO_MANY_REQUESTS), dialect, id);
        said.headers.extend(beyond.then_some((SHOULD_RETRY, HeaderValue::from_static("false"))));
        said.in_stream = true;
        said
    }

    fn worded(
        error: &StreamError,
        (kind, status): (&str, StatusCode),
        dialect: Dialect,
        id: &str,
    ) -> Self {
        let facts = ErrorFacts {
            message: error.message.expose(),
            kind,
            param: None,
            code: error.code.as_deref(),
            status: status.as_u16(),
            request_id: Some(id),
        };
        let body = error_body::encode(dialect, &facts);
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        Self { status, dialect, body, headers, in_stream: false }
    }

    /// The error, if it is one in its dialect's shape.
    pub(super) fn error(&self) -> Option<StreamError> {
        error_body::parse(self.dialect, &self.body)
    }

    /// How long its body asks to be left alone.
    pub(super) fn wait(&self) -> Option<Duration> {
        let told = error_body::wait_ms(self.dialect, &self.body).map(Duration::from_millis);
        let limited = self.status == StatusCode::TOO_MANY_REQUESTS;
        told.or_else(|| limits::wait_in_words(self.error().filter(|_| limited)?.message.expose()))
    }

    /// Whose fault it is.
    pub(super) fn blame(&self) -> Blame {
        blame::of_status(self.status, self.error().as_ref(), &self.body)
    }

    /// Whether it is about something that the request names and another provider may have.
    pub(super) fn is_about_a_reference(&self) -> bool {
        let missing = matches!(self.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN);
        let Some(error) = self.error() else { return false };
        error.code.as_deref() == Some("previous_response_not_found")
            || (missing && blame::names_something_kept(error.message.expose()))
    }

    /// Whether it says that the request alone is over the rate limit of the operator's account:
    /// nobody else's request is, and waiting does not help.
    pub(super) fn is_beyond_tier(&self) -> bool {
        let limits = [StatusCode::TOO_MANY_REQUESTS, StatusCode::PAYLOAD_TOO_LARGE];
        if !limits.contains(&self.status) {
            return false;
        }
        let waits =
            self.headers.iter().any(|(name, _)| [RETRY_AFTER, RETRY_AFTER_MS].contains(name));
        let waits = waits || self.wait().is_some();
        self.error().is_some_and(|error| blame::exceeds_the_tier(error.message.expose(), waits))
    }

    /// Whether its headers say that the same request is not worth another try.
    pub(super) fn forbids_another_try(&self) -> bool {
        self.headers.iter().any(|(name, value)| *name == SHOULD_RETRY && value == "false")
    }

    /// Whether it says that this model does not take a member, or this value of one.
    pub(super) fn is_about_a_member(&self) -> bool {
        let refused =
            matches!(self.status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY);
        refused && self.error().is_some_and(|error| blame::does_not_take_a_member(&error))
    }

    /// Whether it says that the request is too long for this model, but not for every one.
    pub(super) fn is_about_length(&self) -> bool {
        let code = || self.error().and_then(|error| error.code);
        match self.status {
            StatusCode::PAYLOAD_TOO_LARGE => true,
            StatusCode::BAD_REQUEST => code().is_some_and(|code| code == "context_length_exceeded"),
            _ => false,
        }
    }

    /// Whether it says that it does not know the earlier response which the request goes on from.
    pub(super) fn is_about_an_unknown_response(&self) -> bool {
        let code = || self.error().and_then(|error| error.code);
        self.status == StatusCode::BAD_REQUEST
            && self.dialect == Dialect::OpenAiResponses
            && code().is_some_and(|code| code == "previous_response_not_found")
    }

    /// The response to the caller: in its own dialect the provider's bytes, in another the same
    /// said in the caller's shape.
    pub(super) fn response(self, flight: &Flight) -> Response<GatewayBody> {
        let caller = flight.manner.dialect;
        let own = self.dialect == caller;
        // Codex takes a status 429 for the end of its turn, and waits for as long as such a stream
        // says.
        if self.in_stream && own && flight.call.stream && caller == Dialect::OpenAiResponses {
            return self.streamed(flight);
        }
        let body = if own { self.body.clone() } else { self.reworded(flight) };
        let mut response = Response::new(GatewayBody::whole(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if caller == Dialect::AnthropicMessages {
            anthropic_request_id(headers, &flight.id_text);
        }
        for (name, value) in self.headers {
            if own || [RETRY_AFTER, RETRY_AFTER_MS, SHOULD_RETRY].contains(&name) {
                headers.insert(name, value);
            }
        }
        if !own {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request_id(headers, &flight.id_text);
        response
    }

    /// The stream that it came in, from its first event to its last.
    fn streamed(&self, flight: &Flight) -> Response<GatewayBody> {
        let event = self.facts(flight, |facts| error_body::stream_event(self.dialect, facts));
        let mut response = Response::new(GatewayBody::whole(event));
        content_type(response.headers_mut(), "text/event-stream; charset=utf-8");
        request_id(response.headers_mut(), &flight.id_text);
        response
    }

    fn reworded(&self, flight: &Flight) -> Bytes {
        self.facts(flight, |facts| error_body::encode(flight.manner.dialect, facts))
    }

    /// What it says, written in another way.
    fn facts(&self, flight: &Flight, write: impl Fn(&ErrorFacts<'_>) -> Bytes) -> Bytes {
        let error = self.error();
        let unread = "the provider refused the request and did not say why in words that can be \
                      passed on";
        let said = error.as_ref().map_or(unread, |error| error.message.expose());
        let caller = flight.manner.dialect;
        let said = match self.dialect == caller {
            true => Cow::Borrowed(said),
            false => error_body::in_names_of(flight.call.output_limit_field(), said),
        };
        write(&ErrorFacts {
            message: &said,
            kind: "invalid_request_error",
            param: None,
            code: error.as_ref().and_then(|error| error.code.as_deref()),
            status: self.status.as_u16(),
            request_id: Some(&flight.id_text),
        })
    }
}

/// Whether a header belongs to the error: what it is, under which id, and when to try again.
fn belongs(name: &HeaderName) -> bool {
    [CONTENT_TYPE, RETRY_AFTER, RETRY_AFTER_MS, SHOULD_RETRY, ANTHROPIC_REQUEST_ID].contains(name)
        || is_of_limits(name)
}

/// How long a provider's head asks to be left alone: `retry-after-ms`, or `retry-after` in seconds
/// or as a date.
pub(super) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = || text(&RETRY_AFTER_MS)?.parse::<u64>().ok();
    let seconds = || {
        let text = text(&RETRY_AFTER)?;
        let seconds = text.parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1_000));
        seconds.or_else(|| Some(clock::http_date_ms(text)?.saturating_sub(clock::now_ms())))
    };
    millis().or_else(seconds).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn pitfall_59_a_wait_is_read_in_every_form() {
        let read =
            |pairs: &[(&'static str, &str)]| wait(&headers(pairs)).map(|wait| wait.as_millis());
        assert_eq!(read(&[("retry-after", "17")]), Some(17_000));
        assert_eq!(read(&[("retry-after-ms", "250"), ("retry-after", "1")]), Some(250));
        let far = read(&[("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT")]).unwrap();
        assert!(far > 1_000_000_000, "{far}");
        assert_eq!(read(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), Some(0));
        assert_eq!(read(&[("retry-after", "soon")]), None);
        let body = br#"{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED",
            "details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3s"}]}}"#;
        let status = StatusCode::TOO_MANY_REQUESTS;
        let body = Bytes::from_static(body);
        let said = Said::new(status, Dialect::Gemini, &HeaderMap::new(), body);
        assert_eq!(said.wait(), Some(Duration::from_secs(3)));
    }
}
