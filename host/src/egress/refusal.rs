//! A refusal as the caller's protocol says it.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response};

use turnpike_protocol::Dialect;
use turnpike_protocol::error_body::{self, ErrorFacts};

use super::{GatewayBody, anthropic_request_id, content_type, request_id};
use crate::error::Refusal;

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The error body alone.
pub fn body(refusal: &Refusal, dialect: Dialect, id: Option<&str>) -> Bytes {
    let facts = ErrorFacts {
        message: &refusal.message,
        kind: refusal.kind,
        param: refusal.param.as_deref(),
        code: Some(refusal.code),
        status: refusal.status.as_u16(),
        request_id: id,
    };
    error_body::encode_waiting(dialect, &facts, refusal.retry_after_s)
}

/// The whole response for `refusal`.
pub fn refuse(refusal: &Refusal, dialect: Dialect, id: &str) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::whole(body(refusal, dialect, Some(id))));
    *response.status_mut() = refusal.status;
    headers(response.headers_mut(), refusal, id);
    if dialect == Dialect::AnthropicMessages {
        anthropic_request_id(response.headers_mut(), id);
    }
    response
}

fn headers(headers: &mut HeaderMap, refusal: &Refusal, id: &str) {
    content_type(headers, "application/json");
    request_id(headers, id);
    if let Some(seconds) = refusal.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        if !refusal.final_word {
            // SDKs go by the status alone otherwise, and take a 402 for final.
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("true"));
        }
    }
    if refusal.final_word {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
}
