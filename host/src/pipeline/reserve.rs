//! Step 8: what the plan may cost at most, set aside on the credit and on every budget that the
//! request counts on, or on none. Whom the money can pay, and how long an answer may be, is worked
//! out first (`afford`). Never books by itself: the ledger does, in one step.

mod afford;
mod short;
mod shorter;

use std::sync::Arc;

use turnpike_ledger::PicoUsd;

use crate::auth::{BudgetRef, Caller};
use crate::budget::{self, Counted, NotHeld, OUTPUT_TOKENS_UNKNOWN, Payer};
use crate::catalog::Offer;
use crate::clock;
use crate::error::Refusal;

use super::decide;
use super::flight::Flight;
use afford::Afforded;
use short::Short;

/// Looks at the money and tries to hold it: between the two somebody else may have taken it. After
/// so many tries the caller is told to come again.
const TRIES_MAX: usize = 4;

/// Sets aside what the plan may cost. Offers that can't be paid leave it, and the output limit of
/// the others is clamped where the whole of it can't be had.
pub(super) async fn reserve(flight: &mut Flight, plan: &[usize]) -> Result<(), Box<Refusal>> {
    match set_aside(flight, plan).await {
        Ok(()) => Ok(()),
        Err(refusal) => Err(advised(flight, refusal).await),
    }
}

/// What [`reserve`] would hold for the plan now, which changes likewise. Holds nothing, and nobody
/// hears of a budget that is used up; but the day's allowance is given, as to any request.
pub(super) async fn look(flight: &mut Flight) -> Result<PicoUsd, Box<Refusal>> {
    match look_at(flight).await {
        Ok(amount) => Ok(amount),
        Err(refusal) => Err(advised(flight, refusal).await),
    }
}

/// The refusal with what would help: a shorter answer, or to do without a tool.
async fn advised(flight: &mut Flight, refusal: Box<Refusal>) -> Box<Refusal> {
    let refusal = shorter::told(flight, refusal).await;
    decide::or_without_tool(flight, refusal)
}

async fn set_aside(flight: &mut Flight, plan: &[usize]) -> Result<(), Box<Refusal>> {
    if flight.plan != plan {
        flight.plan = plan.to_vec();
    }
    let caller = Arc::clone(&flight.caller);
    let at_ms = begin(flight, &caller);
    let always = always(&caller, &flight.tags, at_ms);
    let reserved = hold(flight, &purse(flight, &caller, &always, at_ms)).await;
    reserved.map_err(|short| {
        if let Some(used_up) = &short.used_up {
            flight.gateway.exhausted.tell(used_up, short.needed);
        }
        told(&caller, short, at_ms)
    })
}

async fn look_at(flight: &mut Flight) -> Result<PicoUsd, Box<Refusal>> {
    let caller = Arc::clone(&flight.caller);
    let at_ms = begin(flight, &caller);
    let always = always(&caller, &flight.tags, at_ms);
    let looked = afford::afford(flight, &purse(flight, &caller, &always, at_ms)).await;
    let looked = looked.map(|afforded| afforded.amount);
    looked.map_err(|short| told(&caller, short, at_ms))
}

/// The money's owner, the budgets that count whichever model answers, and what a hold needs.
struct Purse<'a> {
    caller: &'a Caller,
    always: &'a [Counted<'a>],
    id: uuid::Uuid,
    at_ms: u64,
    expires_at_ms: u64,
}

// === impl Purse ===

impl<'a> Purse<'a> {
    fn payer<'b>(&'b self, budgets: &'b [Counted<'b>]) -> Payer<'b> {
        let (id, at_ms, expires_at_ms) = (self.id, self.at_ms, self.expires_at_ms);
        Payer { org: &self.caller.org, budgets, id, at_ms, expires_at_ms }
    }

    /// The budgets that an answer of this offer counts on beside the others.
    fn own(&self, offer: &Offer) -> Vec<Counted<'a>> {
        let own = self.caller.budgets.of_model(&offer.model);
        own.map(|budget| counted(budget, self.at_ms)).collect()
    }
}

fn purse<'a>(
    flight: &Flight,
    caller: &'a Caller,
    always: &'a [Counted<'a>],
    at_ms: u64,
) -> Purse<'a> {
    let expires_at_ms = at_ms.saturating_add(flight.gateway.settings.hold_ms);
    Purse { caller, always, id: flight.started.id, at_ms, expires_at_ms }
}

/// When the money is looked at, with what the plan gives for that day given. Not when the request
/// began: who sends it slowly would get a hold that has expired already, and the windows of
/// yesterday.
fn begin(flight: &Flight, caller: &Caller) -> u64 {
    let at_ms = clock::now_ms();
    if let Some(allowance) = caller.plan.as_ref().and_then(|plan| plan.allowance.as_ref())
        && let Some(day) = allowance.due(at_ms)
        && budget::give_allowance(
            &flight.gateway.ledger,
            &caller.org,
            allowance.amount,
            (&allowance.day.id, day),
            at_ms,
        )
    {
        allowance.given(day);
    }
    at_ms
}

async fn hold(flight: &mut Flight, purse: &Purse<'_>) -> Result<(), Short> {
    let ledger = Arc::clone(&flight.gateway.ledger);
    let plan = flight.plan.clone();
    let mut tries = 1;
    loop {
        let Afforded { amount, budgets } = afford::afford(flight, purse).await?;
        match budget::reserve(&ledger, &purse.payer(&budgets), amount) {
            Ok(hold) => {
                flight.held = hold.amount();
                flight.hold = Some(hold);
                return Ok(());
            }
            Err(NotHeld::Short(counter)) if tries >= TRIES_MAX => {
                return Err(short::outrun(flight, purse, counter).await?);
            }
            Err(NotHeld::Short(_)) => {}
            Err(NotHeld::Refused(refusal)) => return Err(refusal.into()),
        }
        tries += 1;
        short::readmit(flight);
        flight.plan.clone_from(&plan);
    }
}

/// The refusal as it is to be told: who lives on what a plan gives each day waits for the next one.
fn told(caller: &Caller, short: Short, at_ms: u64) -> Box<Refusal> {
    let Short { refusal, needed, .. } = short;
    let for_good = refusal.code == "insufficient_credit" && refusal.final_word;
    let plan = caller.plan.as_ref().filter(|_| for_good);
    let Some((plan, allowance)) = plan.and_then(|plan| Some((plan, plan.allowance.as_ref()?)))
    else {
        return refusal;
    };
    let ends_ms = allowance.day.window(at_ms).end_ms;
    Box::new(Refusal::allowance_used_up(&plan.id, &needed.to_string(), ends_ms, at_ms))
}

fn always<'a>(caller: &'a Caller, tags: &[(String, String)], at_ms: u64) -> Vec<Counted<'a>> {
    caller.budgets.of_tags(tags).map(|budget| counted(budget, at_ms)).collect()
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

/// The longest answer that an offer may give under this limit of the caller's.
fn longest_answer(limit: Option<u32>, offer: &Offer) -> u32 {
    match offer.output_tokens {
        0 => limit.unwrap_or(OUTPUT_TOKENS_UNKNOWN),
        most => limit.map_or(most, |limit| limit.min(most)),
    }
}

/// Tokens of each answer of this offer that the hold covers; none where vectors are asked for.
pub(super) fn held_tokens(flight: &Flight, offer: &Offer) -> u32 {
    if flight.call.embeds() {
        return 0;
    }
    longest_answer(flight.clamp_of(offer).or(flight.call.output_limit), offer)
}

#[cfg(test)]
mod tests;
