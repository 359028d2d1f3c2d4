//! The gateway's own response headers, each named once here.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// Names of the headers that the gateway adds; the documentation lists the same.
pub const RESPONSE_HEADERS: [HeaderName; 8] =
    [REQUEST_ID, MODEL, PROVIDER, TASK, ATTEMPTS, COST_USD, POLICY, CLAMPED];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MODEL: HeaderName = HeaderName::from_static("x-turnpike-model");
const PROVIDER: HeaderName = HeaderName::from_static("x-turnpike-provider");
const TASK: HeaderName = HeaderName::from_static("x-turnpike-task");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-turnpike-attempts");
const COST_USD: HeaderName = HeaderName::from_static("x-turnpike-cost-usd");
const POLICY: HeaderName = HeaderName::from_static("x-turnpike-policy");
const CLAMPED: HeaderName = HeaderName::from_static("x-turnpike-clamped");

/// What the gateway tells about an answer.
#[derive(Debug)]
pub struct Served<'a> {
    /// The catalogue id that answered.
    pub model: &'a str,
    pub provider: &'a str,
    pub task: &'a str,
    pub attempts: usize,
    /// Decimal USD; only known at once when the answer is not streamed.
    pub cost_usd: Option<&'a str>,
    /// `name@version, …` of the policies that decided, each once.
    pub policy: &'a str,
    /// The output limit that the money allowed, when it is lower than what was asked.
    pub clamped: Option<u32>,
}

/// Sets a header from text; text that no header can carry is left out.
pub fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// `x-request-id`.
pub fn request_id(headers: &mut HeaderMap, id: &str) {
    set(headers, REQUEST_ID, id);
}

/// `content-type`.
pub fn content_type(headers: &mut HeaderMap, value: &'static str) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
}

impl Served<'_> {
    /// Writes the `x-turnpike-*` headers.
    pub fn write(&self, headers: &mut HeaderMap) {
        set(headers, MODEL, self.model);
        set(headers, PROVIDER, self.provider);
        set(headers, TASK, self.task);
        headers.insert(ATTEMPTS, HeaderValue::from(self.attempts));
        if let Some(cost) = self.cost_usd {
            set(headers, COST_USD, cost);
        }
        if !self.policy.is_empty() {
            set(headers, POLICY, self.policy);
        }
        if let Some(limit) = self.clamped {
            headers.insert(CLAMPED, HeaderValue::from(limit));
        }
    }
}
