//! Reads a Messages request. Refuses what Anthropic refuses, in its words, so that a gateway that
//! writes a bad body is caught by the first test that sends one.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::error::{NEWEST, invalid};
use super::{blocks, history, tools};
use crate::answer::{Ask, Choice, Format, Wish};
use crate::http::Request;
use crate::speech::{ErrorBody, Incoming, Peek};
use crate::tally::Tally;

/// Members that a request may have.
const MEMBERS: [&str; 24] = [
    "model",
    "messages",
    "max_tokens",
    "system",
    "metadata",
    "stop_sequences",
    "stream",
    "temperature",
    "top_k",
    "top_p",
    "thinking",
    "tools",
    "tool_choice",
    "service_tier",
    "output_config",
    "cache_control",
    "inference_geo",
    "container",
    "context_management",
    "mcp_servers",
    "output_format",
    "speed",
    "diagnostics",
    "fallbacks",
];
/// Members that exist only together with an `anthropic-beta` that contains one of these.
const PAIRED: [(&str, &[&str]); 5] = [
    ("context_management", &["context-management", "compact"]),
    ("mcp_servers", &["mcp-client"]),
    ("container", &["code-execution", "skills"]),
    ("output_format", &["structured-outputs"]),
    ("speed", &["fast-mode"]),
];
/// The beta with which `thread` exists; these providers have no threads.
const THREADS_BETA: &str = "message-threads";
/// Members that the newest version of the API took away.
const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];
/// Smallest thinking budget.
const BUDGET_MIN: u64 = 1024;
/// Marks for the cache in one request.
const MARKS_MAX: usize = 4;

/// What a request is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Answer,
    Count,
}

/// The model asked for.
pub(super) fn model(body: &[u8]) -> Result<Cow<'_, str>, ErrorBody> {
    Peek::at(body).map(|peek| peek.model).map_err(|error| {
        let text = error.to_string();
        if text.starts_with("missing field `model`") {
            return invalid("model: Field required");
        }
        if error.is_data() {
            return invalid(&format!("model: Input should be a valid string ({text})"));
        }
        invalid(&format!("The request body is not valid JSON: {text}"))
    })
}

/// Reads the whole request.
pub(super) fn read(incoming: Incoming<'_>, purpose: Purpose) -> Result<Ask, ErrorBody> {
    let body: Value = serde_json::from_slice(&incoming.request.body)
        .map_err(|error| invalid(&format!("The request body is not valid JSON: {error}")))?;
    check_members(&body, incoming.request)?;
    let messages = messages(&body)?;
    let mut ask = Ask {
        stream: body.get("stream") == Some(&Value::Bool(true)),
        call_ids: Some(("toolu_01", 22)),
        choices: 1,
        ..Ask::default()
    };
    if purpose == Purpose::Answer {
        ask.output_limit = Some(output_limit(&body, &incoming)?);
    }
    ask.stop = stop(&body)?;
    ask.format = format(&body)?;
    tools::read(&body, &mut ask)?;
    let betas = incoming.request.header("anthropic-beta").unwrap_or("");
    // Between tools, thinking may go on beyond one answer's limit.
    let interleaved = betas.contains("interleaved-thinking") && !ask.tools.is_empty();
    read_thinking(&body, interleaved, &mut ask)?;
    sampling(&body, &ask)?;
    const MARK: &[u8] = b"cache_control";
    let marked = incoming.request.body.windows(MARK.len()).any(|window| window == MARK);
    let mut tally = Tally::new(marked || incoming.model.prompt_cache);
    tools::tally(&body, &mut tally);
    blocks::read_system(body.get("system"), &mut tally)?;
    history::check(messages, &body, &incoming)?;
    blocks::read_messages(messages, &mut ask, &mut tally)?;
    if let Some(mark) = body.get("cache_control").filter(|mark| !mark.is_null()) {
        tally.mark_all(mark.get("ttl").and_then(Value::as_str) == Some("1h"));
    }
    tally.into_ask(&mut ask);
    if ask.marks.len() > MARKS_MAX {
        let found = ask.marks.len();
        return Err(invalid(&format!(
            "A maximum of {MARKS_MAX} blocks with cache_control may be provided. Found {found}."
        )));
    }
    if let Some(most) = incoming.model.context_tokens.filter(|most| ask.prompt_tokens > *most) {
        let tokens = ask.prompt_tokens;
        return Err(invalid(&format!("prompt is too long: {tokens} tokens > {most} maximum")));
    }
    Ok(ask)
}

