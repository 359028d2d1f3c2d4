//! Whole bodies: a message with its content blocks, why it stopped and what it used.

use serde_json::{Map, Value, json};

use crate::answer::{Citation, Finish, Said, Used, Wish};
use crate::seal::seal;
use crate::speech::{Answered, Stamp};

/// A message; `usage` may be left out by a script.
pub(super) fn whole(answered: &Answered<'_>) -> Value {
    let Answered { stamp, reply, style, .. } = *answered;
    let said = reply.choices.first();
    let mut message = opening(stamp);
    let blocks: Vec<Value> = said.map(|said| blocks(answered, said)).unwrap_or_default();
    message.insert("content".to_owned(), json!(blocks));
    let (reason, sequence) = said.map_or((json!("end_turn"), Value::Null), |s| stop(stamp, s));
    message.insert("stop_reason".to_owned(), reason);
    message.insert("stop_sequence".to_owned(), sequence);
    message.insert("stop_details".to_owned(), said.map_or(Value::Null, stop_details));
    if style.with_usage {
        message.insert("usage".to_owned(), usage(stamp, &reply.usage));
    }
    Value::Object(message)
}

/// What a message says of itself before its content.
pub(super) fn opening(stamp: &Stamp<'_>) -> Map<String, Value> {
    let mut message = Map::new();
    message.insert("model".to_owned(), json!(stamp.model));
    message.insert("id".to_owned(), json!(stamp.id("msg_01", 0, 22)));
    message.insert("type".to_owned(), json!("message"));
    message.insert("role".to_owned(), json!("assistant"));
    message
}

/// The content: thinking, text, tool calls. Never an empty text block.
pub(super) fn blocks(answered: &Answered<'_>, said: &Said) -> Vec<Value> {
    let Answered { stamp, ask, .. } = *answered;
    let mut out = Vec::new();
    // Thinking that is not shown is there, empty, with its signature.
    let hidden = (ask.thinking == Wish::Hidden).then_some("");
    if let Some(thinking) = said.reasoning.as_deref().or(hidden) {
        let signature = seal(stamp.issuer, thinking);
        out.push(if stamp.script.redacted_thinking {
            json!({ "type": "redacted_thinking", "data": seal(stamp.issuer, "") })
        } else {
            json!({ "type": "thinking", "thinking": thinking, "signature": signature })
        });
    }
    if !said.text.is_empty() {
        let mut block = json!({ "type": "text", "text": said.text });
        if let (false, Some(members)) = (said.citations.is_empty(), block.as_object_mut()) {
            let citations: Vec<Value> = said.citations.iter().map(citation).collect();
            members.insert("citations".to_owned(), json!(citations));
        }
        out.push(block);
    }
    for call in &said.calls {
        out.push(json!({ "type": "tool_use", "id": call.id, "name": call.name,
            "input": call.object() }));
    }
    out
}

/// A citation of a document, or of a page found by a search.
fn citation(citation: &Citation) -> Value {
    let (cited, title) = (&citation.cited, &citation.title);
    match citation.document {
        Some(index) if citation.whole_page => json!({ "type": "page_location",
            "cited_text": cited, "document_index": index, "document_title": title,
            "start_page_number": 1, "end_page_number": 2, "file_id": null }),
        Some(index) => json!({ "type": "char_location", "cited_text": cited,
            "document_index": index, "document_title": title, "start_char_index": 0,
            "end_char_index": cited.chars().count(), "file_id": null }),
        None => json!({ "type": "web_search_result_location", "cited_text": cited,
            "url": "https://example.com/source", "title": title,
            "encrypted_index": "c2ltdWxhdGVk" }),
    }
}

/// `stop_reason` and `stop_sequence`.
pub(super) fn stop(stamp: &Stamp<'_>, said: &Said) -> (Value, Value) {
    if let Some(reason) = &stamp.script.stop_reason {
        return (json!(reason), Value::Null);
    }
    if let Some(sequence) = &said.stopped_by {
        return (json!("stop_sequence"), json!(sequence));
    }
    let reason = match said.finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Refusal => "refusal",
    };
    (json!(reason), Value::Null)
}

/// More on a refusal.
pub(super) fn stop_details(said: &Said) -> Value {
    if said.finish != Finish::Refusal {
        return Value::Null;
    }
    json!({ "type": "refusal", "category": null, "explanation": null })
}

/// The usage with all its buckets, which are disjoint on Anthropic's wire.
pub(super) fn usage(stamp: &Stamp<'_>, used: &Used) -> Value {
    let mut out = counts(used);
    if let Some(members) = out.as_object_mut() {
        let creation = json!({ "ephemeral_5m_input_tokens": used.cache_write,
            "ephemeral_1h_input_tokens": used.cache_write_1h });
        members.insert("cache_creation".to_owned(), creation);
        let tier = match stamp.script.service_tier.as_str() {
            "default" => "standard",
            tier => tier,
        };
        members.insert("service_tier".to_owned(), json!(tier));
        members.insert("inference_geo".to_owned(), json!("not_available"));
    }
    out
}

/// The cumulative figures, as `message_delta` has them.
pub(super) fn counts(used: &Used) -> Value {
    let written = used.cache_write.saturating_add(used.cache_write_1h);
    json!({
        "input_tokens": used.prompt.saturating_sub(used.cached).saturating_sub(written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": used.cached,
        "output_tokens": used.completion,
        "output_tokens_details": { "thinking_tokens": used.reasoning.min(used.completion) },
    })
}
