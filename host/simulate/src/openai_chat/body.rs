//! Whole bodies: a chat completion, the list of models, one model.

use serde_json::{Map, Value, json};

use crate::answer::{Citation, Finish, Said, ToolCall, Used};
use crate::script::ProviderScript;
use crate::speech::{Answered, Stamp};
use crate::{dice, tokens};

/// `created` of every model in the list: real ones are dated, tests want the same bytes.
const MODEL_CREATED_S: u64 = 1_735_689_600;

/// A chat completion, all fields of the real one; `usage` may be left out by a script.
pub(crate) fn whole(answered: &Answered<'_>) -> Value {
    let Answered { stamp, ask, reply, style } = *answered;
    let choices: Vec<Value> = reply
        .choices
        .iter()
        .enumerate()
        .map(|(index, said)| choice(index, said, stamp, ask.logprobs))
        .collect();
    let mut body = json!({
        "id": id(stamp),
        "object": "chat.completion",
        "created": stamp.created,
        "model": stamp.model,
        "choices": choices,
        "usage": usage(&reply.usage),
        "service_tier": stamp.script.service_tier,
        "system_fingerprint": stamp.fingerprint,
    });
    if let (false, Some(fields)) = (style.with_usage, body.as_object_mut()) {
        fields.shift_remove("usage");
    }
    body
}

/// `chatcmpl-…`.
pub(super) fn id(stamp: &Stamp<'_>) -> String {
    format!("chatcmpl-{}", dice::letters(stamp.seed, stamp.serial, 29))
}

fn choice(index: usize, said: &Said, stamp: &Stamp<'_>, logprobs: bool) -> Value {
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    let refuses = said.finish == Finish::Refusal;
    let silent = refuses || (said.text.is_empty() && !said.calls.is_empty());
    let content = if silent { Value::Null } else { json!(said.text) };
    message.insert("content".to_owned(), content);
    if let Some(reasoning) = &said.reasoning {
        message.insert("reasoning_content".to_owned(), json!(reasoning));
    }
    if !said.calls.is_empty() {
        let calls: Vec<Value> = said.calls.iter().map(tool_call).collect();
        message.insert("tool_calls".to_owned(), json!(calls));
    }
    let refusal = if refuses { json!(said.text) } else { Value::Null };
    message.insert("refusal".to_owned(), refusal);
    message.insert("annotations".to_owned(), annotations(said));
    let logprobs = if logprobs { token_logprobs(&said.text) } else { Value::Null };
    json!({
        "index": index,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": finish_reason(said, stamp),
    })
}

/// The sources of the text.
pub(super) fn annotations(said: &Said) -> Value {
    let source = |citation: &Citation| {
        let title = citation.title.as_deref().unwrap_or("A source");
        json!({ "type": "url_citation", "url_citation": { "end_index": said.text.chars().count(),
            "start_index": 0, "title": title, "url": "https://example.com/source" } })
    };
    said.citations.iter().map(source).collect()
}

fn tool_call(call: &ToolCall) -> Value {
    if call.custom {
        let custom = json!({ "name": call.name, "input": call.arguments });
        return json!({ "id": call.id, "type": "custom", "custom": custom });
    }
    let function = json!({ "name": call.name, "arguments": call.arguments });
    json!({ "id": call.id, "type": "function", "function": function })
}

/// `stop`, `length` or `tool_calls`, or the script's own word.
pub(super) fn finish_reason<'s>(said: &Said, stamp: &Stamp<'s>) -> &'s str {
    if let Some(reason) = &stamp.script.stop_reason {
        return reason;
    }
    match said.finish {
        Finish::Stop | Finish::Refusal => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
    }
}

/// Log probabilities of a text's tokens: the shape is real, the figures are constant.
pub(super) fn token_logprobs(text: &str) -> Value {
    let tokens: Vec<Value> = tokens::pieces(text)
        .map(|token| {
            json!({ "token": token, "logprob": -0.125, "bytes": token.as_bytes(),
            "top_logprobs": [] })
        })
        .collect();
    json!({ "content": tokens, "refusal": null })
}

/// The usage object with its details.
pub(super) fn usage(used: &Used) -> Value {
    json!({
        "prompt_tokens": used.prompt,
        "completion_tokens": used.completion,
        "total_tokens": used.prompt.saturating_add(used.completion),
        "prompt_tokens_details": { "cached_tokens": used.cached, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": used.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// `GET /models`.
pub(crate) fn models(provider: &ProviderScript) -> Value {
    let models: Vec<Value> =
        provider.models.iter().map(|model| model_object(&model.id, &provider.name)).collect();
    json!({ "object": "list", "data": models })
}

/// `GET /models/{id}`.
pub(crate) fn one_model(provider: &ProviderScript, id: &str) -> Option<Value> {
    let model = provider.models.iter().find(|model| model.id == id)?;
    Some(model_object(&model.id, &provider.name))
}

fn model_object(id: &str, owner: &str) -> Value {
    json!({ "id": id, "object": "model", "created": MODEL_CREATED_S, "owned_by": owner })
}
