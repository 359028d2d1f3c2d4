//! Tools and the choice among them, and the schema of an answer. Tools built into another provider
//! cannot be carried; free-text tools become functions of one string.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::Dialect;
use crate::neutral::{Json, Losses, Request, Tool, ToolChoice, ToolKind};

use super::content::mark;

/// Members of a caller's tool that only this dialect has.
const OWN: &[&str] = &["defer_loading", "input_examples", "allowed_callers"];

/// The `tools` of a request.
pub(super) fn tools(request: &Request, losses: &mut Losses) -> Vec<Value> {
    let allowed = match &request.tool_choice {
        Some(ToolChoice::Among { names, .. }) => {
            losses.approximated("tool_choice", "tools that may not be called are not offered");
            Some(names)
        }
        _ => None,
    };
    let native = request.is_of(Dialect::AnthropicMessages);
    let own: HashMap<&str, &Json> =
        (request.own.iter().filter(|_| native)).map(|own| (own.at.as_str(), &own.value)).collect();
    let mut tools = Vec::new();
    for (index, tool) in request.tools.iter().enumerate() {
        if allowed.is_some_and(|names| !names.contains(&tool.name)) {
            continue;
        }
        let mut written = match tool.kind {
            ToolKind::Function => function(tool),
            ToolKind::Custom => {
                let what = "a free-text tool becomes a function of one string";
                losses.approximated(format!("tools[{index}]"), what);
                custom(tool)
            }
            ToolKind::BuiltIn => match built_in(tool).filter(|_| native) {
                Some(written) => written,
                None => {
                    let what = "the provider has no such built-in tool";
                    losses.note(request.without(tool), format!("tools[{index}]"), what);
                    continue;
                }
            },
        };
        if let Some(object) = written.as_object_mut() {
            for key in OWN {
                if let Some(value) = own.get(format!("tools[{index}].{key}").as_str()) {
                    object.insert((*key).to_owned(), value.0.clone());
                }
            }
        }
        tools.push(written);
    }
    tools
}

/// Stand-ins for tools that the conversation called and the request no longer offers: without any
/// tools the provider refuses such a conversation.
pub(super) fn stand_ins(request: &Request) -> Vec<Value> {
    let names = request.called_tools().into_iter();
    names.map(|name| json!({ "name": name, "input_schema": { "type": "object" } })).collect()
}

/// Whether an own member belongs to a tool, and so is written there.
pub(super) fn is_own_path(at: &str) -> bool {
    at.starts_with("tools[") && OWN.iter().any(|key| at.ends_with(&format!(".{key}")))
}

fn function(tool: &Tool) -> Value {
    let mut written = Map::new();
    written.insert("name".to_owned(), Value::from(tool.name.as_str()));
    if let Some(description) = tool.description.as_ref().filter(|text| !text.0.is_empty()) {
        written.insert("description".to_owned(), Value::from(description.0.as_str()));
    }
    let mut schema = match &tool.schema {
        Some(schema) if schema.0.is_object() => schema.0.clone(),
        _ => json!({}),
    };
    if let Some(object) = schema.as_object_mut() {
        object.entry("type").or_insert_with(|| Value::from("object"));
    }
    written.insert("input_schema".to_owned(), schema);
    if tool.strict == Some(true) {
        written.insert("strict".to_owned(), Value::Bool(true));
    }
    let mut written = Value::Object(written);
    mark(&mut written, tool.cache.as_ref());
    written
}

fn custom(tool: &Tool) -> Value {
    let grammar = tool.schema.as_ref().and_then(|format| {
        let format = format.0.get("grammar").unwrap_or(&format.0);
        let definition = format.get("definition")?.as_str()?;
        let syntax = format.get("syntax").and_then(Value::as_str).unwrap_or("given");
        Some(format!("Text that follows this {syntax} grammar:\n{definition}"))
    });
    let about = grammar.unwrap_or_else(|| "The whole input as plain text.".to_owned());
    let schema = json!({
        "type": "object",
        "properties": { "input": { "type": "string", "description": about } },
        "required": ["input"],
        "additionalProperties": false,
    });
    let function_like = Tool { schema: Some(schema.into()), strict: None, ..tool.clone() };
    function(&function_like)
}

/// The tools of this dialect's own provider have a date in their type.
fn built_in(tool: &Tool) -> Option<Value> {
    let schema = tool.schema.as_ref()?;
    let kind = schema.0.get("type")?.as_str()?;
    let date = kind.rsplit('_').next().unwrap_or_default();
    let dated = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    (dated || kind == "mcp_toolset").then(|| schema.0.clone())
}

/// The `tool_choice` of a request that offers tools.
pub(super) fn choice(request: &Request) -> Option<Value> {
    let mut choice = match &request.tool_choice {
        Some(ToolChoice::None) => return Some(json!({ "type": "none" })),
        Some(ToolChoice::Required | ToolChoice::Among { required: true, .. }) => {
            json!({ "type": "any" })
        }
        Some(ToolChoice::Named(name)) => json!({ "type": "tool", "name": name }),
        Some(ToolChoice::Auto | ToolChoice::Among { .. }) => json!({ "type": "auto" }),
        None if request.parallel_tools == Some(false) => json!({ "type": "auto" }),
        None => return None,
    };
    if let (Some(object), Some(parallel)) = (choice.as_object_mut(), request.parallel_tools)
        && (!parallel || request.tool_choice.is_some())
    {
        object.insert("disable_parallel_tool_use".to_owned(), Value::Bool(!parallel));
    }
    Some(choice)
}
