//! Reads a Responses request. Refuses what OpenAI refuses, in its words.

use serde_json::{Value, json};

use super::{input, invalid, missing, tools};
use crate::answer::{Ask, Format, Wish};
use crate::openai_chat::{check_schema, is_reasoning_model};
use crate::speech::{ErrorBody, Incoming};
use crate::tally::Tally;

/// Members that a request may have.
const MEMBERS: [&str; 31] = [
    "background",
    "client_metadata",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];
/// Members of Chat Completions that have another name here.
const MOVED: [(&str, &str); 5] = [
    ("messages", "input"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("response_format", "text.format"),
    ("reasoning_effort", "reasoning.effort"),
];
/// Smallest limit of an answer.
const OUTPUT_MIN: u64 = 16;

/// Reads the whole request.
pub(super) fn read(incoming: Incoming<'_>) -> Result<Ask, ErrorBody> {
    let body: Value = serde_json::from_slice(&incoming.request.body)
        .map_err(|error| invalid(&error.to_string(), None, None))?;
    check_members(&body)?;
    let input = all_input(&body, &incoming)?;
    let mut ask = Ask {
        stream: body.get("stream") == Some(&Value::Bool(true)),
        include_usage: true,
        output_limit: output_limit(&body)?,
        choices: 1,
        ..Ask::default()
    };
    ask.format = format(&body)?;
    ask.thinking = thinking(&body, &incoming)?;
    let mut tally = Tally::new(incoming.model.prompt_cache);
    tools::read(&body, &mut ask, &mut tally)?;
    if let Some(instructions) = body.get("instructions").and_then(Value::as_str) {
        tally.text(instructions);
    }
    input::read(&input, &incoming, &mut ask, &mut tally)?;
    tally.into_ask(&mut ask);
    if incoming.model.context_tokens.is_some_and(|most| ask.prompt_tokens > most) {
        let text = "Your input exceeds the context window of this model. Please adjust your input \
            and try again.";
        return Err(invalid(text, Some("input"), Some("context_length_exceeded")));
    }
    ask.request = body;
    if let Some(members) = ask.request.as_object_mut() {
        members.insert("input".to_owned(), json!(input));
    }
    Ok(ask)
}

fn check_members(body: &Value) -> Result<(), ErrorBody> {
    let names = body.as_object().into_iter().flat_map(|members| members.keys());
    for name in names {
        if let Some((_, now)) = MOVED.iter().find(|(old, _)| old == name) {
            let text = format!(
                "Unsupported parameter: '{name}'. In the Responses API, this parameter has moved \
                 to '{now}'. Try again with the new parameter. See the API documentation for more \
                 information: https://platform.openai.com/docs/api-reference/responses/create."
            );
            return Err(invalid(&text, None, Some("unsupported_parameter")));
        }
        if !MEMBERS.contains(&name.as_str()) {
            let text = format!("Unknown parameter: '{name}'.");
            return Err(invalid(&text, Some(name), Some("unknown_parameter")));
        }
    }
    Ok(())
}

/// The conversation so far: what a stored response had, and what is new.
fn all_input(body: &Value, incoming: &Incoming<'_>) -> Result<Vec<Value>, ErrorBody> {
    let mut all = match body.get("previous_response_id").filter(|id| !id.is_null()) {
        None => Vec::new(),
        Some(id) => {
            let id = id.as_str().unwrap_or("");
            let found = incoming.memory.stored(id).filter(|_| id.starts_with("resp_"));
            let Some(found) = found else {
                let text = format!("Previous response with id '{id}' not found.");
                let code = Some("previous_response_not_found");
                return Err(invalid(&text, Some("previous_response_id"), code));
            };
            found.history
        }
    };
    match body.get("input") {
        Some(Value::String(text)) => {
            all.push(json!({ "type": "message", "role": "user", "content": text }));
        }
        Some(Value::Array(items)) => all.extend(items.iter().cloned()),
        None | Some(Value::Null) => return Err(missing("input")),
        Some(_) => {
            let text = "Invalid type for 'input': expected one of an array of objects or a string.";
            return Err(invalid(text, Some("input"), Some("invalid_type")));
        }
    }
    Ok(all)
}

fn output_limit(body: &Value) -> Result<Option<u64>, ErrorBody> {
    let name = "max_output_tokens";
    let Some(value) = body.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let Some(limit) = value.as_u64() else {
        let text = format!("Invalid type for '{name}': expected an integer.");
        return Err(invalid(&text, Some(name), Some("invalid_type")));
    };
    if limit < OUTPUT_MIN {
        let text = format!(
            "Invalid '{name}': integer below minimum value. Expected a value >= {OUTPUT_MIN}, but \
             got {limit} instead."
        );
        return Err(invalid(&text, Some(name), Some("integer_below_min_value")));
    }
    Ok(Some(limit))
}

fn format(body: &Value) -> Result<Format, ErrorBody> {
    let Some(format) = body.pointer("/text/format").filter(|format| !format.is_null()) else {
        return Ok(Format::Text);
    };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(Format::Text),
        Some("json_object") => {
            let said = body.get("input").map(Value::to_string).unwrap_or_default();
            let told = body.get("instructions").map(Value::to_string).unwrap_or_default();
            if !(said + &told).to_lowercase().contains("json") {
                let text = "Response input messages must contain the word 'json' in some form to \
                    use 'text.format' of type 'json_object'.";
                return Err(invalid(text, Some("input"), None));
            }
            Ok(Format::JsonObject)
        }
        Some("json_schema") => {
            let name = format.get("name").and_then(Value::as_str);
            let Some(name) = name else { return Err(missing("text.format.name")) };
            let Some(schema) = format.get("schema") else {
                return Err(missing("text.format.schema"));
            };
            if format.get("strict") == Some(&Value::Bool(true)) {
                let what = format!("response_format '{name}'");
                check_schema(schema, &what, "text.format.schema")?;
            }
            Ok(Format::JsonSchema(schema.clone()))
        }
        _ => {
            let text = "Invalid value for 'text.format.type'. Supported values are: 'json_object', \
                'json_schema', and 'text'.";
            Err(invalid(text, Some("text.format.type"), Some("invalid_value")))
        }
    }
}

/// Whether there is a reasoning item, and whether it has a summary.
fn thinking(body: &Value, incoming: &Incoming<'_>) -> Result<Wish, ErrorBody> {
    let model = incoming.model;
    let effort = body.pointer("/reasoning/effort").and_then(Value::as_str);
    let reasons = effort != Some("none");
    let name = body.get("model").and_then(Value::as_str).unwrap_or(&model.id);
    if is_reasoning_model(name) && reasons {
        for name in ["temperature", "top_p"] {
            let other = |value: &Value| value.as_f64().is_some_and(|value| value != 1.0);
            if body.get(name).is_some_and(other) {
                let text =
                    format!("Unsupported parameter: '{name}' is not supported with this model.");
                return Err(invalid(&text, Some(name), None));
            }
        }
    }
    if name.starts_with("gpt-4") && effort.is_some() {
        let text = "Unsupported parameter: 'reasoning.effort' is not supported with this model.";
        return Err(invalid(text, Some("reasoning.effort"), Some("unsupported_parameter")));
    }
    let asked = body.get("reasoning").is_some_and(Value::is_object);
    let thinks = model.reasoning_tokens > 0 || model.reasoning_text.is_some();
    Ok(match body.pointer("/reasoning/summary") {
        _ if !reasons || !(asked || thinks) => Wish::No,
        Some(Value::String(_)) => Wish::Shown,
        _ => Wish::Hidden,
    })
}
