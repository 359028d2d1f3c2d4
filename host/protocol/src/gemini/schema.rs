//! Google's older way to write a schema, of OpenAPI with types in capitals, as JSON Schema. Never
//! judges a schema.

use serde_json::{Map, Value, json};

const TYPES: [(&str, &str); 7] = [
    ("STRING", "string"),
    ("NUMBER", "number"),
    ("INTEGER", "integer"),
    ("BOOLEAN", "boolean"),
    ("ARRAY", "array"),
    ("OBJECT", "object"),
    ("NULL", "null"),
];
/// Bounds that Google's clients write as strings, being 64-bit.
const BOUNDS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// Whether a schema is written in Google's older way: some type in it is in capitals.
pub(super) fn is_openapi(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(key, value)| match (key.as_str(), value) {
            ("type", Value::String(word)) => TYPES.iter().any(|(capitals, _)| capitals == word),
            ("default" | "const" | "enum" | "example" | "examples", _) => false,
            _ => is_openapi(value),
        }),
        Value::Array(items) => items.iter().any(is_openapi),
        _ => false,
    }
}

/// The same schema as JSON Schema.
pub(super) fn to_json_schema(schema: Value) -> Value {
    let Value::Object(members) = schema else { return schema };
    let mut out = Map::new();
    let mut nullable = false;
    for (key, value) in members {
        match (key.as_str(), value) {
            ("nullable", value) => nullable = value == Value::Bool(true),
            // Advice to Google's own decoder.
            ("propertyOrdering" | "property_ordering", _) => {}
            ("format", Value::String(word)) if word == "enum" => {}
            ("type", Value::String(word)) => {
                out.insert(key, json!(lower(&word)));
            }
            ("properties" | "$defs" | "defs", Value::Object(named)) => {
                let named = named.into_iter().map(|(name, value)| (name, to_json_schema(value)));
                out.insert(key, Value::Object(named.collect()));
            }
            ("anyOf" | "any_of" | "oneOf" | "allOf" | "prefixItems", Value::Array(items)) => {
                let name = if key == "any_of" { "anyOf".to_owned() } else { key };
                out.insert(name, items.into_iter().map(to_json_schema).collect());
            }
            ("items" | "additionalProperties" | "not", value) => {
                out.insert(key, to_json_schema(value));
            }
            (name, Value::String(text)) if bound(name).is_some() => {
                let name = bound(name).unwrap_or_default();
                let number =
                    text.parse::<u64>().map_or(Value::String(text), |number| json!(number));
                out.insert(name, number);
            }
            (_, value) => {
                out.insert(key, value);
            }
        }
    }
    if nullable { or_null(out) } else { Value::Object(out) }
}

fn bound(name: &str) -> Option<String> {
    let camel = super::tree::camel(name);
    BOUNDS.contains(&camel.as_str()).then_some(camel)
}

fn lower(word: &str) -> &str {
    TYPES.iter().find(|(capitals, _)| *capitals == word).map_or(word, |(_, small)| small)
}

/// The schema, or `null`.
fn or_null(mut schema: Map<String, Value>) -> Value {
    if let Some(Value::Array(choices)) = schema.get_mut("enum")
        && !choices.contains(&Value::Null)
    {
        choices.push(Value::Null);
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.push(json!({"type": "null"}));
    } else if let Some(word) = schema.get("type").cloned() {
        schema.insert("type".to_owned(), json!([word, "null"]));
    }
    Value::Object(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_and_nullable_become_json_schema() {
        let google = json!({"type": "OBJECT", "propertyOrdering": ["type"], "properties": {
            "type": {"type": "STRING", "format": "enum", "enum": ["A"], "nullable": true},
            "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "min_items": "2"},
            "any": {"anyOf": [{"type": "NUMBER"}], "nullable": true}}, "required": ["type"]});
        assert!(is_openapi(&google));
        let expected = json!({"type": "object", "properties": {
            "type": {"type": ["string", "null"], "enum": ["A", null]},
            "list": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
            "any": {"anyOf": [{"type": "number"}, {"type": "null"}]}}, "required": ["type"]});
        assert_eq!(to_json_schema(google), expected);
    }

    #[test]
    fn json_schema_is_left_as_it_is() {
        let schema = json!({"type": ["string", "null"], "enum": ["STRING"], "description": "NULL"});
        assert!(!is_openapi(&schema));
        assert_eq!(to_json_schema(schema.clone()), schema);
    }
}
