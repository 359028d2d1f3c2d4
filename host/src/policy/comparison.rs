//! Asking a second policy what the first was asked, off the request's path, and counting how often
//! the two agree. A comparison keeps the request's facts in memory until its call ends, no longer;
//! what waits is bounded in number, for each organization, and in bytes, and what does not fit is
//! left out and counted. It decides nothing, and its failure is nobody's but its own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use super::binding::{Binding, Hook};
use super::facts::Offers;
use super::quota::Comparing;
use super::session::Session;
use super::statistics::{Difference, Outcome};
use super::usd;
use super::verdict::{
    BillCall, Classification, Figures, Findings, Line, Objective, Place, Verdict,
};
use crate::clock;

/// Comparisons that may wait, of all organizations together.
const WAITING_MAX: usize = 64;
/// Bytes of requests that waiting comparisons may keep in memory.
const BYTES_MAX: usize = 64 << 20;
/// The longest text that is copied for a comparison.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// Kinds that an example of a scan names.
const KINDS_SHOWN: usize = 8;

/// A policy that is asked beside the one that decides.
#[derive(Debug, Clone)]
pub struct Beside {
    /// The decision.
    pub hook: Hook,
    /// Who is asked beside.
    pub binding: Arc<Binding>,
    /// The one of the two that is being tried: it keeps the count.
    pub tried: Arc<Binding>,
    /// Of a hundred calls so many are compared.
    pub percent: u8,
}

/// What was asked, kept for a second time.
pub(super) enum Asked {
    Classify,
    /// Boxed, because it is much larger than the others.
    Score(Box<Scoring>),
    Scan {
        direction: String,
        channel: String,
        role: String,
        text: String,
    },
    Price(BillCall),
}

/// A question for scores.
pub(super) struct Scoring {
    pub(super) task: Classification,
    pub(super) figures: Figures,
    pub(super) objective: Objective,
    pub(super) candidates: Arc<dyn Offers>,
}

/// What was decided, without content.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    Task { task: String, difficulty: f64 },
    Scores(Vec<Option<f64>>),
    Found(BTreeMap<String, u32>),
    Lines(Vec<Line>),
}

/// One comparison that waits.
pub(super) struct Job {
    /// With the second policy bound in the first one's place.
    pub(super) session: Session,
    pub(super) asked: Asked,
    /// The decision that counted.
    pub(super) decided: Decision,
    pub(super) beside: Beside,
    pub(super) turn: Comparing,
}

/// The way from requests to the one who compares.
#[derive(Default)]
pub(super) struct Comparisons {
    /// None until somebody compares; nothing is kept for nobody.
    sender: OnceLock<mpsc::Sender<(Job, Weight)>>,
    bytes: Arc<AtomicUsize>,
}

/// Who compares, one after the other. To be run off the data plane's threads.
pub struct Comparer(mpsc::Receiver<(Job, Weight)>);

/// Bytes that a waiting comparison keeps; given back when dropped.
struct Weight(Arc<AtomicUsize>, usize);

impl Drop for Weight {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Comparisons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comparisons").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl fmt::Debug for Comparer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comparer").finish_non_exhaustive()
    }
}

// === impl Comparisons ===

impl Comparisons {
    /// The one who compares; `None` if there is one already.
    pub(super) fn comparer(&self) -> Option<Comparer> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        self.sender.set(sender).ok().map(|()| Comparer(receiver))
    }

    pub(super) fn is_running(&self) -> bool {
        self.sender.get().is_some_and(|sender| !sender.is_closed())
    }

    /// Lets a comparison wait its turn, or leaves it out. `bytes`: what it keeps in memory.
    pub(super) fn submit(&self, job: Job, bytes: usize) {
        let tried = Arc::clone(&job.beside.tried);
        let before = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let weight = Weight(Arc::clone(&self.bytes), bytes);
        let fits = before.saturating_add(bytes) <= BYTES_MAX;
        let sent =
            fits && self.sender.get().is_some_and(|sender| sender.try_send((job, weight)).is_ok());
        if !sent {
            tried.statistics.comparison_left_out();
        }
    }
}

// === impl Comparer ===

impl Comparer {
    /// Compares until the engine is gone. May be dropped at any moment.
    pub async fn run(mut self) {
        while let Some((job, weight)) = self.0.recv().await {
            // Boxed: the runner is small while it waits.
            Box::pin(compare(job)).await;
            drop(weight);
        }
    }
}

async fn compare(job: Job) {
    let Job { mut session, asked, decided, beside, turn } = job;
    let request = session.facts().id.clone();
    let second = ask(&mut session, &asked).await;
    drop(session);
    let statistics = &beside.tried.statistics;
    let Some(second) = second else {
        statistics.comparison_failed();
        return;
    };
    let tried_beside = Arc::ptr_eq(&beside.tried, &beside.binding);
    let (current, tried) = if tried_beside { (decided, second) } else { (second, decided) };
    statistics.compared(outcome(&asked, &current, &tried, request));
    drop(turn);
}

/// The second policy's own decision; none if it failed.
async fn ask(session: &mut Session, asked: &Asked) -> Option<Decision> {
    match asked {
        Asked::Classify => Decision::task(&session.classify().await),
        Asked::Score(scoring) => {
            let Scoring { task, figures, objective, candidates } = &**scoring;
            let verdict = session.score(task, figures, objective, Arc::clone(candidates)).await;
            Decision::scores(&verdict)
        }
        Asked::Scan { direction, channel, role, text } => {
            let place = Place { direction, channel, role };
            let found = session.scan(place, text, true).await.ok()?;
            let failed = |failure: &crate::policy::PolicyFailure| !failure.is_normal();
            let failures = session.trace().iter().filter_map(|record| record.failure.as_ref());
            (!failures.into_iter().any(failed)).then(|| Decision::found(&found))
        }
        Asked::Price(call) => Decision::lines(&session.price(call).await),
    }
}

