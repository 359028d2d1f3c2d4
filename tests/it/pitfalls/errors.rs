//! Errors of providers as callers see them: in the caller's own dialect, soon, with the time to
//! wait, and byte for byte where caller and provider speak alike.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use turnpike_simulate::{Dialect, Failure};
use turnpike_tests::{ORG, Setup, Stage};

use super::speech::Ask;
use super::world::{SPOKEN, change_all, fail_all, fail_pair, setup};

/// All questions of a test together, whose providers say nothing: some attempts of less than a
/// second each, on a busy machine.
const ALL_MAX: Duration = Duration::from_secs(60);

/// Providers are given up after less than a second, and no breaker ends a table of failures early.
fn impatient() -> Setup {
    let environment = vec![
        ("TURNPIKE__ROUTING__BREAKER_FAILURES", "1000"),
        ("TURNPIKE__TIMEOUTS__FIRST_BYTE_MS", "700"),
        ("TURNPIKE__TIMEOUTS__FIRST_CONTENT_MS", "700"),
        ("TURNPIKE__TIMEOUTS__ANSWER_MS", "700"),
        ("TURNPIKE__TIMEOUTS__IDLE_MS", "700"),
    ];
    Setup { environment, ..setup() }
}

/// Every caller's dialect with every provider's, streamed and not: the error's status and type.
async fn every_pair(stage: &Stage, text: &str) -> Result<Vec<(String, u16, String)>> {
    let mut asked = Vec::new();
    for (caller, dialect) in SPOKEN {
        for (provider, _) in SPOKEN {
            for stream in [false, true] {
                asked.push((caller, dialect, provider, stream));
            }
        }
    }
    let each = asked.into_iter().map(|(caller, dialect, provider, stream)| async move {
        let model = format!("sim/{provider}");
        let ask = Ask::of(dialect, &model, text).streamed(stream);
        let said = ask.say(&stage.caller).await?;
        let at = format!("{caller} to {provider}, streamed: {stream}");
        let (kind, message) = said.error().with_context(|| at.clone())?;
        assert!(!message.is_empty(), "{at}");
        Ok::<_, anyhow::Error>((at, said.answered.status, kind))
    });
    tokio::time::timeout(ALL_MAX, try_join_all(each)).await.context("an error came too late")?
}

#[tokio::test]
async fn pitfall_24_a_provider_that_hangs_is_an_error_of_the_callers_protocol() -> Result<()> {
    let stage = Stage::open_with(impatient()).await?;
    fail_all(&stage, Some(&Failure::HangBeforeHeaders))?;
    for (at, status, _) in every_pair(&stage, "hello").await? {
        assert_eq!(status, 504, "{at}");
    }
    assert_eq!(stage.settled_balance(ORG).await?.spent, 0);
    Ok(())
}

#[tokio::test]
async fn pitfall_24_a_provider_that_fails_is_an_error_of_the_callers_protocol() -> Result<()> {
    let stage = Stage::open_with(impatient()).await?;
    for failure in [Failure::CloseBeforeHeaders, Failure::status(500)] {
        fail_all(&stage, Some(&failure))?;
        for (at, status, _) in every_pair(&stage, "hello").await? {
            assert!([500, 502].contains(&status), "{at}: {status}");
        }
    }
    assert_eq!(stage.settled_balance(ORG).await?.spent, 0);
    Ok(())
}

#[tokio::test]
async fn pitfall_24_a_stream_that_falls_silent_ends_with_the_callers_own_error() -> Result<()> {
    let stage = Stage::open_with(impatient()).await?;
    fail_all(&stage, Some(&Failure::HangAfter { chunks: 2 }))?;
    // The content is to go out before the silence.
    change_all(&stage, |model| model.tokens_per_second = 20)?;
    for (at, status, kind) in every_pair(&stage, "one two three four five").await? {
        let streamed = at.ends_with("true");
        assert_eq!(status == 200, streamed, "{at}: {status} {kind}");
        assert!(kind != "invalid_request_error" && kind != "INVALID_ARGUMENT", "{at}: {kind}");
    }
    Ok(())
}

