//! Callers that leave a stream before its usage: what was generated is charged, and never less than
//! what was delivered, in whatever dialects caller and provider speak.

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde_json::Value;
use turnpike_simulate::{AnswerScript, Dialect, Failure};
use turnpike_tests::{Caller, Stage, pico};

use super::speech::{Ask, read_to};
use super::world::{INPUT_PICO, OUTPUT_PICO, SPOKEN, change_all, fail_all, open};

/// Tokens of each answer, and how much of one a caller reads.
const WRITTEN: u64 = 120;
const READ_BYTES: usize = 60;

/// An answer takes seconds, so that a caller can leave in its middle, also on a busy machine.
async fn slow() -> Result<Stage> {
    let stage = open().await?;
    change_all(&stage, |model| {
        model.answer = AnswerScript::Lorem { tokens: WRITTEN };
        model.tokens_per_second = 30;
    })?;
    Ok(stage)
}

/// Reads the beginning of a stream and leaves: the request's id, and what had come.
async fn leave(caller: &Caller, dialect: Dialect, provider: &str) -> Result<(String, String)> {
    let model = format!("sim/{provider}");
    let ask = Ask::of(dialect, &model, "tell me").streamed(true);
    let mut response = caller.open(&ask.path(), &ask.body(), &[]).await?;
    let id = response.headers().get("x-request-id").context("an id")?.to_str()?.to_owned();
    let text = read_to(&mut response, dialect, READ_BYTES).await?;
    Ok((id, text))
}

/// Every caller's dialect with every provider's: its explanation, and what the caller had read.
async fn everybody_leaves(stage: &Stage) -> Result<Vec<(String, Value, String)>> {
    let pairs = SPOKEN.into_iter().flat_map(|caller| SPOKEN.map(|provider| (caller, provider)));
    let each = pairs.map(|((caller, dialect), (provider, _))| async move {
        let org = format!("{caller}-{provider}");
        let one = stage.add_org(&org, "1").await?;
        let (id, text) = leave(&one, dialect, provider).await?;
        let explanation = stage.explanation(&org, &id).await?;
        let spent = stage.settled_balance(&org).await?.spent;
        let cost = pico(explanation["cost_usd"].as_str().context("a cost")?)?;
        assert_eq!(spent, cost, "{org}: {explanation:#}");
        Ok::<_, anyhow::Error>((org, explanation, text))
    });
    try_join_all(each).await
}

fn tokens(explanation: &Value, name: &str) -> Result<u128> {
    explanation["usage"][name].as_u64().map(u128::from).context("a count")
}

#[tokio::test]
async fn pitfall_47_leaving_before_the_usage_does_not_make_a_stream_free() -> Result<()> {
    let stage = slow().await?;
    for (org, explanation, _) in everybody_leaves(&stage).await? {
        assert_eq!(explanation["settlement"], "partial", "{org}: {explanation:#}");
        assert_eq!(explanation["usage_source"], "provider", "{org}: the provider was read on");
        let (input, output) =
            (tokens(&explanation, "input_uncached")?, tokens(&explanation, "output_text")?);
        assert_eq!(output, u128::from(WRITTEN), "{org}: all that was generated");
        let cost = pico(explanation["cost_usd"].as_str().context("a cost")?)?;
        assert_eq!(cost, input * INPUT_PICO + output * OUTPUT_PICO, "{org}");
    }
    Ok(())
}

/// The provider dies once the caller has gone, so no usage ever comes.
#[tokio::test]
async fn pitfall_48_what_was_delivered_is_the_least_that_is_charged() -> Result<()> {
    let stage = slow().await?;
    fail_all(&stage, Some(&Failure::DieAfter { chunks: 110 }))?;
    for (org, explanation, text) in everybody_leaves(&stage).await? {
        assert_eq!(explanation["settlement"], "partial", "{org}: {explanation:#}");
        assert_eq!(explanation["attempts"][0]["outcome"], "died", "{org}: {explanation:#}");
        let output = tokens(&explanation, "output_text")?;
        assert!(output >= (text.len() as u128).div_ceil(4), "{org}: {output} for {}", text.len());
        let cost = pico(explanation["cost_usd"].as_str().context("a cost")?)?;
        assert!(cost >= output * OUTPUT_PICO && output > 0, "{org}: {cost}");
    }
    Ok(())
}
