//! What a call is expected to cost: by what its tokens will be charged as, and not by the dearest
//! that they may end in, as a hold is. Ranks offers and is compared with ceilings; no hold and no
//! charge is made from it.

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Keeping;

use super::{RateCard, Rates, add};

/// How large a call is expected to be, and what it will be charged as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected<'a> {
    /// All tokens of the prompt; the next three are parts of it.
    pub input_tokens: u64,
    pub input_audio: u64,
    pub input_image: u64,
    /// Read from what the provider has cached.
    pub cached_tokens: u64,
    /// How long the provider is asked to keep the prompt.
    pub keeping: Keeping,
    /// All tokens of all answers; the next are a part of it.
    pub output_tokens: u64,
    /// Spent on thinking, which some sell at another price than what is written.
    pub thinking_tokens: u64,
    /// Whether the answers are spoken.
    pub output_audio: bool,
    pub searches: u64,
    pub hosted_calls: u64,
    /// The service tier asked for.
    pub service_tier: Option<&'a str>,
}

// === impl Expected ===

impl Expected<'_> {
    /// So many tokens of prompt and answer, of text.
    pub fn text(input_tokens: u64, output_tokens: u64) -> Self {
        Self { input_tokens, output_tokens, ..Self::default() }
    }
}

// === impl RateCard ===

impl RateCard {
    /// Whether thinking has a price of its own here, however long the prompt is and however it is
    /// served.
    pub fn prices_thinking(&self) -> bool {
        let own = |rates: &Rates| rates.reasoning.is_some_and(|price| Some(price) != rates.output);
        own(&self.base)
            || self.tiers.iter().any(|tier| own(&tier.rates))
            || self.modes.iter().any(|mode| own(&mode.rates))
    }

    /// What such a call is expected to come to; `None` where a price that it needs is not known.
    pub fn expected(&self, call: &Expected<'_>) -> Option<PicoUsd> {
        // This is asked of every candidate: no copy of a list where no tier is asked for.
        match call.service_tier {
            None => total(self.standard(call.input_tokens), &self.base, call),
            Some(tier) => {
                let rates = self.rates(call.input_tokens, Some(tier)).ok()?;
                total(&rates, &self.base, call)
            }
        }
    }
}

fn total(rates: &Rates, base: &Rates, call: &Expected<'_>) -> Option<PicoUsd> {
    let media = call.input_audio.saturating_add(call.input_image);
    let text = call.input_tokens.saturating_sub(media);
    let cached = call.cached_tokens.min(text);
    let fresh = text.saturating_sub(cached);
    let thought = call.thinking_tokens.min(call.output_tokens);
    let written = call.output_tokens.saturating_sub(thought);
    let mut sum = rates.request.unwrap_or(PicoUsd::ZERO);
    // What there is none of needs no price: vectors are no tokens of an answer.
    let mut charge = |count: u64, price: fn(&Rates, &Expected<'_>) -> Option<PicoUsd>| {
        if count > 0 {
            sum = add(sum, count, price(rates, call)?);
        }
        Some(())
    };
    charge(fresh, |rates, call| prompt(rates, call.keeping))?;
    charge(cached, |rates, _| rates.price("cache-read"))?;
    // What the provider does not tell apart is charged as text.
    charge(call.input_audio, |rates, _| rates.price("input-audio").or(rates.price("input")))?;
    charge(call.input_image, |rates, _| rates.price("input-image"))?;
    charge(thought, |rates, _| rates.price("reasoning"))?;
    charge(written, |rates, call| {
        let spoken = call.output_audio.then(|| rates.price("output-audio")).flatten();
        spoken.or(rates.price("output"))
    })?;
    // However long the prompt is and however it is served.
    let calls = [
        (call.searches, rates.search.or(base.search)),
        (call.hosted_calls, rates.hosted_call.or(base.hosted_call)),
    ];
    for (count, price) in calls.into_iter().filter(|(count, _)| *count > 0) {
        sum = add(sum, count, price?);
    }
    Some(sum)
}

