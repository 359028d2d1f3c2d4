//! The policies of one request. Keeps one fresh instance per component and configuration, shared
//! by the hooks of this request and dropped with it; asks, checks, records, falls back. Decides
//! nothing itself and queues nothing.

mod clean;
mod instances;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use super::binding::{Binding, BindingSet, Hook, OnFailure};
use super::breaker::Gate;
use super::chain;
use super::comparison::{Asked, Decision, Job, Scoring};
use super::engine::PolicyEngine;
use super::facts::{AttrValue, Conversation, Offers, RequestFacts};
use super::failure::{FailureKind, Fault, PolicyFailure};
use super::guest::View;
use super::guest_log::{Level, LogLine};
use super::instance::{Instance, within};
use super::questions::{Classify, Price, Question, Reasons, Scan, Score};
use super::v0_1::turnpike::policy::types::Refusal;
use super::verdict::{
    BillCall, Classification, Figures, Findings, Line, Objective, Place, PolicyCallRecord, Verdict,
};
use crate::clock::{self, Stopwatch};
use clean::Remembering;

/// Bytes of text for one token, roughly, for what a comparison keeps in memory.
const TOKEN_BYTES: usize = 4;
/// Records of one session: eight pairs of hook and policy, and failures up to here.
const RECORDS_MAX: usize = 32;

/// One request's policies. Not shared: its calls take `&mut self`, one after the other.
pub struct Session {
    engine: Arc<PolicyEngine>,
    bindings: Arc<BindingSet>,
    facts: Arc<RequestFacts>,
    instances: Vec<(Arc<Binding>, Instance)>,
    /// Who scored last, and on which offers, for the reasons.
    scored: Option<(Arc<Binding>, Arc<dyn Offers>)>,
    trace: Vec<PolicyCallRecord>,
    /// Whether its policies are asked beside others: what they would keep is not kept.
    aside: bool,
    /// What they may still ask of the network; made when the first may at all.
    pub(super) fetches: Option<Arc<super::home::Fetches>>,
    remembering: Option<Remembering>,
}

impl Session {
    /// Begins a request; costs nothing until the first question.
    pub fn new(engine: Arc<PolicyEngine>, bindings: Arc<BindingSet>, facts: RequestFacts) -> Self {
        Self::begin(engine, bindings, Arc::new(facts), false)
    }

    fn begin(
        engine: Arc<PolicyEngine>,
        bindings: Arc<BindingSet>,
        facts: Arc<RequestFacts>,
        aside: bool,
    ) -> Self {
        let (instances, trace) = (Vec::new(), Vec::new());
        Self {
            engine,
            bindings,
            facts,
            instances,
            scored: None,
            trace,
            aside,
            fetches: None,
            remembering: None,
        }
    }

    /// Replaces the messages, after redaction.
    pub fn set_call(&mut self, call: Arc<dyn Conversation>) {
        Arc::make_mut(&mut self.facts).call = call;
    }

