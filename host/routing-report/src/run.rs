//! A run of a whole world under one strategy: discrete events in virtual time over the router's own
//! health, breakers and plans. Providers are scripted: how long an attempt takes and whether it
//! fails follows from the seed, the request, the offer and the try, whoever asks.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use turnpike::route::{BreakerRule, Health, InFlight, Sample};

use crate::chooser::{ATTEMPTS, Chooser, Grading, Strategy, cost_pico};
use crate::dice::Dice;
use crate::world::World;

/// As `routing.breaker_failures` and `routing.breaker_open_ms` are by default.
pub const BREAKER: BreakerRule = BreakerRule { failures: 5, open_ms: 10_000 };
/// Attempts that fail without any trouble.
const ERRORS: f64 = 0.002;
/// How long a hanging provider is waited for, as `timeouts.first_byte_ms` is by default.
const HANG_MS: u64 = 60_000;
/// When a request that hears nothing looks whether others do, and how often from then on.
const PATIENCE_MS: u64 = 10_000;
const LOOK_MS: u64 = 1_000;
/// Requests in flight at which an offer takes twice as long for its first token.
const CROWDED: f64 = 400.0;
/// Before the best offer is asked once more.
const REPEAT_MS: u64 = 150;

/// What became of one request.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    pub answered: bool,
    /// The chance that the answer was good; 0 without one.
    pub quality: f64,
    pub cost_pico: u128,
    pub at_ms: u64,
    /// From arrival to the first token.
    pub first_ms: u64,
    /// From arrival to the end.
    pub total_ms: u64,
    pub attempts: u32,
    pub failed_attempts: u32,
    pub offer: Option<usize>,
    /// Difficulty, for averages within parts.
    pub difficulty: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives,
    /// The next of its offers is asked.
    Asks,
    Begins,
    Ends,
    Fails,
    /// A request that has waited for long looks whether its offer has fallen silent.
    Looks,
}

#[derive(Debug, Default)]
struct Under {
    queue: Vec<usize>,
    first_choice: Option<usize>,
    planned: usize,
    tried: usize,
    again: bool,
    asked_ms: u64,
    first_ms: u64,
    /// When an attempt that nobody answers is given up at the latest.
    fails_ms: Option<u64>,
    in_flight: Option<InFlight>,
}

/// The run in the making.
struct Run<'a> {
    world: &'a World,
    health: &'a Arc<Health>,
    events: BinaryHeap<Reverse<(u64, u64, usize, Event)>>,
    number: u64,
    under: Vec<Under>,
    ended: Vec<Ended>,
    grading: Grading,
}

/// Runs all requests of a world.
pub fn run(world: &World, strategy: Strategy, grading: Grading) -> Vec<Ended> {
    let health = Arc::new(Health::new(world.offers.offers().len(), BREAKER));
    let mut chooser = Chooser::new(world, &health, strategy);
    chooser.grading = grading;
    let count = world.requests.len();
    let mut run = Run {
        world,
        health: &health,
        events: BinaryHeap::new(),
        number: 0,
        under: (0..count).map(|_| Under::default()).collect(),
        ended: vec![Ended::default(); count],
        grading,
    };
    for (request, index) in world.requests.iter().zip(0..) {
        run.schedule(request.at_ms, index, Event::Arrives);
    }
    while let Some(Reverse((now_ms, _, index, event))) = run.events.pop() {
        match event {
            Event::Arrives => run.arrives(&mut chooser, index, now_ms),
            Event::Asks => run.asks(&chooser, index, now_ms),
            Event::Begins => run.begins(index, now_ms),
            Event::Ends => run.ends(index, now_ms),
            Event::Fails => run.fails(index, now_ms),
            Event::Looks => run.looks(index, now_ms),
        }
    }
    run.ended
}

