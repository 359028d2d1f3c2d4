//! What OpenAI insists on for its own models, in Chat and in Responses. Other providers' models
//! that speak the same protocol are less particular, so the model's name decides.

use serde_json::Value;

use super::error::invalid;
use crate::speech::ErrorBody;

/// Members of other dialects, which OpenAI does not know.
const UNKNOWN: [&str; 22] = [
    "system",
    "thinking",
    "stop_sequences",
    "top_k",
    "max_output_tokens",
    "input",
    "instructions",
    "previous_response_id",
    "reasoning",
    "include",
    "text",
    "contents",
    "generationConfig",
    "systemInstruction",
    "anthropic_version",
    "anthropic_beta",
    "cache_control",
    "context_management",
    "output_config",
    "min_p",
    "repetition_penalty",
    "chat_template_kwargs",
];
/// Nesting of a schema that is looked at.
const DEPTH_MAX: usize = 32;

/// Whether a model is OpenAI's, by its name.
pub(super) fn is_openai_model(name: &str) -> bool {
    let gpt = ["gpt-3.5", "gpt-4", "gpt-5", "chatgpt-"];
    is_o_model(name) || gpt.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a model always reasons, by its name: `o…` and the first `gpt-5`.
pub(crate) fn is_reasoning_model(name: &str) -> bool {
    is_o_model(name) || name == "gpt-5" || name.starts_with("gpt-5-")
}

/// Whether a model refuses `max_tokens`, by its name.
pub(super) fn refuses_max_tokens(name: &str) -> bool {
    is_o_model(name) || name.starts_with("gpt-5")
}

/// Whether a model knows no schemas for its answers, by its name: DeepSeek's own API.
pub(super) fn refuses_json_schema(name: &str) -> bool {
    name.starts_with("deepseek-")
}

fn is_o_model(name: &str) -> bool {
    let rest = name.strip_prefix('o').unwrap_or("");
    let number = rest.split('-').next().unwrap_or("");
    !number.is_empty() && number.chars().all(|letter| letter.is_ascii_digit())
}

/// Refuses members that OpenAI's models do not know or do not take.
pub(super) fn check_members(body: &Value, model: &str) -> Result<(), ErrorBody> {
    if !is_openai_model(model) {
        return Ok(());
    }
    let names = body.as_object().into_iter().flat_map(|members| members.keys());
    for name in names {
        if UNKNOWN.contains(&name.as_str()) {
            let text = format!("Unknown parameter: '{name}'.");
            return Err(invalid(&text, Some(name), Some("unknown_parameter")));
        }
    }
    if !is_reasoning_model(model) {
        return Ok(());
    }
    for name in ["temperature", "top_p", "presence_penalty", "frequency_penalty"] {
        let usual = if name.ends_with("penalty") { 0.0 } else { 1.0 };
        if let Some(value) = body.get(name).and_then(Value::as_f64).filter(|value| *value != usual)
        {
            let text = format!(
                "Unsupported value: '{name}' does not support {value} with this model. Only the \
                 default ({usual}) value is supported."
            );
            return Err(invalid(&text, Some(name), Some("unsupported_value")));
        }
    }
    for name in ["logprobs", "logit_bias", "stop"] {
        let set = body.get(name).is_some_and(|value| !value.is_null() && *value != false);
        if set {
            return Err(unsupported(name));
        }
    }
    Ok(())
}

/// Refuses the members that a script says a model does not take.
pub(super) fn check_refused(body: &Value, refused: &[String]) -> Result<(), ErrorBody> {
    let there = refused.iter().find(|name| body.get(name.as_str()).is_some());
    there.map_or(Ok(()), |name| Err(unsupported(name)))
}

fn unsupported(name: &str) -> ErrorBody {
    let text = format!("Unsupported parameter: '{name}' is not supported with this model.");
    invalid(&text, Some(name), Some("unsupported_parameter"))
}

/// Refuses a strict schema that leaves something open: `what` is whose schema it is.
pub(crate) fn check_schema(schema: &Value, what: &str, param: &str) -> Result<(), ErrorBody> {
    match fault(schema, "()", 0) {
        None => Ok(()),
        Some(fault) => {
            let text = format!("Invalid schema for {what}: {fault}");
            Err(invalid(&text, Some(param), Some("invalid_json_schema")))
        }
    }
}

fn fault(schema: &Value, at: &str, depth: usize) -> Option<String> {
    let members = schema.as_object().filter(|_| depth < DEPTH_MAX)?;
    if let Some(properties) = members.get("properties").and_then(Value::as_object) {
        if members.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Some(format!(
                "In context={at}, 'additionalProperties' is required to be supplied and to be \
                 false."
            ));
        }
        let required = members.get("required").and_then(Value::as_array);
        let missing = properties.keys().find(|name| {
            !required.is_some_and(|required| required.iter().any(|known| known == name.as_str()))
        });
        if let Some(name) = missing {
            return Some(format!(
                "In context={at}, 'required' is required to be supplied and to be an array \
                 including every key in properties. Missing '{name}'."
            ));
        }
        let inside = |(name, schema): (&String, &Value)| {
            fault(schema, &format!("('properties', '{name}')"), depth + 1)
        };
        if let Some(found) = properties.iter().find_map(inside) {
            return Some(found);
        }
    }
    members.get("items").and_then(|items| fault(items, "('items',)", depth + 1))
}

/// The media type of a data address; "url" for any other, "unknown" for none.
pub(crate) fn media_type(address: Option<&str>) -> String {
    let Some(address) = address else { return "unknown".to_owned() };
    match address.strip_prefix("data:") {
        Some(data) => data.split([';', ',']).next().unwrap_or("").to_owned(),
        None if address.contains("://") => "url".to_owned(),
        None => "base64".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_tell_openai_models() {
        assert!(is_reasoning_model("o3-mini") && is_reasoning_model("gpt-5-nano"));
        assert!(!is_reasoning_model("gpt-5.4") && refuses_max_tokens("gpt-5.4"));
        assert!(!is_openai_model("openai/gpt-oss-120b") && !is_openai_model("m"));
        assert!(!is_openai_model("olmo-2") && is_openai_model("gpt-4o"));
    }

    #[test]
    fn strict_schemas_are_closed_all_the_way_down() {
        let open = json!({ "type": "object", "properties": { "a": { "type": "array", "items": {
            "type": "object", "properties": { "b": {} }, "additionalProperties": false } } },
            "required": ["a"], "additionalProperties": false });
        let error =
            check_schema(&open, "response_format 'x'", "response_format").expect_err("open");
        let text = error.body["error"]["message"].as_str().expect("text").to_owned();
        assert!(text.contains("Missing 'b'"), "{text}");
    }

    #[test]
    fn media_types() {
        assert_eq!(media_type(Some("data:image/png;base64,AA")), "image/png");
        assert_eq!(media_type(Some("https://example.com/a.png")), "url");
        assert_eq!(media_type(None), "unknown");
    }
}