fn unthreaded() -> ErrorBody {
    let mut error = invalid("thread: message threads are not available here");
    let details =
        json!({ "error_code": "thread_unsupported_request", "unsupported": ["inference_hooks"] });
    if let Some(members) = error.body.get_mut("error").and_then(Value::as_object_mut) {
        members.insert("details".to_owned(), details);
    }
    error
}

fn check_members(body: &Value, request: &Request) -> Result<(), ErrorBody> {
    let Some(members) = body.as_object() else {
        return Err(invalid("Input should be a valid dictionary"));
    };
    let betas = request.header("anthropic-beta").unwrap_or("");
    let newest = request.header("anthropic-version") == Some(NEWEST);
    for name in members.keys() {
        let pair = PAIRED.iter().find(|(member, _)| member == name);
        let unpaired = pair.is_some_and(|(_, any)| !any.iter().any(|beta| betas.contains(beta)));
        // As for an organization without threads: clients then send the whole conversation.
        if name == "thread" && betas.contains(THREADS_BETA) {
            return Err(unthreaded());
        }
        let gone = newest && SAMPLING.contains(&name.as_str());
        if unpaired || gone || !MEMBERS.contains(&name.as_str()) {
            return Err(invalid(&format!("{name}: Extra inputs are not permitted")));
        }
    }
    Ok(())
}

fn messages(body: &Value) -> Result<&[Value], ErrorBody> {
    match body.get("messages") {
        None => Err(invalid("messages: Field required")),
        Some(Value::Array(messages)) if messages.is_empty() => {
            Err(invalid("messages: at least one message is required"))
        }
        Some(Value::Array(messages)) => Ok(messages),
        Some(_) => Err(invalid("messages: Input should be a valid list")),
    }
}

fn output_limit(body: &Value, incoming: &Incoming<'_>) -> Result<u64, ErrorBody> {
    let limit = match body.get("max_tokens") {
        None => return Err(invalid("max_tokens: Field required")),
        Some(value) => value.as_u64(),
    };
    let limit = limit.ok_or_else(|| invalid("max_tokens: Input should be a valid integer"))?;
    if let Some(most) = incoming.model.output_tokens.filter(|most| limit > *most) {
        let model = &incoming.model.id;
        return Err(invalid(&format!(
            "max_tokens: {limit} > {most}, which is the maximum allowed number of output tokens \
             for {model}"
        )));
    }
    Ok(limit)
}

fn stop(body: &Value) -> Result<Vec<String>, ErrorBody> {
    let Some(stops) = body.get("stop_sequences").filter(|stops| !stops.is_null()) else {
        return Ok(Vec::new());
    };
    let Some(stops) = stops.as_array() else {
        return Err(invalid("stop_sequences: Input should be a valid list"));
    };
    let read = |(index, stop): (usize, &Value)| match stop.as_str() {
        None => Err(invalid(&format!("stop_sequences.{index}: Input should be a valid string"))),
        Some(stop) if stop.trim().is_empty() => {
            Err(invalid("stop_sequences: each stop sequence must contain non-whitespace"))
        }
        Some(stop) => Ok(stop.to_owned()),
    };
    stops.iter().enumerate().map(read).collect()
}

