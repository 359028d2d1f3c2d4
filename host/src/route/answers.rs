//! How long answers are: of each task, and of each model beside others, as it was seen here. Tokens
//! that a model thinks are billed as its answer, so one that is cheap by the token and thinks at
//! length is not cheap. In memory, shared by all organizations, plain atomics. Ranks offers and is
//! compared with ceilings; money is held for the longest answer, whatever is learnt here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::figures::{ANSWER_TOKENS, Workload};
use crate::catalog::{AnswerLengths, CatalogError, Offer, TASKS};

/// What is believed beforehand counts as much as so many answers of the usual length. Of a model
/// more than of a task, so that what is common to all models at a task is not taken for the way of
/// the one that is asked: it would look dear, or cheap, beside those that nobody asks.
const PRIOR_OF_TASK: f64 = 4.0;
const PRIOR_OF_MODEL: f64 = 30.0;
/// Of what was seen so much is left after one more answer: about the last hundred count.
const KEPT: f64 = 0.99;
/// Nothing makes answers longer or shorter than so many times what is expected of them; and no
/// single answer counts as more.
const TIMES_MIN: f64 = 0.1;
const TIMES_MAX: f64 = 20.0;

/// See the head of this file.
#[derive(Debug)]
pub struct Answers {
    /// For each offer of the configured catalogue which model it is of.
    model_of: Box<[usize]>,
    models: Box<[OfModel]>,
    /// Those that qualities are told apart by, and one for all others.
    tasks: [Tally; TASKS.len() + 1],
}

/// How long the answers of one model are beside those of others; all its offers together.
#[derive(Debug)]
struct OfModel {
    usual: Times,
    /// Where the caller asks for thinking.
    thinking: Times,
}

#[derive(Debug)]
struct Times {
    /// What is believed before any was seen.
    prior: f64,
    seen: Tally,
}

/// Tokens that were written, and those that had been expected, the older ones counting less: two
/// `f32` in one word, so that they always belong together.
#[derive(Debug, Default)]
struct Tally(AtomicU64);

// === impl Answers ===

impl Answers {
    /// For these offers, with what the catalogue knows of their models.
    ///
    /// # Errors
    /// When the file that was built in is damaged.
    pub fn new(offers: &[Arc<Offer>]) -> Result<Self, CatalogError> {
        let lengths = AnswerLengths::embedded()?;
        let (mut known, mut models) = (HashMap::new(), Vec::new());
        let mut model_of = Vec::with_capacity(offers.len());
        for offer in offers {
            let model = *known.entry(&*offer.model).or_insert_with(|| {
                let [usual, thinking] = lengths.of(offer).map(Times::new);
                models.push(OfModel { usual, thinking });
                models.len().saturating_sub(1)
            });
            model_of.push(model);
        }
        let tasks = Default::default();
        Ok(Self { model_of: model_of.into(), models: models.into(), tasks })
    }

    /// What is expected of answers at its task by now.
    pub fn usual(&self, work: Workload) -> Workload {
        work.answering(percent(self.task(&work).map_or(1.0, |task| task.times(1.0, PRIOR_OF_TASK))))
    }

    /// Tokens of an answer of this offer, in hundredths of those that are expected of the task.
    pub fn percent(&self, offer: usize, work: &Workload) -> u32 {
        self.times(offer, work).map_or(100, |times| percent(times.now()))
    }

    /// The offer has answered in full, with so many tokens billed for each answer.
    pub fn learn(&self, offer: usize, work: &Workload, written: u64) {
        let (Some(task), Some(model)) = (self.task(work), self.times(offer, work)) else { return };
        let written = float(written);
        let plain = f64::from(work.plain_answer());
        let (of_task, of_model) = (task.times(1.0, PRIOR_OF_TASK), model.now());
        let at_limit = work.output_limit().is_some_and(|limit| written >= f64::from(limit));
        // That it would have gone on is all that an answer says which ends at its limit.
        if written < 1.0 || (at_limit && written <= plain * of_task * of_model) {
            return;
        }
        task.add(written, plain * of_model);
        // Beside what is expected of the task by now: what both could explain is the task's. In
        // answers of the usual length, or long ones would leave the model's prior no weight.
        model.seen.add(written / task.times(1.0, PRIOR_OF_TASK), plain);
    }

    fn task(&self, work: &Workload) -> Option<&Tally> {
        self.tasks.get(work.task())
    }

    fn times(&self, offer: usize, work: &Workload) -> Option<&Times> {
        let model = self.models.get(*self.model_of.get(offer)?)?;
        Some(if work.thinks() { &model.thinking } else { &model.usual })
    }
}

/// In few steps, so that it does not change with every answer.
fn percent(times: f64) -> u32 {
    // The bounds of it are far within those of an integer.
    let whole = (times.clamp(TIMES_MIN, TIMES_MAX) * 100.0).round() as u32;
    let step = match whole {
        0..100 => 5,
        100..1_000 => 10,
        _ => 100,
    };
    whole.saturating_add(step / 2) / step * step
}

fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

// === impl Times ===

impl Times {
    fn new(percent: u32) -> Self {
        Self { prior: f64::from(percent) / 100.0, seen: Tally::default() }
    }

    fn now(&self) -> f64 {
        self.seen.times(self.prior, PRIOR_OF_MODEL)
    }
}

// === impl Tally ===

impl Tally {
    /// How many times as long answers are as was expected, drawn towards what is believed, which
    /// counts as so many answers.
    fn times(&self, prior: f64, answers: f64) -> f64 {
        let [written, expected] = sums(self.0.load(Ordering::Relaxed));
        let weight = answers * f64::from(ANSWER_TOKENS);
        ((written + weight * prior) / (expected + weight)).clamp(TIMES_MIN, TIMES_MAX)
    }

    fn add(&self, written: f64, expected: f64) {
        let written = written.clamp(expected * TIMES_MIN, expected * TIMES_MAX);
        let more = |packed: u64| {
            let [of_written, of_expected] = sums(packed);
            Some(packed_sums(of_written * KEPT + written, of_expected * KEPT + expected))
        };
        // A sample that is lost would be harmless, and none is: it always gives one.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok();
    }
}

fn sums(packed: u64) -> [f64; 2] {
    let [a, b, c, d, e, f, g, h] = packed.to_le_bytes();
    [[a, b, c, d], [e, f, g, h]].map(|bytes| f64::from(f32::from_le_bytes(bytes)))
}

fn packed_sums(written: f64, expected: f64) -> u64 {
    // Seven digits of each are enough.
    let [written, expected] = [written, expected].map(|sum| (sum as f32).to_bits());
    u64::from(written) | u64::from(expected) << 32
}

#[cfg(test)]
mod tests;
