//! From Converse to the neutral model. A whole answer is turned into the events that a stream of it
//! would have, so that both mean the same. Never writes.

pub(crate) mod usage;

mod stream;

use serde_json::{Value, json};

use crate::answer::AnswerError;
use crate::neutral::fold::fold;
use crate::neutral::{Event, Reply};

pub(crate) use stream::Stream;

/// Reads a whole body.
pub(crate) fn reply(body: &[u8]) -> Result<Reply, AnswerError> {
    let value: Value = crate::openai_chat::tree::read(body)
        .map_err(|_| AnswerError { at: 0, what: "expected a JSON object" })?;
    let message = value.pointer("/output/message");
    if message.is_none() {
        let told = value.get("message").and_then(Value::as_str);
        let told = told.ok_or(AnswerError { at: 0, what: "expected an output with a message" })?;
        return Ok(Reply { error: Some(super::error::of("", told)), ..Reply::default() });
    }
    let mut stream = Stream::default();
    let mut events: Vec<Event> = Vec::new();
    stream.event("messageStart", &json!({}), &mut events);
    let blocks = message.and_then(|message| message.get("content")).and_then(Value::as_array);
    for (index, block) in blocks.into_iter().flatten().enumerate() {
        stream.whole_block(index, block, &mut events);
    }
    stream.event("messageStop", &value, &mut events);
    stream.event("metadata", &value, &mut events);
    Ok(fold(events))
}