#[tokio::test]
async fn pitfall_59_the_wait_is_told_also_when_everything_is_resting() -> Result<()> {
    let stage = Stage::open_with(impatient()).await?;
    let failure = Failure::Status { status: 429, retry_after_s: Some(17), echo: false };
    fail_all(&stage, Some(&failure))?;
    for (index, (caller, dialect)) in SPOKEN.into_iter().enumerate() {
        // One of another dialect, and each its own: a provider rests after the first refusal.
        let (provider, _) = SPOKEN[(index + 1) % SPOKEN.len()];
        let model = format!("sim/{provider}");
        // What rests because of a limit is over a limit, not out of order.
        for resting in [false, true] {
            let said = Ask::of(dialect, &model, "hello").say(&stage.caller).await?;
            let at = format!("{caller} to {provider}: {}", said.answered.text);
            assert_eq!(said.answered.status, 429, "{at}");
            said.error()?;
            let wait: u64 = said.answered.header("retry-after").parse().context(at.clone())?;
            assert!((1..=17).contains(&wait) && (wait == 17 || resting), "{wait}: {at}");
            if dialect == Dialect::Gemini {
                let delay = format!("\"retryDelay\":\"{wait}s\"");
                assert!(said.answered.text.contains(&delay), "{at}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn pitfall_59_a_rest_after_an_outage_is_no_rate_limit() -> Result<()> {
    let stage = Stage::open_with(impatient()).await?;
    let failure = Failure::Status { status: 503, retry_after_s: Some(17), echo: false };
    fail_all(&stage, Some(&failure))?;
    let (provider, _) = SPOKEN[0];
    let model = format!("sim/{provider}");
    let ask = Ask::of(Dialect::OpenAiChat, &model, "hello");
    ask.say(&stage.caller).await?.error()?;
    let resting = ask.say(&stage.caller).await?;
    assert_eq!(resting.answered.status, 503, "{}", resting.answered.text);
    let wait: u64 = resting.answered.header("retry-after").parse()?;
    assert!((1..=17).contains(&wait), "{wait}");
    Ok(())
}

/// An error body as no library would write it.
fn odd_body(dialect: Dialect, status: u16) -> String {
    match dialect {
        Dialect::AnthropicMessages => format!(
            "{{ \"type\":\"error\",\n  \"error\": {{\"type\":\"x_{status}\",\"message\":\"prompt \
             is too long: 201\\u00e9 tokens\"}}, \"request_id\":\"req_up\", \"new_member\":[1 ,2]}}"
        ),
        Dialect::Gemini => format!(
            "{{\n \"error\": {{\"code\": {status}, \"message\" : \"T\\u00f6o much\", \"status\": \
             \"X_{status}\", \"details\": [ ]}} }}"
        ),
        _ => format!(
            "{{\"error\" : {{ \"message\": \"T\\u00f6o much\", \"type\":\"x_{status}\", \
             \"param\":null,\"code\":null, \"new_member\": {{}} }}}}"
        ),
    }
}

#[tokio::test]
async fn pitfall_66_an_error_of_the_callers_own_dialect_passes_byte_for_byte() -> Result<()> {
    let stage = Stage::open_with(impatient()).await?;
    for (name, dialect) in SPOKEN {
        let model = format!("sim/{name}");
        // The last one makes the providers rest.
        for status in [400, 413, 422, 500, 529, 429] {
            let mut headers = BTreeMap::new();
            headers.insert("content-type".to_owned(), "application/json; x=1".to_owned());
            headers.insert("request-id".to_owned(), "req_up".to_owned());
            if status == 429 {
                headers.insert("retry-after".to_owned(), "9".to_owned());
            }
            let body = odd_body(dialect, status);
            let failure = Failure::Raw { status, headers, body: body.clone() };
            fail_pair(&stage, name, Some(&failure))?;
            for stream in [false, true] {
                if stream && status == 429 {
                    continue;
                }
                let ask = Ask::of(dialect, &model, "hello").streamed(stream);
                let answered = ask.say(&stage.caller).await?.answered;
                let at = format!("{name} {status}, streamed: {stream}");
                assert_eq!(answered.status, status, "{at}: {}", answered.text);
                assert_eq!(answered.text, body, "{at}");
                assert_eq!(answered.header("content-type"), "application/json; x=1", "{at}");
                assert_ne!(answered.request_id(), "", "{at}");
                assert_eq!(answered.header("request-id"), "req_up", "{at}");
                let wait = if status == 429 { "9" } else { "" };
                assert_eq!(answered.header("retry-after"), wait, "{at}");
            }
        }
    }
    assert_eq!(stage.settled_balance(ORG).await?.spent, 0);
    Ok(())
}
