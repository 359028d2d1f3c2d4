//! The `generationConfig` of a request. Never checks a range: providers do.

use serde_json::{Number, Value};

use crate::gemini::schema;
use crate::gemini::tree::{self, Members, take, take_flag, take_object, take_string, take_u32};
use crate::neutral::{Effort, Format, Own, Reasoning, Request, Words};

/// What a schema without a title is called, where a name must be.
const ANSWER: &str = "response";

/// Reads the whole object.
pub(super) fn read(mut config: Members, request: &mut Request) {
    let sampling = &mut request.sampling;
    sampling.temperature = number(&mut config, "temperature");
    sampling.top_p = number(&mut config, "topP");
    sampling.top_k = number(&mut config, "topK");
    sampling.presence_penalty = number(&mut config, "presencePenalty");
    sampling.frequency_penalty = number(&mut config, "frequencyPenalty");
    sampling.seed = number(&mut config, "seed");
    let stop = tree::items(take(&mut config, "stopSequences"));
    sampling.stop = stop.iter().filter_map(|word| word.as_str().map(Words::from)).collect();
    request.output_limit = take_u32(&mut config, "maxOutputTokens");
    request.choices = take_u32(&mut config, "candidateCount").filter(|count| *count != 1);
    let alternatives = take_u32(&mut config, "logprobs").unwrap_or(0);
    request.logprobs = take_flag(&mut config, "responseLogprobs").then_some(alternatives);
    if let Some(thinking) = take_object(&mut config, "thinkingConfig") {
        request.reasoning = Some(reasoning(thinking, &mut request.own));
    }
    format(&mut config, request);
    let modalities = tree::items(take(&mut config, "responseModalities"));
    if modalities.iter().any(|word| !is_text(word)) {
        keep("responseModalities", Value::Array(modalities), &mut request.own);
    }
    for (name, value) in config {
        if !value.is_null() {
            keep(&tree::below("", &name), value, &mut request.own);
        }
    }
}

fn is_text(word: &Value) -> bool {
    word.as_str().is_some_and(|word| word.eq_ignore_ascii_case("text"))
}

fn keep(name: &str, value: Value, own: &mut Vec<Own>) {
    own.push(Own { at: format!("generationConfig.{name}"), value: value.into() });
}

fn number(config: &mut Members, name: &str) -> Option<Number> {
    match take(config, name)? {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

fn reasoning(mut thinking: Members, own: &mut Vec<Own>) -> Reasoning {
    let mut reasoning = Reasoning::default();
    match take(&mut thinking, "thinkingBudget").as_ref().and_then(Value::as_i64) {
        Some(budget) if budget < 0 => reasoning.adaptive = true,
        Some(budget) => reasoning.budget = u32::try_from(budget).ok(),
        None => {}
    }
    let level = take_string(&mut thinking, "thinkingLevel").unwrap_or_default();
    reasoning.effort = Effort::parse(&level.to_ascii_lowercase());
    if take_flag(&mut thinking, "includeThoughts") {
        reasoning.summary = Some("auto".to_owned());
    }
    for (name, value) in thinking {
        keep(&tree::below("thinkingConfig", &name), value, own);
    }
    reasoning
}

/// Reads what the answer's text must be.
fn format(config: &mut Members, request: &mut Request) {
    let older = take(config, "responseSchema");
    let newer = take(config, "responseJsonSchema");
    let mime = take_string(config, "responseMimeType").unwrap_or_default();
    match mime.as_str() {
        "application/json" => {}
        "" | "text/plain" if older.is_none() && newer.is_none() => return,
        "" | "text/plain" => {}
        // One word of a list, and whatever comes: not JSON, so no format that others know.
        _ => {
            keep("responseMimeType", Value::String(mime), &mut request.own);
            if let Some(schema) = older {
                keep("responseSchema", schema, &mut request.own);
            }
            return;
        }
    }
    let schema = newer.or_else(|| older.map(schema::to_json_schema));
    request.format = Some(match schema {
        None => Format::Json,
        Some(schema) => Format::Schema {
            name: name_of(&schema),
            description: None,
            schema: schema.into(),
            strict: None,
        },
    });
}

/// A name made of the schema's title, of letters that every dialect allows in one.
fn name_of(schema: &Value) -> String {
    let title = schema.get("title").and_then(Value::as_str).unwrap_or_default();
    let allowed = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let name: String = title.chars().filter(allowed).take(64).collect();
    if name.is_empty() { ANSWER.to_owned() } else { name }
}
