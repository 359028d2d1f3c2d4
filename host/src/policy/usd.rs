//! Exact decimal US dollars at the border to the guests, integer pico-dollars inside. Never rounds.

/// Digits after the point: one pico-dollar.
const DECIMALS_MAX: usize = 12;
/// Digits before the point; 10^15 dollars in pico-dollars are far below what a u128 holds.
const WHOLE_DIGITS_MAX: usize = 15;
/// Pico-dollars of one dollar.
const PICO: u128 = 1_000_000_000_000;
const PICO_SHORT: u64 = 1_000_000_000_000;

/// Reads `12`, `0.0000375` or `12.50`: digits, at most one point, at least one digit before it. No
/// sign, no exponent, no blank.
pub(super) fn parse(text: &str) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    if whole.len() > WHOLE_DIGITS_MAX || fraction.len() > DECIMALS_MAX {
        return None;
    }
    let mut pico = fraction.parse::<u128>().ok()?;
    for _ in fraction.len()..DECIMALS_MAX {
        pico = pico.checked_mul(10)?;
    }
    whole.parse::<u128>().ok()?.checked_mul(PICO)?.checked_add(pico)
}

/// Writes the shortest exact form.
pub(super) fn format(pico: u128) -> String {
    // Every price and nearly every amount fits: wide integers are ten times as slow to write.
    let mut text = match u64::try_from(pico) {
        Ok(pico) => format!("{}.{:012}", pico / PICO_SHORT, pico % PICO_SHORT),
        Err(_) => format!("{}.{:012}", pico / PICO, pico % PICO),
    };
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_exactly_or_not_at_all() {
        assert_eq!(parse("0.0000375"), Some(37_500_000));
        assert_eq!(parse("12"), Some(12 * PICO));
        assert_eq!(parse("0.000000000001"), Some(1));
        for bad in ["", ".5", "5.", "-1", "+1", "1e3", "1,5", " 1", "0.0000000000001", "٣", "1.2.3"]
        {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(parse(&"9".repeat(40)), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(pico in 0..PICO * PICO) {
            let text = format(pico);
            prop_assert_eq!(parse(&text), Some(pico));
            prop_assert!(!text.contains('.') || !text.ends_with(['0', '.']), "{}", text);
        }
    }
}
