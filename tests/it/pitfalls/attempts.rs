//! Attempts that came to nothing: the caller pays for the answer it got, and what a provider
//! counted for nothing is the platform's, booked and shown as such.

use anyhow::{Context, Result};
use serde_json::Value;
use turnpike_simulate::{Dialect, Failure, Rule};
use turnpike_tests::{ORG, Stage, pico};

use super::speech::Ask;
use super::world::{INPUT_PICO, OUTPUT_PICO, dear_spares, fail_pair};

fn amount(value: &Value, name: &str) -> Result<u128> {
    pico(value[name].as_str().with_context(|| format!("no {name} in {value:#}"))?)
}

/// What the journal says of a request's end.
async fn booked(stage: &mut Stage, id: &str) -> Result<Value> {
    stage.stop().await?;
    let data = stage.data_folder();
    let data = data.to_str().context("a path")?;
    let output = stage.program(&["ledger", "export", "--data", data]).await?;
    let text = String::from_utf8(output.stdout)?;
    let entries = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let ends = entries.into_iter().filter_map(|entry| {
        let event = &entry["event"];
        [&event["capture"], &event["release"]].into_iter().find(|end| end["hold"] == id).cloned()
    });
    let ends: Vec<Value> = ends.collect();
    assert_eq!(ends.len(), 1, "one end: {text}");
    let check = stage.program(&["ledger", "check", "--data", data]).await?;
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    ends.into_iter().next().context("an end")
}

#[tokio::test]
async fn pitfall_49_what_a_failed_attempt_cost_is_absorbed() -> Result<()> {
    let mut stage = Stage::open_with(dear_spares()).await?;
    // It counts the prompt in its first event, and then dies.
    stage.simulator.fail("messages", &[Rule::always(Failure::DieBeforeContent)])?;
    let ask = Ask::of(Dialect::AnthropicMessages, "sim/messages", "hello there").streamed(true);
    let said = ask.say(&stage.caller).await?.expect_answer()?;
    assert_eq!(said.text(), "hello there");
    let explanation = stage.explanation(ORG, said.id()).await?;
    let tokens = |name: &str| explanation["usage"][name].as_u64().map(u128::from).context("usage");
    let input = tokens("input_uncached")?;
    let (cost, absorbed) =
        (amount(&explanation, "cost_usd")?, amount(&explanation, "absorbed_usd")?);
    // The spare costs ten times as much; both count the prompt alike.
    assert_eq!(cost, (input * INPUT_PICO + tokens("output_text")? * OUTPUT_PICO) * 10);
    assert!(absorbed >= input * INPUT_PICO, "{absorbed}: {explanation:#}");
    let detail = explanation["attempts"][0]["detail"].as_str().context("a detail")?;
    assert!(detail.contains("the platform bears"), "{detail}");
    assert_eq!(stage.settled_balance(ORG).await?.spent, cost);
    let capture = booked(&mut stage, said.id()).await?;
    assert_eq!(amount(&capture, "actual")?, cost);
    assert_eq!(amount(&capture, "absorbed")?, absorbed);
    Ok(())
}

#[tokio::test]
async fn pitfall_49_a_request_that_nobody_answered_costs_the_caller_nothing() -> Result<()> {
    let mut stage = Stage::open_with(dear_spares()).await?;
    fail_pair(&stage, "messages", Some(&Failure::DieBeforeContent))?;
    let ask = Ask::of(Dialect::AnthropicMessages, "sim/messages", "hello there").streamed(true);
    let said = ask.say(&stage.caller).await?;
    assert_eq!(said.answered.status, 502, "{}", said.answered.text);
    let explanation = stage.explanation(ORG, said.id()).await?;
    assert_eq!(explanation["settlement"], "failed");
    let absorbed = amount(&explanation, "absorbed_usd")?;
    assert!(absorbed > 0 && amount(&explanation, "cost_usd")? == 0, "{explanation:#}");
    assert_eq!(stage.settled_balance(ORG).await?.spent, 0);
    let release = booked(&mut stage, said.id()).await?;
    assert_eq!(amount(&release, "absorbed")?, absorbed);
    Ok(())
}

#[tokio::test]
async fn pitfall_49_an_attempt_without_a_byte_costs_nobody_anything() -> Result<()> {
    let mut stage = Stage::open_with(dear_spares()).await?;
    stage.simulator.fail("chat", &[Rule::always(Failure::CloseBeforeHeaders)])?;
    let ask = Ask::of(Dialect::OpenAiChat, "sim/chat", "hello there");
    let said = ask.say(&stage.caller).await?.expect_answer()?;
    let explanation = stage.explanation(ORG, said.id()).await?;
    assert_eq!(explanation["attempts"].as_array().map(Vec::len), Some(2));
    assert_eq!(amount(&explanation, "absorbed_usd")?, 0);
    let cost = amount(&explanation, "cost_usd")?;
    assert_eq!(stage.settled_balance(ORG).await?.spent, cost);
    assert_eq!(amount(&booked(&mut stage, said.id()).await?, "absorbed")?, 0);
    Ok(())
}