impl Run<'_> {
    fn schedule(&mut self, at_ms: u64, index: usize, event: Event) {
        self.number += 1;
        self.events.push(Reverse((at_ms, self.number, index, event)));
    }

    fn arrives(&mut self, chooser: &mut Chooser<'_>, index: usize, now_ms: u64) {
        let Some(request) = self.world.requests.get(index) else { return };
        let mut plan = chooser.plan(request, None, now_ms);
        plan.reverse();
        if let (Some(ended), Some(under)) = (self.ended.get_mut(index), self.under.get_mut(index)) {
            (ended.at_ms, ended.difficulty) = (now_ms, request.difficulty);
            (under.first_choice, under.planned) = (plan.last().copied(), plan.len());
            under.queue = plan;
        }
        self.schedule(now_ms, index, Event::Asks);
    }

    fn asks(&mut self, chooser: &Chooser<'_>, index: usize, now_ms: u64) {
        let Some(under) = self.under.get_mut(index) else { return };
        let Some(offer) = under.queue.pop() else {
            // As the gateway does: the first once more, where nothing else is left.
            if under.tried == under.planned && under.tried < ATTEMPTS + 1 && !under.again {
                under.again = true;
                under.queue.extend(under.first_choice);
                self.schedule(now_ms + REPEAT_MS, index, Event::Asks);
            } else if let Some(ended) = self.ended.get_mut(index) {
                ended.total_ms = now_ms.saturating_sub(ended.at_ms);
                ended.first_ms = ended.total_ms;
            }
            return;
        };
        let open = chooser.is_open(offer, now_ms);
        let Some(in_flight) = open.then(|| self.health.begin(offer, now_ms).ok()).flatten() else {
            return self.schedule(now_ms, index, Event::Asks);
        };
        under.tried += 1;
        under.asked_ms = now_ms;
        under.in_flight = Some(in_flight);
        let (first_ms, fails) = self.scripted(index, offer, now_ms);
        if let Some(ended) = self.ended.get_mut(index) {
            ended.attempts += 1;
        }
        let unanswered = fails && first_ms > PATIENCE_MS;
        if let Some(under) = self.under.get_mut(index) {
            under.fails_ms = unanswered.then_some(now_ms + first_ms);
        }
        if unanswered {
            return self.schedule(now_ms + PATIENCE_MS, index, Event::Looks);
        }
        let event = if fails { Event::Fails } else { Event::Begins };
        self.schedule(now_ms + first_ms, index, event);
    }

    /// As the gateway does: who waits in vain for an offer that has fallen silent asks the next,
    /// and so does who probes one that rested.
    fn looks(&mut self, index: usize, now_ms: u64) {
        let Some(under) = self.under.get(index) else { return };
        let (Some(in_flight), Some(fails_ms)) = (&under.in_flight, under.fails_ms) else { return };
        let waited_ms = now_ms.saturating_sub(under.asked_ms);
        let probed = in_flight.is_probe() && waited_ms >= in_flight.patience_ms();
        let silent = probed || in_flight.leaves_silent(now_ms);
        if now_ms >= fails_ms || (silent && !under.queue.is_empty()) {
            return self.fails(index, now_ms);
        }
        self.schedule((now_ms + LOOK_MS).min(fails_ms), index, Event::Looks);
    }

    /// After how long an attempt begins to answer, or fails.
    fn scripted(&self, index: usize, offer: usize, now_ms: u64) -> (u64, bool) {
        let tried = self.under.get(index).map_or(0, |under| under.tried);
        let parts = [index, offer, tried].map(|part| u64::try_from(part).unwrap_or(0));
        let mut dice = Dice::of(&[self.world.seed, 29, parts[0], parts[1], parts[2]]);
        let named = self.world.offers.offers().get(offer);
        let (Some(named), Some(truth)) = (named, self.world.truths.get(offer)) else {
            return (0, true);
        };
        let trouble = self.world.troubles.iter().find(|it| it.is_on(&named.provider, now_ms));
        let errors = trouble.map_or(0.0, |it| it.errors) + ERRORS;
        let slower = trouble.map_or(1.0, |it| it.slower);
        let input = self.world.requests.get(index).map_or(0, |request| request.input_tokens);
        let load = f64::from(self.health.snapshot(offer, Default::default(), now_ms).in_flight);
        let middle = truth.first_token_ms * slower * (1.0 + load / CROWDED);
        let first = dice.around(middle * (1.0 + f64::from(input) / 40_000.0), 1.7);
        let fails = dice.unit() < errors;
        let hangs = fails && trouble.is_some_and(|it| it.hangs);
        (if hangs { HANG_MS } else { whole(first) }, fails)
    }

    fn begins(&mut self, index: usize, now_ms: u64) {
        let (Some(under), Some(request)) =
            (self.under.get_mut(index), self.world.requests.get(index))
        else {
            return;
        };
        let Some(in_flight) = &mut under.in_flight else { return };
        in_flight.heard(now_ms);
        in_flight.answering();
        under.first_ms = now_ms.saturating_sub(under.asked_ms);
        let offer = in_flight.lane().offer;
        let speed = self.world.truths.get(offer).map_or(50.0, |truth| truth.tokens_per_second);
        let output = self.world.output_tokens(offer, request);
        let writing_ms = whole(f64::from(output) / speed * 1_000.0);
        if let Some(ended) = self.ended.get_mut(index) {
            ended.first_ms = now_ms.saturating_sub(ended.at_ms);
        }
        self.schedule(now_ms + writing_ms, index, Event::Ends);
    }

    fn ends(&mut self, index: usize, now_ms: u64) {
        let (Some(under), Some(request)) =
            (self.under.get_mut(index), self.world.requests.get(index))
        else {
            return;
        };
        let Some(in_flight) = under.in_flight.take() else { return };
        let lane = in_flight.lane();
        let input = request.input_tokens;
        let output = self.world.output_tokens(lane.offer, request);
        let took_ms = now_ms.saturating_sub(under.asked_ms);
        let sample = Sample::answered(under.first_ms, output.into(), took_ms, input * 2);
        in_flight.ended(sample, now_ms);
        let Some(offer) = self.world.offers.offers().get(lane.offer) else { return };
        let quality = self.grading.of(self.world, lane.offer, request);
        if let Some(ended) = self.ended.get_mut(index) {
            ended.answered = true;
            ended.offer = Some(lane.offer);
            ended.quality = quality;
            ended.total_ms = now_ms.saturating_sub(ended.at_ms);
            ended.cost_pico = cost_pico(offer, input, 0, output);
        }
    }

    fn fails(&mut self, index: usize, now_ms: u64) {
        let Some(under) = self.under.get_mut(index) else { return };
        let Some(in_flight) = under.in_flight.take() else { return };
        let sample = if under.again { Sample::Neutral } else { Sample::Failed };
        in_flight.ended(sample, now_ms);
        if let Some(ended) = self.ended.get_mut(index) {
            ended.failed_attempts += 1;
        }
        self.schedule(now_ms, index, Event::Asks);
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "milliseconds of a simulation, clamped"
)]
pub fn whole(ms: f64) -> u64 {
    ms.clamp(0.0, 1e9).round() as u64
}
