//! Asks a route or bill policy about requests of the past, from the facts that are kept of them.
//! Off the data plane, on a thread of its own that rests as long as it works; bounded in time. Has
//! no ledger in its hands, so whatever a policy answers books nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Dialect;
use uuid::Uuid;

use crate::admin::{Backtest, BacktestOf, BacktestReport, BindingRefused, Example};
use crate::catalog::ConfiguredCatalog;
use crate::clock::Stopwatch;
use crate::hook::Hook;
use crate::pipeline::offer_fact;
use crate::policy::{
    AttrValue, BillCall, Classification, Conversation, FailureKind, Figures, Objective, Offers,
    Policy, PolicyEngine, PolicyFailure, Quantity, RequestFacts, Trial,
};
use crate::route::ranking_usd;
use crate::store::LinkRecord;
use crate::usage::{CandidateFact, FiguresFact, Record, TaskFact, UsageLog};

use super::Gateway;
use super::bindings::Bindings;

/// Records that are read at a time: each may name hundreds of candidates.
const PAGE: usize = 64;
/// The longest replay; what is not done by then is told.
const TIME_MAX: Duration = Duration::from_secs(60);
/// The longest rest between two pages.
const REST_MAX: Duration = Duration::from_millis(250);
/// Differing decisions that are told.
const EXAMPLES_MAX: usize = 20;
/// Why one is out that was scored: by the policy, and, in the order of the plan, by the money.
const EXCLUDED: &str = "excluded_by_policy";
const UNPAYABLE: [&str; 3] = ["model_budget", "budget_short", "credit_short"];
/// What route is told of an offer where nothing is kept: as of one that nobody has asked.
const TOKENS_PER_SECOND: f64 = 60.0;
const AVAILABILITY: f64 = 1.0;

/// See the head of this file.
pub(super) struct Backtests {
    engine: Arc<PolicyEngine>,
    bindings: Arc<Bindings>,
    catalog: Arc<ConfiguredCatalog>,
    log: UsageLog,
}

/// One replay.
struct Replay<'a> {
    of: &'a Backtests,
    what: &'a BacktestOf,
    policy: Arc<Policy>,
    /// The catalogue's offers by name.
    by_id: HashMap<&'a str, usize>,
    report: BacktestReport,
}

/// What both decisions of a request come to.
struct Both {
    same: bool,
    /// Of what was decided and of what would be: words, cost, milliseconds to the first token.
    current: (String, u128, f64),
    /// None where no offer is left.
    tried: Option<(String, u128, f64)>,
}

impl Backtests {
    pub(super) fn of(gateway: &Arc<Gateway>) -> Self {
        Self {
            engine: Arc::clone(&gateway.policy_engine),
            bindings: Arc::clone(&gateway.bindings),
            catalog: Arc::clone(&gateway.offers),
            log: gateway.recorder.log(),
        }
    }
}

impl Backtest for Backtests {
    fn run(&self, what: &BacktestOf) -> Result<BacktestReport, BindingRefused> {
        let (plugin, version) = what.plugin.split_once('@').unwrap_or((&what.plugin, ""));
        let policy = self.bindings.unbound(&LinkRecord {
            plugin: plugin.to_owned(),
            version: version.to_owned(),
            digest: what.digest.clone(),
            config: what.config.clone(),
        })?;
        let offers = self.catalog.offers().iter().enumerate();
        let by_id = offers.map(|(index, offer)| (&*offer.id, index)).collect();
        let report = BacktestReport::default();
        let mut replay = Replay { of: self, what, policy, by_id, report };
        self.log.barrier();
        // Calls have time-outs, so they need the runtime; this thread is one for blocking.
        let runtime = tokio::runtime::Handle::current();
        let (whole, mut before) = (Stopwatch::start(), None);
        loop {
            let page_time = Stopwatch::start();
            before = runtime.block_on(replay.page(before));
            if before.is_none() {
                return Ok(replay.report);
            }
            if whole.elapsed() > TIME_MAX {
                replay.report.ended_early = Some("a minute has passed; ask for fewer");
                return Ok(replay.report);
            }
            // Requests come first: half of a processor's time at most.
            std::thread::sleep(page_time.elapsed().min(REST_MAX));
        }
    }
}

