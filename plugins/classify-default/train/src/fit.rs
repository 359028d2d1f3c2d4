//! Fits the weights: a softmax regression for the tasks, by L-BFGS, over the features that are
//! worth a row of the table, and a ridge regression for the gain, by conjugate gradients.
//! Only operations that every machine rounds alike. Never reads a file.

use std::collections::BTreeMap;

use classify_default::training::{self, Entry, Feature, GAINS, PARTS, ROWS, TASKS};

use crate::lbfgs;

const KINDS: usize = TASKS.len();
/// A feature must be in so many patterns to be worth a row: what is in the prompts of one alone is
/// that pattern's way to say it.
const LEAST_PATTERNS: u32 = 2;
/// The penalty on the square of each weight, halved.
const PENALTY: f64 = 0.12;
const STEPS: usize = 80;
/// The ridge of the gain, and the rounds of its fit.
const RIDGE: f64 = 3.0;
const ROUNDS: usize = 40;

/// Features, the task, and how much the example counts.
pub(crate) struct Example<'a> {
    /// The examples of one pattern follow each other; `None` is an example of its own.
    pub(crate) pattern: Option<&'a str>,
    pub(crate) features: &'a [Feature],
    pub(crate) task: usize,
    pub(crate) weight: f64,
}

/// Features and a figure.
pub(crate) struct Measured<'a> {
    pub(crate) features: &'a [Feature],
    pub(crate) figure: f64,
}

