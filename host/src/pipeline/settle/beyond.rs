//! What settling goes by besides the hold: the most that one call can come to, whatever it was held
//! for, and the part of an answer that reached its caller. Pure; never books anything.

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

/// Of what was charged, the share that `part` is of `whole`, both at official prices: what was
/// charged has mark-ups and discounts in it. Rounded down.
pub(super) fn share(charged: PicoUsd, part: PicoUsd, whole: PicoUsd) -> PicoUsd {
    if whole.is_zero() {
        return PicoUsd::ZERO;
    }
    let part = part.min(whole);
    match charged.0.checked_mul(part.0) {
        Some(product) => PicoUsd(product / whole.0),
        None => PicoUsd((charged.0 / whole.0).saturating_mul(part.0)),
    }
}

/// Of an answer that came to `text_bytes` of text, the part that went out with `delivered` of them:
/// the whole prompt, and as large a share of all that was generated, thinking included. Rounded up,
/// for what was had.
pub(super) fn delivered(usage: &Usage, text_bytes: u64, delivered: u64) -> Usage {
    let whole = text_bytes.max(delivered);
    let share = |tokens: u64| {
        if whole == 0 {
            return tokens;
        }
        let part = u128::from(tokens).saturating_mul(delivered.into()).div_ceil(whole.into());
        u64::try_from(part).unwrap_or(tokens).min(tokens)
    };
    Usage {
        output_text: share(usage.output_text),
        output_reasoning: share(usage.output_reasoning),
        output_audio: share(usage.output_audio),
        output_image: share(usage.output_image),
        ..*usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was charged may have a mark-up or a discount in it; the share of it is what returns.
    #[test]
    fn the_share_of_what_was_charged_goes_by_official_prices() {
        let share = |charged, part, whole| share(PicoUsd(charged), PicoUsd(part), PicoUsd(whole)).0;
        assert_eq!(share(200, 0, 100), 0, "all was had, at twice the price");
        assert_eq!(share(200, 25, 100), 50);
        assert_eq!(share(90, 100, 100), 90, "nothing was had, with a discount");
        assert_eq!(share(100, 1, 3), 33, "rounded down");
        assert_eq!(share(100, 5, 0), 0);
        assert_eq!(share(u128::MAX, 1, 2), u128::MAX / 2);
    }

    fn generated(text: u64, thinking: u64) -> Usage {
        Usage {
            input_uncached: 9,
            output_text: text,
            output_reasoning: thinking,
            ..Usage::default()
        }
    }

    /// A caller that reads all but the last event has had the answer, with its thinking.
    #[test]
    fn pitfall_46_who_had_the_text_had_the_thinking_too() {
        let usage = generated(100, 9_000);
        assert_eq!(delivered(&usage, 400, 400), usage);
        assert_eq!(delivered(&usage, 400, 200), generated(50, 4_500));
        assert_eq!(delivered(&usage, 400, 1), generated(1, 23));
        assert_eq!(delivered(&usage, 400, 0), generated(0, 0));
        // Text that takes more tokens than four bytes each would.
        assert_eq!(delivered(&generated(800, 0), 400, 399), generated(798, 0));
        assert_eq!(delivered(&generated(u64::MAX, 1), 3, 2).output_reasoning, 1);
        assert_eq!(delivered(&usage, 0, 0), usage, "what has no text came at once");
    }
}
