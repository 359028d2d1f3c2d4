//! `turnpike plugin test`: puts a policy's cases to it, in the gateway's own sandbox: each in a
//! fresh instance, again in random order, and again in one instance, where nothing may be
//! remembered; and a redactor's texts in every way a stream could cut them. Tells every difference.

mod dice;
mod stream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use self::dice::Dice;
use super::super::say;
use super::project::Project;
use super::{admit, bytes_text, engine, read_text, runtime};
use crate::clock::Stopwatch;
use crate::hook::Hook;
use crate::policy::kit::ask;
use crate::policy::kit::cases::{self, Case, Question};
use crate::policy::kit::expect::{Rules, differences, shown};
use crate::policy::kit::tasks::Tasks;
use crate::policy::{Policy, PolicyEngine, Trial};

/// Log lines of a failed case that are shown.
const LOG_LINES_SHOWN: usize = 8;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct TestArgs {
    /// A project's folder (built first when something is newer), or a component
    #[arg(default_value = ".")]
    what: PathBuf,
    /// The cases, JSON lines; `cases.jsonl` of the project if not given
    #[arg(long)]
    cases: Option<PathBuf>,
    /// A JSON file for `configure`, for the cases without a `config` of their own; `config.json` of
    /// the project if there is one
    #[arg(long)]
    config: Option<PathBuf>,
    /// Processor time of one call; the gateway's usual one for the decision if not given
    #[arg(long)]
    deadline_ms: Option<u64>,
    /// Linear memory that an instance may have
    #[arg(long)]
    memory_mib: Option<usize>,
    /// Only cases whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Seed of the random orders and cuts, to repeat a failure
    #[arg(long)]
    seed: Option<u64>,
}

impl TestArgs {
    /// All cases of a project as its manifest says.
    fn of(folder: &std::path::Path) -> Self {
        Self {
            what: folder.to_path_buf(),
            cases: None,
            config: None,
            deadline_ms: None,
            memory_mib: None,
            only: None,
            seed: None,
        }
    }
}

/// Tests a project as `turnpike plugin test` without more arguments.
pub(super) fn whole(folder: &std::path::Path) -> anyhow::Result<()> {
    run(&TestArgs::of(folder))
}

/// Everything that a run needs.
struct Bed {
    engine: Arc<PolicyEngine>,
    policy: Arc<Policy>,
    config: Option<String>,
    deadline: Option<Duration>,
}

/// What a run found.
#[derive(Debug, Default)]
struct Report {
    /// Each with the case's name.
    failures: Vec<(String, String)>,
    slowest_us: u32,
    memory_bytes: usize,
    /// How well tasks are named, where cases expect any.
    tasks: Tasks,
}

pub(super) fn run(args: &TestArgs) -> anyhow::Result<()> {
    let project = Project::at(&args.what)?;
    let component = match &project {
        Some(project) => super::build::fresh(project, false)?,
        None => args.what.clone(),
    };
    let path = match (&args.cases, &project) {
        (Some(path), _) => path.clone(),
        (None, Some(project)) => project.cases(),
        (None, None) => bail!("give the cases of {} with --cases", args.what.display()),
    };
    let mut cases = cases::read(&read_text(&path)?, &path.display().to_string())?;
    if let Some(only) = &args.only {
        cases.retain(|case| case.name.contains(only));
        if cases.is_empty() {
            bail!("no case of {} has {only:?} in its name", path.display());
        }
    }
    let budget = project.as_ref().map(|project| project.manifest.test.clone()).unwrap_or_default();
    let engine = engine(args.memory_mib.or(budget.memory_mib))?;
    let bed = Bed {
        policy: admit(&engine, &component)?,
        engine,
        config: super::config(args.config.as_ref(), project.as_ref().map(Project::config))?,
        deadline: args.deadline_ms.or(budget.deadline_ms).map(Duration::from_millis),
    };
    let seed = args.seed.unwrap_or_else(rand::random);
    let report = runtime()?.block_on(try_all(&bed, &cases, seed));
    tell(&bed.policy, &cases, &report, seed)
}

