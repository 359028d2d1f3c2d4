//! The report: what a run came to, as tables for people. Every number in it follows from the seed.

use std::fmt::Write as _;

use turnpike::route::Profile;

use crate::chooser::{Grading, Strategy};
use crate::conversation::{self, Memory, Sessions, TURNS};
use crate::run::{BREAKER, Ended, run};
use crate::world::{START_MS, Shape, Trouble, World, providers};

/// What `auto` has to reach: of the quality of always the best, of its cost, and answered.
pub const QUALITY_MIN: f64 = 0.95;
pub const COST_MAX: f64 = 0.35;
pub const SUCCESS_MIN: f64 = 0.9999;

/// Errors of a brown-out that routing has to bear.
const BROWN_ERRORS: f64 = 0.2;
/// Requests of a world with offers drawn at random.
const DRAWN_REQUESTS: usize = 2_000;
/// Conversations of the part about affinity.
const CONVERSATIONS: usize = 50;
/// Agents of a session that take turns.
const AGENTS: usize = 3;

/// What one strategy came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    pub quality: f64,
    pub cost_usd: f64,
    pub success: f64,
    pub first_p50_ms: u64,
    pub first_p95_ms: u64,
    pub total_p95_ms: u64,
    pub failed_attempts: u64,
}

impl Totals {
    pub fn of(ended: &[Ended]) -> Self {
        let count = number(ended.len()).max(1.0);
        let answered: Vec<&Ended> = ended.iter().filter(|one| one.answered).collect();
        let pico: u128 = ended.iter().map(|one| one.cost_pico).sum();
        let first = |share| quantile(answered.iter().map(|one| one.first_ms), share);
        Self {
            quality: ended.iter().map(|one| one.quality).sum::<f64>() / count,
            cost_usd: turnpike::route::ranking_usd(turnpike_ledger::PicoUsd(pico)),
            success: number(answered.len()) / count,
            first_p50_ms: first(0.5),
            first_p95_ms: first(0.95),
            total_p95_ms: quantile(answered.iter().map(|one| one.total_ms), 0.95),
            failed_attempts: ended.iter().map(|one| u64::from(one.failed_attempts)).sum(),
        }
    }
}

/// The lowest number that is not below a share of them.
pub fn quantile(numbers: impl Iterator<Item = u64>, share: f64) -> u64 {
    let mut sorted: Vec<u64> = numbers.collect();
    sorted.sort_unstable();
    let place = crate::run::whole(number(sorted.len()) * share).max(1) - 1;
    let last = sorted.last().copied().unwrap_or(0);
    usize::try_from(place).ok().and_then(|place| sorted.get(place).copied()).unwrap_or(last)
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Success under the worst pair of troubles, and which it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    pub success: f64,
    pub down: &'static str,
    pub brown: &'static str,
    pub pairs: usize,
}

/// Every provider down once, with every other at a fifth of errors.
///
/// # Errors
/// When a world can't be made.
pub fn worst_pair(shape: &Shape) -> anyhow::Result<Worst> {
    let mut worst = Worst { success: 2.0, down: "", brown: "", pairs: 0 };
    for down in providers() {
        for brown in providers().into_iter().filter(|brown| *brown != down) {
            let troubles =
                vec![Trouble::throughout(down, 1.0), Trouble::throughout(brown, BROWN_ERRORS)];
            let world = World::new(shape)?.with(troubles);
            let ended = run(&world, Strategy::Auto(Profile::Balanced), Grading::default());
            let success = Totals::of(&ended).success;
            worst.pairs += 1;
            if success < worst.success {
                (worst.success, worst.down, worst.brown) = (success, down, brown);
            }
        }
    }
    Ok(worst)
}

/// `auto` against always the best: shares of quality and of cost.
pub fn shares(world: &World, grading: Grading) -> (f64, f64) {
    let auto = Totals::of(&run(world, Strategy::Auto(Profile::Balanced), grading));
    let best = Totals::of(&run(world, Strategy::AlwaysBest, grading));
    (auto.quality / best.quality.max(1e-9), auto.cost_usd / best.cost_usd.max(1e-12))
}

/// The table of strategies.
///
/// # Errors
/// When a world can't be made.
pub fn strategies(shape: &Shape) -> anyhow::Result<String> {
    let world = World::new(shape)?;
    let all: Vec<(Strategy, Totals)> = Strategy::ALL
        .into_iter()
        .map(|strategy| (strategy, Totals::of(&run(&world, strategy, Grading::default()))))
        .collect();
    let best = all.iter().find(|(strategy, _)| *strategy == Strategy::AlwaysBest);
    let best = best.map(|(_, totals)| *totals).unwrap_or_default();
    let mut text = String::from(
        "| strategy | quality | of the best's | cost, USD | of the best's | answered | first token \
         p50 | p95 | whole p95 | failed attempts |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (strategy, it) in &all {
        writeln!(
            text,
            "| {} | {:.4} | {:.1} % | {:.2} | {:.1} % | {:.3} % | {} ms | {} ms | {:.1} s | {} |",
            strategy.label(),
            it.quality,
            it.quality / best.quality * 100.0,
            it.cost_usd,
            it.cost_usd / best.cost_usd * 100.0,
            it.success * 100.0,
            it.first_p50_ms,
            it.first_p95_ms,
            f64::from(u32::try_from(it.total_p95_ms / 100).unwrap_or(0)) / 10.0,
            it.failed_attempts,
        )?;
    }
    Ok(text)
}

