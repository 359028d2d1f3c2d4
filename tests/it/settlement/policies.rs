//! Answers that the redaction policy stops: what was delivered of a stream is paid, and what
//! nobody has seen is not.

use anyhow::{Context, Result};
use serde_json::json;
use turnpike_simulate::AnswerScript;

use super::till::{Asked, COST, PROMPT, PROMPT_COST, Till, counted, estimate, only};
use crate::pitfalls::world::OUTPUT_PICO;

const CARD: &str = "4111 1111 1111 1111";

/// Every customer's answers are looked at; `answer` is what the models say.
async fn open(asked: Asked, answer: &str, tokens_per_second: u64) -> Result<Till> {
    let till = Till::open(asked, &[]).await?;
    let config = json!({ "input": { "all": "count" }, "output": { "card": "block" } });
    for customer in &till.customers {
        till.bind(customer.org, &config).await?;
    }
    till.change(|model| {
        model.answer = AnswerScript::Text { text: answer.to_owned() };
        model.tokens_per_second = tokens_per_second;
    })?;
    Ok(till)
}

/// A long text came, and then something that is blocked: or else any answer could be had for
/// nothing by asking for that at its end.
pub(super) async fn blocks_after_content(asked: Asked) -> Result<()> {
    let story = "once upon a time there was a very long story about nothing ".repeat(3);
    let till = open(asked, &format!("{story}{CARD} end"), 100).await?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        assert_eq!(said.answered.status, 200, "{}", said.answered.text);
        let (_, message) = said.error().context(customer.org)?;
        assert!(message.contains("redaction policy stopped"), "{message}");
        let text = said.text();
        assert!(text.starts_with("once upon") && !text.contains("4111"), "{text}");
        let output = counted(text.len()) * OUTPUT_PICO;
        let told = PROMPT_COST + output;
        let paid = match customer.org {
            "messages" | "gemini" => only(told),
            // The usage comes last: on a busy machine it may be read together with the card.
            _ => estimate(PROMPT, text.len())..=told,
        };
        let end = customer.ended(said.id(), "failed_partial");
        ends.push(end.charged("estimated", paid, "failed-partial"));
    }
    till.close(ends).await
}

/// Nothing of the answer was delivered.
pub(super) async fn blocks_before_content(asked: Asked) -> Result<()> {
    let till = open(asked, CARD, 0).await?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        assert!(!said.answered.text.contains("4111"), "{}", said.answered.text);
        said.error().context(customer.org)?;
        let end = customer.ended(said.id(), "failed_partial");
        // What the provider said of its cost by then.
        ends.push(end.absorbing(0..=COST));
    }
    till.close(ends).await
}

/// A whole answer that nobody gets: the platform has to pay it.
pub(super) async fn keeps_back(asked: Asked) -> Result<()> {
    let till = open(asked, &format!("the card is {CARD}"), 0).await?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        assert_eq!(said.answered.status, 403, "{}", said.answered.text);
        assert!(!said.answered.text.contains("4111"), "{}", said.answered.text);
        said.error().context(customer.org)?;
        ends.push(customer.ended(said.id(), "refused").absorbing(only(COST)));
    }
    till.close(ends).await
}
