//! A caller's request as the neutral model has it. Members that only this dialect has are kept with
//! their names, so that a target that cannot carry them says so. Never guesses at a wrong type: the
//! view has refused those that matter.

use serde_json::{Map, Value};

use crate::Dialect;
use crate::neutral::{
    Effort, Format, Own, Reasoning, Request, Speaker, Tool, ToolChoice, ToolKind, Turn, Words,
};
use crate::request_error::RequestError;

use super::content::{cache, parts};
use super::string;

/// Members of a tool that the neutral model has no place for and that change what a model does.
const TOOL_OWN: &[&str] = &["defer_loading", "input_examples", "allowed_callers"];

/// Reads a whole body.
pub(crate) fn request(body: &[u8]) -> Result<Request, RequestError> {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        return Err(RequestError::invalid("the request body", "one JSON object"));
    };
    let mut request = Request::of(Dialect::AnthropicMessages);
    for (name, value) in object {
        member(&mut request, &name, value)?;
    }
    request.name_results();
    Ok(request)
}

fn member(request: &mut Request, name: &str, value: Value) -> Result<(), RequestError> {
    match (name, value) {
        // As if it were not there.
        (_, Value::Null) => {}
        ("model", Value::String(model)) => request.model = model,
        ("stream", Value::Bool(stream)) => request.stream = stream,
        ("max_tokens", Value::Number(limit)) => {
            request.output_limit = limit.as_u64().and_then(|limit| u32::try_from(limit).ok());
        }
        ("system", value) => request.system = parts(Some(&value), "system")?,
        ("messages", Value::Array(messages)) => request.turns = turns(&messages)?,
        ("tools", Value::Array(tools)) => read_tools(request, &tools)?,
        ("tool_choice", Value::Object(choice)) => tool_choice(request, &choice),
        ("thinking", Value::Object(thinking)) => read_thinking(request, &thinking),
        ("output_config", Value::Object(config)) => output_config(request, config),
        ("output_format", Value::Object(format)) => {
            read_format(request, "output_format", Value::Object(format));
        }
        ("stop_sequences", Value::Array(stop)) => {
            let words = stop.iter().filter_map(Value::as_str).map(Words::from);
            request.sampling.stop = words.collect();
        }
        ("temperature", Value::Number(number)) => request.sampling.temperature = Some(number),
        ("top_p", Value::Number(number)) => request.sampling.top_p = Some(number),
        ("top_k", Value::Number(number)) => request.sampling.top_k = Some(number),
        ("metadata", Value::Object(mut metadata)) => {
            if let Some(Value::String(user)) = metadata.remove("user_id") {
                request.user = Some(user);
            }
            if !metadata.is_empty() {
                request.metadata = Some(Value::Object(metadata).into());
            }
        }
        ("service_tier", Value::String(tier)) => {
            // The model's words are OpenAI's.
            let tier = if tier == "standard_only" { "default".to_owned() } else { tier };
            request.service_tier = Some(tier);
        }
        // The gateway's own to write: they belong to an address, not to a request.
        ("anthropic_version" | "anthropic_beta", _) => {}
        (name, value) => own(request, name, value),
    }
    Ok(())
}

fn own(request: &mut Request, at: impl Into<String>, value: Value) {
    request.own.push(Own { at: at.into(), value: value.into() });
}

fn turns(messages: &[Value]) -> Result<Vec<Turn>, RequestError> {
    let mut turns = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages[{index}]");
        let speaker = match message.get("role").and_then(Value::as_str) {
            Some("user") => Speaker::User,
            Some("assistant") => Speaker::Assistant,
            Some("system") => Speaker::System,
            _ => return Err(RequestError::invalid(format!("{at}.role"), "user or assistant")),
        };
        let parts = parts(message.get("content"), &format!("{at}.content"))?;
        turns.push(Turn { at, speaker, parts, name: None });
    }
    Ok(turns)
}

fn read_tools(request: &mut Request, tools: &[Value]) -> Result<(), RequestError> {
    for (index, value) in tools.iter().enumerate() {
        let at = format!("tools[{index}]");
        let Some(tool) = value.as_object() else {
            return Err(RequestError::invalid(at, "an object"));
        };
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or("custom");
        let name = string(tool, "name");
        if kind != "custom" {
            request.tools.push(Tool {
                kind: ToolKind::BuiltIn,
                name: name.unwrap_or_else(|| kind.to_owned()),
                description: None,
                schema: Some(value.clone().into()),
                strict: None,
                cache: None,
            });
            continue;
        }
        let named = || RequestError::missing(format!("{at}.name"), "the tool's name");
        request.tools.push(Tool {
            kind: ToolKind::Function,
            name: name.ok_or_else(named)?,
            description: string(tool, "description").map(Words::from),
            schema: tool.get("input_schema").filter(|s| s.is_object()).cloned().map(Into::into),
            strict: tool.get("strict").and_then(Value::as_bool),
            cache: cache(tool),
        });
        for key in TOOL_OWN {
            if let Some(value) = tool.get(*key).filter(|value| **value != Value::Bool(false)) {
                own(request, format!("{at}.{key}"), value.clone());
            }
        }
    }
    Ok(())
}

fn tool_choice(request: &mut Request, choice: &Map<String, Value>) {
    request.tool_choice = match choice.get("type").and_then(Value::as_str) {
        Some("auto") => Some(ToolChoice::Auto),
        Some("any") => Some(ToolChoice::Required),
        Some("none") => Some(ToolChoice::None),
        Some("tool") => string(choice, "name").map(ToolChoice::Named),
        _ => None,
    };
    let one = choice.get("disable_parallel_tool_use").and_then(Value::as_bool);
    request.parallel_tools = one.map(|one| !one);
}

fn read_thinking(request: &mut Request, thinking: &Map<String, Value>) {
    let reasoning = request.reasoning.get_or_insert_with(Reasoning::default);
    match thinking.get("type").and_then(Value::as_str) {
        Some("disabled") => {
            reasoning.budget = Some(0);
            return;
        }
        Some("enabled") => {
            let budget = thinking.get("budget_tokens").and_then(Value::as_u64);
            reasoning.budget = Some(u32::try_from(budget.unwrap_or(1_024)).unwrap_or(u32::MAX));
        }
        _ => reasoning.adaptive = true,
    }
    // Thinking that is asked for here is shown, unless it shall not be.
    let hidden = thinking.get("display").and_then(Value::as_str) == Some("omitted");
    reasoning.summary = (!hidden).then(|| "auto".to_owned());
}

fn output_config(request: &mut Request, config: Map<String, Value>) {
    for (name, value) in config {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("effort", Value::String(word)) => match Effort::parse(&word) {
                Some(effort) => {
                    let reasoning = request.reasoning.get_or_insert_with(Reasoning::default);
                    reasoning.effort = Some(effort);
                }
                None => own(request, "output_config.effort", Value::String(word)),
            },
            ("format", value) => read_format(request, "output_config.format", value),
            (name, value) => own(request, format!("output_config.{name}"), value),
        }
    }
}

fn read_format(request: &mut Request, at: &str, value: Value) {
    let schema = value.get("schema").filter(|schema| schema.is_object()).cloned();
    let named = value.get("type").and_then(Value::as_str) == Some("json_schema");
    match schema.filter(|_| named) {
        Some(schema) => {
            request.format = Some(Format::Schema {
                name: "answer".to_owned(),
                description: None,
                schema: schema.into(),
                strict: Some(true),
            });
        }
        None => own(request, at, value),
    }
}
