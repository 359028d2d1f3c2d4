//! Steps 4 to 8: what must not leave, what kind of task it is, who can and may do it, in which
//! order they are asked, and the money for it.

mod hosted;
mod told;

pub(super) use hosted::or_without_tool;
pub(super) use told::whoever;

use std::sync::Arc;

use turnpike_protocol::Needs;

use crate::catalog::{Kind, Offer, UnknownModel};
use crate::clock;
use crate::error::Refusal;
use crate::hook::{Clearance, Hook};
use crate::policy::{AttrValue, Figures};
use crate::redact;
use crate::route::{
    self, Asked, Candidate, Exploring, FigureRow, Gate, Pin, Planning, Rejection, Selector, Terms,
    Workload,
};

use super::facts::{self, CallView, PolicyScan};
use super::fidelity::Fidelity;
use super::flight::Flight;
use super::{settle, terms, vectors};

/// The task of every request for vectors.
const EMBEDDING: &str = "embedding";

/// Step 4. What the policy finds is masked or replaced in the call before anyone else reads it.
pub(super) async fn redact_input(flight: &mut Flight) -> Result<(), Box<Refusal>> {
    if flight.gateway.bindings.is_unguarded(&flight.caller.org) {
        return Err(Box::new(Refusal::redaction_failed()));
    }
    // Shared with the session, which reads it while it is scanned; copied only for a change.
    let mut call = Arc::clone(&flight.call);
    let mut scan = PolicyScan(&mut flight.session);
    let result = redact::redact_call(&mut scan, &mut call, &mut flight.pseudonyms).await;
    match result {
        Ok(summary) => {
            if !Arc::ptr_eq(&call, &flight.call) {
                flight.call = call;
                // A replacement may be longer than what it replaces.
                flight.input_tokens = flight.call.input_tokens_upper();
                flight.session.set_call(Arc::new(CallView(Arc::clone(&flight.call))));
            }
            let known = summary.data_classes.iter().filter_map(|it| Clearance::from_label(it));
            flight.class = flight.class.max(known.max());
            if let Some(class) = summary.data_classes.last() {
                flight.session.set_attr("data-class", AttrValue::Text(class.clone()));
            }
            flight.redacted.push(("input", summary));
            Ok(())
        }
        Err(redact::Refusal::Blocked { reason }) => Err(Box::new(Refusal::policy_blocked(&reason))),
        Err(redact::Refusal::Failed(_) | redact::Refusal::Unreadable) => {
            Err(Box::new(Refusal::redaction_failed()))
        }
    }
}

/// Step 5. What vectors are for is not to be seen from one text, and needs no policy to be named.
pub(super) async fn classify(flight: &mut Flight) {
    if flight.call.embeds() {
        EMBEDDING.clone_into(&mut flight.task.task);
        return;
    }
    let verdict = flight.session.classify().await;
    if let Some(task) = verdict.value {
        flight.task = task;
        flight.classified_by = Some(verdict.decided_by);
    }
}

/// Step 6. Every offer that was looked at is kept with the reason why it is out.
pub(super) async fn match_offers(flight: &mut Flight) -> Result<(), Box<Refusal>> {
    flight.terms = terms::of(flight)?;
    let offers = &flight.gateway.offers;
    let selector = flight.selector();
    let indices = match selector {
        Selector::Auto(_) => offers.all(),
        Selector::Named(name) => {
            offers.resolve(name).map_err(|unknown| unresolved(flight, name, &unknown))?
        }
    };
    let needs = needs(flight, selector);
    let embeds = flight.call.embeds();
    let asked = Asked {
        kind: if embeds { Kind::Embedding } else { Kind::Chat },
        selector,
        needs: &needs,
        input_tokens: route::likely_tokens(flight.input_tokens)
            .saturating_add(flight.task.context_tokens),
        output_limit: flight.call.output_limit,
        free_offers: terms::free_offers(flight),
    };
    let task = &flight.task;
    let pin = flight.turn.and_then(|turn| turn.pin(&flight.gateway.affinity));
    let work = workload(flight).cached(pin.map_or(0, |pin| pin.cached_tokens));
    let now_ms = clock::steady_ms();
    let health = &flight.gateway.health;
    let found = |index: &u32| {
        let row = usize::try_from(*index).unwrap_or(usize::MAX);
        offers.offer(*index).map(|offer| (row, offer))
    };
    let terms = flight.terms.as_ref();
    let rated = flight.gateway.feedback.of(&flight.caller.org);
    let corrections = rated.as_ref().and_then(|of| of.at(&task.task)).unwrap_or_default();
    let calls = settle::expected_calls(&flight.call);
    let weighing = Weighing { flight, work, pin, corrections, calls, now_ms };
    let check = |row: usize, offer: &Offer| {
        let allowed = flight.caller.may_use(&offer.model);
        let ruled = terms.filter(|_| allowed).and_then(|it| route::forbidden(row, offer, it));
        let gate = || health.gate(row, now_ms);
        match ruled.or_else(|| route::check(offer, &asked, allowed, gate)) {
            Some(Rejection::NotAllowed) if !flight.caller.in_plan(&offer.model) => {
                Some(Rejection::NotInPlan)
            }
            other => other,
        }
    };
    let mut candidates = Vec::with_capacity(indices.len());
    for (row, offer) in indices.iter().filter_map(found) {
        let rejection = check(row, offer);
        candidates.push(Candidate { index: row, rejection, figures: None, score: None });
    }
    let mut fidelity = Fidelity::new(flight);
    let open = candidates.iter().filter(|candidate| candidate.rejection.is_none());
    fidelity.prepare(open.filter_map(|open| flight.offer(open)).map(|offer| &**offer)).await;
    weighing.weigh(&mut candidates, &mut fidelity);
    flight.candidates = candidates;
    flight.work = Some(work);
    vectors::of_one_model(flight)?;
    if flight.candidates.iter().all(|c| c.rejection.is_some()) {
        return Err(Box::new(nobody(flight, now_ms)));
    }
    Ok(())
}