/// Structured output, as `output_config.format` or, in its beta, as `output_format`.
fn format(body: &Value) -> Result<Format, ErrorBody> {
    let (name, format) = match body.pointer("/output_config/format") {
        Some(format) => ("output_config.format", Some(format)),
        None => ("output_format", body.get("output_format")),
    };
    let Some(format) = format.filter(|format| !format.is_null()) else { return Ok(Format::Text) };
    if format.get("type").and_then(Value::as_str) != Some("json_schema") {
        return Err(invalid(&format!("{name}.type: Input should be 'json_schema'")));
    }
    let Some(schema) = format.get("schema") else {
        return Err(invalid(&format!("{name}.schema: Field required")));
    };
    if open_object(schema) {
        return Err(invalid(&format!(
            "{name}.schema: For 'object' type, 'additionalProperties' must be explicitly set to \
             false"
        )));
    }
    Ok(Format::JsonSchema(schema.clone()))
}

/// Whether any object of a schema takes members that it does not name.
fn open_object(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            let object = members.get("type").and_then(Value::as_str) == Some("object");
            object && members.get("additionalProperties") != Some(&Value::Bool(false))
                || members.values().any(open_object)
        }
        Value::Array(items) => items.iter().any(open_object),
        _ => false,
    }
}

fn read_thinking(body: &Value, interleaved: bool, ask: &mut Ask) -> Result<(), ErrorBody> {
    ask.thinking = Wish::No;
    let Some(thinking) = body.get("thinking").filter(|thinking| !thinking.is_null()) else {
        return Ok(());
    };
    match thinking.get("type").and_then(Value::as_str) {
        Some("disabled") => return Ok(()),
        Some("adaptive" | "between_tools") => {}
        Some("enabled") => {
            let Some(budget) = thinking.get("budget_tokens") else {
                return Err(invalid("thinking.enabled.budget_tokens: Field required"));
            };
            let budget = budget.as_u64().filter(|budget| *budget >= BUDGET_MIN);
            let Some(budget) = budget else {
                return Err(invalid(&format!(
                    "thinking.enabled.budget_tokens: Input should be greater than or equal to \
                     {BUDGET_MIN}"
                )));
            };
            if !interleaved && ask.output_limit.is_some_and(|limit| budget >= limit) {
                return Err(invalid(
                    "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult \
                     our documentation at https://docs.claude.com/en/docs/build-with-claude/\
                     extended-thinking#max-tokens-and-context-window-size",
                ));
            }
            ask.thinking_budget = Some(budget);
        }
        _ => {
            return Err(invalid(
                "thinking: Input tag found using 'type' does not match any of the expected tags: \
                 'adaptive', 'between_tools', 'disabled', 'enabled'",
            ));
        }
    }
    if matches!(ask.choice, Choice::Required | Choice::Named(_)) {
        return Err(invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    let omitted = thinking.get("display").and_then(Value::as_str) == Some("omitted");
    ask.thinking = if omitted { Wish::Hidden } else { Wish::Shown };
    Ok(())
}

fn sampling(body: &Value, ask: &Ask) -> Result<(), ErrorBody> {
    let thinks = ask.thinking != Wish::No;
    let number = |name: &str| body.get(name).and_then(Value::as_f64);
    if let Some(temperature) = number("temperature") {
        if !(0.0..=1.0).contains(&temperature) {
            return Err(invalid("temperature: range: 0..1"));
        }
        if thinks && temperature < 1.0 {
            return Err(invalid(
                "`temperature` may only be set to 1 when thinking is enabled. Please consult our \
                 documentation at https://docs.claude.com/en/docs/build-with-claude/\
                 extended-thinking#important-considerations-when-using-extended-thinking",
            ));
        }
    }
    if thinks && number("top_k").is_some() {
        return Err(invalid("`top_k` must be unset when thinking is enabled."));
    }
    if thinks && number("top_p").is_some_and(|top_p| top_p < 0.95) {
        return Err(invalid(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.",
        ));
    }
    Ok(())
}
