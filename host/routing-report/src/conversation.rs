//! Agents' conversations of forty turns at providers that cache the beginning of a prompt: what
//! they cost when each stays where it is warm, when all of a session's share one memory of where
//! that is, and when every turn is routed as if it were the first. The pins are the router's own.

use std::sync::Arc;

use turnpike::route::{Affinity, Health, Pin, Profile, Sample};
use turnpike_protocol::Needs;

use crate::chooser::{Chooser, Strategy, cost_pico};
use crate::dice::Dice;
use crate::run::BREAKER;
use crate::world::{Request, START_MS, Trouble, World};

pub const TURNS: usize = 40;
/// As `routing.session_ms` is by default.
const PIN_MS: u64 = 300_000;
/// Between two turns.
const PAUSE_MS: u64 = 9_000;
/// Tokens of the first prompt, of each answer, and what a turn adds besides.
const FIRST_TOKENS: u32 = 9_000;
const ANSWER_TOKENS: u32 = 350;
const ADDED_TOKENS: u32 = 900;
/// The same of agents that the first one starts: their work is smaller, and easier by so much.
const STARTED_TOKENS: u32 = 3_000;
const STARTED_EASIER: f64 = 0.25;

/// What is remembered of where a session was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Nothing.
    None,
    /// One place for all of its agents.
    Session,
    /// One for each, as the program does.
    Conversation,
}

/// Sessions to run.
#[derive(Debug, Clone, Copy)]
pub struct Sessions {
    pub count: usize,
    /// Agents of each, who take turns.
    pub agents: usize,
    pub memory: Memory,
}

/// What a number of conversations came to.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub conversations: usize,
    pub cost_pico: u128,
    /// Turns that were answered elsewhere than the one before.
    pub moves: usize,
    /// Of those the ones whose offer before was failing.
    pub moves_for_health: usize,
    pub cached_share: f64,
    /// Mean over the turns, as runs grade it.
    pub quality: f64,
    /// Turns that got an answer.
    pub answered: usize,
}

// === impl Sessions ===

impl Sessions {
    /// One agent each.
    pub fn of(count: usize, memory: Memory) -> Self {
        Self { count, agents: 1, memory }
    }

    pub fn agents(self, agents: usize) -> Self {
        Self { agents, ..self }
    }
}

/// Runs sessions one after the other.
pub fn run(world: &World, sessions: Sessions) -> Told {
    let health = Arc::new(Health::new(world.offers.offers().len(), BREAKER));
    let pins = Affinity::new(if sessions.memory == Memory::None { 0 } else { PIN_MS });
    let mut chooser = Chooser::new(world, &health, Strategy::Auto(Profile::Balanced));
    let mut told = Told { conversations: sessions.count * sessions.agents, ..Told::default() };
    let (mut prompt, mut cached_in_all) = (0_u64, 0_u64);
    for number in 0..sessions.count {
        let mut talks: Vec<Talk> =
            (0..sessions.agents).map(|agent| Talk::new(world, number, agent)).collect();
        let turns =
            (0..TURNS).flat_map(|turn| (0..sessions.agents).map(move |agent| (turn, agent)));
        for (turn, agent) in turns {
            let Some(talk) = talks.get_mut(agent) else { continue };
            let request = talk.turn(turn, sessions.agents);
            let agent = if sessions.memory == Memory::Conversation { agent } else { 0 };
            let names = [number, agent].map(usize::to_be_bytes);
            let known = pins.conversation(names.iter().map(|name| &name[..]));
            let warm = pins.recall(known, request.at_ms);
            let plan = chooser.plan(&request, warm, request.at_ms);
            for offer in plan {
                if talk.fails(world, offer, request.at_ms) {
                    record(&health, offer, Sample::Failed, request.at_ms);
                    continue;
                }
                let Some(named) = world.offers.offers().get(offer) else { break };
                let cached = talk.cached(offer, request.at_ms);
                told.cost_pico += cost_pico(named, request.input_tokens, cached, ANSWER_TOKENS);
                told.answered += 1;
                told.quality += chooser.grading.of(world, offer, &request);
                prompt += u64::from(request.input_tokens);
                cached_in_all += u64::from(cached);
                let moved = talk.answered(offer, &request);
                told.moves += usize::from(moved.is_some());
                let ailing = moved.is_some_and(|from| talk.ails(world, from, request.at_ms));
                told.moves_for_health += usize::from(ailing);
                let sample = Sample::answered(700, 350, 5_000, request.input_tokens * 2);
                record(&health, offer, sample, request.at_ms + 5_000);
                let (input, cached) = (request.input_tokens.into(), cached.into());
                let was_warm = warm.is_some_and(|pin| pin.offer == offer);
                let pin = Pin::after(offer, named, input, cached, was_warm);
                pins.keep(known, pin, request.at_ms);
                break;
            }
        }
    }
    let turns = u32::try_from(told.answered.max(1)).unwrap_or(u32::MAX);
    told.quality /= f64::from(turns);
    let permille = (cached_in_all * 1_000).checked_div(prompt).unwrap_or(0);
    told.cached_share = f64::from(u32::try_from(permille).unwrap_or(0)) / 1_000.0;
    told
}