/// How large the request is, for the figures of all offers.
fn workload(flight: &Flight) -> Workload {
    let (call, task, media) = (&flight.call, &flight.task, &flight.media_tokens);
    // Vectors are no tokens: the answer has none.
    let limit = if call.embeds() { Some(0) } else { call.output_limit };
    let work = Workload::new(&task.task, task.difficulty, flight.input_tokens, limit)
        .at(flight.started.at_ms)
        .keeping(call.keeping())
        .with_media(media.audio, media.image)
        .choosing(call.choices)
        .thinking(call.needs.reasoning);
    flight.gateway.answers.usual(&flight.caller.org, work)
}

/// That a name stands for no model, or for several.
fn unresolved(flight: &Flight, name: &str, unknown: &UnknownModel) -> Box<Refusal> {
    let near = &unknown.suggestions;
    Box::new(match unknown.ambiguous {
        true => Refusal::ambiguous_model(name, near),
        false if flight.call.embeds() => Refusal::unknown_embedding_model(name, near),
        false => Refusal::unknown_model(name, near),
    })
}

/// After step 7: now and then a quick choice tries an offer of unknown speed first. Not where the
/// conversation is warm, not in a dry run, which asks nobody and would learn nothing, not where
/// a policy of the organization's own has put its offers in order, and not where nobody could be
/// asked after it.
pub(super) fn explore(flight: &mut Flight, plan: &mut Vec<usize>) {
    let lot = &mut rand::random::<u32>;
    let pinned = || flight.turn.is_some_and(|turn| turn.pin(&flight.gateway.affinity).is_some());
    let settings = &flight.gateway.settings;
    let alone = settings.attempts < 2 || flight.call.embeds();
    if alone || !settings.exploring.is_due(lot) || pinned() {
        return;
    }
    let objective = terms::objective(flight);
    if !Exploring::is_of_use(&objective.profile) || !is_routed_by_the_built_in(flight) {
        return;
    }
    let (health, floor) = (&flight.gateway.health, objective.quality_floor);
    let now_ms = clock::steady_ms();
    let Some(row) = Exploring::draw(&flight.candidates, health, floor, now_ms, lot) else { return };
    flight.tried_first = Some(row);
    if let Some(figures) = flight.candidates.get_mut(row).and_then(|it| it.figures.as_mut()) {
        figures.explored = true;
    }
    *plan = order(flight);
    flight.plan.clone_from(plan);
}

fn is_routed_by_the_built_in(flight: &Flight) -> bool {
    let asked = flight.session.trace().iter().rev().find(|record| record.hook == Hook::Route);
    let is_built_in = |digest: &str| flight.gateway.bindings.is_built_in_router(digest);
    asked.is_some_and(|record| record.failure.is_none() && is_built_in(&record.policy.digest))
}

/// What each offer's figures are made of.
struct Weighing<'a> {
    flight: &'a Flight,
    work: Workload,
    /// Where the conversation is warm.
    pin: Option<Pin>,
    /// Of the qualities at this task, by what the organization's ratings say.
    corrections: &'a [f32],
    /// Searches, and calls of other tools, that are expected where an offer gets them.
    calls: [u64; 2],
    now_ms: u64,
}

