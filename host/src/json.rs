//! JSON as the program's own APIs take it: an object where one is meant and nothing else, and what
//! can't be used told by its place and in JSON's own words. Knows no API and none of its members,
//! and repeats no text of a value.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// An object and nothing else. By itself serde reads an array as a struct too, its values by the
/// order of the fields: nobody documented that order, and a new field would change it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

/// Reads a struct by the names of its members.
struct ByName<T>(PhantomData<T>);

/// Why something can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// False where it is not even JSON.
    pub is_json: bool,
    /// The member that is at fault, such as `budget.period` or `discounts.0.percent`; none where it
    /// is the whole.
    pub at: Option<String>,
    /// What is wrong with it; goes on after its name and a colon.
    pub what: String,
}

/// Reads an object of the API.
///
/// # Errors
/// Which member can't be used, what was given and what is expected.
pub fn read<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, Fault> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let Object(read) = serde_path_to_error::deserialize(&mut reader).map_err(Fault::of)?;
    reader.end().map_err(|cause| {
        let what = format!("it goes on after its end: {cause}");
        Fault { is_json: false, at: None, what }
    })?;
    Ok(read)
}

/// The same of what is in memory.
///
/// # Errors
/// As [`read`].
pub fn read_value<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    let Object(read) = serde_path_to_error::deserialize(value).map_err(Fault::of)?;
    Ok(read)
}

/// For a member that is an object.
///
/// # Errors
/// When it is anything else, or can't be used.
pub fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Object::<T>::deserialize(deserializer).map(|Object(read)| read)
}

/// For a member that is an object or null.
///
/// # Errors
/// As [`object`].
pub fn object_or_null<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<Object<T>>::deserialize(deserializer).map(|given| given.map(|Object(read)| read))
}

// === impl Object ===

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByName::<T>(PhantomData)).map(Self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ByName<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

// === impl Fault ===

impl Fault {
    fn of(cause: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let place = place(cause.path());
        let cause = cause.into_inner();
        let text = cause.to_string();
        if !cause.is_data() {
            return Self { is_json: false, at: None, what: text };
        }
        // The member's name says where; a line of what a program has written does not.
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        let (member, what) = words(text);
        let at = match member {
            Some(member) if !ends_with(&place, &member) || is_missing(text) => {
                Some(if place.is_empty() { member } else { format!("{place}.{member}") })
            }
            _ => Some(place).filter(|place| !place.is_empty()),
        };
        Self { is_json: true, at, what }
    }
}

/// Members and places in lists, with a full stop between them.
fn place(path: &Path) -> String {
    let parts = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    });
    parts.collect::<Vec<_>>().join(".")
}