    /// Sets a named fact, such as the data class that a scan found.
    pub fn set_attr(&mut self, name: &str, value: AttrValue) {
        let attrs = &mut Arc::make_mut(&mut self.facts).attrs;
        match attrs.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => attrs.push((name.to_owned(), value)),
        }
    }

    /// Begins another request in the same instances, as only a trial does.
    pub(super) fn set_facts(&mut self, facts: RequestFacts) {
        self.facts = Arc::new(facts);
    }

    /// Bytes of linear memory of the live instances.
    pub(super) fn memory_bytes(&self) -> usize {
        self.instances.iter().map(|(_, instance)| instance.memory_bytes()).sum()
    }

    /// What the policies are told.
    pub fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    /// Who decides for this request, to its end.
    pub fn bindings(&self) -> &BindingSet {
        &self.bindings
    }

    /// What kind of task is it?
    pub async fn classify(&mut self) -> Verdict<Classification> {
        let verdict = self.decide(&Classify).await;
        self.compare(Hook::Classify, || Some((Asked::Classify, Decision::task(&verdict)?)), 0);
        verdict
    }

    /// One score per offer, `None` for those that the policy excludes. The figures' columns must
    /// be as long as the list of offers.
    pub async fn score(
        &mut self,
        task: &Classification,
        figures: &Figures,
        objective: &Objective,
        candidates: Arc<dyn Offers>,
    ) -> Verdict<Vec<Option<f64>>> {
        let question = Score { task, figures, objective, candidates: Arc::clone(&candidates) };
        self.scored = None;
        let bound = Arc::clone(&self.bindings.route);
        let (verdict, by) = self.put(&bound, &question).await;
        self.scored = by.map(|binding| (binding, Arc::clone(&candidates)));
        let asked = || {
            let (task, figures, objective) = (task.clone(), figures.clone(), objective.clone());
            Asked::Score(Box::new(Scoring { task, figures, objective, candidates }))
        };
        self.compare(Hook::Route, || Some((asked(), Decision::scores(&verdict)?)), 0);
        verdict
    }

    /// Why those scores, for some of the rows. Right after [`Self::score`]; `None` when the policy
    /// that scored gives no reasons.
    pub async fn reasons(&mut self, rows: &[u32]) -> Option<Vec<String>> {
        let (binding, candidates) = self.scored.clone()?;
        let alive = self.instances.iter().any(|(of, _)| of.shares_instance_with(&binding));
        if !alive || !binding.policy.hooks.reasons {
            return None;
        }
        self.attempt(&binding, &Reasons { rows, candidates }).await.ok()
    }

    /// Scans one text, or a stream's window. On an error nothing may be sent on: that is the
    /// pipeline's business.
    pub async fn scan(
        &mut self,
        place: Place<'_>,
        text: &str,
        last: bool,
    ) -> Result<Findings, PolicyFailure> {
        let question = Scan { place, text, last };
        let bound = Arc::clone(&self.bindings.redact);
        let mut found = Vec::with_capacity(bound.then.len().saturating_add(1));
        let (mut stood_in, mut all_themselves) = (false, true);
        let unknown = self.take_unknown();
        for scanner in std::iter::once(&bound).chain(&bound.then) {
            let (verdict, by) = self.put(scanner, &question).await;
            all_themselves &= by.as_ref().is_some_and(|by| Arc::ptr_eq(by, scanner));
            let builtin = by.is_some_and(|by| by.builtin) && !scanner.builtin;
            match (verdict.value, verdict.failure) {
                // The built-in stands in once, for however many.
                (Some(_), _) if builtin && std::mem::replace(&mut stood_in, true) => {}
                (Some(findings), _) => found.push(findings),
                (None, Some(failure)) => return Err(failure),
                // Not reached: without a value there is a failure.
                (None, None) => {
                    return Err(PolicyFailure {
                        hook: Hook::Redact,
                        policy: Arc::clone(&verdict.decided_by.name),
                        kind: FailureKind::Internal,
                        detail: "no answer and no failure".to_owned(),
                    });
                }
            }
        }
        let findings = match (found.pop(), found.is_empty()) {
            (Some(only), true) => only,
            (latest, _) => chain::join(found.into_iter().chain(latest).collect(), text),
        };
        // The pieces of a stream are not compared, because each depends on what was held back.
        if last {
            if let Some(mark) = unknown.filter(|_| all_themselves) {
                self.remember(mark, &bound, &findings);
            }
            let asked = || Some((Asked::scan(place, text)?, Decision::found(&findings)));
            self.compare(Hook::Redact, asked, text.len());
        }
        Ok(findings)
    }

    /// What does it cost?
    pub async fn price(&mut self, call: &BillCall) -> Verdict<Vec<Line>> {
        let verdict = self.decide(&Price { call }).await;
        if call.settled {
            let asked = || Some((Asked::Price(call.clone()), Decision::lines(&verdict)?));
            self.compare(Hook::Bill, asked, 0);
        }
        verdict
    }

    /// Notes that what the bound policy decided was overruled: explanation, metrics and log say so.
    pub fn overruled(&mut self, hook: Hook, kind: FailureKind, detail: String) {
        let binding = Arc::clone(self.bindings.of(hook));
        let policy = Arc::clone(&binding.policy.name);
        let failure = PolicyFailure { hook, policy, kind, detail };
        self.record(hook, &binding, 0, 0, Some(failure));
    }

    /// Has the same asked of a policy that runs beside, if there is one for this decision. `bytes`:
    /// what the question keeps in memory beside the request.
    fn compare(&self, hook: Hook, asked: impl FnOnce() -> Option<(Asked, Decision)>, bytes: usize) {
        let Some(beside) = self.bindings.beside.iter().find(|one| one.hook == hook) else {
            return;
        };
        let comparisons = &self.engine.comparisons;
        if !comparisons.is_running() || rand::random_range(0..100) >= beside.percent {
            return;
        }
        let turn = beside.tried.quota.as_ref().and_then(|quota| quota.comparison());
        let (Some(turn), Some((asked, decided))) = (turn, asked()) else {
            beside.tried.statistics.comparison_left_out();
            return;
        };
        let mut bindings = (*self.bindings).clone().with(hook, Arc::clone(&beside.binding));
        bindings.beside.clear();
        let (engine, facts) = (Arc::clone(&self.engine), Arc::clone(&self.facts));
        let session = Self::begin(engine, Arc::new(bindings), facts, true);
        let request = usize::try_from(self.facts.input_tokens).unwrap_or(usize::MAX);
        let bytes = request.saturating_mul(TOKEN_BYTES).saturating_add(bytes);
        comparisons.submit(Job { session, asked, decided, beside: beside.clone(), turn }, bytes);
    }

    /// Call before a long wait, such as for the upstream: gives the instances back if they are
    /// getting scarce. The next question gets a fresh one.
    pub fn rest(&mut self) {
        super::warm::give_back(&mut self.instances);
        if self.engine.is_crowded() {
            self.instances.clear();
        }
        let keeps = |of: &Binding| !of.quota.as_ref().is_some_and(|quota| quota.is_crowded());
        self.instances.retain(|(of, _)| keeps(of));
    }

    /// What was asked so far, and what it cost.
    pub fn trace(&self) -> &[PolicyCallRecord] {
        &self.trace
    }

    async fn decide<Q: Question>(&mut self, question: &Q) -> Verdict<Q::Answer> {
        let bound = Arc::clone(self.bindings.of(Q::HOOK));
        self.put(&bound, question).await.0
    }

    /// Asks the bound policy; while it is suspended the revision before it; and, if that is what
    /// the binding wants on failure, the built-in. Also tells whose value it is.
    async fn put<Q>(
        &mut self,
        bound: &Arc<Binding>,
        question: &Q,
    ) -> (Verdict<Q::Answer>, Option<Arc<Binding>>)
    where
        Q: Question,
    {
        let failure = match self.attempt(bound, question).await {
            Ok(value) => {
                let decided_by = bound.identity();
                let verdict = Verdict { value: Some(value), decided_by, failure: None };
                return (verdict, Some(Arc::clone(bound)));
            }
            Err(failure) => failure,
        };
        if !failure.is_normal() {
            bound.statistics.fell_back();
        }
        if failure.kind == FailureKind::Suspended
            && let Some(earlier) = bound.earlier.clone()
            && let Ok(value) = self.attempt(&earlier, question).await
        {
            let decided_by = earlier.identity();
            let verdict = Verdict { value: Some(value), decided_by, failure: Some(failure) };
            return (verdict, Some(earlier));
        }
        let (value, by) = match self.fall_back(bound, &failure, question).await {
            Some((value, by)) => (Some(value), Some(by)),
            None => (None, None),
        };
        let decided_by = by.as_ref().unwrap_or(bound).identity();
        (Verdict { value, decided_by, failure: Some(failure) }, by)
    }

    /// What stands in for a bound policy that did not decide. Behind a built-in stands nothing.
    async fn fall_back<Q: Question>(
        &mut self,
        bound: &Arc<Binding>,
        failure: &PolicyFailure,
        question: &Q,
    ) -> Option<(Q::Answer, Arc<Binding>)> {
        if bound.builtin {
            return None;
        }
        // Abstaining is a choice, so even a closed binding has the built-in decide.
        if !failure.is_normal() {
            match bound.on_failure {
                OnFailure::Closed => return None,
                OnFailure::Open => {
                    if let Some(value) = question.pass() {
                        return Some((value, Arc::clone(bound)));
                    }
                }
                OnFailure::Builtin => {}
            }
        }
        let builtin = Arc::clone(self.bindings.builtins.of(Q::HOOK));
        let value = self.attempt(&builtin, question).await.ok()?;
        Some((value, builtin))
    }

    /// Asks one policy once, and keeps the account of it.
    pub(super) async fn attempt<Q: Question>(
        &mut self,
        binding: &Arc<Binding>,
        question: &Q,
    ) -> Result<Q::Answer, PolicyFailure> {
        let watch = Stopwatch::start();
        let (mut fresh, breaker) = (0, &binding.breaker);
        let gate = if breaker.is_touched() { breaker.gate(clock::now_ms()) } else { Gate::Open };
        let outcome = match gate {
            Gate::Shut(ms) => Err(Fault::suspended(ms)),
            Gate::Open | Gate::Trial => self.ask(binding, question, &mut fresh).await,
        };
        let outcome = outcome.map_err(|fault| PolicyFailure {
            hook: Q::HOOK,
            policy: Arc::clone(&binding.policy.name),
            kind: fault.kind,
            detail: fault.detail,
        });
        match &outcome {
            Err(failure) if failure.kind.blames_policy() && !binding.builtin => {
                let because = format!("{}: {}", failure.kind.label(), failure.detail);
                binding.failed(clock::now_ms(), &because, gate);
            }
            Err(failure) if !failure.is_normal() => {}
            Ok(_) | Err(_) if breaker.is_touched() => breaker.succeeded(clock::now_ms(), gate),
            Ok(_) | Err(_) => {}
        }
        let failure = outcome.as_ref().err().cloned();
        let micros = watch.micros();
        binding.statistics.called(micros, failure.as_ref().map(|failure| failure.kind));
        self.record(Q::HOOK, binding, micros, fresh, failure);
        outcome
    }

    async fn ask<Q: Question>(
        &mut self,
        binding: &Arc<Binding>,
        question: &Q,
        fresh: &mut u32,
    ) -> Result<Q::Answer, Fault> {
        let (of, mut instance) = match self.take(binding) {
            Some(alive) => alive,
            None => {
                *fresh = 1;
                (Arc::clone(binding), self.fresh(binding, Q::HOOK).await?)
            }
        };
        let deadline = binding.time().saturating_add(question.extra_time());
        let fetches = binding.may_fetch().then(|| self.fetches.get_or_insert_default().clone());
        instance.prepare(
            View {
                hook: Q::HOOK,
                facts: Arc::clone(&self.facts),
                candidates: question.candidates(),
                log: Arc::clone(&binding.log),
                home: binding.home.clone(),
                fetches,
                aside: self.aside,
            },
            deadline,
        );
        let patience = binding.patience();
        let answer = {
            // Pinned where it is made: each hand that it went through would copy it.
            let asking = pin!(question.ask(&binding.policy.artifact, &mut instance));
            within(deadline, patience, asking).await
        };
        let outcome = match answer {
            Err(error) => Err(self.broken(binding, Q::HOOK, error)),
            Ok(Err(refusal)) => Err(self.refused(binding, Q::HOOK, refusal)),
            Ok(Ok(raw)) => {
                question.check(raw).map_err(|what| Fault::new(FailureKind::Nonsense, what))
            }
        };
        // An instance that failed is never entered again; one that declined is as good as before.
        if !outcome.as_ref().is_err_and(|fault| fault.kind.blames_policy()) {
            self.keep(of, instance, Q::HOOK);
        }
        outcome
    }

    /// A trap, a time-out, a refusal of memory, or an answer that can't be read.
    fn broken(&self, binding: &Binding, hook: Hook, error: wasmtime::Error) -> Fault {
        self.note(binding, hook, &format!("{error:?}"));
        Fault::from(error)
    }

    fn refused(&self, binding: &Binding, hook: Hook, refusal: Refusal) -> Fault {
        let (kind, detail, words) = match refusal {
            Refusal::Abstain => {
                return Fault::new(
                    FailureKind::Abstained,
                    "it leaves the decision to the built-in",
                );
            }
            Refusal::Invalid(words) => {
                (FailureKind::Invalid, "it says that the request is at fault", words)
            }
            Refusal::Internal(words) => {
                (FailureKind::Internal, "it says that it is at fault itself", words)
            }
        };
        self.note(binding, hook, &words);
        Fault::new(kind, format!("{detail}; its log says why"))
    }

    /// Puts words that may carry content where only the binding's owner sees them.
    fn note(&self, binding: &Binding, hook: Hook, words: &str) {
        let line = LogLine::new(clock::now_ms(), Level::Error, hook, &self.facts.id, words);
        binding.log.push(line);
    }

    fn record(
        &mut self,
        hook: Hook,
        binding: &Binding,
        micros: u32,
        fresh: u32,
        failure: Option<PolicyFailure>,
    ) {
        let same = |record: &&mut PolicyCallRecord| {
            record.hook == hook && record.failure == failure && record.policy == binding.identity
        };
        if let Some(record) = self.trace.iter_mut().find(same) {
            record.calls = record.calls.saturating_add(1);
            record.micros = record.micros.saturating_add(micros);
            record.fresh = record.fresh.saturating_add(fresh);
        } else if self.trace.len() < RECORDS_MAX {
            let policy = binding.identity();
            self.trace.push(PolicyCallRecord { hook, policy, calls: 1, micros, fresh, failure });
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("request", &self.facts.id)
            .field("instances", &self.instances.len())
            .field("trace", &self.trace)
            .finish_non_exhaustive()
    }
}
