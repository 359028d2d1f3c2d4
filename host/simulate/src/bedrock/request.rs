//! Reads a Converse request. Refuses what Bedrock refuses, in its words.

use serde_json::Value;

use super::content;
use super::error::invalid;
use crate::answer::{Ask, Choice, Format, Tool, Wish};
use crate::speech::{ErrorBody, Incoming};
use crate::tally::Tally;
use crate::tokens;

/// Members of a request.
const MEMBERS: [&str; 12] = [
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "outputConfig",
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
];
/// Members of its `inferenceConfig`.
const CONFIG: [&str; 4] = ["maxTokens", "temperature", "topP", "stopSequences"];
/// What Claude reads of `additionalModelRequestFields`.
const ADDITIONAL: [&str; 5] =
    ["thinking", "top_k", "anthropic_beta", "output_config", "context_management"];
/// Betas that it knows; another one is refused.
const BETAS: [&str; 3] = [
    "interleaved-thinking-2025-05-14",
    "context-management-2025-06-27",
    "fine-grained-tool-streaming-2025-05-14",
];

/// Refuses members other than `known`.
pub(super) fn only(value: &Value, known: &[&str], at: &str) -> Result<(), ErrorBody> {
    let mut names = value.as_object().into_iter().flat_map(|members| members.keys());
    match names.find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(invalid(&format!(
            "The model returned the following errors: {at}: extraneous key [{name}] is not \
             permitted"
        ))),
        None => Ok(()),
    }
}

/// Reads the whole request.
pub(super) fn read(incoming: &Incoming<'_>) -> Result<Ask, ErrorBody> {
    let body: Value = serde_json::from_slice(&incoming.request.body)
        .map_err(|_| invalid("The request body is not valid JSON"))?;
    only(&body, &MEMBERS, "#")?;
    let config = body.get("inferenceConfig").unwrap_or(&Value::Null);
    only(config, &CONFIG, "#/inferenceConfig")?;
    let stop = config.get("stopSequences").and_then(Value::as_array);
    let stop = stop.map_or(&[][..], Vec::as_slice);
    let mut ask = Ask {
        output_limit: config.get("maxTokens").and_then(Value::as_u64),
        choices: 1,
        stop: stop.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        format: format(&body),
        call_ids: Some(("tooluse_", 22)),
        ..Ask::default()
    };
    additional(&body, &mut ask)?;
    let mut tally = Tally::new(incoming.model.prompt_cache);
    for block in body.get("system").and_then(Value::as_array).into_iter().flatten() {
        only(block, &["text", "cachePoint", "guardContent"], "#/system")?;
        tally.text(block.get("text").and_then(Value::as_str).unwrap_or(""));
    }
    tools(&body, &mut ask, &mut tally)?;
    content::read(&body, incoming, &mut ask, &mut tally)?;
    tally.into_ask(&mut ask);
    Ok(ask)
}

fn format(body: &Value) -> Format {
    let schema = body.pointer("/outputConfig/textFormat/structure/jsonSchema/schema");
    let schema = schema.and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    schema.map_or(Format::Text, Format::JsonSchema)
}

/// What goes to the model beyond Converse.
fn additional(body: &Value, ask: &mut Ask) -> Result<(), ErrorBody> {
    let extra = body.get("additionalModelRequestFields").unwrap_or(&Value::Null);
    only(extra, &ADDITIONAL, "#/additionalModelRequestFields")?;
    let betas = extra.get("anthropic_beta").and_then(Value::as_array);
    let mut betas = betas.into_iter().flatten().filter_map(Value::as_str);
    if betas.clone().any(|beta| !BETAS.contains(&beta)) {
        return Err(invalid("The model returned the following errors: invalid beta flag"));
    }
    let managed = extra.get("context_management").is_some();
    if managed && !betas.any(|beta| beta.starts_with("context-management-")) {
        let text = "context_management: Extra inputs are not permitted";
        return Err(invalid(&format!("The model returned the following errors: {text}")));
    }
    let thinking = extra.get("thinking").unwrap_or(&Value::Null);
    ask.thinking = match thinking.get("type").and_then(Value::as_str) {
        Some("enabled" | "adaptive") => Wish::Shown,
        _ => Wish::No,
    };
    ask.thinking_budget = thinking.get("budget_tokens").and_then(Value::as_u64);
    if let (Some(budget), Some(limit)) = (ask.thinking_budget, ask.output_limit)
        && budget >= limit
    {
        let text = "`max_tokens` must be greater than `thinking.budget_tokens`";
        return Err(invalid(&format!("The model returned the following errors: {text}")));
    }
    Ok(())
}

fn tools(body: &Value, ask: &mut Ask, tally: &mut Tally) -> Result<(), ErrorBody> {
    let Some(config) = body.get("toolConfig") else { return Ok(()) };
    only(config, &["tools", "toolChoice"], "#/toolConfig")?;
    let tools = config.get("tools").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if tools.is_empty() {
        return Err(invalid("toolConfig.tools: expected at least one tool"));
    }
    for tool in tools {
        only(tool, &["toolSpec", "cachePoint", "systemTool"], "#/toolConfig/tools")?;
        let Some(spec) = tool.get("toolSpec") else { continue };
        only(spec, &["name", "description", "inputSchema", "strict"], "#/toolConfig/tools")?;
        let name = spec.get("name").and_then(Value::as_str).unwrap_or("");
        if name.is_empty() || spec.get("description").and_then(Value::as_str) == Some("") {
            return Err(invalid("toolSpec: name and description must not be empty"));
        }
        let Some(schema) = spec.pointer("/inputSchema/json").filter(|schema| schema.is_object())
        else {
            return Err(invalid("toolSpec.inputSchema.json is required"));
        };
        tally.part(tool, tokens::count(&spec.to_string()));
        let (name, parameters) = (name.to_owned(), schema.clone());
        ask.tools.push(Tool { name, parameters, custom: false });
    }
    let choice = config.get("toolChoice").unwrap_or(&Value::Null);
    only(choice, &["auto", "any", "tool"], "#/toolConfig/toolChoice")?;
    let named = choice.pointer("/tool/name").and_then(Value::as_str);
    ask.choice = match named {
        Some(name) => Choice::Named(name.to_owned()),
        None if choice.get("any").is_some() => Choice::Required,
        None => Choice::Auto,
    };
    Ok(())
}
