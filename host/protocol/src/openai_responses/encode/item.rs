//! The items of an answer's `output`, complete. Their ids are made of the answer's id and the
//! item's place, so that every event of a stream names the same one.

use serde_json::{Value, json};

use crate::Usage;
use crate::chunk::StreamError;
use crate::neutral::{Finish, Issuer, Signature};
use crate::openai_chat::encode::tier_word;
use crate::openai_responses::{error, usage};
use crate::translate::Naming;

/// Bytes of text for one token, where a provider did not count them.
const BYTES_PER_TOKEN: u64 = 4;

/// An item's id.
pub(super) fn id(naming: &Naming, kind: &str, index: usize) -> String {
    format!("{kind}_{}_{index}", naming.id)
}

pub(super) fn message(id: &str, content: &[Value], status: &str) -> Value {
    json!({
        "id": id, "type": "message", "status": status, "role": "assistant", "content": content,
    })
}

pub(super) fn text_part(text: &str, annotations: &[Value], logprobs: &[Value]) -> Value {
    json!({
        "type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs,
    })
}

pub(super) fn refusal_part(text: &str) -> Value {
    json!({"type": "refusal", "refusal": text})
}

pub(super) fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// Thinking; a proof of another issuer's is written with that issuer's name.
pub(super) fn reasoning(id: &str, text: &str, signature: Option<&Signature>) -> Value {
    let summary: &[Value] = if text.is_empty() { &[] } else { &[summary_part(text)] };
    let sealed = signature.map(|signature| signature.write(Issuer::OpenAi));
    json!({"id": id, "type": "reasoning", "summary": summary, "encrypted_content": sealed})
}

pub(super) fn image(id: &str, base64: &str, format: &str) -> Value {
    json!({
        "id": id, "type": "image_generation_call", "status": "completed", "result": base64,
        "output_format": format,
    })
}

/// A tool call as the caller knows the tool.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) item_id: String,
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) custom: bool,
}

// === impl Call ===

impl Call {
    pub(super) fn value(&self, input: &str, status: &str) -> Value {
        let Self { item_id, call_id, name, custom } = self;
        if *custom {
            return json!({
                "id": item_id, "type": "custom_tool_call", "status": status, "call_id": call_id,
                "name": name, "input": input,
            });
        }
        json!({
            "id": item_id, "type": "function_call", "status": status, "call_id": call_id,
            "name": name, "arguments": input,
        })
    }
}

/// What a response says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) model: Option<String>,
    pub(super) created_s: Option<u64>,
    pub(super) usage: Option<Usage>,
    pub(super) service_tier: Option<String>,
    pub(super) finish: Option<Finish>,
}

// === impl Facts ===

impl Facts {
    /// The response in progress: nothing is known yet but its name.
    pub(super) fn begun(&self, naming: &Naming) -> Value {
        let model = self.model.as_deref().unwrap_or(&naming.model);
        let created_s = self.created_s.unwrap_or(naming.created_s);
        error::skeleton(&format!("resp_{}", naming.id), created_s, model)
    }

    /// The response at its end.
    pub(super) fn ended(&self, naming: &Naming, output: Vec<Value>) -> Value {
        let refused = output.iter().any(has_refusal);
        let (status, reason) = match self.finish {
            Some(Finish::Length) => ("incomplete", Some("max_output_tokens")),
            Some(Finish::ContentFilter) => ("incomplete", Some("content_filter")),
            // Without words of refusal the caller would take it for an answer.
            Some(Finish::Refusal) if !refused => ("incomplete", Some("content_filter")),
            _ => ("completed", None),
        };
        let mut response = self.begun(naming);
        let usage = self.usage.as_ref().map(usage::value);
        let usage = usage.unwrap_or_else(|| estimate(naming, &output));
        if let Some(members) = response.as_object_mut() {
            let details = reason.map(|reason| json!({"reason": reason}));
            members.insert("status".to_owned(), json!(status));
            members.insert("incomplete_details".to_owned(), json!(details));
            members.insert("output".to_owned(), Value::Array(output));
            members.insert(
                "service_tier".to_owned(),
                json!(self.service_tier.as_deref().map(tier_word)),
            );
            members.insert("usage".to_owned(), usage);
        }
        response
    }

    /// The response that failed.
    pub(super) fn failed(&self, naming: &Naming, output: Vec<Value>, fault: &StreamError) -> Value {
        let kind = fault.kind.as_deref().unwrap_or_default();
        let code = error::code(fault.code.as_deref(), kind, None);
        let mut response = self.begun(naming);
        if let Some(members) = response.as_object_mut() {
            let error = json!({"code": code, "message": fault.message.expose()});
            members.insert("status".to_owned(), json!("failed"));
            members.insert("error".to_owned(), error);
            members.insert("output".to_owned(), Value::Array(output));
            members.insert("usage".to_owned(), json!(self.usage.as_ref().map(usage::value)));
        }
        response
    }
}

fn has_refusal(item: &Value) -> bool {
    let parts = item.get("content").and_then(Value::as_array);
    parts.into_iter().flatten().any(|part| part.get("refusal").is_some())
}

/// Clients insist on usage; where the provider counted nothing it is estimated, and says so.
fn estimate(naming: &Naming, output: &[Value]) -> Value {
    let bytes: usize = output.iter().map(said).sum();
    let tokens = u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(BYTES_PER_TOKEN);
    let estimated = Usage {
        input_uncached: naming.input_tokens,
        output_text: tokens,
        requests: 1,
        ..Usage::default()
    };
    let mut value = usage::value(&estimated);
    if let Some(members) = value.as_object_mut() {
        members.insert("estimated".to_owned(), json!(true));
    }
    value
}

/// Bytes of text in an item.
fn said(item: &Value) -> usize {
    let own = ["arguments", "input", "text", "refusal"];
    let own = own.into_iter().filter_map(|name| item.get(name).and_then(Value::as_str));
    let parts = ["content", "summary"].into_iter().filter_map(|name| item.get(name)?.as_array());
    let inner: usize = parts.flatten().map(said).sum();
    own.map(str::len).sum::<usize>().saturating_add(inner)
}
