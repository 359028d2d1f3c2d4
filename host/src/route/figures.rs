//! The figures that the route policy scores: quality, expected and worst cost, speed, availability.
//! Floats, because they rank; no amount of money is ever made from them.

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Keeping;

use super::health::{Band, Snapshot};
use crate::catalog::{Offer, PriorSource, RateCard, Rates, TaskDemands};

/// One row of the policy's table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FigureRow {
    pub quality: f64,
    pub cost_usd: f64,
    pub cost_worst_usd: f64,
    pub first_token_ms: f64,
    /// Streams of the last minutes say so; else it is what is assumed.
    pub first_token_measured: bool,
    pub first_token_p95_ms: f64,
    pub tokens_per_second: f64,
    pub availability: f64,
    pub in_flight: f64,
    /// The same as a count.
    pub requests_in_flight: u32,
    /// 1: cached here. 2: price estimated. 4: quality estimated. 8: preferred by a rule.
    pub marks: u8,
    /// The same as `cost_usd`, exact, for the explanation.
    pub expected_cost: PicoUsd,
}

/// What the request asks for and how large it is; made once for all its candidates.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    demands: TaskDemands,
    /// Estimated upwards.
    input_tokens: u32,
    output_limit: Option<u32>,
    output_expected: u32,
    /// Which price lists are in force.
    at_ms: u64,
    /// How long the provider is asked to keep the prompt.
    keeping: Keeping,
}

/// The session is warm there.
const WARM: u8 = 1;
const QUALITY_ESTIMATED: u8 = 4;
/// A rule of the organization has it go first among those that are good enough.
const PREFERRED: u8 = 8;
/// A typical answer in tokens, before difficulty: the order of magnitude is what ranks prices.
const ANSWER_TOKENS: u32 = 400;
/// The longest answer worth expecting when nobody says how long it may be.
const ANSWER_TOKENS_MAX: u32 = 4_000;
/// The upward estimate of the input is about this much too high on usual text.
const INPUT_OVERESTIMATE: u32 = 2;
/// Of the upward estimate, in eighths, what hardly a prompt is longer than: a quarter more than is
/// expected. Whose window is too small all the same is answered by the next that takes more.
const LIKELY_EIGHTHS: u32 = 5;
/// Tokens that the provider has cached.
const CACHED: &str = "cache-read";

/// Tokens of a prompt that hardly more will be counted of, from the upward estimate, which is made
/// to be held for: by that, offers would be ruled out at half of what they take.
pub fn likely_tokens(upper: u32) -> u32 {
    upper.div_ceil(8).saturating_mul(LIKELY_EIGHTHS)
}

impl Workload {
    /// Tokens of the prompt as they are expected to be counted.
    pub fn expected_input(&self) -> u64 {
        u64::from(self.input_tokens.div_ceil(INPUT_OVERESTIMATE))
    }

    /// The same, and tokens of the answer: what the expected cost is made of.
    pub fn expected_tokens(&self) -> [u64; 2] {
        [self.expected_input(), self.output_expected.into()]
    }

    /// The size of the prompt, for what is known of speeds.
    pub fn band(&self) -> Band {
        Band::of(self.input_tokens)
    }

    pub fn new(task: &str, difficulty: f64, input_tokens: u32, output_limit: Option<u32>) -> Self {
        let demands = TaskDemands::of(task);
        let output_expected = expected_output(difficulty, output_limit);
        let keeping = Keeping::None;
        Self { demands, input_tokens, output_limit, output_expected, at_ms: 0, keeping }
    }

    /// The same where the provider is asked to keep the prompt.
    pub fn keeping(self, keeping: Keeping) -> Self {
        Self { keeping, ..self }
    }

    /// The same with the price lists of that moment.
    pub fn at(self, at_ms: u64) -> Self {
        Self { at_ms, ..self }
    }
}

