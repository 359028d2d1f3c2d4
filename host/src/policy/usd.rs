//! Exact decimal US dollars at the border to the guests, integer pico-dollars inside. Never rounds.

/// Digits after the point: one pico-dollar.
const DECIMALS_MAX: usize = 12;
/// Digits before the point; 10^15 dollars in pico-dollars are far below what a u128 holds.
const WHOLE_DIGITS_MAX: usize = 15;
/// Bytes of an amount of less than a hundred million dollars.
const USUAL_BYTES: usize = 8 + 1 + DECIMALS_MAX;
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
    // So many digits fit; wide integers are slow to read, too.
    let mut pico = fraction.parse::<u64>().ok()?;
    for _ in fraction.len()..DECIMALS_MAX {
        pico = pico.checked_mul(10)?;
    }
    u128::from(whole.parse::<u64>().ok()?).checked_mul(PICO)?.checked_add(u128::from(pico))
}

/// Writes the shortest exact form.
pub(super) fn format(pico: u128) -> String {
    // Every price and nearly every amount fits: wide integers are ten times as slow to write.
    let mut text = String::with_capacity(USUAL_BYTES);
    let mut fraction = match u64::try_from(pico) {
        Ok(pico) if pico < PICO_SHORT => {
            text.push('0');
            pico
        }
        Ok(pico) => {
            text.push_str(&(pico / PICO_SHORT).to_string());
            pico % PICO_SHORT
        }
        Err(_) => {
            text.push_str(&(pico / PICO).to_string());
            u64::try_from(pico % PICO).unwrap_or_default()
        }
    };
    let mut digits = [b'0'; DECIMALS_MAX];
    let mut needed = 0;
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        let last = u8::try_from(fraction % 10).unwrap_or_default();
        fraction /= 10;
        *digit = digit.saturating_add(last);
        if last != 0 {
            needed = needed.max(at + 1);
        }
    }
    if needed > 0 {
        text.push('.');
        text.extend(digits.iter().take(needed).copied().map(char::from));
    }
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
