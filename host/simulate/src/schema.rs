//! A value that fits a JSON schema, for tool arguments and structured output. Knows the keywords
//! that schemas in requests use; not a validator.

use serde_json::{Map, Number, Value};

/// Nesting below which an empty value is given: a schema may refer to itself.
const DEPTH_MAX: usize = 16;
/// Properties filled in one object: a bound for absurd schemas.
const PROPERTIES_MAX: usize = 256;

/// Makes a value for `schema`; free strings are `text`.
pub(crate) fn fit(schema: &Value, text: &str) -> Value {
    Fitter { root: schema, text }.value(schema, 0)
}

struct Fitter<'a> {
    root: &'a Value,
    text: &'a str,
}

impl Fitter<'_> {
    fn value(&self, schema: &Value, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return found.map_or(Value::Null, |schema| self.value(schema, depth + 1));
        }
        for key in ["const", "default"] {
            if let Some(value) = schema.get(key) {
                return value.clone();
            }
        }
        for key in ["enum", "examples"] {
            if let Some(first) = schema.get(key).and_then(|values| values.get(0)) {
                return first.clone();
            }
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) = schema.get(key).and_then(|options| options.get(0)) {
                return self.value(first, depth + 1);
            }
        }
        self.of_kind(&kind(schema).to_ascii_lowercase(), schema, depth)
    }

    fn of_kind(&self, kind: &str, schema: &Value, depth: usize) -> Value {
        match kind {
            "object" => self.object(schema, depth),
            "array" => {
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, 8);
                let item = schema.get("items").map_or(Value::Null, |s| self.value(s, depth + 1));
                (0..least).map(|_| item.clone()).collect()
            }
            "integer" | "number" => {
                let least = schema.get("minimum").and_then(Value::as_i64).unwrap_or(1);
                Value::Number(Number::from(least))
            }
            "boolean" => Value::Bool(true),
            "null" => Value::Null,
            _ => Value::String(self.string(schema)),
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let mut out = Map::new();
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, property) in properties.iter().take(PROPERTIES_MAX) {
                out.insert(name.clone(), self.value(property, depth + 1));
            }
        }
        Value::Object(out)
    }

    fn string(&self, schema: &Value) -> String {
        let fixed = match schema.get("format").and_then(Value::as_str) {
            Some("date") => "2026-01-15",
            Some("date-time") => "2026-01-15T12:00:00Z",
            Some("time") => "12:00:00Z",
            Some("email") => "someone@example.com",
            Some("uri") => "https://example.com/",
            Some("uuid") => "01890a5d-ac96-774b-bcce-b302099a8057",
            _ => return self.bounded(schema),
        };
        fixed.to_owned()
    }

    fn bounded(&self, schema: &Value) -> String {
        let most = schema.get("maxLength").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.text.chars().take(most).collect()
    }
}

/// The type, the first that is not null where several are allowed.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fills_objects_enums_arrays_references_and_nullable_types() {
        let schema = json!({
            "type": "object",
            "$defs": { "point": { "type": "object", "properties": { "x": { "type": "number" } } } },
            "properties": {
                "city": { "type": "string" },
                "unit": { "enum": ["celsius", "fahrenheit"] },
                "at": { "$ref": "#/$defs/point" },
                "days": { "type": "array", "items": { "type": "integer", "minimum": 3 } },
                "note": { "type": ["null", "string"], "maxLength": 2 }
            }
        });
        let value = fit(&schema, "Paris");
        let wanted = json!({ "city": "Paris", "unit": "celsius", "at": { "x": 1 },
            "days": [3], "note": "Pa" });
        assert_eq!(value, wanted);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({ "properties": { "next": { "$ref": "#" } } });
        assert!(fit(&schema, "x").is_object());
    }
}
