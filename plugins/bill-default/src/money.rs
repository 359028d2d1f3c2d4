//! Exact decimal US dollars as integers of 10⁻¹² (pico-dollars). No floats.

const DECIMALS: usize = 12;
const PICO_PER_USD: u128 = 1_000_000_000_000;

/// `unit_price` (decimal dollars, at most 12 digits after the point) times `count`, as decimal
/// dollars without trailing zeros; `None` when the price is no such number or the result does
/// not fit.
pub(crate) fn times(unit_price: &str, count: u32) -> Option<String> {
    parse(unit_price)?.checked_mul(u128::from(count)).map(print)
}

fn parse(usd: &str) -> Option<u128> {
    let (whole, fraction) = usd.split_once('.').unwrap_or((usd, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > DECIMALS {
        return None;
    }
    let mut pico = 0_u128;
    for byte in fraction.bytes().chain(std::iter::repeat(b'0')).take(DECIMALS) {
        pico = pico * 10 + u128::from(byte - b'0');
    }
    whole.parse::<u128>().ok()?.checked_mul(PICO_PER_USD)?.checked_add(pico)
}

fn print(pico: u128) -> String {
    let whole = pico / PICO_PER_USD;
    let fraction = format!("{:012}", pico % PICO_PER_USD);
    match fraction.trim_end_matches('0') {
        "" => whole.to_string(),
        digits => format!("{whole}.{digits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::times;

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
    fn what_does_not_fit_is_none_not_wrapped() {
        assert_eq!(times("340282366920938463463374607.5", 1000), None);
        assert_eq!(times("999999999999999999999999999999999999999999", 1), None);
    }
}
