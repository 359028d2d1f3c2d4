//! Tools and the choice among them. Never rewrites a schema.

use serde_json::{Map, Value, json};

use crate::neutral::{Losses, Request, Tool, ToolChoice, ToolKind};
use crate::openai_chat::encode::parameters;

use super::request::put;

/// Tools that OpenAI runs, or that a client of OpenAI's runs in a form of its own, by the
/// beginning of their type.
const BUILT_IN: [&str; 12] = [
    "web_search",
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp",
    "local_shell",
    "shell",
    "computer",
    "apply_patch",
    "namespace",
    "tool_search",
    "programmatic_tool_calling",
];

/// Writes what the request says of tools.
pub(super) fn write(request: &Request, body: &mut Map<String, Value>, losses: &mut Losses) {
    let written = request.tools.iter().enumerate().filter_map(|(index, tool)| {
        let value = self::tool(tool);
        if value.is_none() {
            let at = format!("tools[{index}]");
            losses.note(request.without(tool), at, "a tool that only another provider runs");
        }
        value
    });
    let tools: Vec<Value> = written.collect();
    if tools.is_empty() {
        return;
    }
    put(body, "tools", Value::Array(tools));
    if let Some(choice) = &request.tool_choice {
        put(body, "tool_choice", self::choice(choice, &request.tools));
    }
    if let Some(parallel) = request.parallel_tools {
        put(body, "parallel_tool_calls", json!(parallel));
    }
}

fn tool(tool: &Tool) -> Option<Value> {
    let schema = tool.schema.as_ref().map(|schema| schema.0.clone());
    let kind = match tool.kind {
        ToolKind::Function => "function",
        ToolKind::Custom => "custom",
        ToolKind::BuiltIn => return schema.filter(is_ours),
    };
    let mut members = Map::new();
    put(&mut members, "type", json!(kind));
    put(&mut members, "name", json!(tool.name));
    if let Some(description) = &tool.description {
        put(&mut members, "description", json!(description.0));
    }
    if tool.kind == ToolKind::Custom {
        if let Some(format) = schema {
            put(&mut members, "format", format);
        }
        return Some(Value::Object(members));
    }
    put(&mut members, "parameters", parameters(tool));
    // Left out it would mean true here, and false to whoever wrote the request.
    put(&mut members, "strict", json!(tool.strict.unwrap_or(false)));
    Some(Value::Object(members))
}

/// Whether a built-in tool is one of this dialect. Anthropic's have a date behind the name.
fn is_ours(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let dated = kind
        .rsplit('_')
        .next()
        .is_some_and(|date| date.len() == 8 && date.bytes().all(|digit| digit.is_ascii_digit()));
    !dated && BUILT_IN.iter().any(|known| kind.starts_with(known))
}

fn choice(choice: &ToolChoice, tools: &[Tool]) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => named(name, tools),
        ToolChoice::Among { names, required } => {
            let tools: Vec<Value> = names.iter().map(|name| named(name, tools)).collect();
            let mode = if *required { "required" } else { "auto" };
            json!({"type": "allowed_tools", "mode": mode, "tools": tools})
        }
    }
}

fn named(name: &str, tools: &[Tool]) -> Value {
    match tools.iter().find(|tool| tool.name == name).map(|tool| tool.kind) {
        Some(ToolKind::Custom) => json!({"type": "custom", "name": name}),
        Some(ToolKind::BuiltIn) => json!({"type": name}),
        Some(ToolKind::Function) | None => json!({"type": "function", "name": name}),
    }
}
