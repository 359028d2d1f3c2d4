//! Requests that are about a tool which a provider runs by itself, such as a search of the web:
//! where somebody runs it, nobody is asked who would be without it. Never narrows the choice for a
//! request that has other tools, too: agents bring such tools along to each of theirs.

use crate::catalog::Offer;
use crate::error::Refusal;
use crate::route::{Candidate, Rejection};

use super::super::flight::Flight;
use super::super::settle;

/// Rules out those that would be without the tool, if any of the others is left. Where none is, the
/// request goes on and the loss is told.
pub(super) fn keep(flight: &Flight, candidates: &mut [Candidate]) {
    if !flight.call.needs.only_hosted() {
        return;
    }
    let runs_it =
        |candidate: &Candidate| flight.offer(candidate).is_some_and(|offer| runs(flight, offer));
    if !candidates.iter().any(|it| it.rejection.is_none() && runs_it(it)) {
        return;
    }
    for candidate in candidates.iter_mut().filter(|it| it.rejection.is_none()) {
        if !runs_it(candidate) {
            candidate.rejection = Some(Rejection::HostedTool);
        }
    }
}

/// The refusal for money of a request for which others were left out: how much they would cost
/// nobody has looked at, but they may well be all that is needed.
pub(in super::super) fn or_without_tool(flight: &Flight, refusal: Box<Refusal>) -> Box<Refusal> {
    let left_out = |candidate: &Candidate| candidate.rejection == Some(Rejection::HostedTool);
    // Who has only to wait is told so.
    if refusal.final_word && flight.candidates.iter().any(left_out) {
        return Box::new(refusal.or_without_tool());
    }
    refusal
}

/// Whether its provider gets the tools as they came: in another dialect it does not, nor where
/// nobody knows what it would charge.
fn runs(flight: &Flight, offer: &Offer) -> bool {
    let in_its_dialect = offer.speaks(flight.call.dialect.label());
    in_its_dialect && !settle::withheld(flight, offer).any()
}
