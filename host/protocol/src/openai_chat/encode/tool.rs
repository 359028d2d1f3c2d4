//! Tools and the choice among them. A provider that knows only functions gets custom tools as
//! functions with one string; their calls are unwrapped on the way back. Never renames a tool.

use serde_json::{Value, json};

use crate::neutral::{Losses, Request, Tool, ToolChoice, ToolKind};
use crate::quirks::Quirks;

use super::super::tree::Object;

/// The property of a function that stands for a custom tool.
pub(super) const INPUT: &str = "input";

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`.
pub(super) fn write(request: &Request, quirks: &Quirks, body: &mut Object, losses: &mut Losses) {
    let among = match &request.tool_choice {
        Some(ToolChoice::Among { names, .. }) if quirks.functions_only => Some(names),
        _ => None,
    };
    let mut tools = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        if among.is_some_and(|names| !names.contains(&tool.name)) {
            continue;
        }
        match tool.kind {
            ToolKind::Function => tools.push(function(tool)),
            ToolKind::Custom if quirks.functions_only => {
                losses.approximated(format!("tools[{index}]"), "offered as a function");
                tools.push(wrapped(tool));
            }
            ToolKind::Custom => tools.push(custom(tool)),
            ToolKind::BuiltIn => {
                let what = "a tool that only another provider runs itself";
                losses.note(request.without(tool), format!("tools[{index}]"), what);
            }
        }
    }
    if tools.is_empty() {
        return;
    }
    body.insert("tools".to_owned(), Value::Array(tools));
    if let Some(choice) = &request.tool_choice {
        body.insert("tool_choice".to_owned(), chosen(choice, request, quirks));
    }
    if let Some(parallel) = request.parallel_tools {
        body.insert("parallel_tool_calls".to_owned(), parallel.into());
    }
}

fn function(tool: &Tool) -> Value {
    let mut inner = named(tool);
    inner.insert("parameters".to_owned(), parameters(tool));
    if let Some(strict) = tool.strict {
        inner.insert("strict".to_owned(), strict.into());
    }
    json!({"type": "function", "function": inner})
}

/// The schema of what a function is called with. OpenAI refuses an object without a list of its
/// properties, be it an empty one.
pub(crate) fn parameters(tool: &Tool) -> Value {
    let schema = tool.schema.as_ref().map(|schema| schema.0.clone());
    let mut schema = schema.unwrap_or_else(|| json!({"type": "object"}));
    if let Some(members) = schema.as_object_mut()
        && members.get("type").and_then(Value::as_str) == Some("object")
        && !members.contains_key("properties")
    {
        members.insert("properties".to_owned(), json!({}));
    }
    schema
}

fn named(tool: &Tool) -> Object {
    let mut inner = Object::new();
    inner.insert("name".to_owned(), tool.name.as_str().into());
    if let Some(description) = tool.description.as_ref().filter(|text| !text.0.is_empty()) {
        inner.insert("description".to_owned(), description.0.as_str().into());
    }
    inner
}

fn custom(tool: &Tool) -> Value {
    let mut inner = named(tool);
    if let Some(format) = &tool.schema {
        inner.insert("format".to_owned(), nested(&format.0));
    }
    json!({"type": "custom", "custom": inner})
}

/// A grammar stands one level deeper here than in the Responses dialect.
fn nested(format: &Value) -> Value {
    let Value::Object(format) = format else { return format.clone() };
    let is_grammar = format.get("type").is_some_and(|kind| kind == "grammar");
    if !is_grammar || format.contains_key("grammar") {
        return Value::Object(format.clone());
    }
    let inner = format.iter().filter(|(key, _)| *key != "type");
    let inner: Object = inner.map(|(key, value)| (key.clone(), value.clone())).collect();
    json!({"type": "grammar", "grammar": inner})
}

fn wrapped(tool: &Tool) -> Value {
    let mut inner = named(tool);
    let format = tool.schema.as_ref().and_then(|format| format.0.as_object());
    let format =
        format.map(|format| format.get("grammar").and_then(Value::as_object).unwrap_or(format));
    let definition = format.and_then(|format| format.get("definition")).and_then(Value::as_str);
    let about = match definition {
        Some(definition) => {
            format!("The whole input as text. It must follow this grammar:\n{definition}")
        }
        None => "The whole input as text.".to_owned(),
    };
    let properties = json!({INPUT: {"type": "string", "description": about}});
    inner.insert(
        "parameters".to_owned(),
        json!({"type": "object", "properties": properties, "required": [INPUT]}),
    );
    json!({"type": "function", "function": inner})
}

fn chosen(choice: &ToolChoice, request: &Request, quirks: &Quirks) -> Value {
    let required = if quirks.any_tool_choice { "any" } else { "required" };
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => required.into(),
        ToolChoice::Named(name) => one(name, request, quirks),
        ToolChoice::Among { required: must, .. } if quirks.functions_only => {
            if *must {
                required.into()
            } else {
                "auto".into()
            }
        }
        ToolChoice::Among { names, required: must } => {
            let mode = if *must { "required" } else { "auto" };
            let tools: Vec<Value> = names.iter().map(|name| one(name, request, quirks)).collect();
            json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
        }
    }
}

fn one(name: &str, request: &Request, quirks: &Quirks) -> Value {
    let tool = request.tools.iter().find(|tool| tool.name == name);
    let is_custom = tool.is_some_and(|tool| tool.kind == ToolKind::Custom);
    let kind = if is_custom && !quirks.functions_only { "custom" } else { "function" };
    json!({"type": kind, kind: {"name": name}})
}

/// A custom tool's input as the arguments of the function that stands for it.
pub(super) fn wrap_input(input: &str) -> String {
    json!({ INPUT: input }).to_string()
}

/// The way back; arguments of another shape are given as they are.
pub(super) fn unwrap_input(arguments: &str) -> String {
    let tree: Option<Object> = serde_json::from_str(arguments).ok();
    let input = tree.as_ref().and_then(|tree| tree.get(INPUT)).and_then(Value::as_str);
    input.unwrap_or(arguments).to_owned()
}
