//! Amounts as tests check them: exact, by code of our own, so that the product's arithmetic is
//! not its own judge. List prices are copied from the providers' price lists of July 2026.

use anyhow::{Context, Result, bail};

/// Pico-USD in one USD.
const PICO_PER_USD: u128 = 1_000_000_000_000;
/// Digits after the point that a pico-USD has.
const DIGITS: usize = 12;

/// Official prices of one token, in pico-USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// An input token that was not cached.
    pub input: u128,
    /// An input token read from the cache.
    pub cache_read: u128,
    /// An output token, reasoning included.
    pub output: u128,
}

/// The decimal text of an amount in USD as pico-USD: `"1.5"` is 1 500 000 000 000.
pub fn pico(usd: &str) -> Result<u128> {
    let (whole, fraction) = usd.split_once('.').unwrap_or((usd, ""));
    if fraction.len() > DIGITS || whole.is_empty() {
        bail!("{usd:?} is not an amount in USD");
    }
    let digits = |text: &str| text.parse::<u128>().with_context(|| format!("{usd:?} is no amount"));
    let whole = digits(whole)?;
    let fraction = digits(&format!("{fraction:0<DIGITS$}"))?;
    Ok(whole * PICO_PER_USD + fraction)
}

/// The list price of a model of the test script, by provider and name on the wire.
pub fn list_price(provider: &str, model: &str) -> Result<Price> {
    // US dollars for a million tokens are pico-USD for a token, in millions.
    let (input, cache_read, output) = match (provider, model) {
        ("openai", "gpt-5.4") => (2_500_000, 250_000, 15_000_000),
        ("openai", "gpt-5.4-mini") => (750_000, 75_000, 4_500_000),
        ("openai", "gpt-5.4-nano") => (200_000, 20_000, 1_250_000),
        ("deepseek", "deepseek-v4-pro") => (435_000, 3_625, 870_000),
        // It has no price for cached tokens; the test's providers report none for it.
        ("mistral", "mistral-large-latest") => (500_000, 0, 1_500_000),
        _ => bail!("the test knows no price of {model} at {provider}"),
    };
    Ok(Price { input, cache_read, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        assert_eq!(pico("1.5").unwrap(), 1_500_000_000_000);
        assert_eq!(pico("0.000000000001").unwrap(), 1);
        assert_eq!(pico("12").unwrap(), 12_000_000_000_000);
        assert!(pico("1.0000000000001").is_err() && pico("-1").is_err() && pico("").is_err());
    }
}
