//! Answers that come to their end: with the provider's usage, without one, and those in which the
//! model declines, which are results too.

use anyhow::{Context, Result};
use serde_json::Value;
use turnpike_simulate::{AnswerScript, Dialect, Failure, UsageScript};

use super::till::{Asked, COST, PROMPT, PROMPT_COST, REPORTED, Till, estimate, only};
use crate::pitfalls::speech::Said;

/// Whether an answer ended as its dialect's clients expect: with a reason, and a stream with the
/// event that is its last.
pub(super) fn ends_well(said: &Said) -> bool {
    let payloads = said.payloads();
    let last = payloads.last().cloned().unwrap_or_default();
    let end = match (said.dialect, said.stream) {
        (Dialect::OpenAiChat, true) => said.answered.text.trim_end().ends_with("data: [DONE]"),
        (Dialect::OpenAiResponses, true) => {
            matches!(last["type"].as_str(), Some("response.completed" | "response.incomplete"))
        }
        (Dialect::OpenAiResponses, false) => {
            return matches!(last["status"].as_str(), Some("completed" | "incomplete"));
        }
        (Dialect::AnthropicMessages, true) => last["type"] == "message_stop",
        _ => true,
    };
    end && said.finish().is_some()
}

/// Tokens of prompt and answer as the caller reads them in its own dialect.
fn usage_seen(said: &Said) -> Result<(u64, u64)> {
    let payloads = said.payloads();
    let number = |pointers: &[&str]| {
        // What an event states later replaces what an earlier one stated.
        let of = |payload: &Value| {
            pointers.iter().find_map(|pointer| payload.pointer(pointer)?.as_u64())
        };
        payloads.iter().filter_map(of).next_back().unwrap_or_default()
    };
    let all = |name: &str| {
        let pointers = ["usage", "response/usage", "message/usage", "usageMetadata"];
        let pointers = pointers.map(|at| format!("/{at}/{name}"));
        number(&pointers.each_ref().map(String::as_str))
    };
    let seen = match said.dialect {
        Dialect::OpenAiResponses => (all("input_tokens"), all("output_tokens")),
        Dialect::AnthropicMessages => {
            let cached = all("cache_read_input_tokens") + all("cache_creation_input_tokens");
            (all("input_tokens") + cached, all("output_tokens"))
        }
        Dialect::Gemini => {
            (all("promptTokenCount"), all("candidatesTokenCount") + all("thoughtsTokenCount"))
        }
        _ => (all("prompt_tokens"), all("completion_tokens")),
    };
    anyhow::ensure!(seen.0 > 0, "no usage: {}", said.answered.text);
    Ok(seen)
}

/// Usage times price of what was served: no more, no less, whatever the dialects.
pub(super) async fn with_usage(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        let said = said.expect_answer()?;
        assert_eq!(said.text(), PROMPT, "{}", said.answered.text);
        assert!(ends_well(&said), "{}", said.answered.text);
        assert_eq!(usage_seen(&said).context(customer.org)?, (40, 12), "{}", customer.org);
        let end = customer.ended(said.id(), "complete");
        ends.push(end.charged("provider", only(COST), "complete"));
    }
    till.close(ends).await
}

/// The gateway counts where nobody else does: four bytes a token, and marks it.
pub(super) async fn without_usage(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    till.fail(&Failure::MissingUsage)?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        let said = said.expect_answer()?;
        assert!(ends_well(&said), "{}", said.answered.text);
        let cost = estimate(PROMPT, said.text().len());
        let end = customer.ended(said.id(), "complete_estimated");
        ends.push(end.charged("estimated", only(cost), "estimated"));
    }
    till.close(ends).await
}

/// Pitfall 45: a prompt that nothing is answered to is not charged.
pub(super) async fn empty(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    till.change(|model| {
        model.answer = AnswerScript::Text { text: String::new() };
        model.usage = Some(UsageScript { completion: Some(0), ..REPORTED });
    })?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        let said = said.expect_answer()?;
        assert_eq!(said.text(), "", "{}", said.answered.text);
        assert!(ends_well(&said), "{}", said.answered.text);
        ends.push(customer.ended(said.id(), "empty").absorbing(only(PROMPT_COST)));
    }
    till.close(ends).await
}

/// A model that declines has been asked and has answered.
pub(super) async fn refused_by_the_model(asked: Asked) -> Result<()> {
    let till = Till::open(asked, &[]).await?;
    till.change(|model| {
        model.answer = AnswerScript::Refusal { text: "I can't help with that.".to_owned() };
    })?;
    let mut ends = Vec::new();
    for (customer, said) in till.ask_all().await? {
        let said = said.expect_answer()?;
        assert!(ends_well(&said), "{}", said.answered.text);
        let end = customer.ended(said.id(), "complete");
        ends.push(end.charged("provider", only(COST), "complete"));
    }
    till.close(ends).await
}
