//! The JSON schema that a policy declares for its configuration: compiled when the policy is
//! admitted, asked when it is bound, so that a mistake is told with its place before any guest sees
//! it. Fetches nothing: a schema that refers to another document is refused.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

/// Characters of the validator's words about one value.
const WORDS_MAX: usize = 300;

/// A schema; [`Default`] takes any JSON.
#[derive(Debug, Default)]
pub(super) struct ConfigSchema(Option<Validator>);

/// Why a configuration does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFault {
    /// Where, as a JSON pointer; empty for the whole.
    pub at: String,
    /// What is wrong there, without the value itself: it may be a secret.
    pub what: String,
}

impl fmt::Display for SchemaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for SchemaFault {}

// === impl ConfigSchema ===

impl ConfigSchema {
    /// Compiles a schema's text; the empty one takes anything. The error is for its author.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let schema: Value = serde_json::from_str(text)
            .map_err(|error| format!("the schema of its configuration is not JSON: {error}"))?;
        let validator = jsonschema::validator_for(&schema).map_err(|error| {
            format!(
                "the schema of its configuration is no JSON schema: {}",
                cut(&error.to_string())
            )
        })?;
        Ok(Self(Some(validator)))
    }

    /// Whether a configuration fits; the first fault if not.
    pub(super) fn check(&self, config: &str) -> Result<(), SchemaFault> {
        let Some(validator) = &self.0 else { return Ok(()) };
        let value: Value = serde_json::from_str(config).map_err(|error| SchemaFault {
            at: String::new(),
            what: format!("it is not JSON: {error}"),
        })?;
        match validator.iter_errors(&value).next() {
            None => Ok(()),
            Some(error) => {
                Err(SchemaFault { at: error.instance_path.to_string(), what: cut(&words(&error)) })
            }
        }
    }
}

/// What is wrong, without the value. Of a list of values all are told: what else is there to send?
fn words(error: &ValidationError<'_>) -> String {
    match &error.kind {
        ValidationErrorKind::Enum { options: Value::Array(options) } => {
            let options: Vec<String> = options.iter().map(Value::to_string).collect();
            format!("value is not one of {}", options.join(", "))
        }
        _ => error.masked().to_string(),
    }
}

fn cut(words: &str) -> String {
    words.chars().take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type": "object", "additionalProperties": false,
        "properties": {"limits": {"type": "array", "items": {"type": "integer", "minimum": 1}}}}"#;

    #[test]
    fn a_fault_is_told_with_its_place_and_without_the_value() {
        let schema = ConfigSchema::compile(SCHEMA).unwrap();
        assert_eq!(schema.check(r#"{"limits": [1, 2]}"#), Ok(()));
        let fault = schema.check(r#"{"limits": [1, "hunter2"]}"#).unwrap_err();
        assert_eq!(fault.at, "/limits/1");
        assert!(fault.what.contains("integer") && !fault.what.contains("hunter2"), "{fault}");
        let listed = ConfigSchema::compile(r#"{"enum": ["off", "count", "mask", "block", 5]}"#);
        let fault = listed.unwrap().check(r#""hunter2""#).unwrap_err();
        assert_eq!(fault.what, r#"value is not one of "off", "count", "mask", "block", 5"#);
        let unknown = schema.check(r#"{"limit": []}"#).unwrap_err();
        assert!(unknown.at.is_empty() && unknown.what.contains("limit"), "{unknown}");
    }

    #[test]
    fn what_is_no_schema_or_refers_elsewhere_is_refused() {
        for bad in ["{", r#"{"type": "objekt"}"#, r#"{"$ref": "https://example.com/s.json"}"#] {
            assert!(ConfigSchema::compile(bad).is_err(), "{bad}");
        }
        assert_eq!(ConfigSchema::compile("").unwrap().check("anything"), Ok(()));
    }
}