impl Replay<'_> {
    /// Replays a page of records; where to go on, if there is more to do.
    async fn page(&mut self, before: Option<Uuid>) -> Option<Uuid> {
        let left = u64::from(self.what.limit).saturating_sub(self.report.counts.requests);
        let limit = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
        if limit == 0 {
            return None;
        }
        let page = self.of.log.newest_whole(&self.what.org, before, limit);
        self.report.counts.left_out = self.report.counts.left_out.saturating_add(page.unreadable);
        self.report.counts.requests = self.report.counts.requests.saturating_add(page.unreadable);
        for record in &page.items {
            if record.event.at_ms < self.what.from_ms {
                return None;
            }
            self.report.oldest_ms = Some(record.event.at_ms);
            self.report.counts.requests = self.report.counts.requests.saturating_add(1);
            let both = match self.what.hook {
                Hook::Bill => self.bill(record).await,
                _ => self.route(record).await,
            };
            self.count(record, both);
        }
        page.next
    }

    fn count(&mut self, record: &Record, both: Option<Both>) {
        let report = &mut self.report;
        let Some(Both { same, current: (current, current_pico, current_ms), tried }) = both else {
            report.counts.left_out = report.counts.left_out.saturating_add(1);
            return;
        };
        report.counts.replayed = report.counts.replayed.saturating_add(1);
        let (words, tried_pico) = match tried {
            Some((words, pico, ms)) => {
                report.current_pico = report.current_pico.saturating_add(current_pico);
                report.tried_pico = report.tried_pico.saturating_add(pico);
                report.current_first_token_ms += current_ms;
                report.tried_first_token_ms += ms;
                (words, pico)
            }
            None => {
                report.counts.refused = report.counts.refused.saturating_add(1);
                ("none of the offers".to_owned(), 0)
            }
        };
        if same {
            return;
        }
        report.counts.changed = report.counts.changed.saturating_add(1);
        if report.examples.len() < EXAMPLES_MAX {
            let (request, at_ms) = (record.event.id, record.event.at_ms);
            let tried = words;
            report.examples.push(Example {
                request,
                at_ms,
                current,
                tried,
                current_pico,
                tried_pico,
            });
        }
    }

    /// The scores of the offers that were in the running, against what was put first.
    async fn route(&mut self, record: &Record) -> Option<Both> {
        let explanation = &record.explanation;
        let task = explanation.task.as_ref().map(classification)?;
        let rows: Vec<Row<'_>> = explanation.candidates.iter().filter_map(Row::of).collect();
        let current_at = decided(&rows, explanation.plan.first()?)?;
        let ceiling_ms = explanation.objective.as_ref().map_or(0.0, |it| it.first_token_ceiling_ms);
        let figures = figures(&rows, ceiling_ms);
        let profile = explanation.profile.as_deref().unwrap_or("balanced").to_owned();
        let objective = match &explanation.objective {
            Some(told) => Objective {
                profile: told.profile.to_string(),
                quality_floor: told.quality_floor,
                cost_ceiling_usd: told.cost_ceiling_usd,
                first_token_ceiling_ms: told.first_token_ceiling_ms,
            },
            None => Objective { profile, ..Objective::default() },
        };
        let offers: Arc<dyn Offers> = Arc::new(Kept {
            catalog: Arc::clone(&self.of.catalog),
            rows: rows
                .iter()
                .map(|row| (row.offer.to_owned(), self.by_id.get(row.offer).copied()))
                .collect(),
        });
        let scores = match self
            .trial(&self.policy, record)
            .score(&task, &figures, &objective, &offers)
            .await
        {
            Ok(scores) => scores,
            Err(failure) => {
                self.failed(&failure);
                let mut builtin = self.builtin(record);
                builtin.score(&task, &figures, &objective, &offers).await.ok()?
            }
        };
        let payable = scores.iter().zip(&rows).map(|(score, row)| score.filter(|_| row.payable));
        let best = best(payable);
        let score = |at: usize| scores.get(at).copied().flatten();
        // Equal ones are put in random order, so an equal one is no other decision.
        let same = best.is_some_and(|best| score(best) == score(current_at));
        let row = |at: usize| {
            rows.get(at).map(|row| (row.offer.to_owned(), row.cost.0, row.first_token_ms))
        };
        let current = row(current_at)?;
        let tried = if same { Some(current.clone()) } else { best.and_then(row) };
        Some(Both { same, current, tried })
    }

    /// The price of what was used at the rates of today, against what was charged.
    async fn bill(&mut self, record: &Record) -> Option<Both> {
        let (event, explanation) = (&record.event, &record.explanation);
        explanation.usage_source.as_ref()?;
        let id = event.offer.as_deref()?;
        let offer = self.of.catalog.offers().get(*self.by_id.get(id)?)?;
        let official = offer.rates.at(event.at_ms).quantities(&event.usage, None).ok()?;
        let quantity = |q: &crate::catalog::Quantity| Quantity {
            item: q.item.to_owned(),
            count: u32::try_from(q.count).unwrap_or(u32::MAX),
            unit_price_pico: q.unit_price.0,
        };
        let quantities: Vec<Quantity> = official.iter().map(quantity).collect();
        let rates = quantities.iter().fold(0_u128, |sum, q| {
            sum.saturating_add(q.unit_price_pico.saturating_mul(u128::from(q.count)))
        });
        let call = BillCall {
            task: event.task.as_deref().unwrap_or_default().to_owned(),
            offer: id.to_owned(),
            quantities,
            settled: true,
            attrs: facts(record).attrs,
        };
        let lines = self.trial(&self.policy, record).price(&call).await;
        let (tried, words) = match lines {
            Ok(lines) => {
                let sum = lines.iter().fold(0_u128, |sum, it| sum.saturating_add(it.amount_pico));
                if sum > explanation.hold_usd.0 {
                    // As at a settlement, which never charges more than was held.
                    self.note("over-hold");
                    (rates, "official rates".to_owned())
                } else {
                    (sum, format!("{} USD in {} lines", PicoUsd(sum), lines.len()))
                }
            }
            Err(failure) => {
                self.failed(&failure);
                (rates, "official rates".to_owned())
            }
        };
        let was = event.cost_usd;
        let current = (format!("{was} USD in {} lines", explanation.line_items.len()), was.0, 0.0);
        Some(Both { same: tried == was.0, current, tried: Some((words, tried, 0.0)) })
    }

    fn trial(&self, policy: &Arc<Policy>, record: &Record) -> Trial {
        let (engine, hook) = (&self.of.engine, self.what.hook);
        Trial::new(engine, policy, self.what.config.clone(), hook, None, facts(record))
    }

    /// The one that decides where the policy does not.
    fn builtin(&self, record: &Record) -> Trial {
        let (engine, hook) = (&self.of.engine, self.what.hook);
        Trial::new(engine, self.of.bindings.combined(), None, hook, None, facts(record))
    }

    fn failed(&mut self, failure: &PolicyFailure) {
        let kind: FailureKind = failure.kind;
        self.note(kind.label());
    }

    fn note(&mut self, kind: &'static str) {
        let count = self.report.failures.entry(kind).or_default();
        *count = count.saturating_add(1);
    }
}

