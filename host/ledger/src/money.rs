//! An amount of money: a whole number of pico-dollars (10⁻¹² USD). Reads and writes decimal text
//! exactly and adds with checks. Never rounds, never holds a negative amount, never uses a float.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Pico-dollars in one dollar.
pub const PICO_PER_USD: u128 = 1_000_000_000_000;

/// Digits after the point that an amount can have.
const FRACTION_DIGITS: usize = 12;

/// Digits after the point that are always written, so that cents and micro-dollars line up.
const FRACTION_DIGITS_MIN: usize = 6;

/// Longest text that is tried as an amount: 27 digits of a `u128` before the point, and 12 after.
const TEXT_BYTES_MAX: usize = 40;

/// An amount, or a price per unit, in pico-dollars.
///
/// Text form: `12.500000`; at least six decimals and more only where they are needed. Serializes
/// as that text in formats for humans (JSON, TOML) and as the bare `u128` in binary ones.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PicoUsd(pub u128);

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseMoneyError {
    /// Something else than digits with at most one point between them.
    #[error("not an amount in dollars; write digits with an optional point, such as 12.50")]
    Malformed,
    /// More than 12 digits after the point: it can't be kept exactly, so it is not kept at all.
    #[error("an amount has at most 12 digits after the point; round it before sending")]
    TooPrecise,
    /// More than a `u128` of pico-dollars.
    #[error("the amount is larger than any this ledger can hold")]
    TooLarge,
}

// === impl PicoUsd ===

impl PicoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that can be written down.
    pub const MAX: Self = Self(u128::MAX);

    /// Whole dollars. Every `u64` of dollars fits.
    pub const fn from_usd(dollars: u64) -> Self {
        let mut pico = 0;
        if let Some(product) = PICO_PER_USD.checked_mul(widen(dollars)) {
            pico = product;
        }
        Self(pico)
    }

    /// Reads `12`, `12.5` or `0.000000000001`: dollars, without a sign, exponent or separators.
    pub fn parse(text: &str) -> Result<Self, ParseMoneyError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(ParseMoneyError::TooLarge);
        }
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(ParseMoneyError::Malformed),
            None => (text, ""),
        };
        if fraction.len() > FRACTION_DIGITS {
            return Err(ParseMoneyError::TooPrecise);
        }
        if whole.is_empty() {
            return Err(ParseMoneyError::Malformed);
        }
        let zeros = std::iter::repeat_n(b'0', FRACTION_DIGITS.saturating_sub(fraction.len()));
        let mut pico: u128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()).chain(zeros) {
            let digit = digit
                .checked_sub(b'0')
                .filter(|digit| *digit <= 9)
                .ok_or(ParseMoneyError::Malformed)?;
            pico = pico
                .checked_mul(10)
                .and_then(|pico| pico.checked_add(u128::from(digit)))
                .ok_or(ParseMoneyError::TooLarge)?;
        }
        Ok(Self(pico))
    }

    /// The sum, or `None` when it doesn't fit.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` when it would be below zero.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The difference, or nothing when it would be below zero. For what is left of a limit.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The sum, or [`PicoUsd::MAX`]. For comparing with a limit, never for booking.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// `count` units at `rate` each, or `None` when the product doesn't fit.
    pub const fn mul_units(count: u64, rate: Self) -> Option<Self> {
        match widen(count).checked_mul(rate.0) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// The sum of all, or `None` when it doesn't fit.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// `u128::from` is not usable in a `const fn` yet, and this widening can't lose anything.
#[allow(clippy::as_conversions, reason = "u64 to u128 is lossless; From is not const")]
const fn widen(count: u64) -> u128 {
    count as u128
}

impl fmt::Display for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0 / PICO_PER_USD;
        let fraction = self.0 % PICO_PER_USD;
        let digits = format!("{fraction:012}");
        let needed = digits.trim_end_matches('0').len().max(FRACTION_DIGITS_MIN);
        write!(f, "{whole}.{}", digits.get(..needed).unwrap_or(&digits))
    }
}

impl fmt::Debug for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} USD")
    }
}

impl FromStr for PicoUsd {
    type Err = ParseMoneyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for PicoUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u128(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for PicoUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Text)
        } else {
            u128::deserialize(deserializer).map(Self)
        }
    }
}

/// Text only: a JSON number may already have been through a float.
struct Text;

impl Visitor<'_> for Text {
    type Value = PicoUsd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount in dollars as a string, such as \"12.50\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PicoUsd, E> {
        PicoUsd::parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_exact_both_ways() {
        for (text, pico, shown) in [
            ("12.5", 12_500_000_000_000, "12.500000"),
            ("0", 0, "0.000000"),
            ("0.000000000001", 1, "0.000000000001"),
            ("0.0000001", 100_000, "0.0000001"),
            ("007.10", 7_100_000_000_000, "7.100000"),
        ] {
            assert_eq!(PicoUsd::parse(text), Ok(PicoUsd(pico)), "{text}");
            assert_eq!(PicoUsd(pico).to_string(), shown);
        }
        assert_eq!(PicoUsd::parse(&PicoUsd::MAX.to_string()), Ok(PicoUsd::MAX));
        assert_eq!(PicoUsd::from_usd(u64::MAX).to_string(), format!("{}.000000", u64::MAX));
    }

    #[test]
    fn what_is_not_exactly_an_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "1 ", "0x1", "1.2.3", "١"]
        {
            assert_eq!(PicoUsd::parse(text), Err(ParseMoneyError::Malformed), "{text:?}");
        }
        assert_eq!(PicoUsd::parse("0.0000000000001"), Err(ParseMoneyError::TooPrecise));
        assert_eq!(PicoUsd::parse("999999999999999999999999999"), Err(ParseMoneyError::TooLarge));
        assert_eq!(PicoUsd::parse(&"9".repeat(100)), Err(ParseMoneyError::TooLarge));
    }

    #[test]
    fn units_are_multiplied_with_a_check() {
        assert_eq!(PicoUsd::mul_units(1_000, PicoUsd(2_500_000)), Some(PicoUsd(2_500_000_000)));
        assert_eq!(PicoUsd::mul_units(2, PicoUsd::MAX), None);
        assert_eq!(PicoUsd::checked_sum([PicoUsd::MAX, PicoUsd(1)]), None);
    }

    proptest! {
        #[test]
        fn every_amount_survives_its_text(pico: u128) {
            prop_assert_eq!(PicoUsd::parse(&PicoUsd(pico).to_string()), Ok(PicoUsd(pico)));
        }

        #[test]
        fn every_amount_survives_the_binary_form(pico: u128) {
            let bytes = postcard::to_stdvec(&PicoUsd(pico)).unwrap();
            prop_assert_eq!(postcard::from_bytes::<PicoUsd>(&bytes), Ok(PicoUsd(pico)));
        }
    }
}
