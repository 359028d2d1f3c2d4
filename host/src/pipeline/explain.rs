//! The record of a request: the facts that statistics are made of, and the explanation from which
//! its route and its cost can be re-computed by hand. Names, numbers and reasons; never content.

use std::sync::Arc;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::{Keeping, Loss, Losses};

use crate::catalog::{ConfiguredCatalog, Expected};
use crate::route::{FigureRow, Rejection, Selector};
use crate::usage::{
    ExpectedFact, Explanation, Failure, FiguresFact, Fresh, Label, LineItem, LookedAt,
    LookedAtFigures, LookedAtRow, LossFact, ObjectiveFact, OfferNames, PolicyFact, Record,
    RedactionFact, TaskFact, Timing, UsageEvent,
};

use super::flight::{Bill, Ending, Flight};
use super::{settle, terms};

/// What is kept of a request that has ended.
pub(super) fn record(flight: &mut Flight, ending: Ending, status: u16, bill: &Bill) -> Fresh {
    let looked_at = Some(looked_at(flight));
    let event = event(flight, ending, status, bill);
    let explanation = explanation(flight, ending, bill, Arc::clone(&event.model_asked));
    Fresh { record: Record { event, explanation }, looked_at }
}

impl OfferNames for ConfiguredCatalog {
    fn name(&self, index: usize) -> Option<&str> {
        self.offers().get(index).map(|offer| &*offer.id)
    }

    fn token_prices(&self, index: usize, at_ms: u64) -> Option<[PicoUsd; 3]> {
        let list = self.offers().get(index)?.rates.at(at_ms);
        let of = |read, written| list.expected(&Expected::text(read, written));
        let (request, read, written) = (of(0, 0)?, of(1, 0)?, of(0, 1)?);
        Some([request, read.saturating_sub(request), written.saturating_sub(request)])
    }
}

fn event(flight: &Flight, ending: Ending, status: u16, bill: &Bill) -> UsageEvent {
    let caller = &flight.caller;
    let served = flight.served.as_ref();
    UsageEvent {
        id: flight.started.id,
        at_ms: flight.started.at_ms,
        org: Arc::clone(&caller.org),
        key: Arc::clone(&caller.key_id),
        team: caller.team.clone(),
        project: caller.project.clone(),
        user: caller.user.clone(),
        session: flight.labels.session.clone(),
        agent: flight.labels.agent.clone(),
        parent_agent: flight.labels.parent_agent.clone(),
        tags: flight.tags.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect(),
        protocol: flight.call.dialect.label().into(),
        model_asked: asked(flight),
        offer: served.map(|offer| Arc::clone(&offer.id)),
        model: served.map(|offer| Arc::clone(&offer.model)),
        provider: served.map(|offer| Arc::clone(&offer.provider)),
        task: flight.classified_by.as_ref().map(|_| flight.task.task.as_str().into()),
        stream: flight.call.stream,
        status,
        settlement: ending.label().into(),
        usage: bill.usage,
        cost_usd: bill.cost,
        list_usd: bill.list.filter(|list| *list != bill.cost),
        baseline_usd: bill.baseline,
        attempts: u32::try_from(flight.attempts.len()).unwrap_or(u32::MAX),
        duration_ms: flight.started.watch.millis(),
    }
}

/// A caller may write anything into `model`; only a name that means something is kept. An alias is
/// kept as it is registered, in small letters: it is asked for in any case, and its sums are one.
fn asked(flight: &Flight) -> Arc<str> {
    let known = !flight.candidates.is_empty() || matches!(flight.selector(), Selector::Auto(_));
    match &flight.alias_of {
        _ if !known => "(unknown)".into(),
        Some(_) => flight.call.model.to_ascii_lowercase().into(),
        None => flight.call.model.as_str().into(),
    }
}

fn explanation(flight: &mut Flight, ending: Ending, bill: &Bill, asked: Arc<str>) -> Explanation {
    let (org, key) = (Arc::clone(&flight.caller.org), Arc::clone(&flight.caller.key_id));
    let mut e = Explanation::begin(flight.started.id, org, key, asked);
    e.objective = objective(flight);
    e.expected = expected(flight);
    e.alias_of.clone_from(&flight.alias_of);
    e.profile = Some(flight.profile().label().into());
    e.task = flight.classified_by.as_ref().map(|by| TaskFact {
        task: flight.task.task.as_str().into(),
        difficulty: flight.task.difficulty,
        confidence: flight.task.confidence,
        needs: flight.task.needs.iter().map(|need| need.clone().into()).collect(),
        decided_by: Arc::clone(&by.label),
    });
    e.plan = flight
        .plan
        .iter()
        .filter_map(|row| flight.offer_of(*row).map(|offer| Arc::clone(&offer.id)))
        .collect();
    e.attempts = std::mem::take(&mut flight.attempts);
    e.usage = bill.usage;
    if bill.charged {
        e.usage_source = Some(if bill.estimated { "estimated" } else { "provider" }.into());
    }
    e.line_items = bill.lines.iter().map(line).collect();
    e.hold_usd = flight.held;
    e.cost_usd = bill.cost;
    e.absorbed_usd = flight.borne(bill);
    e.settlement = ending.label().into();
    e.policies = policies(flight);
    e.redactions = redactions(flight);
    e.losses = flight.losses.iter().map(loss).chain(more(&flight.losses)).collect();
    let (policy_fetches, policy_fetch_us) = flight.session.fetched();
    e.timing = Timing {
        policy_fetches,
        policy_fetch_us,
        total_us: flight.started.watch.micros().into(),
        first_content_us: flight.first_content_us.unwrap_or(0),
        ..flight.timing
    };
    e
}

