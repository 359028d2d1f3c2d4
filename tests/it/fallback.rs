//! Providers that fail: before the first content the next candidate answers and only it is paid;
//! after content nothing is replayed, and the stream ends legally.

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::task::JoinSet;
use turnpike_simulate::{Failure, Rule};
use turnpike_tests::{ORG, PROVIDERS, Setup, Stage, chat, pico};

/// The provider that `auto` chooses first for this prompt.
async fn first_choice(stage: &Stage, text: &str) -> Result<String> {
    let answer = stage.caller.chat(&chat("auto", text)).await?.expect_status(200)?;
    let explanation = stage.explanation(ORG, answer.request_id()).await?;
    stage.simulator.forget();
    provider_of(&explanation["attempts"][0])
}

fn provider_of(attempt: &Value) -> Result<String> {
    let offer = attempt["offer"].as_str().context("an offer")?;
    Ok(offer.rsplit('@').next().unwrap_or("").to_owned())
}

/// One failing provider, one caller, streamed or not: the caller never notices.
async fn falls_back(failure: Failure, stream: bool) -> Result<()> {
    let text = "What is the capital of France?";
    let stage = Stage::open().await?;
    let provider = first_choice(&stage, text).await?;
    stage.simulator.fail(&provider, &[Rule::always(failure.clone())])?;
    let before = stage.settled_balance(ORG).await?;
    let id = if stream {
        let mut answer = stage.caller.stream(&chat("auto", text)).await?;
        answer.read().await?;
        assert!(answer.complete(), "{failure:?}: {:?}", answer.chunks);
        assert_eq!(answer.text(), text, "{failure:?}");
        answer.request_id
    } else {
        let answer = stage.caller.chat(&chat("auto", text)).await?.expect_status(200)?;
        assert_eq!(answer.content(), text, "{failure:?}");
        answer.request_id().to_owned()
    };
    let explanation = stage.explanation(ORG, &id).await?;
    let attempts = explanation["attempts"].as_array().context("attempts")?;
    assert!(attempts.len() >= 2, "{failure:?}: {attempts:#?}");
    assert_eq!(provider_of(&attempts[0])?, provider);
    assert_ne!(attempts[0]["outcome"], attempts[attempts.len() - 1]["outcome"]);
    assert_ne!(provider_of(attempts.last().context("one")?)?, provider, "{attempts:#?}");
    let cost = pico(explanation["cost_usd"].as_str().context("a cost")?)?;
    let after = stage.settled_balance(ORG).await?;
    assert_eq!(before.available - after.available, cost, "only the answer is paid");
    let reached = |name: &str| !stage.simulator.requests(name).is_empty();
    let others = PROVIDERS.iter().filter(|(name, _)| *name != provider && reached(name)).count();
    assert!(reached(&provider) && others == 1, "one failing and one answering provider were asked");
    Ok(())
}

#[tokio::test]
async fn a_provider_that_answers_500() -> Result<()> {
    falls_back(Failure::status(500), false).await?;
    falls_back(Failure::status(500), true).await
}

/// Pitfall 58: 429 was taken for final.
#[tokio::test]
async fn a_provider_that_answers_429_or_529() -> Result<()> {
    falls_back(Failure::Status { status: 429, retry_after_s: Some(30), echo: false }, false)
        .await?;
    falls_back(Failure::status(529), true).await
}

#[tokio::test]
async fn a_provider_that_hangs_before_its_headers() -> Result<()> {
    falls_back(Failure::HangBeforeHeaders, false).await
}

/// Pitfall 60: a stream opened lazily escaped the retry loop.
#[tokio::test]
async fn a_provider_that_hangs_after_its_headers() -> Result<()> {
    falls_back(Failure::HeadersThenHang, true).await
}

#[tokio::test]
async fn a_provider_that_closes_before_its_headers() -> Result<()> {
    falls_back(Failure::CloseBeforeHeaders, true).await?;
    falls_back(Failure::CloseBeforeHeaders, false).await
}

/// Pitfalls 11 and 35: the role chunk is no content, and must not be shown before there is some.
#[tokio::test]
async fn a_stream_that_dies_before_its_first_content() -> Result<()> {
    falls_back(Failure::DieBeforeContent, true).await
}

#[tokio::test]
async fn a_whole_body_that_breaks_off_or_is_no_json() -> Result<()> {
    falls_back(Failure::DieAfter { chunks: 0 }, false).await?;
    falls_back(Failure::Malformed { chunks: 0 }, false).await
}

#[tokio::test]
async fn an_error_event_before_content() -> Result<()> {
    falls_back(Failure::ErrorEvent { chunks: 0 }, true).await
}

/// A stream that fails after content: text so far, a legal error, nothing paid, nothing replayed.
async fn ends_legally(failure: Failure) -> Result<()> {
    let text = "one two three four five six seven eight";
    let stage = Stage::open().await?;
    for (provider, models) in PROVIDERS {
        stage.simulator.fail(provider, &[Rule::always(failure.clone())])?;
        for model in models {
            // Slow enough that the content has gone out when the failure comes: what arrives in
            // one read with the first content is still a fallback, since nobody has seen it.
            stage.simulator.change(provider, model, |model| model.tokens_per_second = 20)?;
        }
    }
    let before = stage.balance(ORG).await?;
    let mut answer = stage.caller.stream(&chat("auto", text)).await?;
    assert_eq!(answer.status, 200);
    answer.read().await?;
    assert!(!answer.text().is_empty() && text.starts_with(&answer.text()), "{}", answer.text());
    let error = answer.error().with_context(|| format!("{failure:?}: {:?}", answer.chunks))?;
    for key in ["message", "type", "param", "code"] {
        assert!(error.get(key).is_some(), "{key} in {error}");
    }
    assert!(!answer.broken, "the stream ends by the protocol, not by a broken connection");
    assert_eq!(stage.simulator.all_requests().len(), 1, "nothing is replayed after content");
    let after = stage.settled_balance(ORG).await?;
    assert_eq!(after, before, "a stream that died is not billed by default");
    let explanation = stage.explanation(ORG, &answer.request_id).await?;
    assert_eq!(pico(explanation["cost_usd"].as_str().context("a cost")?)?, 0);
    assert_eq!(explanation["attempts"].as_array().map(Vec::len), Some(1));
    Ok(())
}

