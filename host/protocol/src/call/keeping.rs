//! Whether a call asks its provider to keep the beginning of the prompt: seen by the members that
//! ask for it, without reading the body again. For expecting a cost; charges nothing.

use memchr::memmem;

use super::{Call, Keeping};
use crate::Dialect;

/// Shorter bodies are below what any provider keeps.
const KEPT_BYTES_MIN: usize = 4_096;

impl Call {
    /// How long its blocks ask to be kept. Within a text the quotes of a member's name are
    /// escaped, so that no text looks like one.
    pub fn keeping(&self) -> Keeping {
        let marked = matches!(self.dialect, Dialect::AnthropicMessages | Dialect::OpenAiChat);
        let body = self.source.0.as_bytes();
        if !marked || body.len() < KEPT_BYTES_MIN {
            return Keeping::None;
        }
        match memmem::find(body, b"\"cache_control\"") {
            None => Keeping::None,
            Some(_) if memmem::find(body, b"\"1h\"").is_some() => Keeping::Hour,
            Some(_) => Keeping::Minutes,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    fn keeping(dialect: Dialect, control: &Value, text: &str) -> Keeping {
        let padding = "word ".repeat(1_000);
        let block = match control {
            Value::Null => json!({"type": "text", "text": padding}),
            control => json!({"type": "text", "text": padding, "cache_control": control}),
        };
        let messages =
            json!([{"role": "user", "content": [block, {"type": "text", "text": text}]}]);
        let body = json!({"model": "m", "max_tokens": 9, "messages": messages}).to_string();
        Call::parse(dialect, Bytes::from(body)).unwrap().keeping()
    }

    #[test]
    fn what_blocks_ask_for_is_seen_and_what_texts_say_is_not() {
        let minutes = json!({"type": "ephemeral"});
        let hour = json!({"type": "ephemeral", "ttl": "1h"});
        let said = r#"{"cache_control": {"ttl": "1h"}}"#;
        for dialect in [Dialect::AnthropicMessages, Dialect::OpenAiChat] {
            assert_eq!(keeping(dialect, &Value::Null, said), Keeping::None, "{dialect:?}");
            assert_eq!(keeping(dialect, &minutes, said), Keeping::Minutes, "{dialect:?}");
            assert_eq!(keeping(dialect, &hour, ""), Keeping::Hour, "{dialect:?}");
        }
    }
}
