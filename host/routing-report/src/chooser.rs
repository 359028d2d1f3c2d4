//! One choice: the router's own way (matching, figures, health, affinity, the built-in policy's
//! scores, the plan), and the ways that it is compared with. The router is the program's own code;
//! only what calls it is here.

use std::sync::Arc;

use route_default::RouteDefault;
use turnpike::catalog::{Kind, Offer, TaskDemands};
use turnpike::route::{
    Asked, Candidate, Exploring, Gate, Health, Particulars, Pin, Planning, Profile, Selector,
    Workload, check, figure_row, plan_by,
};
use turnpike_policy_sdk::mock::MockCandidates;
use turnpike_policy_sdk::{Classification, Figures, Objective, Plugin as _, Route as _};

use crate::dice::Dice;
use crate::world::{Request, World};

/// Offers asked for one request, as `routing.attempts` is by default.
pub const ATTEMPTS: usize = 3;
/// How much steeper than the difference of quality and need the chance of a good answer is.
pub const STEEPNESS: f64 = 12.0;
/// The oracle is content with an answer that is as good as the best but for this share.
const ORACLE_SHARE: f64 = 0.97;
/// It keeps away from a provider that fails more often.
const ORACLE_ERRORS: f64 = 0.05;

/// As the gateway does where nothing else is configured.
const EXPLORING: Exploring = Exploring(20);

/// A way to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    Auto(Profile),
    /// The best estimate, whatever it costs.
    AlwaysBest,
    AlwaysCheapest,
    RoundRobin,
    /// Knows the true qualities and every trouble, and takes the cheapest of the best.
    Oracle,
}

impl Strategy {
    pub const ALL: [Self; 8] = [
        Self::Auto(Profile::Balanced),
        Self::Auto(Profile::Cheap),
        Self::Auto(Profile::Fast),
        Self::Auto(Profile::Best),
        Self::AlwaysBest,
        Self::AlwaysCheapest,
        Self::RoundRobin,
        Self::Oracle,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Auto(Profile::Balanced) => "`auto`",
            Self::Auto(Profile::Cheap) => "`auto:cheap`",
            Self::Auto(Profile::Fast) => "`auto:fast`",
            Self::Auto(Profile::Best) => "`auto:best`",
            Self::AlwaysBest => "always the best",
            Self::AlwaysCheapest => "always the cheapest",
            Self::RoundRobin => "round-robin",
            Self::Oracle => "an oracle",
        }
    }
}

/// How steep the chance of a good answer is, and what a difficulty takes.
#[derive(Debug, Clone, Copy)]
pub struct Grading {
    pub steepness: f64,
}

impl Default for Grading {
    fn default() -> Self {
        Self { steepness: STEEPNESS }
    }
}

impl Grading {
    /// The chance that the offer's answer is good: a half where its true quality is just what the
    /// difficulty takes, from 0.15 for the easiest to 0.8 for the hardest.
    pub fn of(self, world: &World, index: usize, request: &Request) -> f64 {
        let need = 0.15 + 0.65 * request.difficulty;
        1.0 / (1.0 + (-self.steepness * (quality(world, index, request.task) - need)).exp())
    }
}

/// The true quality at a task.
fn quality(world: &World, index: usize, task: &str) -> f64 {
    let prior = world.offers.offers().get(index);
    let prior = prior.map_or(0.0, |offer| offer.quality.prior(&TaskDemands::of(task)).value);
    let surprise = world.truths.get(index).map_or(0.0, |truth| truth.surprise);
    if prior > 0.0 { (prior + surprise).clamp(0.0, 1.0) } else { 0.0 }
}

/// What a request would cost at an offer, by what it truly uses.
pub fn cost_pico(offer: &Offer, input: u32, cached: u32, output: u32) -> u128 {
    let rates = &offer.rates.base;
    let price = |item: &str| rates.price(item).map_or(0, |price| price.0);
    u128::from(input.saturating_sub(cached)) * price("input")
        + u128::from(cached) * price("cache-read")
        + u128::from(output) * price("output")
}

/// A choice in the making.
#[derive(Debug)]
pub struct Chooser<'a> {
    pub world: &'a World,
    pub health: &'a Arc<Health>,
    pub strategy: Strategy,
    pub grading: Grading,
    router: RouteDefault,
    lots: Dice,
    turn: usize,
}

impl<'a> Chooser<'a> {
    pub fn new(world: &'a World, health: &'a Arc<Health>, strategy: Strategy) -> Self {
        let lots = Dice::of(&[world.seed, 23]);
        let (mut router, grading) = (RouteDefault::default(), Grading::default());
        if let Some(policy) = &world.policy {
            // Checked when the program starts.
            router.configure(policy).ok();
        }
        Self { world, health, strategy, grading, router, lots, turn: 0 }
    }