/// What is kept of an offer that was in the running.
struct Row<'a> {
    offer: &'a str,
    /// What it was given then.
    score: Option<f64>,
    /// It was not left out afterwards because the money did not do for it.
    payable: bool,
    quality: f64,
    cost: PicoUsd,
    first_token_ms: f64,
    /// The rest; records of before that was kept have what an offer has that nobody has asked.
    more: FiguresFact,
}

impl<'a> Row<'a> {
    /// None for one that was out before anyone scored: it may have figures all the same, where its
    /// price or its quality ruled it out.
    fn of(fact: &'a CandidateFact) -> Option<Self> {
        let reason = fact.reason_code.as_deref();
        let payable = !reason.is_some_and(|code| UNPAYABLE.contains(&code));
        let in_running = fact.score.is_some() || !payable || reason == Some(EXCLUDED);
        in_running.then_some(())?;
        Some(Self {
            offer: &fact.offer,
            score: fact.score,
            payable,
            quality: fact.quality?,
            cost: fact.expected_cost_usd?,
            first_token_ms: fact.first_token_ms?,
            more: fact.figures.unwrap_or(FiguresFact {
                first_token_p95_ms: fact.first_token_ms?,
                tokens_per_second: TOKENS_PER_SECOND,
                availability: AVAILABILITY,
                ..FiguresFact::default()
            }),
        })
    }
}

