//! For whom a request is, by what its body says: the end user that an application names to the
//! provider, and the notes that it attaches. Read only where the host is told to; never looks at
//! the conversation.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Call;

/// Under which name the end user is told.
const END_USER: &str = "end_user";

/// The members that say so, in OpenAI's dialects and in Anthropic's.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    safety_identifier: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

// === impl Call ===

impl Call {
    /// Names and values, as the caller sent them, in their order: `end_user` from
    /// `safety_identifier`, `user` or `metadata.user_id`, then the texts of `metadata`. Empty for a
    /// body that has none of these.
    pub fn attribution(&self) -> Vec<(String, String)> {
        let Ok(members) = serde_json::from_str::<Members<'_>>(&self.source.0) else {
            return Vec::new();
        };
        let text = |raw: Option<&RawValue>| serde_json::from_str::<String>(raw?.get()).ok();
        let notes = members.metadata.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let notes: BTreeMap<String, Value> = notes.unwrap_or_default();
        let user = text(members.safety_identifier).or_else(|| text(members.user));
        let noted = || notes.get("user_id").and_then(Value::as_str).map(str::to_owned);
        let user = user.or_else(noted).map(|user| (END_USER.to_owned(), user));
        let notes = notes.iter().filter(|(name, _)| *name != "user_id");
        let notes = notes.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.into())));
        user.into_iter().chain(notes).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Call, Dialect};

    fn told(dialect: Dialect, body: &'static str) -> Vec<(String, String)> {
        Call::parse(dialect, body.into()).unwrap().attribution()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn each_dialect_names_the_end_user_in_its_own_way() {
        let chat = r#"{"model":"auto","messages":[{"role":"user","content":"user"}],"user":"bob",
            "metadata":{"job":"nightly","n":3}}"#;
        let of_chat = [pair("end_user", "bob"), pair("job", "nightly")];
        assert_eq!(told(Dialect::OpenAiChat, chat), of_chat);
        let responses = r#"{"model":"auto","input":"x","user":"bob","safety_identifier":"h-1"}"#;
        assert_eq!(told(Dialect::OpenAiResponses, responses), [pair("end_user", "h-1")]);
        let messages = r#"{"model":"auto","max_tokens":9,"metadata":{"user_id":"u-1"},
            "messages":[{"role":"user","content":"x"}]}"#;
        assert_eq!(told(Dialect::AnthropicMessages, messages), [pair("end_user", "u-1")]);
    }

    #[test]
    fn what_is_no_text_names_nobody() {
        let odd = r#"{"model":"auto","messages":[{"role":"user","content":"x","user":"inner"}],
            "user":{"id":7},"metadata":[1]}"#;
        assert!(told(Dialect::OpenAiChat, odd).is_empty());
    }
}
