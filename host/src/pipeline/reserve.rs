//! Step 8: the worst case of the plan, set aside on the credit and on every budget that the request
//! counts on, or on none; and the output limit that the money allows where it can't have all. Never
//! books by itself: the ledger does, in one step.

use std::sync::Arc;

use turnpike_ledger::PicoUsd;

use crate::auth::{BudgetRef, Caller};
use crate::budget::{self, Counted, OUTPUT_TOKENS_UNKNOWN, Payer};
use crate::catalog::Offer;
use crate::clock;
use crate::error::Refusal;
use crate::route::Rejection;

use super::flight::Flight;
use super::settle;

/// Sets the worst case over the plan aside. The output limit is clamped where the whole of it can't
/// be had, and offers that only a budget of their model can't afford leave the plan.
pub(super) async fn reserve(flight: &mut Flight, plan: &[usize]) -> Result<(), Box<Refusal>> {
    let caller = Arc::clone(&flight.caller);
    let tags = std::mem::take(&mut flight.tags);
    let reserved = reserve_for(flight, plan, &caller, &tags).await;
    flight.tags = tags;
    reserved
}

async fn reserve_for(
    flight: &mut Flight,
    plan: &[usize],
    caller: &Caller,
    tags: &[(String, String)],
) -> Result<(), Box<Refusal>> {
    // Not when the request began: who sends it slowly would get a hold that has expired already,
    // and the windows of yesterday.
    let at_ms = clock::now_ms();
    let ledger = Arc::clone(&flight.gateway.ledger);
    if let Some(allowance) = caller.plan.as_ref().and_then(|plan| plan.allowance.as_ref())
        && let Some(day) = allowance.due(at_ms)
        && budget::give_allowance(
            &ledger,
            &caller.org,
            allowance.amount,
            (&allowance.day.id, day),
            at_ms,
        )
    {
        allowance.given(day);
    }
    let counted = caller.budgets.of_tags(tags).map(|budget| counted(budget, at_ms));
    let mut budgets: Vec<Counted<'_>> = counted.collect();
    let expires_at_ms = at_ms.saturating_add(flight.gateway.settings.hold_ms);
    let id = flight.started.id;
    if caller.budgets.by_model() {
        let payer = Payer { org: &caller.org, budgets: &budgets, id, at_ms, expires_at_ms };
        let kept = affordable_rows(flight, plan, caller, &payer).await?;
        for row in &kept {
            let Some(offer) = flight.offer_of(*row) else { continue };
            for budget in caller.budgets.of_model(&offer.model) {
                if !budgets.iter().any(|known| known.id == &*budget.id) {
                    budgets.push(self::counted(budget, at_ms));
                }
            }
        }
        flight.plan = kept;
    } else if flight.plan != plan {
        flight.plan = plan.to_vec();
    }
    let offers: Vec<Arc<Offer>> =
        flight.plan.iter().filter_map(|row| flight.offer_of(*row).map(Arc::clone)).collect();
    let payer = Payer { org: &caller.org, budgets: &budgets, id, at_ms, expires_at_ms };
    let embeds = flight.call.embeds();
    let asked = if embeds { 0 } else { longest_answer(flight.call.output_limit, &offers) };
    let worst = worst_quote(flight, &offers, asked).await?;
    let affordable = budget::affordable(&ledger, &payer);
    let mut amount = worst;
    if worst > affordable
        && !embeds
        && let Some(limit) = clamp(flight, &offers, asked, worst, affordable)
    {
        let clamped = worst_quote(flight, &offers, limit).await?;
        if clamped <= affordable {
            flight.clamped = Some(limit);
            amount = clamped;
        }
    }
    let hold = match budget::reserve(&ledger, &payer, amount) {
        Ok(hold) => hold,
        Err(budget::Refused { refusal, budget }) => {
            let known = payer.budgets.iter();
            if let Some(budget) = budget
                && let Some(at) = known.copied().find(|counted| *counted.id == *budget)
            {
                flight.gateway.exhausted.tell(&budget, at.window);
            }
            return Err(told(caller, refusal, amount, at_ms));
        }
    };
    flight.held = hold.amount();
    flight.hold = Some(hold);
    Ok(())
}

/// The refusal as it is to be told: who lives on what a plan gives each day waits for the next one.
fn told(caller: &Caller, refusal: Box<Refusal>, needed: PicoUsd, at_ms: u64) -> Box<Refusal> {
    let plan = caller.plan.as_ref().filter(|_| refusal.code == "insufficient_credit");
    let Some((plan, allowance)) = plan.and_then(|plan| Some((plan, plan.allowance.as_ref()?)))
    else {
        return refusal;
    };
    let ends_ms = allowance.day.window(at_ms).end_ms;
    Box::new(Refusal::allowance_used_up(&plan.id, &needed.to_string(), ends_ms, at_ms))
}

