//! What a caller paid for and did not get. Under an `idempotency-key` the next try of the request
//! is answered for that much less, which the platform bears: no more under one key than the price
//! of one answer (decision 012). Pure; never books anything.

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;

use crate::catalog::{Offer, Rates};

use super::super::flight::Flight;
use super::{Reported, official_cost, paid_tools, rates, tokens_of};

/// Estimated tokens of a prompt from which a provider may keep it in a cache.
const CACHED_TOKENS_MIN: u32 = 1_024;
/// Tries of one request that are answered for less. Of one that is broken off nobody says what its
/// provider had written by then beyond what came; so few of them that this can't add up either.
const TRIES_FOR_LESS_MAX: u32 = 8;

/// How much of an answer its caller had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::pipeline) enum Reached {
    #[default]
    All,
    /// What had gone out when the caller left.
    Part(Part),
    /// Its provider broke off: half an answer is no result.
    NoResult,
}

/// What had gone out of an answer when its caller left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Part {
    /// Bytes of its text.
    pub text_bytes: u64,
    /// Whether a sound or a picture had.
    pub media: bool,
    /// Whether one has come by the end, for whomever.
    pub media_came: bool,
    /// Bytes of text that came afterwards, of a provider that then broke off: they are not charged
    /// by the gateway's count, but what the provider reported stands for them as well.
    pub beyond_bytes: u64,
}

/// What is kept under an `idempotency-key` from one try of its request to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::pipeline) struct Tab {
    /// What was charged for in all tries so far, and the caller did not get.
    pub owed: PicoUsd,
    /// What the platform has borne of that.
    pub borne: PicoUsd,
    /// The price of the dearest try.
    pub dearest: PicoUsd,
    /// Tries of which it bore a part.
    pub for_less: u32,
    /// Some try had more in it than its text tells: thinking, pictures, searches.
    pub unseen: bool,
}

/// A try that has been charged, and in which something was interrupted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried<'a> {
    pub(super) usage: &'a Usage,
    /// Whether that is the gateway's own count.
    pub(super) estimated: bool,
    pub(super) reported: &'a Reported,
    /// What it comes to: at list prices, and with the bill policy's lines.
    pub(super) list: PicoUsd,
    pub(super) cost: PicoUsd,
    /// What of it was charged, and what was not because it had been before.
    pub(super) charged: PicoUsd,
    pub(super) credit: PicoUsd,
}

// === impl Tab ===

impl Tab {
    /// What the platform bears of an answer at this price: what is owed, as long as all that it
    /// bears under the key is no more than the price of one answer.
    pub(super) fn credit(&self, cost: PicoUsd) -> PicoUsd {
        if self.for_less >= TRIES_FOR_LESS_MAX {
            return PicoUsd::ZERO;
        }
        let left = self.dearest.max(cost).saturating_sub(self.borne);
        self.owed.min(cost).min(left)
    }

    /// What is kept after another try: what that one did not need of what was owed, and the part of
    /// its own price, whoever paid that, for which nothing was had.
    pub(super) fn after(&self, flight: &Flight, offer: &Offer, tried: &Tried<'_>) -> Self {
        let missed = missed(flight, offer, tried);
        let helped = u32::from(!tried.credit.is_zero());
        Self {
            owed: self.owed.saturating_sub(tried.credit).saturating_add(missed),
            borne: self.borne.saturating_add(tried.credit),
            dearest: self.dearest.max(tried.cost),
            for_less: self.for_less.saturating_add(helped),
            unseen: self.unseen || has_unseen(flight, tried),
        }
    }

    /// Whether something was charged under the key before.
    fn is_again(&self) -> bool {
        !self.dearest.is_zero()
    }
}

/// Whether the provider is left as soon as the caller of this try is, and what came is counted: for
/// a request that was charged before. Its provider is not asked to write for nobody once more, on
/// the platform's account. Not where text does not tell what the request comes to. `told`: the
/// tokens of the prompt that the provider has reported by now.
pub(in crate::pipeline) fn leaves_at_once(flight: &Flight, offer: &Offer, told: u64) -> bool {
    let media = flight.media_tokens;
    flight.repeat.as_ref().is_some_and(|ticket| ticket.tab.is_again() && !ticket.tab.unseen)
        && !flight.call.names_media()
        && (media.audio, media.image, media.file) == (0, 0, 0)
        && !paid_tools(flight, offer).any()
        && (told > 0 || !may_be_cached(flight, offer))
}

/// Whether the prompt may have come from the provider's cache for less, which no count shows: it
/// was sent a moment ago.
fn may_be_cached(flight: &Flight, offer: &Offer) -> bool {
    let card = rates(flight, offer);
    let cheaper = |of: &Rates| of.cache_read.is_some_and(|cached| of.input > Some(cached));
    let listed = card.tiers.iter().map(|tier| &tier.rates);
    let mut listed = listed.chain(card.modes.iter().map(|mode| &mode.rates)).chain([&card.base]);
    flight.input_tokens >= CACHED_TOKENS_MIN && listed.any(cheaper)
}

/// Whether an answer has more in it than the gateway's count of its text comes to.
fn has_unseen(flight: &Flight, tried: &Tried<'_>) -> bool {
    let counted = tokens_of(generated_bytes(flight, tried));
    let Usage { searches, hosted_calls, .. } = *tried.usage;
    tried.usage.output_tokens() > counted || searches > 0 || hosted_calls > 0
}

/// Bytes of text that the usage of a try stands for.
fn generated_bytes(flight: &Flight, tried: &Tried<'_>) -> u64 {
    match flight.reached {
        Reached::Part(part) if !tried.estimated => {
            tried.reported.text_bytes.saturating_add(part.beyond_bytes)
        }
        _ => tried.reported.text_bytes,
    }
}

/// Of what was paid for a try, whoever paid it, the part for what did not reach its caller.
fn missed(flight: &Flight, offer: &Offer, tried: &Tried<'_>) -> PicoUsd {
    let paid = tried.charged.saturating_add(tried.credit);
    match flight.reached {
        Reached::All => PicoUsd::ZERO,
        Reached::NoResult => paid,
        Reached::Part(part) => {
            let had = delivered(tried.usage, generated_bytes(flight, tried), part);
            let tier = tried.reported.service_tier.as_deref();
            let had = official_cost(flight, offer, &had, tier);
            share(paid, tried.list.saturating_sub(had), tried.list)
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

/// Of an answer that came to `text_bytes` of text, what had gone out: the whole prompt, and as
/// large a share of all that was written, thinking included, as of the text. Rounded up, for what
/// was had. A sound or a picture is had whole or not at all.
fn delivered(usage: &Usage, text_bytes: u64, had: Part) -> Usage {
    let whole = text_bytes.max(had.text_bytes);
    let share = |tokens: u64| {
        if whole == 0 {
            return tokens;
        }
        let part = u128::from(tokens).saturating_mul(had.text_bytes.into());
        u64::try_from(part.div_ceil(whole.into())).unwrap_or(tokens).min(tokens)
    };
    let shown = |tokens: u64| match (had.media, had.media_came) {
        (true, _) => tokens,
        (false, true) => 0,
        // None was seen, whatever the provider counts.
        (false, false) => share(tokens),
    };
    Usage {
        output_text: share(usage.output_text),
        output_reasoning: share(usage.output_reasoning),
        output_audio: shown(usage.output_audio),
        output_image: shown(usage.output_image),
        output_video: shown(usage.output_video),
        ..*usage
    }
}

#[cfg(test)]
mod tests;
