//! Reads a chat completion request. Refuses what OpenAI refuses, so that a gateway that writes a
//! bad body is caught by the first test that sends one.

use std::borrow::Cow;

use serde_json::Value;

use super::error::invalid;
use super::messages::read_messages;
use super::{rules, tools};
use crate::answer::{Ask, Format};
use crate::script::ModelScript;
use crate::speech::{ErrorBody, Peek};
use crate::tally::Tally;

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
    // A script's entry may stand for many models: the name that is asked for decides.
    let name = body.get("model").and_then(Value::as_str).unwrap_or(&model.id);
    rules::check_members(&body, name)?;
    rules::check_refused(&body, &model.refuses)?;
    let messages = messages(&body)?;
    let mut ask = Ask {
        stream: body.get("stream") == Some(&Value::Bool(true)),
        output_limit: output_limit(&body, name, model)?,
        choices: choices(&body)?,
        logprobs: body.get("logprobs") == Some(&Value::Bool(true)),
        stop: stop(&body),
        format: format(&body, name, model)?,
        ..Ask::default()
    };
    ask.include_usage = include_usage(&body, ask.stream)?;
    let mut tally = Tally::new(model.prompt_cache);
    tools::read(&body, &mut ask, &mut tally)?;
    read_messages(messages, &mut ask, &mut tally)?;
    tally.into_ask(&mut ask);
    if let Some(most) = model.context_tokens.filter(|most| ask.prompt_tokens > *most) {
        let tokens = ask.prompt_tokens;
        let text = format!(
            "This model's maximum context length is {most} tokens. However, your messages \
             resulted in {tokens} tokens. Please reduce the length of the messages."
        );
        return Err(invalid(&text, Some("messages"), Some("context_length_exceeded")));
    }
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

fn output_limit(body: &Value, name: &str, model: &ModelScript) -> Result<Option<u64>, ErrorBody> {
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
    if old.is_some() && (model.refuses_max_tokens || rules::refuses_max_tokens(name)) {
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

fn format(body: &Value, name: &str, model: &ModelScript) -> Result<Format, ErrorBody> {
    let Some(format) = body.get("response_format").filter(|format| !format.is_null()) else {
        return Ok(Format::Text);
    };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(Format::Text),
        Some("json_object") => Ok(Format::JsonObject),
        Some("json_schema") if model.refuses_json_schema || rules::refuses_json_schema(name) => {
            let text = "This response_format type is unavailable now";
            Err(invalid(text, None, Some("invalid_request_error")))
        }
        Some("json_schema") => {
            let schema = format.pointer("/json_schema/schema").cloned().unwrap_or(Value::Null);
            if format.pointer("/json_schema/strict") == Some(&Value::Bool(true)) {
                let name = format.pointer("/json_schema/name").and_then(Value::as_str);
                let what = format!("response_format '{}'", name.unwrap_or(""));
                rules::check_schema(&schema, &what, "response_format")?;
            }
            Ok(Format::JsonSchema(schema))
        }
        _ => Err(invalid("Invalid 'response_format.type'.", Some("response_format"), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai_chat::messages::{TOKENS_PER_IMAGE, TOKENS_PER_MESSAGE};
    use crate::tokens;
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
    fn rules_by_name_go_by_the_name_that_is_asked_for() {
        let any = ModelScript::instant("*", crate::AnswerScript::default());
        let refused = |model: &str, name: &str, value: Value| {
            let mut body =
                json!({ "model": model, "messages": [{ "role": "user", "content": "x" }] });
            body[name] = value;
            read(body.to_string().as_bytes(), &any).is_err()
        };
        assert!(refused("gpt-5-nano", "temperature", json!(0.2)));
        assert!(refused("gpt-5-nano", "max_tokens", json!(9)));
        assert!(refused("deepseek-v4-pro", "response_format", json!({ "type": "json_schema" })));
        assert!(!refused("llama-3", "temperature", json!(0.2)));
        assert!(!refused("llama-3", "response_format", json!({ "type": "json_schema" })));
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
    fn a_call_without_its_result_is_refused() {
        let call = json!({ "id": "call_1", "type": "function",
            "function": { "name": "a", "arguments": "{}" } });
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" },
            { "role": "assistant", "tool_calls": [call] }, { "role": "user", "content": "so?" }] });
        let text = message_of(&body);
        assert!(text.ends_with("did not have response messages: call_1"), "{text}");
    }

    #[test]
    fn both_limits_at_once_and_an_empty_list_are_refused() {
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }],
            "max_tokens": 3, "max_completion_tokens": 3 });
        assert!(message_of(&body).contains("at the same time"));
        assert!(message_of(&json!({ "model": "m", "messages": [] })).contains("empty array"));
    }
}
