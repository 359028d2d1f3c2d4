//! The figures that the route policy scores: quality, expected and worst cost, speed, availability.
//! Floats, because they rank; no amount of money is ever made from them.

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Keeping;

use super::health::{Band, Snapshot};
use crate::catalog::{Bounds, Expected, Offer, PriorSource, TASKS, TaskDemands};

/// One row of the policy's table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FigureRow {
    pub quality: f64,
    pub cost_usd: f64,
    pub cost_worst_usd: f64,
    pub first_token_ms: f64,
    /// Streams of the last minutes say so; else it is what is assumed.
    pub first_token_measured: bool,
    /// It is over the ceiling and only assumed: the policy is told the ceiling instead, since whom
    /// nobody asks for it would never be measured.
    pub assumed_over_ceiling: bool,
    pub first_token_p95_ms: f64,
    pub tokens_per_second: f64,
    /// Its speed is not known: it was drawn to be tried first.
    pub explored: bool,
    /// It does not get the search that is expected of others, or the calls of other tools.
    pub without_searches: bool,
    pub without_hosted_calls: bool,
    pub availability: f64,
    pub in_flight: f64,
    /// The same as a count.
    pub requests_in_flight: u32,
    /// 1: cached here. 2: price estimated. 4: quality estimated. 8: preferred by a rule.
    pub marks: u8,
    /// The same as `cost_usd`, exact, for the explanation.
    pub expected_cost: PicoUsd,
    /// Tokens of one answer that it is made of, and in hundredths of those of the task.
    pub answer_tokens: u32,
    pub answer_percent: u32,
    /// Of these tokens what is thought, where the offer has a price of its own for that; else 0.
    pub thinking_tokens: u32,
}

/// What the request asks for and how large it is; made once for all its candidates.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    demands: TaskDemands,
    /// Its place among those that qualities are told apart by, or after them.
    task: usize,
    /// Estimated upwards.
    input_tokens: u32,
    /// Of these the sound and the pictures.
    audio_tokens: u32,
    image_tokens: u32,
    output_limit: Option<u32>,
    /// Tokens of an answer, by the difficulty alone and by what is known of the task.
    plain_answer: u32,
    answer: u32,
    /// How many answers are asked for.
    choices: u32,
    /// The caller asks for thinking.
    thinks: bool,
    /// Which price lists are in force.
    at_ms: u64,
    /// How long the provider is asked to keep the prompt.
    keeping: Keeping,
    /// Tokens of the conversation that are cached where it is warm.
    cached_tokens: u32,
}

/// What of a request depends on who answers it.
#[derive(Debug, Clone, Copy)]
pub struct Particulars<'a> {
    /// What is held for.
    pub bounds: Bounds<'a>,
    /// Tokens of an answer in hundredths of those that are expected of the task.
    pub answer_percent: u32,
    /// What of them is thought, in hundredths.
    pub thinking_percent: u32,
    /// That it is expected to make, and to be charged for.
    pub searches: u64,
    pub hosted_calls: u64,
    /// The conversation is warm there.
    pub warm: bool,
}

/// The session is warm there.
const WARM: u8 = 1;
const PRICE_ESTIMATED: u8 = 2;
const QUALITY_ESTIMATED: u8 = 4;
/// A rule of the organization has it go first among those that are good enough.
const PREFERRED: u8 = 8;
/// A typical answer in tokens, before difficulty: the order of magnitude is what ranks prices.
pub(super) const ANSWER_TOKENS: u32 = 400;
/// The longest answer worth holding for where neither the caller nor the model has a limit.
const ANSWER_TOKENS_MAX: u32 = 4_000;
/// The upward estimate of the input is about this much too high on usual text.
const INPUT_OVERESTIMATE: u32 = 2;
/// Of the upward estimate, in eighths, what hardly a prompt is longer than: a quarter more than is
/// expected. Whose window is too small all the same is answered by the next that takes more.
const LIKELY_EIGHTHS: u32 = 5;

/// Tokens of a prompt that hardly more will be counted of, from the upward estimate, which is made
/// to be held for: by that, offers would be ruled out at half of what they take.
pub fn likely_tokens(upper: u32) -> u32 {
    upper.div_ceil(8).saturating_mul(LIKELY_EIGHTHS)
}

/// Of the upward estimate the tokens that are expected to be counted.
fn expected_tokens(upper: u32) -> u64 {
    u64::from(upper.div_ceil(INPUT_OVERESTIMATE))
}

