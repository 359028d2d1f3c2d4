//! Reads a generateContent request. Refuses what Google refuses, in its words.

use serde_json::Value;

use super::error::{invalid, invalid_value};
use super::fields::{field, list, only, text};
use super::{contents, declarations};
use crate::answer::{Ask, Choice, Format, Wish};
use crate::speech::{ErrorBody, Incoming};
use crate::tally::Tally;

/// Members of a request.
const MEMBERS: [&str; 11] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
    "labels",
    "model",
    "serviceTier",
    "store",
];
/// Members of its `generationConfig`.
const CONFIG: [&str; 24] = [
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "_responseJsonSchema",
    "responseModalities",
    "responseFormat",
    "candidateCount",
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "enableEnhancedCivicAnswers",
    "speechConfig",
    "thinkingConfig",
    "imageConfig",
    "mediaResolution",
    "audioTimestamp",
    "routingConfig",
];
/// Stop sequences of one request.
const STOPS_MAX: usize = 5;
/// Candidates of one request.
const CANDIDATES_MAX: u64 = 8;
/// Largest thinking budget.
const BUDGET_MAX: i64 = 32_768;

/// Reads the whole request.
pub(super) fn read(incoming: Incoming<'_>) -> Result<Ask, ErrorBody> {
    read_value(&parse(&incoming)?, &incoming)
}

/// Reads a request for `:countTokens`, which has contents or a whole request inside.
pub(super) fn read_to_count(incoming: Incoming<'_>) -> Result<Ask, ErrorBody> {
    let body = parse(&incoming)?;
    match field(&body, "generateContentRequest") {
        Some(inner) => read_value(inner, &incoming),
        None => read_value(&body, &incoming),
    }
}

fn parse(incoming: &Incoming<'_>) -> Result<Value, ErrorBody> {
    serde_json::from_slice(&incoming.request.body)
        .map_err(|error| invalid(&format!("Invalid JSON payload received. {error}")))
}

fn read_value(body: &Value, incoming: &Incoming<'_>) -> Result<Ask, ErrorBody> {
    only(body, &MEMBERS, "")?;
    let config = field(body, "generationConfig").unwrap_or(&Value::Null);
    only(config, &CONFIG, "generation_config")?;
    let mut ask = Ask {
        output_limit: output_limit(config)?,
        choices: candidates(config)?,
        stop: stop(config)?,
        format: format(config)?,
        ..Ask::default()
    };
    thinking(config, incoming, &mut ask)?;
    let mut tally = Tally::new(incoming.model.prompt_cache);
    if let Some(system) = field(body, "systemInstruction") {
        let parts = list(system, "parts");
        parts.iter().filter_map(|part| text(part, "text")).for_each(|text| tally.text(text));
    }
    declarations::read(body, &mut ask, &mut tally)?;
    choice(body, &mut ask)?;
    let json = text(config, "responseMimeType") == Some("application/json");
    if json
        && !ask.tools.is_empty()
        && !super::model_of(incoming.request.path()).starts_with("gemini-3")
    {
        return Err(invalid(
            "Function calling with a response mime type: 'application/json' is unsupported",
        ));
    }
    contents::read(list(body, "contents"), incoming, &mut ask, &mut tally)?;
    tally.into_ask(&mut ask);
    if let Some(most) = incoming.model.context_tokens.filter(|most| ask.prompt_tokens > *most) {
        let tokens = ask.prompt_tokens;
        return Err(invalid(&format!(
            "The input token count ({tokens}) exceeds the maximum number of tokens allowed \
             ({most})."
        )));
    }
    Ok(ask)
}

fn output_limit(config: &Value) -> Result<Option<u64>, ErrorBody> {
    let Some(value) = field(config, "maxOutputTokens") else { return Ok(None) };
    let Some(limit) = value.as_i64() else {
        return Err(invalid_value("generation_config.max_output_tokens", "TYPE_INT32", value));
    };
    u64::try_from(limit).ok().filter(|limit| *limit > 0).map(Some).ok_or_else(|| {
        invalid(
            "* GenerateContentRequest.generation_config.max_output_tokens: max_output_tokens must \
             be positive.",
        )
    })
}

fn candidates(config: &Value) -> Result<u32, ErrorBody> {
    let Some(value) = field(config, "candidateCount") else { return Ok(1) };
    let count = value.as_u64().filter(|count| (1..=CANDIDATES_MAX).contains(count));
    count.and_then(|count| u32::try_from(count).ok()).ok_or_else(|| {
        invalid("Invalid value for candidate_count: only values from 1 to 8 are supported.")
    })
}

