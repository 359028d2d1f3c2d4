//! Which offers the money that is free can pay, how long an answer of each may be, and how much of
//! it is to be held for the plan. An offer that can't be paid even for the shortest answer worth
//! asking for makes room for the next in the order. Never books anything: a dry run asks the same.

use std::sync::Arc;

use turnpike_ledger::PicoUsd;

use crate::budget::{self, Counted, Search};
use crate::catalog::Offer;
use crate::error::Refusal;
use crate::route::Rejection;

use super::super::flight::Flight;
use super::super::{decide, settle};
use super::short::{self, Short};
use super::{Purse, longest_answer};

/// Times that the plan is made again without those that can't be paid. The first time all that are
/// too dear by list prices go; what a bill policy adds may cost a few more.
const PLANS_MAX: usize = 4;

/// What is to be held, and on which budgets.
pub(super) struct Afforded<'a> {
    pub(super) amount: PicoUsd,
    pub(super) budgets: Vec<Counted<'a>>,
}

/// An offer of the plan that can be paid.
struct Row<'a> {
    row: usize,
    offer: Arc<Offer>,
    /// Tokens of each answer, and their worst case.
    tokens: u32,
    amount: PicoUsd,
    own: Vec<Counted<'a>>,
    /// What is left of its own model's budgets.
    own_left: Option<PicoUsd>,
}

/// Works out what is to be held for the plan of the flight, which has afterwards only offers that
/// can be paid, each with the output limit that the money allows it.
pub(super) async fn afford<'a>(
    flight: &mut Flight,
    purse: &Purse<'a>,
) -> Result<Afforded<'a>, Short> {
    let free = budget::affordable(&flight.gateway.ledger, &purse.payer(purse.always));
    let mut plan = std::mem::take(&mut flight.plan);
    let mut tight = None;
    let mut rows = payable(flight, purse, free, &plan, &mut tight).await?;
    for _ in 1..PLANS_MAX {
        if rows.len() == plan.len() {
            break;
        }
        leave_out(flight, purse, free);
        let next = decide::order(flight);
        if next.iter().eq(rows.iter().map(|kept| &kept.row)) {
            break;
        }
        plan = next;
        rows = payable(flight, purse, free, &plan, &mut tight).await?;
    }
    if rows.is_empty() {
        // Its model's budget is nearly used up, and nobody else can be paid: it is clamped to that.
        let Some(last) = tight else { return Err(short::none_payable(flight, purse).await?) };
        reject(flight, last.row, None);
        rows.push(last);
    }
    let amount = level(flight, &mut rows).await?;
    let mut budgets = purse.always.to_vec();
    for counted in rows.iter().flat_map(|kept| &kept.own) {
        if !budgets.iter().any(|known| known.id == counted.id) {
            budgets.push(*counted);
        }
    }
    flight.clamped.clear();
    for kept in &rows {
        let asked = longest_answer(flight.call.output_limit, &kept.offer);
        if kept.tokens < asked && !flight.call.embeds() {
            flight.clamped.push((Arc::clone(&kept.offer), kept.tokens));
        }
    }
    flight.plan = rows.into_iter().map(|kept| kept.row).collect();
    Ok(Afforded { amount, budgets })
}

/// The rows of a plan that can be paid. The others get their reason. The first whose own model's
/// budget has too little left for most answers, where all else would do, is put into `tight`: it
/// makes room for the others as long as there are any (decision 024).
async fn payable<'a>(
    flight: &mut Flight,
    purse: &Purse<'a>,
    free: PicoUsd,
    plan: &[usize],
    tight: &mut Option<Row<'a>>,
) -> Result<Vec<Row<'a>>, Box<Refusal>> {
    let mut rows: Vec<Row<'a>> = Vec::with_capacity(plan.len());
    for row in plan.iter().copied() {
        let Some(offer) = flight.offer_of(row).map(Arc::clone) else { continue };
        let own = purse.own(&offer);
        let own_left = (!own.is_empty())
            .then(|| budget::affordable(&flight.gateway.ledger, &purse.payer(&own)));
        let of_it = own_left.map_or(free, |left| left.min(free));
        let asked = asked(flight, &offer);
        let whole = quote(flight, &offer, asked).await?;
        let Some((tokens, amount)) = length(flight, &offer, (asked, whole), of_it).await? else {
            let credit = credit(flight, purse);
            let reason = reason(least_cost(flight, &offer), credit, free);
            reject(flight, row, Some(reason));
            continue;
        };
        let kept = Row { row, offer, tokens, amount, own, own_left };
        match own_left {
            Some(left) if left < free && is_tight(flight, &kept, left, &rows).await? => {
                reject(flight, row, Some(Rejection::Budget));
                tight.get_or_insert(kept);
            }
            _ => rows.push(kept),
        }
    }
    Ok(rows)
}

