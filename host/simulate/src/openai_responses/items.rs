//! The output items of an answer, as they are once they are complete.

use serde_json::{Value, json};

use crate::answer::{Citation, Finish, Said, ToolCall};
use crate::seal::seal;
use crate::speech::{Answered, Stamp};
use crate::tokens;

/// How OpenAI's encrypted reasoning begins.
pub(super) const ENCRYPTED: &str = "gAAAAA";

/// All items, in order: reasoning, a message, calls.
pub(super) fn items(answered: &Answered<'_>) -> Vec<Value> {
    let Answered { stamp, ask, reply, .. } = *answered;
    let Some(said) = reply.choices.first() else { return Vec::new() };
    let mut out = Vec::new();
    if reply.usage.reasoning > 0 {
        let encrypted = includes(&ask.request, "reasoning.encrypted_content");
        out.push(reasoning(stamp, said, encrypted));
    }
    if !said.text.is_empty() || said.calls.is_empty() {
        let logprobs = includes(&ask.request, "message.output_text.logprobs");
        out.push(message(stamp, said, logprobs));
    }
    out.extend((10u64..).zip(&said.calls).map(|(nth, call)| tool_call(stamp, call, nth)));
    out
}

fn includes(request: &Value, what: &str) -> bool {
    let include = request.get("include").and_then(Value::as_array);
    include.is_some_and(|include| include.iter().any(|item| item == what))
}

fn reasoning(stamp: &Stamp<'_>, said: &Said, encrypted: bool) -> Value {
    let part = |text: &String| json!({ "type": "summary_text", "text": text });
    let summary: Vec<Value> = said.reasoning.iter().map(part).collect();
    let mut item = json!({ "id": stamp.id("rs_", 1, 48), "type": "reasoning", "summary": summary });
    if let (true, Some(members)) = (encrypted, item.as_object_mut()) {
        let text = said.reasoning.as_deref().unwrap_or("");
        let content = format!("{ENCRYPTED}{}", seal(stamp.issuer, text));
        members.insert("encrypted_content".to_owned(), json!(content));
    }
    item
}

fn message(stamp: &Stamp<'_>, said: &Said, logprobs: bool) -> Value {
    let status = if said.finish == Finish::Length { "incomplete" } else { "completed" };
    let part = if said.finish == Finish::Refusal {
        json!({ "type": "refusal", "refusal": said.text })
    } else {
        let annotations: Vec<Value> =
            said.citations.iter().map(|cited| annotation(cited, &said.text)).collect();
        json!({ "type": "output_text", "annotations": annotations,
            "logprobs": if logprobs { token_logprobs(&said.text) } else { json!([]) },
            "text": said.text })
    };
    json!({ "id": stamp.id("msg_", 2, 48), "type": "message", "status": status,
        "content": [part], "role": "assistant" })
}

fn annotation(citation: &Citation, text: &str) -> Value {
    let title = citation.title.as_deref().unwrap_or("A source");
    json!({ "type": "url_citation", "end_index": text.chars().count(), "start_index": 0,
        "title": title, "url": "https://example.com/source" })
}

fn token_logprobs(text: &str) -> Value {
    tokens::pieces(text)
        .map(|token| {
            json!({ "token": token, "bytes": token.as_bytes(), "logprob": -0.125,
                "top_logprobs": [] })
        })
        .collect()
}

fn tool_call(stamp: &Stamp<'_>, call: &ToolCall, nth: u64) -> Value {
    if call.custom {
        return json!({ "id": stamp.id("ctc_", nth, 48), "type": "custom_tool_call",
            "status": "completed", "call_id": call.id, "input": call.arguments,
            "name": call.name });
    }
    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
    json!({ "id": stamp.id("fc_", nth, 48), "type": "function_call", "status": "completed",
        "arguments": arguments, "call_id": call.id, "name": call.name })
}
