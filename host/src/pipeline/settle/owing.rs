//! What a caller paid for and did not get. Under an `idempotency-key` the next try of the request
//! is answered for that much less. Pure; never books anything.

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;

use crate::catalog::Offer;

use super::super::flight::Flight;
use super::{Reported, official_cost};

/// How much of an answer its caller had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::pipeline) enum Reached {
    #[default]
    All,
    /// So many bytes of its text had gone out when the caller left.
    Bytes(u64),
    /// Its provider broke off: half an answer is no result.
    NoResult,
}

/// Of what was `paid` for an answer that came to `usage`, the part for what did not reach its
/// caller.
pub(super) fn missed(
    flight: &Flight,
    offer: &Offer,
    (usage, reported): (&Usage, &Reported),
    (paid, list): (PicoUsd, PicoUsd),
) -> PicoUsd {
    match flight.reached {
        Reached::All => PicoUsd::ZERO,
        Reached::NoResult => paid,
        Reached::Bytes(bytes) => {
            let had = delivered(usage, reported.text_bytes, bytes);
            let had = official_cost(flight, offer, &had, reported.service_tier.as_deref());
            share(paid, list.saturating_sub(had), list)
        }
    }
}

/// Of what was paid, the share that `part` is of `whole`, both at official prices: what was paid
/// has mark-ups and discounts in it. Rounded down.
fn share(paid: PicoUsd, part: PicoUsd, whole: PicoUsd) -> PicoUsd {
    if whole.is_zero() {
        return PicoUsd::ZERO;
    }
    let part = part.min(whole);
    match paid.0.checked_mul(part.0) {
        Some(product) => PicoUsd(product / whole.0),
        None => PicoUsd((paid.0 / whole.0).saturating_mul(part.0)),
    }
}

/// Of an answer that came to `text_bytes` of text, the part that went out with `delivered` of them:
/// the whole prompt, and as large a share of all that was generated, thinking included. Rounded up,
/// for what was had.
fn delivered(usage: &Usage, text_bytes: u64, delivered: u64) -> Usage {
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
mod tests;
