//! What the training program needs of the classifier: the features of a request, and its decision
//! with other weights than the built-in ones. Only with the feature `train`; never in a component.

use turnpike_policy_sdk::{Classification, Request};

use crate::decision;
use crate::features::Features;
use crate::model::{self, Weights};
use crate::turn::Turn;

/// Rows of the table of tasks; a feature has one of them or none.
pub const ROWS: usize = model::ROWS;
/// Buckets of gains.
pub const GAINS: usize = model::GAINS;
/// The tasks that words can tell, in the order of the columns.
pub const TASKS: [&str; 9] = model::TASKS;

/// A feature, and the number of the part of a turn's features that it belongs to.
pub type Feature = (u32, usize);
/// How much the parts count.
pub const PARTS: [f64; 5] = model::PARTS;

/// The distinct features of a request.
#[must_use]
pub fn features(request: &dyn Request) -> Vec<Feature> {
    let turn = Turn::read(request);
    Features::of(Weights(model::WEIGHTS), &turn.text, &turn.before).found
}

/// The row of the table of tasks that a feature may have.
#[must_use]
pub fn row(feature: u32) -> usize {
    model::row(feature)
}

/// The bucket of a feature's gain.
#[must_use]
pub fn gain_bucket(feature: u32) -> usize {
    model::gain_bucket(feature)
}

/// What the classifier answers with these weights, in the form that [`encode`] writes.
#[must_use]
pub fn decide(weights: &[u8], request: &dyn Request) -> Classification {
    decision::classify(Weights(weights), request)
}

/// A feature that has a row, and its weight for each task.
pub type Entry = (u32, [f64; TASKS.len()]);

/// The text of the weights: of features that have rows of their own, and of all buckets of gains.
#[must_use]
pub fn encode(entries: &[Entry], gains: &[f64]) -> Vec<u8> {
    let mut text = vec![b'\n'; model::size()];
    for number in 0..ROWS {
        let at = model::row_at(number);
        for (column, place) in text.iter_mut().skip(at).take(TASKS.len() + 1).enumerate() {
            *place = if column == 0 { model::NO_MARK } else { model::ZERO };
        }
    }
    for (feature, weights) in entries {
        let at = model::row_at(model::row(*feature));
        let characters = weights.iter().map(|it| character((it * model::STEPS_PER_ONE).round()));
        let characters = std::iter::once(model::mark(*feature)).chain(characters);
        for (place, character) in text.iter_mut().skip(at).zip(characters) {
            *place = character;
        }
    }
    for (bucket, gain) in gains.iter().take(GAINS).enumerate() {
        if let Some(place) = text.get_mut(model::gain_at(bucket)) {
            *place = character((gain * model::GAIN_STEPS_PER_ONE).round());
        }
    }
    text
}

/// The character of a weight in whole steps; what is beyond the ends stays at them.
fn character(steps: f64) -> u8 {
    let most = f64::from(model::MOST_STEPS);
    let mut character = model::ZERO;
    let mut left = steps.clamp(-most, most);
    while left >= 0.5 {
        (character, left) = (character + 1, left - 1.0);
    }
    while left <= -0.5 {
        (character, left) = (character - 1, left + 1.0);
    }
    character
}