/// The weights of the features that are worth a row.
pub(crate) fn tasks(examples: &[Example<'_>]) -> Vec<Entry> {
    let chosen = chosen(examples);
    let mut number_of_row: Vec<Option<(u32, usize)>> = vec![None; ROWS];
    for (number, feature) in chosen.iter().enumerate() {
        if let Some(place) = number_of_row.get_mut(training::row(*feature)) {
            *place = Some((*feature, number));
        }
    }
    let number = |feature: u32| {
        let (owner, number) = number_of_row.get(training::row(feature)).copied().flatten()?;
        (owner == feature).then_some(number)
    };
    let rows: Vec<Known> = examples.iter().map(|it| known(it, number)).collect();
    let weights = lbfgs::minimum(chosen.len() * KINDS, STEPS, |at, slope| loss(&rows, at, slope));
    let entry = |(feature, weights): (u32, &[f64])| {
        let mut row = [0.0; KINDS];
        row.iter_mut().zip(weights).for_each(|(to, from)| *to = *from);
        (feature, row)
    };
    chosen.into_iter().zip(weights.chunks(KINDS)).map(entry).collect()
}

/// An example by the numbers of the features that have a row, and how much each counts.
struct Known {
    features: Vec<(usize, f64)>,
    task: usize,
    weight: f64,
}

fn known(example: &Example<'_>, number: impl Fn(u32) -> Option<usize>) -> Known {
    let mut counts = [0_u32; PARTS.len()];
    let found: Vec<(usize, usize)> =
        example.features.iter().filter_map(|it| Some((number(it.0)?, it.1))).collect();
    for (_, part) in &found {
        counts.iter_mut().skip(*part).take(1).for_each(|it| *it += 1);
    }
    let mut by_part = [0.0; PARTS.len()];
    for (by, (weight, count)) in by_part.iter_mut().zip(PARTS.iter().zip(counts)) {
        *by = weight / f64::from(count.max(1)).sqrt();
    }
    let features = found
        .into_iter()
        .map(|(number, part)| (number, by_part.get(part).copied().unwrap_or_default()))
        .collect();
    Known { features, task: example.task, weight: example.weight }
}

/// The features that tell most about the task, one for each row: by how far the patterns that have
/// it are from the mix of all (chi squared).
fn chosen(examples: &[Example<'_>]) -> Vec<u32> {
    let mut counts: BTreeMap<u32, Count> = BTreeMap::new();
    let mut all = Count::default();
    let (mut pattern, mut number) = (None, 0);
    for example in examples {
        if example.pattern.is_none() || example.pattern != pattern {
            (pattern, number) = (example.pattern, number + 1);
        }
        all.add(example.task, number);
        example
            .features
            .iter()
            .for_each(|it| counts.entry(it.0).or_default().add(example.task, number));
    }
    let all = all.tasks;
    let whole = f64::from(all.iter().sum::<u32>());
    let mut best: Vec<Option<(f64, u32)>> = vec![None; ROWS];
    for (feature, Count { tasks: count, .. }) in &counts {
        let there = count.iter().sum::<u32>();
        if there < LEAST_PATTERNS {
            continue;
        }
        let worth = count.iter().zip(&all).map(|(count, all)| {
            let expected = f64::from(there) * f64::from(*all) / whole;
            let beyond = f64::from(*count) - expected;
            beyond * beyond / expected.max(1e-9)
        });
        let worth: f64 = worth.sum();
        if let Some(place) = best.get_mut(training::row(*feature)) {
            if place.is_none_or(|(other, _)| other < worth) {
                *place = Some((worth, *feature));
            }
        }
    }
    best.into_iter().flatten().map(|(_, feature)| feature).collect()
}

/// In how many patterns of each task something is.
#[derive(Default)]
struct Count {
    tasks: [u32; KINDS],
    /// The number of the last of them, from 1.
    last: u32,
}

impl Count {
    fn add(&mut self, task: usize, pattern: u32) {
        if self.last != pattern {
            self.last = pattern;
            self.tasks.iter_mut().skip(task).take(1).for_each(|it| *it += 1);
        }
    }
}

/// The loss at these weights, and its slope: the cross-entropy of all examples and the penalty.
fn loss(examples: &[Known], at: &[f64], slope: &mut [f64]) -> f64 {
    let mut loss = 0.0;
    for (slope, weight) in slope.iter_mut().zip(at) {
        *slope = PENALTY * weight;
        loss += PENALTY / 2.0 * weight * weight;
    }
    for example in examples {
        let mut raw = [0.0; KINDS];
        for (number, value) in &example.features {
            let row = at.get(number * KINDS..).unwrap_or_default();
            raw.iter_mut().zip(row).for_each(|(sum, weight)| *sum += value * weight);
        }
        let top = raw.iter().copied().fold(f64::MIN, f64::max);
        let odds = raw.map(|it| exp(it - top));
        let total: f64 = odds.iter().sum();
        let right = raw.get(example.task).copied().unwrap_or(top);
        loss += example.weight * (ln(total) - (right - top));
        let mut by = odds.map(|it| it / total);
        by.iter_mut().skip(example.task).take(1).for_each(|it| *it -= 1.0);
        let by = by.map(|it| it * example.weight);
        for (number, value) in &example.features {
            let row = slope.get_mut(number * KINDS..).unwrap_or_default();
            row.iter_mut().zip(by).for_each(|(slope, by)| *slope += value * by);
        }
    }
    loss
}

/// The natural logarithm of `x`, for `x` from 1 to [`TASKS`], by Newton's method on [`exp`].
fn ln(x: f64) -> f64 {
    let mut y = 0.0_f64;
    for _ in 0..8 {
        y += x * exp(-y) - 1.0;
    }
    y
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

/// The weights of the gain: least squares around the mean, with a penalty on large weights.
pub(crate) fn gain(measured: &[Measured<'_>]) -> Vec<f64> {
    let measured: Vec<(Vec<usize>, f64)> = measured
        .iter()
        .map(|it| (it.features.iter().map(|it| training::gain_bucket(it.0)).collect(), it.figure))
        .collect();
    let mean = measured.iter().map(|it| it.1).sum::<f64>() / (measured.len().max(1) as f64);
    let mut residual = vec![0.0; GAINS];
    for (buckets, figure) in &measured {
        spread(&mut residual, buckets, figure - mean);
    }
    let mut weights = vec![0.0; GAINS];
    let mut direction = residual.clone();
    let mut size = dot(&residual, &residual);
    for _ in 0..ROUNDS {
        let mut image: Vec<f64> = direction.iter().map(|it| it * RIDGE).collect();
        for (buckets, _) in &measured {
            let along = project(&direction, buckets);
            spread(&mut image, buckets, along);
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
    weights
}

fn spread(into: &mut [f64], buckets: &[usize], by: f64) {
    let by = by / (buckets.len() as f64).sqrt();
    for bucket in buckets {
        if let Some(place) = into.get_mut(*bucket) {
            *place += by;
        }
    }
}

fn project(from: &[f64], buckets: &[usize]) -> f64 {
    let sum: f64 = buckets.iter().filter_map(|it| from.get(*it)).sum();
    sum / (buckets.len() as f64).sqrt()
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_one_pattern_says_gets_no_row() {
        let (both, one): ([Feature; 2], [Feature; 1]) = ([(11, 0), (22, 0)], [(22, 0)]);
        fn of<'a>(features: &'a [Feature], pattern: Option<&'a str>, task: usize) -> Example<'a> {
            Example { pattern, features, task, weight: 1.0 }
        }
        let said = of(&both, Some("a"), 1);
        let again = of(&both, Some("a"), 1);
        let elsewhere = of(&one, Some("b"), 1);
        let other = of(&[], Some("c"), 2);
        assert_eq!(chosen(&[said, again, elsewhere, other]), [22]);
        // What stands alone is no pattern's way to say it.
        let alone = [of(&both, None, 1), of(&both, None, 1), of(&[], None, 2)];
        assert_eq!(chosen(&alone).len(), 2);
    }
}
