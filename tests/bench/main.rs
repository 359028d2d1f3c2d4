//! `turnpike-bench`: what a call costs the gateway, beside nginx in the same run. Loads both in
//! alternating slices against an upstream that answers at once, checks every answer, and compares
//! the CPU time of the proxies' processes. Only ratios travel between machines.

#![allow(clippy::print_stdout, reason = "the tables are what this program is for")]
#![allow(clippy::print_stderr, reason = "progress goes beside the tables")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;

mod cases;
mod clock;
mod dry_run;
mod gateway;
mod load;
mod nginx;
mod process;
mod report;
mod upstream;
mod wire;

use cases::Case;
use gateway::Gateway;
use load::{Aim, Slice};
use nginx::Nginx;
use process::Processes;
use report::Row;

/// Compares the gateway's CPU time per call with nginx's.
#[derive(Debug, Parser)]
struct Arguments {
    /// Cases to run, separated by commas: chat, prompt, burst, paced, alone.
    #[arg(long, value_delimiter = ',', default_value = "chat,prompt,burst,paced,alone")]
    cases: Vec<String>,
    /// Connections of the closed loop.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Pairs of neighbouring slices.
    #[arg(long, default_value_t = 8)]
    pairs: usize,
    #[arg(long, default_value_t = 2000)]
    slice_ms: u64,
    /// Model that is asked for.
    #[arg(long, default_value = "auto")]
    model: String,
    /// The gateway's release binary.
    #[arg(long, env = "TURNPIKE_BIN")]
    turnpike: Option<PathBuf>,
    #[arg(long, env = "NGINX")]
    nginx: Option<PathBuf>,
    /// Load the upstream without any proxy: what the bench itself can do.
    #[arg(long)]
    direct: bool,
    /// A second nginx in the gateway's place: how far from 1 chance alone takes the ratio.
    #[arg(long)]
    self_test: bool,
    /// Fail when a case's ratio is above a limit: `--limit chat=4`.
    #[arg(long)]
    limit: Vec<String>,
    /// Instead of the cases: the time of so many dry runs of routing over 200 candidates.
    #[arg(long)]
    dry_runs: Option<usize>,
    /// Write the figures here as JSON too.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Something to load: where, and whose CPU time counts.
struct Target<'a> {
    name: &'static str,
    whole: SocketAddr,
    stream: SocketAddr,
    key: String,
    processes: Option<&'a Processes>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turnpike-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let cases: Vec<Case> =
        arguments.cases.iter().map(|label| Case::parse(label)).collect::<Result<_>>()?;
    let limits: Vec<(Case, f64)> =
        arguments.limit.iter().map(|text| limit(text)).collect::<Result<_>>()?;
    ensure!(arguments.connections > 0 && arguments.pairs > 0, "no connections or pairs to run");
    let dir = tempfile::tempdir()?;
    let upstream = upstream::start()?;
    if let Some(calls) = arguments.dry_runs {
        let binary = gateway::find(arguments.turnpike.clone())?;
        let offers = dry_run::CANDIDATES;
        let gateway = Gateway::start(&binary, dir.path(), upstream, offers)?;
        print!("{}", dry_run::measure(gateway.data, &gateway.key, calls)?);
        return Ok(());
    }
    let rows = if arguments.direct {
        let target = Target::new("no proxy", (upstream, upstream), "none", None);
        rows(arguments, &cases, &[target])?
    } else {
        let binary = nginx::find(arguments.nginx.clone())?;
        let floor = Nginx::start(&binary, &dir.path().join("floor"), upstream)?;
        let floor_target = Target::of_nginx("nginx", &floor);
        if arguments.self_test {
            let second = Nginx::start(&binary, &dir.path().join("second"), upstream)?;
            let second = Target::of_nginx("nginx again", &second);
            rows(arguments, &cases, &[floor_target, second])?
        } else {
            let binary = gateway::find(arguments.turnpike.clone())?;
            let gateway = Gateway::start(&binary, dir.path(), upstream, 0)?;
            let ports = (gateway.data, gateway.data);
            let measured = Target::new("turnpike", ports, &gateway.key, Some(&gateway.processes));
            rows(arguments, &cases, &[floor_target, measured])?
        }
    };
    print!("{}", report::markdown(&rows));
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&rows)?;
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    within(&rows, &limits)
}

/// Runs every case on the targets, slice by slice in turn.
fn rows(arguments: &Arguments, cases: &[Case], targets: &[Target<'_>]) -> Result<Vec<Row>> {
    let length = Duration::from_millis(arguments.slice_ms);
    let mut rows = Vec::with_capacity(cases.len());
    for case in cases {
        let connections = case.connections(arguments.connections);
        let mut slices: Vec<Vec<Slice>> = targets.iter().map(|_| Vec::new()).collect();
        for pair in 0..arguments.pairs {
            eprintln!("{}: pair {} of {}", case.title(), pair.saturating_add(1), arguments.pairs);
            for (target, done) in targets.iter().zip(&mut slices) {
                let aim = target.aim(*case, &arguments.model);
                done.push(load::slice(&aim, *case, connections, length, target.processes)?);
            }
        }
        let mut figures = Vec::with_capacity(targets.len());
        for (target, done) in targets.iter().zip(&slices) {
            let memory = target.processes.map(Processes::memory).transpose()?;
            figures.push(report::figures(target.name, done, memory));
        }
        let ratio = match slices.as_slice() {
            [floor, measured] => report::ratio(floor, measured),
            _ => None,
        };
        rows.push(Row {
            case: case.label(),
            title: case.title(),
            connections,
            figures,
            ratio: ratio.map(|(median, _)| median),
            ratio_range: ratio.map(|(_, range)| range),
        });
    }
    Ok(rows)
}

/// Reads `case=ratio`.
fn limit(text: &str) -> Result<(Case, f64)> {
    let (case, most) = text.split_once('=').context("a limit looks like chat=4")?;
    let most = most.parse().with_context(|| format!("the limit {text:?} is no number"))?;
    Ok((Case::parse(case)?, most))
}

fn within(rows: &[Row], limits: &[(Case, f64)]) -> Result<()> {
    for (case, most) in limits {
        let row = rows.iter().find(|row| row.case == case.label());
        let ratio = row.and_then(|row| row.ratio);
        let ratio = ratio.with_context(|| format!("{} was not compared", case.title()))?;
        ensure!(ratio <= *most, "{}: {ratio:.2} times nginx, above {most}", case.title());
    }
    Ok(())
}

// === impl Target ===

impl<'a> Target<'a> {
    fn new(
        name: &'static str,
        (whole, stream): (SocketAddr, SocketAddr),
        key: &str,
        processes: Option<&'a Processes>,
    ) -> Self {
        Self { name, whole, stream, key: key.to_owned(), processes }
    }

    fn of_nginx(name: &'static str, nginx: &'a Nginx) -> Self {
        Self::new(name, (nginx.whole, nginx.stream), "none", Some(&nginx.processes))
    }

    fn aim(&self, case: Case, model: &str) -> Aim {
        let address = if case.streams() { self.stream } else { self.whole };
        Aim { address, key: self.key.clone(), model: model.to_owned() }
    }
}
