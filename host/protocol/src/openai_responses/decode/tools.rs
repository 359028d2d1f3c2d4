//! The tools of a request and the choice among them, flat as this dialect has them or nested as in
//! chat. Never judges a schema.

use serde_json::Value;

use crate::call::TOOLS_MAX;
use crate::neutral::{Request, Tool, ToolChoice, ToolKind};

use super::blocks::str_of;
use super::request::own;

/// Reads `tools`.
pub(super) fn read(value: &Value, request: &mut Request) {
    request.tools.extend(value.as_array().into_iter().flatten().map(tool));
}

fn tool(value: &Value) -> Tool {
    let kind = match str_of(value, "type") {
        "function" | "" => ToolKind::Function,
        "custom" => ToolKind::Custom,
        built_in => return self::built_in(value, built_in),
    };
    let (nested, schema) = match kind {
        ToolKind::Custom => ("custom", "format"),
        _ => ("function", "parameters"),
    };
    let tool = value.get(nested).unwrap_or(value);
    let described = tool.get("description").and_then(Value::as_str);
    Tool {
        kind,
        name: str_of(tool, "name").to_owned(),
        description: described.map(Into::into),
        schema: tool.get(schema).filter(|schema| !schema.is_null()).map(|s| s.clone().into()),
        strict: tool.get("strict").and_then(Value::as_bool),
        cache: None,
    }
}

fn built_in(value: &Value, kind: &str) -> Tool {
    Tool {
        kind: ToolKind::BuiltIn,
        name: kind.to_owned(),
        description: None,
        schema: Some(value.clone().into()),
        strict: None,
        cache: None,
    }
}

/// Reads `tool_choice`.
pub(super) fn choice(value: &Value, request: &mut Request) {
    let choice = match (value.as_str(), str_of(value, "type")) {
        (Some("auto"), _) => Some(ToolChoice::Auto),
        (Some("none"), _) => Some(ToolChoice::None),
        (Some("required" | "any"), _) => Some(ToolChoice::Required),
        (None, "allowed_tools") => Some(among(value)),
        (None, "function" | "custom") => {
            let name = name(value);
            (!name.is_empty()).then(|| ToolChoice::Named(name.to_owned()))
        }
        _ => None,
    };
    if choice.is_none() {
        own("tool_choice", value, request);
    }
    request.tool_choice = choice;
}

fn among(value: &Value) -> ToolChoice {
    let inner = value.get("allowed_tools").unwrap_or(value);
    let tools = inner.get("tools").and_then(Value::as_array);
    let named = |tool: &Value| match name(tool) {
        "" => str_of(tool, "type").to_owned(),
        name => name.to_owned(),
    };
    ToolChoice::Among {
        // There are never more tools that could be meant.
        names: tools.into_iter().flatten().take(TOOLS_MAX).map(named).collect(),
        required: str_of(inner, "mode") == "required",
    }
}

/// A tool's name, flat or nested.
fn name(value: &Value) -> &str {
    let nested = value.get("function").or_else(|| value.get("custom")).unwrap_or(value);
    str_of(nested, "name")
}
