//! What a provider's headers say of its rate limits: how many more requests it takes, and until
//! when. Learnt from every answer, so that the request which would be refused is not sent. Believes
//! no header for longer than a minute.

use std::sync::Arc;

use http::HeaderMap;

use crate::clock;
use crate::route::{Health, Lane};

/// For longer a provider's word is not taken: then a request looks again.
const BELIEVED_MS_MAX: u64 = 60_000;

/// The headers of one limit: what is left of it, and when it is whole again.
struct Limit {
    left: &'static str,
    reset: &'static str,
    /// Of tokens only that there are none left says something about the next request.
    tokens: bool,
}

/// OpenAI's, which most others have too.
const OPENAI: [Limit; 2] = [
    Limit {
        left: "x-ratelimit-remaining-requests",
        reset: "x-ratelimit-reset-requests",
        tokens: false,
    },
    Limit { left: "x-ratelimit-remaining-tokens", reset: "x-ratelimit-reset-tokens", tokens: true },
];
const ANTHROPIC: [Limit; 3] = [
    Limit {
        left: "anthropic-ratelimit-requests-remaining",
        reset: "anthropic-ratelimit-requests-reset",
        tokens: false,
    },
    Limit {
        left: "anthropic-ratelimit-input-tokens-remaining",
        reset: "anthropic-ratelimit-input-tokens-reset",
        tokens: true,
    },
    Limit {
        left: "anthropic-ratelimit-output-tokens-remaining",
        reset: "anthropic-ratelimit-output-tokens-reset",
        tokens: true,
    },
];

/// Tells the offer's health what the headers of an answer allow.
pub(super) fn learn(health: &Arc<Health>, lane: Lane, headers: &HeaderMap) {
    // Most providers send none of them; then these two look-ups are all.
    let limits: &[Limit] = if headers.contains_key(OPENAI[0].left) {
        &OPENAI
    } else if headers.contains_key(ANTHROPIC[0].left) {
        &ANTHROPIC
    } else {
        return;
    };
    let now_ms = clock::now_ms();
    if let Some((requests, until_ms)) = allowed(limits, headers, now_ms) {
        health.allow(lane, requests, until_ms);
    }
}

/// The tightest of the limits: requests that may still be sent until then.
fn allowed(limits: &[Limit], headers: &HeaderMap, now_ms: u64) -> Option<(u64, u64)> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let told = limits.iter().filter_map(|limit| {
        let left: u64 = text(limit.left)?.trim().parse().ok()?;
        let until_ms = reset_ms(text(limit.reset)?.trim(), now_ms)?;
        let until_ms = until_ms.min(now_ms.saturating_add(BELIEVED_MS_MAX));
        (!limit.tokens || left == 0).then_some((left, until_ms))
    });
    // Of two that are used up the one counts that lasts longer.
    told.min_by_key(|(left, until_ms)| (*left, std::cmp::Reverse(*until_ms)))
}

/// When a limit is whole again, in milliseconds since the epoch: a date, or a wait such as `6m0s`,
/// `1.5s`, `20ms`, or plain seconds.
fn reset_ms(text: &str, now_ms: u64) -> Option<u64> {
    clock::rfc3339_ms(text).or_else(|| Some(now_ms.saturating_add(wait_ms(text)?)))
}

fn wait_ms(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let (mut total_ms, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(digits)?;
        let number: f64 = number.parse().ok()?;
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit)?;
        let unit_ms = match unit {
            "ms" => 1.0,
            "" | "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        total_ms += number * unit_ms;
        rest = after;
    }
    let wait = std::time::Duration::try_from_secs_f64(total_ms / 1_000.0).ok()?;
    u64::try_from(wait.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn waits_are_read_in_every_form() {
        for (text, ms) in [
            ("6m0s", 360_000),
            ("1.5s", 1_500),
            ("20ms", 20),
            ("2", 2_000),
            ("1h2m3s4ms", 3_723_004),
        ] {
            assert_eq!(wait_ms(text), Some(ms), "{text}");
        }
        for text in ["", "soon", "5x", "-1s", "1e400s"] {
            assert_eq!(wait_ms(text), None, "{text}");
        }
    }

    #[test]
    fn the_tightest_limit_counts_and_none_for_long() {
        let both = headers(&[
            ("x-ratelimit-remaining-requests", "7"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        assert_eq!(allowed(&OPENAI, &both, 1_000), Some((0, 61_000)));
        let requests = headers(&[
            ("x-ratelimit-remaining-requests", "7"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "12"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        assert_eq!(allowed(&OPENAI, &requests, 1_000), Some((7, 2_000)));
        let dated = headers(&[
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "1970-01-01T00:00:05Z"),
        ]);
        assert_eq!(allowed(&ANTHROPIC, &dated, 1_000), Some((0, 5_000)));
        assert_eq!(allowed(&OPENAI, &headers(&[]), 1_000), None);
    }
}
