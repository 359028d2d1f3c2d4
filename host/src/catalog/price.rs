//! Prices as text: US dollars per million tokens, written as a decimal, become whole pico-dollars
//! per token. Never goes through a float and never rounds: what can't be kept exactly is refused.

use turnpike_ledger::PicoUsd;

/// Digits after the point that a price per million may have: 10⁻¹² dollars per token is one unit.
const DECIMALS_MAX: usize = 6;

/// Digits before the point. A million dollars per million tokens is beyond any price list, so a
/// longer number is a mistake in the source.
const WHOLE_DIGITS_MAX: usize = 7;

/// Why a price could not be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    #[error("price {0:?} is not a plain decimal number; write it like 2.5")]
    NotDecimal(String),
    #[error("price {0:?} is negative; leave it out if it is unknown")]
    Negative(String),
    #[error(
        "price {0:?} has more than {DECIMALS_MAX} decimals and is not a whole number of \
         pico-dollars per token; write the exact list price"
    )]
    TooFine(String),
    #[error("price {0:?} is above the largest believable price; check its unit")]
    TooLarge(String),
    #[error("{0:?} is no day from which prices could count; write it like 2026-09-01")]
    NotADay(String),
    #[error("nothing is counted as {0:?}; see the items of `bill.quantity` in the policy contract")]
    UnknownItem(String),
}

/// Reads a price in dollars per million units. Returns pico-dollars per single unit.
///
/// # Errors
/// Refuses exponents, signs, more than six significant decimals, and absurdly large numbers.
pub fn per_million(text: &str) -> Result<PicoUsd, PriceError> {
    if text.starts_with('-') {
        return Err(PriceError::Negative(text.to_owned()));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(PriceError::NotDecimal(text.to_owned()));
    }
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    if whole.len() > WHOLE_DIGITS_MAX {
        return Err(PriceError::TooLarge(text.to_owned()));
    }
    if fraction.len() > DECIMALS_MAX {
        return Err(PriceError::TooFine(text.to_owned()));
    }
    let padding = DECIMALS_MAX.saturating_sub(fraction.len());
    let zeros = std::iter::repeat_n(b'0', padding);
    let all = whole.bytes().chain(fraction.bytes()).chain(zeros);
    let value = all.fold(0u128, |sum, digit| {
        sum.saturating_mul(10).saturating_add(u128::from(digit.saturating_sub(b'0')))
    });
    Ok(PicoUsd(value))
}

/// Writes pico-dollars per unit as dollars per million units: the one spelling that the snapshot
/// uses, with no superfluous zeros.
pub fn to_per_million(price: PicoUsd) -> String {
    let whole = price.0 / 1_000_000;
    let fraction = format!("{:06}", price.0 % 1_000_000);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_list_prices_to_the_pico_dollar() {
        assert_eq!(per_million("2.5").unwrap(), PicoUsd(2_500_000));
        assert_eq!(per_million("0.003625").unwrap(), PicoUsd(3_625));
        assert_eq!(per_million("15.0").unwrap(), PicoUsd(15_000_000));
        assert_eq!(per_million("0").unwrap(), PicoUsd(0));
        assert_eq!(per_million("0.1000000000").unwrap(), PicoUsd(100_000));
        // 0.1 + 0.2 in floats is not 0.3; here every tenth is exact.
        let sum = per_million("0.1").unwrap().0 + per_million("0.2").unwrap().0;
        assert_eq!(sum, per_million("0.3").unwrap().0);
    }

    #[test]
    fn refuses_what_it_cannot_keep_exactly() {
        let refused = |text: &str| per_million(text).unwrap_err();
        assert!(matches!(refused("0.0000001"), PriceError::TooFine(_)));
        assert!(matches!(refused("0.09999999999999999"), PriceError::TooFine(_)));
        assert!(matches!(refused("-1"), PriceError::Negative(_)));
        assert!(matches!(refused("123456789"), PriceError::TooLarge(_)));
        for text in ["", ".", "1.", ".5", "1e-7", "NaN", "1,5", "+1", " 1", "0x1", "1.2.3"] {
            assert!(matches!(refused(text), PriceError::NotDecimal(_)), "{text:?}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["0", "2.5", "0.003625", "15", "1000", "0.08"] {
            assert_eq!(to_per_million(per_million(text).unwrap()), text);
        }
    }
}