    /// The offers to ask, by index, the first first. `warm`: where the conversation is warm.
    pub fn plan(&mut self, request: &Request, warm: Option<Pin>, now_ms: u64) -> Vec<usize> {
        let difficulty = request.seen_difficulty;
        let work = Workload::new(request.task, difficulty, upper(request.input_tokens), None)
            .cached(warm.map_or(0, |pin| pin.cached_tokens));
        let mut candidates = self.candidates(request, &work, warm, now_ms);
        match self.strategy {
            Strategy::Auto(profile) => self.score(request, profile, &mut candidates),
            _ => self.score_otherwise(request, now_ms, &mut candidates),
        }
        let offers = self.world.offers.offers();
        let lots = &mut self.lots;
        let explores = self.strategy == Strategy::Auto(Profile::Fast)
            && warm.is_none()
            && EXPLORING.is_due(&mut || lots.lot());
        let first = match explores {
            true => Exploring::draw(&candidates, self.health, 0.0, now_ms, &mut || lots.lot()),
            false => None,
        };
        let planning = Planning { attempts_max: ATTEMPTS, first, ..Planning::default() };
        let rows = plan_by(&candidates, offers, planning, &mut || lots.lot());
        rows.into_iter().filter_map(|row| candidates.get(row)).map(|it| it.index).collect()
    }

    fn candidates(
        &self,
        request: &Request,
        work: &Workload,
        warm: Option<Pin>,
        now_ms: u64,
    ) -> Vec<Candidate> {
        let asked = Asked {
            kind: Kind::Chat,
            selector: Selector::Auto(Profile::Balanced),
            needs: &request.needs,
            input_tokens: upper(request.input_tokens),
            output_limit: None,
            free_offers: false,
        };
        let offers = self.world.offers.offers().iter().enumerate();
        offers
            .map(|(index, offer)| {
                let gate = || self.health.gate(index, now_ms);
                let rejection = check(offer, &asked, true, gate);
                let seen = self.health.snapshot(index, work.band(), now_ms);
                let warm = warm.is_some_and(|pin| pin.offer == index);
                let of_it = Particulars { warm, ..Particulars::of_text(work) };
                let figures = figure_row(offer, work, &of_it, seen).filter(|_| rejection.is_none());
                Candidate { index, rejection, figures, score: None }
            })
            .collect()
    }

    /// As the built-in policy scores them.
    fn score(&mut self, request: &Request, profile: Profile, candidates: &mut [Candidate]) {
        let mut figures = Figures::default();
        for row in candidates.iter().filter_map(|candidate| candidate.figures.as_ref()) {
            figures.quality.push(row.quality);
            figures.cost_usd.push(row.cost_usd);
            figures.cost_worst_usd.push(row.cost_worst_usd);
            figures.first_token_ms.push(row.first_token_ms);
            figures.first_token_p95_ms.push(row.first_token_p95_ms);
            figures.tokens_per_second.push(row.tokens_per_second);
            figures.availability.push(row.availability);
            figures.in_flight.push(row.in_flight);
            figures.marks.push(row.marks);
        }
        let task = Classification {
            task: request.task.to_owned(),
            difficulty: request.seen_difficulty,
            ..Classification::default()
        };
        let objective = Objective { profile: profile.label().to_owned(), ..Objective::default() };
        let mock = MockCandidates::default();
        let scores = self.router.score(&task, &figures, &objective, &mock).unwrap_or_default();
        let running = candidates.iter_mut().filter(|candidate| candidate.figures.is_some());
        for (candidate, score) in running.zip(scores) {
            candidate.score = Some(score);
        }
    }

    fn score_otherwise(&mut self, request: &Request, now_ms: u64, candidates: &mut [Candidate]) {
        let grade = |index: usize| self.grading.of(self.world, index, request);
        let best = candidates.iter().filter(|it| it.figures.is_some());
        let best = best.map(|it| grade(it.index)).fold(0.0, f64::max);
        self.turn = self.turn.wrapping_add(1);
        let count = candidates.len().max(1);
        for candidate in candidates.iter_mut() {
            let Some(row) = &candidate.figures else { continue };
            let index = candidate.index;
            candidate.score = Some(match self.strategy {
                Strategy::AlwaysBest => row.quality,
                Strategy::AlwaysCheapest => 1.0 / (1e-9 + row.cost_usd),
                Strategy::RoundRobin => {
                    let behind = (index + count - self.turn % count) % count;
                    f64::from(u32::try_from(count - behind).unwrap_or(0))
                }
                Strategy::Oracle if self.ails(index, now_ms) => 0.0,
                Strategy::Oracle if grade(index) >= best * ORACLE_SHARE => {
                    let Some(offer) = self.world.offers.offers().get(index) else { continue };
                    let output = self.world.output_tokens(index, request);
                    let pico = cost_pico(offer, request.input_tokens, 0, output);
                    1.0 + 1.0
                        / (1e-9 + turnpike::route::ranking_usd(turnpike_ledger::PicoUsd(pico)))
                }
                Strategy::Oracle => grade(index),
                Strategy::Auto(_) => 0.0,
            });
        }
    }

    fn ails(&self, index: usize, now_ms: u64) -> bool {
        let provider = self.world.offers.offers().get(index).map(|offer| &*offer.provider);
        provider.is_some_and(|provider| {
            let on = |it: &&crate::world::Trouble| it.is_on(provider, now_ms);
            self.world.troubles.iter().filter(on).any(|it| it.errors > ORACLE_ERRORS)
        })
    }

    /// Whether an offer may be asked when its turn comes.
    pub fn is_open(&self, index: usize, now_ms: u64) -> bool {
        matches!(self.health.gate(index, now_ms), Gate::Closed | Gate::HalfOpen)
    }
}

/// Prompts are estimated upwards, as the gateway does: about twice what they come to.
fn upper(tokens: u32) -> u32 {
    tokens.saturating_mul(2)
}
