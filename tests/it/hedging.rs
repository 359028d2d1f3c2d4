//! Two offers that are asked side by side: who is first answers, one that fails leaves it to the
//! other, and only the answer is paid.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::Value;
use turnpike_simulate::{Failure, Rule};
use turnpike_tests::{ORG, Setup, Stage, chat, pico};

const TEXT: &str = "What is the capital of France?";

async fn stage() -> Result<Stage> {
    let environment = vec![
        ("TURNPIKE__ROUTING__HEDGE_MS", "100"),
        ("TURNPIKE__TIMEOUTS__FIRST_BYTE_MS", "20000"),
    ];
    Stage::open_with(Setup { environment, ..Setup::default() }).await
}

/// The providers of the first two offers of the plan.
async fn favourites(stage: &Stage) -> Result<(String, String)> {
    let plan = stage.caller.post("/v1/route", &chat("auto:fast", TEXT), &[]).await?;
    let plan = plan.expect_status(200)?.body;
    let provider = |row: usize| {
        let offer = plan["plan"][row].as_str().context("an offer")?;
        anyhow::Ok(offer.rsplit('@').next().unwrap_or("").to_owned())
    };
    Ok((provider(0)?, provider(1)?))
}

/// Streams under `fast`; the attempts, with their providers and outcomes.
async fn asked(stage: &Stage) -> Result<Vec<(String, String)>> {
    let before = stage.settled_balance(ORG).await?;
    let mut answer = stage.caller.stream(&chat("auto:fast", TEXT)).await?;
    answer.read().await?;
    assert_eq!(answer.text(), TEXT);
    let explanation = stage.explanation(ORG, &answer.request_id).await?;
    let cost = pico(explanation["cost_usd"].as_str().context("a cost")?)?;
    let after = stage.settled_balance(ORG).await?;
    assert_eq!(before.available - after.available, cost, "only the answer is paid");
    let attempts = explanation["attempts"].as_array().context("attempts")?;
    let one = |attempt: &Value| {
        let offer = attempt["offer"].as_str().context("an offer")?;
        let outcome = attempt["outcome"].as_str().context("an outcome")?;
        let provider = offer.rsplit('@').next().unwrap_or("");
        Ok((provider.to_owned(), outcome.to_owned()))
    };
    attempts.iter().map(one).collect()
}

fn is(provider: &str, outcome: &str) -> (String, String) {
    (provider.to_owned(), outcome.to_owned())
}

#[tokio::test]
async fn a_rival_that_begins_first_answers_and_the_other_is_cancelled() -> Result<()> {
    let stage = stage().await?;
    let (first, second) = favourites(&stage).await?;
    stage.simulator.fail(&first, &[Rule::always(Failure::HangBeforeHeaders)])?;
    let attempts = asked(&stage).await?;
    assert_eq!(attempts, [is(&first, "cancelled"), is(&second, "answered")]);
    Ok(())
}

/// The loser is known for having been slower: unknown, it would be tried for that again and again.
#[tokio::test]
async fn a_loser_is_no_longer_unknown_and_has_not_failed() -> Result<()> {
    let stage = stage().await?;
    let (first, second) = favourites(&stage).await?;
    stage.simulator.fail(&first, &[Rule::always(Failure::HangBeforeHeaders)])?;
    asked(&stage).await?;
    let offers = stage.operate(Method::GET, "/offers", None).await?.expect_status(200)?.body;
    let all = offers["items"].as_array().context("offers")?;
    for provider in [first, second] {
        let seen = |one: &&Value| {
            one["provider"] == provider.as_str() && one["live"]["last_sample_at"].is_string()
        };
        let seen: Vec<&Value> = all.iter().filter(seen).collect();
        assert_eq!(seen.len(), 1, "{provider}: {offers:#}");
        assert_eq!(seen[0]["live"]["availability"], 1.0, "{offers:#}");
    }
    Ok(())
}

/// The first fails while its rival is under way: the rival is waited for, and asked once.
#[tokio::test]
async fn a_rival_answers_when_the_first_fails_beside_it() -> Result<()> {
    let stage = stage().await?;
    let (first, second) = favourites(&stage).await?;
    slow(&stage, &first, 400)?;
    stage.simulator.fail(&first, &[Rule::always(Failure::status(500))])?;
    slow(&stage, &second, 900)?;
    let attempts = asked(&stage).await?;
    assert_eq!(attempts, [is(&first, "error"), is(&second, "answered")]);
    assert_eq!(stage.simulator.requests(&second).len(), 1, "it is asked once");
    Ok(())
}

/// Both fail: a third answers, and nobody is asked twice.
#[tokio::test]
async fn when_both_fail_a_third_answers() -> Result<()> {
    let stage = stage().await?;
    let (first, second) = favourites(&stage).await?;
    for (provider, ms) in [(&first, 400), (&second, 600)] {
        slow(&stage, provider, ms)?;
        stage.simulator.fail(provider, &[Rule::always(Failure::status(500))])?;
    }
    let attempts = asked(&stage).await?;
    let failed = [is(&first, "error"), is(&second, "error")];
    assert!(failed.iter().all(|one| attempts.contains(one)), "{attempts:?}");
    assert_eq!(attempts.last().map(|(_, outcome)| outcome.as_str()), Some("answered"));
    assert_eq!(stage.simulator.requests(&second).len(), 1, "it is asked once");
    Ok(())
}

/// The rival is first and dies before its first content: what the other may cost is put to that one
/// alone.
#[tokio::test]
async fn what_the_loser_may_cost_is_not_put_to_a_winner_that_fails() -> Result<()> {
    let stage = stage().await?;
    let (first, second) = favourites(&stage).await?;
    stage.simulator.fail(&first, &[Rule::always(Failure::HangBeforeHeaders)])?;
    stage.simulator.fail(&second, &[Rule::always(Failure::DieBeforeContent)])?;
    let mut answer = stage.caller.stream(&chat("auto:fast", TEXT)).await?;
    answer.read().await?;
    let explanation = stage.explanation(ORG, &answer.request_id).await?;
    let attempt = |row: usize| {
        let attempt = &explanation["attempts"][row];
        let text = |name: &str| attempt[name].as_str().unwrap_or_default().to_owned();
        (text("outcome"), text("detail").contains("the platform bears"))
    };
    assert_eq!(attempt(0), ("cancelled".to_owned(), true), "{explanation:#}");
    assert_eq!(attempt(1), ("died".to_owned(), false), "{explanation:#}");
    assert_eq!(attempt(2).0, "answered", "a third: {explanation:#}");
    Ok(())
}

/// An answer that comes whole is as slow as it is long: it is waited for, and no other is asked.
#[tokio::test]
async fn an_answer_that_comes_whole_has_no_rival() -> Result<()> {
    let stage = stage().await?;
    let (first, second) = favourites(&stage).await?;
    slow(&stage, &first, 600)?;
    let answer = stage.caller.chat(&chat("auto:fast", TEXT)).await?.expect_status(200)?;
    assert_eq!(answer.header("x-turnpike-provider"), first);
    assert_eq!(stage.simulator.requests(&second).len(), 0, "it has not been asked");
    Ok(())
}

/// Every model of the provider begins to answer, or to fail, after so long.
fn slow(stage: &Stage, provider: &str, ms: u64) -> Result<()> {
    let known = turnpike_tests::PROVIDERS.iter().filter(|(name, _)| *name == provider);
    for model in known.flat_map(|(_, models)| *models) {
        stage.simulator.change(provider, model, |model| model.first_token_ms = ms)?;
    }
    Ok(())
}