/// What routing was to aim at; none where it did not come so far.
pub(super) fn objective(flight: &Flight) -> Option<ObjectiveFact> {
    if flight.candidates.is_empty() {
        return None;
    }
    let told = terms::objective(flight);
    let terms = flight.terms.as_ref();
    let class = flight.class.max(terms.and_then(|terms| terms.class));
    Some(ObjectiveFact {
        profile: told.profile.into(),
        quality_floor: told.quality_floor,
        cost_ceiling_usd: told.cost_ceiling_usd,
        first_token_ceiling_ms: told.first_token_ceiling_ms,
        min_quality: terms.map_or(0.0, |terms| terms.quality_min),
        data_class: class.map(|class| class.label().into()),
        zero_retention: terms.is_some_and(|terms| terms.zero_retention),
        rules: terms.map(|terms| terms.ids().map(Arc::clone).collect()).unwrap_or_default(),
    })
}

/// Service tiers that are worth a word; a caller may write anything there.
const TIERS: [&str; 7] = ["auto", "default", "fast", "flex", "priority", "scale", "standard_only"];

/// Reasons that one is compared with: more would cost what it saves.
const REASONS_COMPARED: usize = 8;

/// What the expected costs were made of; none where it did not come so far.
pub(super) fn expected(flight: &Flight) -> Option<ExpectedFact> {
    let work = flight.work.as_ref()?;
    let [searches, hosted_calls] = settle::expected_calls(&flight.call);
    let call = work.expected(work.usual_answer());
    let tier = flight.call.service_tier.as_deref();
    Some(ExpectedFact {
        prompt_tokens: call.input_tokens,
        audio_tokens: call.input_audio,
        image_tokens: call.input_image,
        cached_tokens: work.cached_tokens().into(),
        keeping: match call.keeping {
            Keeping::None => None,
            Keeping::Minutes => Some("minutes".into()),
            Keeping::Hour => Some("hour".into()),
        },
        answer_tokens: work.usual_answer().into(),
        answer_limit: work.output_limit().map(u64::from),
        answers: work.choices().into(),
        thinking: work.thinks(),
        spoken: flight.call.needs.audio_output,
        service_tier: tier.map(|tier| {
            let known = TIERS.into_iter().find(|known| *known == tier);
            known.unwrap_or("other").into()
        }),
        searches,
        hosted_calls,
    })
}

/// What the route policy scored beside quality, cost and the first token.
pub(super) fn scored_by(row: &FigureRow) -> FiguresFact {
    let marked = |bit: u8| row.marks & bit != 0;
    FiguresFact {
        first_token_p95_ms: row.first_token_p95_ms,
        tokens_per_second: row.tokens_per_second,
        availability: row.availability,
        in_flight: row.requests_in_flight,
        warm: marked(1),
        price_estimated: marked(2),
        quality_estimated: marked(4),
        preferred: marked(8),
        answer_tokens: row.answer_tokens,
        thinking_tokens: row.thinking_tokens,
        explored: row.explored,
        assumed_over_ceiling: row.assumed_over_ceiling,
        without_searches: row.without_searches,
        without_hosted_calls: row.without_hosted_calls,
    }
}

fn looked_at(flight: &Flight) -> LookedAt {
    let mut reasons = Reasons::default();
    let mut rows = Vec::with_capacity(flight.candidates.len());
    for c in &flight.candidates {
        rows.push(LookedAtRow {
            index: c.index,
            score: c.score,
            figures: c.figures.as_ref().map(|f| LookedAtFigures {
                quality: f.quality,
                expected_cost_usd: f.expected_cost,
                first_token_ms: f.first_token_ms,
                more: scored_by(f),
                answer_percent: f.answer_percent,
            }),
            reason: c.rejection.as_ref().map(|reason| reasons.place(reason)),
        });
    }
    let names: Arc<ConfiguredCatalog> = Arc::clone(&flight.gateway.offers);
    LookedAt { names, at_ms: flight.started.at_ms, rows, reasons: reasons.told() }
}

/// Why candidates are out, most reasons once: each is put into words.
#[derive(Debug, Default)]
struct Reasons<'a>(Vec<&'a Rejection>);

