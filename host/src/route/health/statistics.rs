//! What is known of an offer's speed and of how often it answers: moving averages and quantiles, by
//! the size of the prompt. Plain atomics, because a lost sample is harmless. Never reads a clock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Weight of a new sample in the moving averages: about the last ten attempts count.
const SAMPLE_WEIGHT: f64 = 0.2;
/// Fewer tokens than this say nothing about the speed.
const SPEED_TOKENS_MIN: u64 = 16;
/// Assumed until there is a sample: a middling hosted model.
const FIRST_TOKEN_MS_UNKNOWN: f64 = 700.0;
const TOKENS_PER_SECOND_UNKNOWN: f64 = 60.0;
/// Until there are quantiles, the 95th percentile is this many mean deviations above the mean.
const P95_DEVIATIONS: f64 = 2.0;
/// How far a quantile moves at a sample, in mean deviations: settles within some fifty samples.
const QUANTILE_STEP: f64 = 0.5;
/// After so long without a sample half of what failures said is forgotten: an offer that failed is
/// asked last, and would never again be asked if that lasted.
const TROUBLE_HALF_LIFE_MS: f64 = 30_000.0;
/// The same of an offer that was slow.
const SLOWNESS_HALF_LIFE_MS: f64 = 300_000.0;

/// What the availability of an offer counts for at least whose probe has answered: used again, and
/// a few failures away from resting again.
const AFTER_PROBE: f64 = 0.8;

/// How many sizes of prompts are told apart.
pub(super) const BANDS: usize = 3;
/// Estimated tokens of a prompt from which it is of the next size: what fits a screen, what fits a
/// file, and an agent's long turn.
const BAND_TOKENS: [u32; BANDS - 1] = [4_000, 32_000];

/// The size of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Band(usize);

/// How an attempt went, as far as the offer's health is concerned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sample {
    /// It answered a prompt of this size. Times in milliseconds; `tokens_per_second` 0 when too
    /// short to tell.
    Answered { first_token_ms: f64, tokens_per_second: f64, band: Band },
    /// It failed in a way that says something about the provider.
    Failed,
    /// It failed in a way that says something about the credential alone: its rate limit is
    /// reached, or the provider does not take it.
    Withheld,
    /// It ended for a reason that says nothing about the provider (caller gone, caller's fault).
    Neutral,
}

/// What is known of one offer now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    pub first_token_ms: f64,
    pub first_token_p95_ms: f64,
    pub tokens_per_second: f64,
    /// 0 to 1.
    pub availability: f64,
    pub in_flight: u32,
}

/// The speed at prompts of one size, for people to read; `None` until there is a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandFigures {
    /// From this many estimated tokens of the prompt.
    pub from_tokens: u32,
    pub first_token_ms: f64,
    pub first_token_p50_ms: f64,
    pub first_token_p95_ms: f64,
    pub tokens_per_second: Option<f64>,
}

/// Everything that is known of one offer's past.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    all: Speeds,
    bands: [Speeds; BANDS],
    availability: Average,
    /// When it was last asked; 0 if never.
    sampled_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct Speeds {
    first_token_ms: Average,
    deviation_ms: Average,
    p50_ms: Average,
    p95_ms: Average,
    tokens_per_second: Average,
}

/// A moving average or quantile; the bits of NaN until the first sample.
#[derive(Debug)]
struct Average(AtomicU64);

// === impl Band ===

impl Band {
    /// The smallest.
    pub const SHORT: Self = Self(0);

    /// The size of a prompt of so many estimated tokens.
    pub fn of(input_tokens: u32) -> Self {
        Self(BAND_TOKENS.iter().take_while(|from| input_tokens >= **from).count())
    }
}

// === impl Sample ===

impl Sample {
    /// An answer of `tokens` whose first token came after `first_ms` and whose last after
    /// `total_ms`. Too short an answer says nothing about the speed.
    pub fn answered(first_ms: u64, tokens: u64, total_ms: u64, input_tokens: u32) -> Self {
        let small = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let writing_ms = small(total_ms.saturating_sub(first_ms));
        let tokens_per_second = if tokens >= SPEED_TOKENS_MIN && writing_ms > 0.0 {
            small(tokens) * 1000.0 / writing_ms
        } else {
            0.0
        };
        let band = Band::of(input_tokens);
        Self::Answered { first_token_ms: small(first_ms), tokens_per_second, band }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Of an offer that nothing is known of.
    pub const UNKNOWN: Self = Self {
        first_token_ms: FIRST_TOKEN_MS_UNKNOWN,
        first_token_p95_ms: FIRST_TOKEN_MS_UNKNOWN,
        tokens_per_second: TOKENS_PER_SECOND_UNKNOWN,
        availability: 1.0,
        in_flight: 0,
    };
}

// === impl Statistics ===

impl Statistics {
    /// As a request with a prompt of this size sees it at `now_ms`.
    pub(super) fn snapshot(&self, band: Band, now_ms: u64, in_flight: u32) -> Snapshot {
        let sampled_ms = self.sampled_ms.load(Ordering::Relaxed);
        if sampled_ms == 0 {
            return Snapshot { in_flight, ..Snapshot::UNKNOWN };
        }
        let own = self.bands.get(band.0).filter(|own| own.first_token_ms.known().is_some());
        let speeds = own.unwrap_or(&self.all);
        let idle_ms = small(now_ms.saturating_sub(sampled_ms));
        let first = speeds.first_token_ms.get(FIRST_TOKEN_MS_UNKNOWN);
        let first_token_ms = fade(first, FIRST_TOKEN_MS_UNKNOWN, idle_ms);
        let tail = speeds.p95_ms.get(first + P95_DEVIATIONS * speeds.deviation_ms.get(0.0));
        let availability = self.availability.get(1.0);
        let forgotten =
            if availability < 1.0 { halves(idle_ms, TROUBLE_HALF_LIFE_MS) } else { 1.0 };
        Snapshot {
            first_token_ms,
            first_token_p95_ms: fade(tail, FIRST_TOKEN_MS_UNKNOWN, idle_ms).max(first_token_ms),
            tokens_per_second: speeds.tokens_per_second.get(TOKENS_PER_SECOND_UNKNOWN),
            availability: 1.0 - (1.0 - availability) * forgotten,
            in_flight,
        }
    }