fn outcome(asked: &Asked, current: &Decision, tried: &Decision, request: String) -> Outcome {
    let example = Difference {
        request,
        at_ms: clock::now_ms(),
        current: current.words(asked),
        tried: tried.words(asked),
    };
    Outcome {
        agreed: current.agrees_with(tried),
        score_difference: current.distance(tried),
        current_pico: current.cost_pico(asked),
        tried_pico: tried.cost_pico(asked),
        example,
    }
}

// === impl Asked ===

impl Asked {
    /// A whole text for a second scan; none where it is too long to be copied.
    pub(super) fn scan(place: Place<'_>, text: &str) -> Option<Self> {
        (text.len() <= TEXT_BYTES_MAX).then(|| Self::Scan {
            direction: place.direction.to_owned(),
            channel: place.channel.to_owned(),
            role: place.role.to_owned(),
            text: text.to_owned(),
        })
    }
}

// === impl Decision ===

/// The value that a policy came to itself; none where it failed and another stood in.
fn own<T>(verdict: &Verdict<T>) -> Option<&T> {
    let failed = verdict.failure.as_ref().is_some_and(|failure| !failure.is_normal());
    verdict.value.as_ref().filter(|_| !failed)
}

impl Decision {
    pub(super) fn task(verdict: &Verdict<Classification>) -> Option<Self> {
        let Classification { task, difficulty, .. } = own(verdict)?;
        Some(Self::Task { task: task.clone(), difficulty: *difficulty })
    }

    pub(super) fn scores(verdict: &Verdict<Vec<Option<f64>>>) -> Option<Self> {
        own(verdict).cloned().map(Self::Scores)
    }

    /// How often each kind was found: neither where nor what.
    pub(super) fn found(findings: &Findings) -> Self {
        let mut kinds = BTreeMap::new();
        for span in &findings.spans {
            let count: &mut u32 = kinds.entry(span.kind.clone()).or_default();
            *count = count.saturating_add(1);
        }
        Self::Found(kinds)
    }

    pub(super) fn lines(verdict: &Verdict<Vec<Line>>) -> Option<Self> {
        own(verdict).cloned().map(Self::Lines)
    }

    /// The row with the highest score, the first of equal ones.
    fn best(&self) -> Option<usize> {
        let Self::Scores(scores) = self else { return None };
        let mut best: Option<(usize, f64)> = None;
        for (row, score) in scores.iter().enumerate() {
            if let Some(score) = score
                && best.is_none_or(|(_, highest)| *score > highest)
            {
                best = Some((row, *score));
            }
        }
        best.map(|(row, _)| row)
    }

    fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Task { task, .. }, Self::Task { task: other, .. }) => task == other,
            (Self::Scores(_), Self::Scores(_)) => self.best() == other.best(),
            _ => self == other,
        }
    }

    /// How far apart two decisions are, where that is a number.
    fn distance(&self, other: &Self) -> f64 {
        match (self, other) {
            (Self::Task { difficulty, .. }, Self::Task { difficulty: other, .. }) => {
                (difficulty - other).abs()
            }
            (Self::Scores(scores), Self::Scores(others)) => {
                let both = scores.iter().zip(others);
                let apart = both.filter_map(|(one, other)| Some(((*one)? - (*other)?).abs()));
                let (sum, count) = apart.fold((0.0, 0_u32), |(sum, count), difference| {
                    (sum + difference, count.saturating_add(1))
                });
                sum / f64::from(count.max(1))
            }
            _ => 0.0,
        }
    }

    /// What the decision costs: the expected cost of the chosen offer, or the bill.
    fn cost_pico(&self, asked: &Asked) -> u128 {
        match (self, asked) {
            (Self::Scores(_), Asked::Score(scoring)) => {
                let expected = &scoring.figures.expected_pico;
                let expected = self.best().and_then(|row| expected.get(row));
                expected.copied().unwrap_or_default()
            }
            (Self::Lines(lines), _) => {
                lines.iter().fold(0, |sum: u128, line| sum.saturating_add(line.amount_pico))
            }
            _ => 0,
        }
    }

    fn words(&self, asked: &Asked) -> String {
        match (self, asked) {
            (Self::Task { task, difficulty }, _) => format!("{task}, difficulty {difficulty:.2}"),
            (Self::Scores(scores), Asked::Score(scoring)) => match self.best() {
                Some(row) => {
                    let score = scores.get(row).copied().flatten().unwrap_or_default();
                    format!("{}, score {score:.3}", scoring.candidates.id(row).unwrap_or("?"))
                }
                None => "none of the offers".to_owned(),
            },
            (Self::Scores(_), _) => String::new(),
            (Self::Found(kinds), _) if kinds.is_empty() => "nothing found".to_owned(),
            (Self::Found(kinds), _) => {
                let shown = kinds.iter().take(KINDS_SHOWN);
                let words = shown.map(|(kind, count)| format!("{kind} {count}"));
                words.collect::<Vec<_>>().join(", ")
            }
            (Self::Lines(lines), _) => {
                let total = usd::format(self.cost_pico(asked));
                format!("{total} USD in {} lines", lines.len())
            }
        }
    }
}