fn counted(budget: &BudgetRef, at_ms: u64) -> Counted<'_> {
    let window = budget.window(at_ms);
    Counted {
        id: &budget.id,
        window: window.start_ms,
        scope: &budget.scope,
        ends_ms: window.end_ms,
    }
}

/// The rows of a plan whose own models' budgets do not allow less than everything else does: a
/// model that has used its budget up makes room for the others. Where there is no other, the first
/// stays, to be clamped or refused.
async fn affordable_rows(
    flight: &mut Flight,
    plan: &[usize],
    caller: &Caller,
    payer: &Payer<'_>,
) -> Result<Vec<usize>, Box<Refusal>> {
    let ledger = Arc::clone(&flight.gateway.ledger);
    let base = budget::affordable(&ledger, payer);
    let mut kept = Vec::with_capacity(plan.len());
    for row in plan {
        let Some(offer) = flight.offer_of(*row).map(Arc::clone) else { continue };
        let own = caller.budgets.of_model(&offer.model);
        let own: Vec<Counted<'_>> = own.map(|budget| counted(budget, payer.at_ms)).collect();
        let left = budget::affordable(&ledger, &Payer { budgets: &own, ..*payer });
        let one = std::slice::from_ref(&offer);
        let asked = match flight.call.embeds() {
            true => 0,
            false => longest_answer(flight.call.output_limit, one),
        };
        if own.is_empty() || left >= worst_quote(flight, one, asked).await?.min(base) {
            kept.push(*row);
        }
    }
    if kept.is_empty() {
        kept.extend(plan.first());
    }
    for row in plan.iter().filter(|row| !kept.contains(row)) {
        if let Some(candidate) = flight.candidates.get_mut(*row) {
            candidate.rejection = Some(Rejection::Budget);
        }
    }
    Ok(kept)
}

/// Lets the hold count only on the budgets of the model that answered.
pub(super) fn narrow(flight: &Flight, offer: &Offer, now_ms: u64) {
    let budgets = &flight.caller.budgets;
    if !budgets.by_model() {
        return;
    }
    let Some(hold) = &flight.hold else { return };
    let of_this = |id: &str| budgets.of_model(&offer.model).any(|budget| *budget.id == *id);
    let always = |id: &str| budgets.of_tags(&flight.tags).any(|budget| *budget.id == *id);
    hold.narrow(|id| always(id) || of_this(id), now_ms);
}

/// The longest answer that any offer of the plan may give.
fn longest_answer(limit: Option<u32>, offers: &[Arc<Offer>]) -> u32 {
    let of = |offer: &Offer| match offer.output_tokens {
        0 => limit.unwrap_or(OUTPUT_TOKENS_UNKNOWN),
        most => limit.map_or(most, |limit| limit.min(most)),
    };
    offers.iter().map(|offer| of(offer)).max().unwrap_or(OUTPUT_TOKENS_UNKNOWN)
}

/// Tokens of each answer of this offer that the hold covers.
pub(super) fn held_tokens(flight: &Flight, offer: &Arc<Offer>) -> u32 {
    let limit = flight.clamped.or(flight.call.output_limit);
    longest_answer(limit, std::slice::from_ref(offer))
}

async fn worst_quote(
    flight: &mut Flight,
    offers: &[Arc<Offer>],
    output: u32,
) -> Result<PicoUsd, Box<Refusal>> {
    let mut worst = PicoUsd(0);
    for offer in offers {
        let tokens = longest_answer(Some(output), std::slice::from_ref(offer));
        let Some(cost) = settle::quote(flight, offer, tokens).await else {
            return Err(Box::new(Refusal::internal()));
        };
        worst = worst.max(cost);
    }
    Ok(worst)
}

/// A limit whose worst case fits. The bill policy may charge other than official rates, so what is
/// affordable is scaled by how the two compare on the whole request.
fn clamp(
    flight: &Flight,
    offers: &[Arc<Offer>],
    asked: u32,
    worst: PicoUsd,
    affordable: PicoUsd,
) -> Option<u32> {
    let official = |tokens: u32| {
        let cost = |offer: &Arc<Offer>| {
            let tokens = longest_answer(Some(tokens), std::slice::from_ref(offer));
            settle::worst_case(flight, offer, tokens)
        };
        offers.iter().map(cost).try_fold(PicoUsd(0), |most, cost| cost.map(|c| most.max(c)))
    };
    let whole = official(asked)?;
    let scaled = affordable.0.checked_mul(whole.0).and_then(|product| product.checked_div(worst.0));
    let scaled = PicoUsd(scaled.unwrap_or(affordable.0).min(affordable.0));
    budget::clamp(asked, flight.gateway.settings.clamp_floor_tokens, scaled, official)
}
