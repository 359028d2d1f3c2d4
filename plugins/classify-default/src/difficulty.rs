//! How hard a task is, from its kind, its size, the words that speak for work, and how much a
//! stronger model is expected to gain: 0 for "what is the capital of France", towards 1 for a
//! review of a fifty-page contract. Never decides which task it is.

use crate::features::Features;
use crate::model::{Scores, TASKS};
use crate::turn::Turn;

/// Each doubling of the input beyond this many tokens adds [`PER_DOUBLING`].
const SMALL_INPUT_TOKENS: f64 = 64.0;
const PER_DOUBLING: f64 = 0.03;
const MOST_FOR_SIZE: f64 = 0.3;
const PER_SIGN: f64 = 0.07;
const MOST_FOR_SIGNS: f64 = 0.28;
/// Long conversations carry context that a model has to keep.
const LONG_CONVERSATION: u32 = 12;
const FOR_CONVERSATION: f64 = 0.05;
/// A turn of this many bytes that asks one plain question.
const PLAIN_QUESTION_BYTES: u32 = 90;
const FOR_PLAIN_QUESTION: f64 = 0.1;
/// What the gain of everyday prompts comes out as, which are learnt as none: the mean is taken off.
const GAIN_OF_EVERYDAY: f64 = -0.09;
/// A greeting, and the least that anything else is.
const GREETING: f64 = 0.01;
const LEAST: f64 = 0.05;
/// What the expected gain counts, and the most it may move the figure.
const PER_GAIN: f64 = 1.0;
const MOST_FOR_GAIN: f64 = 0.2;

fn base(task: &str) -> f64 {
    match task {
        "chat" => 0.15,
        "translation" | "extraction" => 0.25,
        "summarization" => 0.28,
        "writing" => 0.32,
        "vision" | "audio" => 0.4,
        "code" => 0.42,
        "agent" => 0.48,
        _ => 0.5,
    }
}

/// 0 to 1. Where the task is told by the words, every task counts as likely as it is.
pub(crate) fn of(
    task: &str,
    likely: Option<&Scores>,
    turn: &Turn,
    features: &Features<'_>,
    input_tokens: u32,
) -> f64 {
    if task == "chat" && likely.is_none() {
        return GREETING;
    }
    let kind = likely.map_or_else(
        || base(task),
        |likely| TASKS.iter().zip(likely).map(|(name, likely)| base(name) * likely).sum(),
    );
    let doublings = (f64::from(input_tokens.max(1)) / SMALL_INPUT_TOKENS).log2().max(0.0);
    let size = (doublings * PER_DOUBLING).min(MOST_FOR_SIZE);
    let signs = f64::from(features.hard.count_ones()) * PER_SIGN;
    let conversation = if turn.messages >= LONG_CONVERSATION { FOR_CONVERSATION } else { 0.0 };
    let question = turn.text.trim_end().ends_with(['?', '？']);
    let plain =
        if question && turn.length <= PLAIN_QUESTION_BYTES { FOR_PLAIN_QUESTION } else { 0.0 };
    let gain =
        ((features.sums.gain() - GAIN_OF_EVERYDAY) * PER_GAIN).clamp(-MOST_FOR_GAIN, MOST_FOR_GAIN);
    (kind + size + f64::min(signs, MOST_FOR_SIGNS) + conversation - plain + gain).clamp(LEAST, 0.99)
}
