//! Small readings of a JSON tree, shared by the decoders of this dialect. Never panics on a shape
//! that it did not expect: what is not there is `None`.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::answer::AnswerError;

pub(crate) type Object = Map<String, Value>;

/// The string at a key; empty ones count as absent.
pub(super) fn string<'a>(object: &'a Object, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The object at a key.
pub(super) fn object<'a>(object: &'a Object, key: &str) -> Option<&'a Object> {
    object.get(key).and_then(Value::as_object)
}

/// The items of an array at a key; none for any other value.
pub(super) fn items<'a>(object: &'a Object, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The small number at a key.
pub(super) fn number(object: &Object, key: &str) -> Option<u32> {
    object.get(key).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok())
}

/// A value as the text of a tool's input: a string as it is, an object as JSON.
pub(super) fn input(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// `{}` in place of a function's input that is blank.
pub(super) fn or_braces(input: String) -> String {
    if input.trim().is_empty() { "{}".to_owned() } else { input }
}

/// Reads a provider's JSON object. Providers cut streams between the halves of a surrogate pair,
/// which no string can hold: such a half becomes the replacement character.
pub(crate) fn read<T: DeserializeOwned>(data: &[u8]) -> Result<T, AnswerError> {
    match serde_json::from_slice(data) {
        Ok(tree) => Ok(tree),
        Err(error) => serde_json::from_slice(&mended(data)).map_err(|_| AnswerError {
            at: error.column().saturating_sub(1),
            what: "expected a JSON object",
        }),
    }
}

fn mended(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut at = 0;
    while let Some(byte) = data.get(at) {
        let rest = data.get(at..).unwrap_or_default();
        let taken = match (byte, surrogate(rest)) {
            (b'\\', Some(high)) => {
                let next = rest.get(6..).unwrap_or_default();
                if high && surrogate(next) == Some(false) { 12 } else { 0 }
            }
            // An escape of another kind: its second letter is no escape's first.
            (b'\\', None) => 2,
            _ => 1,
        };
        if taken == 0 {
            out.extend_from_slice(b"\\ufffd");
            at += 6;
        } else {
            out.extend_from_slice(rest.get(..taken).unwrap_or(rest));
            at += taken;
        }
    }
    out
}

/// Whether an escape of half a pair comes first, and whether it is the first half.
fn surrogate(rest: &[u8]) -> Option<bool> {
    let digits = rest.strip_prefix(b"\\u")?.get(..4)?;
    let unit = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    match unit {
        0xd800..=0xdbff => Some(true),
        0xdc00..=0xdfff => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_replaced_and_a_whole_one_kept() {
        let read = |text: &str| read::<Object>(text.as_bytes()).unwrap().get("a").cloned().unwrap();
        assert_eq!(read(r#"{"a":"x\ud83d"}"#), "x\u{fffd}");
        assert_eq!(read(r#"{"a":"\ud83d\ude00\ude00"}"#), "\u{1f600}\u{fffd}");
        assert_eq!(read(r#"{"a":"\\ud83d\ud83d"}"#), "\\ud83d\u{fffd}");
    }
}
