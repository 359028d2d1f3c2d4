//! `turnpike plugin`: what an author of policies needs, from a new project to a policy at work.
//! Each subcommand is a file; this one says what there is and holds what they share. A policy is
//! tried here by the gateway's own engine.

mod admin;
mod backtest;
mod bench;
mod build;
mod inspect;
mod new;
mod project;
mod push;
mod sdk;
mod sign;
mod superseded;
mod test;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::policy::{Abilities, AdmissionError, Policy, PolicyEngine, PolicyLimits};

/// Instances that a trial, a law of streams and an admission have at a time; with room to spare.
const INSTANCES_MAX: u32 = 8;

#[derive(Debug, clap::Subcommand)]
pub(super) enum PluginCommand {
    /// Make a project with tests, ready to build
    New(new::NewArgs),
    /// Compile a project into a component
    Build(build::BuildArgs),
    /// Ask a policy what its cases ask, in the gateway's own sandbox
    Test(test::TestArgs),
    /// Time its decisions
    Bench(bench::BenchArgs),
    /// Ask what a policy would have decided about the requests of the last days
    Backtest(backtest::BacktestArgs),
    /// Tell what a component is, and whether a gateway would take it
    Inspect(inspect::InspectArgs),
    /// Make a pair of keys for signing
    Keygen(sign::KeygenArgs),
    /// Sign a component, or check a signature
    Sign(sign::SignArgs),
    /// Upload a component to a gateway, and bind it
    Push(push::PushArgs),
    /// Build, test and push to shadow whenever a file is saved
    Watch(watch::WatchArgs),
}

/// Runs the command.
pub(super) fn run(command: PluginCommand) -> anyhow::Result<()> {
    match command {
        PluginCommand::New(args) => new::run(&args),
        PluginCommand::Build(args) => build::run(&args),
        PluginCommand::Test(args) => test::run(&args),
        PluginCommand::Bench(args) => bench::run(&args),
        PluginCommand::Backtest(args) => backtest::run(&args),
        PluginCommand::Inspect(args) => inspect::run(&args),
        PluginCommand::Keygen(args) => sign::keygen(&args),
        PluginCommand::Sign(args) => sign::run(&args),
        PluginCommand::Push(args) => push::run(&args),
        PluginCommand::Watch(args) => watch::run(&args),
    }
}

/// The engine of a gateway, small; `memory_mib` of linear memory for an instance, if not the usual.
fn engine(memory_mib: Option<usize>) -> anyhow::Result<Arc<PolicyEngine>> {
    let mut limits = PolicyLimits { instances_max: INSTANCES_MAX, ..PolicyLimits::default() };
    if let Some(mib) = memory_mib {
        limits.memory_bytes_max = mib.saturating_mul(1 << 20).max(1 << 16);
    }
    PolicyEngine::new(&limits)
}

/// A component, admitted as an upload would be.
fn admit(engine: &PolicyEngine, path: &Path) -> anyhow::Result<Arc<Policy>> {
    let refused = |refused: AdmissionError| {
        let (path, checks) = (path.display(), checks_text(&refused.checks));
        anyhow::anyhow!("a gateway would refuse {path}:\n{checks}")
    };
    engine.admit_granted(&read(path)?, Abilities::all()).map_err(refused)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("can't read {}", path.display()))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("can't make {}", folder.display()))?;
    }
    std::fs::write(path, bytes).with_context(|| format!("can't write {}", path.display()))
}

/// One thread: a policy is asked one question at a time.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The configuration for `configure`: of the file given, else of the project, else none.
fn config(given: Option<&PathBuf>, beside: Option<PathBuf>) -> anyhow::Result<Option<String>> {
    let path = match (given, beside) {
        (Some(path), _) => path.clone(),
        (None, Some(path)) if path.is_file() => path,
        (None, _) => return Ok(None),
    };
    let text = read_text(&path)?;
    let value: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    Ok(Some(value.to_string()))
}

/// 1.65 MB, 57 KB: as people read sizes.
fn bytes_text(bytes: usize) -> String {
    let tenths = |unit: usize| (bytes.saturating_mul(10) / unit / 10, bytes * 10 / unit % 10);
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => {
            let (whole, tenth) = tenths(1_000);
            format!("{whole}.{tenth} KB")
        }
        _ => {
            let (whole, tenth) = tenths(1_000_000);
            format!("{whole}.{tenth} MB")
        }
    }
}

/// What is wrong with a refused component, check by check.
fn checks_text(checks: &[crate::policy::Check]) -> String {
    let line = |check: &crate::policy::Check| {
        let mark = if check.passed { "ok    " } else { "FAILED" };
        format!("  {mark}  {:<10} {}", check.name, check.detail)
    };
    checks.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::bytes_text;

    #[test]
    fn sizes_read_well() {
        assert_eq!(bytes_text(999), "999 bytes");
        assert_eq!(bytes_text(57_349), "57.3 KB");
        assert_eq!(bytes_text(18_440_952), "18.4 MB");
    }
}
