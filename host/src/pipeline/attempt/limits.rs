//! What a provider's headers say of its rate limits: how many more requests and tokens it takes,
//! and until when. Learnt from every answer, so that the request which would be refused is not
//! sent. Believes no header for longer than a minute. And how long to wait where only the words of
//! an error tell.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::clock;
use crate::route::{Health, Lane};

use super::said;

/// For longer a provider's word is not taken: then a request looks again.
const BELIEVED_MS_MAX: u64 = 60_000;
/// How long it is taken where it does not say until when: a minute's limit fills again meanwhile.
const BELIEVED_MS_UNTOLD: u64 = 2_000;
/// Plain numbers from here on are no waits but times: in seconds since the epoch, in milliseconds.
const EPOCH_S_MIN: f64 = 1e9;
const EPOCH_MS_MIN: f64 = 1e12;

/// The headers of one limit: what is left of it, and when it is whole again.
struct Limit {
    left: &'static str,
    reset: &'static str,
    of: Of,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Requests,
    /// Of prompts, or of prompts and answers together.
    Tokens,
    /// Of answers: how long the next one is nobody knows, so only that none are left counts.
    Answers,
}

/// OpenAI's, which most others have too; Anthropic's, of which a combined one is for the tightest;
/// and OpenRouter's.
const LIMITS: [Limit; 7] = [
    limit("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", Of::Requests),
    limit("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", Of::Tokens),
    limit("x-ratelimit-remaining", "x-ratelimit-reset", Of::Requests),
    limit(
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
        Of::Requests,
    ),
    limit("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset", Of::Tokens),
    limit(
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
        Of::Tokens,
    ),
    limit(
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
        Of::Answers,
    ),
];

const fn limit(left: &'static str, reset: &'static str, of: Of) -> Limit {
    Limit { left, reset, of }
}

/// What stands before a wait in the words of OpenAI, Azure and Groq, and of Google.
const AGAIN_IN: [&str; 2] = ["try again in ", "retry in "];

/// What headers allow: so much, until then in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Allowed {
    requests: Option<(u64, u64)>,
    tokens: Option<(u64, u64)>,
}

/// Tells the offer's health what the headers of an answer allow.
pub(super) fn learn(health: &Arc<Health>, lane: Lane, headers: &HeaderMap) {
    // Most providers send none of them.
    if !said::tells_limits(headers) {
        return;
    }
    // Some of them are dates.
    let allowed = allowed(headers, clock::now_ms());
    if let Some((requests, until_ms)) = allowed.requests {
        health.allow(lane, requests, clock::from_wall_ms(until_ms));
    }
    if let Some((tokens, until_ms)) = allowed.tokens {
        health.allow_tokens(lane, tokens, clock::from_wall_ms(until_ms));
    }
}

/// The tightest of the limits. Where no tokens are left, no request is either.
fn allowed(headers: &HeaderMap, now_ms: u64) -> Allowed {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let told = || {
        LIMITS.iter().filter_map(|limit| {
            let left: u64 = text(limit.left)?.parse().ok()?;
            let until_ms = text(limit.reset).and_then(|reset| reset_ms(reset, now_ms));
            let until_ms = until_ms.unwrap_or(now_ms.saturating_add(BELIEVED_MS_UNTOLD));
            Some((limit.of, left, until_ms.min(now_ms.saturating_add(BELIEVED_MS_MAX))))
        })
    };
    // Of two that are used up the one counts that lasts longer.
    let tightest = |left: &(u64, u64)| (left.0, std::cmp::Reverse(left.1));
    let requests = told().filter(|(of, left, _)| *of == Of::Requests || *left == 0);
    let tokens = told().filter(|(of, ..)| *of == Of::Tokens);
    Allowed {
        requests: requests.map(|(_, left, until_ms)| (left, until_ms)).min_by_key(tightest),
        tokens: tokens.map(|(_, left, until_ms)| (left, until_ms)).min_by_key(tightest),
    }
}

/// When a limit is whole again, in milliseconds since the epoch: a date, a wait such as `6m0s`,
/// `1.5s`, `20ms`, or plain seconds; or the time itself as a number.
fn reset_ms(text: &str, now_ms: u64) -> Option<u64> {
    let number = || text.parse::<f64>().ok();
    let ms = |seconds: f64| {
        let time = Duration::try_from_secs_f64(seconds).ok()?;
        u64::try_from(time.as_millis()).ok()
    };
    match number() {
        Some(at) if at >= EPOCH_MS_MIN => ms(at / 1_000.0),
        Some(at) if at >= EPOCH_S_MIN => ms(at),
        _ => clock::rfc3339_ms(text).or_else(|| Some(now_ms.saturating_add(wait_ms(text)?))),
    }
}

