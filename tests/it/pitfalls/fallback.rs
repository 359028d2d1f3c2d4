//! Which failures are tried elsewhere, and that a stream's failure before its first content is one
//! of them. Dear spares stand behind cheap providers, so that it is known who is asked first.

use anyhow::{Context, Result};
use serde_json::Value;
use turnpike_simulate::{Failure, Rule};
use turnpike_tests::{ORG, Stage};

use super::speech::Ask;
use super::world::{SPOKEN, dear_spares, fail_pair, pair};

/// A stage on which no breaker opens.
async fn open() -> Result<Stage> {
    let environment = vec![("TURNPIKE__ROUTING__BREAKER_FAILURES", "1000")];
    Stage::open_with(turnpike_tests::Setup { environment, ..dear_spares() }).await
}

/// The first of a pair fails so.
fn fail_first(stage: &Stage, name: &str, failure: &Failure) -> Result<()> {
    Ok(stage.simulator.fail(name, &[Rule::always(failure.clone())])?)
}

/// Nothing fails any more, and what has failed is believed to be available again.
async fn heal(stage: &Stage, ask: &Ask<'_>, name: &str) -> Result<()> {
    fail_pair(stage, name, None)?;
    for _ in 0..6 {
        ask.say(&stage.caller).await?.expect_answer()?;
    }
    Ok(())
}

async fn attempts(stage: &Stage, id: &str) -> Result<Vec<Value>> {
    let explanation = stage.explanation(ORG, id).await?;
    explanation["attempts"].as_array().cloned().context("attempts")
}

#[tokio::test]
async fn pitfall_58_a_providers_trouble_is_tried_elsewhere() -> Result<()> {
    let stage = open().await?;
    for (name, dialect) in SPOKEN {
        let model = format!("sim/{name}");
        let ask = Ask::of(dialect, &model, "hello there");
        for status in [408, 429, 500, 502, 503, 529] {
            fail_first(&stage, name, &Failure::status(status))?;
            let said = ask.say(&stage.caller).await?.expect_answer()?;
            assert_eq!(said.text(), "hello there", "{name} {status}");
            let [_, spare] = pair(name);
            assert_eq!(said.answered.header("x-turnpike-provider"), spare, "{name} {status}");
            let attempts = attempts(&stage, said.id()).await?;
            assert_eq!(attempts[0]["status"], status, "{name}: {attempts:#?}");
            assert_eq!(attempts.len(), 2, "{name} {status}: {attempts:#?}");
            heal(&stage, &ask, name).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn pitfall_58_the_callers_own_mistake_is_not_tried_elsewhere() -> Result<()> {
    let stage = open().await?;
    for (name, dialect) in SPOKEN {
        let model = format!("sim/{name}");
        for status in [400, 413, 422] {
            fail_first(&stage, name, &Failure::status(status))?;
            stage.simulator.forget();
            let said = Ask::of(dialect, &model, "hello").say(&stage.caller).await?;
            assert_eq!(said.answered.status, status, "{name}: {}", said.answered.text);
            said.error()?;
            assert_eq!(stage.simulator.all_requests().len(), 1, "{name} {status}");
        }
    }
    assert_eq!(stage.settled_balance(ORG).await?.spent, 0);
    Ok(())
}

/// Decision 004: a refused credential is the operator's to mend, loudly; nobody else is asked for a
/// model by name, and the caller is not told that its own key is wrong. (After a 401 the offer
/// rests: decision 041.)
#[tokio::test]
async fn pitfall_58_a_refused_credential_of_ours_is_not_blamed_on_the_caller() -> Result<()> {
    let stage = open().await?;
    for (name, dialect) in SPOKEN {
        let model = format!("sim/{name}");
        for status in [403, 401] {
            fail_first(&stage, name, &Failure::status(status))?;
            stage.simulator.forget();
            let said = Ask::of(dialect, &model, "hello").say(&stage.caller).await?;
            assert_eq!(said.answered.status, 502, "{name} {status}: {}", said.answered.text);
            let (_, message) = said.error()?;
            assert!(message.contains(&format!("providers.{name}.api_key")), "{message}");
            assert_eq!(said.answered.header("x-should-retry"), "false");
            assert_eq!(stage.simulator.all_requests().len(), 1, "{name} {status}");
            assert_eq!(attempts(&stage, said.id()).await?[0]["outcome"], "credential");
        }
    }
    let alert = "a provider refused our credential";
    assert!(stage.log()?.contains(alert), "the operator is told");
    assert_eq!(stage.settled_balance(ORG).await?.spent, 0);
    Ok(())
}

#[tokio::test]
async fn pitfall_60_a_stream_that_fails_before_its_content_is_tried_elsewhere() -> Result<()> {
    let stage = open().await?;
    let failures =
        [Failure::ErrorEvent { chunks: 0 }, Failure::DieBeforeContent, Failure::HeadersThenHang];
    for (name, _) in SPOKEN {
        let model = format!("sim/{name}");
        for (caller, dialect) in SPOKEN {
            for failure in &failures {
                let ask = Ask::of(dialect, &model, "hello there").streamed(true);
                fail_first(&stage, name, failure)?;
                let said = ask.say(&stage.caller).await?.expect_answer()?;
                let at = format!("{caller} to {name} with {failure:?}");
                assert_eq!(said.text(), "hello there", "{at}: {}", said.answered.text);
                assert!(said.finish().is_some(), "{at}: {}", said.answered.text);
                let attempts = attempts(&stage, said.id()).await?;
                assert_eq!(attempts.len(), 2, "{at}: {attempts:#?}");
                assert_ne!(attempts[0]["outcome"], "answered", "{at}");
                // The provider had said 200: only what came behind it told.
                assert_eq!(attempts[0]["status"], 200, "{at}: {attempts:#?}");
                heal(&stage, &ask, name).await?;
            }
        }
    }
    Ok(())
}
