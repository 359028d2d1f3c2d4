//! The functions that a request declares, and the narrow kind of schema that they may have.

use serde_json::Value;

use super::error::{invalid, unknown_name};
use super::fields::{field, list, only, text};
use crate::answer::{Ask, Tool};
use crate::speech::ErrorBody;
use crate::tally::Tally;
use crate::tokens;

/// Kinds of tools.
const TOOLS: [&str; 10] = [
    "functionDeclarations",
    "googleSearch",
    "googleSearchRetrieval",
    "codeExecution",
    "urlContext",
    "computerUse",
    "fileSearch",
    "googleMaps",
    "mcpServers",
    "enterpriseWebSearch",
];
/// Members of a declaration.
const DECLARATION: [&str; 7] = [
    "name",
    "description",
    "behavior",
    "parameters",
    "parametersJsonSchema",
    "response",
    "responseJsonSchema",
];
/// Members of a schema.
const SCHEMA: [&str; 22] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
    "items",
    "minimum",
    "maximum",
];
/// Letters of a function's name.
const NAME_MAX: usize = 64;
/// Nesting of a schema that is looked at.
const DEPTH_MAX: usize = 32;

/// Reads all declarations.
pub(super) fn read(body: &Value, ask: &mut Ask, tally: &mut Tally) -> Result<(), ErrorBody> {
    for (index, tool) in list(body, "tools").iter().enumerate() {
        only(tool, &TOOLS, &format!("tools[{index}]"))?;
        for (nth, declared) in list(tool, "functionDeclarations").iter().enumerate() {
            let at = format!("tools[{index}].function_declarations[{nth}]");
            tally.part(declared, tokens::count(&declared.to_string()));
            ask.tools.push(read_one(declared, &at)?);
        }
    }
    Ok(())
}

fn read_one(declared: &Value, at: &str) -> Result<Tool, ErrorBody> {
    only(declared, &DECLARATION, at)?;
    let name = text(declared, "name").unwrap_or("");
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "_.:-".contains(letter);
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !begins || name.len() > NAME_MAX || !name.chars().all(legal) {
        return Err(invalid(&format!(
            "* GenerateContentRequest.{at}.name: [FIELD_INVALID] Invalid function name. Must start \
             with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores \
             (_), dots (.), colons (:), or dashes (-), with a maximum length of {NAME_MAX}."
        )));
    }
    if let Some(schema) = field(declared, "parameters") {
        check_schema(schema, &format!("{at}.parameters"))?;
    }
    let parameters =
        field(declared, "parameters").or_else(|| field(declared, "parametersJsonSchema"));
    let parameters = parameters.cloned().unwrap_or(Value::Null);
    Ok(Tool { name: name.to_owned(), parameters, custom: false })
}

/// Refuses what Google's schemas can't say.
pub(super) fn check_schema(schema: &Value, at: &str) -> Result<(), ErrorBody> {
    check_level(schema, at, 0)
}

fn check_level(schema: &Value, at: &str, depth: usize) -> Result<(), ErrorBody> {
    if depth > DEPTH_MAX {
        return Err(invalid(
            "A schema in GenerateContentRequest exceeds the maximum nesting depth.",
        ));
    }
    only(schema, &SCHEMA, at)?;
    if field(schema, "type").is_some_and(Value::is_array) {
        return Err(unknown_name("type", at, "Proto field is not repeating, cannot start list."));
    }
    let kind = text(schema, "type").unwrap_or("").to_ascii_uppercase();
    let wrong = |text: &str| Err(invalid(&format!("* GenerateContentRequest.{at}{text}")));
    let properties = field(schema, "properties").and_then(Value::as_object);
    if kind == "OBJECT" && properties.is_none_or(serde_json::Map::is_empty) {
        return wrong(".properties: should be non-empty for OBJECT type");
    }
    if kind == "ARRAY" && field(schema, "items").is_none() {
        return wrong(".items: missing field.");
    }
    if !list(schema, "enum").is_empty() && kind != "STRING" {
        return wrong(".enum: only allowed for STRING type");
    }
    let named = |name: &str| properties.is_some_and(|properties| properties.contains_key(name));
    for (nth, name) in list(schema, "required").iter().enumerate() {
        if kind == "OBJECT" && !name.as_str().is_some_and(named) {
            return wrong(&format!(".required[{nth}]: property is not defined"));
        }
    }
    for (nth, inner) in properties.into_iter().flat_map(|all| all.values()).enumerate() {
        check_level(inner, &format!("{at}.properties[{nth}].value"), depth + 1)?;
    }
    if let Some(items) = field(schema, "items") {
        check_level(items, &format!("{at}.items"), depth + 1)?;
    }
    for (nth, option) in list(schema, "anyOf").iter().enumerate() {
        check_level(option, &format!("{at}.any_of[{nth}]"), depth + 1)?;
    }
    Ok(())
}
