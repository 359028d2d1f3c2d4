//! What settling goes by besides the hold: the most that one call can come to, whatever it was held
//! for. Pure; never books anything.

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;

use crate::catalog::{Bounds, Offer};

use super::super::flight::Flight;
use super::{CONTEXT_TOKENS_UNKNOWN, SEARCHES_HELD};

/// At whichever service tier it was served.
const ANY_TIER: &str = "auto";

/// Whether a call of this model can have cost so much. A report beyond that is wrong, and nobody
/// pays for it more than was held.
pub(super) fn is_plausible(flight: &Flight, offer: &Offer, usage: &Usage, cost: PicoUsd) -> bool {
    let most = most(offer, flight.call.choices, usage);
    most.is_some_and(|most| cost <= most)
}

/// The most that one call can come to: its whole context window read, and as much written for each
/// choice as the model can, at the dearest of its prices.
fn most(offer: &Offer, choices: u32, usage: &Usage) -> Option<PicoUsd> {
    let window = match offer.context_tokens {
        0 => CONTEXT_TOKENS_UNKNOWN,
        known => known,
    };
    let written = if offer.output_tokens == 0 { window } else { offer.output_tokens };
    let bounds = Bounds {
        input_tokens: window.into(),
        input_audio: window.into(),
        input_image: 0,
        output_tokens: u64::from(written).saturating_mul(choices.into()),
        output_audio: true,
        output_image: true,
        searches: usage.searches.max(SEARCHES_HELD),
        hosted_calls: usage.hosted_calls,
        service_tier: Some(ANY_TIER),
    };
    offer
        .rates
        .worst_case_at(&bounds)
        .or_else(|_| {
            // What has no price by the piece is charged to nobody.
            offer.rates.worst_case_at(&Bounds { searches: 0, ..bounds })
        })
        .or_else(|_| offer.rates.worst_case_at(&Bounds { searches: 0, hosted_calls: 0, ..bounds }))
        .ok()
}
