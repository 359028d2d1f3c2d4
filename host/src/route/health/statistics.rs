//! What is known of an offer's speed and of how often it answers: moving averages and quantiles, by
//! the size of the prompt. What a stream shows of its first token is never mixed with what an
//! answer takes that comes whole. Plain atomics, because a lost sample is harmless. Never reads a
//! clock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Weight of a new sample in the moving averages: about the last ten attempts count.
const SAMPLE_WEIGHT: f64 = 0.2;
/// Fewer tokens than this say nothing about the speed.
const SPEED_TOKENS_MIN: u64 = 16;
/// What the route policy takes an answer to have, unless it is configured otherwise. What a model
/// shows of its thinking before it answers is spread over so many.
const TYPICAL_ANSWER_TOKENS: f64 = 300.0;
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

/// What was measured of first tokens so long ago is still shown, and is no reason against an offer:
/// whoever is over a limit for it is not asked, and would never show that it is quick again.
const MEASURED_FOR_MS: f64 = 600_000.0;
/// A caller that gave up in vain is half a failure: it might have been answered a moment later. So
/// is an answer without a word.
const HALF: f64 = 0.5;

/// Nobody is a hundred times as quick as is assumed of anyone: a short answer from a cache is.
const SLOWNESS_MIN: f64 = 0.01;

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
    /// A stream answered a prompt of this size. Times in milliseconds: to the first content, and
    /// from there to the first of the answer, where thinking is shown. `tokens_per_second`: as the
    /// answer was written, 0 when too short to tell.
    Answered { first_token_ms: f64, thinking_ms: f64, tokens_per_second: f64, band: Band },
    /// An answer of so many tokens came whole after so many milliseconds, which says nothing of its
    /// first token.
    Whole { total_ms: f64, tokens: f64, band: Band },
    /// Nothing had come of its stream after so long, when another that was asked beside it began.
    Outrun { waited_ms: f64, band: Band },
    /// It failed in a way that says something about the provider.
    Failed,
    /// The caller left after more time than such an answer takes, and had heard nothing.
    GivenUp,
    /// It answered without a word, and counted none: half a failure to whoever chooses. A prompt
    /// may have brought that about, so its breaker neither opens nor closes for it.
    Empty,
    /// It failed in a way that says something about the credential alone: its rate limit is
    /// reached, or the provider does not take it.
    Withheld,
    /// It ended for a reason that says nothing about the provider (caller gone, caller's fault).
    Neutral,
}

/// What a stream did, in milliseconds since it was asked for, and what it was billed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streamed {
    /// Its first content, be it thinking.
    pub first_ms: u64,
    /// The first of the answer itself.
    pub spoke_ms: u64,
    pub ended_ms: u64,
    /// All tokens, and of these what the provider says it thought.
    pub tokens: u64,
    pub thinking_tokens: u64,
}

/// What is known of one offer now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    pub first_token_ms: f64,
    pub first_token_p95_ms: f64,
    /// Whether these two were measured not long ago, and are not what is assumed of anyone.
    pub first_token_measured: bool,
    /// Of a typical answer from its first content on: thinking that is shown takes its time, and
    /// no thinking counts as tokens of it.
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

/// Everything that is known of one offer's past. Times are milliseconds since the epoch, 0 for
/// never.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    all: Speeds,
    bands: [Speeds; BANDS],
    /// Of answers that came whole, of any size.
    whole: Times,
    availability: Average,
    /// When it last answered or failed.
    sampled_ms: AtomicU64,
    /// When another was last seen to be quicker, which says nothing of whether it answers.
    outrun_ms: AtomicU64,
}

/// At prompts of one size.
#[derive(Debug, Default)]
struct Speeds {
    first_token: Times,
    /// From the first content to the first of the answer.
    thinking_ms: Average,
    /// As the answer is written.
    tokens_per_second: Average,
    /// When a stream was last measured.
    streamed_ms: AtomicU64,
    /// What whole answers took, in times of what is assumed of anyone.
    slowness: Average,
    /// When one was last measured.
    whole_ms: AtomicU64,
}

