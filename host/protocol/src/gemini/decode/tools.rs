//! The tools of a request and how they may be chosen. Never judges a schema.

use serde_json::{Value, json};

use crate::call::TOOLS_MAX;
use crate::gemini::schema;
use crate::gemini::tree::{self, Members, camel, take, take_object, take_string};
use crate::neutral::{Own, Request, Tool, ToolChoice, ToolKind, Words};
use crate::request_error::RequestError;

/// Reads `tools`.
pub(super) fn read(tools: Option<Value>, request: &mut Request) -> Result<(), RequestError> {
    for (index, tool) in tree::items(tools).into_iter().enumerate() {
        let Value::Object(mut members) = tool else {
            return Err(RequestError::invalid(format!("tools[{index}]"), "an object"));
        };
        let functions = tree::items(take(&mut members, "functionDeclarations"));
        for (place, function) in functions.into_iter().enumerate() {
            let at = format!("tools[{index}].functionDeclarations[{place}]");
            let Value::Object(function) = function else {
                return Err(RequestError::invalid(at, "an object"));
            };
            let tool = read_function(function, &at, &mut request.own)?;
            request.tools.push(tool);
        }
        for (name, value) in members {
            if value.is_null() {
                continue;
            }
            let name = camel(&name);
            let schema = json!({name.as_str(): value});
            request.tools.push(Tool {
                kind: ToolKind::BuiltIn,
                name,
                description: None,
                schema: Some(schema.into()),
                strict: None,
                cache: None,
            });
        }
    }
    Ok(())
}

fn read_function(
    mut function: Members,
    at: &str,
    own: &mut Vec<Own>,
) -> Result<Tool, RequestError> {
    let Some(name) = take_string(&mut function, "name") else {
        return Err(RequestError::missing(format!("{at}.name"), "the name of the function"));
    };
    let description = take_string(&mut function, "description").map(Words::from);
    let older = take(&mut function, "parameters").map(schema::to_json_schema);
    let schema = take(&mut function, "parametersJsonSchema").or(older).map(Into::into);
    for (name, value) in function {
        own.push(Own { at: tree::below(at, &name), value: value.into() });
    }
    Ok(Tool { kind: ToolKind::Function, name, description, schema, strict: None, cache: None })
}

/// Reads `toolConfig`.
pub(super) fn config(config: Option<Value>, request: &mut Request) {
    let Some(Value::Object(mut config)) = config else { return };
    if let Some(mut calling) = take_object(&mut config, "functionCallingConfig") {
        let allowed = tree::items(take(&mut calling, "allowedFunctionNames"));
        // There are never more tools that could be meant.
        let allowed = allowed.iter().take(TOOLS_MAX);
        let names: Vec<String> =
            allowed.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        let mode = take_string(&mut calling, "mode").unwrap_or_default();
        let mode = mode.to_ascii_uppercase();
        request.tool_choice = choice(&mode, names);
        if mode == "VALIDATED" {
            keep("functionCallingConfig.mode", json!(mode), request);
        }
        for (name, value) in calling {
            keep(&tree::below("functionCallingConfig", &name), value, request);
        }
    }
    for (name, value) in config {
        keep(&tree::below("", &name), value, request);
    }
}

fn keep(name: &str, value: Value, request: &mut Request) {
    request.own.push(Own { at: format!("toolConfig.{name}"), value: value.into() });
}

fn choice(mode: &str, mut names: Vec<String>) -> Option<ToolChoice> {
    Some(match (mode, names.len()) {
        ("NONE", _) => ToolChoice::None,
        ("ANY", 0) => ToolChoice::Required,
        ("ANY", 1) => ToolChoice::Named(names.pop().unwrap_or_default()),
        ("ANY", _) => ToolChoice::Among { names, required: true },
        ("AUTO" | "VALIDATED", 0) => ToolChoice::Auto,
        ("AUTO" | "VALIDATED", _) => ToolChoice::Among { names, required: false },
        _ => return None,
    })
}
