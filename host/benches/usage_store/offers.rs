//! The offers of the bench: what a gateway with so many knows of each when a request comes, how the
//! built-in policy scores them, and how those that answer change. Never the gateway's own routing:
//! what its events take is measured by `tests/it/usage_size.rs`.

use std::sync::Arc;

use route_default::RouteDefault;
use turnpike::usage::{FiguresFact, LookedAt, LookedAtFigures, LookedAtRow, OfferNames};
use turnpike_ledger::PicoUsd;
use turnpike_policy_sdk::mock::MockCandidates;
use turnpike_policy_sdk::{Classification, Figures, Objective, Route as _};

use super::{Dice, offer};

/// What every offer is called and asks for.
struct List {
    names: Vec<Arc<str>>,
    prices: Vec<[PicoUsd; 2]>,
}

impl OfferNames for List {
    fn name(&self, index: usize) -> Option<&str> {
        self.names.get(index).map(|name| &**name)
    }

    fn token_prices(&self, index: usize, _: u64) -> Option<[PicoUsd; 3]> {
        self.prices.get(index).map(|[read, written]| [PicoUsd(0), *read, *written])
    }
}

/// See the head of this file.
pub(crate) struct Offers {
    list: Arc<List>,
    /// Milliseconds to the first token, of the slowest twentieth, and tokens per second.
    speeds: Vec<[f64; 3]>,
    in_flight: Vec<u32>,
    /// How long their answers are, in hundredths of the usual.
    answers: Vec<u32>,
    policy: RouteDefault,
}

/// What a request is, as far as offers are chosen by it.
pub(crate) struct Work<'a> {
    pub(crate) task: &'a str,
    pub(crate) difficulty: f64,
    pub(crate) tokens: [u64; 2],
    pub(crate) at_ms: u64,
}

impl Offers {
    /// So many, none of which has been asked.
    pub(crate) fn new(count: u64) -> Self {
        let price = |n: u64| {
            [u128::from(n % 7 + 1) * 250_000, u128::from(n % 11 + 1) * 1_100_000].map(PicoUsd)
        };
        let names = (0..count).map(offer).collect();
        Self {
            list: Arc::new(List { names, prices: (0..count).map(price).collect() }),
            speeds: (0..count).map(|_| [700.0, 700.0, 60.0]).collect(),
            in_flight: (0..count).map(|_| 0).collect(),
            answers: (0..count).map(|_| 100).collect(),
            policy: RouteDefault::default(),
        }
    }

    /// What was looked at for a request, and which offers are best, the best first.
    pub(crate) fn look(&mut self, work: &Work<'_>) -> (LookedAt, Vec<usize>) {
        let mut rows: Vec<LookedAtRow> = (0..self.speeds.len())
            .map(|index| {
                // A third of them is out for one of a few reasons.
                let out = index % 3 == 2;
                let figures = (!out).then(|| self.figures(index, work)).flatten();
                LookedAtRow { index, score: None, figures, reason: out.then_some(0) }
            })
            .collect();
        let mut best = self.score(&mut rows, work);
        best.sort_by(|a, b| b.1.total_cmp(&a.1));
        let names: Arc<List> = Arc::clone(&self.list);
        let reasons = vec![("it can't call tools".into(), "no_tools")];
        let looked_at = LookedAt { names, at_ms: work.at_ms, rows, reasons };
        (looked_at, best.into_iter().map(|(index, _)| index).collect())
    }

    /// The offer that answered is known a little better, and a few requests may be on their way.
    pub(crate) fn answered(&mut self, index: usize, dice: &mut Dice) {
        let (Some(speeds), Some(in_flight), Some(answers)) = (
            self.speeds.get_mut(index),
            self.in_flight.get_mut(index),
            self.answers.get_mut(index),
        ) else {
            return;
        };
        let [first, tail, speed] = speeds;
        let ms = dice.roll(900) as f64;
        *first += (250.0 + ms - *first) * 0.2;
        *tail += (600.0 + ms - *tail) * 0.1;
        *speed += (40.0 + dice.roll(90) as f64 - *speed) * 0.2;
        *in_flight = u32::try_from(dice.roll(4)).unwrap_or(0);
        // One answer of ten moves it by a step.
        if dice.roll(10) == 0 {
            *answers = if dice.roll(2) == 0 { *answers + 10 } else { (*answers).max(20) - 10 };
        }
    }

    fn figures(&self, index: usize, work: &Work<'_>) -> Option<LookedAtFigures> {
        let [first, tail, speed] = *self.speeds.get(index)?;
        let [read, written] = *self.list.prices.get(index)?;
        let answer_percent = *self.answers.get(index)?;
        let answer = (work.tokens[1] * u64::from(answer_percent)).div_ceil(100);
        let cost = u128::from(work.tokens[0]) * read.0 + u128::from(answer) * written.0;
        let place = index * 7_919 + usize::from(work.task.as_bytes().last().copied()?) * 104_729;
        Some(LookedAtFigures {
            quality: 0.3 + (place % 6_007) as f64 / 10_007.0,
            expected_cost_usd: PicoUsd(cost),
            first_token_ms: first,
            more: FiguresFact {
                first_token_p95_ms: tail.max(first),
                tokens_per_second: speed,
                availability: 1.0,
                in_flight: *self.in_flight.get(index)?,
                answer_tokens: u32::try_from(answer).unwrap_or(u32::MAX),
                ..FiguresFact::default()
            },
            answer_percent,
        })
    }

    /// Sets the scores, and gives them with the offers' indices.
    fn score(&mut self, rows: &mut [LookedAtRow], work: &Work<'_>) -> Vec<(usize, f64)> {
        let mut figures = Figures::default();
        for row in rows.iter().filter_map(|row| row.figures) {
            figures.quality.push(row.quality);
            figures.cost_usd.push(row.expected_cost_usd.0 as f64 / 1e12);
            figures.first_token_ms.push(row.first_token_ms);
            figures.first_token_p95_ms.push(row.more.first_token_p95_ms);
            figures.tokens_per_second.push(row.more.tokens_per_second);
            figures.availability.push(row.more.availability);
            figures.in_flight.push(row.more.in_flight.into());
            figures.marks.push(0);
        }
        let task = Classification { difficulty: work.difficulty, ..Classification::default() };
        let objective = Objective { profile: "balanced".to_owned(), ..Objective::default() };
        let mock = MockCandidates::default();
        let scores = self.policy.score(&task, &figures, &objective, &mock).unwrap_or_default();
        let scored = rows.iter_mut().filter(|row| row.figures.is_some()).zip(scores);
        scored
            .map(|(row, score)| {
                row.score = Some(score);
                (row.index, score)
            })
            .collect()
    }
}
