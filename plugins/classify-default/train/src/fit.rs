//! Fits the weights: a softmax regression for the tasks, by stochastic gradient descent,
//! and a ridge regression for the gain, by conjugate gradients.
//! Only operations that every machine rounds alike. Never reads a file.

use classify_default::training::{BUCKETS, COLUMNS, TASKS};

use crate::dice::Dice;

/// Rows of weights.
pub(crate) type Table = Vec<[f64; COLUMNS]>;

const SEED: u64 = 20_251_129;
const EPOCHS: usize = 30;
/// The weights are the mean of those after the last epochs.
const AVERAGED: usize = 10;
/// Of the first epoch; the steps become smaller from then on.
const RATE: f64 = 4.0;
const EPOCHS_TO_HALF: f64 = 4.0;
/// Each step takes so much of every weight away, times the rate.
const DECAY: f64 = 3e-5;
const RIDGE: f64 = 3.0;
const ROUNDS: usize = 40;

/// Features and the task.
pub(crate) struct Example<'a> {
    pub(crate) buckets: &'a [u32],
    pub(crate) task: usize,
}

/// Features and a figure.
pub(crate) struct Measured<'a> {
    pub(crate) buckets: &'a [u32],
    pub(crate) figure: f64,
}

/// The columns of the tasks.
pub(crate) fn tasks(examples: &[Example<'_>]) -> Table {
    let mut counts = [1.0_f64; TASKS.len()];
    for example in examples {
        if let Some(count) = counts.get_mut(example.task) {
            *count += 1.0;
        }
    }
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    // Rare tasks count for more, so that a small class is not given up.
    let shares = counts.map(|count| (mean / count).sqrt());
    let mut state = State { weights: vec![[0.0; TASKS.len()]; BUCKETS], scale: 1.0 };
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut dice = Dice::new(SEED);
    let mut table = vec![[0.0; COLUMNS]; BUCKETS];
    for epoch in 0..EPOCHS {
        dice.shuffle(&mut order);
        let rate = RATE / (1.0 + epoch as f64 / EPOCHS_TO_HALF);
        for example in order.iter().filter_map(|index| examples.get(*index)) {
            state.learn(example, shares.get(example.task).copied().unwrap_or(1.0), rate);
        }
        if epoch + AVERAGED >= EPOCHS {
            let part = state.scale / AVERAGED as f64;
            for (sums, row) in table.iter_mut().zip(&state.weights) {
                for (sum, weight) in sums.iter_mut().zip(row) {
                    *sum += weight * part;
                }
            }
        }
    }
    table
}

/// The weights are `scale` times what is kept, so that all of them become smaller in one step.
struct State {
    weights: Vec<[f64; TASKS.len()]>,
    scale: f64,
}

impl State {
    fn learn(&mut self, example: &Example<'_>, share: f64, rate: f64) {
        let norm = 1.0 / (example.buckets.len() as f64).sqrt();
        let mut raw = [0.0; TASKS.len()];
        for bucket in example.buckets {
            if let Some(row) = self.weights.get(*bucket as usize) {
                for (sum, weight) in raw.iter_mut().zip(row) {
                    *sum += weight;
                }
            }
        }
        let raw = raw.map(|it| it * norm * self.scale);
        let top = raw.iter().copied().fold(f64::MIN, f64::max);
        let odds = raw.map(|it| exp(it - top));
        let total: f64 = odds.iter().sum();
        let mut slopes = odds.map(|it| it / total);
        if let Some(slope) = slopes.get_mut(example.task) {
            *slope -= 1.0;
        }
        self.scale *= 1.0 - rate * DECAY;
        let by = rate * share * norm / self.scale;
        for bucket in example.buckets {
            if let Some(row) = self.weights.get_mut(*bucket as usize) {
                for (weight, slope) in row.iter_mut().zip(slopes) {
                    *weight -= by * slope;
                }
            }
        }
    }
}

/// `e` to the power of `x`, for `x` up to 0. The standard library's differs between platforms in
/// the last digit.
fn exp(x: f64) -> f64 {
    if x < -700.0 {
        return 0.0;
    }
    // Halved until the series converges fast, squared again afterwards.
    let small = x / 1024.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..=8 {
        term *= small / f64::from(n);
        sum += term;
    }
    for _ in 0..10 {
        sum *= sum;
    }
    sum
}

/// Adds the column of the gain: least squares around the mean, with a penalty on large weights.
pub(crate) fn gain(table: &mut Table, measured: &[Measured<'_>]) {
    let mean = measured.iter().map(|it| it.figure).sum::<f64>() / (measured.len().max(1) as f64);
    let mut residual = vec![0.0; BUCKETS];
    for row in measured {
        spread(&mut residual, row.buckets, row.figure - mean);
    }
    let mut weights = vec![0.0; BUCKETS];
    let mut direction = residual.clone();
    let mut size = dot(&residual, &residual);
    for _ in 0..ROUNDS {
        let mut image: Vec<f64> = direction.iter().map(|it| it * RIDGE).collect();
        for row in measured {
            let along = project(&direction, row.buckets);
            spread(&mut image, row.buckets, along);
        }
        let step = size / dot(&direction, &image).max(1e-300);
        for ((weight, residual), (along, image)) in
            weights.iter_mut().zip(&mut residual).zip(direction.iter().zip(&image))
        {
            *weight += step * along;
            *residual -= step * image;
        }
        let next = dot(&residual, &residual);
        let turn = next / size.max(1e-300);
        for (along, residual) in direction.iter_mut().zip(&residual) {
            *along = residual + turn * *along;
        }
        size = next;
    }
    for (row, weight) in table.iter_mut().zip(weights) {
        let [.., last] = row;
        *last = weight;
    }
}

fn spread(into: &mut [f64], buckets: &[u32], by: f64) {
    let by = by / (buckets.len() as f64).sqrt();
    for bucket in buckets {
        if let Some(place) = into.get_mut(*bucket as usize) {
            *place += by;
        }
    }
}

fn project(from: &[f64], buckets: &[u32]) -> f64 {
    let sum: f64 = buckets.iter().filter_map(|it| from.get(*it as usize)).sum();
    sum / (buckets.len() as f64).sqrt()
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}
