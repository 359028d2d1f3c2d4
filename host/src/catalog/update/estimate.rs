//! Expected quality of a model, worked out from what the source says: published benchmark scores
//! of coding and agent work where there are any; otherwise generation, price and size words.
//! Every figure is in thousandths. These are priors: live outcomes correct them.

use std::collections::BTreeMap;

use turnpike_ledger::PicoUsd;

/// What is known of one model, from all who sell it.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// Benchmark name to the best score published for this model.
    pub(super) scores: BTreeMap<String, f64>,
    /// Earliest release date that anyone states.
    pub(super) released: Option<String>,
    /// When the model that it follows came out, where nobody states when this one did.
    pub(super) since: Option<String>,
    /// The maker's own price of an output token, else the median of the sellers'.
    pub(super) output_price: Option<PicoUsd>,
    pub(super) reasoning: bool,
    pub(super) embedding: bool,
}

/// A benchmark's scale: which scores stand for 450 and for 900 thousandths. Read off where models
/// of known standing score; a benchmark that isn't here is not used.
struct Scale {
    name: &'static str,
    at_450: f64,
    at_900: f64,
}

const SCALES: [Scale; 10] = [
    Scale { name: "Artificial Analysis Coding Index", at_450: 10.0, at_900: 45.0 },
    Scale { name: "Artificial Analysis Coding Agent Index", at_450: 0.0, at_900: 60.0 },
    Scale { name: "SWE-Bench Verified", at_450: 25.0, at_900: 83.0 },
    Scale { name: "SWE-Bench Pro", at_450: 4.0, at_900: 64.0 },
    Scale { name: "Terminal-Bench Hard", at_450: 4.0, at_900: 45.0 },
    Scale { name: "Terminal-Bench", at_450: 20.0, at_900: 78.0 },
    Scale { name: "SciCode", at_450: 20.0, at_900: 55.0 },
    Scale { name: "Aider Polyglot", at_450: 5.0, at_900: 95.0 },
    Scale { name: "LiveCodeBench", at_450: 30.0, at_900: 92.0 },
    Scale { name: "GPQA Diamond", at_450: 40.0, at_900: 92.0 },
];

/// No prior is lower or higher than these: certainty would keep a model from ever being tried.
const LOWEST: i64 = 150;
const HIGHEST: i64 = 960;

/// What the best model of January 2023 would get, and how much the best gained in each month.
const FRONTIER_AT_START: i64 = 500;
const FRONTIER_PER_MONTH: i64 = 10;

/// Taken off by the price of a million output tokens in cents: makers price by capability.
const PRICE_BANDS: [(u128, i64); 5] = [(800, 0), (350, 40), (150, 75), (70, 120), (30, 170)];
const CHEAPEST: i64 = 230;
const PRICE_UNKNOWN: i64 = 150;

/// Taken off by words in the name.
const SIZE_WORDS: [(&str, i64); 12] = [
    ("nano", 100),
    ("micro", 100),
    ("tiny", 100),
    ("lite", 60),
    ("mini", 45),
    ("small", 45),
    ("flash", 30),
    ("haiku", 30),
    ("air", 30),
    ("edge", 80),
    ("spark", 45),
    ("instant", 45),
];

/// Taken off by billions of parameters up to these, where the name says how many.
const PARAMETER_BANDS: [(u32, i64); 3] = [(4, 140), (10, 90), (35, 40)];

/// Taken off by maker, where nothing was measured: most labs trail the first three.
const LEADERS: [&str; 3] = ["anthropic", "google", "openai"];
const FOLLOWERS: [&str; 9] =
    ["alibaba", "deepseek", "meta", "minimax", "mistral", "moonshotai", "nvidia", "xai", "zhipuai"];
const FOLLOWING: i64 = 30;
const OTHERS: i64 = 100;

/// Added for thinking before answering.
const THINKING: i64 = 25;

/// What the sources give for one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) general: u16,
    pub(super) code: Option<u16>,
}

/// The prior of a model by its catalogue name.
pub(super) fn estimate(model: &str, evidence: &Evidence) -> Estimate {
    let guessed = if evidence.embedding { embedding(model) } else { guess(model, evidence) };
    let guessed = guessed.clamp(LOWEST, HIGHEST);
    let code = measured(&evidence.scores, guessed);
    // Coding scores say something about the rest, and more than a price does.
    let general = code.map_or(guessed, |code| (code.saturating_mul(2).saturating_add(guessed)) / 3);
    Estimate { general: permille(general), code: code.map(permille) }
}

