//! Reads a chat completion request. Refuses what OpenAI refuses, so that a gateway that writes a
//! bad body is caught by the first test that sends one.

use std::borrow::Cow;

use serde_json::Value;

use super::error::invalid;
use crate::answer::{Ask, Choice, Format, Tool};
use crate::script::ModelScript;
use crate::speech::{ErrorBody, Peek};
use crate::tokens;

/// Tokens that each message costs beside its text, and the answer's opening.
const TOKENS_PER_MESSAGE: u64 = 3;
/// Tokens that an image costs, as OpenAI's low detail.
const TOKENS_PER_IMAGE: u64 = 85;
/// Choices that OpenAI allows.
const CHOICES_MAX: u64 = 128;

/// The model asked for.
pub(crate) fn model(body: &[u8]) -> Result<Cow<'_, str>, ErrorBody> {
    Peek::at(body).map(|peek| peek.model).map_err(|error| {
        if error.is_data() {
            let text = format!("you must provide a model parameter ({error})");
            return invalid(&text, Some("model"), None);
        }
        let text = format!("We could not parse the JSON body of your request. ({error})");
        invalid(&text, None, None)
    })
}

/// Reads the whole request.
pub(crate) fn read(body: &[u8], model: &ModelScript) -> Result<Ask, ErrorBody> {
    let body: Value =
        serde_json::from_slice(body).map_err(|error| invalid(&error.to_string(), None, None))?;
    let messages = messages(&body)?;
    let mut ask = Ask {
        stream: body.get("stream") == Some(&Value::Bool(true)),
        output_limit: output_limit(&body, model)?,
        choices: choices(&body)?,
        logprobs: body.get("logprobs") == Some(&Value::Bool(true)),
        stop: stop(&body),
        format: format(&body)?,
        ..Ask::default()
    };
    ask.include_usage = include_usage(&body, ask.stream)?;
    read_messages(messages, &mut ask)?;
    read_tools(&body, &mut ask)?;
    Ok(ask)
}

fn messages(body: &Value) -> Result<&[Value], ErrorBody> {
    let missing = |text: &str, code: &str| Err(invalid(text, Some("messages"), Some(code)));
    match body.get("messages") {
        None => missing("Missing required parameter: 'messages'.", "missing_required_parameter"),
        Some(Value::Array(messages)) if messages.is_empty() => {
            missing("Invalid 'messages': empty array.", "empty_array")
        }
        Some(Value::Array(messages)) => Ok(messages),
        Some(_) => missing("Invalid type for 'messages': expected an array.", "invalid_type"),
    }
}

fn output_limit(body: &Value, model: &ModelScript) -> Result<Option<u64>, ErrorBody> {
    let of = |name: &'static str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().filter(|limit| *limit > 0).map(Some).ok_or_else(|| {
            let text = format!("Invalid '{name}': expected an integer above 0.");
            invalid(&text, Some(name), Some("integer_below_min_value"))
        }),
    };
    let (old, new) = (of("max_tokens")?, of("max_completion_tokens")?);
    if old.is_some() && new.is_some() {
        let text =
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
        return Err(invalid(text, Some("max_tokens"), Some("invalid_parameter_combination")));
    }
    if old.is_some() && model.refuses_max_tokens {
        let text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
            'max_completion_tokens' instead.";
        return Err(invalid(text, Some("max_tokens"), Some("unsupported_parameter")));
    }
    Ok(old.or(new))
}

fn choices(body: &Value) -> Result<u32, ErrorBody> {
    let Some(n) = body.get("n").filter(|n| !n.is_null()) else { return Ok(1) };
    n.as_u64()
        .filter(|n| (1..=CHOICES_MAX).contains(n))
        .and_then(|n| u32::try_from(n).ok())
        .ok_or_else(|| invalid("Invalid 'n': expected an integer from 1 to 128.", Some("n"), None))
}

fn include_usage(body: &Value, stream: bool) -> Result<bool, ErrorBody> {
    let Some(options) = body.get("stream_options").filter(|options| !options.is_null()) else {
        return Ok(false);
    };
    if !stream {
        let text = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(invalid(text, Some("stream_options"), None));
    }
    Ok(options.get("include_usage") == Some(&Value::Bool(true)))
}

