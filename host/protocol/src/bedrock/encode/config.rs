//! Sampling, bounds, thinking and the format of the answer. What only Claude knows goes into
//! `additionalModelRequestFields`. Never sends a combination that is known to be refused.

use serde_json::{Map, Value, json};

use crate::betas::Betas;
use crate::call::Outgoing;
use crate::neutral::{Effort, Format, Issuer, Losses, Part, Request, Speaker};
use crate::openai_chat::refusal::{self, REFUSED};
use crate::quirks::{Quirks, ReasoningField, Structured, ThinkingWish};

/// The smallest budget that is accepted.
const BUDGET_MIN: u32 = 1_024;

/// Asks for what there is no setting for.
const JSON_ONLY: &str = "Give your answer as one JSON object and nothing else.";

/// What every model knows.
pub(super) fn inference(
    request: &Request,
    (limit, thinks): (Option<u32>, bool),
    extra: &mut Map<String, Value>,
    losses: &mut Losses,
) -> Map<String, Value> {
    let sampling = &request.sampling;
    let mut out = Map::new();
    out.extend(limit.map(|limit| ("maxTokens".to_owned(), json!(limit))));
    let set = [("temperature", &sampling.temperature), ("topP", &sampling.top_p)];
    for (name, value) in set {
        match value {
            Some(_) if thinks => losses.dropped(name, "not while the model thinks"),
            Some(value) => {
                out.insert(name.to_owned(), Value::Number(value.clone()));
            }
            None => {}
        }
    }
    match &sampling.top_k {
        Some(_) if thinks => losses.dropped("top_k", "not while the model thinks"),
        Some(value) => {
            extra.insert("top_k".to_owned(), Value::Number(value.clone()));
        }
        None => {}
    }
    let stop: Vec<&str> = sampling.stop.iter().map(|word| word.0.as_str()).collect();
    if !stop.is_empty() {
        out.insert("stopSequences".to_owned(), json!(stop));
    }
    let lacking = [
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("verbosity", request.verbosity.as_deref().is_some_and(|word| word != "medium")),
    ];
    for (name, _) in lacking.iter().filter(|(_, asked)| *asked) {
        losses.dropped(*name, "no such setting");
    }
    if request.choices.is_some_and(|choices| choices > 1) {
        losses.unsupported("n", "one answer at a time");
    }
    if request.logprobs.is_some() {
        losses.unsupported("logprobs", "probabilities are not told");
    }
    out
}

/// Leaves out the sampling that the model refuses.
pub(super) fn refused(
    quirks: &Quirks,
    inference: &mut Map<String, Value>,
    extra: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    for (name, here) in [("temperature", "temperature"), ("top_p", "topP"), ("top_k", "top_k")] {
        if !quirks.refuses(name, ThinkingWish::Unsaid) {
            continue;
        }
        let value = inference.remove(here).or_else(|| extra.remove(here));
        let value = value.map(|value| value.to_string());
        if let Some(severity) = value.and_then(|value| refusal::severity(name, &value)) {
            losses.note(severity, name, REFUSED);
        }
    }
}

