//! The linear model: sums the rows of weights of a text's features and says which task is the
//! likeliest, and how likely. The weights are data, made by `train/train.py`.

use crate::features::BUCKETS;

/// One character for each weight, tasks within buckets, ten buckets a line.
const WEIGHTS: &str = include_str!("weights.txt");
const BUCKETS_PER_LINE: usize = 10;
const LINE: usize = BUCKETS_PER_LINE * TASKS.len() + 1;
/// The character of weight zero, and how many characters are one.
const ZERO: f64 = 33.0 + 46.0;
const SCALE: f64 = 5.5;

/// In the order of the columns.
pub(crate) const TASKS: [&str; 9] = [
    "agent",
    "chat",
    "code",
    "data-analysis",
    "extraction",
    "reasoning",
    "summarization",
    "translation",
    "writing",
];

/// One figure for each of [`TASKS`].
pub(crate) type Scores = [f64; TASKS.len()];

const _: () = assert!(WEIGHTS.len() == BUCKETS * TASKS.len() + BUCKETS.div_ceil(BUCKETS_PER_LINE));

/// The weights of some buckets, added up.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    sums: [u32; TASKS.len()],
    buckets: u32,
}

impl Sums {
    pub(crate) fn add(&mut self, bucket: usize) {
        let at = bucket / BUCKETS_PER_LINE * LINE + bucket % BUCKETS_PER_LINE * TASKS.len();
        let row = WEIGHTS.as_bytes().get(at..).and_then(|rest| rest.first_chunk());
        let Some(row): Option<&[u8; TASKS.len()]> = row else { return };
        for (sum, weight) in self.sums.iter_mut().zip(row) {
            *sum += u32::from(*weight);
        }
        self.buckets += 1;
    }

    pub(crate) fn scores(&self) -> Scores {
        let count = f64::from(self.buckets.max(1));
        let scale = 1.0 / (SCALE * count.sqrt());
        self.sums.map(|sum| (f64::from(sum) - ZERO * count) * scale)
    }
}

/// The likeliest task and its probability.
pub(crate) fn likeliest(scores: &Scores) -> (&'static str, f64) {
    let top = scores.iter().copied().fold(f64::MIN, f64::max);
    let total: f64 = scores.iter().map(|score| (score - top).exp()).sum();
    let task = TASKS.into_iter().zip(scores).find(|(_, score)| **score >= top);
    (task.map_or("chat", |(task, _)| task), 1.0 / total)
}

/// Adds to one task's figure what the request itself says for it.
pub(crate) fn favour(scores: &mut Scores, task: &str, by: f64) {
    for (name, score) in TASKS.into_iter().zip(scores) {
        if name == task {
            *score += by;
        }
    }
}