/// `ceiling_ms`: of the first token, 0 for none.
fn figures(rows: &[Row<'_>], ceiling_ms: f64) -> Figures {
    let mut out = Figures::with_capacity(rows.len());
    for row in rows {
        let usd = ranking_usd(row.cost);
        out.quality.push(row.quality);
        out.cost_usd.push(usd);
        out.cost_worst_usd.push(usd);
        let more = &row.more;
        let excused = more.assumed_over_ceiling && ceiling_ms > 0.0;
        let most_ms = if excused { ceiling_ms } else { f64::INFINITY };
        out.first_token_ms.push(row.first_token_ms.min(most_ms));
        out.first_token_p95_ms.push(more.first_token_p95_ms);
        out.tokens_per_second.push(more.tokens_per_second);
        out.availability.push(more.availability);
        out.in_flight.push(f64::from(more.in_flight));
        let marks = [more.warm, more.price_estimated, more.quality_estimated, more.preferred];
        let bits = marks.into_iter().zip([1, 2, 4, 8]).filter(|(set, _)| *set);
        out.marks.push(bits.fold(0, |all, (_, bit)| all | bit));
        out.expected_pico.push(row.cost.0);
    }
    out
}

/// What was decided: the first of the plan; behind one that was only tried, the best.
fn decided(rows: &[Row<'_>], first: &str) -> Option<usize> {
    let at = rows.iter().position(|row| row.offer == first)?;
    let explored = rows.get(at)?.more.explored;
    let scores = || rows.iter().map(|row| row.score.filter(|_| row.payable));
    if explored { best(scores()) } else { Some(at) }
}

/// The row with the highest score, the first of equal ones.
fn best(scores: impl Iterator<Item = Option<f64>>) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (row, score) in scores.enumerate() {
        if let Some(score) = score
            && best.is_none_or(|(_, highest)| score > highest)
        {
            best = Some((row, score));
        }
    }
    best.map(|(row, _)| row)
}

fn classification(task: &TaskFact) -> Classification {
    Classification {
        task: task.task.to_string(),
        difficulty: task.difficulty,
        confidence: task.confidence,
        needs: task.needs.iter().map(|need| need.to_string()).collect(),
        context_tokens: 0,
        attrs: Vec::new(),
    }
}

/// The request as far as it is kept: who asked for what, and how long it was.
fn facts(record: &Record) -> RequestFacts {
    let event = &record.event;
    let text = |value: &str| AttrValue::Text(value.to_owned());
    let mut attrs = vec![
        ("caller.organization".to_owned(), text(&event.org)),
        ("caller.key".to_owned(), text(&event.key)),
    ];
    let of_key = [("team", &event.team), ("project", &event.project), ("user", &event.user)];
    for (name, value) in of_key {
        attrs.extend(value.as_ref().map(|value| (format!("caller.{name}"), text(value))));
    }
    attrs.extend(event.tags.iter().map(|(name, value)| (format!("tag.{name}"), text(value))));
    RequestFacts {
        id: event.id.to_string(),
        protocol: Dialect::parse(&event.protocol).map_or("", Dialect::label),
        model: event.model_asked.to_string(),
        streaming: event.stream,
        input_tokens: u32::try_from(event.usage.input_tokens()).unwrap_or(u32::MAX),
        output_limit: None,
        call: Arc::new(Nothing),
        attrs,
    }
}

/// The messages of a request of the past: none are kept.
struct Nothing;

impl Conversation for Nothing {
    fn messages(&self) -> usize {
        0
    }

    fn role(&self, _message: usize) -> Option<&str> {
        None
    }

    fn part(&self, _message: usize, _part: usize) -> Option<&str> {
        None
    }

    fn tools(&self) -> usize {
        0
    }

    fn tool_name(&self, _tool: usize) -> Option<&str> {
        None
    }

    fn tool_description(&self, _tool: usize) -> Option<&str> {
        None
    }
}

/// The offers of then, with what the catalogue says of them now; nothing of one that is gone.
struct Kept {
    catalog: Arc<ConfiguredCatalog>,
    rows: Vec<(String, Option<usize>)>,
}

impl Offers for Kept {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn id(&self, row: usize) -> Option<&str> {
        self.rows.get(row).map(|(id, _)| id.as_str())
    }

    fn attr(&self, row: usize, name: &str) -> Option<AttrValue> {
        let (_, index) = self.rows.get(row)?;
        offer_fact(self.catalog.offers().get((*index)?)?, name)
    }
}

#[cfg(test)]
mod tests;
