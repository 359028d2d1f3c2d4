//! A policy as its author tries it: asked by the same session as a request's, in the same sandbox,
//! but with nothing behind it, so that a failure shows instead of a built-in's verdict. For the
//! command line's tests and benches, and for the cases that come with an upload. Never used on a
//! request.

pub(crate) mod ask;
pub(crate) mod cases;
pub(crate) mod expect;
mod figures;
mod load;
mod measure;
mod self_test;
pub(crate) mod tasks;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::admission::Policy;
use super::binding::{Binding, BindingSet, Builtins, Hook};
use super::engine::PolicyEngine;
use super::facts::{Offers, RequestFacts};
use super::failure::PolicyFailure;
use super::guest_log::LogLine;
use super::home::{Beginnings, Home};
use super::questions::{Classify, Price, Reasons, Scan, Score};
use super::session::Session;
use super::verdict::{
    BillCall, Classification, Figures, Findings, Line, Objective, Place, PolicyCallRecord,
};

pub use measure::{Measured, measure};
pub use self_test::{CASES_BYTES_MAX, SelfTest};

/// What a call comes to: the checked verdict, or why there is none; abstaining is among the latter.
pub type Outcome<T> = Result<T, PolicyFailure>;

/// One policy, and the instance that it has been given; a new trial has a fresh one.
pub struct Trial {
    session: Session,
    binding: Arc<Binding>,
}

impl Trial {
    /// Begins with a fresh instance at the first question. Without a `config` the policy is never
    /// configured. `deadline` is the processor time of one call; the hook's usual one where absent.
    pub fn new(
        engine: &Arc<PolicyEngine>,
        policy: &Arc<Policy>,
        config: Option<String>,
        hook: Hook,
        deadline: Option<Duration>,
        facts: RequestFacts,
    ) -> Self {
        let deadline = deadline.unwrap_or_else(|| hook.default_deadline());
        let mut binding =
            Binding::new(Arc::clone(policy), config, hook.default_on_failure(), deadline, 1);
        // No breaker: an author wants to see the sixth failure too.
        binding.builtin = true;
        let binding = binding.at(|| Arc::new(Home::trial(&Beginnings::default())));
        let binding = Arc::new(binding);
        let behind = BindingSet::defaults(Builtins::combined(policy));
        let session = Session::new(Arc::clone(engine), Arc::new(behind), facts);
        Self { session, binding }
    }

    /// Sets time and state to where a question begins, if the policy imports them.
    pub fn begin(&self, begin: &Beginnings) {
        if let Some(home) = &self.binding.home {
            home.begin(begin);
        }
    }

    /// The next request, in the instance of the last one.
    pub fn turn(&mut self, facts: RequestFacts) {
        self.session.set_facts(facts);
    }

    /// What kind of task is it?
    pub async fn classify(&mut self) -> Outcome<Classification> {
        self.session.attempt(&self.binding, &Classify).await
    }

    /// One score per offer; `None` excludes it.
    pub async fn score(
        &mut self,
        task: &Classification,
        figures: &Figures,
        objective: &Objective,
        candidates: &Arc<dyn Offers>,
    ) -> Outcome<Vec<Option<f64>>> {
        let candidates = Arc::clone(candidates);
        self.session.attempt(&self.binding, &Score { task, figures, objective, candidates }).await
    }

    /// Why those scores; right after [`Self::score`]. `None` when it gives no reasons.
    pub async fn reasons(
        &mut self,
        rows: &[u32],
        candidates: &Arc<dyn Offers>,
    ) -> Option<Outcome<Vec<String>>> {
        if !self.binding.policy.hooks.reasons {
            return None;
        }
        let candidates = Arc::clone(candidates);
        Some(self.session.attempt(&self.binding, &Reasons { rows, candidates }).await)
    }

    /// What must not leave?
    pub async fn scan(&mut self, place: Place<'_>, text: &str, last: bool) -> Outcome<Findings> {
        self.session.attempt(&self.binding, &Scan { place, text, last }).await
    }

    /// What does it cost?
    pub async fn price(&mut self, call: &BillCall) -> Outcome<Vec<Line>> {
        self.session.attempt(&self.binding, &Price { call }).await
    }

    /// Bytes of linear memory that the live instance holds; 0 when there is none.
    pub fn memory_bytes(&self) -> usize {
        self.session.memory_bytes()
    }

    /// Calls so far, and how many of them made a fresh instance.
    pub fn trace(&self) -> &[PolicyCallRecord] {
        self.session.trace()
    }

    /// What it wrote to its log, and its own words where it refused; oldest first.
    pub fn log(&self) -> Vec<LogLine> {
        self.binding.log.lines()
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").field("policy", &self.binding.policy).finish_non_exhaustive()
    }
}
