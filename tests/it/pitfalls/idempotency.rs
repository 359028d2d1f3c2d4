//! One request sent twice under one `idempotency-key`: it is charged once, whatever became of the
//! first, and what the caller never got is not paid for again.

use anyhow::{Context, Result};
use serde_json::Value;
use turnpike_simulate::{AnswerScript, Dialect, Failure};
use turnpike_tests::{Balance, ORG, Stage, pico};

use super::speech::{Ask, Said, read_to};
use super::world::{OUTPUT_PICO, SPOKEN, change_all, fail_pair, open};

/// Tokens of a long answer, and how much of one a caller reads.
const WRITTEN: u64 = 120;
const READ_BYTES: usize = 60;

fn amount(value: &Value, name: &str) -> Result<u128> {
    pico(value[name].as_str().with_context(|| format!("no {name} in {value:#}"))?)
}

/// A refusal with this status and code, said in the caller's dialect.
fn refused(said: &Said, status: u16, code: &str) -> Result<()> {
    assert_eq!(said.answered.status, status, "{}", said.answered.text);
    said.error()?;
    // Anthropic's errors have no place for a code.
    let shown = said.dialect == Dialect::AnthropicMessages || said.answered.text.contains(code);
    assert!(shown, "{code}: {}", said.answered.text);
    Ok(())
}

#[tokio::test]
async fn pitfall_46_a_request_that_was_answered_is_not_answered_and_charged_again() -> Result<()> {
    let stage = open().await?;
    for (name, dialect) in SPOKEN {
        for stream in [false, true] {
            let key = format!("{name}-{stream}");
            let headers = [("idempotency-key", key.as_str())];
            let model = format!("sim/{name}");
            let ask = Ask::of(dialect, &model, "hello").streamed(stream);
            let first = ask.say_with(&stage.caller, &headers).await?.expect_answer()?;
            let before = stage.settled_balance(ORG).await?;
            let again = ask.say_with(&stage.caller, &headers).await?;
            refused(&again, 409, "already_answered")?;
            assert_eq!(again.answered.header("x-should-retry"), "false");
            assert!(again.answered.text.contains(first.id()), "{}", again.answered.text);
            let other = Ask { text: "something else", ..ask };
            let other = other.say_with(&stage.caller, &headers).await?;
            refused(&other, 422, "idempotency_key_reused")?;
            assert_eq!(stage.settled_balance(ORG).await?, before, "{key}: charged once");
        }
    }
    let without = Ask::of(Dialect::OpenAiChat, "sim/chat", "hello");
    without.say(&stage.caller).await?.expect_answer()?;
    without.say(&stage.caller).await?.expect_answer()?;
    Ok(())
}

#[tokio::test]
async fn pitfall_46_a_request_that_came_to_nothing_may_be_sent_again() -> Result<()> {
    let stage = open().await?;
    for (name, dialect) in SPOKEN {
        let headers = [("idempotency-key", name)];
        let model = format!("sim/{name}");
        let ask = Ask::of(dialect, &model, "hello");
        fail_pair(&stage, name, Some(&Failure::CloseBeforeHeaders))?;
        assert_eq!(ask.say_with(&stage.caller, &headers).await?.answered.status, 502);
        fail_pair(&stage, name, None)?;
        let said = ask.say_with(&stage.caller, &headers).await?.expect_answer()?;
        assert_eq!(said.text(), "hello");
    }
    Ok(())
}

/// Reads the beginning of an answer and leaves: its explanation, and the text that had come.
async fn leave(stage: &Stage, ask: &Ask<'_>, key: &str) -> Result<(Value, String)> {
    let headers = [("idempotency-key", key)];
    let mut response = stage.caller.open(&ask.path(), &ask.body(), &headers).await?;
    let id = response.headers().get("x-request-id").context("an id")?.to_str()?.to_owned();
    let text = read_to(&mut response, ask.dialect, READ_BYTES).await?;
    let at_once = ask.say_with(&stage.caller, &headers).await?;
    refused(&at_once, 409, "request_in_progress")?;
    assert_eq!(at_once.answered.header("retry-after"), "1");
    drop(response);
    Ok((stage.explanation(ORG, &id).await?, text))
}

