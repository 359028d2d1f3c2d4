//! The linear model: sums the rows of weights of a text's features and says which task is the
//! likeliest, and how likely. The weights are text that is used as it stands: nothing is parsed or
//! copied when an instance starts. `train/` makes them.

/// Number of buckets; a row of weights each.
pub(crate) const BUCKETS: usize = 16384;
/// Weights of a row: one for each of [`TASKS`], then the one of difficulty.
pub(crate) const COLUMNS: usize = TASKS.len() + 1;
/// The character of weight zero, the furthest from it, and how many characters are one.
pub(crate) const ZERO: u8 = 33 + MOST_STEPS;
pub(crate) const MOST_STEPS: u8 = 46;
pub(crate) const STEPS_PER_ONE: f64 = 4.0;
/// Of the column of difficulty.
pub(crate) const GAIN_STEPS_PER_ONE: f64 = 40.0;

/// One character for each weight, [`COLUMNS`] a bucket, ten buckets a line.
pub(crate) static WEIGHTS: &[u8] = include_bytes!("weights.txt");
pub(crate) const BUCKETS_PER_LINE: usize = 10;
const LINE: usize = BUCKETS_PER_LINE * COLUMNS + 1;
/// A lane of [`Sums`] holds 16 bits, a character at most 126.
const MOST_PER_LANE: u32 = 512;
const LANES: u64 = 0x00FF_00FF_00FF_00FF;

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

const _: () = assert!(WEIGHTS.len() == size());

/// Bytes of a table of weights.
pub(crate) const fn size() -> usize {
    BUCKETS * COLUMNS + BUCKETS.div_ceil(BUCKETS_PER_LINE)
}

/// A table of weights, as text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights<'w>(pub(crate) &'w [u8]);

/// The weights of some buckets, added up: eight columns at once in two words of four lanes.
#[derive(Debug)]
pub(crate) struct Sums<'w> {
    weights: Weights<'w>,
    even: u64,
    odd: u64,
    totals: [u32; COLUMNS],
    buckets: u32,
}

impl<'w> Sums<'w> {
    pub(crate) fn new(weights: Weights<'w>) -> Self {
        Self { weights, even: 0, odd: 0, totals: [0; COLUMNS], buckets: 0 }
    }

    pub(crate) fn add(&mut self, bucket: usize) {
        let at = bucket / BUCKETS_PER_LINE * LINE + bucket % BUCKETS_PER_LINE * COLUMNS;
        let row: Option<&[u8; COLUMNS]> = self.weights.0.get(at..).and_then(|it| it.first_chunk());
        let Some([first @ .., ninth, gain]) = row else { return };
        let word = u64::from_le_bytes(*first);
        self.even += word & LANES;
        self.odd += word >> 8 & LANES;
        let [.., of_ninth, of_gain] = &mut self.totals;
        *of_ninth += u32::from(*ninth);
        *of_gain += u32::from(*gain);
        self.buckets += 1;
        if self.buckets % MOST_PER_LANE == 0 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        for (lane, pair) in self.totals.chunks_exact_mut(2).take(4).enumerate() {
            let part = |word: u64| u32::try_from(word >> (16 * lane) & 0xFFFF).unwrap_or(0);
            if let [even, odd] = pair {
                *even += part(self.even);
                *odd += part(self.odd);
            }
        }
        (self.even, self.odd) = (0, 0);
    }

    /// What the words say for each task.
    pub(crate) fn scores(&mut self) -> Scores {
        self.flush();
        let mut scores = [0.0; TASKS.len()];
        for (score, total) in scores.iter_mut().zip(self.totals) {
            *score = self.scaled(total, STEPS_PER_ONE);
        }
        scores
    }

    /// How much a stronger model is expected to gain: the share of such prompts that it alone
    /// answers rightly, less the share that only the weaker does.
    pub(crate) fn gain(&self) -> f64 {
        let [.., gain] = self.totals;
        self.scaled(gain, GAIN_STEPS_PER_ONE)
    }

    fn scaled(&self, total: u32, steps: f64) -> f64 {
        let count = f64::from(self.buckets.max(1));
        (f64::from(total) - f64::from(ZERO) * count) / (steps * count.sqrt())
    }
}

/// The probability of each task.
pub(crate) fn probabilities(scores: &Scores) -> Scores {
    let top = scores.iter().copied().fold(f64::MIN, f64::max);
    let odds = scores.map(|score| (score - top).exp());
    let total: f64 = odds.iter().sum();
    odds.map(|it| it / total)
}

/// The likeliest task and its probability.
pub(crate) fn likeliest(probabilities: &Scores) -> (&'static str, f64) {
    TASKS
        .into_iter()
        .zip(probabilities.iter().copied())
        .fold(("chat", 0.0), |best, it| if it.1 > best.1 { it } else { best })
}

/// Adds to one task's figure what the request itself says for it.
pub(crate) fn favour(scores: &mut Scores, task: &str, by: f64) {
    for (name, score) in TASKS.into_iter().zip(scores) {
        if name == task {
            *score += by;
        }
    }
}
