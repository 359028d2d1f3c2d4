//! Games that a caller could play for free answers, and slips of providers that would charge it for
//! nothing: each is a request that ends as the rulebook says all the same.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use turnpike_simulate::{AnswerScript, Dialect, Failure, Rule, UsageScript};
use turnpike_tests::pico;

use super::till::{Asked, COST, Customer, PROMPT, PROMPT_COST, REPORTED, Till, estimate, only};
use crate::pitfalls::speech::{Ask, Said, read_to};
use crate::pitfalls::world::{INPUT_PICO, OUTPUT_PICO, SPOKEN, fail_pair};

const CHAT: Asked = Asked { dialect: Dialect::OpenAiChat, stream: true };

fn amount(explanation: &Value, name: &str) -> Result<u128> {
    pico(explanation[name].as_str().with_context(|| format!("no {name} in {explanation:#}"))?)
}

/// The customer who buys where this dialect is spoken.
fn customer<'a>(till: &'a Till, org: &str) -> Result<&'a Customer> {
    till.customers.iter().find(|customer| customer.org == org).context("a customer")
}

/// Pitfalls 33 and 47: who does not ask for the usage pays by it all the same, and does not see it.
#[tokio::test]
async fn pitfall_47_a_stream_without_its_usage_is_not_free() -> Result<()> {
    let till = Till::open(CHAT, &[]).await?;
    let mut ends = Vec::new();
    for customer in &till.customers {
        let (path, mut body) = customer.body(CHAT);
        body.as_object_mut().context("an object")?.remove("stream_options");
        let said = customer.send(CHAT, &path, &body).await?.expect_answer()?;
        assert!(!said.answered.text.contains("prompt_tokens"), "{}", said.answered.text);
        let end = customer.ended(said.id(), "complete");
        ends.push(end.charged("provider", only(COST), "complete"));
    }
    till.close(ends).await
}

/// Several answers to one question are several answers.
#[tokio::test]
async fn every_answer_that_is_asked_for_is_paid() -> Result<()> {
    for stream in [false, true] {
        let asked = Asked { stream, ..CHAT };
        let till = Till::open(asked, &[]).await?;
        till.change(|model| {
            model.usage = None;
            model.answer = AnswerScript::Lorem { tokens: 50 };
        })?;
        let customer = customer(&till, "chat")?;
        let (path, mut body) = customer.body(asked);
        body["n"] = json!(3);
        let said = customer.send(asked, &path, &body).await?.expect_answer()?;
        let explanation = till.stage.explanation(customer.org, said.id()).await?;
        assert_eq!(explanation["usage"]["output_text"], 150, "{explanation:#}");
        let input = explanation["usage"]["input_uncached"].as_u64().context("a count")?;
        let paid = u128::from(input) * INPUT_PICO + 150 * OUTPUT_PICO;
        let held = amount(&explanation, "hold_usd")?;
        assert!(held >= 3 * 512 * OUTPUT_PICO, "three answers are held for: {held}");
        let end = customer.ended(said.id(), "complete");
        let ends = vec![end.charged("provider", only(paid), "complete")];
        till.close(ends).await?;
    }
    Ok(())
}

/// A provider that finds the prompt ten times as long as it was guessed: who has the money pays
/// what was served, and who has not pays what was held (decisions 006 and 038).
#[tokio::test]
async fn what_goes_past_the_hold_is_paid_from_what_there_is() -> Result<()> {
    let asked = Asked { stream: false, ..CHAT };
    for (budget, pays_all) in [("1", true), ("0.0015", false)] {
        let till = Till::open(asked, &[("TURNPIKE__ROUTING__ATTEMPTS", "1")]).await?;
        till.limit(budget).await?;
        till.change(|model| {
            model.usage = Some(UsageScript { prompt: Some(3_000), cached: Some(0), ..REPORTED });
        })?;
        let cost = 3_000 * INPUT_PICO + 12 * OUTPUT_PICO;
        let mut ends = Vec::new();
        for (customer, said) in till.ask_all().await? {
            let said = said.expect_answer()?;
            let explanation = till.stage.explanation(customer.org, said.id()).await?;
            let held = amount(&explanation, "hold_usd")?;
            let (paid, absorbed) =
                (amount(&explanation, "cost_usd")?, amount(&explanation, "absorbed_usd")?);
            assert_eq!(paid + absorbed, cost, "{explanation:#}");
            assert_eq!(paid, if pays_all { cost } else { held }, "{explanation:#}");
            ends.push((customer, said.id().to_owned(), paid));
        }
        for (customer, _, paid) in &ends {
            till.check_credit(customer.org, *paid).await?;
        }
    }
    Ok(())
}

