//! `make routing-report`: writes the report, and fails where a target does not hold.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use route_default::RouteDefault;
use turnpike_policy_sdk::Plugin as _;
use turnpike_routing_report::whole;
use turnpike_routing_report::world::{Labelled, Shape};

/// What `auto` costs and what it is worth, in a simulation over the program's own routing code.
#[derive(Debug, Parser)]
struct Options {
    /// Everything follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Requests in a second.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// By how much true qualities differ from the estimates.
    #[arg(long, default_value_t = 0.04)]
    surprise: f64,
    /// By how much the classifier's difficulties differ from the true ones.
    #[arg(long, default_value_t = 0.08)]
    blur: f64,
    /// Draws the offers' qualities and prices anew from the seed.
    #[arg(long)]
    other_offers: bool,
    /// Half of the better offers think, and write two to eight times as much.
    #[arg(long)]
    thinking: bool,
    /// The built-in policy's configuration: `{"floor": 0.5}`.
    #[arg(long)]
    policy: Option<String>,
    /// Worlds with offers drawn at random, for the part about what the result depends on.
    #[arg(long, default_value_t = 40)]
    worlds: u64,
    /// Requests from a file in place of the mix: a JSON object a line with `task`, `prompt`,
    /// `difficulty`, or whether a `weak` and a `strong` model were right.
    #[arg(long)]
    tasks: Option<PathBuf>,
    /// Where to write it; to the standard output without.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> anyhow::Result<std::process::ExitCode> {
    let options = Options::parse();
    let labelled = match &options.tasks {
        None => Vec::new(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("can't read {}", path.display()))?;
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            let read = |line: &str| serde_json::from_str::<Labelled>(line);
            lines.map(read).collect::<Result<_, _>>().context("a line is no labelled request")?
        }
    };
    let shape = Shape {
        seed: options.seed,
        requests: options.requests,
        rate: options.rate,
        surprise: options.surprise,
        blur: options.blur,
        other_offers: options.other_offers,
        sellers: false,
        thinking: options.thinking,
        policy: options.policy,
        labelled,
    };
    if let Some(policy) = &shape.policy {
        RouteDefault::default()
            .configure(policy)
            .map_err(|why| anyhow::anyhow!("--policy: {why}"))?;
    }
    let (text, verdicts) = whole(&shape, options.worlds)?;
    let mut out = std::io::stdout();
    match &options.out {
        Some(path) => {
            std::fs::write(path, &text)
                .with_context(|| format!("can't write {}", path.display()))?;
        }
        None => out.write_all(text.as_bytes())?,
    }
    for verdict in &verdicts {
        let holds = if verdict.holds { "holds" } else { "DOES NOT HOLD" };
        writeln!(out, "{holds}: {}", verdict.what)?;
    }
    let all = verdicts.iter().all(|verdict| verdict.holds);
    Ok(if all { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE })
}
