//! The `generationConfig`: sampling, bounds, thinking and the format of the answer. Never sends a
//! number that some model of the family is known to refuse.

use serde_json::{Map, Value, json};

use crate::call::Outgoing;
use crate::gemini::schema::is_openapi;
use crate::neutral::{Effort, Format, Losses, Reasoning, Request, Words};

/// Budgets that every model with budgets takes, 0 apart.
const BUDGET_MIN: u32 = 512;
const BUDGET_MAX: u32 = 24_576;
/// Stop sequences in one request.
const STOPS_MAX: usize = 5;
/// Answers to one request.
const CHOICES_MAX: u32 = 8;
/// Alternatives beside each token.
const LOGPROBS_MAX: u32 = 20;

/// Everything but the format.
pub(super) fn write(
    request: &Request,
    out: &Outgoing<'_>,
    losses: &mut Losses,
) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        config.extend(value.map(|value| (name.to_owned(), value)));
    };
    let sampling = &request.sampling;
    set("temperature", sampling.temperature.clone().map(Value::Number));
    set("topP", sampling.top_p.clone().map(Value::Number));
    set("topK", sampling.top_k.clone().map(Value::Number));
    set("frequencyPenalty", sampling.frequency_penalty.clone().map(Value::Number));
    set("presencePenalty", sampling.presence_penalty.clone().map(Value::Number));
    set("seed", seed(request, losses));
    set("maxOutputTokens", out.output_limit.or(request.output_limit).map(|limit| json!(limit)));
    set("stopSequences", stop(&sampling.stop, losses));
    if request.choices.is_some_and(|choices| choices > CHOICES_MAX) {
        losses.unsupported("n", "at most eight answers");
    }
    set("candidateCount", choices(request).map(|choices| json!(choices)));
    if let Some(logprobs) = request.logprobs {
        set("responseLogprobs", Some(json!(true)));
        if logprobs > LOGPROBS_MAX {
            losses.approximated("top_logprobs", "at most twenty alternatives");
        }
        set("logprobs", (logprobs > 0).then(|| json!(logprobs.min(LOGPROBS_MAX))));
    }
    let limit = out.output_limit.or(request.output_limit).unwrap_or(u32::MAX);
    let level = out.quirks.thinking_level;
    let thinking = |reasoning| thinking(reasoning, (level, limit), losses);
    set("thinkingConfig", request.reasoning.as_ref().map(thinking));
    if sampling.logit_bias.is_some() {
        losses.dropped("logit_bias", "tokens cannot be weighted");
    }
    if request.verbosity.as_deref().is_some_and(|word| word != "medium") {
        losses.dropped("verbosity", "no such setting");
    }
    config
}

/// How many answers are asked for, where it is not one.
pub(super) fn choices(request: &Request) -> Option<u32> {
    request.choices.filter(|choices| *choices > 1).map(|choices| choices.min(CHOICES_MAX))
}

/// A seed is a signed number of 32 bits here.
fn seed(request: &Request, losses: &mut Losses) -> Option<Value> {
    let seed = request.sampling.seed.as_ref()?;
    match seed.as_i64().map(i32::try_from) {
        Some(Ok(seed)) => Some(json!(seed)),
        Some(Err(_)) => {
            losses.approximated("seed", "its lower 31 bits are used");
            seed.as_i64().map(|seed| json!(seed & i64::from(i32::MAX)))
        }
        None => {
            losses.dropped("seed", "not a whole number");
            None
        }
    }
}

fn stop(stop: &[Words], losses: &mut Losses) -> Option<Value> {
    if stop.len() > STOPS_MAX {
        losses.dropped("stop", "at most five stop sequences");
    }
    let sent: Vec<_> = stop.iter().take(STOPS_MAX).map(|word| word.0.as_str()).collect();
    (!sent.is_empty()).then(|| json!(sent))
}

/// `level` in place of a budget; `limit` is the bound on the answer, thoughts included.
fn thinking(reasoning: &Reasoning, (level, limit): (bool, u32), losses: &mut Losses) -> Value {
    let off = reasoning.budget == Some(0) || reasoning.effort == Some(Effort::None);
    let mut out = Map::new();
    if level {
        let effort = reasoning.effort.or_else(|| reasoning.budget.map(Effort::of_budget));
        if reasoning.effort.is_none() && reasoning.budget.is_some() {
            losses.approximated("reasoning.budget", "a level in place of a budget");
        }
        if matches!(effort, Some(Effort::None | Effort::Minimal | Effort::Max)) {
            losses.approximated("reasoning.effort", "the nearest level that every model has");
        }
        let word = effort.map(|effort| match effort {
            Effort::None | Effort::Minimal | Effort::Low => "LOW",
            Effort::Medium => "MEDIUM",
            Effort::High | Effort::Max => "HIGH",
        });
        out.extend(word.map(|word| ("thinkingLevel".to_owned(), json!(word))));
    } else {
        let budget = budget(reasoning, limit, losses);
        out.extend(budget.map(|budget| ("thinkingBudget".to_owned(), budget)));
    }
    if !off {
        out.insert("includeThoughts".to_owned(), json!(true));
    }
    Value::Object(out)
}

fn budget(reasoning: &Reasoning, limit: u32, losses: &mut Losses) -> Option<Value> {
    if let Some(budget) = reasoning.budget {
        let most = limit.saturating_sub(1).clamp(BUDGET_MIN, BUDGET_MAX);
        let sent = if budget == 0 { 0 } else { budget.clamp(BUDGET_MIN, most) };
        if sent != budget {
            let what = "fitted to what every model takes and to the answer's bound";
            losses.approximated("reasoning.budget", what);
        }
        return Some(json!(sent));
    }
    if let Some(effort) = reasoning.effort {
        losses.approximated("reasoning.effort", "a budget in place of an effort");
        let budget = effort.budget().min(BUDGET_MAX);
        // An effort says nothing of tokens: where it would take all, half is left for the answer.
        let fitted = if budget < limit { budget } else { (limit / 2).max(BUDGET_MIN) };
        return Some(json!(fitted));
    }
    reasoning.adaptive.then(|| json!(-1))
}

/// What the answer's text must be: a setting, or an instruction in words where the model refuses
/// the setting beside tools.
pub(super) fn format(
    request: &Request,
    instructed: bool,
    config: &mut Map<String, Value>,
    system: &mut Vec<Value>,
    losses: &mut Losses,
) {
    let Some(format) = &request.format else { return };
    if instructed {
        losses.approximated("response_format", "asked for in words because there are tools");
        let words = match format {
            Format::Json => "Give your final answer as one JSON object and nothing else.".into(),
            Format::Schema { schema, .. } => format!(
                "Give your final answer as JSON and nothing else. It must match this JSON schema: \
                 {}",
                schema.0
            ),
        };
        system.push(json!({"text": words}));
        return;
    }
    config.insert("responseMimeType".to_owned(), json!("application/json"));
    if let Format::Schema { schema, .. } = format {
        let name = if is_openapi(&schema.0) { "responseSchema" } else { "responseJsonSchema" };
        config.insert(name.to_owned(), schema.0.clone());
    }
}
