//! The tools of a Messages request, and which of them must be called.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::error::invalid;
use crate::answer::{Ask, Choice, Tool};
use crate::speech::ErrorBody;
use crate::tally::Tally;
use crate::tokens;

/// Members that a tool of the caller's own may have.
const MEMBERS: [&str; 10] = [
    "type",
    "name",
    "description",
    "input_schema",
    "cache_control",
    "strict",
    "defer_loading",
    "allowed_callers",
    "input_examples",
    "eager_input_streaming",
];
/// Letters of a tool's name.
const NAME_MAX: usize = 128;

/// Reads the tools and the choice among them.
pub(super) fn read(body: &Value, ask: &mut Ask) -> Result<(), ErrorBody> {
    let mut names = HashSet::new();
    for (index, tool) in all(body).iter().enumerate() {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or("custom");
        let read = if kind == "custom" { own(index, tool)? } else { built_in(index, kind, tool)? };
        if !names.insert(read.name.clone()) {
            return Err(invalid("tools: Tool names must be unique."));
        }
        // Tools that Anthropic runs itself are not called by way of the caller.
        if kind == "custom" || !read.parameters.is_null() {
            ask.tools.push(read);
        }
    }
    read_choice(body, &names, ask)
}

/// Counts the tools into the prompt.
pub(super) fn tally(body: &Value, tally: &mut Tally) {
    for tool in all(body) {
        let text = |name: &str| tool.get(name).and_then(Value::as_str).unwrap_or("");
        let schema = tool.get("input_schema").map_or(0, |s| tokens::count(&s.to_string()));
        let words = tokens::count(text("name")) + tokens::count(text("description"));
        tally.part(tool, words + schema);
    }
}

fn all(body: &Value) -> &[Value] {
    body.get("tools").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn own(index: usize, tool: &Value) -> Result<Tool, ErrorBody> {
    let at = |rest: &str| invalid(&format!("tools.{index}.custom.{rest}"));
    let Some(members) = tool.as_object() else {
        return Err(invalid(&format!("tools.{index}: Input should be a valid dictionary")));
    };
    if let Some(name) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(at(&format!("{name}: Extra inputs are not permitted")));
    }
    let name = match members.get("name") {
        None => return Err(at("name: Field required")),
        Some(name) => name.as_str().unwrap_or(""),
    };
    check_name(name).map_err(|text| at(&format!("name: {text}")))?;
    let Some(schema) = members.get("input_schema") else {
        return Err(at("input_schema: Field required"));
    };
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => {}
        None => return Err(at("input_schema.type: Field required")),
        Some(_) => return Err(at("input_schema.type: Input should be 'object'")),
    }
    if ["oneOf", "allOf", "anyOf"].iter().any(|key| schema.get(key).is_some()) {
        return Err(at(
            "input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level",
        ));
    }
    Ok(Tool { name: name.to_owned(), parameters: schema.clone(), custom: false })
}

fn check_name(name: &str) -> Result<(), String> {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if name.is_empty() {
        return Err("String should have at least 1 character".to_owned());
    }
    if name.len() > NAME_MAX || !name.chars().all(legal) {
        return Err(format!("String should match pattern '^[a-zA-Z0-9_-]{{1,{NAME_MAX}}}$'"));
    }
    Ok(())
}

/// A tool that Anthropic defines. Those that the caller runs have known parameters.
fn built_in(index: usize, kind: &str, tool: &Value) -> Result<Tool, ErrorBody> {
    let family =
        kind.trim_end_matches(|letter: char| letter.is_ascii_digit()).trim_end_matches('_');
    let text = || json!({ "type": "string" });
    let parameters = match family {
        "bash" => json!({ "type": "object", "properties": { "command": text() },
            "required": ["command"] }),
        "text_editor" => json!({ "type": "object", "properties": {
            "command": { "type": "string", "enum": ["view", "create", "str_replace", "insert"] },
            "path": text(), "file_text": text() }, "required": ["command", "path"] }),
        "memory" | "computer" | "computer_toolset" | "browser_toolset" => {
            json!({ "type": "object", "properties": {} })
        }
        "web_search"
        | "web_fetch"
        | "code_execution"
        | "mcp_toolset"
        | "tool_search_tool_regex"
        | "tool_search_tool_bm25"
        | "advisor" => Value::Null,
        _ => {
            return Err(invalid(&format!(
                "tools.{index}: Input tag '{kind}' found using 'type' does not match any of the \
                 expected tags: 'bash_20250124', 'custom', 'text_editor_20250728', \
                 'web_search_20250305'"
            )));
        }
    };
    let name = tool.get("name").or_else(|| tool.get("mcp_server_name")).and_then(Value::as_str);
    Ok(Tool { name: name.unwrap_or(family).to_owned(), parameters, custom: false })
}

fn read_choice(body: &Value, names: &HashSet<String>, ask: &mut Ask) -> Result<(), ErrorBody> {
    let Some(choice) = body.get("tool_choice").filter(|choice| !choice.is_null()) else {
        return Ok(());
    };
    if names.is_empty() {
        return Err(invalid(
            "tool_choice: tool_choice may only be specified while providing tools",
        ));
    }
    ask.single_call = choice.get("disable_parallel_tool_use") == Some(&Value::Bool(true));
    ask.choice = match choice.get("type").and_then(Value::as_str) {
        Some("auto") => Choice::Auto,
        Some("any") => Choice::Required,
        Some("none") => Choice::None,
        Some("tool") => {
            let Some(name) = choice.get("name").and_then(Value::as_str) else {
                return Err(invalid("tool_choice.tool.name: Field required"));
            };
            if !names.contains(name) {
                return Err(invalid(&format!("Tool '{name}' not found in provided tools")));
            }
            Choice::Named(name.to_owned())
        }
        _ => {
            return Err(invalid(
                "tool_choice: Input tag found using 'type' does not match any of the expected \
                 tags: 'auto', 'any', 'tool', 'none'",
            ));
        }
    };
    Ok(())
}
