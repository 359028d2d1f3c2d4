//! Which offers the money that is free can pay, how long an answer of each may be, and how much of
//! it is to be held for the plan. An offer that can't be paid even for the shortest answer worth
//! asking for makes room for the next in the order. Never books anything: a dry run asks the same.

use std::sync::Arc;

use turnpike_ledger::PicoUsd;

use crate::budget::{self, Counted};
use crate::catalog::Offer;
use crate::error::Refusal;
use crate::route::Rejection;

use super::super::flight::Flight;
use super::super::{decide, settle};
use super::{Purse, longest_answer};

/// Times that the plan is made again without those that can't be paid. The first time all that are
/// too dear by list prices go; what a bill policy adds may cost a few more.
const PLANS_MAX: usize = 4;

/// What is to be held, and on which budgets.
pub(super) struct Afforded<'a> {
    pub(super) amount: PicoUsd,
    pub(super) budgets: Vec<Counted<'a>>,
}

/// Why nothing can be held.
pub(super) struct Short {
    pub(super) refusal: Box<Refusal>,
    /// A budget that would not do with nothing held, by the ledger's id, and its window.
    pub(super) used_up: Option<(Arc<str>, u64)>,
    /// The least that would do.
    pub(super) needed: PicoUsd,
}

impl From<Box<Refusal>> for Short {
    fn from(refusal: Box<Refusal>) -> Self {
        Self { refusal, used_up: None, needed: PicoUsd::ZERO }
    }
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
        leave_out(flight, free);
        let next = decide::order(flight);
        if next.iter().eq(rows.iter().map(|kept| &kept.row)) {
            break;
        }
        plan = next;
        rows = payable(flight, purse, free, &plan, &mut tight).await?;
    }
    if rows.is_empty() {
        // Its model's budget is nearly used up, and nobody else can be paid: it is clamped to that.
        let Some(last) = tight else { return Err(short(flight, purse).await?) };
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
        let Some((tokens, amount)) = length(flight, &offer, of_it).await? else {
            let reason = reason(flight, &offer, free);
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

/// Whether the budget of the row's own model has less left than most answers could need, or than
/// what is held for those before it in the plan, which would count on it, too.
async fn is_tight(
    flight: &mut Flight,
    kept: &Row<'_>,
    left: PicoUsd,
    before: &[Row<'_>],
) -> Result<bool, Box<Refusal>> {
    if before.iter().any(|earlier| earlier.amount > left) {
        return Ok(true);
    }
    let enough = budget::ANSWER_TOKENS_ENOUGH.min(asked(flight, &kept.offer));
    Ok(kept.tokens < enough && quote(flight, &kept.offer, enough).await? > left)
}

/// The longest answer of an offer that so much money allows one request, and its worst case; none
/// where it does not pay for the shortest one.
async fn length(
    flight: &mut Flight,
    offer: &Arc<Offer>,
    free: PicoUsd,
) -> Result<Option<(u32, PicoUsd)>, Box<Refusal>> {
    let asked = asked(flight, offer);
    let whole = quote(flight, offer, asked).await?;
    if whole <= budget::share(free) || (asked <= budget::ANSWER_TOKENS_ENOUGH && whole <= free) {
        return Ok(Some((asked, whole)));
    }
    if flight.call.embeds() {
        return Ok(None);
    }
    let least = least(flight, offer);
    let floor = flight.gateway.settings.clamp_floor_tokens;
    let by_list = |tokens| settle::worst_case(flight, offer, tokens);
    let scaled = scaled(free, whole, by_list(asked));
    let found = budget::length(asked, floor, scaled, by_list);
    fitting(flight, offer, (found, least), free).await
}

/// The worst case of the limit that was found, if it is affordable, or else that of the least: a
/// bill policy may charge otherwise for short answers than for long ones.
async fn fitting(
    flight: &mut Flight,
    offer: &Arc<Offer>,
    (found, least): (Option<u32>, u32),
    free: PicoUsd,
) -> Result<Option<(u32, PicoUsd)>, Box<Refusal>> {
    for tokens in found.into_iter().chain([least]) {
        let amount = quote(flight, offer, tokens).await?;
        if amount <= free {
            return Ok(Some((tokens, amount)));
        }
    }
    Ok(None)
}

/// The one amount that is held for all of the rows: the dearest of them, unless the budget of a
/// row's own model has less left. Those that are dearer are clamped to that, or leave.
async fn level(flight: &mut Flight, rows: &mut Vec<Row<'_>>) -> Result<PicoUsd, Box<Refusal>> {
    let most = rows.iter().filter_map(|kept| kept.own_left).min();
    if let Some(most) = most {
        let mut fit = Vec::with_capacity(rows.len());
        for mut kept in rows.drain(..) {
            if kept.amount > most {
                let by_list = |tokens| settle::worst_case(flight, &kept.offer, tokens);
                let scaled = scaled(most, kept.amount, by_list(kept.tokens));
                let floor = flight.gateway.settings.clamp_floor_tokens;
                let found = budget::clamp(kept.tokens, floor, scaled, by_list);
                let least = least(flight, &kept.offer);
                let Some((tokens, amount)) =
                    fitting(flight, &kept.offer, (found, least), most).await?
                else {
                    reject(flight, kept.row, Some(Rejection::Budget));
                    continue;
                };
                (kept.tokens, kept.amount) = (tokens, amount);
            }
            fit.push(kept);
        }
        *rows = fit;
    }
    Ok(rows.iter().map(|kept| kept.amount).max().unwrap_or(PicoUsd::ZERO))
}

/// Takes out every candidate that is too dear by list prices, so that the next plan is of those
/// that can be paid.
fn leave_out(flight: &mut Flight, free: PicoUsd) {
    for row in 0..flight.candidates.len() {
        let scored = flight.candidates.get(row).is_some_and(|candidate| {
            candidate.rejection.is_none() && candidate.score.is_some_and(|score| score >= 0.0)
        });
        let Some(offer) = flight.offer_of(row).filter(|_| scored).map(Arc::clone) else {
            continue;
        };
        let cost = settle::worst_case(flight, &offer, least(flight, &offer));
        if cost.is_none_or(|cost| cost > free) {
            let reason = reason(flight, &offer, free);
            reject(flight, row, Some(reason));
        }
    }
}

/// What is short where none can be paid: for the cheapest, unless another has only to wait for what
/// others hold.
async fn short(flight: &mut Flight, purse: &Purse<'_>) -> Result<Short, Box<Refusal>> {
    let mut dear: Vec<(PicoUsd, usize)> = Vec::new();
    for (row, candidate) in flight.candidates.iter().enumerate() {
        let for_money = matches!(
            candidate.rejection,
            Some(Rejection::Budget | Rejection::BudgetShort | Rejection::CreditShort)
        );
        if let Some(offer) = flight.offer(candidate).filter(|_| for_money)
            && let Some(cost) = settle::worst_case(flight, offer, least(flight, offer))
        {
            dear.push((cost, row));
        }
    }
    dear.sort_unstable();
    if !purse.caller.budgets.by_model() {
        // All count on the same money.
        dear.truncate(1);
    }
    let mut told: Option<Short> = None;
    for (_, row) in dear {
        let Some(offer) = flight.offer_of(row).map(Arc::clone) else { continue };
        let least = least(flight, &offer);
        let needed = quote(flight, &offer, least).await?;
        let mut budgets = purse.always.to_vec();
        budgets.extend(purse.own(&offer));
        let found = budget::shortfall(&flight.gateway.ledger, &purse.payer(&budgets), needed);
        let passes = found.passes();
        if passes || told.is_none() {
            told = Some(Short { refusal: found.refusal, used_up: found.used_up, needed });
        }
        if passes {
            break;
        }
    }
    told.ok_or_else(|| Box::new(Refusal::internal()))
}

fn reject(flight: &mut Flight, row: usize, reason: Option<Rejection>) {
    if let Some(candidate) = flight.candidates.get_mut(row) {
        candidate.rejection = reason;
    }
}

/// Whose money is too little for the shortest answer, seen from what is `free` of the credit and of
/// the budgets that always count.
fn reason(flight: &Flight, offer: &Offer, free: PicoUsd) -> Rejection {
    let cost = settle::worst_case(flight, offer, least(flight, offer));
    let over = |left: PicoUsd| cost.is_none_or(|cost| cost > left);
    match () {
        () if over(flight.gateway.ledger.balance(&flight.caller.org).available) => {
            Rejection::CreditShort
        }
        () if over(free) => Rejection::BudgetShort,
        () => Rejection::Budget,
    }
}

/// The longest answer that the caller and the offer allow; none where vectors are asked for.
fn asked(flight: &Flight, offer: &Offer) -> u32 {
    if flight.call.embeds() { 0 } else { longest_answer(flight.call.output_limit, offer) }
}

/// The shortest answer that a request is still sent for.
fn least(flight: &Flight, offer: &Offer) -> u32 {
    flight.gateway.settings.clamp_floor_tokens.max(1).min(asked(flight, offer))
}

/// The bill policy may charge other than official rates, so what is affordable is scaled by how the
/// two compare on the whole request.
fn scaled(affordable: PicoUsd, quoted: PicoUsd, by_list: Option<PicoUsd>) -> PicoUsd {
    let product = by_list.and_then(|by_list| affordable.0.checked_mul(by_list.0));
    let scaled = product.and_then(|product| product.checked_div(quoted.0));
    PicoUsd(scaled.unwrap_or(affordable.0).min(affordable.0))
}

async fn quote(
    flight: &mut Flight,
    offer: &Arc<Offer>,
    tokens: u32,
) -> Result<PicoUsd, Box<Refusal>> {
    let cost = settle::quote(flight, offer, tokens).await;
    cost.ok_or_else(|| Box::new(Refusal::internal()))
}
