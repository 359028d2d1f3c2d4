//! Exact decimal US dollars as integers of 10⁻¹² (pico-dollars). No floats.

const DECIMALS: usize = 12;
const PICO_PER_USD: u128 = 1_000_000_000_000;
/// All of something, in hundredths of a percent.
const WHOLE: u32 = 10_000;
/// Digits that always fit an u64.
const SAFE_DIGITS: usize = 19;
/// Whole dollars below 10⁸, the point and the decimals.
const LONGEST: usize = 8 + 1 + DECIMALS;

/// `unit_price` (decimal dollars, at most 12 digits after the point) times `count`, as decimal
/// dollars without trailing zeros; `None` when the price is no such number or the result does
/// not fit.
pub(crate) fn times(unit_price: &str, count: u32) -> Option<String> {
    parse(unit_price)?.checked_mul(u128::from(count)).map(print)
}

/// `unit_price` raised by hundredths of a percent. A fraction of the smallest unit is the
/// customer's, so that a thousand of something never cost more than a thousand times one.
pub(crate) fn raised(unit_price: &str, hundredths: u32) -> Option<String> {
    let whole = u128::from(WHOLE) + u128::from(hundredths);
    parse(unit_price)?.checked_mul(whole).map(|raised| print(raised / u128::from(WHOLE)))
}

fn parse(usd: &str) -> Option<u128> {
    let (whole, fraction) = usd.split_once('.').unwrap_or((usd, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > DECIMALS {
        return None;
    }
    // At most twelve digits fit an u64, however many zeros are missing.
    let missing = u32::try_from(DECIMALS - fraction.len()).ok()?;
    let pico = u64::try_from(digits(fraction)?).ok()? * 10_u64.pow(missing);
    digits(whole)?.checked_mul(PICO_PER_USD)?.checked_add(u128::from(pico))
}

/// The number that the text writes with nothing but digits. Wide arithmetic is slow in
/// WebAssembly, so it begins where the narrow one could overflow.
fn digits(text: &str) -> Option<u128> {
    let mut bytes = text.bytes();
    let mut narrow = 0_u64;
    for byte in bytes.by_ref().take(SAFE_DIGITS) {
        narrow = narrow * 10 + u64::from(digit(byte)?);
    }
    let mut number = u128::from(narrow);
    for byte in bytes {
        number = number.checked_mul(10)?.checked_add(u128::from(digit(byte)?))?;
    }
    Some(number)
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

fn print(pico: u128) -> String {
    let Ok(small) = u64::try_from(pico) else {
        let fraction = u64::try_from(pico % PICO_PER_USD).unwrap_or(0);
        return written((pico / PICO_PER_USD).to_string(), fraction);
    };
    const PICO: u64 = PICO_PER_USD as u64;
    let (whole, fraction) = (small / PICO, small % PICO);
    let mut text = String::with_capacity(LONGEST);
    if whole == 0 {
        text.push('0');
    } else {
        text.push_str(&whole.to_string());
    }
    written(text, fraction)
}

/// The whole dollars with the fraction behind them, without trailing zeros.
fn written(mut text: String, mut pico: u64) -> String {
    if pico == 0 {
        return text;
    }
    let mut digits = [b'0'; DECIMALS];
    let mut length = 0;
    for (index, slot) in digits.iter_mut().enumerate().rev() {
        let digit = u8::try_from(pico % 10).unwrap_or(0);
        pico /= 10;
        *slot += digit;
        if digit != 0 && length == 0 {
            length = index + 1;
        }
    }
    text.push('.');
    text.extend(digits.iter().take(length).copied().map(char::from));
    text
}

#[cfg(test)]
mod tests {
    use super::{raised, times};

    #[test]
    fn multiplies_without_losing_a_pico_dollar() {
        for (price, count, amount) in [
            ("0.0000025", 0, "0"),
            ("0.00000015", 7, "0.00000105"),
            ("12", 3, "36"),
            ("0.000000000001", u32::MAX, "0.004294967295"),
            ("99999999.999999999999", 2, "199999999.999999999998"),
            ("0.10", 10, "1"),
        ] {
            assert_eq!(times(price, count).as_deref(), Some(amount), "{price} × {count}");
        }
    }

    #[test]
    fn a_mark_up_is_exact_to_the_unit() {
        for (price, hundredths, more) in [
            ("0.0000025", 1_000, "0.00000275"),
            ("0.00000015", 333, "0.000000154995"),
            ("0.000000000001", 9_999, "0.000000000001"),
            ("0.000000000001", 10_000, "0.000000000002"),
            ("12", 100_000, "132"),
            ("0", 5_000, "0"),
        ] {
            assert_eq!(raised(price, hundredths).as_deref(), Some(more), "{price}");
        }
        assert_eq!(raised("99999999999999999999999999", 10_000), None);
    }

    #[test]
    fn what_does_not_fit_is_none_not_wrapped() {
        assert_eq!(times("340282366920938463463374607.5", 1000), None);
        assert_eq!(times("999999999999999999999999999999999999999999", 1), None);
    }
}
