//! The tools of a chat completion request, and which of them must be called.

use serde_json::Value;

use super::error::invalid;
use crate::answer::{Ask, Choice, Tool};
use crate::speech::ErrorBody;
use crate::tally::Tally;
use crate::tokens;

/// Reads the tools and the choice among them.
pub(super) fn read(body: &Value, ask: &mut Ask, tally: &mut Tally) -> Result<(), ErrorBody> {
    let tools = body.get("tools").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    for (index, tool) in tools.iter().enumerate() {
        let custom = tool.get("type").and_then(Value::as_str) == Some("custom");
        let function = tool.get(if custom { "custom" } else { "function" });
        let name = function.and_then(|function| function.get("name")).and_then(Value::as_str);
        let Some(name) = name else {
            let text = format!("Missing required parameter: 'tools[{index}].function.name'.");
            return Err(invalid(&text, Some("tools"), Some("missing_required_parameter")));
        };
        let parameters = function.and_then(|f| f.get("parameters")).cloned().unwrap_or(Value::Null);
        tally.part(tool, tokens::count(name) + tokens::count(&parameters.to_string()));
        ask.tools.push(Tool { name: name.to_owned(), parameters, custom });
    }
    ask.single_call = body.get("parallel_tool_calls") == Some(&Value::Bool(false));
    ask.choice = match body.get("tool_choice") {
        Some(Value::String(choice)) if choice == "none" => Choice::None,
        Some(Value::String(choice)) if choice == "required" => Choice::Required,
        Some(Value::Object(choice)) => {
            let named = choice.get("function").or_else(|| choice.get("custom"));
            let name = named.and_then(|named| named.get("name"));
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
