//! From the Responses dialect to the neutral model: requests, whole answers, streams. Never writes
//! anything of the dialect.

mod blocks;
mod input;
mod request;
mod stream;
mod tools;

use serde_json::{Map, Value};

use crate::answer::AnswerError;
use crate::neutral::{Block, Choice, Finish, Reply};
use crate::openai_chat::tree;

use super::{error, usage};

pub(crate) use request::request;
pub(crate) use stream::Stream;

/// Reads a whole answer.
pub(crate) fn reply(body: &[u8]) -> Result<Reply, AnswerError> {
    Ok(reply_of(&tree::read(body)?))
}

/// The answer in a response object.
fn reply_of(response: &Map<String, Value>) -> Reply {
    let items = response.get("output").and_then(Value::as_array);
    let (mut blocks, mut logprobs) = (Vec::new(), Vec::new());
    for item in items.into_iter().flatten() {
        blocks::of_item(item, &mut blocks);
        blocks::logprobs(item, &mut logprobs);
    }
    let finish = finish(response, &blocks);
    let error = response.get("error").filter(|error| !error.is_null()).map(error::of_value);
    let logprobs = (!logprobs.is_empty())
        .then(|| serde_json::json!({"content": logprobs, "refusal": null}).into());
    let choice = Choice { blocks, finish: Some(finish), stop_sequence: None, logprobs };
    Reply {
        id: text(response, "id"),
        model: text(response, "model"),
        created_s: created(response),
        choices: if error.is_some() { Vec::new() } else { vec![choice] },
        usage: usage::of_response(response),
        service_tier: text(response, "service_tier"),
        error,
    }
}

/// Why a response ended.
fn finish(response: &Map<String, Value>, blocks: &[Block]) -> Finish {
    let reason = response.get("incomplete_details").and_then(|details| details.get("reason"));
    match reason.and_then(Value::as_str) {
        Some("max_output_tokens" | "max_tokens") => return Finish::Length,
        Some("content_filter") => return Finish::ContentFilter,
        Some(_) => return Finish::Other,
        None => {}
    }
    finish_of(blocks)
}

/// Why an answer of these blocks ended, where nothing else is said.
fn finish_of(blocks: &[Block]) -> Finish {
    if blocks.iter().any(|block| matches!(block, Block::ToolCall { .. })) {
        return Finish::ToolCalls;
    }
    if blocks.iter().any(|block| matches!(block, Block::Refusal(_))) {
        return Finish::Refusal;
    }
    Finish::Stop
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// Some servers write the time with a fraction.
fn created(response: &Map<String, Value>) -> Option<u64> {
    let value = response.get("created_at")?;
    value.as_u64().or_else(|| value.to_string().split('.').next()?.parse().ok())
}
