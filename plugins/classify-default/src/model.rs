//! The linear model: sums the rows of weights of a text's features and says which task is the
//! likeliest, and how likely. The weights are text that is used as it stands: nothing is parsed or
//! copied when an instance starts. `train/` makes them.
//!
//! The table of tasks is a dictionary: a row belongs to one feature, whose mark it carries, so that
//! features that were not worth a row count for nothing. The gains are hashed without marks.

/// Rows of the table of tasks.
pub(crate) const ROWS: usize = 57_344;
/// Characters of a row: the mark, then a weight for each of [`TASKS`].
const ROW: usize = TASKS.len() + 1;
const ROWS_PER_LINE: usize = 10;
/// Weights of the gain, one for each bucket.
pub(crate) const GAINS: usize = 16_384;
const GAINS_PER_LINE: usize = 128;
/// Where the gains begin.
const GAINS_AT: usize = ROWS * ROW + ROWS.div_ceil(ROWS_PER_LINE);

/// The character of weight zero, the furthest from it, and how many characters are one.
pub(crate) const ZERO: u8 = 33 + MOST_STEPS;
pub(crate) const MOST_STEPS: u8 = 46;
pub(crate) const STEPS_PER_ONE: f64 = 4.0;
/// Of the gains.
pub(crate) const GAIN_STEPS_PER_ONE: f64 = 40.0;
/// The mark of a row that no feature has, and how many other marks there are.
pub(crate) const NO_MARK: u8 = 33;
const MARKS: u32 = 92;

/// The table of tasks, ten rows a line, then the gains.
pub(crate) static WEIGHTS: &[u8] = include_bytes!("weights.txt");
/// A lane of a [`Sum`] holds 16 bits, a character at most 126.
const BATCHES_PER_LANE: usize = 512 / BATCH;
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

/// Bytes of the weights.
pub(crate) const fn size() -> usize {
    GAINS_AT + GAINS + GAINS / GAINS_PER_LINE
}

/// The row of the table that a feature may have. The upper bits of a product are the well mixed
/// ones.
pub(crate) fn row(feature: u32) -> usize {
    let spread = u64::from(feature.wrapping_mul(0x9E37_79B1));
    usize::try_from((spread * ROWS as u64) >> 32).unwrap_or(0)
}

/// What a feature's row begins with.
pub(crate) fn mark(feature: u32) -> u8 {
    let spread = feature.wrapping_mul(0x85EB_CA6B) >> 16;
    NO_MARK + 1 + u8::try_from((spread * MARKS) >> 16).unwrap_or(0)
}

/// Where a row's characters are.
pub(crate) const fn row_at(row: usize) -> usize {
    row * ROW + row / ROWS_PER_LINE
}

/// The bucket of a feature's gain, and where its character is.
pub(crate) fn gain_bucket(feature: u32) -> usize {
    let bucket = feature.wrapping_mul(0x9E37_79B1) >> (32 - GAINS.trailing_zeros());
    usize::try_from(bucket).unwrap_or(0)
}

pub(crate) const fn gain_at(bucket: usize) -> usize {
    GAINS_AT + bucket + bucket / GAINS_PER_LINE
}

/// The weights, as text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weights<'w>(pub(crate) &'w [u8]);

/// Parts of a turn's features. Each counts as a whole, however many features it has, so that a
/// long text does not drown the words with which the turn begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Words,
    Pairs,
    Head,
    Tail,
    Form,
}

/// How much the parts count.
pub(crate) const PARTS: [f64; 5] = [0.9, 0.8, 1.0, 0.4, 0.4];

/// Features that are looked up together. Where their rows are depends on nothing but themselves, so
/// the processor fetches many at a time; and there is no branch between them that it could foresee
/// wrongly, because of a feature nobody knows whether it is new or has a row.
pub(crate) const BATCH: usize = 32;

/// Some features in the order in which they came, each with its part.
#[derive(Debug)]
pub(crate) struct Batch {
    features: [u32; BATCH],
    parts: [u8; BATCH],
    length: usize,
}

impl Batch {
    pub(crate) const EMPTY: Self = Self { features: [0; BATCH], parts: [0; BATCH], length: 0 };

    /// Takes a feature. Whoever adds leaves room for as many as it has.
    #[inline]
    pub(crate) fn push(&mut self, part: Part, feature: u32) {
        self.push_if(true, part, feature);
    }

    /// The same, if there is such a feature: without a branch, which in every other word would go
    /// another way.
    #[inline]
    pub(crate) fn push_if(&mut self, there: bool, part: Part, feature: u32) {
        if let (Some(place), Some(of)) =
            (self.features.get_mut(self.length), self.parts.get_mut(self.length))
        {
            (*place, *of) = (feature, part as u8);
            self.length += usize::from(there);
        }
    }

    /// Room that is left.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        BATCH - self.length
    }

    /// How many there are.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The features and the numbers of their parts.
    #[cfg(feature = "train")]
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        let parts = self.parts.iter().map(|part| usize::from(*part));
        self.features.iter().copied().zip(parts).take(self.length)
    }
}