/// Pitfalls 44 and 61.
#[tokio::test]
async fn a_stream_that_dies_after_content() -> Result<()> {
    ends_legally(Failure::DieAfter { chunks: 3 }).await
}

#[tokio::test]
async fn a_stream_that_hangs_after_content() -> Result<()> {
    ends_legally(Failure::HangAfter { chunks: 3 }).await
}

#[tokio::test]
async fn a_stream_with_an_error_event_after_content() -> Result<()> {
    ends_legally(Failure::ErrorEvent { chunks: 3 }).await
}

/// Pitfalls 42 and 59: the last failure reaches the caller with its status and its wait.
#[tokio::test]
async fn when_all_fail_the_caller_gets_an_error_and_pays_nothing() -> Result<()> {
    let stage = Stage::open().await?;
    let failure = Failure::Status { status: 429, retry_after_s: Some(17), echo: false };
    for (provider, _) in PROVIDERS {
        stage.simulator.fail(provider, &[Rule::always(failure.clone())])?;
    }
    let before = stage.balance(ORG).await?;
    let answer = stage.caller.chat(&chat("auto", "hello")).await?;
    assert!([429, 502, 503].contains(&answer.status), "{}: {}", answer.status, answer.text);
    assert!(!answer.header("retry-after").is_empty(), "{:?}", answer.headers);
    assert!(answer.body["error"]["message"].is_string(), "{}", answer.text);
    assert_eq!(stage.settled_balance(ORG).await?, before);
    Ok(())
}

/// Pitfall 58: what the caller did wrong is not tried elsewhere.
#[tokio::test]
async fn a_provider_that_answers_400_is_believed() -> Result<()> {
    let stage = Stage::open().await?;
    for (provider, _) in PROVIDERS {
        stage.simulator.fail(provider, &[Rule::always(Failure::status(400))])?;
    }
    stage.caller.chat(&chat("auto", "hello")).await?.expect_status(400)?;
    assert_eq!(stage.simulator.all_requests().len(), 1);
    assert_eq!(stage.settled_balance(ORG).await?.spent, 0);
    Ok(())
}

/// Pitfalls 41 and 45: no usage from the provider means a marked estimate, not a free answer.
#[tokio::test]
async fn an_answer_without_usage_is_counted_locally_and_marked() -> Result<()> {
    let stage = Stage::open().await?;
    for (provider, _) in PROVIDERS {
        stage.simulator.fail(provider, &[Rule::always(Failure::MissingUsage)])?;
    }
    let mut answer = stage.caller.stream(&chat("auto", "one two three four")).await?;
    answer.read().await?;
    assert_eq!(answer.text(), "one two three four");
    let explanation = stage.explanation(ORG, &answer.request_id).await?;
    assert_eq!(explanation["usage_source"], "estimated", "{explanation:#}");
    assert!(stage.settled_balance(ORG).await?.spent > 0);
    Ok(())
}

/// Pitfall 36: a network read is not an event; whatever the provider's writes, the text is whole.
#[tokio::test]
async fn a_stream_that_drips_byte_by_byte_is_whole() -> Result<()> {
    let stage = Stage::open().await?;
    for (provider, _) in PROVIDERS {
        let drip = Failure::SlowDrip { bytes: 5, pause_ms: 0 };
        stage.simulator.fail(provider, &[Rule::always(drip)])?;
    }
    let text = "größer 😀 über alles";
    let mut answer = stage.caller.stream(&chat("auto", text)).await?;
    answer.read().await?;
    assert!(answer.complete());
    assert_eq!(answer.text(), text);
    Ok(())
}

/// Several wait for a provider that has fallen silent: they go to the next long before its time is
/// over, and pay for the answer alone.
#[tokio::test]
async fn who_waits_in_vain_with_others_asks_the_next() -> Result<()> {
    let text = "What is the capital of France?";
    // Longer than the test may take: nobody gets an answer by the time-out.
    let environment = vec![("TURNPIKE__TIMEOUTS__FIRST_BYTE_MS", "600000")];
    let stage = Stage::open_with(Setup { environment, ..Setup::default() }).await?;
    let provider = first_choice(&stage, text).await?;
    stage.simulator.fail(&provider, &[Rule::always(Failure::HangBeforeHeaders)])?;
    let before = stage.settled_balance(ORG).await?;
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let caller = stage.caller.clone();
        callers.spawn(async move {
            let mut answer = caller.stream(&chat("auto", text)).await?;
            answer.read().await?;
            anyhow::Ok(answer)
        });
    }
    let mut cost = 0;
    for answer in callers.join_all().await {
        let answer = answer?;
        assert_eq!(answer.text(), text);
        let explanation = stage.explanation(ORG, &answer.request_id).await?;
        cost += pico(explanation["cost_usd"].as_str().context("a cost")?)?;
        let first = &explanation["attempts"][0];
        assert_eq!(provider_of(first)?, provider);
        assert_eq!(first["outcome"], "timeout", "{first}");
        assert!(first["detail"].as_str().is_some_and(|why| why.contains("silent")), "{first}");
    }
    let after = stage.settled_balance(ORG).await?;
    assert_eq!(before.available - after.available, cost, "only the answers are paid");
    Ok(())
}
