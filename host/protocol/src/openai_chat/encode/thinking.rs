//! Signatures of thinking in this dialect's invented members: tagged in a caller's history, bare
//! towards the provider that knows their format. Never sends one as somebody else's.

use serde_json::{Value, json};

use crate::neutral::{Issuer, Signature};

/// The name of a signature's format, as OpenRouter writes it.
fn format(issuer: Issuer) -> &'static str {
    match issuer {
        Issuer::Anthropic => "anthropic-claude-v1",
        Issuer::OpenAi => "openai-responses-v1",
        Issuer::Gemini => "google-gemini-v1",
        Issuer::Other => "unknown",
    }
}

/// The entry of `reasoning_details` for signed thinking.
pub(super) fn signed(text: &str, signature: &str, issuer: Issuer, index: usize) -> Value {
    json!({
        "type": "reasoning.text",
        "text": text,
        "signature": signature,
        "format": format(issuer),
        "index": index,
    })
}

/// The entry for thinking that only its issuer can read, or for the signature of a tool call.
pub(super) fn sealed(id: Option<&str>, data: &str, issuer: Issuer, index: usize) -> Value {
    let mut entry = json!({
        "type": "reasoning.encrypted",
        "data": data,
        "format": format(issuer),
        "index": index,
    });
    if let (Some(id), Some(entry)) = (id, entry.as_object_mut()) {
        entry.insert("id".to_owned(), id.into());
    }
    entry
}

/// A signature as a caller of this dialect keeps it.
pub(super) fn kept(signature: &Signature) -> String {
    signature.write(Issuer::Other)
}

/// The member of a tool call that holds its signature in a caller's history, as Google's compatible
/// endpoint writes it.
pub(super) fn extra_content(signature: &Signature) -> Value {
    json!({"google": {"thought_signature": signature.write(Issuer::Gemini)}})
}