/// Times of one kind in milliseconds.
#[derive(Debug, Default)]
struct Times {
    mean: Average,
    deviation: Average,
    p50: Average,
    p95: Average,
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
    /// A stream of `tokens` whose first content came after `first_ms` and whose last after
    /// `total_ms`, without thinking.
    pub fn answered(first_ms: u64, tokens: u64, total_ms: u64, input_tokens: u32) -> Self {
        let (spoke_ms, ended_ms, thinking_tokens) = (first_ms, total_ms, 0);
        let streamed = Streamed { first_ms, spoke_ms, ended_ms, tokens, thinking_tokens };
        Self::streamed(streamed, input_tokens)
    }

    /// A stream, with what it thought before it answered, whether or not that was shown. Too short
    /// an answer says nothing about the speed.
    pub fn streamed(of: Streamed, input_tokens: u32) -> Self {
        let spoke_ms = of.spoke_ms.max(of.first_ms);
        let thinking_ms = spoke_ms.saturating_sub(of.first_ms);
        // What was thought came before the answer, and is none of it. Where it was shown and the
        // provider does not count it, all of its tokens came since the first content.
        let since_ms = if of.thinking_tokens > 0 { spoke_ms } else { of.first_ms };
        let tokens = of.tokens.saturating_sub(of.thinking_tokens);
        let writing_ms = small(of.ended_ms.saturating_sub(since_ms));
        let tokens_per_second = if tokens >= SPEED_TOKENS_MIN && writing_ms > 0.0 {
            small(tokens) * 1000.0 / writing_ms
        } else {
            0.0
        };
        Self::Answered {
            first_token_ms: small(of.first_ms),
            thinking_ms: small(thinking_ms),
            tokens_per_second,
            band: Band::of(input_tokens),
        }
    }

    /// An answer of `tokens` that came whole after `total_ms`.
    pub fn whole(tokens: u64, total_ms: u64, input_tokens: u32) -> Self {
        let band = Band::of(input_tokens);
        Self::Whole { total_ms: small(total_ms), tokens: small(tokens), band }
    }

    /// A stream that had not begun after `waited_ms`.
    pub fn outrun(waited_ms: u64, input_tokens: u32) -> Self {
        Self::Outrun { waited_ms: small(waited_ms), band: Band::of(input_tokens) }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Of an offer that nothing is known of.
    pub const UNKNOWN: Self = Self {
        first_token_ms: FIRST_TOKEN_MS_UNKNOWN,
        first_token_p95_ms: FIRST_TOKEN_MS_UNKNOWN,
        first_token_measured: false,
        tokens_per_second: TOKENS_PER_SECOND_UNKNOWN,
        availability: 1.0,
        in_flight: 0,
    };
}

// === impl Statistics ===

impl Statistics {
    /// As a request with a prompt of this size sees it at `now_ms`.
    pub(super) fn snapshot(&self, band: Band, now_ms: u64, in_flight: u32) -> Snapshot {
        if self.sampled_ms() == 0 {
            return Snapshot { in_flight, ..Snapshot::UNKNOWN };
        }
        let sampled_ms = self.sampled_ms.load(Ordering::Relaxed);
        let availability = self.availability.get(1.0);
        let forgotten = if availability < 1.0 {
            halves(since(sampled_ms, now_ms), TROUBLE_HALF_LIFE_MS)
        } else {
            1.0
        };
        Snapshot {
            availability: 1.0 - (1.0 - availability) * forgotten,
            in_flight,
            ..self.speed(band, now_ms)
        }
    }

    /// Of prompts of this size, else of all; where no stream was ever measured, what whole answers
    /// let expect.
    fn speed(&self, band: Band, now_ms: u64) -> Snapshot {
        let own = || self.bands.get(band.0).into_iter().chain([&self.all]);
        let streams = own().find_map(|speeds| speeds.measured(now_ms));
        let seen = streams.or_else(|| own().find_map(|speeds| speeds.supposed(now_ms)));
        seen.unwrap_or(Snapshot::UNKNOWN)
    }