/// A trouble in the middle of every conversation, so that health has something to say.
pub fn trouble(provider: &'static str) -> Vec<Trouble> {
    let span = u64::try_from(TURNS).unwrap_or(0) * PAUSE_MS;
    let (from_ms, until_ms) = (START_MS + span / 2, START_MS + span * 3 / 4);
    let errors = 1.0;
    vec![Trouble { provider, from_ms, until_ms, errors, slower: 1.0, hangs: false }]
}

fn record(health: &Arc<Health>, offer: usize, sample: Sample, at_ms: u64) {
    if let Ok(begun) = health.begin(offer, at_ms) {
        health.record(begun.lane(), sample, at_ms);
    }
}

/// One conversation.
struct Talk {
    dice: Dice,
    difficulty: f64,
    /// Which of its session's agents has it: the first starts the others.
    agent: usize,
    /// Where it was answered last.
    last: Option<usize>,
    /// What each provider has cached of it, and when it was last used.
    cached: Vec<(usize, u32, u64)>,
}

impl Talk {
    fn new(world: &World, number: usize, agent: usize) -> Self {
        let parts = [number, agent].map(|part| u64::try_from(part).unwrap_or(0));
        let parts = [world.seed, 31, parts[0], parts[1]];
        let mut dice = Dice::of(if agent == 0 { &parts[..3] } else { &parts });
        let easier = if agent == 0 { 0.0 } else { STARTED_EASIER };
        let difficulty = (0.55 - easier + 0.12 * dice.normal()).clamp(0.1, 0.95);
        Self { dice, difficulty, agent, last: None, cached: Vec::new() }
    }

    /// One of `agents` that take turns.
    fn turn(&mut self, turn: usize, agents: usize) -> Request {
        let turns = u32::try_from(turn).unwrap_or(0);
        let first_tokens = if self.agent == 0 { FIRST_TOKENS } else { STARTED_TOKENS };
        let [agent, agents] = [self.agent, agents].map(|it| u64::try_from(it).unwrap_or(0));
        let within_ms = (PAUSE_MS * agent).checked_div(agents).unwrap_or(0);
        // Some turns look easier or harder than the conversation is.
        let seen = (self.difficulty + 0.06 * self.dice.normal()).clamp(0.0, 1.0);
        Request {
            at_ms: START_MS + u64::from(turns) * PAUSE_MS + within_ms,
            task: "agent",
            difficulty: self.difficulty,
            seen_difficulty: seen,
            input_tokens: first_tokens + turns * (ADDED_TOKENS + ANSWER_TOKENS),
            output_tokens: ANSWER_TOKENS,
            needs: Needs { tools: true, ..Needs::default() },
        }
    }

    /// Tokens of its beginning that the offer has cached.
    fn cached(&self, offer: usize, at_ms: u64) -> u32 {
        let known = self.cached.iter().find(|(at, _, _)| *at == offer);
        let fresh = known.filter(|(_, _, used_ms)| at_ms.saturating_sub(*used_ms) < PIN_MS);
        fresh.map_or(0, |(_, tokens, _)| *tokens)
    }

    /// Where it was before, if it moved.
    fn answered(&mut self, offer: usize, request: &Request) -> Option<usize> {
        self.cached.retain(|(at, _, _)| *at != offer);
        self.cached.push((offer, request.input_tokens, request.at_ms));
        self.last.replace(offer).filter(|before| *before != offer)
    }

    fn fails(&mut self, world: &World, offer: usize, at_ms: u64) -> bool {
        let lot = self.dice.unit();
        errors(world, offer, at_ms) > lot
    }

    fn ails(&self, world: &World, offer: usize, at_ms: u64) -> bool {
        errors(world, offer, at_ms) > 0.0
    }
}

fn errors(world: &World, offer: usize, at_ms: u64) -> f64 {
    let provider = world.offers.offers().get(offer).map(|offer| &*offer.provider);
    let on = |it: &&Trouble| provider.is_some_and(|provider| it.is_on(provider, at_ms));
    world.troubles.iter().find(on).map_or(0.0, |it| it.errors)
}
