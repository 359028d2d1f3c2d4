//! Callers that leave: for nothing before the first content, and after it for what was generated,
//! which is never less than what they had been given.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use turnpike_simulate::Failure;

use super::till::{Asked, Customer, PROMPT, PROMPT_COST, Till, counted, estimate, filler, only};
use crate::pitfalls::speech::read_to;
use crate::pitfalls::world::OUTPUT_PICO;

/// Of an answer: how long it is, how fast it comes, how much of it a caller reads before it leaves.
/// Seconds, so that a caller can leave in the middle also on a busy machine.
const WRITTEN: u64 = 60;
const PER_SECOND: u64 = 24;
const READ_BYTES: usize = 30;
/// For what opens an answer to come, after the provider was asked.
const OPENING: Duration = Duration::from_millis(500);

/// Reads the beginning of a stream and leaves: the request's id, and what had come.
async fn leave(asked: Asked, customer: &Customer) -> Result<(String, String)> {
    let (path, body) = customer.body(asked);
    let mut response = customer.caller.open(&path, &body, &[]).await?;
    let id = response.headers().get("x-request-id").context("an id")?.to_str()?.to_owned();
    let text = read_to(&mut response, asked.dialect, READ_BYTES).await?;
    Ok((id, text))
}

/// Every customer leaves in the middle: who, its request's id, and what it had been given.
pub(super) async fn leave_all(till: &Till) -> Result<Vec<(Customer, String, String)>> {
    let each = till.customers.iter().map(|customer| async move {
        let (id, text) = leave(till.asked, customer).await.context(customer.org)?;
        Ok::<_, anyhow::Error>((customer.clone(), id, text))
    });
    try_join_all(each).await
}

/// Nothing has come but what opens an answer, in which some have counted the prompt.
pub(super) async fn before_content(asked: Asked) -> Result<()> {
    let hung = [
        ("TURNPIKE__TIMEOUTS__FIRST_BYTE_MS", "30000"),
        ("TURNPIKE__TIMEOUTS__FIRST_CONTENT_MS", "30000"),
        ("TURNPIKE__TIMEOUTS__ANSWER_MS", "30000"),
        ("TURNPIKE__TIMEOUTS__IDLE_MS", "30000"),
    ];
    let till = Till::open(asked, &hung).await?;
    till.fail(&Failure::HangAfter { chunks: 0 })?;
    let each = till.customers.iter().map(|customer| async {
        let opened = async {
            till.wait_until_asked(customer.org).await?;
            tokio::time::sleep(OPENING).await;
            anyhow::Ok(())
        };
        tokio::select! {
            said = customer.say(asked) => anyhow::bail!("{}: {said:?}", customer.org),
            opened = opened => opened,
        }
    });
    try_join_all(each).await?;
    let mut ends = Vec::new();
    for customer in &till.customers {
        let id = till.only_request(customer.org).await?;
        // Anthropic's dialect counts the prompt in its first event: that is the platform's.
        let told = asked.stream && customer.org == "messages";
        let absorbed = if told { PROMPT_COST + OUTPUT_PICO } else { 0 };
        ends.push(customer.ended(&id, "abandoned").absorbing(only(absorbed)));
    }
    till.close(ends).await
}

/// The provider is read to its usage for nobody, and all that was generated is paid.
pub(super) async fn after_content(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    till.slow(WRITTEN, PER_SECOND)?;
    let left = leave_all(&till).await?;
    let whole = PROMPT_COST + u128::from(WRITTEN) * OUTPUT_PICO;
    let ends = left.iter().map(|(customer, id, _)| {
        customer.ended(id, "partial").charged("provider", only(whole), "partial")
    });
    till.close(ends.collect()).await
}

/// The same, where the provider tells no usage: what it wrote is counted.
pub(super) async fn without_usage(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    till.slow(WRITTEN, PER_SECOND)?;
    till.fail(&Failure::MissingUsage)?;
    let left = leave_all(&till).await?;
    let whole = filler(WRITTEN);
    let ends = left.iter().map(|(customer, id, text)| {
        assert!(text.len() < whole, "it left in the middle: {text}");
        let cost = estimate(PROMPT, whole);
        customer.ended(id, "partial").charged("estimated", only(cost), "partial")
    });
    till.close(ends.collect()).await
}

/// The provider dies once the caller has gone, so that no usage ever comes: what was delivered is
/// the least, and what came later is the provider's loss.
pub(super) async fn provider_dies(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    till.slow(WRITTEN, PER_SECOND)?;
    till.fail(&Failure::DieAfter { chunks: 50 })?;
    let left = leave_all(&till).await?;
    let all = estimate(PROMPT, filler(WRITTEN));
    let ends = left.iter().map(|(customer, id, text)| {
        // Those that count the prompt in the beginning are believed for it.
        let prompt = match customer.org {
            "messages" | "gemini" => PROMPT_COST,
            _ => estimate(PROMPT, 0),
        };
        let least = prompt + counted(text.len()) * OUTPUT_PICO;
        let most = all.max(prompt + counted(filler(WRITTEN)) * OUTPUT_PICO);
        customer.ended(id, "partial").charged("estimated", least..=most, "partial")
    });
    till.close(ends.collect()).await
}