/// A token of the prompt that is not cached yet. Where it is asked to be kept, keeping it is what
/// it costs.
fn prompt(rates: &Rates, keeping: Keeping) -> Option<PicoUsd> {
    match keeping {
        Keeping::None => rates.price("input"),
        Keeping::Minutes => rates.price("cache-write-short"),
        Keeping::Hour => rates.price("cache-write-long").or(rates.price("cache-write-short")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::rates::Mode;

    fn usd(micros_per_token: u128) -> Option<PicoUsd> {
        Some(PicoUsd(micros_per_token * 1_000_000))
    }

    /// Text at 3 and 15, sound at 32 and 64, priority at twice that, a search at 10,000.
    fn card() -> RateCard {
        let base = Rates {
            input: usd(3),
            output: usd(15),
            input_audio: usd(32),
            output_audio: usd(64),
            search: usd(10_000),
            ..Rates::default()
        };
        let rates = Rates { input: usd(6), output: usd(30), search: None, ..base };
        let modes = vec![Mode { served: "priority".to_owned(), rates }];
        RateCard { base, modes, ..RateCard::default() }
    }

    fn expected(call: &Expected<'_>) -> Option<PicoUsd> {
        card().expected(call)
    }

    #[test]
    fn what_is_asked_for_is_what_is_expected_to_be_charged() {
        let text = Expected::text(1_000, 100);
        assert_eq!(expected(&text), usd(3_000 + 1_500));
        let heard = Expected { input_audio: 800, ..text };
        assert_eq!(expected(&heard), usd(600 + 25_600 + 1_500));
        assert_eq!(expected(&Expected { output_audio: true, ..text }), usd(3_000 + 6_400));
        let tier = Expected { service_tier: Some("priority"), searches: 1, ..text };
        assert_eq!(expected(&tier), usd(6_000 + 3_000 + 10_000));
        // A picture without a price of its own is charged as text.
        assert_eq!(expected(&Expected { input_image: 400, ..text }), expected(&text));
    }

    /// Sold at thirty times the price of what is written, as some do: by the price of what is
    /// written alone such an offer would win choices that it is by far the dearest of.
    #[test]
    fn what_is_thought_is_expected_at_the_price_that_it_will_be_charged_at() {
        let mut list = card();
        let call = Expected { thinking_tokens: 60, ..Expected::text(1_000, 100) };
        assert_eq!(list.expected(&call), usd(3_000 + 1_500), "no price of its own: as written");
        assert!(!list.prices_thinking());
        list.base.reasoning = usd(450);
        assert!(list.prices_thinking());
        assert_eq!(list.expected(&call), usd(3_000 + 40 * 15 + 60 * 450));
        let used = turnpike_protocol::Usage {
            input_uncached: 1_000,
            output_text: 40,
            output_reasoning: 60,
            ..turnpike_protocol::Usage::default()
        };
        assert_eq!(list.expected(&call), list.cost(&used, None).ok(), "as it is settled");
        let all = Expected { thinking_tokens: 900, ..call };
        assert_eq!(list.expected(&all), usd(3_000 + 100 * 450), "never more than there is");
        list.base.reasoning = list.base.output;
        assert!(!list.prices_thinking(), "the same price is none of its own");
        list.modes = vec![Mode {
            served: "priority".to_owned(),
            rates: Rates { reasoning: usd(900), ..list.base },
        }];
        assert!(list.prices_thinking(), "at another service tier");
        let tier = Expected { service_tier: Some("priority"), ..call };
        assert_eq!(list.expected(&tier), usd(3_000 + 40 * 15 + 60 * 900));
    }

    #[test]
    fn unknown_is_never_free_and_what_there_is_none_of_needs_no_price() {
        let mut list = card();
        list.base.output = None;
        assert_eq!(list.expected(&Expected::text(10, 0)), usd(30));
        assert_eq!(list.expected(&Expected::text(10, 1)), None);
        let call = Expected { hosted_calls: 1, ..Expected::text(10, 1) };
        assert_eq!(expected(&call), None);
        let fast = Expected { service_tier: Some("fast"), ..Expected::text(10, 1) };
        assert_eq!(expected(&fast), None, "dearer, and nobody knows by how much");
    }
}
