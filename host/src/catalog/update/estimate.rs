//! What a model's age, price, size, maker and thinking say about its quality, where nobody has
//! measured it; every figure in thousandths. Each part of it is kept apart, because models of one
//! maker differ by some of them only.

use turnpike_ledger::PicoUsd;

use super::benchmarks::Scores;

/// What is known of one model, from all who sell it.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// The best scores published for this model.
    pub(super) scores: Scores,
    /// Earliest release date that anyone states.
    pub(super) released: Option<String>,
    /// When the model that it follows came out, where nobody states when this one did.
    pub(super) since: Option<String>,
    /// The maker's own price of an output token, else the median of the sellers'.
    pub(super) output_price: Option<PicoUsd>,
    pub(super) reasoning: bool,
    pub(super) embedding: bool,
}

/// No prior is lower or higher than these: certainty would keep a model from ever being tried.
const LOWEST: i64 = 150;
const HIGHEST: i64 = 985;

/// What the best model of each January has, from that of 2023 on; in between by month. It rises
/// ever less, since the best imaginable has a thousand, and for as long as models are compared.
const FRONTIER: [i64; 10] = [500, 620, 740, 840, 900, 930, 948, 960, 970, 978];
/// Where nobody says when it came out.
const MONTHS_UNKNOWN: i64 = 12;

/// Taken off by the price of a million output tokens in cents: makers price by capability.
const PRICE_BANDS: [(u128, i64); 5] = [(800, 0), (350, 40), (150, 75), (70, 120), (30, 170)];
const CHEAPEST: i64 = 230;
const PRICE_UNKNOWN: i64 = 150;

/// Taken off by words in the name.
const SIZE_WORDS: [(&str, i64); 18] = [
    ("nano", 100),
    ("micro", 100),
    ("tiny", 100),
    ("audio", 90),
    ("edge", 80),
    ("lite", 60),
    ("luna", 60),
    ("search", 60),
    ("mini", 45),
    ("small", 45),
    ("spark", 45),
    ("instant", 45),
    ("flash", 30),
    ("haiku", 30),
    ("air", 30),
    ("chat", 20),
    ("sonnet", 20),
    ("terra", 20),
];

/// Taken off by billions of parameters up to these, where the name says how many.
const PARAMETER_BANDS: [(u32, i64); 3] = [(4, 140), (10, 90), (35, 40)];

/// Taken off by maker: most labs trail the first three.
const LEADERS: [&str; 3] = ["anthropic", "google", "openai"];
const FOLLOWERS: [&str; 9] =
    ["alibaba", "deepseek", "meta", "minimax", "mistral", "moonshotai", "nvidia", "xai", "zhipuai"];
const FOLLOWING: i64 = 30;
const OTHERS: i64 = 100;

/// Added for thinking before answering.
const THINKING: i64 = 25;

/// Words of models that were trained on for code, and what is taken off at other work for it.
const TRAINED_FOR_CODE: [&str; 6] = ["build", "code", "coder", "codestral", "codex", "devstral"];
const OFF_FOR_CODE: i64 = 30;

/// What a guess is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    /// Months from January 2023 to its release.
    pub(super) months: i64,
    /// What the best of its time had.
    pub(super) frontier: i64,
    /// Taken off.
    pub(super) price: i64,
    pub(super) size: i64,
    maker: i64,
    /// Added.
    pub(super) thinking: i64,
}

// === impl Parts ===

impl Parts {
    /// Of a model by its catalogue name.
    pub(super) fn of(model: &str, evidence: &Evidence) -> Self {
        let released = evidence.released.as_deref().or(evidence.since.as_deref());
        let months = released.and_then(months_since_2023).unwrap_or(MONTHS_UNKNOWN);
        let price = evidence.output_price.map_or(PRICE_UNKNOWN, |price| {
            // A cent per million tokens is ten thousand pico-dollars per token.
            let cents = price.0 / 10_000;
            let band = PRICE_BANDS.iter().find(|(from, _)| cents >= *from);
            band.map_or(CHEAPEST, |(_, off)| *off)
        });
        let words = SIZE_WORDS.iter().filter(|(word, _)| has_word(model, word));
        let words = words.map(|(_, off)| *off).max().unwrap_or(0);
        let parameters = billions(model).map_or(0, |billions| {
            let band = PARAMETER_BANDS.iter().find(|(to, _)| billions <= *to);
            band.map_or(0, |(_, off)| *off)
        });
        let vendor = model.split('/').next().unwrap_or_default();
        let maker = match (LEADERS.contains(&vendor), FOLLOWERS.contains(&vendor)) {
            (true, _) => 0,
            (_, true) => FOLLOWING,
            _ => OTHERS,
        };
        let thinking = if evidence.reasoning { THINKING } else { 0 };
        let (frontier, size) = (frontier(months), words.max(parameters));
        Self { months, frontier, price, size, maker, thinking }
    }