/// Thinking is nothing that can be had twice for one price: who has read the answer to its last
/// word and leaves before its end has had all of it (pitfall 46).
#[tokio::test]
async fn pitfall_46_leaving_before_the_last_event_buys_no_second_answer() -> Result<()> {
    let till = Till::open(CHAT, &[]).await?;
    till.slow(40, 20)?;
    till.change(|model| {
        let (completion, reasoning) = (Some(2_000), Some(1_960));
        model.usage = Some(UsageScript { completion, reasoning, ..REPORTED });
    })?;
    let customer = customer(&till, "chat")?;
    let headers = [("idempotency-key", "twice")];
    let (path, body) = customer.body(CHAT);
    let mut response = customer.caller.open(&path, &body, &headers).await?;
    let id = response.headers().get("x-request-id").context("an id")?.to_str()?.to_owned();
    read_to(&mut response, CHAT.dialect, 140).await?;
    drop(response);
    let first = till.stage.explanation(customer.org, &id).await?;
    assert_eq!(first["settlement"], "partial", "{first:#}");
    let again = customer.caller.post(&path, &body, &headers).await?.expect_status(200)?;
    let again = till.stage.explanation(customer.org, again.request_id()).await?;
    let (one, two) = (amount(&first, "cost_usd")?, amount(&again, "cost_usd")?);
    assert!(two * 4 > one * 3, "{two} for the second answer, after {one} for most of the first");
    Ok(())
}

/// Pitfall 46: a stream that broke off cost nothing, and under the same key the next one is
/// answered and charged, once.
#[tokio::test]
async fn pitfall_46_what_broke_off_is_sent_again_and_charged_once() -> Result<()> {
    let till = Till::open(CHAT, &[]).await?;
    till.slow(24, 60)?;
    let headers = [("idempotency-key", "again")];
    let mut ends = Vec::new();
    for customer in &till.customers {
        fail_pair(&till.stage, customer.org, Some(&Failure::DieAfter { chunks: 6 }))?;
        let (path, body) = customer.body(CHAT);
        let broken = customer.caller.post(&path, &body, &headers).await;
        let broken = broken?.expect_status(200)?;
        let explanation = till.stage.explanation(customer.org, broken.request_id()).await?;
        assert_eq!(explanation["settlement"], "failed_partial", "{explanation:#}");
        fail_pair(&till.stage, customer.org, None)?;
        let again = customer.caller.post(&path, &body, &headers).await?.expect_status(200)?;
        let end = customer.ended(again.request_id(), "complete");
        let whole = PROMPT_COST + 24 * OUTPUT_PICO;
        ends.push(end.charged("provider", only(whole), "complete"));
        let third = customer.caller.post(&path, &body, &headers).await?;
        assert_eq!(third.status, 409, "{}", third.text);
    }
    till.close(ends).await
}

/// The last event of Responses repeats the instructions and the answer: with long instructions it
/// is longer than an event may be, once all of the answer has been delivered (decision 035).
#[tokio::test]
async fn a_last_event_that_is_too_long_does_not_make_the_answer_free() -> Result<()> {
    let asked = Asked { dialect: Dialect::OpenAiResponses, stream: true };
    let till = Till::open(asked, &[("TURNPIKE__LIMITS__EVENT_BYTES", "6000")]).await?;
    till.slow(500, 2_000)?;
    let customer = customer(&till, "responses")?;
    let (path, mut body) = customer.body(asked);
    body["instructions"] = json!("be brief ".repeat(400));
    let said = customer.send(asked, &path, &body).await?.expect_answer()?;
    let (_, message) = said.error()?;
    assert!(message.contains("limits.event_bytes"), "{message}");
    let text = said.text();
    assert!(text.len() > 1_900, "all of it came: {}", text.len());
    let instructions = 3_600;
    let end = customer.ended(said.id(), "failed_partial");
    let least = estimate(PROMPT, text.len());
    let paid = least..=least + instructions * INPUT_PICO;
    let ends = vec![end.charged("estimated", paid, "failed-partial")];
    till.close(ends).await
}

