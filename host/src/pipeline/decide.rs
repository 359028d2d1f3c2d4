//! Steps 4 to 8: what must not leave, what kind of task it is, who can and may do it, in which
//! order they are asked, and the money for it.

use std::sync::Arc;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Needs;

use crate::budget::{self, OUTPUT_TOKENS_UNKNOWN, Payer};
use crate::catalog::{Kind, Offer};
use crate::clock;
use crate::error::Refusal;
use crate::policy::{AttrValue, Figures, Objective};
use crate::redact;
use crate::route::{self, Asked, Candidate, Gate, Rejection, Selector, Workload};

use super::facts::{self, CallView, PolicyScan};
use super::fidelity::Fidelity;
use super::flight::Flight;
use super::settle;

/// The task of every request for vectors.
const EMBEDDING: &str = "embedding";
/// Rejection reasons that a refusal lists.
const REASONS_SHOWN: usize = 3;

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
    let offers = &flight.gateway.offers;
    let selector = flight.selector();
    let indices = match selector {
        Selector::Auto(_) => offers.all(),
        Selector::Named(name) => {
            offers.resolve(name).map_err(|unknown| match unknown.ambiguous {
                true => Box::new(Refusal::ambiguous_model(name, &unknown.suggestions)),
                false => Box::new(Refusal::unknown_model(name, &unknown.suggestions)),
            })?
        }
    };
    let needs = needs(flight, selector);
    let embeds = flight.call.embeds();
    let asked = Asked {
        kind: if embeds { Kind::Embedding } else { Kind::Chat },
        selector,
        needs: &needs,
        input_tokens: flight.input_tokens.saturating_add(flight.task.context_tokens),
        output_limit: flight.call.output_limit,
    };
    let task = &flight.task;
    let (input, limit) = (flight.input_tokens, flight.call.output_limit);
    // Vectors are no tokens: the answer has none.
    let limit = if embeds { Some(0) } else { limit };
    let work = Workload::new(&task.task, task.difficulty, input, limit).at(flight.started.at_ms);
    let now_ms = clock::now_ms();
    let health = &flight.gateway.health;
    let pin = flight.turn.and_then(|turn| turn.pin(&flight.gateway.affinity));
    let found = |index: &u32| {
        let row = usize::try_from(*index).unwrap_or(usize::MAX);
        offers.offer(*index).map(|offer| (row, offer))
    };
    let check = |row: usize, offer: &Offer| {
        let allowed = flight.caller.may_use(&offer.model);
        route::check(offer, &asked, allowed, health.gate(row, now_ms))
    };
    let mut fidelity = Fidelity::new(flight);
    let open = indices.iter().filter_map(found).filter(|(row, offer)| check(*row, offer).is_none());
    fidelity.prepare(open.map(|(_, offer)| &**offer)).await;
    let mut candidates = Vec::with_capacity(indices.len());
    for (row, offer) in indices.iter().filter_map(found) {
        let mut rejection = check(row, offer).or_else(|| fidelity.check(offer));
        let mut figures = None;
        if rejection.is_none() {
            figures = route::figure_row(offer, &work, health.snapshot(row));
            if let (Some(pin), Some(row)) = (pin.filter(|pin| pin.offer == row), &mut figures) {
                pin.warm(row, offer, &work);
            }
            // A service tier that costs more, or a search, and has no price here is as good as no
            // price at all.
            let more = flight.call.service_tier.is_some() || settle::searches(flight, offer);
            let priced = !more || settle::worst_case(flight, offer, 0).is_some();
            rejection = match (figures.is_some(), priced) {
                (true, true) => None,
                (true, false) if settle::searches(flight, offer) => Some(Rejection::SearchUnpriced),
                _ => Some(Rejection::Unpriced),
            };
        }
        candidates.push(Candidate { index: row, rejection, figures, score: None });
    }
    flight.candidates = candidates;
    if flight.candidates.iter().all(|c| c.rejection.is_some()) {
        return Err(Box::new(nobody(flight, now_ms)));
    }
    Ok(())
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
    Some(match resting().all(|(offer, _)| health.is_limited(offer, now_ms)) {
        true => Refusal::all_limited(retry_after_s),
        false => Refusal::all_resting(retry_after_s),
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
    if reasons().all(|reason| *reason == Rejection::NotAllowed) {
        return Refusal::model_forbidden(&flight.call.model);
    }
    let mut shown: Vec<String> = Vec::new();
    for candidate in &flight.candidates {
        let Some(reason) = &candidate.rejection else { continue };
        // Where the choice is ours, only what was near to being chosen is worth telling.
        let plain = matches!(
            reason,
            Rejection::NotChat
                | Rejection::NotEmbedding
                | Rejection::Dialect
                | Rejection::Deprecated
        );
        let telling = !plain || matches!(flight.selector(), Selector::Named(_));
        if let Some(offer) = flight.offer(candidate)
            && telling
            && shown.len() < REASONS_SHOWN
        {
            shown.push(format!("{}: {reason}", offer.id));
        }
    }
    if shown.is_empty() {
        let kind = if flight.call.embeds() { EMBEDDING } else { "chat" };
        shown.push(format!(
            "no {kind} model is configured; the operator adds one under [providers]"
        ));
    }
    if let (Selector::Named(name), true) =
        (flight.selector(), reasons().any(|reason| *reason == Rejection::Unpriced))
    {
        let priced = flight.gateway.offers.priced_like(name).into_iter();
        let mut priced = priced.filter(|model| flight.caller.may_use(model)).peekable();
        if priced.peek().is_some() {
            let near: Vec<String> = priced.map(|model| format!("`{model}`")).collect();
            shown.push(format!("with a known price and a name near it: {}", near.join(", ")));
        }
    }
    Refusal::no_candidate(&shown.join("; "))
}

/// Whether a candidate that rests may be the one that keeps the conversation.
fn could_keep(flight: &Flight, candidate: &Candidate) -> bool {
    let native = flight.call.dialect.label();
    let resting = matches!(candidate.rejection, Some(Rejection::Resting { .. }));
    resting && flight.offer(candidate).is_some_and(|offer| offer.speaks(native))
}

/// Step 7. The rows of the plan, best first.
pub(super) async fn score(flight: &mut Flight) -> Result<Vec<usize>, Box<Refusal>> {
    let running = flight.candidates.iter().filter(|c| c.rejection.is_none()).count();
    let mut figures = Figures::with_capacity(running);
    let mut rows: Vec<usize> = Vec::with_capacity(running);
    let mut indices: Vec<usize> = Vec::with_capacity(running);
    for (row, candidate) in flight.candidates.iter().enumerate() {
        let (None, Some(f)) = (&candidate.rejection, &candidate.figures) else { continue };
        figures.quality.push(f.quality);
        figures.cost_usd.push(f.cost_usd);
        figures.cost_worst_usd.push(f.cost_worst_usd);
        figures.first_token_ms.push(f.first_token_ms);
        figures.first_token_p95_ms.push(f.first_token_p95_ms);
        figures.tokens_per_second.push(f.tokens_per_second);
        figures.availability.push(f.availability);
        figures.in_flight.push(f.in_flight);
        figures.marks.push(f.marks);
        figures.expected_pico.push(f.expected_cost.0);
        rows.push(row);
        indices.push(candidate.index);
    }
    let objective = Objective {
        profile: flight.selector().profile().label().to_owned(),
        quality_floor: 0.0,
        cost_ceiling_usd: 0.0,
        first_token_ceiling_ms: 0.0,
    };
    let catalog = Arc::clone(&flight.gateway.offers);
    let ranked = Arc::new(facts::Ranked { catalog, indices });
    let verdict = flight.session.score(&flight.task, &figures, &objective, ranked).await;
    let scores = verdict.value.unwrap_or_else(|| cheapest_first(&figures));
    for (row, score) in rows.iter().zip(scores) {
        if let Some(candidate) = flight.candidates.get_mut(*row) {
            candidate.score = score;
            candidate.rejection = score.is_none().then_some(Rejection::Policy);
        }
    }
    let offers = flight.gateway.offers.offers();
    let plan = route::plan(&flight.candidates, offers, flight.gateway.settings.attempts);
    if plan.is_empty() {
        return Err(Box::new(nobody(flight, clock::now_ms())));
    }
    let plan = comparable(flight, plan);
    flight.plan.clone_from(&plan);
    Ok(plan)
}

/// Of a plan for vectors what has the first one's model: those of another can't be compared with
/// them, so it is no fallback.
fn comparable(flight: &Flight, mut plan: Vec<usize>) -> Vec<usize> {
    let model = |row: &usize| flight.offer_of(*row).map(|offer| &*offer.model);
    if flight.call.embeds()
        && let Some(first) = plan.first().and_then(model)
    {
        plan.retain(|row| model(row) == Some(first));
    }
    plan
}

/// The order when even the built-in policy could not decide.
fn cheapest_first(figures: &Figures) -> Vec<Option<f64>> {
    figures.cost_usd.iter().map(|cost| Some(1.0 / (1.0 + cost))).collect()
}

/// Step 8. The worst case over the plan, on the credit and every budget; the output limit is
/// clamped where the whole of it can't be had.
pub(super) async fn reserve(flight: &mut Flight, plan: &[usize]) -> Result<(), Box<Refusal>> {
    let offers: Vec<Arc<Offer>> =
        plan.iter().filter_map(|row| flight.offer_of(*row).map(Arc::clone)).collect();
    let embeds = flight.call.embeds();
    let asked = if embeds { 0 } else { longest_answer(flight.call.output_limit, &offers) };
    let worst = worst_quote(flight, &offers, asked).await?;
    let ledger = Arc::clone(&flight.gateway.ledger);
    let caller = Arc::clone(&flight.caller);
    let budgets: Vec<(&str, u64)> = caller
        .budget
        .iter()
        .map(|budget| (&*budget.id, budget.window(flight.started.at_ms)))
        .collect();
    let at_ms = flight.started.at_ms;
    let expires_at_ms = at_ms.saturating_add(flight.gateway.settings.hold_ms);
    let payer =
        Payer { org: &caller.org, budgets: &budgets, id: flight.started.id, at_ms, expires_at_ms };
    let affordable = budget::affordable(&ledger, &payer);
    let mut amount = worst;
    if worst > affordable
        && !embeds
        && let Some(limit) = clamp(flight, &offers, asked, worst, affordable)
    {
        let clamped = worst_quote(flight, &offers, limit).await?;
        if clamped <= affordable {
            flight.clamped = Some(limit);
            amount = clamped;
        }
    }
    let hold = budget::reserve(&ledger, &payer, amount)?;
    flight.held = hold.amount();
    flight.hold = Some(hold);
    Ok(())
}

/// The longest answer that any offer of the plan may give.
fn longest_answer(limit: Option<u32>, offers: &[Arc<Offer>]) -> u32 {
    let of = |offer: &Offer| match offer.output_tokens {
        0 => limit.unwrap_or(OUTPUT_TOKENS_UNKNOWN),
        most => limit.map_or(most, |limit| limit.min(most)),
    };
    offers.iter().map(|offer| of(offer)).max().unwrap_or(OUTPUT_TOKENS_UNKNOWN)
}

/// Tokens of each answer of this offer that the hold covers.
pub(super) fn held_tokens(flight: &Flight, offer: &Arc<Offer>) -> u32 {
    let limit = flight.clamped.or(flight.call.output_limit);
    longest_answer(limit, std::slice::from_ref(offer))
}

async fn worst_quote(
    flight: &mut Flight,
    offers: &[Arc<Offer>],
    output: u32,
) -> Result<PicoUsd, Box<Refusal>> {
    let mut worst = PicoUsd(0);
    for offer in offers {
        let tokens = longest_answer(Some(output), std::slice::from_ref(offer));
        let Some(cost) = settle::quote(flight, offer, tokens).await else {
            return Err(Box::new(Refusal::internal()));
        };
        worst = worst.max(cost);
    }
    Ok(worst)
}

/// A limit whose worst case fits. The bill policy may charge other than official rates, so what is
/// affordable is scaled by how the two compare on the whole request.
fn clamp(
    flight: &Flight,
    offers: &[Arc<Offer>],
    asked: u32,
    worst: PicoUsd,
    affordable: PicoUsd,
) -> Option<u32> {
    let official = |tokens: u32| {
        let cost = |offer: &Arc<Offer>| {
            let tokens = longest_answer(Some(tokens), std::slice::from_ref(offer));
            settle::worst_case(flight, offer, tokens)
        };
        offers.iter().map(cost).try_fold(PicoUsd(0), |most, cost| cost.map(|c| most.max(c)))
    };
    let whole = official(asked)?;
    let scaled = affordable.0.checked_mul(whole.0).and_then(|product| product.checked_div(worst.0));
    let scaled = PicoUsd(scaled.unwrap_or(affordable.0).min(affordable.0));
    budget::clamp(asked, flight.gateway.settings.clamp_floor_tokens, scaled, official)
}

/// Whether an offer is still worth asking when its turn comes.
pub(super) fn open(flight: &Flight, row: usize) -> bool {
    let Some(candidate) = flight.candidates.get(row) else { return false };
    !matches!(flight.gateway.health.gate(candidate.index, clock::now_ms()), Gate::Open { .. })
}
