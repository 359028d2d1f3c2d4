//! Citations as annotations of a text. Those of another shape become links where they name one.

use serde_json::{Value, json};

use crate::neutral::{Json, Losses};

/// Annotations of this dialect, which are written as they came.
const OURS: [&str; 4] = ["url_citation", "file_citation", "container_file_citation", "file_path"];

/// All that can be written of the citations of a text.
pub(super) fn all(citations: &[Json], text: &str, losses: &mut Losses) -> Vec<Value> {
    let written = citations.iter().filter_map(|citation| {
        let value = annotation(&citation.0, text);
        if value.is_none() {
            losses.dropped("citations", "a citation of a kind that only another dialect has");
        }
        value
    });
    written.collect()
}

/// One annotation; it spans the whole text where the citation does not say.
pub(super) fn annotation(citation: &Value, text: &str) -> Option<Value> {
    let kind = citation.get("type").and_then(Value::as_str).unwrap_or_default();
    // Chat nests what stands flat here.
    let nested = citation.get("url_citation").filter(|nested| nested.is_object());
    if nested.is_none() && OURS.contains(&kind) {
        return Some(citation.clone());
    }
    let inner = nested.unwrap_or(citation);
    let url = inner.get("url").or_else(|| inner.get("uri")).and_then(Value::as_str)?;
    let title = inner.get("title").and_then(Value::as_str).unwrap_or(url);
    let place = |name: &str, other: usize| match inner.get(name).and_then(Value::as_u64) {
        Some(place) => json!(place),
        None => json!(other),
    };
    Some(json!({
        "type": "url_citation",
        "start_index": place("start_index", 0),
        "end_index": place("end_index", text.chars().count()),
        "url": url,
        "title": title,
    }))
}
