//! The tools of a Responses request, and which of them must be called.

use serde_json::Value;

use super::{invalid, missing};
use crate::answer::{Ask, Choice, Tool};
use crate::speech::ErrorBody;
use crate::tally::Tally;
use crate::tokens;

/// Tools that OpenAI runs itself, or that have a shape of their own.
const BUILT_IN: [&str; 16] = [
    "web_search",
    "web_search_preview",
    "web_search_2025_08_26",
    "web_search_preview_2025_03_11",
    "file_search",
    "code_interpreter",
    "image_generation",
    "computer_use_preview",
    "computer",
    "mcp",
    "local_shell",
    "shell",
    "apply_patch",
    "namespace",
    "tool_search",
    "programmatic_tool_calling",
];
/// Members that a function may have.
const FUNCTION: [&str; 7] =
    ["type", "name", "description", "parameters", "strict", "defer_loading", "output_schema"];

/// Reads the tools and the choice among them.
pub(super) fn read(body: &Value, ask: &mut Ask, tally: &mut Tally) -> Result<(), ErrorBody> {
    let tools = body.get("tools").and_then(Value::as_array).map_or(&[] as &[_], Vec::as_slice);
    for (index, tool) in tools.iter().enumerate() {
        tally.part(tool, tokens::count(&tool.to_string()));
        read_one(&format!("tools[{index}]"), tool, ask)?;
    }
    ask.single_call = body.get("parallel_tool_calls") == Some(&Value::Bool(false));
    ask.choice = choice(body.get("tool_choice"));
    if let Choice::Named(name) = &ask.choice
        && !ask.tools.iter().any(|tool| tool.name == *name)
    {
        let text = format!("Tool choice '{name}' not found in 'tools' parameter.");
        return Err(invalid(&text, Some("tool_choice"), None));
    }
    Ok(())
}

fn read_one(at: &str, tool: &Value, ask: &mut Ask) -> Result<(), ErrorBody> {
    let kind = tool.get("type").and_then(Value::as_str);
    let custom = match kind {
        Some("function") => false,
        Some("custom") => true,
        Some("namespace") => {
            // A group of functions, each called by its own name.
            let inner = tool.get("tools").and_then(Value::as_array).into_iter().flatten();
            return (0..).zip(inner).try_for_each(|(nth, tool): (usize, &Value)| {
                read_one(&format!("{at}.tools[{nth}]"), tool, ask)
            });
        }
        Some(kind) if BUILT_IN.contains(&kind) => return Ok(()),
        Some(kind) => {
            let text = format!(
                "Invalid value: '{kind}'. Supported values are: 'function', 'custom', {}.",
                BUILT_IN.map(|name| format!("'{name}'")).join(", ")
            );
            return Err(invalid(&text, Some(at), Some("invalid_value")));
        }
        None => return Err(missing(&format!("{at}.type"))),
    };
    let name = tool.get("name").and_then(Value::as_str);
    let Some(name) = name else { return Err(missing(&format!("{at}.name"))) };
    let legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if name.is_empty() || !name.chars().all(legal) {
        let text = format!(
            "Invalid '{at}.name': string does not match pattern. Expected a string that matches \
             the pattern '^[a-zA-Z0-9_-]+$'."
        );
        return Err(invalid(&text, Some(&format!("{at}.name")), Some("invalid_value")));
    }
    let members = tool.as_object().into_iter().flat_map(|members| members.keys());
    for member in members.filter(|_| !custom) {
        if !FUNCTION.contains(&member.as_str()) {
            let param = format!("{at}.{member}");
            let text = format!("Unknown parameter: '{param}'.");
            return Err(invalid(&text, Some(&param), Some("unknown_parameter")));
        }
    }
    let parameters = tool.get("parameters").cloned().unwrap_or(Value::Null);
    ask.tools.push(Tool { name: name.to_owned(), parameters, custom });
    Ok(())
}

fn choice(choice: Option<&Value>) -> Choice {
    match choice {
        Some(Value::String(choice)) if choice == "none" => Choice::None,
        Some(Value::String(choice)) if choice == "required" => Choice::Required,
        Some(Value::Object(choice)) => {
            let named = choice.get("name").and_then(Value::as_str);
            match (choice.get("type").and_then(Value::as_str), named) {
                (Some("function" | "custom"), Some(name)) => Choice::Named(name.to_owned()),
                (Some("allowed_tools"), _) if choice.get("mode") == Some(&"required".into()) => {
                    Choice::Required
                }
                _ => Choice::Auto,
            }
        }
        _ => Choice::Auto,
    }
}
