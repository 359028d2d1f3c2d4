//! Providers that break off after content: nobody pays for half an answer, unless the operator
//! says so; and the words of an error are never output (pitfall 44).

use anyhow::{Context, Result};
use turnpike_simulate::{AnswerScript, Failure};

use super::till::{Asked, PROMPT, PROMPT_COST, Till, counted, estimate, only};
use crate::pitfalls::world::OUTPUT_PICO;

/// Pieces of the answer that come before the break, of one token each, slowly enough that they are
/// read one after the other.
const CHUNKS: u32 = 6;
const PER_SECOND: u64 = 40;

async fn open(asked: Asked, bill_partial: bool) -> Result<Till> {
    let bill_partial = if bill_partial { "true" } else { "false" };
    let till = Till::open(asked, &[("TURNPIKE__MONEY__BILL_PARTIAL", bill_partial)]).await?;
    till.change(|model| {
        model.answer = AnswerScript::Lorem { tokens: 24 };
        model.tokens_per_second = PER_SECOND;
    })?;
    Ok(till)
}

/// What the gateway believes that the beginning of an answer came to, by what was delivered.
/// Providers that count in the beginning are believed for what they counted.
pub(super) fn begun(org: &str, delivered: usize) -> std::ops::RangeInclusive<u128> {
    let output = counted(delivered) * OUTPUT_PICO;
    let counted_prompt = estimate(PROMPT, 0);
    match org {
        // Each event of Gemini's has all of the report.
        "gemini" => only(PROMPT_COST + output.max(OUTPUT_PICO)),
        "messages" => only(PROMPT_COST + output.max(OUTPUT_PICO)),
        _ => only(counted_prompt + output),
    }
}

/// The stream ends with an error in the caller's words, and is the platform's loss.
pub(super) async fn free(asked: Asked) -> Result<()> {
    let till = open(asked, false).await?;
    till.fail(&Failure::DieAfter { chunks: CHUNKS })?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        assert_eq!(said.answered.status, 200, "{}", said.answered.text);
        let (_, message) = said.error()?;
        assert!(message.contains("the provider stopped"), "{message}");
        let end = customer.ended(said.id(), "failed_partial");
        ends.push(end.absorbing(begun(customer.org, said.text().len())));
    }
    till.close(ends).await
}

/// With `money.bill_partial` what was delivered is paid.
pub(super) async fn billed(asked: Asked) -> Result<()> {
    let till = open(asked, true).await?;
    till.fail(&Failure::DieAfter { chunks: CHUNKS })?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        said.error().context(customer.org)?;
        let paid = begun(customer.org, said.text().len());
        let end = customer.ended(said.id(), "failed_partial");
        ends.push(end.charged("estimated", paid, "failed-partial"));
    }
    till.close(ends).await
}

/// The provider's own error event, whose long text is no output of the model's.
pub(super) async fn error_event(asked: Asked) -> Result<()> {
    let till = open(asked, true).await?;
    let message = "the server had an error while it wrote your answer ".repeat(20);
    till.fail(&Failure::StreamError {
        chunks: CHUNKS,
        error: "server_error".to_owned(),
        message: Some(message),
    })?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        said.error().context(customer.org)?;
        let paid = begun(customer.org, said.text().len());
        let end = customer.ended(said.id(), "failed_partial");
        ends.push(end.charged("estimated", paid, "failed-partial"));
    }
    till.close(ends).await
}

/// In the middle the provider refuses the request itself, which the caller can bring about: it has
/// had what came before (decision 035).
pub(super) async fn refused(asked: Asked) -> Result<()> {
    let till = open(asked, false).await?;
    till.fail(&Failure::StreamError {
        chunks: CHUNKS,
        error: "content_filter".to_owned(),
        message: None,
    })?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        said.error().context(customer.org)?;
        let paid = begun(customer.org, said.text().len());
        let end = customer.ended(said.id(), "failed_partial");
        ends.push(end.charged("estimated", paid, "failed-partial"));
    }
    till.close(ends).await
}