fn stop(body: &Value) -> Vec<String> {
    match body.get("stop") {
        Some(Value::String(stop)) => vec![stop.clone()],
        Some(Value::Array(stops)) => {
            stops.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn format(body: &Value) -> Result<Format, ErrorBody> {
    let Some(format) = body.get("response_format").filter(|format| !format.is_null()) else {
        return Ok(Format::Text);
    };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(Format::Text),
        Some("json_object") => Ok(Format::JsonObject),
        Some("json_schema") => {
            let schema = format.pointer("/json_schema/schema").cloned().unwrap_or(Value::Null);
            Ok(Format::JsonSchema(schema))
        }
        _ => Err(invalid("Invalid 'response_format.type'.", Some("response_format"), None)),
    }
}

fn read_messages(messages: &[Value], ask: &mut Ask) -> Result<(), ErrorBody> {
    let mut open_calls: Vec<&str> = Vec::new();
    ask.prompt_tokens = TOKENS_PER_MESSAGE;
    for (index, message) in messages.iter().enumerate() {
        let text = text_of(message.get("content"));
        ask.prompt_tokens +=
            TOKENS_PER_MESSAGE + tokens::count(&text) + images(message) * TOKENS_PER_IMAGE;
        let role = message.get("role").and_then(Value::as_str);
        match role {
            Some("user") => (ask.last_user_text, ask.tool_result) = (text, None),
            Some("assistant") => {
                ask.tool_result = None;
                let calls = message.get("tool_calls").and_then(Value::as_array);
                for call in calls.into_iter().flatten() {
                    open_calls.extend(call.get("id").and_then(Value::as_str));
                    let arguments = call.pointer("/function/arguments").and_then(Value::as_str);
                    ask.prompt_tokens += arguments.map_or(0, tokens::count);
                }
            }
            Some("tool") => {
                let id = message.get("tool_call_id").and_then(Value::as_str);
                if !id.is_some_and(|id| open_calls.contains(&id)) {
                    return Err(orphan_result(index));
                }
                ask.tool_result = Some(text);
            }
            Some("system" | "developer" | "function") => {}
            _ => {
                let text = format!("Invalid value for 'messages[{index}].role'.");
                return Err(invalid(&text, Some("messages"), Some("invalid_value")));
            }
        }
    }
    Ok(())
}

fn orphan_result(index: usize) -> ErrorBody {
    let text = "Invalid parameter: messages with role 'tool' must be a response to a preceeding \
        message with 'tool_calls'.";
    invalid(text, Some(&format!("messages.[{index}].role")), None)
}

/// The text of a content field: a string, or the text parts of an array.
fn text_of(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
        }
        _ => String::new(),
    }
}

fn images(message: &Value) -> u64 {
    let parts = message.get("content").and_then(Value::as_array).into_iter().flatten();
    parts.filter(|part| part.get("image_url").is_some()).fold(0, |sum, _| sum + 1)
}

fn read_tools(body: &Value, ask: &mut Ask) -> Result<(), ErrorBody> {
    let tools = body.get("tools").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    for (index, tool) in tools.iter().enumerate() {
        let function = tool.get("function");
        let name = function.and_then(|function| function.get("name")).and_then(Value::as_str);
        let Some(name) = name else {
            let text = format!("Missing required parameter: 'tools[{index}].function.name'.");
            return Err(invalid(&text, Some("tools"), Some("missing_required_parameter")));
        };
        let parameters = function.and_then(|f| f.get("parameters")).cloned().unwrap_or(Value::Null);
        ask.prompt_tokens += tokens::count(name) + tokens::count(&parameters.to_string());
        ask.tools.push(Tool { name: name.to_owned(), parameters, custom: false });
    }
    ask.choice = match body.get("tool_choice") {
        Some(Value::String(choice)) if choice == "none" => Choice::None,
        Some(Value::String(choice)) if choice == "required" => Choice::Required,
        Some(Value::Object(choice)) => {
            let name = choice.get("function").and_then(|function| function.get("name"));
            name.and_then(Value::as_str).map_or(Choice::Auto, |name| Choice::Named(name.to_owned()))
        }
        _ => Choice::Auto,
    };
    if let Choice::Named(name) = &ask.choice
        && !ask.tools.iter().any(|tool| tool.name == *name)
    {
        let text = format!("Tool choice '{name}' not found in 'tools' parameter.");
        return Err(invalid(&text, Some("tool_choice"), None));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_json(body: &Value) -> Result<Ask, ErrorBody> {
        read(
            body.to_string().as_bytes(),
            &ModelScript::instant("m", crate::AnswerScript::default()),
        )
    }

    fn message_of(body: &Value) -> String {
        let error = read_json(body).expect_err("refused");
        assert_eq!(error.status, 400);
        error.body["error"]["message"].as_str().expect("a message").to_owned()
    }

    #[test]
    fn the_last_user_text_and_parts_are_read() {
        let body = json!({ "model": "m", "messages": [
            { "role": "system", "content": "Be kind." },
            { "role": "user", "content": [
                { "type": "text", "text": "What is " }, { "type": "text", "text": "this?" },
                { "type": "image_url", "image_url": { "url": "data:," } } ] } ] });
        let ask = read_json(&body).expect("valid");
        assert_eq!(ask.last_user_text, "What is this?");
        let text = tokens::count("Be kind.") + tokens::count("What is this?");
        assert_eq!(ask.prompt_tokens, 3 * TOKENS_PER_MESSAGE + text + TOKENS_PER_IMAGE);
    }

    #[test]
    fn stream_options_without_a_stream_are_refused() {
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }],
            "stream_options": { "include_usage": true } });
        assert!(message_of(&body).contains("only allowed when 'stream'"));
    }

    #[test]
    fn a_tool_result_without_its_call_is_refused() {
        let body = json!({ "model": "m", "messages": [
            { "role": "tool", "tool_call_id": "call_1", "content": "x" }] });
        assert!(message_of(&body).contains("preceeding"));
    }

    #[test]
    fn both_limits_at_once_and_an_empty_list_are_refused() {
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }],
            "max_tokens": 3, "max_completion_tokens": 3 });
        assert!(message_of(&body).contains("at the same time"));
        assert!(message_of(&json!({ "model": "m", "messages": [] })).contains("empty array"));
    }
}
