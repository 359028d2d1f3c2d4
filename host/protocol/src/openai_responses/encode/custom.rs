//! The free text that a custom tool is called with, out of the JSON that a provider without custom
//! tools wraps it in. Never fails: what is not wrapped is the text itself.

use serde_json::Value;

/// The text in `{"input": "…"}`.
pub(super) fn unwrap(input: &str) -> String {
    let Ok(Value::Object(members)) = serde_json::from_str(input) else {
        return input.to_owned();
    };
    let only = if members.len() == 1 { members.values().next() } else { None };
    match members.get("input").or(only) {
        Some(Value::String(text)) => text.clone(),
        None if members.is_empty() => String::new(),
        _ => input.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::unwrap;

    #[test]
    fn the_text_comes_out_of_its_wrapping() {
        assert_eq!(unwrap(r#"{"input":"*** Begin\n\"x\""}"#), "*** Begin\n\"x\"");
        assert_eq!(unwrap(r#"{"patch":"p"}"#), "p");
        assert_eq!(unwrap("{}"), "");
        assert_eq!(unwrap("plain text"), "plain text");
        assert_eq!(unwrap(r#"{"a":"1","b":2}"#), r#"{"a":"1","b":2}"#);
        assert_eq!(unwrap("42"), "42");
    }
}
