//! What a caller is told for whom nothing can be held: which counter is short of the least that
//! would have done, and whether that passes. Never books anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use turnpike_ledger::PicoUsd;

use crate::budget::{self, Counted, Counter, UsedUp};
use crate::error::Refusal;
use crate::route::Rejection;

use super::super::flight::Flight;
use super::Purse;
use super::afford::{least, least_cost, quote};

/// Why nothing can be held.
pub(super) struct Short {
    pub(super) refusal: Box<Refusal>,
    /// A budget that would not do with nothing held.
    pub(super) used_up: Option<UsedUp>,
    /// The least that would do.
    pub(super) needed: PicoUsd,
}

impl From<Box<Refusal>> for Short {
    fn from(refusal: Box<Refusal>) -> Self {
        Self { refusal, used_up: None, needed: PicoUsd::ZERO }
    }
}

/// What is short where no offer can be paid: for the cheapest, unless another has only to wait for
/// what others hold.
pub(super) async fn none_payable(
    flight: &mut Flight,
    purse: &Purse<'_>,
) -> Result<Short, Box<Refusal>> {
    let rows = flight.candidates.iter().enumerate();
    let for_money =
        rows.filter(|(_, candidate)| candidate.rejection.as_ref().is_some_and(is_money));
    let rows = for_money.map(|(row, _)| row).collect();
    of_cheapest(flight, purse, rows, None).await
}

/// What is short where others took the money each time that it was there: `counter` was, the last
/// time, of what the plan needed.
pub(super) async fn outrun(
    flight: &mut Flight,
    purse: &Purse<'_>,
    counter: Counter,
) -> Result<Short, Box<Refusal>> {
    let rows = flight.plan.clone();
    of_cheapest(flight, purse, rows, Some(counter)).await
}

/// Offers that are out for the money alone are in again: some of it may have come back.
pub(super) fn readmit(flight: &mut Flight) {
    for candidate in &mut flight.candidates {
        candidate.rejection.take_if(|reason| is_money(reason));
    }
}

fn is_money(reason: &Rejection) -> bool {
    matches!(reason, Rejection::Budget | Rejection::BudgetShort | Rejection::CreditShort)
}

async fn of_cheapest(
    flight: &mut Flight,
    purse: &Purse<'_>,
    rows: Vec<usize>,
    counter: Option<Counter>,
) -> Result<Short, Box<Refusal>> {
    let mut told: Option<Short> = None;
    for (row, budgets) in cheapest(flight, purse, rows) {
        let Some(offer) = flight.offer_of(row).map(Arc::clone) else { continue };
        let least = least(flight, &offer);
        let needed = quote(flight, &offer, least).await?;
        let payer = purse.payer(&budgets);
        let found = budget::shortfall(&flight.gateway.ledger, &payer, needed, counter);
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

/// Of the rows that count on the same money the cheapest by list prices, with that; the cheapest of
/// all first. What that one is short of, the others are, too: an organization has a handful of
/// budgets by model, and there may be hundreds of rows.
fn cheapest<'a>(
    flight: &Flight,
    purse: &Purse<'a>,
    rows: Vec<usize>,
) -> Vec<(usize, Vec<Counted<'a>>)> {
    let mut by_money: BTreeMap<Vec<&'a str>, (PicoUsd, usize, Vec<Counted<'a>>)> = BTreeMap::new();
    for row in rows {
        let Some(offer) = flight.offer_of(row) else { continue };
        let Some(cost) = least_cost(flight, offer) else { continue };
        let own = purse.own(offer);
        let ids: Vec<&'a str> = own.iter().map(|counted| counted.id).collect();
        match by_money.get_mut(&ids) {
            Some((known, of, _)) if cost < *known => (*known, *of) = (cost, row),
            Some(_) => {}
            None => {
                let budgets = purse.always.iter().copied().chain(own).collect();
                by_money.insert(ids, (cost, row, budgets));
            }
        }
    }
    let mut cheapest: Vec<_> = by_money.into_values().collect();
    cheapest.sort_unstable_by_key(|(cost, row, _)| (*cost, *row));
    cheapest.into_iter().map(|(_, row, budgets)| (row, budgets)).collect()
}