#[tokio::test]
async fn pitfall_46_what_was_charged_and_not_delivered_is_not_charged_again() -> Result<()> {
    let stage = open().await?;
    change_all(&stage, |model| {
        model.answer = AnswerScript::Lorem { tokens: WRITTEN };
        model.tokens_per_second = 80;
    })?;
    let mut spent = 0;
    for (name, dialect) in SPOKEN {
        let model = format!("sim/{name}");
        let ask = Ask::of(dialect, &model, "tell me").streamed(true);
        let (first, text) = leave(&stage, &ask, name).await?;
        let headers = [("idempotency-key", name)];
        let again = ask.say_with(&stage.caller, &headers).await?.expect_answer()?;
        let again = stage.explanation(ORG, again.id()).await?;
        let (one, two) = (amount(&first, "cost_usd")?, amount(&again, "cost_usd")?);
        let absorbed = amount(&again, "absorbed_usd")?;
        assert!(absorbed > 0, "{name}: {again:#}");
        assert_eq!(two + absorbed, one, "{name}: the same answer, less what was paid for it");
        // What was delivered the first time is paid for, and no more than that twice.
        let delivered = (text.len() as u128).div_ceil(4) * OUTPUT_PICO;
        assert!(two >= delivered && two < one, "{name}: {two} of {one}, delivered {delivered}");
        spent += one + two;
        refused(&ask.say_with(&stage.caller, &headers).await?, 409, "already_answered")?;
        let Balance { spent: seen, .. } = stage.settled_balance(ORG).await?;
        assert_eq!(seen, spent, "{name}");
    }
    Ok(())
}

/// However often the line drops: one answer is paid, and what was delivered more than once; and the
/// platform gives away no more than that one answer.
#[tokio::test]
async fn pitfall_46_a_caller_that_is_cut_off_again_and_again_pays_for_one_answer() -> Result<()> {
    let stage = open().await?;
    change_all(&stage, |model| {
        model.answer = AnswerScript::Lorem { tokens: WRITTEN };
        model.tokens_per_second = 80;
    })?;
    for (name, dialect) in SPOKEN {
        let model = format!("sim/{name}");
        let ask = Ask::of(dialect, &model, "tell me").streamed(true);
        let before = stage.settled_balance(ORG).await?.spent;
        let (mut costs, mut delivered, mut absorbed) = (Vec::new(), 0, 0);
        for _ in 0..3 {
            let (ended, text) = leave(&stage, &ask, name).await?;
            costs.push(amount(&ended, "cost_usd")?);
            absorbed += amount(&ended, "absorbed_usd")?;
            delivered += (text.len() as u128).div_ceil(4) * OUTPUT_PICO;
        }
        let headers = [("idempotency-key", name)];
        let whole = ask.say_with(&stage.caller, &headers).await?.expect_answer()?;
        let whole = stage.explanation(ORG, whole.id()).await?;
        costs.push(amount(&whole, "cost_usd")?);
        absorbed += amount(&whole, "absorbed_usd")?;
        let (first, all) = (costs[0], costs.iter().sum::<u128>());
        assert_eq!(stage.settled_balance(ORG).await?.spent - before, all, "{name}: {costs:?}");
        // Somewhat more had gone out than was read before the line was dropped.
        assert!(all >= first + delivered, "{name}: {costs:?}, {delivered} were had");
        // What came of a later try is paid from what the first left owing.
        assert!(costs[1].max(costs[2]) < first / 2, "{name}: {costs:?}");
        // Read to its end each time, it would have come to three answers.
        assert!(all < first * 5 / 2, "{name}: {costs:?}");
        assert!(absorbed > 0 && absorbed <= first, "{name}: {absorbed} of {costs:?}");
    }
    Ok(())
}