    /// Times to the first content and from there to the answer, and its speed.
    pub(super) fn answered(&self, times_and_speed: [f64; 3], band: Band, now_ms: u64) {
        self.availability.add_from(1.0, 1.0);
        for speeds in [Some(&self.all), self.bands.get(band.0)].into_iter().flatten() {
            speeds.add(times_and_speed, now_ms);
        }
        self.sampled_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    pub(super) fn answered_whole(&self, total_ms: f64, tokens: f64, band: Band, now_ms: u64) {
        self.availability.add_from(1.0, 1.0);
        self.whole.add(total_ms);
        let assumed = FIRST_TOKEN_MS_UNKNOWN + tokens * 1_000.0 / TOKENS_PER_SECOND_UNKNOWN;
        for speeds in [Some(&self.all), self.bands.get(band.0)].into_iter().flatten() {
            speeds.slowness.add(total_ms / assumed);
            speeds.whole_ms.store(now_ms.max(1), Ordering::Relaxed);
        }
        self.sampled_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    /// It is no quicker than that: news only where it was believed to be.
    pub(super) fn outrun(&self, waited_ms: f64, band: Band, now_ms: u64) {
        if waited_ms > self.speed(band, now_ms).first_token_ms {
            for speeds in [Some(&self.all), self.bands.get(band.0)].into_iter().flatten() {
                // Of how long it thinks, and how fast it writes, this says nothing.
                let thinking_ms = speeds.thinking_ms.get(0.0);
                speeds.add([waited_ms, thinking_ms, 0.0], now_ms);
            }
        }
        self.outrun_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    pub(super) fn failed(&self, now_ms: u64) {
        self.availability.add_from(1.0, 0.0);
        self.sampled_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    pub(super) fn half_failed(&self, now_ms: u64) {
        self.availability.add_weighted(1.0, 0.0, SAMPLE_WEIGHT * HALF);
        self.sampled_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    /// Its probe answered: what failed before it rested says little of it now.
    pub(super) fn came_back(&self) {
        self.availability.set(self.availability.get(1.0).max(AFTER_PROBE));
    }

    /// What hardly a first token takes longer than at prompts of this size; `None` where no stream
    /// of that size was measured.
    pub(super) fn first_token_tail_ms(&self, band: Band) -> Option<f64> {
        self.bands.get(band.0)?.first_token.p95.known()
    }

    /// What hardly a whole answer takes longer than; `None` where none was measured.
    pub(super) fn whole_tail_ms(&self) -> Option<f64> {
        self.whole.p95.known()
    }

    /// What a whole answer takes on average.
    pub(super) fn whole_mean_ms(&self) -> Option<f64> {
        self.whole.mean.known()
    }

    /// By the size of prompts, for people; sizes without a sample are left out.
    pub(super) fn bands(&self) -> impl Iterator<Item = BandFigures> {
        let from = std::iter::once(0).chain(BAND_TOKENS);
        from.zip(&self.bands).filter_map(|(from_tokens, speeds)| {
            let times = &speeds.first_token;
            let first_token_ms = times.mean.known()?;
            Some(BandFigures {
                from_tokens,
                first_token_ms,
                first_token_p50_ms: times.p50.get(first_token_ms),
                first_token_p95_ms: times.p95.get(first_token_ms),
                tokens_per_second: speeds.tokens_per_second.known().map(|it| speeds.in_all(it)),
            })
        })
    }

    /// When it last answered, failed or was outrun, in milliseconds since the epoch; 0 if never.
    pub(super) fn sampled_ms(&self) -> u64 {
        let outrun_ms = self.outrun_ms.load(Ordering::Relaxed);
        self.sampled_ms.load(Ordering::Relaxed).max(outrun_ms)
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

/// The same of a speed, by the time that a token takes.
fn quicker(tokens_per_second: f64, idle_ms: f64) -> f64 {
    if tokens_per_second >= TOKENS_PER_SECOND_UNKNOWN {
        return tokens_per_second;
    }
    let assumed_ms = 1_000.0 / TOKENS_PER_SECOND_UNKNOWN;
    1_000.0 / fade(1_000.0 / tokens_per_second.max(f64::MIN_POSITIVE), assumed_ms, idle_ms)
}

/// Milliseconds from one time to a later one.
fn since(from_ms: u64, now_ms: u64) -> f64 {
    small(now_ms.saturating_sub(from_ms))
}

fn small(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

// === impl Speeds ===

impl Speeds {
    /// As its streams were measured.
    fn measured(&self, now_ms: u64) -> Option<Snapshot> {
        let first = self.first_token.mean.known()?;
        let idle_ms = since(self.streamed_ms.load(Ordering::Relaxed), now_ms);
        let first_token_ms = fade(first, FIRST_TOKEN_MS_UNKNOWN, idle_ms);
        let deviation = self.first_token.deviation.get(0.0);
        let tail = self.first_token.p95.get(first + P95_DEVIATIONS * deviation);
        Some(Snapshot {
            first_token_ms,
            first_token_p95_ms: fade(tail, FIRST_TOKEN_MS_UNKNOWN, idle_ms).max(first_token_ms),
            first_token_measured: idle_ms < MEASURED_FOR_MS,
            tokens_per_second: quicker(
                self.in_all(self.tokens_per_second.get(TOKENS_PER_SECOND_UNKNOWN)),
                idle_ms,
            ),
            ..Snapshot::UNKNOWN
        })
    }

    /// Tokens a second of a typical answer that is written at that speed, with the thinking that is
    /// shown before it.
    fn in_all(&self, written: f64) -> f64 {
        let thinking_ms = self.thinking_ms.get(0.0);
        if thinking_ms <= 0.0 {
            return written;
        }
        let writing_ms = TYPICAL_ANSWER_TOKENS * 1_000.0 / written.max(f64::MIN_POSITIVE);
        TYPICAL_ANSWER_TOKENS * 1_000.0 / (thinking_ms + writing_ms)
    }

    /// As its whole answers let suppose: all of it as much slower or quicker than anyone's as they
    /// were. A first token they can show to be early, but never to be late.
    fn supposed(&self, now_ms: u64) -> Option<Snapshot> {
        let idle_ms = since(self.whole_ms.load(Ordering::Relaxed), now_ms);
        let slowness = fade(self.slowness.known()?, 1.0, idle_ms).max(SLOWNESS_MIN);
        let first_token_ms = FIRST_TOKEN_MS_UNKNOWN * slowness.min(1.0);
        Some(Snapshot {
            first_token_ms,
            first_token_p95_ms: first_token_ms,
            tokens_per_second: TOKENS_PER_SECOND_UNKNOWN / slowness,
            ..Snapshot::UNKNOWN
        })
    }

    fn add(&self, times_and_speed: [f64; 3], now_ms: u64) {
        let [first_token_ms, thinking_ms, tokens_per_second] = times_and_speed;
        self.first_token.add(first_token_ms);
        self.thinking_ms.add(thinking_ms);
        if tokens_per_second > 0.0 {
            self.tokens_per_second.add(tokens_per_second);
        }
        self.streamed_ms.store(now_ms.max(1), Ordering::Relaxed);
    }
}

// === impl Times ===

impl Times {
    fn add(&self, ms: f64) {
        let expected = self.mean.get(ms);
        self.deviation.add((ms - expected).abs());
        self.mean.add(ms);
        let step = QUANTILE_STEP * self.deviation.get(0.0);
        self.p50.follow(0.5, ms, step);
        self.p95.follow(0.95, ms, step);
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
        self.add_weighted(start, sample, SAMPLE_WEIGHT);
    }

    fn add_weighted(&self, start: f64, sample: f64, weight: f64) {
        let old = self.get(start);
        self.set(old + weight * (sample - old));
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
