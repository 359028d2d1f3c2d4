//! What the training program needs of the classifier: the features of a request, and its decision
//! with other weights than the built-in ones. Only with the feature `train`; never in a component.

use turnpike_policy_sdk::{Classification, Request};

use crate::decision;
use crate::features::Features;
use crate::model::{self, Weights};
use crate::turn::Turn;

/// Buckets of features; a row of weights each.
pub const BUCKETS: usize = model::BUCKETS;
/// Weights of a row: one for each of [`TASKS`], then the one of the gain.
pub const COLUMNS: usize = model::COLUMNS;
/// The tasks that words can tell, in the order of the columns.
pub const TASKS: [&str; COLUMNS - 1] = model::TASKS;

/// The distinct buckets of a request's features, in order.
#[must_use]
pub fn buckets(request: &dyn Request) -> Vec<u32> {
    let turn = Turn::read(request);
    Features::of(Weights(model::WEIGHTS), &turn.text, &turn.before).buckets()
}

/// What the classifier answers with these weights, in the form that [`encode`] writes.
#[must_use]
pub fn decide(weights: &[u8], request: &dyn Request) -> Classification {
    decision::classify(Weights(weights), request)
}

/// The text of a table of weights: a row of [`COLUMNS`] for each bucket.
#[must_use]
pub fn encode(rows: &[[f64; COLUMNS]]) -> Vec<u8> {
    let mut text = Vec::with_capacity(model::size());
    for (index, row) in rows.iter().enumerate() {
        for (column, weight) in row.iter().enumerate() {
            let steps =
                if column < TASKS.len() { model::STEPS_PER_ONE } else { model::GAIN_STEPS_PER_ONE };
            text.push(character((weight * steps).round()));
        }
        if index % model::BUCKETS_PER_LINE == model::BUCKETS_PER_LINE - 1 || index + 1 == rows.len()
        {
            text.push(b'\n');
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
