//! An installation as its records show it: offers with prices, qualities by task and speeds, of
//! which those that are asked change. Scored by the built-in policy itself.

use route_default::RouteDefault;
use turnpike_policy_sdk::mock::MockCandidates;
use turnpike_policy_sdk::{Classification, Figures, Objective, Plugin as _, Route as _};

use super::*;

/// What every offer is like; the rows of a record are indices into it.
pub(super) struct Offers {
    names: Vec<String>,
    prices: Vec<[u128; 2]>,
}

impl OfferNames for Offers {
    fn name(&self, index: usize) -> Option<&str> {
        self.names.get(index).map(String::as_str)
    }

    fn token_prices(&self, index: usize, _: u64) -> Option<[PicoUsd; 3]> {
        self.prices.get(index).map(|[read, written]| [0, *read, *written].map(PicoUsd))
    }
}

pub(super) struct House {
    offers: Arc<Offers>,
    speeds: Vec<[f64; 3]>,
    in_flight: Vec<u32>,
    /// How long their answers are, in hundredths of the usual: usually, and where thinking is
    /// asked for.
    answers: Vec<[u32; 2]>,
    thinking: bool,
    policy: RouteDefault,
    state: u64,
    profile: &'static str,
    pub(super) asked: u64,
}

/// Of the answers of requests that ask for thinking.
const LIMIT: u64 = 700;
const TASKS: [&str; 4] = ["code", "chat", "extraction", "reasoning"];

impl House {
    pub(super) fn of(offers: u32, profile: &'static str) -> Self {
        let names = (0..offers).map(|n| format!("vendor/model-{n}@provider-{}", n % 5)).collect();
        let price = |n: u32| [u128::from(n % 7 + 1) * 250_000, u128::from(n % 11 + 1) * 1_100_000];
        let mut policy = RouteDefault::default();
        policy.configure("{}").unwrap();
        Self {
            offers: Arc::new(Offers { names, prices: (0..offers).map(price).collect() }),
            speeds: (0..offers).map(|_| [700.0, 700.0, 60.0]).collect(),
            in_flight: vec![0; offers as usize],
            answers: vec![[100, 200]; offers as usize],
            thinking: false,
            policy,
            state: 11,
            profile,
            asked: 0,
        }
    }

    /// Numbers that look random and are the same in every run.
    fn roll(&mut self, sides: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) % sides
    }

    /// The record of the next request; whoever wins it has another speed from then on.
    pub(super) fn record(&mut self) -> Fresh {
        self.asked += 1;
        let task = TASKS[self.roll(4) as usize];
        let difficulty = self.roll(1_000_000) as f64 / 1e6;
        let tokens = [200 + self.roll(1_500), 100 + self.roll(900)];
        self.thinking = self.roll(3) == 0;
        let mut rows: Vec<LookedAtRow> = Vec::new();
        for index in 0..self.in_flight.len() {
            let out = (index % 5 == 4 && task == "code") || index % 9 == 8;
            let figures = (!out).then(|| self.figures(index, task, tokens));
            rows.push(LookedAtRow { index, score: None, figures, reason: out.then_some(0) });
        }
        self.score(&mut rows, task, difficulty);
        let score = |row: &&LookedAtRow| row.score.map(|score| (score * 1e9) as u64);
        let served = rows.iter().max_by_key(score).map_or(0, |row| row.index);
        self.learn(served);
        let mut record = usual();
        record.event.id = v7(1_790_000_000_123 + self.asked, [self.asked as u8; 10]);
        record.explanation.id = record.event.id;
        record.explanation.candidates.clear();
        record.explanation.plan = vec![self.offers.names[served].as_str().into()];
        let e = &mut record.explanation;
        e.objective = Some(ObjectiveFact { profile: self.profile.into(), ..Default::default() });
        e.task = Some(TaskFact { task: task.into(), difficulty, ..e.task.clone().unwrap() });
        let [prompt_tokens, answer_tokens] = tokens;
        e.expected = Some(ExpectedFact {
            prompt_tokens,
            answer_tokens,
            answer_limit: self.thinking.then_some(LIMIT),
            answers: 1,
            thinking: self.thinking,
            ..Default::default()
        });
        let needed = format!("the request may need {} tokens, it takes 8192", tokens[0] * 9);
        let looked_at = LookedAt {
            names: Arc::clone(&self.offers) as Arc<dyn OfferNames>,
            at_ms: self.asked,
            rows,
            reasons: vec![(needed.into(), "context")],
        };
        Fresh { record, looked_at: Some(looked_at) }
    }

    fn figures(&mut self, index: usize, task: &str, tokens: [u64; 2]) -> LookedAtFigures {
        let [first, tail, speed] = self.speeds[index];
        let [read, written] = self.offers.prices[index];
        let answer_percent = self.answers[index][usize::from(self.thinking)];
        let answer = (tokens[1] * u64::from(answer_percent)).div_ceil(100);
        let answer = if self.thinking { answer.min(LIMIT) } else { answer };
        let cost = u128::from(tokens[0]) * read + u128::from(answer) * written;
        LookedAtFigures {
            quality: 0.3 + ((index * 7919 + task.len() * 104_729) % 6_007) as f64 / 10_007.0,
            expected_cost_usd: PicoUsd(cost),
            first_token_ms: first,
            more: FiguresFact {
                first_token_p95_ms: tail,
                tokens_per_second: speed,
                availability: 1.0,
                in_flight: self.in_flight[index],
                quality_estimated: index.is_multiple_of(3),
                answer_tokens: u32::try_from(answer).unwrap(),
                ..FiguresFact::default()
            },
            answer_percent,
        }
    }

    fn score(&mut self, rows: &mut [LookedAtRow], task: &str, difficulty: f64) {
        let mut figures = Figures::default();
        for row in rows.iter().filter_map(|row| row.figures) {
            figures.quality.push(row.quality);
            figures.cost_usd.push(row.expected_cost_usd.0 as f64 / 1e12);
            figures.first_token_ms.push(row.first_token_ms);
            figures.first_token_p95_ms.push(row.more.first_token_p95_ms);
            figures.tokens_per_second.push(row.more.tokens_per_second);
            figures.availability.push(row.more.availability);
            figures.in_flight.push(row.more.in_flight.into());
            figures.marks.push(if row.more.quality_estimated { 4 } else { 0 });
        }
        let task = Classification { task: task.to_owned(), difficulty, ..Default::default() };
        let objective = Objective { profile: self.profile.to_owned(), ..Objective::default() };
        let mock = MockCandidates::default();
        let scores = self.policy.score(&task, &figures, &objective, &mock).unwrap();
        let scored = rows.iter_mut().filter(|row| row.figures.is_some());
        scored.zip(scores).for_each(|(row, score)| row.score = Some(score));
    }

    /// The offer's averages move, now and then also how long its answers are; a few requests are on
    /// their way now and then.
    fn learn(&mut self, served: usize) {
        let (ms, speed) = (self.roll(900) as f64, 40.0 + self.roll(90) as f64);
        let [first, tail, speeds] = self.speeds[served];
        let moved = first + (250.0 + ms - first) * 0.2;
        self.speeds[served] =
            [moved, tail + (400.0 + ms - tail) * 0.1, speeds + (speed - speeds) * 0.2];
        self.in_flight[served] = u32::try_from(self.roll(4)).unwrap();
        if self.roll(6) == 0 {
            let longer = self.roll(2) == 0;
            let answers = &mut self.answers[served][usize::from(self.thinking)];
            *answers = if longer { *answers + 10 } else { (*answers).max(20) - 10 };
        }
    }
}