/// Whether the budget of the row's own model has less left than most answers could need, or no room
/// for what those before it in the plan hold, which would count on it, too.
async fn is_tight(
    flight: &mut Flight,
    kept: &Row<'_>,
    left: PicoUsd,
    before: &[Row<'_>],
) -> Result<bool, Box<Refusal>> {
    for earlier in before {
        // What has no more of its own was measured by that.
        let is_measured = earlier.own_left.is_some_and(|own| own <= left);
        if !is_measured && !has_room(flight, earlier, left).await? {
            return Ok(true);
        }
    }
    let enough = budget::ANSWER_TOKENS_ENOUGH.min(asked(flight, &kept.offer));
    Ok(kept.tokens < enough && quote(flight, &kept.offer, enough).await? > left)
}

/// Whether what is left of the budget of a later row's model has room for what this row holds, and
/// for those beside the request: nobody's answer is cut to what may be too short, and none that the
/// caller gave a limit for, because of the budget of a model that may never be asked.
async fn has_room(
    flight: &mut Flight,
    kept: &Row<'_>,
    left: PicoUsd,
) -> Result<bool, Box<Refusal>> {
    if budget::is_modest((kept.tokens, kept.amount), left) {
        return Ok(true);
    }
    let long = kept.tokens.min(budget::ANSWER_TOKENS_LONG);
    if long == kept.tokens || flight.call.output_limit.is_some() {
        return Ok(false);
    }
    Ok(quote(flight, &kept.offer, long).await? <= budget::share(left))
}

/// The longest answer of an offer, up to what is `asked` and comes to `whole`, that so much money
/// allows one request, and its worst case; none where it does not pay for the shortest one.
async fn length(
    flight: &mut Flight,
    offer: &Arc<Offer>,
    (asked, whole): (u32, PicoUsd),
    free: PicoUsd,
) -> Result<Option<(u32, PicoUsd)>, Box<Refusal>> {
    if budget::is_modest((asked, whole), free) {
        return Ok(Some((asked, whole)));
    }
    if flight.call.embeds() {
        return Ok(None);
    }
    let floor = flight.gateway.settings.clamp_floor_tokens;
    let mut search = Search::new((asked, whole), floor, free);
    let mut found = search.first(|tokens| settle::worst_case(flight, offer, tokens));
    while let Some(tokens) = found {
        let amount = quote(flight, offer, tokens).await?;
        if search.takes((tokens, amount)) {
            return Ok(Some((tokens, amount)));
        }
        found =
            search.shorter((tokens, amount), |tokens| settle::worst_case(flight, offer, tokens));
    }
    Ok(None)
}

/// The one amount that is held for all of the rows: the dearest of them. It counts on the budgets
/// of all their models, and is no more than one request may hold of any of them (decision 044):
/// those that are dearer are clamped to that, or leave.
async fn level(flight: &mut Flight, rows: &mut Vec<Row<'_>>) -> Result<PicoUsd, Box<Refusal>> {
    let most = rows.iter().filter_map(|kept| kept.own_left).min();
    if let Some(most) = most {
        let mut fit = Vec::with_capacity(rows.len());
        for mut kept in rows.drain(..) {
            if kept.own_left.is_none_or(|own| own > most) {
                let whole = (kept.tokens, kept.amount);
                let Some(within) = length(flight, &kept.offer, whole, most).await? else {
                    reject(flight, kept.row, Some(Rejection::Budget));
                    continue;
                };
                (kept.tokens, kept.amount) = within;
            }
            fit.push(kept);
        }
        *rows = fit;
    }
    Ok(rows.iter().map(|kept| kept.amount).max().unwrap_or(PicoUsd::ZERO))
}

/// Takes out every candidate that is too dear by list prices, so that the next plan is of those
/// that can be paid.
fn leave_out(flight: &mut Flight, purse: &Purse<'_>, free: PicoUsd) {
    // Once for all of them: there may be hundreds, and the ledger has one lock.
    let credit = credit(flight, purse);
    for row in 0..flight.candidates.len() {
        let scored = flight.candidates.get(row).is_some_and(|candidate| {
            candidate.rejection.is_none() && candidate.score.is_some_and(|score| score >= 0.0)
        });
        let Some(offer) = flight.offer_of(row).filter(|_| scored).map(Arc::clone) else {
            continue;
        };
        let cost = least_cost(flight, &offer);
        if cost.is_none_or(|cost| cost > free) {
            reject(flight, row, Some(reason(cost, credit, free)));
        }
    }
}

fn reject(flight: &mut Flight, row: usize, reason: Option<Rejection>) {
    if let Some(candidate) = flight.candidates.get_mut(row) {
        candidate.rejection = reason;
    }
}

/// What is free of the credit alone.
fn credit(flight: &Flight, purse: &Purse<'_>) -> PicoUsd {
    flight.gateway.ledger.balance(&purse.caller.org).available
}

/// Whose money is too little for the shortest answer, which comes to so much: seen from what is
/// free of the credit, and of the credit and the budgets that always count.
fn reason(cost: Option<PicoUsd>, credit: PicoUsd, free: PicoUsd) -> Rejection {
    let over = |left: PicoUsd| cost.is_none_or(|cost| cost > left);
    match () {
        () if over(credit) => Rejection::CreditShort,
        () if over(free) => Rejection::BudgetShort,
        () => Rejection::Budget,
    }
}

/// What the shortest answer of an offer comes to, by list prices.
pub(super) fn least_cost(flight: &Flight, offer: &Offer) -> Option<PicoUsd> {
    settle::worst_case(flight, offer, least(flight, offer))
}

/// The longest answer that the caller and the offer allow; none where vectors are asked for.
fn asked(flight: &Flight, offer: &Offer) -> u32 {
    if flight.call.embeds() { 0 } else { longest_answer(flight.call.output_limit, offer) }
}

/// The shortest answer that a request is still sent for.
pub(super) fn least(flight: &Flight, offer: &Offer) -> u32 {
    flight.gateway.settings.clamp_floor_tokens.max(1).min(asked(flight, offer))
}

pub(super) async fn quote(
    flight: &mut Flight,
    offer: &Arc<Offer>,
    tokens: u32,
) -> Result<PicoUsd, Box<Refusal>> {
    let cost = settle::quote(flight, offer, tokens).await;
    cost.ok_or_else(|| Box::new(Refusal::internal()))
}
