//! Whether a shorter answer is all that is missing where nothing can be held: a request is sent by
//! itself for no less than a floor, and whoever sets a lower bound gets what the money pays for.
//! Never books anything.

use std::sync::Arc;

use turnpike_ledger::PicoUsd;

use crate::budget::{self, Counted};
use crate::clock;
use crate::error::Refusal;
use crate::route::Rejection;

use super::super::flight::Flight;
use super::super::settle;
use super::afford::{least, quote};
use super::{Purse, always, purse};

/// Offers that are looked at, the cheapest first: there may be hundreds.
const OFFERS_MAX: usize = 8;

/// The refusal, with the bound on the answer under which the money would do, if there is one.
pub(super) async fn told(flight: &mut Flight, refusal: Box<Refusal>) -> Box<Refusal> {
    // Who has only to wait is told so.
    if !refusal.final_word || flight.call.embeds() {
        return refusal;
    }
    let field = flight.call.output_limit_field();
    let (caller, at_ms) = (Arc::clone(&flight.caller), clock::now_ms());
    let always = always(&caller, &flight.tags, at_ms);
    let purse = purse(flight, &caller, &always, at_ms);
    for row in cheapest(flight) {
        if let Some(tokens) = affordable(flight, &purse, row).await {
            return Box::new(refusal.or_shorter(field, tokens));
        }
    }
    refusal
}

/// The rows that are out for the money alone, those first whose prompt costs least.
fn cheapest(flight: &Flight) -> Vec<usize> {
    let mut rows: Vec<(PicoUsd, usize)> = Vec::new();
    for (row, candidate) in flight.candidates.iter().enumerate() {
        if candidate.rejection.as_ref().is_some_and(Rejection::is_money)
            && let Some(cost) =
                flight.offer(candidate).and_then(|it| settle::worst_case(flight, it, 1))
        {
            rows.push((cost, row));
        }
    }
    rows.sort_unstable();
    rows.into_iter().take(OFFERS_MAX).map(|(_, row)| row).collect()
}

/// The longest answer of that offer that is left of the money.
async fn affordable(flight: &mut Flight, purse: &Purse<'_>, row: usize) -> Option<u32> {
    let offer = flight.offer_of(row).map(Arc::clone)?;
    let budgets: Vec<Counted<'_>> = purse.always.iter().copied().chain(purse.own(&offer)).collect();
    let left = budget::affordable(&flight.gateway.ledger, &purse.payer(&budgets));
    // A bill is never below the list: where a single token can't be paid, no policy is asked.
    if settle::worst_case(flight, &offer, 1)? > left {
        return None;
    }
    let asked = least(flight, &offer);
    let charged = quote(flight, &offer, asked).await.ok()?;
    // What a bill policy adds is taken to be a mark-up; whether that does is asked.
    let listed = settle::worst_case(flight, &offer, asked)?;
    let scaled = left.0.checked_mul(listed.0).and_then(|product| product.checked_div(charged.0));
    let within = scaled.map_or(left, |scaled| PicoUsd(scaled.min(left.0)));
    let list = |tokens| settle::worst_case(flight, &offer, tokens);
    let tokens = budget::clamp(asked, 1, within, list).filter(|tokens| *tokens < asked)?;
    let amount = quote(flight, &offer, tokens).await.ok()?;
    (amount <= left).then_some(tokens)
}
