//! A provider's whole message as the neutral model has it.

use serde_json::{Map, Value};

use crate::answer::AnswerError;
use crate::chunk::StreamError;
use crate::content::Content;
use crate::neutral::{Block, Choice, Issuer, Reply, Signature, ToolKind, Words};
use crate::openai_chat::tree;

use super::content::{citations, input};
use super::{finish, normal, string};
use crate::anthropic::{error, usage};

/// Reads a whole body.
pub(crate) fn reply(body: &[u8]) -> Result<Reply, AnswerError> {
    let unreadable = |at| AnswerError { at, what: "not one JSON object" };
    let value: Value = tree::read(body)?;
    let object = value.as_object().ok_or_else(|| unreadable(0))?;
    let mut reply =
        Reply { id: string(object, "id"), model: string(object, "model"), ..Reply::default() };
    if let Some(error) = object.get("error").filter(|error| !error.is_null()) {
        reply.error = Some(stream_error(error));
        return Ok(reply);
    }
    if let Some(reported) = object.get("usage") {
        let report = usage::from_value(reported);
        reply.usage = report.usage();
        reply.service_tier = report.service_tier;
    }
    let blocks = object.get("content").and_then(Value::as_array);
    let blocks = blocks.ok_or(AnswerError { at: 0, what: "no content" })?;
    let mut choice = Choice {
        blocks: blocks.iter().filter_map(block).collect(),
        stop_sequence: string(object, "stop_sequence").map(Words::from),
        ..Choice::default()
    };
    let reason = object.get("stop_reason").and_then(Value::as_str).map(finish);
    choice.finish = reason.map(|finish| normal(finish, choice.calls_tools()));
    reply.choices.push(choice);
    Ok(reply)
}

fn block(value: &Value) -> Option<Block> {
    let block = value.as_object()?;
    Some(match block.get("type").and_then(Value::as_str).unwrap_or_default() {
        "text" => {
            let text = string(block, "text").unwrap_or_default();
            if text.is_empty() {
                return None;
            }
            Block::Text { text: text.into(), citations: citations(block) }
        }
        "thinking" => Block::Thinking {
            text: string(block, "thinking").unwrap_or_default().into(),
            signature: signature(block),
        },
        "redacted_thinking" => {
            let data = string(block, "data").unwrap_or_default();
            Block::SealedThinking(Signature::read(Issuer::Anthropic, &data))
        }
        "tool_use" => Block::ToolCall {
            id: string(block, "id"),
            name: string(block, "name").unwrap_or_default(),
            input: input(block.get("input")),
            kind: ToolKind::Function,
            signature: None,
        },
        _ => Block::Own(value.clone().into()),
    })
}

/// The signature of a block of thinking, where it has one.
pub(super) fn signature(block: &Map<String, Value>) -> Option<Signature> {
    let text = string(block, "signature").filter(|text| !text.is_empty())?;
    let signature = Signature::read(Issuer::Anthropic, &text);
    Some(signature).filter(|signature| !signature.data.0.is_empty())
}

/// An `error` value, its type in OpenAI's words.
pub(super) fn stream_error(value: &Value) -> StreamError {
    let text = |key| value.get(key).and_then(Value::as_str);
    let message = text("message").or_else(|| value.as_str()).unwrap_or_default();
    StreamError {
        message: Content::from_string(message.to_owned()),
        kind: text("type").map(|kind| error::kind_of_type(kind).to_owned()),
        code: text("code").map(str::to_owned),
    }
}
