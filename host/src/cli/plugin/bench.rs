//! `turnpike plugin bench`: what the decisions of a policy, or of the built-ins, cost. Times are of
//! this machine at this moment; compare only what was measured side by side.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::super::say;
use super::project::Project;
use super::{admit, bytes_text, engine, runtime};
use crate::gateway::builtin_component;
use crate::policy::{Measured, Policy, PolicyEngine, measure};

/// The built-ins, all four in one and each alone.
const BUILTINS: [&str; 5] =
    ["policy-default", "classify-default", "route-default", "redact-default", "bill-default"];

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct BenchArgs {
    /// A component, or a project's folder
    #[arg(required_unless_present = "builtins")]
    what: Option<PathBuf>,
    /// The policies that ship with the gateway, for comparison
    #[arg(long)]
    builtins: bool,
    /// A JSON file for `configure`; `config.json` of the project if there is one
    #[arg(long)]
    config: Option<PathBuf>,
    /// Calls of each kind
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let engine = engine(None)?;
    let mut subjects: Vec<(Arc<Policy>, Option<String>, Option<Project>)> = Vec::new();
    if let Some(path) = &args.what {
        let project = Project::at(path)?;
        let file = match &project {
            Some(project) => super::build::fresh(project, false)?,
            None => path.clone(),
        };
        let config = super::config(args.config.as_ref(), project.as_ref().map(Project::config))?;
        subjects.push((admit(&engine, &file)?, config, project));
    }
    if args.builtins {
        for name in BUILTINS {
            let bytes = builtin_component(name).context("a built-in is embedded")?;
            subjects.push((engine.admit(bytes)?, None, None));
        }
    }
    let rounds = usize::try_from(args.rounds)?;
    let runtime = runtime()?;
    let mut out = Vec::new();
    for (policy, config, project) in &subjects {
        // As it would be bound: a policy that needs longer than usual is timed, not cut off.
        let deadline =
            |hook| project.as_ref()?.deadline_ms(hook).map(std::time::Duration::from_millis);
        let config = config.as_deref();
        let rows = runtime.block_on(measure(&engine, policy, config, rounds, deadline));
        match args.json {
            true => out.push(as_json(policy, &rows)),
            false => say(&as_text(&engine, policy, &rows))?,
        }
        if let Some(silent) = rows.iter().find(|row| row.without_verdict > 0 && !abstains(row)) {
            let why = silent.reason.as_deref().unwrap_or("it gave no verdict");
            bail!("{} of {}: {why}", silent.decision, policy.name);
        }
    }
    if args.json {
        say(&serde_json::to_string_pretty(&out)?)?;
    }
    Ok(())
}

/// Abstaining from the bench's own request is a policy's right, and is timed like any verdict.
fn abstains(row: &Measured) -> bool {
    row.reason.as_deref().is_some_and(|reason| reason.contains("(abstained)"))
}

/// Milliseconds that the admission took to compile.
fn compiled(policy: &Policy) -> &str {
    let check = policy.checks.iter().find(|check| check.name == "compile");
    check.map_or("", |check| check.detail.as_str())
}

fn as_json(policy: &Policy, rows: &[Measured]) -> Value {
    json!({
        "name": *policy.name, "version": *policy.version, "digest": *policy.digest,
        "size_bytes": policy.size, "compile": compiled(policy),
        "fresh_start_us": policy.figures.start_us,
        "memory_bytes": policy.figures.memory_bytes, "calls": rows,
    })
}

/// With one digit behind the point, or that it was not measured.
fn measured(micros: f64) -> String {
    if micros > 0.0 { format!("{micros:.1}") } else { "–".to_owned() }
}

fn as_text(engine: &PolicyEngine, policy: &Policy, rows: &[Measured]) -> String {
    let pool = if engine.is_pooled() { "pooled" } else { "allocated on demand" };
    let mut out = format!(
        "{} {}: {}, compiled in {}, fresh start {} µs, {} once started; instances {pool}\n",
        policy.name,
        policy.version,
        bytes_text(policy.size),
        compiled(policy),
        policy.figures.start_us,
        bytes_text(policy.figures.memory_bytes)
    );
    out.push_str("                          fresh p50       p99  warm p50       p99 µs  memory\n");
    for row in rows {
        let note = if row.without_verdict > 0 { "  abstains" } else { "" };
        out.push_str(&format!(
            "  {:<8} {:<14} {:>9.1} {:>9.1} {:>9} {:>9}     {}{note}\n",
            row.decision,
            row.input,
            row.fresh_p50_us,
            row.fresh_p99_us,
            measured(row.warm_p50_us),
            measured(row.warm_p99_us),
            bytes_text(row.memory_bytes)
        ));
    }
    out
}