/// How far the result depends on what was assumed: the steepness of grades, the seed, the offers.
///
/// # Errors
/// When a world can't be made.
pub fn assumptions(shape: &Shape, worlds: u64) -> anyhow::Result<String> {
    let mut text = String::from(
        "| assumption | quality of the best's | cost of the best's |\n|---|--:|--:|\n",
    );
    let world = World::new(shape)?;
    for steepness in [6.0, 8.0, 12.0, 20.0] {
        let (quality, cost) = shares(&world, Grading { steepness });
        let (quality, cost) = (quality * 100.0, cost * 100.0);
        writeln!(text, "| steepness {steepness:.0} | {quality:.1} % | {cost:.1} % |")?;
    }
    for (surprise, blur) in [(0.0, 0.0), (0.08, 0.08), (0.04, 0.2)] {
        let world = World::new(&Shape { surprise, blur, ..shape.clone() })?;
        let (quality, cost) = shares(&world, Grading::default());
        let (quality, cost) = (quality * 100.0, cost * 100.0);
        writeln!(
            text,
            "| qualities off by {surprise}, difficulties by {blur} | {quality:.1} % | {cost:.1} % |"
        )?;
    }
    writeln!(
        text,
        "\nIn {worlds} worlds with offers drawn at random, of {DRAWN_REQUESTS} requests each:\n"
    )?;
    text.push_str(
        "| steepness | reach the quality | the cost | both | mean quality | mean cost |\n",
    );
    text.push_str("|---|--:|--:|--:|--:|--:|\n");
    for steepness in [8.0, 12.0] {
        let mut drawn = Vec::new();
        for seed in 0..worlds {
            let (seed, requests) = (100 + seed, DRAWN_REQUESTS);
            let shape = Shape { seed, requests, other_offers: true, ..shape.clone() };
            drawn.push(shares(&World::new(&shape)?, Grading { steepness }));
        }
        let good = drawn.iter().filter(|(quality, _)| *quality >= QUALITY_MIN).count();
        let frugal = drawn.iter().filter(|(_, cost)| *cost <= COST_MAX).count();
        let both = |(quality, cost): &&(f64, f64)| *quality >= QUALITY_MIN && *cost <= COST_MAX;
        let both = drawn.iter().filter(both).count();
        let mean = |of: fn(&(f64, f64)) -> f64| {
            drawn.iter().map(of).sum::<f64>() / number(drawn.len()).max(1.0) * 100.0
        };
        let (quality, cost) = (mean(|it| it.0), mean(|it| it.1));
        writeln!(
            text,
            "| {steepness:.0} | {good} | {frugal} | {both} | {quality:.1} % | {cost:.1} % |"
        )?;
    }
    Ok(text)
}

/// What is lost where an answer is not as long wherever it comes from.
///
/// # Errors
/// When a world can't be made.
pub fn thinking(shape: &Shape) -> anyhow::Result<String> {
    let mut text = String::from(
        "Half of the offers whose quality is 0.75 and more think before they answer, and write two \
         to eight times as much, which is charged. The router expects answers of the same length; \
         the oracle knows.\n\n| | `auto`: quality of the best's | cost of the best's | the \
         oracle's cost of the best's |\n|---|--:|--:|--:|\n",
    );
    for (what, thinking) in [("all write as much", false), ("some think", true)] {
        let world = World::new(&Shape { thinking, ..shape.clone() })?;
        let (quality, cost) = shares(&world, Grading::default());
        let totals = |strategy| Totals::of(&run(&world, strategy, Grading::default())).cost_usd;
        let oracle = totals(Strategy::Oracle) / totals(Strategy::AlwaysBest).max(1e-12);
        let (quality, cost, oracle) = (quality * 100.0, cost * 100.0, oracle * 100.0);
        writeln!(text, "| {what} | {quality:.1} % | {cost:.1} % | {oracle:.1} % |")?;
    }
    Ok(text)
}

