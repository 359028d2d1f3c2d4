//! Before anything else is done for a request: whether its key, user, project, team and
//! organization may ask now. And what is left of their limits, in the headers of the caller's
//! protocol. Costs nothing where there are no limits.

use http::{HeaderMap, HeaderName, HeaderValue};
use turnpike_protocol::{Dialect, Usage};

use crate::auth::Caller;
use crate::clock;
use crate::egress;
use crate::error::Refusal;
use crate::limits::{self, Admission, Gauge, Refused, Standing, What};

use super::flight::Flight;

/// Tokens of an answer that are expected where the caller does not say how long it may be. Only an
/// estimate: what the answer really took is put in its place.
const ANSWER_TOKENS: u64 = 1_024;
/// Seconds after which it is worth asking again when too many requests are running: nobody knows
/// when one ends.
const RUNNING_AGAIN_S: u64 = 1;

/// Lets a request in under every limit that concerns it, or refuses it.
pub(super) fn let_in(flight: &mut Flight) -> Result<(), Box<Refusal>> {
    let Some(meters) = &flight.caller.limits else { return Ok(()) };
    let now_ms = clock::steady_ms();
    let (admitted, standing) = limits::admit(meters, expected_tokens(flight), now_ms);
    flight.standing = Some(standing);
    match admitted {
        Ok(admission) => {
            flight.admission = Some(admission);
            Ok(())
        }
        Err(refused) => Err(told(&refused, &flight.caller)),
    }
}

/// Lets a question beside requests in: a count of tokens, a dry run, a rating. As many of these as
/// of requests, counted apart from them; `None` where nothing is limited.
pub(super) fn let_question_in(caller: &Caller) -> Result<Option<Admission>, Box<Refusal>> {
    let Some(meters) = &caller.limits else { return Ok(None) };
    let admitted = limits::admit_question(meters, clock::steady_ms());
    admitted.map(Some).map_err(|refused| told(&refused, caller))
}

fn told(refused: &Refused, caller: &Caller) -> Box<Refusal> {
    let (what, wait_s) = match refused.what {
        What::Requests => ("requests per minute", refused.wait_ms.div_ceil(1_000)),
        What::Tokens => ("tokens per minute", refused.wait_ms.div_ceil(1_000)),
        What::Running => ("requests at a time", RUNNING_AGAIN_S),
    };
    let wait_s = wait_s.max(1);
    Box::new(Refusal::rate_limited(&caller.shown(&refused.scope), refused.limit, what, wait_s))
}

fn expected_tokens(flight: &Flight) -> u64 {
    let answer = match flight.call.embeds() {
        true => 0,
        false => flight.call.output_limit.map_or(ANSWER_TOKENS, u64::from),
    };
    let answers = answer.saturating_mul(u64::from(flight.call.choices).max(1));
    u64::from(flight.input_tokens).saturating_add(answers)
}

/// The request has ended: its real tokens take the place of the estimate.
pub(super) fn let_out(flight: &mut Flight, usage: &Usage) {
    if let Some(admission) = flight.admission.take() {
        let tokens = usage.input_tokens().saturating_add(usage.output_tokens());
        admission.settle(tokens, clock::steady_ms());
    }
}

/// What is left of the limits, in the words of the caller's protocol.
pub(super) fn headers(flight: &Flight, headers: &mut HeaderMap) {
    let Some(Standing { requests, tokens }) = &flight.standing else { return };
    let names = match flight.manner.dialect {
        Dialect::AnthropicMessages => &ANTHROPIC,
        _ => &OPENAI,
    };
    let now_ms = clock::now_ms();
    for (gauge, names) in [requests, tokens].into_iter().zip(names) {
        let Some(gauge) = gauge else { continue };
        let [limit, remaining, reset] = names;
        headers.insert(limit, HeaderValue::from(gauge.limit));
        headers.insert(remaining, HeaderValue::from(gauge.remaining));
        let at = reset_text(flight.manner.dialect, gauge, now_ms);
        egress::set(headers, reset.clone(), &at);
    }
}

fn reset_text(dialect: Dialect, gauge: &Gauge, now_ms: u64) -> String {
    match dialect {
        Dialect::AnthropicMessages => gauge.resets_at(now_ms),
        _ => gauge.resets_in(),
    }
}

/// Limit, remaining and reset: of requests, of tokens.
type Names = [[HeaderName; 3]; 2];

static OPENAI: Names = [
    [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
];

static ANTHROPIC: Names = [
    [
        HeaderName::from_static("anthropic-ratelimit-requests-limit"),
        HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
        HeaderName::from_static("anthropic-ratelimit-requests-reset"),
    ],
    [
        HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
        HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
        HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
    ],
];
