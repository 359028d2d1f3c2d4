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

/// Rows that count on the same money of which a bill policy is asked, the cheapest by list prices:
/// by its own another may be, and there may be hundreds.
const QUOTED_MAX: usize = 8;

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
    let (mut rows, mut before) = (Vec::new(), Counter::Budget);
    for (row, candidate) in flight.candidates.iter().enumerate() {
        let Some(reason) = candidate.rejection.as_ref().filter(|reason| reason.is_money()) else {
            continue;
        };
        if matches!(reason, Rejection::CreditShort) {
            before = Counter::Credit;
        }
        rows.push(row);
    }
    of_cheapest(flight, purse, rows, before).await
}

/// What is short where others took the money each time that it was there: `counter` was, the last
/// time, of what the plan needed.
pub(super) async fn outrun(
    flight: &mut Flight,
    purse: &Purse<'_>,
    counter: Counter,
) -> Result<Short, Box<Refusal>> {
    let rows = flight.plan.clone();
    of_cheapest(flight, purse, rows, counter).await
}

/// Offers that are out for the money alone are in again: some of it may have come back.
pub(super) fn readmit(flight: &mut Flight) {
    for candidate in &mut flight.candidates {
        candidate.rejection.take_if(|reason| reason.is_money());
    }
}

/// `before` was short when the rows were looked at.
async fn of_cheapest(
    flight: &mut Flight,
    purse: &Purse<'_>,
    rows: Vec<usize>,
    before: Counter,
) -> Result<Short, Box<Refusal>> {
    let mut told: Option<Short> = None;
    for Alike { rows, budgets } in alike(flight, purse, rows) {
        let mut least_of_all: Option<PicoUsd> = None;
        for (_, row) in rows {
            let Some(offer) = flight.offer_of(row).map(Arc::clone) else { continue };
            let least = least(flight, &offer);
            let quoted = quote(flight, &offer, least).await?;
            least_of_all = Some(least_of_all.map_or(quoted, |known| known.min(quoted)));
        }
        let Some(needed) = least_of_all else { continue };
        let payer = purse.payer(&budgets);
        let before = if budgets.is_empty() { Counter::Credit } else { before };
        let found = budget::shortfall(&flight.gateway.ledger, &payer, needed, before);
        let passes = found.passes();
        if passes || told.as_ref().is_none_or(|known| needed < known.needed) {
            told = Some(Short { refusal: found.refusal, used_up: found.used_up, needed });
        }
        if passes {
            break;
        }
    }
    told.ok_or_else(|| Box::new(Refusal::internal()))
}

/// Rows that count on the same money, the cheapest by list prices first, and that money.
struct Alike<'a> {
    rows: Vec<(PicoUsd, usize)>,
    budgets: Vec<Counted<'a>>,
}

/// The rows by the money that they count on, the cheapest of all first. Of each only those that are
/// asked about, since what these are short of, the others are, too: by list prices the cheapest,
/// and a few where a bill policy may have an order of its own.
fn alike<'a>(flight: &Flight, purse: &Purse<'a>, rows: Vec<usize>) -> Vec<Alike<'a>> {
    let mut by_money: BTreeMap<Vec<&'a str>, Alike<'a>> = BTreeMap::new();
    for row in rows {
        let Some(offer) = flight.offer_of(row) else { continue };
        let Some(cost) = least_cost(flight, offer) else { continue };
        let own = purse.own(offer);
        let ids: Vec<&'a str> = own.iter().map(|counted| counted.id).collect();
        let group = by_money.entry(ids).or_insert_with(|| Alike {
            rows: Vec::new(),
            budgets: purse.always.iter().copied().chain(own).collect(),
        });
        group.rows.push((cost, row));
    }
    let by_list = flight.session.bindings().bill.builtin;
    let mut groups: Vec<Alike<'a>> = by_money.into_values().collect();
    for group in &mut groups {
        group.rows.sort_unstable();
        group.rows.truncate(if by_list { 1 } else { QUOTED_MAX });
    }
    groups.sort_unstable_by_key(|group| group.rows.first().copied());
    groups
}