/// How long the words of a refusal for a rate limit ask to be left alone: `Please try again in
/// 14.036s`, `Try again in 17 seconds`.
pub(super) fn wait_in_words(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    let after = AGAIN_IN.iter().find_map(|begins| message.split_once(begins))?.1;
    let mut words = after.split_ascii_whitespace();
    let mut word = || words.next().map(|word| word.trim_end_matches(['.', ',', ';', ')']));
    let amount = word()?;
    // A bare number is followed by its unit.
    let unit = match amount.ends_with(|c: char| c.is_ascii_digit()).then(word).flatten() {
        Some(unit) if unit == "ms" || unit.starts_with("milli") => "ms",
        Some(unit) if unit.starts_with("minute") => "m",
        Some(unit) if unit.starts_with("hour") => "h",
        Some(_) | None => "",
    };
    wait_ms(&format!("{amount}{unit}")).map(Duration::from_millis)
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
    let wait = Duration::try_from_secs_f64(total_ms / 1_000.0).ok()?;
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
    fn a_wait_is_read_from_the_words_of_a_refusal() {
        for (words, ms) in [
            (
                "Limit 250000, Used 250000, Requested 58487. Please try again in 14.036s. Visit",
                14_036,
            ),
            ("Rate limit reached on tokens per min (TPM). Please try again in 28ms.", 28),
            ("Rate limit is exceeded. Try again in 17 seconds.", 17_000),
            ("Please try again in 1m12.5s", 72_500),
            ("Try again in 2 minutes.", 120_000),
            ("You exceeded your current quota.\nPlease retry in 36.387548217s.", 36_387),
        ] {
            assert_eq!(wait_in_words(words), Some(Duration::from_millis(ms)), "{words}");
        }
        for words in ["Please try again later.", "Try again in a while", "try again in ", ""] {
            assert_eq!(wait_in_words(words), None, "{words}");
        }
    }

    #[test]
    fn the_tightest_limit_counts_and_none_for_long() {
        let requests = |pairs: &[_]| allowed(&headers(pairs), 1_000).requests;
        let both = [
            ("x-ratelimit-remaining-requests", "7"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        assert_eq!(requests(&both), Some((0, 61_000)));
        let some = [
            ("x-ratelimit-remaining-requests", "7"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "12"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        assert_eq!(requests(&some), Some((7, 2_000)));
        assert_eq!(allowed(&headers(&some), 1_000).tokens, Some((12, 61_000)));
        let dated = [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "1970-01-01T00:00:05Z"),
        ];
        assert_eq!(requests(&dated), Some((0, 5_000)));
        assert_eq!(allowed(&headers(&[]), 1_000), Allowed::default());
    }

    #[test]
    fn limits_of_tokens_alone_combined_ones_and_those_without_a_time_are_learnt() {
        let learnt = |pairs: &[_], now_ms| allowed(&headers(pairs), now_ms);
        let tokens = learnt(&[("x-ratelimit-remaining-tokens", "1200")], 1_000);
        assert_eq!(tokens, Allowed { requests: None, tokens: Some((1_200, 3_000)) });
        let combined = learnt(
            &[
                ("anthropic-ratelimit-tokens-remaining", "900"),
                ("anthropic-ratelimit-tokens-reset", "1970-01-01T00:00:09Z"),
                ("anthropic-ratelimit-input-tokens-remaining", "2000"),
                ("anthropic-ratelimit-input-tokens-reset", "1970-01-01T00:00:07Z"),
                ("anthropic-ratelimit-output-tokens-remaining", "5"),
                ("anthropic-ratelimit-output-tokens-reset", "1970-01-01T00:00:08Z"),
            ],
            1_000,
        );
        assert_eq!(combined, Allowed { requests: None, tokens: Some((900, 9_000)) });
        let now_ms = 1_741_305_590_000;
        for reset in ["1741305600000", "1741305600"] {
            let plain = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)];
            assert_eq!(learnt(&plain, now_ms).requests, Some((0, 1_741_305_600_000)), "{reset}");
        }
    }
}
