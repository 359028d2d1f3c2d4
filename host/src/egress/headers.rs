//! The gateway's own response headers, each named once here.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use turnpike_protocol::Losses;

/// Names of the headers that the gateway adds; the documentation lists the same.
pub const RESPONSE_HEADERS: [HeaderName; 9] =
    [REQUEST_ID, MODEL, PROVIDER, TASK, ATTEMPTS, COST_USD, POLICY, CLAMPED, LOSS];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MODEL: HeaderName = HeaderName::from_static("x-turnpike-model");
const PROVIDER: HeaderName = HeaderName::from_static("x-turnpike-provider");
const TASK: HeaderName = HeaderName::from_static("x-turnpike-task");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-turnpike-attempts");
const COST_USD: HeaderName = HeaderName::from_static("x-turnpike-cost-usd");
const POLICY: HeaderName = HeaderName::from_static("x-turnpike-policy");
const CLAMPED: HeaderName = HeaderName::from_static("x-turnpike-clamped");
const LOSS: HeaderName = HeaderName::from_static("x-turnpike-loss");
/// Where Anthropic's clients look for the id.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Bytes of the loss header: clients and proxies refuse heads of more than 8 KiB in all.
const LOSS_BYTES_MAX: usize = 2048;

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
    /// What translation dropped or approximated, one entry a place.
    pub losses: &'a Losses,
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

/// `request-id`, beside `x-request-id`.
pub fn anthropic_request_id(headers: &mut HeaderMap, id: &str) {
    set(headers, ANTHROPIC_REQUEST_ID, id);
}

/// `at=severity (what)`, separated by semicolons; as many as fit, and how many more there are.
/// Places come from the caller's own member names, so what no header can carry is replaced.
fn loss_text(losses: &Losses) -> String {
    let mut text = String::new();
    let mut more = usize::try_from(losses.more()).unwrap_or(usize::MAX);
    for (index, loss) in losses.iter().enumerate() {
        let entry = loss.to_string();
        if text.len().saturating_add(entry.len()) > LOSS_BYTES_MAX {
            more = more.saturating_add(losses.iter().count().saturating_sub(index));
            break;
        }
        if index > 0 {
            text.push_str("; ");
        }
        text.extend(entry.chars().map(|c| match c {
            ' '..='~' => c,
            _ => '?',
        }));
    }
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
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
        if !self.losses.is_empty() {
            set(headers, LOSS, &loss_text(self.losses));
        }
    }
}