impl Weighing<'_> {
    /// Gives those that are still in the running their figures, or the reason against them.
    fn weigh(&self, candidates: &mut [Candidate], fidelity: &mut Fidelity<'_>) {
        for candidate in candidates.iter_mut().filter(|it| it.rejection.is_none()) {
            let Some(offer) = self.flight.offer(candidate) else { continue };
            candidate.rejection = fidelity.check(offer);
            if candidate.rejection.is_none() {
                let mut figures = self.figures(candidate.index, offer);
                candidate.rejection = self.against(candidate.index, offer, figures.as_mut());
                candidate.figures = figures;
            }
        }
        hosted::keep(self.flight, candidates);
    }

    /// The offer's figures; none where a rate that is needed is not known.
    fn figures(&self, row: usize, offer: &Offer) -> Option<FigureRow> {
        let gateway = &self.flight.gateway;
        let seen = gateway.health.snapshot(row, self.work.band(), self.now_ms);
        let warm = self.pin.is_some_and(|pin| pin.offer == row);
        let of_it = settle::particulars(self.flight, (row, offer), &self.work, warm);
        let mut figures = route::figure_row(offer, &self.work, &of_it, seen)?;
        figures.miss(self.calls, &of_it);
        if let Some(by) = self.corrections.get(row) {
            figures.correct(f64::from(*by));
        }
        Some(figures)
    }

    /// What its price or a rule's ceiling has against it. Marks what a rule prefers.
    fn against(
        &self,
        row: usize,
        offer: &Offer,
        figures: Option<&mut FigureRow>,
    ) -> Option<Rejection> {
        let Some(figures) = figures else { return Some(self.unpriced(offer)) };
        let terms = self.flight.terms.as_ref()?;
        if terms.prefers(row) {
            figures.prefer();
        }
        route::over_ceiling(figures, terms)
    }

    /// What of it has no price here: a tool of its own, else its tokens, or the service tier.
    fn unpriced(&self, offer: &Offer) -> Rejection {
        let tools = settle::paid_tools(self.flight, offer);
        let base = &offer.rates.at(self.flight.started.at_ms).base;
        match tools {
            tools if tools.hosted && base.hosted_call.is_none() => Rejection::ToolUnpriced,
            tools if tools.searches && base.search.is_none() => Rejection::SearchUnpriced,
            _ => Rejection::Unpriced,
        }
    }
}

/// What the request shows, and where the choice is ours also what the classify policy says.
fn needs(flight: &Flight, selector: Selector<'_>) -> Needs {
    let mut needs = flight.call.needs;
    if matches!(selector, Selector::Named(_)) {
        return needs;
    }
    for need in &flight.task.needs {
        match need.as_str() {
            "tools" => needs.tools = true,
            "structured-output" => needs.structured_output = true,
            "image-input" => needs.image_input = true,
            "audio-input" => needs.audio_input = true,
            "file-input" => needs.file_input = true,
            "audio-output" => needs.audio_output = true,
            // The rest, such as `reasoning`, are for the route policy to weigh.
            _ => {}
        }
    }
    needs
}

/// That those who could take it rest, if any does; as a rate limit where that is all they rest for,
/// because a caller's client then slows down instead of going elsewhere.
fn resting(flight: &Flight, now_ms: u64) -> Option<Refusal> {
    let resting = || {
        flight.candidates.iter().filter_map(|candidate| match candidate.rejection {
            Some(Rejection::Resting { until_ms }) => Some((candidate.index, until_ms)),
            _ => None,
        })
    };
    let until_ms = resting().map(|(_, until_ms)| until_ms).min()?;
    let retry_after_s = until_ms.saturating_sub(now_ms).div_ceil(1000).max(1);
    let health = &flight.gateway.health;
    let who = whoever(flight, |reason| matches!(reason, Some(Rejection::Resting { .. })));
    Some(match resting().all(|(offer, _)| health.is_limited(offer, now_ms)) {
        true => Refusal::all_limited(&who, retry_after_s),
        false => Refusal::all_resting(&who, retry_after_s),
    })
}

