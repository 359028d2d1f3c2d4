//! Times the decisions of a policy: in a fresh instance, as a request pays it, and again in the
//! same one. Judges nothing; what is slow is for the reader to say.

use std::sync::Arc;
use std::time::Duration;

use super::{Outcome, Trial, load};
use crate::clock::Stopwatch;
use crate::policy::admission::Policy;
use crate::policy::binding::{Binding, BindingSet, Builtins, Hook};
use crate::policy::engine::PolicyEngine;
use crate::policy::facts::{Offers, RequestFacts};
use crate::policy::session::Session;
use crate::policy::verdict::{BillCall, Classification, Figures, Objective, Place};

/// Rounds before anything is measured, as a share of those that are: pages, caches and branches.
const WARM_UP: usize = 10;

/// What one kind of call took. All times are microseconds.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Measured {
    /// The decision, or `all` for the four of a request in one instance.
    pub decision: &'static str,
    /// What it was asked about.
    pub input: String,
    /// Calls measured, each way.
    pub rounds: usize,
    /// A fresh instance, configured where there is a configuration, and the call.
    pub fresh_p50_us: f64,
    pub fresh_p99_us: f64,
    /// The call alone, in an instance that has answered before; 0 where that is not measured.
    pub warm_p50_us: f64,
    pub warm_p99_us: f64,
    /// Linear memory of an instance after the call; 0 where that is not measured.
    pub memory_bytes: usize,
    /// Calls that gave no verdict, abstentions among them; the first one's reason.
    pub without_verdict: usize,
    pub reason: Option<String>,
}

/// What is asked.
#[derive(Clone, Copy)]
enum Ask {
    Classify,
    Route,
    Redact,
    Bill,
    All,
}

/// Made before anything is timed.
struct Input {
    name: String,
    facts: RequestFacts,
    text: String,
    figures: Figures,
    offers: Arc<dyn Offers>,
    bill: BillCall,
}

/// Measures every decision that the policy makes, `rounds` calls each; `deadline` is how long a
/// call of a decision may take, where that is not the usual.
pub async fn measure(
    engine: &Arc<PolicyEngine>,
    policy: &Arc<Policy>,
    config: Option<&str>,
    rounds: usize,
    deadline: impl Fn(Hook) -> Option<Duration>,
) -> Vec<Measured> {
    let short = input("2 KB", load::SHORT);
    let long = input("115 KB", load::LONG);
    let sized: Vec<&Input> = short.iter().chain(&long).collect();
    let mut asks: Vec<(Ask, Hook, &Input)> = Vec::new();
    for (ask, hook) in [(Ask::Classify, Hook::Classify), (Ask::Redact, Hook::Redact)] {
        if policy.hooks.serves(hook) {
            asks.extend(sized.iter().map(|input| (ask, hook, *input)));
        }
    }
    for (ask, hook) in [(Ask::Route, Hook::Route), (Ask::Bill, Hook::Bill)] {
        if policy.hooks.serves(hook) {
            asks.extend(short.iter().map(|input| (ask, hook, input)));
        }
    }
    if Hook::ALL.into_iter().all(|hook| policy.hooks.serves(hook)) {
        asks.extend(sized.iter().map(|input| (Ask::All, Hook::Classify, *input)));
    }
    let mut out = Vec::with_capacity(asks.len());
    for (ask, hook, input) in asks {
        let within = deadline(hook);
        let trial = || {
            let config = config.map(str::to_owned);
            Trial::new(engine, policy, config, hook, within, input.facts.clone())
        };
        out.push(one(ask, hook, input, trial, rounds).await);
        if let (Ask::Redact, load::LONG) = (ask, input.text.len()) {
            let within = within.unwrap_or(Hook::Redact.default_deadline());
            let config = config.map(str::to_owned);
            let on_failure = Hook::Redact.default_on_failure();
            let binding = Binding::new(Arc::clone(policy), config, on_failure, within, 1);
            out.push(turn(engine, binding, &input.facts, rounds).await);
        }
    }
    out
}

/// A turn of a long conversation of which all but the last message was scanned before, as a
/// request asks about it. Without figures for a warm instance: no request has one.
async fn turn(
    engine: &Arc<PolicyEngine>,
    binding: Binding,
    facts: &RequestFacts,
    rounds: usize,
) -> Measured {
    let place = Place { direction: "input", channel: "text", role: "user" };
    let key: Arc<str> = "bench".into();
    let set = BindingSet::defaults(Builtins::combined(&binding.policy));
    let set = Arc::new(set.with(Hook::Redact, Arc::new(binding)));
    let messages = load::messages(load::LONG.saturating_sub(load::SHORT));
    let mut fresh = Vec::with_capacity(rounds);
    let (mut without_verdict, mut reason) = (0, None);
    let warm_up = (rounds / WARM_UP).max(1);
    for round in 0..warm_up.saturating_add(rounds) {
        let new = load::fresh_message(round);
        let watch = Stopwatch::start();
        let mut session = Session::new(Arc::clone(engine), Arc::clone(&set), facts.clone());
        session.remember_clean_texts(&key);
        for text in messages.iter().chain([&new]) {
            if session.is_known_clean(place, false, text) {
                continue;
            }
            if let Err(failure) = session.scan(place, text, true).await {
                without_verdict += 1;
                reason.get_or_insert_with(|| failure.to_string());
            }
        }
        drop(session);
        if round >= warm_up {
            fresh.push(watch.elapsed().as_secs_f64() * 1e6);
        }
    }
    let (fresh_p50_us, fresh_p99_us) = middle_and_tail(fresh);
    Measured {
        decision: Hook::Redact.label(),
        input: "turn, 2 KB new".to_owned(),
        rounds,
        fresh_p50_us,
        fresh_p99_us,
        warm_p50_us: 0.0,
        warm_p99_us: 0.0,
        memory_bytes: 0,
        without_verdict,
        reason,
    }
}

