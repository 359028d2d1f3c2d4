//! What an operator knows better about an offer of the catalogue: a price that was negotiated, a
//! quality that was measured, another limit. Checked like the catalogue's own; names what it
//! changes and leaves the rest as it is.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::catalog::{Offer, RateCard, Rates, snapshot};

/// Some offers of a provider, otherwise than in the catalogue.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OfferOverride {
    /// Which, by catalogue id or the provider's own name; `*` at the end stands for anything.
    pub model: String,
    /// Dollars per million units by item, as decimal text. They count whatever the length of the
    /// prompt, the service tier and the day; an item that is not named keeps the official price.
    pub usd_per_million: BTreeMap<String, String>,
    /// Really costs nothing. Zeros count only with this.
    pub free: bool,
    /// 0 to 1000: how good it is, at every task, in place of the catalogue's figures.
    pub quality_permille: Option<u16>,
    pub context_tokens: Option<u32>,
    pub output_tokens: Option<u32>,
    /// Whether it is left out of choices and kept for those who name it.
    pub deprecated: Option<bool>,
}

/// The most that a quality can be.
const PERMILLE_MAX: u16 = 1000;

// === impl OfferOverride ===

impl OfferOverride {
    /// Changes an offer.
    ///
    /// # Errors
    /// Says which price or figure can't be.
    pub(super) fn apply(&self, offer: &mut Offer) -> Result<(), String> {
        self.prices(&mut offer.rates)?;
        // What the operator says of the price is the operator's own word.
        offer.given_away &= !self.free && self.usd_per_million.is_empty();
        if let Some(permille) = self.quality_permille {
            if permille > PERMILLE_MAX {
                return Err(format!("quality_permille {permille} is above {PERMILLE_MAX}"));
            }
            offer.quality.general_permille = permille;
            offer.quality.declared = true;
        }
        offer.context_tokens = self.context_tokens.unwrap_or(offer.context_tokens);
        offer.output_tokens = self.output_tokens.unwrap_or(offer.output_tokens);
        offer.deprecated = self.deprecated.unwrap_or(offer.deprecated);
        Ok(())
    }

    fn prices(&self, card: &mut RateCard) -> Result<(), String> {
        let prices = self.usd_per_million.iter();
        let prices = prices.map(|(item, text)| (item.as_str(), text.as_str().into())).collect();
        let named = snapshot::rates(&prices).map_err(|e| e.to_string())?;
        if self.free {
            if !prices.is_empty() {
                return Err("it is free and has prices; remove one of the two".to_owned());
            }
            let base = Rates::default().all_zero();
            *card = RateCard { base, free: true, ..RateCard::default() };
            return Ok(());
        }
        if named.has_zero() {
            return Err("a price of zero needs `free = true`; leave out what is unknown".to_owned());
        }
        if !prices.is_empty() {
            card.free = false;
            replace(card, named);
        }
        Ok(())
    }
}

/// The named prices in every list of the card.
fn replace(card: &mut RateCard, named: Rates) {
    let tiers = card.tiers.iter_mut().map(|tier| &mut tier.rates);
    let modes = card.modes.iter_mut().map(|mode| &mut mode.rates);
    for rates in std::iter::once(&mut card.base).chain(tiers).chain(modes) {
        for (item, price) in named.known() {
            if let Some(slot) = rates.slot(item) {
                *slot = Some(price);
            }
        }
    }
    for (item, _) in named.known() {
        card.derived.settle(item);
    }
    // Lists of later days have none of their own behind them.
    for later in &mut card.later {
        replace(&mut later.card, named);
    }
}
