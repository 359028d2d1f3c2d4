//! What a request is at one offer, for the figures that the offer is ranked by: made of the very
//! bounds that are held for, so that several answers, sound, a service tier and tools of the
//! provider's own are expected to cost what they will be charged for.

use turnpike_protocol::{Call, Dialect};

use crate::catalog::Offer;
use crate::route::{CompleteAnswer, Particulars, Workload};

use super::super::flight::{Bill, Ending, Flight};
use super::super::reserve;
use super::bounds;

/// Searches that are expected where the request asks the provider to search.
const SEARCHES_EXPECTED: u64 = 1;
/// The same of other tools of its own that it charges by the piece.
const HOSTED_CALLS_EXPECTED: u64 = 1;

/// What the providers' own tools are expected to come to, where a provider gets them: searches, and
/// calls of others. A tool beside tools of the caller's own is one that agents bring along to each
/// of their requests, hardly any of which uses it; to count it would only be held against those
/// who can run it.
pub(in super::super) fn expected_calls(call: &Call) -> [u64; 2] {
    let optional = call.can_do_without();
    // In other dialects nobody looks whether it is insisted on.
    let unsaid = call.dialect != Dialect::OpenAiResponses;
    let along = |optional: bool| call.needs.caller_tools && (optional || unsaid);
    let searches = call.needs.web_search && !along(optional.searches);
    let hosted = call.needs.hosted_tools && !along(optional.hosted);
    [if searches { SEARCHES_EXPECTED } else { 0 }, if hosted { HOSTED_CALLS_EXPECTED } else { 0 }]
}

/// See the head of this file, for the offer in that place of the catalogue.
pub(in super::super) fn particulars<'a>(
    flight: &'a Flight,
    (index, offer): (usize, &Offer),
    work: &Workload,
    warm: bool,
) -> Particulars<'a> {
    let bounds = bounds(flight, offer, reserve::held_tokens(flight, offer));
    let [searches, hosted_calls] = expected_calls(&flight.call);
    let answers = &flight.gateway.answers;
    Particulars {
        answer_percent: answers.percent(index, work),
        thinking_percent: answers.thinking_percent(index, work),
        searches: searches.min(bounds.searches),
        hosted_calls: hosted_calls.min(bounds.hosted_calls),
        warm,
        bounds,
    }
}

/// A complete answer shows how long those of its model are, and those at its task.
pub(in super::super) fn learn(flight: &Flight, ending: Ending, bill: &Bill) {
    let (Some(index), Some(work)) = (flight.served_index, &flight.work) else { return };
    if ending != Ending::Complete || bill.estimated || flight.call.embeds() {
        return;
    }
    let Some(offer) = flight.gateway.offers.offers().get(index) else { return };
    let choices = u64::from(work.choices().max(1));
    let answer = CompleteAnswer {
        tokens: bill.usage.output_tokens() / choices,
        thinking_tokens: bill.usage.output_reasoning / choices,
        // What was held for is what the provider was asked for: who is short of money gets short
        // answers, which say nothing of those of others.
        limit: reserve::held_tokens(flight, offer),
    };
    flight.gateway.answers.learn(&flight.caller.org, index, work, answer);
}