/// Why nobody can take it, as the status that tells the caller what to do.
fn nobody(flight: &Flight, now_ms: u64) -> Refusal {
    let reasons = || flight.candidates.iter().filter_map(|c| c.rejection.as_ref());
    if let Some(member) = flight.call.kept_elsewhere()
        && reasons().any(|reason| *reason == Rejection::KeptElsewhere)
        && !flight.candidates.iter().any(|candidate| could_keep(flight, candidate))
    {
        return Refusal::kept_elsewhere(member);
    }
    if let Some(refusal) = resting(flight, now_ms) {
        return refusal;
    }
    if reasons().any(|reason| matches!(reason, Rejection::Busy { .. })) {
        let are = |reason: Option<&Rejection>| matches!(reason, Some(Rejection::Busy { .. }));
        return Refusal::all_busy(&whoever(flight, are));
    }
    let barred =
        |reason: &Rejection| matches!(reason, Rejection::NotAllowed | Rejection::NotInPlan);
    if let Some(plan) = &flight.caller.plan
        && reasons().all(barred)
        && reasons().any(|reason| *reason == Rejection::NotInPlan)
    {
        return Refusal::model_not_in_plan(&flight.call.model, &plan.id);
    }
    if reasons().all(|reason| *reason == Rejection::NotAllowed) {
        return Refusal::model_forbidden(&flight.call.model);
    }
    Refusal::no_candidate(&told::of(flight))
}

/// Whether a candidate that rests may be the one that keeps the conversation.
fn could_keep(flight: &Flight, candidate: &Candidate) -> bool {
    let native = flight.call.dialect.label();
    let resting = matches!(candidate.rejection, Some(Rejection::Resting { .. }));
    resting && flight.offer(candidate).is_some_and(|offer| offer.speaks(native))
}

/// Step 7. The rows of the plan, best first.
pub(super) async fn score(flight: &mut Flight) -> Result<Vec<usize>, Box<Refusal>> {
    let objective = terms::objective(flight);
    let running = flight.candidates.iter().filter(|c| c.rejection.is_none()).count();
    let mut figures = Figures::with_capacity(running);
    let mut rows: Vec<usize> = Vec::with_capacity(running);
    let mut indices: Vec<usize> = Vec::with_capacity(running);
    for (row, candidate) in flight.candidates.iter().enumerate() {
        let (None, Some(f)) = (&candidate.rejection, &candidate.figures) else { continue };
        figures.quality.push(f.quality);
        figures.cost_usd.push(f.cost_usd);
        figures.cost_worst_usd.push(f.cost_worst_usd);
        figures.first_token_ms.push(f.first_token_under(objective.first_token_ceiling_ms));
        figures.first_token_p95_ms.push(f.first_token_p95_ms);
        figures.tokens_per_second.push(f.tokens_per_second);
        figures.availability.push(f.availability);
        figures.in_flight.push(f.in_flight);
        figures.marks.push(f.marks);
        figures.expected_pico.push(f.expected_cost.0);
        rows.push(row);
        indices.push(candidate.index);
    }
    let catalog = Arc::clone(&flight.gateway.offers);
    let ranked = Arc::new(facts::Ranked { catalog, indices });
    let verdict = flight.session.score(&flight.task, &figures, &objective, ranked).await;
    let scores = verdict.value.unwrap_or_else(|| cheapest_first(&figures));
    take_scores(&mut flight.candidates, &rows, scores);
    let plan = order(flight);
    if plan.is_empty() {
        return Err(Box::new(nobody(flight, clock::steady_ms())));
    }
    flight.plan.clone_from(&plan);
    Ok(plan)
}

/// The rows in the order in which they are tried, as many as there are attempts, of those that have
/// a score and nothing against them.
pub(super) fn order(flight: &Flight) -> Vec<usize> {
    let offers = flight.gateway.offers.offers();
    let planning = Planning {
        attempts_max: flight.gateway.settings.attempts,
        quality_floor: flight.terms.as_ref().map_or(0.0, Terms::quality_floor),
        first: flight.tried_first,
    };
    match flight.call.embeds() {
        true => vectors::plan(&flight.candidates, offers, planning),
        false => route::plan(&flight.candidates, offers, planning),
    }
}

/// What the policy gives no score is out.
fn take_scores(candidates: &mut [Candidate], rows: &[usize], scores: Vec<Option<f64>>) {
    for (row, score) in rows.iter().zip(scores) {
        if let Some(candidate) = candidates.get_mut(*row) {
            candidate.score = score;
            candidate.rejection = score.is_none().then_some(Rejection::Policy);
        }
    }
}

/// The order when even the built-in policy could not decide.
fn cheapest_first(figures: &Figures) -> Vec<Option<f64>> {
    figures.cost_usd.iter().map(|cost| Some(1.0 / (1.0 + cost))).collect()
}

/// Whether an offer is still worth asking when its turn comes.
pub(super) fn open(flight: &Flight, row: usize) -> bool {
    let Some(candidate) = flight.candidates.get(row) else { return false };
    let gate = flight.gateway.health.gate(candidate.index, clock::steady_ms());
    matches!(gate, Gate::Closed | Gate::HalfOpen)
}

#[cfg(test)]
mod tests;