/// Writes how Claude shall think; whether it will.
pub(super) fn thinking(
    request: &Request,
    out: &Outgoing<'_>,
    (limit, forced): (Option<u32>, bool),
    extra: &mut Map<String, Value>,
    losses: &mut Losses,
) -> bool {
    let Some(reasoning) = &request.reasoning else { return false };
    let off = reasoning.budget == Some(0) || reasoning.effort == Some(Effort::None);
    if off || (reasoning.budget.is_none() && reasoning.effort.is_none() && !reasoning.adaptive) {
        return false;
    }
    if out.quirks.reasoning == ReasoningField::Unknown {
        losses.dropped("reasoning", "the model is not asked to think");
        return false;
    }
    if forced || unproved(request) {
        losses.dropped("reasoning", "refused with a forced call or calls of another model");
        return false;
    }
    if out.quirks.adaptive_thinking {
        extra.insert("thinking".to_owned(), json!({"type": "adaptive"}));
        let effort = reasoning.effort.or_else(|| reasoning.budget.map(Effort::of_budget));
        let effort = effort.map(|effort| match effort {
            Effort::None | Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::Max => "max",
        });
        let effort = effort.map(|effort| ("output_config".to_owned(), json!({"effort": effort})));
        extra.extend(effort);
        return true;
    }
    let asked = reasoning.budget.or_else(|| reasoning.effort.map(Effort::budget));
    let asked = asked.unwrap_or_else(|| Effort::Medium.budget());
    // The bound on the answer includes the thinking, and must leave room for the answer.
    let room = limit.map_or(u32::MAX, |limit| limit.saturating_sub(1));
    if room < BUDGET_MIN {
        losses.dropped("reasoning", "the bound on the answer leaves no room to think");
        return false;
    }
    let budget = asked.clamp(BUDGET_MIN, room);
    if reasoning.budget != Some(budget) {
        losses.approximated("reasoning", "a budget that the provider takes");
    }
    let thinking = json!({"type": "enabled", "budget_tokens": budget});
    extra.insert("thinking".to_owned(), thinking);
    true
}

/// Whether the calls that are being answered came without proofs of Claude's own thinking: then it
/// may not think on.
fn unproved(request: &Request) -> bool {
    let answers = |part: &Part| matches!(part, Part::ToolResult { .. });
    let Some(last) = request.turns.last() else { return false };
    if last.speaker != Speaker::User || !last.parts.iter().any(answers) {
        return false;
    }
    let turns = request.turns.iter().rev();
    let said = turns.skip_while(|turn| turn.speaker != Speaker::Assistant);
    let mut parts =
        said.take_while(|turn| turn.speaker == Speaker::Assistant).flat_map(|turn| &turn.parts);
    !parts.any(|part| match part {
        Part::Thinking { signature: Some(proof), .. } | Part::SealedThinking(proof) => {
            proof.for_issuer(Issuer::Anthropic).is_some()
        }
        _ => false,
    })
}

/// What the answer's text must be: a schema as a setting where the model takes one, any JSON in
/// words.
pub(super) fn format(
    request: &Request,
    quirks: &Quirks,
    system: &mut Vec<Value>,
    losses: &mut Losses,
) -> Option<Value> {
    match request.format.as_ref()? {
        Format::Json => {
            losses.approximated("response_format", "asked for in words");
            system.push(json!({"text": JSON_ONLY}));
            None
        }
        Format::Schema { schema, .. } if quirks.structured != Structured::Schema => {
            losses.approximated("response_format", "an instruction asks for the schema");
            let words = format!("{JSON_ONLY} It must match this JSON schema: {}", schema.0);
            system.push(json!({"text": words}));
            None
        }
        Format::Schema { name, description, schema, .. } => {
            let mut wanted = json!({"schema": schema.0.to_string(), "name": name});
            if let (Some(told), Some(members)) = (description, wanted.as_object_mut()) {
                members.insert("description".to_owned(), json!(told.0));
            }
            let structure = json!({"jsonSchema": wanted});
            Some(json!({"textFormat": {"type": "json_schema", "structure": structure}}))
        }
    }
}

pub(super) fn service_tier(request: &Request, losses: &mut Losses) -> Option<Value> {
    match request.service_tier.as_deref()? {
        "auto" | "default" | "standard" | "standard_only" => None,
        tier @ ("flex" | "priority") => Some(json!({"type": tier})),
        _ => {
            losses.dropped("service_tier", "no such tier");
            None
        }
    }
}

/// What Claude knows beyond the API, and the members that need it. Any other member of another
/// dialect is left out.
pub(super) fn betas(
    request: &Request,
    quirks: &Quirks,
    extra: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    let betas = Betas::towards(&request.betas, quirks).known_alone();
    betas.note(losses);
    for own in &request.own {
        if betas.carries(&own.at) {
            extra.insert(own.at.clone(), own.value.0.clone());
        } else {
            own.lost(losses, "unknown to the provider");
        }
    }
    let sent: Vec<&str> = betas.sent().collect();
    if !sent.is_empty() {
        extra.insert("anthropic_beta".to_owned(), json!(sent));
    }
}