/// Tokens of answer to expect. Harder work writes more.
fn expected_output(difficulty: f64, limit: Option<u32>) -> u32 {
    // In tenths, so that no float becomes a count.
    let tenths = (0..10_u32).take_while(|t| f64::from(*t) < difficulty * 10.0).count();
    let tenths = u32::try_from(tenths).unwrap_or(10);
    let expected = ANSWER_TOKENS.saturating_mul(tenths.saturating_add(2)) / 4;
    expected.min(limit.unwrap_or(ANSWER_TOKENS_MAX)).min(ANSWER_TOKENS_MAX)
}

// === impl FigureRow ===

impl FigureRow {
    /// Corrects the quality by what ratings say.
    pub fn correct(&mut self, by: f64) {
        self.quality = (self.quality + by).clamp(0.0, 1.0);
    }

    /// Marks the offer as one that a rule prefers.
    pub fn prefer(&mut self) {
        self.marks |= PREFERRED;
    }

    /// Whether a rule prefers it.
    pub fn is_preferred(&self) -> bool {
        self.marks & PREFERRED != 0
    }

    /// Marks the offer as warm, and takes off what `cached` of the tokens that are expected cost
    /// less there.
    pub(super) fn warm(&mut self, offer: &Offer, cached: u64, work: &Workload) {
        self.marks |= WARM;
        let rates = offer.rates.at(work.at_ms).standard(work.expected_input());
        let (Some(fresh), Some(read)) = (prompt_price(rates, work.keeping), rates.price(CACHED))
        else {
            return;
        };
        let saved = u128::from(cached).saturating_mul(fresh.saturating_sub(read).0);
        self.expected_cost = self.expected_cost.saturating_sub(PicoUsd(saved));
        self.cost_usd = ranking_usd(self.expected_cost);
    }
}

/// The figures of one offer, or `None` when a rate that is needed is unknown.
pub fn figure_row(offer: &Offer, work: &Workload, seen: Snapshot) -> Option<FigureRow> {
    let prior = offer.quality.prior(&work.demands);
    let input = u64::from(work.input_tokens);
    let list = offer.rates.at(work.at_ms);
    let expected = expected_cost(list, work.expected_tokens(), work.keeping)?;
    let longest = work.output_limit.unwrap_or(ANSWER_TOKENS_MAX);
    let worst = list.worst_case(input, u64::from(longest)).ok()?;
    let estimated = prior.source == PriorSource::Estimated;
    Some(FigureRow {
        quality: prior.value,
        cost_usd: ranking_usd(expected),
        cost_worst_usd: ranking_usd(worst),
        first_token_ms: seen.first_token_ms,
        first_token_measured: seen.first_token_measured,
        first_token_p95_ms: seen.first_token_p95_ms,
        tokens_per_second: seen.tokens_per_second,
        availability: seen.availability,
        in_flight: f64::from(seen.in_flight),
        requests_in_flight: seen.in_flight,
        marks: if estimated { QUALITY_ESTIMATED } else { 0 },
        expected_cost: expected,
    })
}

/// What a text call of so many tokens of prompt and answer is expected to come to: at the prices of
/// what it will be charged as, and not at the dearest, as a hold is. `None` where one is unknown.
pub fn expected_cost(list: &RateCard, tokens: [u64; 2], keeping: Keeping) -> Option<PicoUsd> {
    let rates = list.standard(tokens[0]);
    let prices = [prompt_price(rates, keeping), rates.output];
    // What there is none of needs no price: vectors are no tokens of an answer.
    let some = tokens.into_iter().zip(prices).filter(|(count, _)| *count > 0);
    let mut sum = 0_u128;
    for (count, price) in some {
        sum = sum.saturating_add(u128::from(count).saturating_mul(price?.0));
    }
    Some(PicoUsd(sum.saturating_add(rates.request.map_or(0, |fee| fee.0))))
}