/// Where what is known of a feature stands, and what is found there.
#[derive(Debug, Default, Clone, Copy)]
struct Place {
    bucket: usize,
    row: usize,
    /// The row's first character.
    at: usize,
    gain: u8,
    /// 1 if the row is the feature's own.
    own: u8,
}

impl Place {
    #[inline]
    fn of(weights: &[u8], feature: u32) -> Self {
        let (bucket, row) = (gain_bucket(feature), row(feature));
        let at = row_at(row);
        let gain = weights.get(gain_at(bucket)).copied().unwrap_or(ZERO);
        let own = u8::from(weights.get(at) == Some(&mark(feature)));
        Self { bucket, row, at, gain, own }
    }
}

/// The weights of distinct features, added up.
#[derive(Debug)]
pub(crate) struct Sums<'w> {
    weights: Weights<'w>,
    rows_seen: [u64; ROWS / 64],
    gains_seen: [u64; GAINS / 64],
    parts: [Sum; PARTS.len()],
    gain: u32,
    gains: u32,
    /// Batches so far.
    batches: usize,
}

impl<'w> Sums<'w> {
    pub(crate) fn new(weights: Weights<'w>) -> Self {
        Self {
            weights,
            rows_seen: [0; ROWS / 64],
            gains_seen: [0; GAINS / 64],
            parts: [Sum::default(); PARTS.len()],
            gain: 0,
            gains: 0,
            batches: 0,
        }
    }

    /// Adds the features of a batch that were not there before, and empties it. Tells of each
    /// whether it is new, as a bit in their order.
    pub(crate) fn add(&mut self, batch: &mut Batch) -> u32 {
        let Weights(weights) = self.weights;
        let Batch { features, parts, length } = batch;
        let mut places = [Place::default(); BATCH];
        for (place, feature) in places.iter_mut().zip(features.iter()).take(*length) {
            *place = Place::of(weights, *feature);
        }
        let mut all_new = 0;
        for (nth, (place, part)) in places.iter().zip(parts.iter()).take(*length).enumerate() {
            let new = first(&mut self.gains_seen, place.bucket, 1);
            all_new |= new << nth;
            self.gain += new * u32::from(place.gain);
            self.gains += new;
            let own = first(&mut self.rows_seen, place.row, new & u32::from(place.own));
            let row = weights.get(place.at..).and_then(|it| it.first_chunk::<ROW>());
            let sum = self.parts.get_mut(usize::from(*part));
            if let (Some(sum), Some([_, weights @ ..])) = (sum, row) {
                sum.add(weights, own);
            }
        }
        *length = 0;
        self.batches += 1;
        if self.batches % BATCHES_PER_LANE == 0 {
            self.parts.iter_mut().for_each(Sum::flush);
        }
        all_new
    }

    /// What the words say for each task.
    pub(crate) fn scores(&mut self) -> Scores {
        let mut scores = [0.0; TASKS.len()];
        for (sum, weight) in self.parts.iter_mut().zip(PARTS) {
            sum.flush();
            for (score, total) in scores.iter_mut().zip(sum.totals) {
                *score += weight * scaled(total, sum.rows, STEPS_PER_ONE);
            }
        }
        scores
    }

    /// How much a stronger model is expected to gain: the share of such prompts that it alone
    /// answers rightly, less the share that only the weaker does.
    pub(crate) fn gain(&self) -> f64 {
        scaled(self.gain, self.gains, GAIN_STEPS_PER_ONE)
    }
}

/// The sum of some rows: eight columns at once in two words of four lanes.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    even: u64,
    odd: u64,
    totals: [u32; TASKS.len()],
    rows: u32,
}

impl Sum {
    /// Adds `times` the row, which is 0 or 1.
    #[inline]
    fn add(&mut self, weights: &[u8; TASKS.len()], times: u32) {
        let [eight @ .., ninth] = weights;
        let word = u64::from_le_bytes(*eight) & 0_u64.wrapping_sub(u64::from(times));
        self.even += word & LANES;
        self.odd += word >> 8 & LANES;
        let [.., of_ninth] = &mut self.totals;
        *of_ninth += u32::from(*ninth) * times;
        self.rows += times;
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
}

/// A sum of characters as the figure that it stands for, by the root of how many they are.
fn scaled(total: u32, count: u32, steps: f64) -> f64 {
    let whole = f64::from(count);
    (f64::from(total) - f64::from(ZERO) * whole) / (steps * whole.max(1.0).sqrt())
}

/// Marks a bit if `mark` is 1; 1 if it was not marked before and is now.
#[inline]
fn first(bits: &mut [u64], at: usize, mark: u32) -> u32 {
    let Some(word) = bits.get_mut(at / 64) else { return 0 };
    let new = u64::from(mark) & !(*word >> (at % 64));
    *word |= new << (at % 64);
    // Of one bit nothing is cut off.
    u32::try_from(new).unwrap_or(0)
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
