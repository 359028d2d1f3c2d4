//! A request's members outside the conversation and the tools. Nothing is kept at the provider:
//! `store` is false unless the caller asked otherwise.

use serde_json::{Map, Number, Value, json};

use crate::Dialect;
use crate::call::Outgoing;
use crate::neutral::{Effort, Format, Losses, Reasoning, Request};
use crate::openai_chat::encode::{HINT_MAX, fitted};
use crate::openai_chat::refusal::{self, REFUSED};
use crate::quirks::{Quirks, ThinkingWish};

use super::{tools, turns};

/// The smallest bound on answer tokens that OpenAI takes.
const OUTPUT_LIMIT_MIN: u32 = 16;
const TIERS: [&str; 5] = ["auto", "default", "flex", "scale", "priority"];
/// Members of this dialect that are written as they came.
const OWN: [&str; 12] = [
    "store",
    "include",
    "truncation",
    "previous_response_id",
    "conversation",
    "prompt",
    "max_tool_calls",
    "tool_choice",
    "text.format",
    "reasoning.effort",
    "context_management",
    "prompt_cache_retention",
];

/// Writes a whole request.
pub(crate) fn request(request: &Request, out: &Outgoing<'_>, losses: &mut Losses) -> Vec<u8> {
    let mut body = Map::new();
    put(&mut body, "model", json!(out.model));
    let input = turns::write(request, losses);
    if let Some(at) = request.begun_answer() {
        losses.approximated(at, "the provider answers anew rather than go on from it");
    }
    if let Some(instructions) = input.instructions {
        put(&mut body, "instructions", json!(instructions));
    }
    put(&mut body, "input", Value::Array(input.items));
    tools::write(request, &mut body, losses);
    if let Some(limit) = out.output_limit.or(request.output_limit) {
        if limit < OUTPUT_LIMIT_MIN {
            losses.approximated("max_output_tokens", "raised to 16 as the provider wants");
        }
        put(&mut body, "max_output_tokens", json!(limit.max(OUTPUT_LIMIT_MIN)));
    }
    let reasoning = request.reasoning.as_ref().map(|wish| reasoning(wish, out.quirks, losses));
    if let Some(reasoning) = reasoning.filter(|members| !members.is_empty()) {
        put(&mut body, "reasoning", Value::Object(reasoning));
    }
    text(request, &mut body);
    sampling(request, &mut body, losses);
    refused(out.quirks, &mut body, losses);
    if request.choices.is_some_and(|choices| choices > 1) {
        losses.unsupported("n", "the provider gives one answer to a request");
    }
    if request.stream {
        put(&mut body, "stream", json!(true));
    }
    put(&mut body, "store", json!(false));
    notes(request, &mut body);
    include(request, &mut body);
    if body.contains_key("top_logprobs") && out.quirks.refuses("logprobs", wish(&body)) {
        losses.unsupported("logprobs", REFUSED);
    }
    own(request, &mut body, losses);
    serde_json::to_vec(&body).unwrap_or_default()
}

pub(super) fn put(body: &mut Map<String, Value>, name: &str, value: Value) {
    body.insert(name.to_owned(), value);
}

fn reasoning(reasoning: &Reasoning, quirks: &Quirks, losses: &mut Losses) -> Map<String, Value> {
    let mut members = Map::new();
    let effort = match (reasoning.effort, reasoning.budget) {
        (Some(effort), _) => {
            if effort == Effort::Max {
                losses.approximated("reasoning.effort", "high in place of the highest");
            }
            Some(effort)
        }
        (None, Some(0)) if quirks.thinks_unasked => Some(Effort::None),
        // Many models refuse `none`; it is sent only to those who asked for it by that name.
        (None, Some(0)) => {
            losses.approximated("reasoning", "left to the model rather than switched off");
            None
        }
        (None, Some(budget)) => {
            losses.approximated("thinking.budget_tokens", "an effort in place of the budget");
            Some(Effort::of_budget(budget))
        }
        (None, None) => None,
    };
    if let Some(effort) = effort {
        put(&mut members, "effort", json!(effort.word()));
    }
    if let Some(summary) = &reasoning.summary {
        put(&mut members, "summary", json!(summary));
    }
    members
}

fn text(request: &Request, body: &mut Map<String, Value>) {
    let mut members = Map::new();
    match &request.format {
        None => {}
        Some(Format::Json) => put(&mut members, "format", json!({"type": "json_object"})),
        Some(Format::Schema { name, description, schema, strict }) => {
            let mut format = Map::new();
            put(&mut format, "type", json!("json_schema"));
            put(&mut format, "name", json!(name));
            if let Some(description) = description {
                put(&mut format, "description", json!(description.0));
            }
            put(&mut format, "schema", schema.0.clone());
            if let Some(strict) = strict {
                put(&mut format, "strict", json!(strict));
            }
            put(&mut members, "format", Value::Object(format));
        }
    }
    if let Some(verbosity) = &request.verbosity {
        put(&mut members, "verbosity", json!(verbosity));
    }
    if !members.is_empty() {
        put(body, "text", Value::Object(members));
    }
}