/// Whether a place is that member already, as it is of one that there is not.
fn ends_with(place: &str, member: &str) -> bool {
    place.strip_suffix(member).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn is_missing(text: &str) -> bool {
    text.starts_with("missing field ")
}

/// What serde says in words of JSON, with the member that it names itself.
pub fn words(text: &str) -> (Option<String>, String) {
    let wrong = ["invalid type: ", "invalid value: "];
    let wrong = wrong.into_iter().find_map(|start| text.strip_prefix(start));
    if let Some((given, meant)) = wrong.and_then(|rest| rest.rsplit_once(", expected ")) {
        return (None, format!("it is {}; {} was given", expected(meant), found(given)));
    }
    if let Some((member, known)) = unknown(text, "unknown field `") {
        return (Some(member), format!("there is none of that name; there are {known}"));
    }
    if let Some((_, known)) = unknown(text, "unknown variant `") {
        return (None, format!("it is one of {known}"));
    }
    let named = |start: &str| text.strip_prefix(start)?.strip_suffix('`').map(str::to_owned);
    if let Some(member) = named("missing field `") {
        return (Some(member), "it is missing".to_owned());
    }
    if let Some(member) = named("duplicate field `") {
        return (Some(member), "it is there twice; send it once".to_owned());
    }
    (None, text.to_owned())
}

/// The name that there is not, and those that there are.
fn unknown(text: &str, start: &str) -> Option<(String, String)> {
    let (name, known) = text.strip_prefix(start)?.rsplit_once("`, expected ")?;
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    Some((name.to_owned(), known.join(", ")))
}

/// What serde calls a type, as JSON has it.
fn expected(meant: &str) -> &str {
    match meant {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 on",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        meant if meant.starts_with("struct ") => "an object",
        meant => meant,
    }
}

/// What was there. A text is not repeated: it may be anything, a secret too.
fn found(given: &str) -> String {
    let number = ["integer `", "floating point `"];
    let number = number.into_iter().find_map(|start| given.strip_prefix(start));
    if let Some(number) = number {
        return format!("the number {}", number.trim_end_matches('`'));
    }
    match given {
        "map" => "an object".to_owned(),
        "sequence" => "an array".to_owned(),
        "boolean `true`" => "true".to_owned(),
        "boolean `false`" => "false".to_owned(),
        given if given.starts_with("string ") => "a string".to_owned(),
        given => given.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Whole {
        id: String,
        #[serde(default, deserialize_with = "object_or_null")]
        part: Option<Part>,
        #[serde(default)]
        parts: Vec<Object<Part>>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        number: u32,
        #[serde(default)]
        sure: bool,
    }

    fn fault(text: &str) -> (Option<String>, String) {
        let Fault { is_json, at, what } = read::<Whole>(text.as_bytes()).unwrap_err();
        assert!(is_json, "{text}: {what}");
        (at, what)
    }

    #[test]
    fn objects_are_read_at_every_level_and_null_where_it_may_be() {
        let text = r#"{"id":"a","part":{"number":7},"parts":[{"number":8,"sure":true}]}"#;
        let part = Some(Part { number: 7, sure: false });
        let parts = vec![Object(Part { number: 8, sure: true })];
        assert_eq!(read(text.as_bytes()), Ok(Whole { id: "a".to_owned(), part, parts }));
        let none = Whole { id: "a".to_owned(), part: None, parts: Vec::new() };
        assert_eq!(read(br#"{"id":"a","part":null}"#), Ok(none));
        let value = serde_json::json!({"number": 7});
        assert_eq!(read_value(value), Ok(Part { number: 7, sure: false }));
        assert!(read_value::<Part>(serde_json::json!([7])).is_err());
    }

    #[test]
    fn an_array_is_no_object_wherever_one_is_meant() {
        for (text, at) in [
            (r#"["a",null,[]]"#, None),
            ("[]", None),
            (r#"{"id":"a","part":[7]}"#, Some("part")),
            (r#"{"id":"a","parts":[{"number":7},[7,true]]}"#, Some("parts.1")),
        ] {
            let (place, what) = fault(text);
            assert_eq!(place.as_deref(), at, "{text}");
            assert_eq!(what, "it is an object; an array was given", "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_whole_path_in_words_of_json() {
        for (text, at, said) in [
            (r#"{"id":5}"#, "id", "it is a string; the number 5 was given"),
            (r#"{"id":{}}"#, "id", "it is a string; an object was given"),
            (r#"{"id":null}"#, "id", "it is a string; null was given"),
            ("{}", "id", "it is missing"),
            (r#"{"id":"a","id":"b"}"#, "id", "it is there twice; send it once"),
            (
                r#"{"id":"a","ids":1}"#,
                "ids",
                "there is none of that name; there are id, part, parts",
            ),
            (r#"{"id":"a","part":{}}"#, "part.number", "it is missing"),
            (
                r#"{"id":"a","part":{"part":1}}"#,
                "part.part",
                "there is none of that name; there are",
            ),
            (r#"{"id":"a","parts":[{"numbr":1}]}"#, "parts.0.numbr", "number, sure"),
            (r#"{"id":"a","parts":{}}"#, "parts", "it is an array; an object was given"),
            (
                r#"{"id":"a","parts":[{"number":-1}]}"#,
                "parts.0.number",
                "it is a whole number from 0 to 4294967295; the number -1 was given",
            ),
            (
                r#"{"id":"a","part":{"number":1,"sure":"tp-secret"}}"#,
                "part.sure",
                "it is true or false; a string was given",
            ),
        ] {
            let (place, what) = fault(text);
            assert_eq!(place.as_deref(), Some(at), "{text}: {what}");
            assert!(what.starts_with(said) || what.ends_with(said), "{text}: {what}");
            assert!(!what.contains(" at line ") && !what.contains("secret"), "{what}");
        }
    }

    #[test]
    fn what_is_no_json_is_told_as_that() {
        for text in ["", "{", r#"{"id":"a"} {}"#, "nothing"] {
            let Fault { is_json, at, .. } = read::<Whole>(text.as_bytes()).unwrap_err();
            assert_eq!((is_json, at), (false, None), "{text}");
        }
    }
}
