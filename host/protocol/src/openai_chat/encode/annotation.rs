//! Citations of an answer as `annotations`, from whichever shape their issuer gave them. Only those
//! with an address have a shape here.

use serde_json::{Value, json};

use crate::neutral::Losses;

use super::super::tree;

/// Writes one citation of the text between two characters of the content.
pub(super) fn write(citation: &Value, span: (usize, usize), losses: &mut Losses) -> Option<Value> {
    let found = citation.as_object().and_then(|outer| {
        if outer.contains_key("url_citation") {
            return Some(citation.clone());
        }
        let inner = tree::object(outer, "web").unwrap_or(outer);
        let url = tree::string(inner, "url").or_else(|| tree::string(inner, "uri"))?;
        let title = tree::string(inner, "title").unwrap_or_default();
        let at = |key, other: usize| {
            let given = outer.get(key).and_then(Value::as_u64);
            given.and_then(|at| usize::try_from(at).ok()).unwrap_or(other)
        };
        let (start, end) = (at("start_index", span.0), at("end_index", span.1));
        Some(json!({
            "type": "url_citation",
            "url_citation": {"url": url, "title": title, "start_index": start, "end_index": end},
        }))
    });
    if found.is_none() {
        let what = "a citation without an address has no place in this dialect";
        losses.dropped("choices[].message.annotations", what);
    }
    found
}