/// What the body says of thinking, by its effort.
fn wish(body: &Map<String, Value>) -> ThinkingWish {
    let effort = body.get("reasoning").and_then(|reasoning| reasoning.get("effort"));
    effort.and_then(Value::as_str).map_or(ThinkingWish::Unsaid, ThinkingWish::of_effort)
}

/// Leaves out what the model would refuse.
fn refused(quirks: &Quirks, body: &mut Map<String, Value>, losses: &mut Losses) {
    for name in ["temperature", "top_p"] {
        if !quirks.refuses(name, wish(body)) {
            continue;
        }
        let value = body.remove(name).map(|value| value.to_string());
        if let Some(severity) = value.and_then(|value| refusal::severity(name, &value)) {
            losses.note(severity, name, REFUSED);
        }
    }
}

fn sampling(request: &Request, body: &mut Map<String, Value>, losses: &mut Losses) {
    let sampling = &request.sampling;
    for (name, value) in [("temperature", &sampling.temperature), ("top_p", &sampling.top_p)] {
        if let Some(value) = value {
            put(body, name, json!(value));
        }
    }
    let lost = [
        ("top_k", sampling.top_k.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.as_ref().is_some_and(penalizes)),
        ("presence_penalty", sampling.presence_penalty.as_ref().is_some_and(penalizes)),
        ("seed", sampling.seed.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
    ];
    for (name, _) in lost.into_iter().filter(|(_, set)| *set) {
        losses.dropped(name, "the provider has no such setting");
    }
    if !sampling.stop.is_empty() {
        losses.unsupported("stop", "the provider does not stop at sequences");
    }
}

fn penalizes(penalty: &Number) -> bool {
    penalty.as_f64() != Some(0.0)
}

/// What helps the provider and does not change the answer.
fn notes(request: &Request, body: &mut Map<String, Value>) {
    let texts = |value: &Value| {
        let members = value.as_object();
        members.is_some_and(|members| members.values().all(Value::is_string))
    };
    if let Some(metadata) = request.metadata.as_ref().filter(|metadata| texts(&metadata.0)) {
        put(body, "metadata", metadata.0.clone());
    }
    let tier = request.service_tier.as_deref().filter(|tier| TIERS.contains(tier));
    let strings = [
        ("user", request.user.as_deref()),
        ("service_tier", tier),
        ("prompt_cache_key", request.cache_key.as_deref()),
    ];
    for (name, value) in strings {
        if let Some(value) = value {
            put(body, name, json!(fitted(value, HINT_MAX, "id_")));
        }
    }
}

/// Without storage at the provider, thinking comes back sealed or not at all; models that do not
/// think refuse to be asked for it.
fn include(request: &Request, body: &mut Map<String, Value>) {
    let mut wanted = Vec::new();
    let thinks = request.reasoning.as_ref().is_some_and(|reasoning| {
        reasoning.effort != Some(Effort::None) && reasoning.budget != Some(0)
    });
    if thinks {
        wanted.push(json!("reasoning.encrypted_content"));
    }
    if let Some(top) = request.logprobs {
        wanted.push(json!("message.output_text.logprobs"));
        put(body, "top_logprobs", json!(top));
    }
    if !wanted.is_empty() {
        put(body, "include", Value::Array(wanted));
    }
}

fn own(request: &Request, body: &mut Map<String, Value>, losses: &mut Losses) {
    let native = request.is_of(Dialect::OpenAiResponses);
    for own in &request.own {
        let at = own.at.as_str();
        if !native || !OWN.contains(&at) {
            own.lost(losses, "the provider has no such thing");
            continue;
        }
        match (at.split_once('.'), at) {
            (Some((outer, inner)), _) => {
                let outer = body.entry(outer).or_insert_with(|| json!({}));
                if let Some(outer) = outer.as_object_mut() {
                    put(outer, inner, own.value.0.clone());
                }
            }
            (None, "include") => {
                let wanted = body.entry("include").or_insert_with(|| json!([]));
                if let (Some(wanted), Some(more)) = (wanted.as_array_mut(), own.value.0.as_array())
                {
                    wanted.extend(more.iter().cloned());
                }
            }
            (None, "tool_choice") if !own.value.0.is_object() => {
                losses.dropped(at, "the provider has no such choice");
            }
            (None, name) => put(body, name, own.value.0.clone()),
        }
    }
}
