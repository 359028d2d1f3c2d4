//! Looking up members of a JSON tree by either of their spellings. Never knows what they mean.

use serde_json::{Map, Value};

/// An object while its members are taken out one by one; what is left at the end is unknown.
pub(super) type Members = Map<String, Value>;

/// Takes a member out, by its camel-case name or the snake-case form of it; `null` counts as none.
pub(super) fn take(members: &mut Members, name: &str) -> Option<Value> {
    let camel = members.shift_remove(name);
    let found = camel.or_else(|| members.shift_remove(&snake(name)));
    found.filter(|value| !value.is_null())
}

pub(super) fn take_string(members: &mut Members, name: &str) -> Option<String> {
    match take(members, name)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

pub(super) fn take_object(members: &mut Members, name: &str) -> Option<Members> {
    match take(members, name)? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

pub(super) fn take_u32(members: &mut Members, name: &str) -> Option<u32> {
    take(members, name).as_ref().and_then(whole)
}

pub(super) fn take_flag(members: &mut Members, name: &str) -> bool {
    take(members, name) == Some(Value::Bool(true))
}

/// A whole number; Google's servers also write 64-bit ones as strings.
pub(super) fn whole(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The items of a list; one item may stand for a list of one.
pub(super) fn items(value: Option<Value>) -> Vec<Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(one) => vec![one],
    }
}

/// The camel-case form of a name.
pub(super) fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' if !out.is_empty() => upper = true,
            _ if upper => {
                out.push(letter.to_ascii_uppercase());
                upper = false;
            }
            _ => out.push(letter),
        }
    }
    out
}

/// The path of a member below `at`. A name that would read as a path is quoted, so that no caller
/// can name a place which is another.
pub(super) fn below(at: &str, name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    match (at, name.chars().all(plain)) {
        ("", true) => camel(name),
        ("", false) => format!("{name:?}"),
        (at, true) => format!("{at}.{}", camel(name)),
        (at, false) => format!("{at}.{name:?}"),
    }
}

fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// The bytes of a tree.
pub(super) fn bytes(value: &Value) -> Vec<u8> {
    // Trees of maps with string keys always serialise.
    serde_json::to_vec(value).unwrap_or_default()
}
