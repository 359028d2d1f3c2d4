//! The routing report: what `auto` costs and what it is worth, against simpler ways to choose, in a
//! simulation with virtual time over the program's own routing code. Deterministic: the same seed
//! gives the same report. Never opens a socket and never reads a clock.

pub mod chooser;
pub mod conversation;
pub mod dice;
pub mod report;
pub mod run;
pub mod world;

use std::fmt::Write as _;

use report::{COST_MAX, QUALITY_MIN, SUCCESS_MIN};
use world::Shape;

/// Requests of the short run, which a test makes again.
pub const SHORT_REQUESTS: usize = 2_000;

/// What stands between the marks of the short run in the document.
pub const SHORT_BEGIN: &str = "<!-- the short run begins -->\n";
pub const SHORT_END: &str = "<!-- the short run ends -->\n";

/// Whether the targets hold.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub what: String,
    pub holds: bool,
}

/// The short run, which a test compares with the document.
///
/// # Errors
/// When a world can't be made.
pub fn short() -> anyhow::Result<String> {
    let shape = Shape { requests: SHORT_REQUESTS, ..Shape::default() };
    report::strategies(&shape)
}

/// The whole report, and whether the targets hold.
///
/// # Errors
/// When a world can't be made.
pub fn whole(shape: &Shape, worlds: u64) -> anyhow::Result<(String, Vec<Verdict>)> {
    let world = world::World::new(shape)?;
    let (quality, cost) = report::shares(&world, chooser::Grading::default());
    let worst = report::worst_pair(shape)?;
    let (outage, recovers) = report::outage(shape, false)?;
    let (silence, recovers_too) = report::outage(shape, true)?;
    let verdicts = vec![
        verdict(
            format!(
                "`auto` has {:.1} % of the quality of always the best (at least 95 %)",
                quality * 100.0
            ),
            quality >= QUALITY_MIN,
        ),
        verdict(format!("at {:.1} % of its cost (at most 35 %)", cost * 100.0), cost <= COST_MAX),
        verdict(
            format!(
                "{:.3} % of requests are answered in the worst of {} pairs of one provider down \
                 ({}) and one at 20 % errors ({}) (at least 99.99 %)",
                worst.success * 100.0,
                worst.pairs,
                worst.down,
                worst.brown
            ),
            worst.success >= SUCCESS_MIN,
        ),
        verdict(
            "a provider that goes down is routed round within one breaker window, and comes \
                 back by its probes"
                .to_owned(),
            recovers,
        ),
        verdict("so is one that only falls silent".to_owned(), recovers_too),
    ];
    let mut text = String::from(HEAD);
    for it in &verdicts {
        writeln!(text, "- {} {}", if it.holds { "holds:" } else { "**does not hold:**" }, it.what)?;
    }
    writeln!(text, "\n## Strategies\n\n{} requests, seed {}.\n", shape.requests, shape.seed)?;
    text.push_str(&report::strategies(shape)?);
    text.push_str("\n## What it depends on\n\n");
    text.push_str(&report::assumptions(shape, worlds)?);
    text.push_str("\n## Models that think\n\n");
    text.push_str(&report::thinking(shape)?);
    text.push_str("\n## Conversations\n\n");
    text.push_str(&report::affinity(shape)?);
    text.push_str("\n## An outage under load\n\n");
    text.push_str(&outage);
    text.push('\n');
    text.push_str(&silence);
    write!(
        text,
        "\n## The short run\n\n{SHORT_REQUESTS} requests; a test makes it again and compares.\n\n"
    )?;
    text.push_str(SHORT_BEGIN);
    text.push_str(&short()?);
    text.push_str(SHORT_END);
    Ok((text, verdicts))
}

fn verdict(what: String, holds: bool) -> Verdict {
    Verdict { what, holds }
}

const HEAD: &str = include_str!("head.md");