/// What affinity is worth.
///
/// # Errors
/// When a world can't be made.
pub fn affinity(shape: &Shape) -> anyhow::Result<String> {
    let quiet = World::new(shape)?.with(Vec::new());
    let mut text = format!(
        "{CONVERSATIONS} conversations of {TURNS} turns of an agent.\n\n| | cost, USD | cached \
         share of prompts | moves | of those for health | quality | answered |\n\
         |---|--:|--:|--:|--:|--:|--:|\n"
    );
    let mut line = |what: &str, told: &conversation::Told| {
        writeln!(
            text,
            "| {what} | {:.2} | {:.1} % | {} | {} | {:.4} | {} |",
            turnpike::route::ranking_usd(turnpike_ledger::PicoUsd(told.cost_pico)),
            told.cached_share * 100.0,
            told.moves,
            told.moves_for_health,
            told.quality,
            told.answered,
        )
    };
    let of = |memory: Memory| Sessions::of(CONVERSATIONS, memory);
    let (each, none) = (of(Memory::Conversation), of(Memory::None));
    line("with affinity", &conversation::run(&quiet, each))?;
    line("without", &conversation::run(&quiet, none))?;
    let sellers = World::new(&Shape { sellers: true, ..shape.clone() })?.with(Vec::new());
    let with = "four sell what agents are given, with affinity";
    line(with, &conversation::run(&sellers, each))?;
    line("four sell it, without", &conversation::run(&sellers, none))?;
    for provider in ["fir", "cedar"] {
        let ill = World::new(shape)?.with(conversation::trouble(provider));
        line(
            &format!("with affinity, {provider} down for a quarter"),
            &conversation::run(&ill, each),
        )?;
    }
    let crews = [
        ("for each agent, as it is", Memory::Conversation),
        ("for the session", Memory::Session),
        ("for nobody", Memory::None),
    ];
    for (what, memory) in crews {
        let told = conversation::run(&sellers, of(memory).agents(AGENTS));
        line(
            &format!("four sell it, {AGENTS} agents of a session take turns, affinity {what}"),
            &told,
        )?;
    }
    Ok(text)
}

/// A provider goes down under load and comes back: the slowest hundredth, window by window.
///
/// # Errors
/// When a world can't be made.
pub fn outage(shape: &Shape, hangs: bool) -> anyhow::Result<(String, bool)> {
    let quiet = World::new(shape)?.with(Vec::new());
    let auto = Strategy::Auto(Profile::Balanced);
    let busiest = busiest(&quiet, &run(&quiet, auto, Grading::default()));
    let end_ms = quiet.requests.last().map_or(START_MS, |last| last.at_ms);
    let third = (end_ms - START_MS) / 3;
    let (from_ms, until_ms) = (START_MS + third, START_MS + 2 * third);
    let trouble = Trouble { provider: busiest, from_ms, until_ms, errors: 1.0, slower: 1.0, hangs };
    let world = World::new(shape)?.with(vec![trouble]);
    let ended = run(&world, auto, Grading::default());
    let window = |from: u64, until: u64| {
        let within: Vec<&Ended> =
            ended.iter().filter(|one| (from..until).contains(&one.at_ms)).collect();
        let answered = within.iter().filter(|one| one.answered).count();
        let there = |one: &&&Ended| {
            let offer = one.offer.and_then(|offer| world.offers.offers().get(offer));
            offer.is_some_and(|offer| *offer.provider == *busiest)
        };
        let share = number(within.iter().filter(there).count()) / number(within.len()).max(1.0);
        let p99 = quantile(within.iter().map(|one| one.first_ms), 0.99);
        (p99, share, answered == within.len())
    };
    let open_ms = BREAKER.open_ms;
    let spans = [
        ("before", START_MS, from_ms),
        ("the first window of the outage", from_ms, from_ms + open_ms),
        ("the second", from_ms + open_ms, from_ms + 2 * open_ms),
        ("the rest of it", from_ms + 2 * open_ms, until_ms),
        ("the first window after it", until_ms, until_ms + open_ms),
        ("the rest", until_ms + open_ms, end_ms),
    ];
    let mut text = format!(
        "{busiest} goes down{}.\n\n| | first token p99 | share of {busiest} | all answered |\n\
         |---|--:|--:|---|\n",
        if hangs { " and answers nothing, not even an error" } else { "" }
    );
    let mut rows = Vec::new();
    for (what, from, until) in spans {
        let (p99, share, all) = window(from, until);
        let all_text = if all { "yes" } else { "no" };
        writeln!(text, "| {what} | {p99} ms | {:.1} % | {all_text} |", share * 100.0)?;
        rows.push((p99, share));
    }
    let [before, _, second, rest, back, last] = rows.as_slice() else { return Ok((text, false)) };
    let calm = second.0.max(rest.0);
    let recovered = calm <= before.0 * 3 / 2 && (back.1.max(last.1)) > before.1 * 0.8;
    let paid: u128 = ended.iter().filter(|one| !one.answered).map(|one| one.cost_pico).sum();
    let failed: u32 = ended.iter().map(|one| one.failed_attempts).sum();
    writeln!(text, "\n{failed} attempts failed; what callers paid for them: {paid} USD.")?;
    Ok((text, recovered))
}

/// The provider that answers most.
fn busiest(world: &World, ended: &[Ended]) -> &'static str {
    let count = |provider: &str| {
        let there = |one: &&Ended| {
            let offer = one.offer.and_then(|offer| world.offers.offers().get(offer));
            offer.is_some_and(|offer| *offer.provider == *provider)
        };
        ended.iter().filter(there).count()
    };
    providers().into_iter().max_by_key(|provider| count(provider)).unwrap_or("")
}