// === impl Workload ===

impl Workload {
    pub fn new(task: &str, difficulty: f64, input_tokens: u32, output_limit: Option<u32>) -> Self {
        let plain_answer = answer_tokens(difficulty);
        Self {
            demands: TaskDemands::of(task),
            task: TASKS.iter().take_while(|known| **known != task).count(),
            input_tokens,
            audio_tokens: 0,
            image_tokens: 0,
            output_limit,
            plain_answer,
            answer: plain_answer,
            choices: 1,
            thinks: false,
            at_ms: 0,
            keeping: Keeping::None,
            cached_tokens: 0,
        }
    }

    /// The same with the price lists of that moment.
    pub fn at(self, at_ms: u64) -> Self {
        Self { at_ms, ..self }
    }

    /// The same where the provider is asked to keep the prompt.
    pub fn keeping(self, keeping: Keeping) -> Self {
        Self { keeping, ..self }
    }

    /// The same where so many of the tokens are sound and pictures.
    pub fn with_media(self, audio_tokens: u32, image_tokens: u32) -> Self {
        Self { audio_tokens, image_tokens, ..self }
    }

    /// The same where so many answers are asked for.
    pub fn choosing(self, choices: u32) -> Self {
        Self { choices: choices.max(1), ..self }
    }

    /// The same where the caller asks for thinking, or does not.
    pub fn thinking(self, thinks: bool) -> Self {
        Self { thinks, ..self }
    }

    /// The same where the conversation is warm somewhere, with so many tokens cached.
    pub fn cached(self, tokens: u32) -> Self {
        let cached = expected_tokens(self.input_tokens).min(tokens.into());
        Self { cached_tokens: u32::try_from(cached).unwrap_or(u32::MAX), ..self }
    }

    /// The same where answers at its task are that long, in hundredths of the usual.
    pub(super) fn answering(self, percent: u32) -> Self {
        Self { answer: hundredths(self.plain_answer, percent), ..self }
    }

    /// The size of the prompt, for what is known of speeds.
    pub fn band(&self) -> Band {
        Band::of(self.input_tokens)
    }

    pub(super) fn task(&self) -> usize {
        self.task
    }

    pub(super) fn plain_answer(&self) -> u32 {
        self.plain_answer
    }

    /// The bound of an answer's tokens, where the caller has set one.
    pub fn output_limit(&self) -> Option<u32> {
        self.output_limit
    }

    /// Whether the caller asks for thinking.
    pub fn thinks(&self) -> bool {
        self.thinks
    }

    /// Tokens of an answer that is as long as those of others at the task.
    pub fn usual_answer(&self) -> u32 {
        self.answer
    }

    /// Tokens of one answer of a model, from hundredths of the usual; never over the caller's
    /// limit, nor over its own, which is 0 where it is not known.
    pub fn answer_tokens(&self, percent: u32, longest: u32) -> u32 {
        let tokens = hundredths(self.answer, percent);
        let own = if longest == 0 { u32::MAX } else { longest };
        tokens.min(self.output_limit.unwrap_or(u32::MAX)).min(own)
    }

    /// What a model thinks for one of these, in hundredths of all its tokens. Before it writes: a
    /// limit takes from what is written.
    pub fn thinking_tokens(&self, percent: u32, thinking_percent: u32, longest: u32) -> u32 {
        let thought = hundredths(hundredths(self.answer, percent), thinking_percent.min(100));
        thought.min(self.answer_tokens(percent, longest))
    }

    /// What such a call is expected to be charged for where its answers have that many tokens and
    /// nothing is cached.
    pub fn expected(&self, answer_tokens: u32) -> Expected<'static> {
        Expected {
            input_tokens: expected_tokens(self.input_tokens),
            input_audio: expected_tokens(self.audio_tokens),
            input_image: expected_tokens(self.image_tokens),
            keeping: self.keeping,
            output_tokens: u64::from(answer_tokens).saturating_mul(self.choices.into()),
            ..Expected::default()
        }
    }

    /// Tokens of the conversation that are cached where it is warm.
    pub fn cached_tokens(&self) -> u32 {
        self.cached_tokens
    }

    /// How many answers are asked for.
    pub fn choices(&self) -> u32 {
        self.choices
    }
}

