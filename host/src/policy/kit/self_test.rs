//! The cases that come with an upload, put to the policy before it is taken: each in a fresh
//! instance, in the same sandbox and with the same limits as a request's. Tells which case failed,
//! what was expected and what came. The stream's law and the random orders are the command line's.

use std::sync::Arc;
use std::time::Duration;

use super::Trial;
use super::ask::ask;
use super::cases::{self, Case};
use super::expect::{Rules, differences};
use crate::clock::Stopwatch;
use crate::policy::admitted::{Check, Policy};
use crate::policy::engine::PolicyEngine;

/// Bytes of the cases of an upload.
pub const CASES_BYTES_MAX: usize = 1 << 20;
/// Cases of an upload: one is a promise that can be kept quickly, an examination is the author's.
const CASES_MAX: usize = 256;
/// Time for all of them, on the wall: others wait to upload.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Failed cases that are told.
const FAILURES_SHOWN: usize = 8;
/// Differences of one case that are told.
const DIFFERENCES_SHOWN: usize = 4;
/// Bytes of what is told in all.
const REPORT_BYTES_MAX: usize = 8 << 10;
/// The check's name.
const CHECK: &str = "cases";

/// Cases and what they are asked with.
#[derive(Debug)]
pub struct SelfTest {
    cases: Vec<Case>,
    config: Option<String>,
    deadline: Option<Duration>,
}

impl SelfTest {
    /// Reads cases in JSON lines. `config` is for those without one of their own; `deadline` is the
    /// processor time of one call, the hook's usual one where absent. The error says which line is
    /// wrong.
    pub fn parse(
        text: &str,
        config: Option<String>,
        deadline: Option<Duration>,
    ) -> Result<Self, String> {
        if text.len() > CASES_BYTES_MAX {
            let bytes = text.len();
            return Err(format!("{bytes} bytes, at most {CASES_BYTES_MAX} are taken; send fewer"));
        }
        let cases = cases::read(text, "cases").map_err(|error| format!("{error:#}"))?;
        if cases.len() > CASES_MAX {
            let count = cases.len();
            return Err(format!(
                "{count} cases, at most {CASES_MAX} are asked at an upload; send those that matter \
                 most, and leave the others to `turnpike plugin test`"
            ));
        }
        Ok(Self { cases, config, deadline })
    }

    /// Asks them all, or as many as there is time for.
    pub async fn run(&self, engine: &Arc<PolicyEngine>, policy: &Arc<Policy>) -> Check {
        let watch = Stopwatch::start();
        let (mut failures, mut slowest_us) = (Vec::new(), 0);
        for (asked, case) in self.cases.iter().enumerate() {
            if watch.elapsed() > TIME_MAX {
                failures.push(format!(
                    "{:?}: not asked, because the {asked} before it took longer than {} s",
                    case.name,
                    TIME_MAX.as_secs()
                ));
                break;
            }
            let call = Stopwatch::start();
            let found = self.one(engine, policy, case).await;
            slowest_us = slowest_us.max(call.micros());
            if !found.is_empty() {
                let shown = found.iter().take(DIFFERENCES_SHOWN).map(String::as_str);
                let shown: Vec<&str> = shown.collect();
                failures.push(format!("{:?}: {}", case.name, shown.join("; ")));
            }
        }
        let all = self.cases.len();
        if failures.is_empty() {
            let detail =
                format!("{all} of {all} passed; the slowest fresh call took {slowest_us} µs");
            return Check { name: CHECK, passed: true, detail };
        }
        Check { name: CHECK, passed: false, detail: report(&failures, all) }
    }

    /// Where a verdict differs from what its case expects.
    async fn one(
        &self,
        engine: &Arc<PolicyEngine>,
        policy: &Arc<Policy>,
        case: &Case,
    ) -> Vec<String> {
        let hook = case.question.hook();
        if !policy.hooks.serves(hook) {
            return vec![format!("the policy does not export `{}`", hook.label())];
        }
        let config = case.config.clone().or_else(|| self.config.clone());
        let facts = case.facts.clone();
        let mut trial = Trial::new(engine, policy, config, hook, self.deadline, facts);
        trial.begin(&case.begin);
        let verdict = ask(&mut trial, case).await;
        differences(&case.expect, &verdict, Rules { tolerance: case.tolerance, exact: case.exact })
    }
}

fn report(failures: &[String], all: usize) -> String {
    let shown: Vec<&str> = failures.iter().take(FAILURES_SHOWN).map(String::as_str).collect();
    let more = match failures.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!("\nand {more} more"),
    };
    let mut text = format!(
        "{} of {all} cases failed; mend the policy or the case, `turnpike plugin test` asks them \
         too\n{}{more}",
        failures.len(),
        shown.join("\n")
    );
    text.truncate(text.floor_char_boundary(REPORT_BYTES_MAX));
    text
}