    pub(super) fn guess(&self) -> i64 {
        let off = self.price.saturating_add(self.size).saturating_add(self.maker);
        bounded(self.frontier.saturating_sub(off).saturating_add(self.thinking))
    }
}

/// Within what a prior may be.
pub(super) fn bounded(figure: i64) -> i64 {
    figure.clamp(LOWEST, HIGHEST)
}

/// What is taken off at work other than code.
pub(super) fn off_for_code(model: &str) -> i64 {
    if TRAINED_FOR_CODE.iter().any(|word| has_word(model, word)) { OFF_FOR_CODE } else { 0 }
}

/// Embedding models differ little in what a router can know: large or not.
pub(super) fn embedding(model: &str) -> i64 {
    match (has_word(model, "large"), has_word(model, "small") || has_word(model, "ada")) {
        (true, _) => 800,
        (_, true) => 650,
        _ => 720,
    }
}

/// The best of a month, on straight lines between the Januaries.
fn frontier(months: i64) -> i64 {
    let (year, month) = (months / 12, months % 12);
    let from = usize::try_from(year).unwrap_or(0);
    let last = FRONTIER.last().copied().unwrap_or(HIGHEST);
    let before = FRONTIER.get(from).copied().unwrap_or(last);
    let after = FRONTIER.get(from.saturating_add(1)).copied().unwrap_or(last);
    before.saturating_add(after.saturating_sub(before).saturating_mul(month) / 12)
}

fn has_word(model: &str, word: &str) -> bool {
    model.split(['-', '.', ':', '_', '/']).any(|part| part == word)
}

/// Months from January 2023 to an ISO date; earlier ones count as none.
fn months_since_2023(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let year: i64 = parts.next()?.parse().ok()?;
    let month: i64 = parts.next().unwrap_or("6").parse().ok()?;
    let months = year.saturating_sub(2023).saturating_mul(12).saturating_add(month);
    Some(months.saturating_sub(1).max(0))
}

/// Total parameters in billions, where a part of the name is like `70b`; the active ones of a
/// mixture (`a22b`) don't count.
fn billions(model: &str) -> Option<u32> {
    let parts = model.split(['-', ':', '_', '/']);
    parts.filter_map(whole_billions).max()
}

/// `70b` is 70 and `1.2b` is 1: sizes are compared in bands, so the fraction doesn't matter.
fn whole_billions(part: &str) -> Option<u32> {
    part.strip_suffix('b')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(model: &str, released: &str, cents: u128) -> i64 {
        let evidence = Evidence {
            released: Some(released.to_owned()),
            output_price: Some(PicoUsd(cents * 10_000)),
            ..Evidence::default()
        };
        Parts::of(model, &evidence).guess()
    }

    #[test]
    fn generation_price_and_size_order_models() {
        let large = guess("vendor-5", "2026-03", 1500);
        let middle = guess("vendor-5-mini", "2026-03", 300);
        let small = guess("vendor-5-nano", "2026-03", 40);
        assert!(large > middle && middle > small, "{large} {middle} {small}");
        assert!(large > guess("vendor-3", "2023-06", 1500));
    }

    #[test]
    fn a_newer_model_is_the_better_one_for_as_long_as_models_are_compared() {
        let years =
            |months: std::ops::Range<i64>| months.step_by(2).map(frontier).collect::<Vec<_>>();
        assert!(years(0..60).is_sorted_by(|a, b| a < b), "{:?}", years(0..60));
        let late = years(48..109);
        assert!(late.is_sorted_by(|a, b| a < b), "{late:?}");
        assert!(guess("openai/gpt-9", "2029-06", 1500) > guess("openai/gpt-8", "2028-06", 1500));
        assert!(frontier(10_000) < 1000 && frontier(i64::MAX) < 1000);
    }

    #[test]
    fn reads_sizes_and_dates_from_names() {
        assert_eq!(billions("llama-3.3-70b-instruct"), Some(70));
        assert_eq!(billions("qwen3-235b-a22b"), Some(235));
        assert_eq!(billions("lfm-2.5-1.2b-instruct"), Some(1));
        assert_eq!(billions("gpt-4o"), None);
        assert_eq!(months_since_2023("2024-05-13"), Some(16));
        assert_eq!(months_since_2023("2022-11"), Some(0));
        assert_eq!(months_since_2023("2027-06"), Some(53));
        assert_eq!(months_since_2023("soon"), None);
    }
}