/// The mean of all benchmarks with a known scale. The guess counts as one more of them, because
/// a single score depends much on who ran it.
fn measured(scores: &BTreeMap<String, f64>, guessed: i64) -> Option<i64> {
    let known: Vec<f64> = SCALES
        .iter()
        .filter_map(|scale| scores.get(scale.name).map(|score| scale.place(*score)))
        .collect();
    let count = i64::try_from(known.len()).ok().filter(|count| *count > 0)?;
    let sum = known.iter().sum::<f64>().clamp(0.0, 100_000.0).round() as i64;
    sum.saturating_add(guessed).checked_div(count.saturating_add(1))
}

fn guess(model: &str, evidence: &Evidence) -> i64 {
    let released = evidence.released.as_deref().or(evidence.since.as_deref());
    let months = released.and_then(months_since_2023).unwrap_or(12);
    let frontier = FRONTIER_AT_START.saturating_add(months.saturating_mul(FRONTIER_PER_MONTH));
    let price = evidence.output_price.map_or(PRICE_UNKNOWN, |price| {
        // A cent per million tokens is ten thousand pico-dollars per token.
        let cents = price.0 / 10_000;
        let band = PRICE_BANDS.iter().find(|(from, _)| cents >= *from);
        band.map_or(CHEAPEST, |(_, off)| *off)
    });
    let words = SIZE_WORDS.iter().filter(|(word, _)| has_word(model, word));
    let words = words.map(|(_, off)| *off).max().unwrap_or(0);
    let size = billions(model).map_or(0, |billions| {
        let band = PARAMETER_BANDS.iter().find(|(to, _)| billions <= *to);
        band.map_or(0, |(_, off)| *off)
    });
    let thinking = if evidence.reasoning { THINKING } else { 0 };
    let vendor = model.split('/').next().unwrap_or_default();
    let maker = match (LEADERS.contains(&vendor), FOLLOWERS.contains(&vendor)) {
        (true, _) => 0,
        (_, true) => FOLLOWING,
        _ => OTHERS,
    };
    let off = price.saturating_add(words.max(size)).saturating_add(maker);
    frontier.saturating_sub(off).saturating_add(thinking)
}

/// Embedding models differ little in what a router can know: large or not.
fn embedding(model: &str) -> i64 {
    match (has_word(model, "large"), has_word(model, "small") || has_word(model, "ada")) {
        (true, _) => 800,
        (_, true) => 650,
        _ => 720,
    }
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
    Some(months.saturating_sub(1).clamp(0, 48))
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

fn permille(value: i64) -> u16 {
    u16::try_from(value.clamp(LOWEST, HIGHEST)).unwrap_or(0)
}

// === impl Scale ===

impl Scale {
    /// Where a score stands, in thousandths, on a straight line through the two anchors.
    fn place(&self, score: f64) -> f64 {
        let span = self.at_900 - self.at_450;
        450.0 + (score - self.at_450) / span * 450.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(model: &str, released: &str, cents: u128, scores: &[(&str, f64)]) -> Estimate {
        let evidence = Evidence {
            scores: scores.iter().map(|(name, score)| ((*name).to_owned(), *score)).collect(),
            released: Some(released.to_owned()),
            output_price: Some(PicoUsd(cents * 10_000)),
            ..Evidence::default()
        };
        estimate(model, &evidence)
    }

    #[test]
    fn generation_price_and_size_order_models() {
        let large = of("vendor-5", "2026-03", 1500, &[]).general;
        let middle = of("vendor-5-mini", "2026-03", 300, &[]).general;
        let small = of("vendor-5-nano", "2026-03", 40, &[]).general;
        let old = of("vendor-3", "2023-06", 1500, &[]).general;
        assert!(large > middle && middle > small, "{large} {middle} {small}");
        assert!(large > old);
        assert_eq!(of("vendor-5", "2026-03", 1500, &[]).code, None, "nothing was measured");
    }

    #[test]
    fn scores_outweigh_the_price() {
        let scores = [("SWE-Bench Verified", 80.0), ("SWE-Bench Pro", 60.0)];
        let cheap = of("open-9", "2026-03", 40, &scores);
        assert!(cheap.code.unwrap() > 700);
        assert!(cheap.general > of("open-9", "2026-03", 40, &[]).general);
        let unknown = of("open-9", "2026-03", 40, &[("A benchmark of tomorrow", 99.0)]);
        assert_eq!(unknown.code, None);
    }

    #[test]
    fn reads_sizes_and_dates_from_names() {
        assert_eq!(billions("llama-3.3-70b-instruct"), Some(70));
        assert_eq!(billions("qwen3-235b-a22b"), Some(235));
        assert_eq!(billions("lfm-2.5-1.2b-instruct"), Some(1));
        assert_eq!(billions("gpt-4o"), None);
        assert_eq!(months_since_2023("2024-05-13"), Some(16));
        assert_eq!(months_since_2023("2022-11"), Some(0));
        assert_eq!(months_since_2023("soon"), None);
    }
}