impl<'a> Reasons<'a> {
    /// Where that reason stands. Looked for among the latest alone: each of hundreds may have
    /// figures of its own, such as its price over a ceiling, and none is found among all others.
    fn place(&mut self, reason: &'a Rejection) -> usize {
        let mut latest = self.0.iter().enumerate().rev().take(REASONS_COMPARED);
        let known = latest.find_map(|(at, known)| (*known == reason).then_some(at));
        known.unwrap_or_else(|| {
            self.0.push(reason);
            self.0.len().saturating_sub(1)
        })
    }

    /// In words and as words for programs.
    fn told(self) -> Vec<(Label, &'static str)> {
        self.0.into_iter().map(|reason| (reason.text(), reason.code())).collect()
    }
}

fn line(line: &crate::policy::Line) -> LineItem {
    LineItem {
        item: line.item.clone().into(),
        count: line.count.into(),
        unit_price_usd: PicoUsd(line.unit_price_pico),
        amount_usd: PicoUsd(line.amount_pico),
        note: (!line.note.is_empty()).then(|| line.note.clone().into()),
    }
}

fn policies(flight: &Flight) -> Vec<PolicyFact> {
    let records = flight.session.trace().iter();
    records
        .map(|record| PolicyFact {
            hook: record.hook.label().into(),
            policy: Arc::clone(&record.policy.name),
            version: Arc::clone(&record.policy.version),
            digest: Arc::clone(&record.policy.digest),
            config: record.policy.config.clone(),
            micros: record.micros,
            failure: record.failure.as_ref().map(|failure| Failure {
                kind: failure.kind.label().into(),
                detail: failure.detail.as_str().into(),
            }),
        })
        .collect()
}

fn redactions(flight: &Flight) -> Vec<RedactionFact> {
    let mut facts = Vec::new();
    for (direction, summary) in &flight.redacted {
        facts.extend(summary.counts.iter().map(|found| RedactionFact {
            direction: (*direction).into(),
            kind: found.kind.as_str().into(),
            action: found.action.into(),
            count: found.count.into(),
        }));
    }
    facts
}

fn loss(loss: &Loss) -> LossFact {
    LossFact {
        at: place(&loss.at).into(),
        what: loss.what.into(),
        severity: loss.severity.label().into(),
    }
}

/// What stands for the losses that are only counted.
fn more(losses: &Losses) -> Option<LossFact> {
    let worst = losses.worst().filter(|_| losses.more() > 0)?;
    let what = format!("and {} more", losses.more());
    Some(LossFact { at: "(others)".into(), what: what.into(), severity: worst.label().into() })
}

/// A place as far as it is made of member names as APIs have them: a caller may call a member
/// anything, and nothing of that is kept.
pub(super) fn place(at: &str) -> &str {
    const PLACE_BYTES_MAX: usize = 96;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.[]-".contains(&b);
    let kept = at.len() <= PLACE_BYTES_MAX && at.bytes().all(plain);
    if kept { at } else { "(a member of the caller's own)" }
}

/// `x-turnpike-policy`: who decided, without repeating a policy that decided several things.
pub(super) fn policies_header(flight: &Flight) -> String {
    let mut text = String::with_capacity(64);
    let decided = flight.session.trace().iter().filter(|record| record.failure.is_none());
    for record in decided {
        let label = &*record.policy.label;
        if !text.contains(label) {
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(label);
        }
    }
    text
}

/// Counts the policy calls in the metrics.
pub(super) fn count_policies(flight: &Flight) {
    for record in flight.session.trace() {
        let hook = record.hook.label();
        flight.gateway.metrics.policy_call(record.hook);
        if let Some(failure) = &record.failure
            && !failure.is_normal()
        {
            let kind = failure.kind.label();
            flight.gateway.metrics.policy_failure(hook, kind);
            // The words are the host's; a guest's own stay in its log in memory.
            let (policy, detail) = (&*failure.policy, failure.detail.as_str());
            tracing::warn!(id = flight.id_text, hook, policy, kind, detail, "a policy failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_once_and_none_is_looked_for_among_hundreds() {
        let dear = |expected: u128| {
            let (expected, ceiling) = (PicoUsd(expected), PicoUsd(1));
            Rejection::TooDear { expected, ceiling }
        };
        let all: Vec<Rejection> = (2..302).map(dear).collect();
        let mut reasons = Reasons::default();
        assert_eq!(reasons.place(&Rejection::NotChat), 0);
        assert_eq!(reasons.place(&Rejection::NotChat), 0, "the same is not put into words again");
        let places: Vec<usize> = all.iter().map(|reason| reasons.place(reason)).collect();
        assert!(places.iter().copied().eq(1..=300), "{places:?}");
        assert_eq!(reasons.place(&Rejection::NotChat), 301, "one of long ago is not looked for");
        let told = reasons.told();
        assert_eq!(told.len(), 302);
        assert_eq!(
            (told[0].1, told[300].1, told[301].1),
            ("not_chat", "over_cost_ceiling", "not_chat")
        );
    }
}