fn input(name: &str, bytes: usize) -> Option<Input> {
    Some(Input {
        name: name.to_owned(),
        facts: load::facts(bytes)?,
        text: load::text(bytes),
        figures: load::figures(),
        offers: load::offers(),
        bill: load::bill(),
    })
}

async fn one(
    ask: Ask,
    hook: Hook,
    input: &Input,
    trial: impl Fn() -> Trial,
    rounds: usize,
) -> Measured {
    let (mut fresh, mut warm) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    let (mut without_verdict, mut reason) = (0, None);
    let mut last = trial();
    let warm_up = rounds / WARM_UP;
    for round in 0..warm_up.saturating_add(rounds) {
        let watch = Stopwatch::start();
        let mut one = trial();
        let outcome = put(ask, &mut one, input).await;
        let first = watch.elapsed();
        let watch = Stopwatch::start();
        let again = put(ask, &mut one, input).await;
        let second = watch.elapsed();
        last = one;
        for failure in outcome.err().into_iter().chain(again.err()) {
            without_verdict += 1;
            reason.get_or_insert_with(|| failure.to_string());
        }
        if round >= warm_up {
            fresh.push(first.as_secs_f64() * 1e6);
            warm.push(second.as_secs_f64() * 1e6);
        }
    }
    let (fresh_p50_us, fresh_p99_us) = middle_and_tail(fresh);
    let (warm_p50_us, warm_p99_us) = middle_and_tail(warm);
    let (decision, input) = match ask {
        Ask::All => ("all", input.name.clone()),
        Ask::Route => (hook.label(), format!("{} offers", load::OFFERS)),
        Ask::Bill => (hook.label(), "3 quantities".to_owned()),
        Ask::Classify | Ask::Redact => (hook.label(), input.name.clone()),
    };
    Measured {
        decision,
        input,
        rounds,
        fresh_p50_us,
        fresh_p99_us,
        warm_p50_us,
        warm_p99_us,
        memory_bytes: last.memory_bytes(),
        without_verdict,
        reason,
    }
}

async fn put(ask: Ask, trial: &mut Trial, input: &Input) -> Outcome<()> {
    match ask {
        Ask::Classify => trial.classify().await.map(drop),
        Ask::Route => route(trial, &task(), input).await,
        Ask::Redact => redact(trial, &input.text).await,
        Ask::Bill => trial.price(&input.bill).await.map(drop),
        Ask::All => {
            redact(trial, &input.text).await?;
            let task = trial.classify().await?;
            route(trial, &task, input).await?;
            trial.price(&input.bill).await.map(drop)
        }
    }
}

async fn redact(trial: &mut Trial, text: &str) -> Outcome<()> {
    let place = Place { direction: "input", channel: "text", role: "user" };
    trial.scan(place, text, true).await.map(drop)
}

async fn route(trial: &mut Trial, task: &Classification, input: &Input) -> Outcome<()> {
    let objective = Objective { profile: "balanced".to_owned(), ..Objective::default() };
    trial.score(task, &input.figures, &objective, &input.offers).await.map(drop)
}

fn task() -> Classification {
    Classification {
        task: "code".to_owned(),
        difficulty: 0.5,
        confidence: 0.9,
        needs: Vec::new(),
        context_tokens: 0,
        attrs: Vec::new(),
    }
}

/// The 50th and the 99th percentile; 0 of nothing.
fn middle_and_tail(mut samples: Vec<f64>) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    let at = |share: usize| {
        let index = samples.len().saturating_mul(share) / 100;
        samples.get(index.min(samples.len().saturating_sub(1))).copied().unwrap_or_default()
    };
    (at(50), at(99))
}

#[cfg(test)]
mod tests {
    use super::middle_and_tail;

    #[test]
    fn percentiles_are_of_the_sorted_samples() {
        let samples: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert_eq!(middle_and_tail(samples), (50.0, 99.0));
        assert_eq!(middle_and_tail(vec![7.0]), (7.0, 7.0));
        assert_eq!(middle_and_tail(Vec::new()), (0.0, 0.0));
    }
}