/// A token of the prompt that is not cached yet. Where it is asked to be kept, keeping it is what
/// it costs.
fn prompt_price(rates: &Rates, keeping: Keeping) -> Option<PicoUsd> {
    match keeping {
        Keeping::None => rates.input,
        Keeping::Minutes => rates.price("cache-write-short"),
        Keeping::Hour => rates.price("cache-write-long").or(rates.price("cache-write-short")),
    }
}

/// Good to about sixteen digits, which is enough to rank and never enough to charge. Saturates at
/// eighteen million dollars. No division of wide integers: this runs for every candidate.
pub fn ranking_usd(amount: PicoUsd) -> f64 {
    let pico = u64::try_from(amount.0).unwrap_or(u64::MAX);
    let high = u32::try_from(pico >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(pico & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    (f64::from(high) * 4_294_967_296.0 + f64::from(low)) / 1e12
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn ranking_amounts_are_close_to_exact() {
        for (pico, usd) in [(1_u128, 1e-12), (37_500, 3.75e-8), (2_500_000_000_000, 2.5)] {
            let got = ranking_usd(PicoUsd(pico));
            assert!((got - usd).abs() <= usd * 1e-12, "{pico}: {got}");
        }
    }

    fn claude() -> Arc<Offer> {
        let catalog = Catalog::embedded().unwrap().for_providers(&["anthropic"]).unwrap();
        let named = |offer: &&Arc<Offer>| &*offer.id == "anthropic/claude-sonnet-4-5@anthropic";
        Arc::clone(catalog.offers().iter().find(named).unwrap())
    }

    /// 2,000 tokens of prompt are expected of an upper estimate of 4,000, and 200 of answer.
    fn row(work: Workload) -> FigureRow {
        figure_row(&claude(), &work, Snapshot::UNKNOWN).unwrap()
    }

    #[test]
    fn what_is_expected_costs_the_official_prices_and_not_the_dearest() {
        let work = Workload::new("chat", 0.0, 4_000, None);
        let (input, output) = (3_000_000, 15_000_000);
        let plain = row(work);
        assert_eq!(plain.expected_cost, PicoUsd(2_000 * input + 200 * output));
        assert!(plain.cost_worst_usd > 0.024, "a hold is made for the dearest");
        let kept = |keeping| row(work.keeping(keeping)).expected_cost;
        assert_eq!(kept(Keeping::Minutes), PicoUsd(2_000 * 3_750_000 + 200 * output));
        assert_eq!(kept(Keeping::Hour), PicoUsd(2_000 * 6_000_000 + 200 * output));
    }

    #[test]
    fn pitfall_62_a_warm_conversation_is_expected_to_pay_for_reading_what_is_cached() {
        let answer = 200 * 15_000_000;
        let work = Workload::new("chat", 0.0, 4_000, None);
        for (keeping, fresh) in [(Keeping::None, 3_000_000), (Keeping::Minutes, 3_750_000)] {
            let work = work.keeping(keeping);
            let mut warm = row(work);
            warm.warm(&claude(), 1_500, &work);
            assert_eq!(warm.expected_cost, PicoUsd(1_500 * 300_000 + 500 * fresh + answer));
        }
    }

    #[test]
    fn vectors_need_no_price_of_an_answer_and_answers_do() {
        let mut list = claude().rates.at(0).clone();
        list.base.output = None;
        assert_eq!(expected_cost(&list, [10, 0], Keeping::None), Some(PicoUsd(30_000_000)));
        assert_eq!(expected_cost(&list, [10, 1], Keeping::None), None, "unknown is never free");
    }

    #[test]
    fn a_prompt_is_likely_shorter_than_what_is_held_for() {
        assert_eq!(likely_tokens(209_093), 130_685);
        assert_eq!((likely_tokens(0), likely_tokens(u32::MAX)), (0, 2_684_354_560));
    }

    #[test]
    fn harder_work_is_expected_to_write_more_but_never_over_the_limit() {
        assert!(expected_output(0.9, None) > expected_output(0.1, None));
        assert_eq!(expected_output(0.9, Some(16)), 16);
    }
}
