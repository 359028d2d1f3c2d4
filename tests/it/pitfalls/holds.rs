//! Streams of providers that write on past the bound they were given: more is held for them while
//! there is more, and else they end as if they had reached their length. No balance is overdrawn.

use anyhow::{Context, Result};
use serde_json::json;
use turnpike_simulate::AnswerScript;
use turnpike_tests::{Caller, Stage, pico};

use super::speech::{Ask, Said};
use super::world::{OUTPUT_PICO, SPOKEN, change_all, open};

/// What a caller asks for at most, and what the provider writes all the same.
const LIMIT: u32 = 300;
const WRITTEN: u64 = 3_000;
/// Enough for the prompt and the limit, and not for twice as much.
const CREDIT_USD: &str = "0.001";
const PROMPT: &str = "tell me everything";

/// Every provider writes on, in pieces that come one after the other.
async fn talkative() -> Result<Stage> {
    let stage = open().await?;
    change_all(&stage, |model| {
        model.answer = AnswerScript::Lorem { tokens: WRITTEN };
        model.ignores_limit = true;
        model.tokens_per_second = 2_000;
        model.chunk_tokens = 20;
    })?;
    Ok(stage)
}

async fn stream(caller: &Caller, said: (&str, turnpike_simulate::Dialect)) -> Result<Said> {
    let model = format!("sim/{}", said.0);
    let ask = Ask { limit: LIMIT, ..Ask::of(said.1, &model, PROMPT) };
    ask.streamed(true).say(caller).await?.expect_answer()
}

#[tokio::test]
async fn pitfall_50_a_stream_whose_money_runs_out_ends_at_its_length() -> Result<()> {
    let stage = talkative().await?;
    for (caller, dialect) in SPOKEN {
        for (provider, _) in SPOKEN {
            let org = format!("{caller}-{provider}");
            let poor = stage.add_org(&org, CREDIT_USD).await?;
            let said = stream(&poor, (provider, dialect)).await?;
            let last = said.payloads().last().cloned().context("an end")?;
            let finish = said.finish().with_context(|| format!("{org}: no finish: {last}"))?;
            let words = ["length", "max_output_tokens", "max_tokens", "MAX_TOKENS"];
            assert!(words.contains(&finish.as_str()), "{org}: {finish}");
            let text = said.text();
            assert!(text.len() > 1_000, "{org}: what could be paid came: {}", text.len());
            let after = stage.settled_balance(&org).await?;
            assert_eq!(after.total(), pico(CREDIT_USD)?, "{org}");
            assert!(after.spent > 0, "{org}: {after:?}");
            let explanation = stage.explanation(&org, said.id()).await?;
            assert_eq!(explanation["settlement"], "partial", "{org}: {explanation:#}");
            let detail = explanation["attempts"][0]["detail"].as_str().unwrap_or_default();
            assert!(detail.contains("no more money"), "{org}: {explanation:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn pitfall_50_more_is_held_for_a_long_stream_while_there_is_more() -> Result<()> {
    let mut stage = talkative().await?;
    for spoken in SPOKEN {
        let rich = stage.add_org(spoken.0, "1").await?;
        let said = stream(&rich, spoken).await?;
        let explanation = stage.explanation(spoken.0, said.id()).await?;
        assert_eq!(explanation["settlement"], "complete", "{explanation:#}");
        assert_eq!(explanation["usage"]["output_text"], json!(WRITTEN), "{explanation:#}");
        let cost = pico(explanation["cost_usd"].as_str().context("a cost")?)?;
        let held = pico(explanation["hold_usd"].as_str().context("a hold")?)?;
        assert!(cost >= u128::from(WRITTEN) * OUTPUT_PICO && cost > held, "{cost} of {held}");
        assert_eq!(explanation["absorbed_usd"], "0.000000", "all of it is paid");
        assert_eq!(stage.settled_balance(spoken.0).await?.spent, cost);
    }
    stage.stop().await?;
    let data = stage.data_folder();
    let data = data.to_str().context("a path")?;
    let check = stage.program(&["ledger", "check", "--data", data]).await?;
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    Ok(())
}
