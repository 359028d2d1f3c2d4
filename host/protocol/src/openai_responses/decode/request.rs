//! A request's members outside the conversation and the tools. Members that only this dialect has
//! are kept as such; those without effect on an answer are left out.

use serde_json::{Map, Number, Value};

use crate::Dialect;
use crate::neutral::{Effort, Format, Own, Part, Reasoning, Request};
use crate::request_error::RequestError;

use super::{input, text, tools};

const LOGPROBS: &str = "message.output_text.logprobs";
const SEALED: &str = "reasoning.encrypted_content";

/// Reads a whole request.
pub(crate) fn request(body: &[u8]) -> Result<Request, RequestError> {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return Err(RequestError::invalid("the request body", "one JSON object"));
    };
    let mut request = Request {
        model: text(&members, "model").unwrap_or_default(),
        stream: members.get("stream").and_then(Value::as_bool).unwrap_or(false),
        ..Request::of(Dialect::OpenAiResponses)
    };
    if let Some(instructions) = text(&members, "instructions").filter(|text| !text.is_empty()) {
        request.system.push(Part::text(instructions));
    }
    for (name, value) in &members {
        if !value.is_null() {
            member(name, value, &mut request)?;
        }
    }
    request.name_results();
    if request.user.is_none() {
        request.user = text(&members, "safety_identifier");
    }
    wanted_logprobs(&members, &mut request);
    Ok(request)
}

fn member(name: &str, value: &Value, request: &mut Request) -> Result<(), RequestError> {
    match name {
        "input" => input::read(value, request)?,
        "tools" => tools::read(value, request),
        "tool_choice" => tools::choice(value, request),
        "parallel_tool_calls" => request.parallel_tools = value.as_bool(),
        "max_output_tokens" => {
            request.output_limit = value.as_u64().and_then(|limit| u32::try_from(limit).ok());
        }
        "temperature" => request.sampling.temperature = number(value),
        "top_p" => request.sampling.top_p = number(value),
        "reasoning" => reasoning(value, request),
        "text" => text_member(value, request),
        "metadata" => {
            let empty = value.as_object().is_some_and(Map::is_empty);
            request.metadata = (!empty).then(|| value.clone().into());
        }
        "user" => request.user = value.as_str().map(str::to_owned),
        "service_tier" => request.service_tier = value.as_str().map(str::to_owned),
        "prompt_cache_key" => request.cache_key = value.as_str().map(str::to_owned),
        "include" => include(value, request),
        // Read elsewhere, or the default, or without effect on the answer.
        "model"
        | "stream"
        | "instructions"
        | "top_logprobs"
        | "safety_identifier"
        | "stream_options"
        | "prompt_cache_retention"
        | "background" => {}
        "store" if value == false => {}
        "truncation" if value == "disabled" => {}
        _ => own(name, value, request),
    }
    Ok(())
}

/// Keeps a member that only this dialect has.
pub(super) fn own(at: &str, value: &Value, request: &mut Request) {
    request.own.push(Own { at: at.to_owned(), value: value.clone().into() });
}

fn number(value: &Value) -> Option<Number> {
    value.as_number().cloned()
}

fn reasoning(value: &Value, request: &mut Request) {
    let Some(members) = value.as_object() else {
        return own("reasoning", value, request);
    };
    let mut reasoning = Reasoning::default();
    for (name, value) in members {
        match (name.as_str(), value.as_str()) {
            (_, None) if value.is_null() => {}
            ("effort", Some(word)) if Effort::parse(word).is_some() => {
                reasoning.effort = Effort::parse(word);
            }
            ("summary" | "generate_summary", Some(word)) => {
                reasoning.summary = Some(word.to_owned());
            }
            _ => own(&format!("reasoning.{name}"), value, request),
        }
    }
    if reasoning != Reasoning::default() {
        request.reasoning = Some(reasoning);
    }
}

fn text_member(value: &Value, request: &mut Request) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match name.as_str() {
            _ if value.is_null() => {}
            "verbosity" => request.verbosity = value.as_str().map(str::to_owned),
            "format" => format(value, request),
            _ => own(&format!("text.{name}"), value, request),
        }
    }
}

fn format(value: &Value, request: &mut Request) {
    let member = |name: &str| value.get(name).and_then(Value::as_str);
    match member("type") {
        Some("text") => {}
        Some("json_object") => request.format = Some(Format::Json),
        Some("json_schema") => {
            // Some clients nest the schema as chat does.
            let inner = value.get("json_schema").unwrap_or(value);
            let member = |name: &str| inner.get(name).and_then(Value::as_str);
            request.format = Some(Format::Schema {
                name: member("name").unwrap_or("output").to_owned(),
                description: member("description").map(Into::into),
                schema: inner.get("schema").cloned().unwrap_or(Value::Null).into(),
                strict: inner.get("strict").and_then(Value::as_bool),
            });
        }
        _ => own("text.format", value, request),
    }
}

/// What shall be included that other dialects know by another name is not kept as such.
fn include(value: &Value, request: &mut Request) {
    let known = |item: &&Value| *item != LOGPROBS && *item != SEALED;
    let rest: Vec<Value> = value.as_array().into_iter().flatten().filter(known).cloned().collect();
    if !rest.is_empty() {
        own("include", &Value::Array(rest), request);
    }
}

fn wanted_logprobs(members: &Map<String, Value>, request: &mut Request) {
    let include = members.get("include").and_then(Value::as_array);
    let asked = include.is_some_and(|items| items.iter().any(|item| item == LOGPROBS));
    let top = members.get("top_logprobs").and_then(Value::as_u64).unwrap_or(0);
    if asked || top > 0 {
        request.logprobs = Some(u32::try_from(top).unwrap_or(u32::MAX));
    }
}
