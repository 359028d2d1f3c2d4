//! The schema of an answer as this dialect's provider takes it: every object is closed, and what it
//! cannot enforce is said in words. Never touches the schema of a tool, which may be any.

use serde_json::{Map, Value};

use crate::neutral::Losses;

/// Bounds that the provider refuses in the schema of an answer.
const REFUSED: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
];
/// Members that hold schemas by name: their keys are the caller's words and no keywords.
const NAMED: &[&str] = &["properties", "$defs", "definitions", "patternProperties"];
/// Members that hold values and no schemas.
const VALUES: &[&str] = &["enum", "const", "default", "examples", "required"];
/// Where the schema stood.
const AT: &str = "response_format.json_schema.schema";

/// The schema as it is sent.
pub(super) fn of_answer(mut schema: Value, losses: &mut Losses) -> Value {
    let mut changed = Changed::default();
    fit(&mut schema, &mut changed);
    if changed.said {
        losses.approximated(AT, "bounds that the provider does not enforce are said in words");
    }
    if changed.closed {
        losses.approximated(AT, "objects take no members besides those that are named");
    }
    if changed.emptied {
        losses.unsupported(AT, "the provider's answers have no members of any name");
    }
    schema
}

#[derive(Debug, Default)]
struct Changed {
    said: bool,
    closed: bool,
    /// Members of any name were asked for.
    emptied: bool,
}

fn fit(value: &mut Value, changed: &mut Changed) {
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                if let Some(schemas) = value.as_object_mut().filter(|_| is_one(NAMED, name)) {
                    schemas.values_mut().for_each(|schema| fit(schema, changed));
                } else if !is_one(VALUES, name) {
                    fit(value, changed);
                }
            }
            say_bounds(object, changed);
            if object.get("type").and_then(Value::as_str) == Some("object") {
                let open = object.insert("additionalProperties".to_owned(), Value::Bool(false));
                match open {
                    Some(Value::Bool(false)) => {}
                    Some(Value::Object(_)) => changed.emptied = true,
                    _ => changed.closed = true,
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fit(item, changed)),
        _ => {}
    }
}

fn is_one(names: &[&str], name: &str) -> bool {
    names.contains(&name)
}

/// Moves bounds into the description, where the model reads them.
fn say_bounds(object: &mut Map<String, Value>, changed: &mut Changed) {
    let mut said = Vec::new();
    for name in REFUSED {
        if let Some(bound) = object.remove(*name) {
            said.push(format!("{name}: {bound}"));
        }
    }
    // Whether there is any item at all is enforced, and nothing beyond it.
    if object.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 1)
        && let Some(bound) = object.insert("minItems".to_owned(), Value::from(1))
    {
        said.push(format!("minItems: {bound}"));
    }
    // Looking around and back-references are refused.
    let odd = |pattern: &str| {
        pattern.contains("(?") || pattern.contains("\\b") || pattern.contains("\\1")
    };
    if object.get("pattern").and_then(Value::as_str).is_some_and(odd)
        && let Some(pattern) = object.remove("pattern")
    {
        said.push(format!("pattern: {pattern}"));
    }
    if said.is_empty() {
        return;
    }
    changed.said = true;
    let bounds = format!("({})", said.join(", "));
    let about = object.get("description").and_then(Value::as_str);
    let about = about.map_or_else(|| bounds.clone(), |about| format!("{about} {bounds}"));
    object.insert("description".to_owned(), Value::from(about));
}
