//! A whole request. The model and whether to stream are in the URL, so neither is written.

use serde_json::{Map, Value, json};

use crate::call::Outgoing;
use crate::gemini::tree;
use crate::neutral::{Losses, Own, Request};
use crate::quirks::Envelope;

use super::contents::Contents;
use super::{config, tools};

/// The beginnings of paths that only Google's requests have.
const OURS: [&str; 5] =
    ["safetySettings", "cachedContent", "generationConfig.", "toolConfig.", "tools["];

/// Writes a request.
pub(crate) fn request(request: &Request, out: &Outgoing<'_>, losses: &mut Losses) -> Vec<u8> {
    let mut root = Map::new();
    let mut contents = Contents::new(request, out.quirks, losses);
    contents.write_turns();
    let mut system = contents.system();
    let written = contents.finish();
    let mut generation = config::write(request, out, losses);
    // Gemini 3 answers in JSON beside its tools; the models before refuse the two together.
    let instructed = !request.tools.is_empty() && !out.quirks.thinking_level;
    config::format(request, instructed, &mut generation, &mut system, losses);
    root.insert("contents".to_owned(), Value::Array(written));
    if !system.is_empty() {
        root.insert("systemInstruction".to_owned(), json!({"parts": system}));
    }
    let (offered, choice) = tools::write(request, losses);
    if !offered.is_empty() {
        root.insert("tools".to_owned(), Value::Array(offered));
    }
    if let Some(choice) = choice {
        root.insert("toolConfig".to_owned(), json!({"functionCallingConfig": choice}));
    }
    if !generation.is_empty() {
        root.insert("generationConfig".to_owned(), Value::Object(generation));
    }
    service_tier(request, out, &mut root, losses);
    let mut root = Value::Object(root);
    for own in &request.own {
        if !restore(&mut root, own) {
            own.lost(losses, "unknown to the provider");
        }
    }
    tree::bytes(&root)
}

fn service_tier(
    request: &Request,
    out: &Outgoing<'_>,
    root: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    let Some(tier) = request.service_tier.as_deref() else { return };
    match tier {
        "auto" | "default" | "standard" | "standard_only" => {}
        // Vertex takes the tier in a header.
        "flex" | "priority" if out.quirks.envelope == Envelope::Plain => {
            root.insert("serviceTier".to_owned(), json!(tier));
        }
        _ => losses.dropped("service_tier", "no such tier"),
    }
}

/// Puts back a member that came from a request in this dialect. Whether it could be.
fn restore(root: &mut Value, own: &Own) -> bool {
    if !OURS.iter().any(|ours| own.at.starts_with(ours)) {
        return false;
    }
    let (path, name) = own.at.rsplit_once('.').unwrap_or(("", &own.at));
    let mut place = root;
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let (key, index) = step.split_once('[').unwrap_or((step, ""));
        let Some(members) = place.as_object_mut() else { return false };
        if index.is_empty() {
            place = members.entry(key).or_insert_with(|| json!({}));
            continue;
        }
        let index: Option<usize> = index.trim_end_matches(']').parse().ok();
        let item = index.and_then(|index| members.get_mut(key)?.get_mut(index));
        let Some(item) = item else { return false };
        place = item;
    }
    let Some(members) = place.as_object_mut() else { return false };
    members.insert(name.to_owned(), own.value.0.clone());
    true
}