async fn try_all(bed: &Bed, cases: &[Case], seed: u64) -> Report {
    let mut report = Report::default();
    let mut dice = Dice::new(seed);
    let mut verdicts = Vec::with_capacity(cases.len());
    for case in cases {
        verdicts.push(fresh(bed, case, &mut report).await);
    }
    let again: Vec<(&Case, &Value)> = cases.iter().zip(&verdicts).collect();
    // In another order, each in an instance of its own: only a policy that guesses differs.
    for (case, verdict) in dice.shuffled(again.iter().copied()) {
        let mut trial = bed.trial(case);
        let second = ask::ask(&mut trial, case).await;
        if second != *verdict {
            report.fail(case, format!("asked twice it differs\n{}", both(verdict, &second)));
        }
    }
    shared(bed, &again, &mut dice, &mut report).await;
    for case in cases {
        if let Question::Redact(text) = &case.question {
            let mut trial = bed.trial(case);
            match stream::broken(&mut trial, text, &mut dice).await {
                Ok(None) => {}
                Ok(Some(how)) => report.fail(case, format!("a stream differs: {how}")),
                Err(failure) => report.fail(case, format!("cut in pieces: {failure}")),
            }
        }
    }
    report
}

/// A case in an instance of its own, and whether its verdict is the expected one.
async fn fresh(bed: &Bed, case: &Case, report: &mut Report) -> Value {
    let hook = case.question.hook();
    let mut trial = bed.trial(case);
    let watch = Stopwatch::start();
    let verdict = ask::ask(&mut trial, case).await;
    report.slowest_us = report.slowest_us.max(watch.micros());
    report.memory_bytes = report.memory_bytes.max(trial.memory_bytes());
    if !bed.policy.hooks.serves(hook) {
        let label = hook.label();
        report.fail(case, format!("the policy does not export `{label}`"));
        return verdict;
    }
    if hook == Hook::Classify {
        report.tasks.count(&case.expect, &verdict);
    }
    let rules = Rules { tolerance: case.tolerance, exact: case.exact };
    let mut found = differences(&case.expect, &verdict, rules);
    if found.is_empty() {
        return verdict;
    }
    let log = trial.log();
    let skipped = log.len().saturating_sub(LOG_LINES_SHOWN);
    for line in log.iter().skip(skipped) {
        found.push(format!("its log, {:?}: {}", line.level, line.expose()));
    }
    report.fail(case, found.join("\n      "));
    verdict
}

/// All cases of one configuration in one instance, in random order and twice: a warm instance must
/// answer as a fresh one.
async fn shared(bed: &Bed, cases: &[(&Case, &Value)], dice: &mut Dice, report: &mut Report) {
    let mut groups: BTreeMap<Option<&String>, Vec<(&Case, &Value)>> = BTreeMap::new();
    for (case, verdict) in cases {
        groups.entry(case.config.as_ref()).or_default().push((*case, *verdict));
    }
    for group in groups.into_values() {
        let Some((first, _)) = group.first() else { continue };
        let mut trial = bed.trial(first);
        let twice = group.iter().chain(&group).copied();
        for (case, verdict) in dice.shuffled(twice) {
            trial.turn(case.facts.clone());
            trial.begin(&case.begin);
            let warm = ask::ask(&mut trial, case).await;
            report.memory_bytes = report.memory_bytes.max(trial.memory_bytes());
            if warm != *verdict {
                report.fail(case, format!("it remembers\n{}", both(verdict, &warm)));
            }
        }
    }
}

fn both(fresh: &Value, other: &Value) -> String {
    format!("      fresh {}\n      then  {}", shown(fresh), shown(other))
}

impl Bed {
    fn trial(&self, case: &Case) -> Trial {
        let config = case.config.clone().or_else(|| self.config.clone());
        let (hook, facts) = (case.question.hook(), case.facts.clone());
        let trial = Trial::new(&self.engine, &self.policy, config, hook, self.deadline, facts);
        trial.begin(&case.begin);
        trial
    }
}

impl Report {
    fn fail(&mut self, case: &Case, how: String) {
        self.failures.push((case.name.clone(), how));
    }
}

fn tell(policy: &Policy, cases: &[Case], report: &Report, seed: u64) -> anyhow::Result<()> {
    for (name, how) in &report.failures {
        say(&format!("FAILED {name}\n      {how}"))?;
    }
    let failed = |case: &&Case| report.failures.iter().any(|(name, _)| *name == case.name);
    let bad = cases.iter().filter(failed).count();
    say(&format!(
        "{} {}: {} of {} cases passed; slowest fresh call {} µs, memory up to {}, imports {}",
        policy.name,
        policy.version,
        cases.len() - bad,
        cases.len(),
        report.slowest_us,
        bytes_text(report.memory_bytes),
        imports(policy).context("an admitted policy has its imports checked")?,
    ))?;
    if let Some(tasks) = report.tasks.told() {
        say(&tasks)?;
    }
    if bad > 0 {
        bail!("{bad} cases failed; the same orders and cuts again: --seed {seed}");
    }
    Ok(())
}

fn imports(policy: &Policy) -> Option<&str> {
    policy.checks.iter().find(|check| check.name == "imports").map(|check| check.detail.as_str())
}