fn stop(config: &Value) -> Result<Vec<String>, ErrorBody> {
    let stops = list(config, "stopSequences");
    if stops.len() > STOPS_MAX {
        let found = stops.len();
        return Err(invalid(&format!(
            "Unable to submit request because it has more stop sequences than supported ({found} \
             of {STOPS_MAX})."
        )));
    }
    Ok(stops.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn format(config: &Value) -> Result<Format, ErrorBody> {
    let schema = field(config, "responseSchema");
    if let Some(schema) = schema {
        declarations::check_schema(schema, "generation_config.response_schema")?;
    }
    let schema = schema.or_else(|| field(config, "responseJsonSchema"));
    let schema = schema.or_else(|| field(config, "_responseJsonSchema"));
    match (text(config, "responseMimeType").unwrap_or("text/plain"), schema) {
        ("application/json" | "text/x.enum", Some(schema)) => {
            Ok(Format::JsonSchema(schema.clone()))
        }
        ("application/json", None) => Ok(Format::JsonObject),
        ("text/plain" | "text/x.enum", None) => Ok(Format::Text),
        ("text/plain", Some(_)) => Err(invalid(
            "* GenerateContentRequest.generation_config.response_schema: response_schema requires \
             the response_mime_type `application/json`.",
        )),
        _ => Err(invalid(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are \
             `text/plain`, `application/json`, `application/xml`, `application/yaml` and \
             `text/x.enum`.",
        )),
    }
}

fn thinking(config: &Value, incoming: &Incoming<'_>, ask: &mut Ask) -> Result<(), ErrorBody> {
    let model = incoming.model;
    let config = field(config, "thinkingConfig").unwrap_or(&Value::Null);
    let known = ["thinkingBudget", "includeThoughts", "thinkingLevel"];
    only(config, &known, "generation_config.thinking_config")?;
    let budget = field(config, "thinkingBudget").and_then(Value::as_i64);
    if budget.is_some() && field(config, "thinkingLevel").is_some() {
        return Err(invalid("You can only set only one of thinking budget and thinking level."));
    }
    if let Some(budget) = budget.filter(|budget| !(-1..=BUDGET_MAX).contains(budget)) {
        return Err(invalid(&format!(
            "The thinking budget {budget} is invalid. Please choose a value between 0 and \
             {BUDGET_MAX}."
        )));
    }
    if budget == Some(0) && model.id.contains("-pro") {
        return Err(invalid("Budget 0 is invalid. This model only works in thinking mode."));
    }
    let thinks = model.reasoning_tokens > 0
        || model.reasoning_text.is_some()
        || super::contents::needs_signatures(model);
    let shown = field(config, "includeThoughts") == Some(&Value::Bool(true));
    ask.thinking = match budget {
        Some(0) => Wish::No,
        _ if shown => Wish::Shown,
        None | Some(-1) if !thinks => Wish::No,
        _ => Wish::Hidden,
    };
    ask.thinking_budget = budget.and_then(|budget| u64::try_from(budget).ok());
    Ok(())
}

fn choice(body: &Value, ask: &mut Ask) -> Result<(), ErrorBody> {
    let config =
        field(body, "toolConfig").and_then(|config| field(config, "functionCallingConfig"));
    let Some(config) = config else { return Ok(()) };
    let names = list(config, "allowedFunctionNames");
    let mode = text(config, "mode").unwrap_or("AUTO");
    if !names.is_empty() && !["ANY", "VALIDATED"].contains(&mode) {
        return Err(invalid(
            "Please set allowed_function_names only when function calling mode is ANY.",
        ));
    }
    let first = names.first().and_then(Value::as_str);
    if let Some(name) = first.filter(|name| !ask.tools.iter().any(|tool| tool.name == **name)) {
        return Err(invalid(&format!(
            "* GenerateContentRequest.tool_config.function_calling_config.allowed_function_names: \
             {name} is not a declared function."
        )));
    }
    ask.choice = match (mode, first) {
        ("ANY", Some(name)) => Choice::Named(name.to_owned()),
        ("ANY", None) => Choice::Required,
        ("NONE", _) => Choice::None,
        ("AUTO" | "VALIDATED" | "MODE_UNSPECIFIED", _) => Choice::Auto,
        (other, _) => {
            let at = "tool_config.function_calling_config.mode";
            let kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.\
                FunctionCallingConfig.Mode";
            return Err(invalid_value(at, kind, &Value::from(other)));
        }
    };
    Ok(())
}