    pub(super) fn answered(&self, first_token_ms: f64, speed: f64, band: Band, now_ms: u64) {
        self.availability.add_from(1.0, 1.0);
        self.all.add(first_token_ms, speed);
        if let Some(own) = self.bands.get(band.0) {
            own.add(first_token_ms, speed);
        }
        self.sampled_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    pub(super) fn failed(&self, now_ms: u64) {
        self.availability.add_from(1.0, 0.0);
        self.sampled_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    /// Its probe answered: what failed before it rested says little of it now.
    pub(super) fn came_back(&self) {
        self.availability.set(self.availability.get(1.0).max(AFTER_PROBE));
    }

    /// By the size of prompts, for people; sizes without a sample are left out.
    pub(super) fn bands(&self) -> impl Iterator<Item = BandFigures> {
        let from = std::iter::once(0).chain(BAND_TOKENS);
        from.zip(&self.bands).filter_map(|(from_tokens, speeds)| {
            let first_token_ms = speeds.first_token_ms.known()?;
            Some(BandFigures {
                from_tokens,
                first_token_ms,
                first_token_p50_ms: speeds.p50_ms.get(first_token_ms),
                first_token_p95_ms: speeds.p95_ms.get(first_token_ms),
                tokens_per_second: speeds.tokens_per_second.known(),
            })
        })
    }

    /// When it last answered or failed, in milliseconds since the epoch; 0 if never.
    pub(super) fn sampled_ms(&self) -> u64 {
        self.sampled_ms.load(Ordering::Relaxed)
    }
}

/// Of a share that halves with every `half_life` what is left after `ms`.
fn halves(ms: f64, half_life: f64) -> f64 {
    (-ms / half_life).exp2()
}

/// A time that was worse than what is assumed of anyone comes back to that with time: otherwise an
/// offer that was slow once would never show that it is quick again.
fn fade(measured: f64, assumed: f64, idle_ms: f64) -> f64 {
    if measured <= assumed {
        return measured;
    }
    assumed + (measured - assumed) * halves(idle_ms, SLOWNESS_HALF_LIFE_MS)
}

fn small(ms: u64) -> f64 {
    f64::from(u32::try_from(ms).unwrap_or(u32::MAX))
}

// === impl Speeds ===

impl Speeds {
    fn add(&self, first_token_ms: f64, tokens_per_second: f64) {
        let expected = self.first_token_ms.get(first_token_ms);
        self.deviation_ms.add((first_token_ms - expected).abs());
        self.first_token_ms.add(first_token_ms);
        let step = QUANTILE_STEP * self.deviation_ms.get(0.0);
        self.p50_ms.follow(0.5, first_token_ms, step);
        self.p95_ms.follow(0.95, first_token_ms, step);
        if tokens_per_second > 0.0 {
            self.tokens_per_second.add(tokens_per_second);
        }
    }
}

// === impl Average ===

impl Default for Average {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl Average {
    fn known(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Ordering::Relaxed))).filter(|value| !value.is_nan())
    }

    fn get(&self, unknown: f64) -> f64 {
        self.known().unwrap_or(unknown)
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// The same as `add`, where an offer that nothing is known of is believed to be at `start`: one
    /// failure alone must not count as an offer that always fails.
    fn add_from(&self, start: f64, sample: f64) {
        let old = self.get(start);
        self.set(old + SAMPLE_WEIGHT * (sample - old));
    }

    fn add(&self, sample: f64) {
        self.add_from(sample, sample);
    }

    /// Moves a quantile a step towards the sample, such that it rests where a share `rank` of the
    /// samples is below it.
    fn follow(&self, rank: f64, sample: f64, step: f64) {
        let Some(old) = self.known() else { return self.set(sample) };
        let by = if sample > old { rank } else { rank - 1.0 };
        self.set((old + by * step).max(0.0));
    }
}
