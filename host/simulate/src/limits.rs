//! Rate limits as providers tell and keep them: headers on every answer, and 429 above them.

use crate::clock;
use crate::route::Family;
use crate::script::RateLimit;

/// Seconds that a refused caller is told to wait: the simulator's minute does not end.
const WAIT_S: u64 = 60;

/// What was spent of a limit, in requests and tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
}

/// Whether a request may still come.
pub(crate) fn allows(limit: RateLimit, spent: Spent) -> bool {
    spent.requests < limit.requests && spent.tokens < limit.tokens
}

/// The provider's headers after `spent`; with the time to wait for a refused one.
pub(crate) fn headers(
    family: Family,
    limit: RateLimit,
    spent: Spent,
    refused: bool,
) -> Vec<(String, String)> {
    let kinds = [
        ("requests", limit.requests, limit.requests.saturating_sub(spent.requests)),
        ("tokens", limit.tokens, limit.tokens.saturating_sub(spent.tokens)),
    ];
    let mut out = Vec::new();
    for (kind, most, left) in kinds {
        let (names, reset) = match family {
            Family::OpenAi => (
                ["limit", "remaining", "reset"].map(|what| format!("x-ratelimit-{what}-{kind}")),
                format!("{WAIT_S}s"),
            ),
            Family::Anthropic => (
                ["limit", "remaining", "reset"]
                    .map(|what| format!("anthropic-ratelimit-{kind}-{what}")),
                clock::date(clock::now_s().saturating_add(WAIT_S)),
            ),
            // Google tells its limits in the bodies of errors, and Amazon nowhere.
            Family::Gemini | Family::Bedrock => continue,
        };
        out.extend(names.into_iter().zip([most.to_string(), left.to_string(), reset]));
    }
    if refused && !matches!(family, Family::Gemini | Family::Bedrock) {
        out.push(("retry-after".to_owned(), WAIT_S.to_string()));
    }
    out
}
