//! How many tokens a conversation has: asked of the provider where it can say, else counted here.
//! Costs nothing, holds nothing, and is never refused for want of credit: agents ask before every
//! turn, and a client that can't count stops working. So it takes none of the requests that a rate
//! limit allows, but is bounded by the same limit on its own.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use hyper::body::Incoming;
use turnpike_protocol::Dialect;
use turnpike_tokenizer::Vocabulary;
use uuid::Uuid;

use crate::egress::{GatewayBody, refuse};
use crate::error::Refusal;
use crate::gateway::Gateway;

use super::endpoint::Wire;
use super::flight::{Bill, Ending, Flight};
use super::{admit, attempt, decide, serve};

/// `POST /v1/messages/count_tokens` and Gemini's `:countTokens`.
pub(super) async fn tokens(
    gateway: &Arc<Gateway>,
    id: Uuid,
    head: &Parts,
    body: Incoming,
    wire: &Wire<'_>,
) -> Response<GatewayBody> {
    let mut flight = match super::take_in(gateway, id, head, body, wire).await {
        Ok(flight) => flight,
        Err(refusal) => return refuse(&refusal, wire.dialect, &id.to_string()),
    };
    match counted(&mut flight).await {
        Ok(body) => {
            flight.end(Ending::Free, 200, &Bill::default());
            serve::json(body, id)
        }
        Err(refusal) => flight.refuse(&refusal),
    }
}

async fn counted(flight: &mut Flight) -> Result<Bytes, Box<Refusal>> {
    flight.admission = admit::let_question_in(&flight.caller)?;
    // What must not leave must not leave to be counted either.
    decide::redact_input(flight).await?;
    decide::match_offers(flight).await?;
    if let Some(body) = attempt::count(flight).await {
        return Ok(body);
    }
    Ok(written(flight.call.dialect, here(flight).await))
}

/// The gateway's own count: with the model's vocabulary where that is public and one model is
/// meant, else the estimate that holds are made from, which is an upper one.
async fn here(flight: &Flight) -> u32 {
    let call = Arc::clone(&flight.call);
    let counted = match vocabulary(flight) {
        Some(vocabulary) => {
            let count = move || call.input_tokens_by(|text| vocabulary.count(text));
            flight.gateway.aside.run(count).await
        }
        None => None,
    };
    counted.unwrap_or_else(|| flight.call.input_tokens_upper())
}

fn vocabulary(flight: &Flight) -> Option<Vocabulary> {
    let open = flight.candidates.iter().filter(|candidate| candidate.rejection.is_none());
    let mut models = open.filter_map(|candidate| flight.offer(candidate)).map(|offer| &offer.model);
    let first = Vocabulary::of(models.next()?)?;
    models.all(|model| Vocabulary::of(model) == Some(first)).then_some(first)
}

/// The count as the caller's dialect has it.
fn written(dialect: Dialect, tokens: u32) -> Bytes {
    match dialect {
        Dialect::Gemini => format!("{{\"totalTokens\":{tokens}}}").into(),
        _ => format!("{{\"input_tokens\":{tokens}}}").into(),
    }
}
