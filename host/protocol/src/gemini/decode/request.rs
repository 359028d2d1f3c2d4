//! A whole request. Never sees what the host decides about it.

use serde_json::Value;

use crate::gemini::tree::{self, Members, take, take_object, take_string};
use crate::neutral::{Own, Part, Request};
use crate::request_error::RequestError;
use crate::scan::Fault;
use crate::{Addressed, Dialect};

use super::history::History;
use super::piece::{self, Piece};
use super::{config, tools};

/// Reads a request body. The model and whether to stream are in the URL.
pub(crate) fn request(body: &[u8], addressed: &Addressed<'_>) -> Result<Request, RequestError> {
    let mut root = object(body)?;
    let mut request = Request {
        model: addressed.model.unwrap_or_default().to_owned(),
        stream: addressed.stream.unwrap_or(false),
        system: system(take(&mut root, "systemInstruction")),
        ..Request::of(Dialect::Gemini)
    };
    let mut history = History::default();
    for (index, content) in tree::items(take(&mut root, "contents")).into_iter().enumerate() {
        history.push(index, content)?;
    }
    (request.turns, request.own) = (history.turns, history.own);
    tools::read(take(&mut root, "tools"), &mut request)?;
    tools::config(take(&mut root, "toolConfig"), &mut request);
    if let Some(generation) = take_object(&mut root, "generationConfig") {
        config::read(generation, &mut request);
    }
    request.service_tier =
        take_string(&mut root, "serviceTier").map(|tier| tier.to_ascii_lowercase());
    request.metadata = take(&mut root, "labels").map(Into::into);
    // The path names the model; some clients repeat it.
    take(&mut root, "model");
    for (name, value) in root {
        if !value.is_null() {
            request.own.push(Own { at: tree::below("", &name), value: value.into() });
        }
    }
    Ok(request)
}

fn object(body: &[u8]) -> Result<Members, RequestError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Fault { at: 0, what: "expected an object" }.into()),
    }
}

/// The instructions: a content, or a bare string in some clients.
fn system(value: Option<Value>) -> Vec<Part> {
    let parts = match value {
        Some(Value::Object(mut content)) => tree::items(take(&mut content, "parts")),
        other => tree::items(other),
    };
    let texts = parts.into_iter().filter_map(|part| match piece::read(part).piece {
        Piece::Text { text, .. } => Some(Part::text(text)),
        Piece::Media(media) => Some(Part::Media(media)),
        _ => None,
    });
    texts.collect()
}