fn hundredths(tokens: u32, percent: u32) -> u32 {
    let tokens = u64::from(tokens).saturating_mul(percent.into()).div_ceil(100);
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

/// Tokens of answer to expect. Harder work writes more.
fn answer_tokens(difficulty: f64) -> u32 {
    // In tenths, so that no float becomes a count.
    let tenths = (0..10_u32).take_while(|t| f64::from(*t) < difficulty * 10.0).count();
    let tenths = u32::try_from(tenths).unwrap_or(10);
    ANSWER_TOKENS.saturating_mul(tenths.saturating_add(2)) / 4
}

// === impl Particulars ===

impl Particulars<'_> {
    /// Of any offer, where the request is nothing but text and its answers are as long as others.
    pub fn of_text(work: &Workload) -> Self {
        let longest = work.output_limit.unwrap_or(ANSWER_TOKENS_MAX);
        let bounds = Bounds::text(work.input_tokens.into(), longest.into());
        let (answer_percent, thinking_percent) = (100, 0);
        let (searches, hosted_calls, warm) = (0, 0, false);
        Self { bounds, answer_percent, thinking_percent, searches, hosted_calls, warm }
    }
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

    /// Marks what of the searches, and of the calls of other tools, that a request is expected to
    /// make it does not get: it is spoken to in another dialect, or has no price for them.
    pub fn miss(&mut self, [searches, hosted_calls]: [u64; 2], of_it: &Particulars<'_>) {
        self.without_searches = of_it.searches < searches;
        self.without_hosted_calls = of_it.hosted_calls < hosted_calls;
    }

    /// Whether a rule prefers it.
    pub fn is_preferred(&self) -> bool {
        self.marks & PREFERRED != 0
    }

    /// The time to the first token as it is scored under that ceiling, 0 for none.
    pub fn first_token_under(&self, ceiling_ms: f64) -> f64 {
        match self.assumed_over_ceiling && ceiling_ms > 0.0 {
            true => self.first_token_ms.min(ceiling_ms),
            false => self.first_token_ms,
        }
    }
}

/// The marks of what is only estimated.
fn estimates(quality: PriorSource, price: bool) -> u8 {
    let quality = if quality == PriorSource::Estimated { QUALITY_ESTIMATED } else { 0 };
    quality | if price { PRICE_ESTIMATED } else { 0 }
}

/// The figures of one offer, or `None` when a rate that is needed is unknown.
pub fn figure_row(
    offer: &Offer,
    work: &Workload,
    of_it: &Particulars<'_>,
    seen: Snapshot,
) -> Option<FigureRow> {
    let prior = offer.quality.prior(&work.demands);
    let list = offer.rates.at(work.at_ms);
    let (percent, longest) = (of_it.answer_percent, offer.output_tokens);
    let answer_tokens = work.answer_tokens(percent, longest);
    let thinking_tokens = match list.prices_thinking() {
        true => work.thinking_tokens(percent, of_it.thinking_percent, longest),
        false => 0,
    };
    let expected = list.expected(&Expected {
        thinking_tokens: u64::from(thinking_tokens).saturating_mul(work.choices.into()),
        cached_tokens: if of_it.warm { work.cached_tokens.into() } else { 0 },
        output_audio: of_it.bounds.output_audio,
        searches: of_it.searches,
        hosted_calls: of_it.hosted_calls,
        service_tier: of_it.bounds.service_tier,
        ..work.expected(answer_tokens)
    })?;
    let worst = list.worst_case_at(&of_it.bounds).ok()?;
    let estimates = estimates(prior.source, list.is_estimated(work.keeping == Keeping::Hour));
    Some(FigureRow {
        quality: prior.value,
        cost_usd: ranking_usd(expected),
        cost_worst_usd: ranking_usd(worst),
        first_token_ms: seen.first_token_ms,
        first_token_measured: seen.first_token_measured,
        assumed_over_ceiling: false,
        first_token_p95_ms: seen.first_token_p95_ms,
        tokens_per_second: seen.tokens_per_second,
        explored: false,
        without_searches: false,
        without_hosted_calls: false,
        availability: seen.availability,
        in_flight: f64::from(seen.in_flight),
        requests_in_flight: seen.in_flight,
        marks: estimates | if of_it.warm { WARM } else { 0 },
        expected_cost: expected,
        answer_tokens,
        answer_percent: percent,
        thinking_tokens,
    })
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
mod tests;
