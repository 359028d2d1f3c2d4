//! How long answers are: at each task, and of each model beside others, as it was seen here. Tokens
//! that a model thinks are billed as its answer, so one that is cheap by the token and thinks at
//! length is not cheap; and where they have a price of their own, it matters how many they are. In
//! memory, plain atomics. Ranks offers and is compared with ceilings; money is held for the longest
//! answer, whatever is learnt here.

mod tally;
mod tasks;

use std::collections::HashMap;
use std::sync::Arc;

use super::figures::{ANSWER_TOKENS, Workload};
use crate::catalog::{AnswerLengths, CatalogError, Offer};
use tally::Tally;
use tasks::Tasks;

/// What is believed of a model beforehand counts as much as so many answers: more than what is of a
/// task, so that what is common to all models at a task is not taken for the way of the one that is
/// asked. It would look dear, or cheap, beside those that nobody asks.
const PRIOR_OF_MODEL: f64 = 30.0;
/// Nothing makes answers longer or shorter than so many times what is expected of them.
const TIMES_MIN: f64 = 0.1;
const TIMES_MAX: f64 = 20.0;
/// No single answer counts for a model as more than so many times what is believed of it, or as
/// less: all organizations share that, and anyone can ask for an answer that is absurdly long.
const MODEL_TIMES: f64 = 2.0;

/// See the head of this file.
#[derive(Debug)]
pub struct Answers {
    /// By their index in the configured catalogue.
    offers: Box<[OfOffer]>,
    /// How long the answers of one model are beside those of others; all its offers together.
    models: Box<[ByThinking]>,
    tasks: Tasks,
}

/// An answer that came to its end, as it was billed; of several the mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompleteAnswer {
    /// All tokens of it, and of these what was billed as thinking.
    pub tokens: u64,
    pub thinking_tokens: u64,
    /// It could not have been longer: the caller's limit, what the money allowed, or the model's.
    pub limit: u32,
}

/// What is known of one offer.
#[derive(Debug)]
struct OfOffer {
    /// Which of the models it is of.
    model: usize,
    /// What of its answers is billed as thinking. Not of the model: what its bills tell apart is
    /// for who sells it to decide.
    thought: ByThinking,
}

/// Of requests as they usually are, and of those that ask for thinking.
#[derive(Debug)]
struct ByThinking {
    usual: Learnt,
    thinking: Learnt,
}

#[derive(Debug)]
struct Learnt {
    /// What is believed before any was seen.
    prior: f64,
    seen: Tally,
}

// === impl Answers ===

impl Answers {
    /// For these offers, with what the catalogue knows of their models.
    ///
    /// # Errors
    /// When the file that was built in is damaged.
    pub fn new(offers: &[Arc<Offer>]) -> Result<Self, CatalogError> {
        let lengths = AnswerLengths::embedded()?;
        let (mut known, mut models) = (HashMap::new(), Vec::new());
        let mut of_offers = Vec::with_capacity(offers.len());
        for offer in offers {
            let times = lengths.of(offer).map(|percent| f64::from(percent) / 100.0);
            let model = *known.entry(&*offer.model).or_insert_with(|| {
                models.push(ByThinking::of(times));
                models.len().saturating_sub(1)
            });
            let thought = ByThinking::of(times.map(thought_of));
            of_offers.push(OfOffer { model, thought });
        }
        Ok(Self { offers: of_offers.into(), models: models.into(), tasks: Tasks::default() })
    }

    /// What is expected of an organization's answers at its task by now.
    pub fn usual(&self, org: &str, work: Workload) -> Workload {
        work.answering(percent(self.tasks.times(org, work.task())))
    }

    /// Tokens of an answer of this offer, in hundredths of those that are expected of the task.
    pub fn percent(&self, offer: usize, work: &Workload) -> u32 {
        self.model(offer, work).map_or(100, |model| percent(model.now()))
    }

    /// What of the tokens of an answer of this offer is billed as thinking, in hundredths.
    pub fn thinking_percent(&self, offer: usize, work: &Workload) -> u32 {
        let offer = self.offers.get(offer);
        offer.map_or(0, |offer| share_percent(offer.thought.of_work(work).now()))
    }

    /// The offer has answered that organization in full.
    pub fn learn(&self, org: &str, offer: usize, work: &Workload, answer: CompleteAnswer) {
        let Some(model) = self.model(offer, work) else { return };
        let (written, plain) = (float(answer.tokens), f64::from(work.plain_answer()));
        let (of_task, of_model) = (self.tasks.times(org, work.task()), bounded(model.now()));
        let at_limit = answer.tokens >= u64::from(answer.limit);
        // That it would have gone on is all that an answer says which ends at its limit.
        if written < 1.0 || (at_limit && written <= plain * of_task * of_model) {
            return;
        }
        let usual = plain * of_model;
        self.tasks.add(org, work.task(), written / usual, usual / f64::from(ANSWER_TOKENS));
        // Beside what is expected of the task by now: what both could explain is the task's. A long
        // one counts as no more than one of the usual length, or it would leave the model's prior
        // no weight.
        let times = written / (self.tasks.times(org, work.task()) * plain);
        let times = times.clamp(of_model / MODEL_TIMES, of_model * MODEL_TIMES);
        model.seen.add(times, (plain / f64::from(ANSWER_TOKENS)).min(1.0));
        // What was cut off is what would have been written.
        if let Some(offer) = self.offers.get(offer).filter(|_| !at_limit) {
            let share = float(answer.thinking_tokens) / written;
            offer.thought.of_work(work).seen.add(share.min(1.0), 1.0);
        }
    }

    /// The organization is gone.
    pub fn forget(&self, org: &str) {
        self.tasks.forget(org);
    }

    fn model(&self, offer: usize, work: &Workload) -> Option<&Learnt> {
        Some(self.models.get(self.offers.get(offer)?.model)?.of_work(work))
    }
}

fn bounded(times: f64) -> f64 {
    times.clamp(TIMES_MIN, TIMES_MAX)
}

/// Of an answer that is so many times as long as one without thinking, what is thought.
fn thought_of(times: f64) -> f64 {
    1.0 - 1.0 / times.max(1.0)
}

/// In few steps, so that it does not change with every answer.
fn percent(times: f64) -> u32 {
    // The bounds of it are far within those of an integer.
    let whole = (bounded(times) * 100.0).round() as u32;
    let step = match whole {
        0..100 => 5,
        100..1_000 => 10,
        _ => 100,
    };
    whole.saturating_add(step / 2) / step * step
}

/// The same of a part of one whole.
fn share_percent(share: f64) -> u32 {
    const STEP: u32 = 5;
    let whole = (share.clamp(0.0, 1.0) * 100.0).round() as u32;
    whole.saturating_add(STEP / 2) / STEP * STEP
}

fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

// === impl ByThinking ===

impl ByThinking {
    /// What is believed of both.
    fn of(priors: [f64; 2]) -> Self {
        let [usual, thinking] = priors.map(|prior| Learnt { prior, seen: Tally::default() });
        Self { usual, thinking }
    }

    fn of_work(&self, work: &Workload) -> &Learnt {
        if work.thinks() { &self.thinking } else { &self.usual }
    }
}

// === impl Learnt ===

impl Learnt {
    fn now(&self) -> f64 {
        self.seen.mean(self.prior, PRIOR_OF_MODEL)
    }
}

#[cfg(test)]
mod tests;
