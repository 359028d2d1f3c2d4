//! Tools on offer and the choice among them: functions in both shapes, custom tools, and those that
//! a provider runs itself. Never judges a schema.

use serde_json::Value;

use crate::call::TOOLS_MAX;
use crate::neutral::{CacheMark, Tool, ToolChoice, ToolKind, Words};
use crate::request_error::RequestError;

use super::super::tree::{self, Object};

/// Reads `tools`, or the older `functions`.
pub(super) fn read_all(key: &str, value: Value, tools: &mut Vec<Tool>) -> Result<(), RequestError> {
    let Value::Array(items) = value else {
        return Err(RequestError::invalid(key, "an array of tools"));
    };
    for (index, item) in items.into_iter().enumerate() {
        let at = format!("{key}[{index}]");
        let Value::Object(item) = item else {
            return Err(RequestError::invalid(at, "an object"));
        };
        tools.push(if key == "functions" {
            function(&at, &item, &item)?
        } else {
            tool(&at, item)?
        });
    }
    Ok(())
}

fn tool(at: &str, item: Object) -> Result<Tool, RequestError> {
    match tree::string(&item, "type") {
        // Some callers leave the type out, and some write the function flat.
        Some("function") | None => {
            function(at, tree::object(&item, "function").unwrap_or(&item), &item)
        }
        Some("custom") => custom(at, tree::object(&item, "custom").unwrap_or(&item), &item),
        Some(kind) => {
            let name = tree::string(&item, "name").unwrap_or(kind).to_owned();
            Ok(Tool {
                kind: ToolKind::BuiltIn,
                name,
                description: None,
                schema: Some(Value::Object(item).into()),
                strict: None,
                cache: None,
            })
        }
    }
}

fn function(at: &str, inner: &Object, outer: &Object) -> Result<Tool, RequestError> {
    Ok(Tool {
        kind: ToolKind::Function,
        name: name(at, inner)?,
        description: tree::string(inner, "description").map(Words::from),
        schema: inner.get("parameters").filter(|value| !value.is_null()).cloned().map(Into::into),
        strict: inner.get("strict").and_then(Value::as_bool),
        cache: cache(outer).or_else(|| cache(inner)),
    })
}

fn custom(at: &str, inner: &Object, outer: &Object) -> Result<Tool, RequestError> {
    Ok(Tool {
        kind: ToolKind::Custom,
        name: name(at, inner)?,
        description: tree::string(inner, "description").map(Words::from),
        schema: tree::object(inner, "format").map(|format| flat(format).into()),
        strict: None,
        cache: cache(outer),
    })
}

/// The format of a custom tool as the Responses dialect writes it, without the level that this one
/// puts around a grammar.
fn flat(format: &Object) -> Value {
    let Some(grammar) = tree::object(format, "grammar") else {
        return Value::Object(format.clone());
    };
    let mut flat = Object::new();
    flat.insert("type".to_owned(), Value::from("grammar"));
    flat.extend(grammar.clone());
    Value::Object(flat)
}

fn name(at: &str, tool: &Object) -> Result<String, RequestError> {
    let name = tree::string(tool, "name").map(str::to_owned);
    name.ok_or_else(|| RequestError::missing(format!("{at}.name"), "the name of the tool"))
}

/// `cache_control`, as callers of OpenRouter and others send it.
pub(super) fn cache(object: &Object) -> Option<CacheMark> {
    let mark = tree::object(object, "cache_control")?;
    Some(CacheMark { ttl: tree::string(mark, "ttl").map(str::to_owned) })
}

/// Reads `tool_choice`, or the older `function_call`.
pub(super) fn choice(key: &str, value: &Value) -> Result<Option<ToolChoice>, RequestError> {
    let refused = || RequestError::invalid(key, "auto, none, required, or an object with a tool");
    match value {
        Value::String(word) => match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            _ => Err(refused()),
        },
        Value::Object(wish) => {
            if let Some(allowed) = allowed(wish) {
                return Ok(Some(allowed));
            }
            match name_of(wish) {
                Some(name) => Ok(Some(ToolChoice::Named(name.to_owned()))),
                None => Err(refused()),
            }
        }
        _ => Err(refused()),
    }
}

fn allowed(wish: &Object) -> Option<ToolChoice> {
    if tree::string(wish, "type") != Some("allowed_tools") {
        return None;
    }
    let inner = tree::object(wish, "allowed_tools").unwrap_or(wish);
    let tools = tree::items(inner, "tools").iter().filter_map(Value::as_object);
    // There are never more tools that could be meant.
    let names = tools.take(TOOLS_MAX).filter_map(name_of).map(str::to_owned).collect();
    let required = tree::string(inner, "mode") == Some("required");
    Some(ToolChoice::Among { names, required })
}

fn name_of(tool: &Object) -> Option<&str> {
    let inner = ["function", "custom"].into_iter().find_map(|key| tree::object(tool, key));
    tree::string(inner.unwrap_or(tool), "name")
}
