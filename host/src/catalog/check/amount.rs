//! An expected amount: a decimal of US dollars, possibly with an exponent, as exact pico-dollars
//! and what is left of them. Never goes through a float.

use turnpike_ledger::PicoUsd;

/// Pico-dollars have twelve decimals; finer digits are kept to eighteen.
const DECIMALS: i32 = 18;
/// Finest units in a pico-dollar.
const PER_PICO: u128 = 1_000_000;

/// An amount in millionths of a pico-dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(u128);

// === impl Amount ===

impl Amount {
    /// Reads `0.000042`, `7E-7` and the like. `None`: no amount, or one that is not exact so.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let fraction = fraction.trim_end_matches('0');
        let decimals = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let mut digits = whole.bytes().chain(fraction.bytes());
        let value = digits.try_fold(0_u128, |sum, digit| {
            let digit = digit.is_ascii_digit().then(|| u128::from(digit.saturating_sub(b'0')))?;
            sum.checked_mul(10)?.checked_add(digit)
        })?;
        let places = DECIMALS.checked_sub(decimals)?;
        let factor = 10_u128.checked_pow(places.unsigned_abs())?;
        match places {
            0.. => value.checked_mul(factor).map(Self),
            // Finer than what is kept: only zeros may be cut off.
            _ if value.checked_rem(factor)? == 0 => value.checked_div(factor).map(Self),
            _ => None,
        }
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Whether it is this many pico-dollars: exactly, or where prices were rounded to whole
    /// pico-dollars per token within one for each of `rounded` tokens.
    pub(super) fn is(self, pico: PicoUsd, rounded: u64) -> bool {
        let exact = pico.0.saturating_mul(PER_PICO);
        self.0.abs_diff(exact) <= u128::from(rounded).saturating_mul(PER_PICO)
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        PicoUsd(self.0 / PER_PICO).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_however_they_are_written() {
        let is = |text: &str, pico| Amount::parse(text).unwrap().is(PicoUsd(pico), 0);
        assert!(is("0.000042", 42_000_000) && is("7E-7", 700_000) && is("0", 0));
        assert!(is("0.00000310000000000", 3_100_000) && is("2.526628", 2_526_628_000_000));
        assert!(!is("7E-13", 0) && !is("0.000042", 42_000_001));
        assert!(Amount::parse("0.0000420000004").unwrap().is(PicoUsd(42_000_000), 1));
        for text in ["", "-1", "1.2.3", "x", "1e", "0.0000000000000000001"] {
            assert_eq!(Amount::parse(text).filter(|_| !text.is_empty()), None, "{text}");
        }
    }
}
