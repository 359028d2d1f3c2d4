//! What bounds a settlement: the money that can be held for a stream, and how long, how far and
//! for how many callers that have gone a provider is read on.

use anyhow::{Context, Result};
use turnpike_simulate::{AnswerScript, Dialect, Failure};
use turnpike_tests::pico;

use super::complete::ends_well;
use super::dying::begun;
use super::leaving::leave_all;
use super::till::{Asked, Customer, Till, only};

/// What the provider writes, although it was told 512.
const WRITTEN: u64 = 3_000;
/// Enough for the bound that it was told, and not for twice as much.
const BUDGET_USD: &str = "0.0013";

/// The stream ends as if it had reached its length, before the money does (pitfall 50).
pub(super) async fn money_runs_out(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[("TURNPIKE__ROUTING__ATTEMPTS", "1")]).await?;
    till.limit(BUDGET_USD).await?;
    till.change(|model| {
        model.answer = AnswerScript::Lorem { tokens: WRITTEN };
        model.ignores_limit = true;
        // Not faster: what comes while a busy machine does something else is not noticed in time.
        model.tokens_per_second = 1_000;
        model.chunk_tokens = 20;
    })?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        let said = said.expect_answer()?;
        assert!(ends_well(&said), "{}", said.answered.text);
        let finish = said.finish().context("a finish")?;
        let words = ["length", "max_output_tokens", "max_tokens", "MAX_TOKENS"];
        assert!(words.contains(&finish.as_str()), "{}: {finish}", customer.org);
        let text = said.text();
        assert!(text.len() > 2_048, "what was held for came: {}", text.len());
        let explanation = till.stage.explanation(customer.org, said.id()).await?;
        let amount = |name: &str| pico(explanation[name].as_str().context("an amount")?);
        let all = amount("cost_usd")? + amount("absorbed_usd")?;
        assert_eq!(only(all), begun(customer.org, text.len()), "{explanation:#}");
        // Long words are noticed late: what came too much by then is the platform's.
        let end = customer.ended(said.id(), "partial").absorbing(0..=all / 2);
        ends.push(end.charged("estimated", 1..=pico(BUDGET_USD)?, "partial"));
    }
    till.close(ends).await
}

/// Of streams that are left, how long each goes on, and how many tokens it would have.
const LEFT_TOKENS: u64 = 4_000;
const LEFT_PER_SECOND: u64 = 30;

/// After its time the provider is given up, and what had come is counted: no less than what was
/// delivered, and far less than what the provider would have written.
pub(super) async fn read_on_ends(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[("TURNPIKE__MONEY__READ_ON_MS", "300")]).await?;
    till.slow(LEFT_TOKENS, LEFT_PER_SECOND)?;
    let left = leave_all(&till).await?;
    check_counted(till, left).await
}

const STREAMED: Asked = Asked { dialect: Dialect::AnthropicMessages, stream: true };

/// Ends of streams of which nothing told the usage: what came by then, and no more than so much.
async fn check_counted(till: Till, left: Vec<(Customer, String, String)>) -> Result<()> {
    let ends = left.iter().map(|(customer, id, text)| {
        let [least, most] =
            [text.len(), text.len() + 2_000].map(|bytes| *begun(customer.org, bytes).start());
        customer.ended(id, "partial").charged("estimated", least..=most, "partial")
    });
    let ends = ends.collect();
    till.close(ends).await
}

/// A provider may keep a connection alive for ever without a word: its signs of life, of which a
/// caller of another dialect sees nothing, prolong nothing.
#[tokio::test]
async fn signs_of_life_are_not_read_for_ever() -> Result<()> {
    let till = Till::open(STREAMED, &[("TURNPIKE__MONEY__READ_ON_MS", "400")]).await?;
    till.slow(LEFT_TOKENS, LEFT_PER_SECOND)?;
    till.change(|model| model.ping_every_ms = 40)?;
    till.fail(&Failure::HangAfter { chunks: 20 })?;
    let left = leave_all(&till).await?;
    check_counted(till, left).await
}

#[tokio::test]
async fn a_stream_is_read_on_only_so_far() -> Result<()> {
    let till = Till::open(STREAMED, &[("TURNPIKE__MONEY__READ_ON_BYTES", "1500")]).await?;
    till.slow(LEFT_TOKENS, LEFT_PER_SECOND)?;
    let left = leave_all(&till).await?;
    check_counted(till, left).await
}

/// Pitfall 48: reading on is for so many at once; who leaves beyond that is charged at once for
/// what was delivered.
#[tokio::test]
async fn pitfall_48_only_so_many_streams_are_read_on() -> Result<()> {
    let till = Till::open(STREAMED, &[("TURNPIKE__MONEY__READ_ON_STREAMS", "1")]).await?;
    till.slow(120, LEFT_PER_SECOND)?;
    let left = leave_all(&till).await?;
    let mut told = 0;
    for (customer, id, text) in &left {
        let explanation = till.stage.explanation(customer.org, id).await?;
        match explanation["usage_source"].as_str() {
            Some("provider") => told += 1,
            _ => {
                let counted = explanation["usage"]["output_text"].as_u64().context("a count")?;
                let [least, most] = [text.len(), text.len() + 200].map(counted_tokens);
                assert!((least..=most).contains(&counted), "{counted}: {explanation:#}");
            }
        }
    }
    assert_eq!(told, 1, "one was read on");
    Ok(())
}

fn counted_tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4)
}
