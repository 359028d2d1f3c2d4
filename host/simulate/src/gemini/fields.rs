//! Protocol buffers as JSON: members in either spelling, unknown ones refused by name and place.

use serde_json::{Map, Value};

use super::error::unknown_name;
use crate::speech::ErrorBody;

/// A member by its name in camel case; the other spelling is as good.
pub(super) fn field<'a>(value: &'a Value, camel: &str) -> Option<&'a Value> {
    let found = value.get(camel).or_else(|| value.get(snake(camel)));
    found.filter(|value| !value.is_null())
}

/// A text member.
pub(super) fn text<'a>(value: &'a Value, camel: &str) -> Option<&'a str> {
    field(value, camel).and_then(Value::as_str)
}

/// The elements of a list member.
pub(super) fn list<'a>(value: &'a Value, camel: &str) -> &'a [Value] {
    field(value, camel).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Refuses members other than `known`, which are in camel case; `at` is the place, in snake case.
pub(super) fn only(value: &Value, known: &[&str], at: &str) -> Result<(), ErrorBody> {
    let empty = Map::new();
    let members = value.as_object().unwrap_or(&empty);
    let stranger =
        members.keys().find(|name| !known.iter().any(|k| k == name || snake(k) == **name));
    stranger.map_or(Ok(()), |name| Err(unknown_name(name, at, "Cannot find field.")))
}

/// "fooBar" as "foo_bar".
pub(super) fn snake(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