/// What a tool is called with is an answer too, and is counted where nobody tells the usage.
#[tokio::test]
async fn arguments_of_tools_are_counted() -> Result<()> {
    let till = Till::open(CHAT, &[]).await?;
    till.fail(&Failure::MissingUsage)?;
    let mut ends = Vec::new();
    for customer in &till.customers {
        let (path, mut body) = customer.body(CHAT);
        let about = json!({ "type": "object", "properties": { "about": { "type": "string" } } });
        let look = json!({ "name": "look", "parameters": about });
        body["tools"] = json!([{ "type": "function", "function": look }]);
        body["tool_choice"] = json!("required");
        let said = customer.send(CHAT, &path, &body).await?.expect_answer()?;
        let explanation = till.stage.explanation(customer.org, said.id()).await?;
        // At least `{"about":"tell me about the sea"}`.
        let output = explanation["usage"]["output_text"].as_u64().context("a count")?;
        assert!(output >= 8, "{}: {explanation:#}", customer.org);
        let paid = amount(&explanation, "cost_usd")?;
        assert!(paid >= 8 * OUTPUT_PICO, "{explanation:#}");
        let end = customer.ended(said.id(), "complete_estimated");
        ends.push(end.charged("estimated", only(paid), "estimated"));
    }
    till.close(ends).await
}

/// A stream of a provider whose bytes are these.
fn raw_stream(events: &[(&str, Value)]) -> Failure {
    let event = |(name, data): &(&str, Value)| match *name {
        "" => format!("data: {data}\n\n"),
        name => format!("event: {name}\ndata: {data}\n\n"),
    };
    let headers = BTreeMap::from([("content-type".to_owned(), "text/event-stream".to_owned())]);
    Failure::Raw { status: 200, headers, body: events.iter().map(event).collect() }
}

/// One chunk of OpenAI chat with whatever stands beside the choice.
fn chunk(text: &str, finish: Option<&str>, usage: &Value) -> (&'static str, Value) {
    let choice = json!({ "index": 0, "delta": { "content": text }, "finish_reason": finish });
    (
        "",
        json!({ "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "echo",
        "choices": [choice], "usage": usage }),
    )
}

/// Pitfall 40: reports are cumulative, and a later one takes the place of an earlier one, also
/// where each chunk has one, or the last one comes twice.
#[tokio::test]
async fn pitfall_40_a_report_that_comes_again_is_not_added_up() -> Result<()> {
    let till = Till::open(CHAT, &[]).await?;
    let counts = |prompt: u64, completion: u64| {
        json!({ "prompt_tokens": prompt, "completion_tokens": completion,
            "total_tokens": prompt + completion })
    };
    let chat = raw_stream(&[
        chunk("one", None, &counts(40, 4)),
        chunk(" two", None, &counts(40, 8)),
        chunk("", Some("stop"), &counts(40, 12)),
        (
            "",
            json!({ "id": "c1", "object": "chat.completion.chunk", "created": 1,
            "model": "echo", "choices": [], "usage": counts(40, 12) }),
        ),
        (
            "",
            json!({ "id": "c1", "object": "chat.completion.chunk", "created": 1,
            "model": "echo", "choices": [], "usage": counts(40, 12) }),
        ),
    ]);
    let delta = |output: u64| {
        (
            "message_delta",
            json!({ "type": "message_delta",
            "delta": { "stop_reason": "end_turn", "stop_sequence": null },
            "usage": { "input_tokens": 40, "output_tokens": output } }),
        )
    };
    let messages = raw_stream(&[
        (
            "message_start",
            json!({ "type": "message_start", "message": { "id": "m1",
            "type": "message", "role": "assistant", "model": "echo", "content": [],
            "stop_reason": null, "stop_sequence": null,
            "usage": { "input_tokens": 40, "output_tokens": 1 } } }),
        ),
        (
            "content_block_start",
            json!({ "type": "content_block_start", "index": 0,
            "content_block": { "type": "text", "text": "" } }),
        ),
        (
            "content_block_delta",
            json!({ "type": "content_block_delta", "index": 0,
            "delta": { "type": "text_delta", "text": "one two" } }),
        ),
        ("content_block_stop", json!({ "type": "content_block_stop", "index": 0 })),
        delta(6),
        delta(12),
        ("message_stop", json!({ "type": "message_stop" })),
    ]);
    let mut ends = Vec::new();
    for (org, failure) in [("chat", chat), ("messages", messages)] {
        // The end mark of chat is no JSON.
        let failure = match failure {
            Failure::Raw { status, headers, body } if org == "chat" => {
                Failure::Raw { status, headers, body: body + "data: [DONE]\n\n" }
            }
            other => other,
        };
        till.stage.simulator.fail(org, &[Rule::always(failure)])?;
        let customer = customer(&till, org)?;
        let said = customer.say(CHAT).await?.expect_answer()?;
        assert_eq!(said.text(), "one two", "{}", said.answered.text);
        let paid = only(40 * INPUT_PICO + 12 * OUTPUT_PICO);
        let end = customer.ended(said.id(), "complete");
        ends.push(end.charged("provider", paid, "complete"));
    }
    till.close(ends).await
}

