//! An answer that is not streamed: collected, redacted, charged, sent.

use std::time::Duration;

use http::Response;
use turnpike_protocol::{Answer, Channel, Dialect, embeddings, translate};

use crate::egress::{GatewayBody, Served, anthropic_request_id, content_type, request_id};
use crate::error::Refusal;
use crate::redact;
use crate::route::Sample;
use crate::upstream::{BodyReader, ErrorKind, Phase, TransportError};

use super::super::facts::PolicyScan;
use super::super::flight::{Bill, Ending, Flight};
use super::super::{admit, conversation, explain, settle};
use super::Asking;
use super::outcome::{Trouble, note};

/// A complete answer and who gave it.
pub(super) struct Answered {
    pub asking: Asking,
    pub answer: Answer,
}

/// Reads and parses the whole body.
pub(super) async fn collect(
    flight: &mut Flight,
    asking: &mut Asking,
    mut body: BodyReader,
) -> Result<Answer, Trouble> {
    let limit = flight.gateway.settings.answer_bytes;
    // The head may come early and the body in drops: all of it has the time of one answer.
    let answer_ms = flight.gateway.settings.timeouts.answer_ms;
    let collected =
        tokio::time::timeout(Duration::from_millis(answer_ms), body.collect(limit)).await;
    let Ok(collected) = collected else {
        let detail = format!("the answer was not complete within {answer_ms} ms");
        let kind = ErrorKind::Timeout(Phase::Idle);
        return Err(Trouble::Transport(TransportError { kind, detail }));
    };
    let bytes = collected.map_err(Trouble::Transport)?;
    asking.first_byte_ms.get_or_insert(asking.watch.millis());
    let unread = |_| Trouble::Malformed("its body is no answer in the dialect that was spoken");
    let caller = flight.manner.dialect;
    let embeds = flight.call.embeds();
    let parse = |body| if embeds { embeddings::answer(body) } else { Answer::parse(caller, body) };
    let mut answer = if asking.dialect == caller {
        parse(bytes).map_err(unread)?
    } else {
        let mut naming = flight.naming();
        let said = if embeds {
            naming.input_tokens = settle::counted(flight).input_tokens();
            embeddings::translate_answer(&flight.call, &bytes, &naming)
        } else {
            translate::answer(asking.dialect, caller, &bytes, &naming)
        };
        let said = said.map_err(unread)?;
        if let Some(error) = said.error {
            asking.bear(flight, &settle::Reported { usage: said.usage, ..empty() });
            return Err(Trouble::StreamError(Box::new(error)));
        }
        flight.losses.extend(said.losses);
        let mut answer = parse(said.body).map_err(unread)?;
        // The provider's own report has buckets that the caller's dialect may not have.
        (answer.usage, answer.service_tier) = (said.usage, said.service_tier);
        answer
    };
    // Some providers send an error, or nothing, under status 200; that is no result to pay for, and
    // what it cost is the platform's.
    if answer.error.is_some() || answer.choices == 0 {
        asking.bear(flight, &settle::Reported { usage: answer.usage, ..empty() });
    }
    if let Some(error) = answer.error.take() {
        return Err(Trouble::StreamError(Box::new(error)));
    }
    if answer.choices == 0 {
        return Err(Trouble::Empty);
    }
    Ok(answer)
}

/// A report of nothing.
fn empty() -> settle::Reported {
    settle::Reported::default()
}

/// Redacts, charges and sends a complete answer.
pub(super) async fn finish(mut flight: Box<Flight>, answered: Answered) -> Response<GatewayBody> {
    let Answered { asking, mut answer } = answered;
    flight.mark_first_content();
    let reported = settle::Reported {
        usage: answer.usage,
        service_tier: answer.service_tier.clone(),
        text_bytes: answer.texts.iter().map(|t| t.content.len() as u64).sum(),
        nothing: !answer.has_content()
            && !answer.declined
            && !flight.call.embeds()
            && !settle::asks_for_nothing(&flight),
    };
    asking.answered(&reported, speed(&flight, &reported, &answer, &asking));
    note(&mut flight, &asking, "answered", "");
    flight.served = Some(std::sync::Arc::clone(&asking.offer));
    flight.served_index = Some(asking.index);
    flight.received = Some(reported.clone());

    let mut scan = PolicyScan(&mut flight.session);
    match redact::redact_answer(&mut scan, &mut answer, &mut flight.pseudonyms, true).await {
        Ok(summary) => flight.redacted.push(("output", summary)),
        Err(refused) => return withhold(flight, &asking, &reported, &refused),
    }
    conversation::answered(&flight, asking.index, &asking.offer, &reported);
    let (ending, bill) = if reported.is_empty() {
        (Ending::Empty, settle::forgive(&mut flight, &asking.offer, &reported))
    } else {
        let ending = reported.ending();
        (ending, settle::charge(&mut flight, &asking.offer, &reported, ending).await)
    };
    let response = response(&flight, &asking, &answer, &bill);
    // Recorded as soon as it is charged, with nothing to wait for in between: a caller that leaves
    // during the wait for the disk, which drops this future, has been charged all the same.
    flight.end(ending, 200, &bill);
    if let Some(seq) = bill.seq {
        flight.gateway.wait_if_strict(seq).await;
    }
    response
}

/// The redaction policy keeps the answer back: the caller pays nothing, the platform bears it.
fn withhold(
    mut flight: Box<Flight>,
    asking: &Asking,
    reported: &settle::Reported,
    refused: &redact::Refusal,
) -> Response<GatewayBody> {
    let absorbed = settle::absorbed(&flight, &asking.offer, reported, Ending::Failed);
    flight.release(absorbed);
    let refusal = match refused {
        redact::Refusal::Blocked { reason } => Refusal::answer_withheld(reason),
        redact::Refusal::Failed(_) | redact::Refusal::Unreadable => Refusal::answer_check_failed(),
    };
    flight.refuse(&refusal)
}

fn response(
    flight: &Flight,
    asking: &Asking,
    answer: &Answer,
    bill: &Bill,
) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::whole(answer.encode()));
    let headers = response.headers_mut();
    content_type(headers, "application/json");
    request_id(headers, &flight.id_text);
    if flight.manner.dialect == Dialect::AnthropicMessages {
        anthropic_request_id(headers, &flight.id_text);
    }
    Served {
        model: &asking.offer.model,
        provider: &asking.offer.provider,
        task: &flight.task.task,
        attempts: flight.attempts.len(),
        cost_usd: Some(&bill.cost.to_string()),
        policy: &explain::policies_header(flight),
        clamped: flight.clamp_of(&asking.offer),
        losses: &flight.losses,
    }
    .write(headers);
    admit::headers(flight, headers);
    response
}

/// How fast it was. A whole answer says nothing about its first token, and what was thought for it
/// is none of it.
fn speed(flight: &Flight, reported: &settle::Reported, answer: &Answer, asking: &Asking) -> Sample {
    let usage = reported.usage.unwrap_or_default();
    let texts = answer.texts.iter();
    let thought = texts.filter(|text| text.channel == Channel::Reasoning);
    let thought: u64 = thought.map(|text| text.content.len() as u64).sum();
    let written = match (usage.output_reasoning, thought) {
        // It shows what it thought, and its provider does not count it.
        (0, 1..) => usage.output_tokens().saturating_sub(settle::tokens_of(thought)),
        (counted, _) => usage.output_tokens().saturating_sub(counted),
    };
    let seen = settle::tokens_of(reported.text_bytes.saturating_sub(thought));
    Sample::whole(written.max(seen), asking.watch.millis(), flight.input_tokens)
}
