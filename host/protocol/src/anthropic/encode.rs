//! From the neutral model to this dialect's wire: requests for providers, answers and streams for
//! callers. What cannot be carried is reported, never dropped in silence.

mod content;
mod messages;
mod reply;
mod request;
mod stream;
mod thinking;
mod tools;

pub(crate) use reply::reply;
pub(crate) use request::request;
pub(crate) use stream::Stream;

use serde_json::{Value, json};

use crate::neutral::{Finish, Json, Losses};

/// Types of citations that this dialect has.
const LOCATIONS: &[&str] = &[
    "char_location",
    "page_location",
    "content_block_location",
    "web_search_result_location",
    "search_result_location",
];

/// The `stop_reason` for an answer that ended.
fn stop_reason(finish: Option<Finish>, calls_tools: bool) -> &'static str {
    match finish {
        Some(Finish::Length) => "max_tokens",
        Some(Finish::StopSequence) => "stop_sequence",
        Some(Finish::ToolCalls) => "tool_use",
        Some(Finish::Refusal | Finish::ContentFilter) => "refusal",
        Some(Finish::Pause) => "pause_turn",
        Some(Finish::Stop | Finish::Other) | None if calls_tools => "tool_use",
        Some(Finish::Stop | Finish::Other) | None => "end_turn",
    }
}

/// An id that this dialect accepts: letters, digits, `_` and `-`.
fn plain_id(id: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    id.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect()
}

/// A citation in this dialect's shape; an address cited in OpenAI's becomes a search result's.
fn citation(given: &Json, losses: &mut Losses) -> Option<Value> {
    let kind = given.0.get("type").and_then(Value::as_str).unwrap_or_default();
    if LOCATIONS.contains(&kind) {
        return Some(given.0.clone());
    }
    let cited = given.0.get("url_citation").unwrap_or(&given.0);
    let url = cited.get("url").filter(|_| kind == "url_citation");
    // Without a type it is a page that Google found.
    let url = url.or_else(|| cited.get("uri").filter(|_| kind.is_empty()));
    let Some(url) = url.and_then(Value::as_str) else {
        losses.dropped("content.citations", "a citation of a kind that this dialect has not");
        return None;
    };
    losses.approximated("content.citations", "the cited place in the text is left out");
    Some(json!({
        "type": "web_search_result_location",
        "cited_text": "",
        "encrypted_index": "",
        "title": cited.get("title"),
        "url": url,
    }))
}
