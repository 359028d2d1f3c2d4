//! A refusal as the caller's protocol says it.

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response};

use super::{GatewayBody, content_type, request_id};
use crate::error::Refusal;

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The whole response for `refusal`.
pub fn refuse(refusal: &Refusal, id: &str) -> Response<GatewayBody> {
    let body = turnpike_protocol::error_body::openai(
        &refusal.message,
        refusal.kind,
        refusal.param.as_deref(),
        Some(refusal.code),
    );
    let mut response = Response::new(GatewayBody::whole(body));
    *response.status_mut() = refusal.status;
    headers(response.headers_mut(), refusal, id);
    response
}

fn headers(headers: &mut HeaderMap, refusal: &Refusal, id: &str) {
    content_type(headers, "application/json");
    request_id(headers, id);
    if let Some(seconds) = refusal.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.final_word {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
}

