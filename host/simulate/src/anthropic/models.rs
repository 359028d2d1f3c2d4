//! `GET /v1/models` and `GET /v1/models/{id}` in Anthropic's shape.

use serde_json::{Value, json};

use crate::http::Request;
use crate::script::ProviderScript;

/// Models in one page, unless the caller says otherwise, and at most.
const PAGE: (usize, usize) = (20, 1000);
/// Every model's date: real ones differ, tests want the same bytes.
const CREATED: &str = "2025-01-01T00:00:00Z";

/// A page of the list.
pub(crate) fn models(provider: &ProviderScript, request: &Request) -> Value {
    let limit = request.query("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE.0);
    let ids = provider.models.iter().map(|model| model.id.as_str());
    let ids: Vec<&str> = match request.query("after_id") {
        Some(after) => ids.skip_while(|id| *id != after).skip(1).collect(),
        None => ids.collect(),
    };
    let page: Vec<&str> = ids.iter().copied().take(limit.clamp(1, PAGE.1)).collect();
    json!({
        "data": page.iter().map(|id| model(id)).collect::<Vec<_>>(),
        "has_more": page.len() < ids.len(),
        "first_id": page.first(),
        "last_id": page.last(),
    })
}

/// One model.
pub(crate) fn one_model(provider: &ProviderScript, id: &str) -> Option<Value> {
    provider.models.iter().find(|model| model.id == id).map(|found| model(&found.id))
}

fn model(id: &str) -> Value {
    json!({ "type": "model", "id": id, "display_name": display_name(id), "created_at": CREATED })
}

/// "claude-sonnet-4-5" is "Claude Sonnet 4 5": near enough to the real names.
fn display_name(id: &str) -> String {
    let upper = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    id.split('-').map(upper).collect::<Vec<_>>().join(" ")
}
