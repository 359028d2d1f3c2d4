//! `POST /v1/route`: the plan for a body of any dialect, without running it. Takes the same steps
//! as a request up to the plan and shows what they found. Holds no money, asks no provider, leaves
//! no record. It is let in as a question beside requests. What it answers has no text of the
//! request.

mod asked;
mod shown;

use std::sync::Arc;

use http::Response;
use http::request::Parts;
use hyper::body::Incoming;
use turnpike_ledger::PicoUsd;
use turnpike_protocol::{Addressed, Call, Dialect};
use uuid::Uuid;

use crate::egress::{GatewayBody, refuse};
use crate::error::Refusal;
use crate::gateway::Gateway;
use crate::route::{OrgRules, Rule};
use crate::tasks::Busy;
use crate::{clock, ingress};

use super::flight::{Flight, Manner, Started};
use super::{admit, decide, reserve, serve, settle, terms};
use asked::Asked;

/// Entries of rules that are compiled on the worker: for a thousand offers about a millisecond.
const ENTRIES_HERE_MAX: usize = 32;

/// Answers with the plan. Errors have OpenAI's shape, whatever the body's dialect is: this is no
/// address of any provider's API.
pub(super) async fn answer(
    gateway: &Arc<Gateway>,
    id: Uuid,
    head: &Parts,
    body: Incoming,
) -> Response<GatewayBody> {
    let planned = async {
        let mut flight = take_in(gateway, id, head, body).await?;
        let shown = plan(&mut flight).await;
        flight.leave_unrecorded();
        shown
    };
    match planned.await {
        Ok(body) => serve::json(body, id),
        Err(refusal) => refuse(&refusal, Dialect::OpenAiChat, &id.to_string()),
    }
}

async fn take_in(
    gateway: &Arc<Gateway>,
    id: Uuid,
    head: &Parts,
    body: Incoming,
) -> Result<Box<Flight>, Box<Refusal>> {
    let watch = clock::Stopwatch::start();
    let at_ms = clock::now_ms();
    let caller = serve::caller(gateway, head, at_ms)?;
    let awaits = head.headers.contains_key(http::header::EXPECT);
    let body = ingress::read(body, gateway.settings.body_bytes, awaits).await?;
    let admission = admit::let_question_in(&caller)?;
    let asked = Asked::read(body, &head.headers)?;
    let addressed = Addressed { model: asked.model.as_deref(), stream: Some(false) };
    let call = if asked.embeds {
        turnpike_protocol::embeddings::parse(asked.body)
    } else {
        Call::parse_addressed(asked.dialect, asked.body, &addressed)
    };
    let call = call.map_err(|e| Refusal::invalid(e.status, e.code, e.message.clone(), e.param))?;
    let class = terms::class_of(&head.headers)?.max(asked.class);
    terms::profile_of(&head.headers)?;
    let limits = terms::limits_of(&head.headers)?;
    let rules = match asked.rules {
        Some(rules) => Some(tried(gateway, &caller.org, rules).await?),
        None => None,
    };
    let started = Started { id, at_ms, watch };
    let manner = Manner::of(asked.dialect, false, &head.headers);
    let call = call.with_betas(manner.betas());
    let gateway = Arc::clone(gateway);
    let mut flight = Flight::new(gateway, caller, call, started, &head.headers, manner)?;
    flight.class = class;
    flight.limits = limits;
    flight.admission = admission;
    flight.rules = rules;
    Ok(Box::new(flight))
}

/// The rules to try as a request meets them. Each pattern is compared with every offer: for a few
/// rules that takes less than a turn to another thread, for many as long as a second.
async fn tried(
    gateway: &Gateway,
    org: &Arc<str>,
    rules: Vec<Rule>,
) -> Result<Arc<OrgRules>, Box<Refusal>> {
    let entries: usize = rules.iter().map(Rule::entries).sum();
    let offers = Arc::clone(&gateway.offers);
    let compile = move || {
        let named = rules.into_iter().enumerate();
        let named = named.map(|(at, rule)| (Arc::from(format!("tried-{at}")), rule));
        Arc::new(OrgRules::compile(&named.collect::<Vec<_>>(), &offers))
    };
    if entries <= ENTRIES_HERE_MAX {
        return Ok(compile());
    }
    match gateway.turns.trials.run(org, compile).await {
        Ok(Some(compiled)) => Ok(compiled),
        Ok(None) => Err(Box::new(Refusal::internal())),
        Err(Busy) => Err(Box::new(Refusal::busy("dry runs with many rules"))),
    }
}

async fn plan(flight: &mut Flight) -> Result<bytes::Bytes, Box<Refusal>> {
    decide::redact_input(flight).await?;
    decide::classify(flight).await;
    let held = match decide::match_offers(flight).await {
        // That nobody can take it is an answer here, as long as it is known why each can't.
        Err(refusal) if flight.candidates.is_empty() => return Err(refusal),
        Err(refusal) => Err(refusal),
        Ok(()) => match decide::score(flight).await {
            Ok(_) => reserve::look(flight).await,
            Err(refusal) => Err(refusal),
        },
    };
    let worst = worst_cases(flight).await;
    let reasons = shown::reasons(flight).await;
    shown::whole(flight, &held, &worst, &reasons)
}

/// The worst case of each candidate that has figures, by row: with as long an answer as the request
/// would be sent with. None where a price is unknown, or the bill policy can't say.
async fn worst_cases(flight: &mut Flight) -> Vec<Option<PicoUsd>> {
    let mut quotes = Vec::with_capacity(flight.candidates.len());
    for row in 0..flight.candidates.len() {
        let weighed = flight.candidates.get(row).is_some_and(|it| it.figures.is_some());
        let offer = flight.offer_of(row).filter(|_| weighed).map(Arc::clone);
        quotes.push(match offer {
            // A bill policy is a guest, and is asked only about those that would be tried.
            Some(offer) if flight.plan.contains(&row) => {
                let tokens = reserve::held_tokens(flight, &offer);
                settle::quote(flight, &offer, tokens).await
            }
            Some(offer) => settle::worst_case(flight, &offer, reserve::held_tokens(flight, &offer)),
            None => None,
        });
    }
    quotes
}