/// Text that costs more tokens than it has bytes: what is held for is more than what it comes to
/// by any count that the gateway makes itself.
#[tokio::test]
async fn a_dense_prompt_is_held_for() -> Result<()> {
    let asked = Asked { stream: false, ..CHAT };
    let till = Till::open(asked, &[]).await?;
    let mut ends = Vec::new();
    for (customer, (_, dialect)) in till.customers.iter().zip(SPOKEN) {
        let text = "𒀀🜁🀄Ω漢".repeat(400);
        let model = customer.model();
        let ask = Ask { limit: 16, ..Ask::of(dialect, &model, &text) };
        let said: Said = ask.say(&customer.caller).await?.expect_answer()?;
        let explanation = till.stage.explanation(customer.org, said.id()).await?;
        let held = amount(&explanation, "hold_usd")?;
        // At the price of the spare, for which the plan is held.
        let characters = text.chars().count() as u128;
        assert!(held >= characters * 10 * INPUT_PICO, "{held} for {characters} characters");
        let end = customer.ended(said.id(), "complete");
        ends.push(end.charged("provider", only(COST), "complete"));
    }
    till.close(ends).await
}

/// A model can be brought to write a call whose arguments are nested deeper than anybody reads:
/// that does not make the answer before it free (decision 035).
#[tokio::test]
async fn an_event_that_is_nested_too_deep_does_not_make_a_stream_free() -> Result<()> {
    let asked = Asked { dialect: Dialect::Gemini, stream: true };
    let till = Till::open(asked, &[]).await?;
    let part = |part: Value| {
        let content = json!({ "role": "model", "parts": [part] });
        ("", json!({ "candidates": [{ "index": 0, "content": content }] }))
    };
    // More than one read of a socket brings, so that some of it is delivered before.
    let mut events: Vec<_> =
        (0..2_000).map(|_| part(json!({ "text": "word ".repeat(40) }))).collect();
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    events.push(part(json!({ "functionCall": { "name": "f", "args": { "a": deep } } })));
    let Failure::Raw { status, headers, body } = raw_stream(&events) else { unreachable!() };
    // No JSON writer of the test's goes as deep.
    let body = body.replace("[1]", &format!("{}1{}", "[".repeat(60), "]".repeat(60)));
    till.stage.simulator.fail("gemini", &[Rule::always(Failure::Raw { status, headers, body })])?;
    let customer = customer(&till, "gemini")?;
    let said = customer.say(asked).await?;
    let (_, message) = said.error()?;
    assert!(message.contains("nested deeper"), "{message}");
    assert!(!said.text().is_empty(), "something is delivered before");
    let paid = only(estimate(PROMPT, said.text().len()));
    let end = customer.ended(said.id(), "failed_partial");
    till.close(vec![end.charged("estimated", paid, "failed-partial")]).await
}
