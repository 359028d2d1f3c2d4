//! Vectors as Google gives them: `batchEmbedContents` of Gemini, `predict` of Vertex. Numbers pass
//! as they are written, unless base64 is wanted.

use std::ops::Range;

use serde_json::{Map, Value, json};

use crate::answer::AnswerError;
use crate::base64;
use crate::call::Outgoing;
use crate::neutral::Losses;
use crate::quirks::Envelope;
use crate::request_error::RequestError;
use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};
use crate::translate::{Naming, TranslatedAnswer};
use crate::{Usage, splice};

/// Texts of one `batchEmbedContents`, and of one `predict`.
const BATCH_MAX: usize = 100;
const INSTANCES_MAX: usize = 250;
/// Members of OpenAI's request that are carried over, or that the answer obeys.
const CARRIED: [&str; 4] = ["model", "input", "dimensions", "encoding_format"];

/// Writes a request; the model is in the URL as well.
pub(super) fn request(
    body: &[u8],
    out: &Outgoing<'_>,
    losses: &mut Losses,
) -> Result<Vec<u8>, RequestError> {
    let unread = || RequestError::invalid("input", "a text, or an array of texts");
    let body: Map<String, Value> = serde_json::from_slice(body).map_err(|_| unread())?;
    for name in body.keys().filter(|name| !CARRIED.contains(&name.as_str())) {
        losses.dropped(name.as_str(), "unknown to the provider");
    }
    let texts: Vec<&str> = match body.get("input") {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => return Err(unread()),
    };
    let wanted = body.get("input").and_then(Value::as_array).map_or(1, Vec::len);
    if texts.len() != wanted {
        losses.unsupported("input", "the tokens are those of another tokenizer");
    }
    let vertex = out.quirks.envelope == Envelope::Vertex;
    if wanted > if vertex { INSTANCES_MAX } else { BATCH_MAX } {
        losses.unsupported("input", "more texts than the provider takes at once");
    }
    let size = body.get("dimensions").filter(|size| !size.is_null());
    let written = if vertex { instances(&texts, size) } else { batch(&texts, size, out.model) };
    Ok(written.to_string().into_bytes())
}

fn batch(texts: &[&str], size: Option<&Value>, model: &str) -> Value {
    let one = |text: &&str| {
        let mut one = json!({
            "model": format!("models/{model}"),
            "content": {"parts": [{"text": text}]},
        });
        if let (Some(size), Some(members)) = (size, one.as_object_mut()) {
            members.insert("outputDimensionality".to_owned(), size.clone());
        }
        one
    };
    json!({"requests": texts.iter().map(one).collect::<Vec<_>>()})
}

fn instances(texts: &[&str], size: Option<&Value>) -> Value {
    let instances: Vec<Value> = texts.iter().map(|text| json!({"content": text})).collect();
    match size {
        Some(size) => {
            json!({"instances": instances, "parameters": {"outputDimensionality": size}})
        }
        None => json!({ "instances": instances }),
    }
}

/// What an answer holds.
#[derive(Debug, Default)]
struct Found {
    /// Where the numbers of each vector stand, brackets included.
    vectors: Vec<Range<usize>>,
    tokens: Option<u64>,
}

/// Writes an answer in OpenAI's shape.
pub(super) fn answer(
    body: &[u8],
    coded: bool,
    naming: &Naming,
) -> Result<TranslatedAnswer, AnswerError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| AnswerError { at: error.valid_up_to(), what: "not UTF-8" })?;
    let mut scanner = Scanner::new(text, LoneSurrogate::Accept);
    let mut found = Found::default();
    read(&mut scanner, &mut found)?;
    if found.vectors.is_empty() {
        return Err(AnswerError { at: 0, what: "expected a list of embeddings" });
    }
    let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
    for (index, span) in found.vectors.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let head = format!("{comma}{{\"object\":\"embedding\",\"index\":{index},\"embedding\":");
        out.extend_from_slice(head.as_bytes());
        let numbers = text.get(span.clone()).unwrap_or_default();
        if coded {
            splice::write_literal(&mut out, &base64::encode(&little_endian(numbers)?));
        } else {
            out.extend_from_slice(numbers.as_bytes());
        }
        out.push(b'}');
    }
    let tokens = found.tokens.unwrap_or(naming.input_tokens);
    out.extend_from_slice(b"],\"model\":");
    splice::write_literal(&mut out, &naming.model);
    let usage = format!(",\"usage\":{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}}}");
    out.extend_from_slice(usage.as_bytes());
    let used = |tokens| Usage { input_uncached: tokens, requests: 1, ..Usage::default() };
    Ok(TranslatedAnswer {
        body: out.into(),
        usage: found.tokens.map(used),
        service_tier: None,
        model: None,
        error: None,
        losses: Losses::default(),
    })
}

fn read(scanner: &mut Scanner<'_>, found: &mut Found) -> Result<(), Fault> {
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match (key.as_ref(), scanner.kind()?) {
            ("embeddings" | "predictions", Kind::Array) => {
                scanner.open_array()?;
                while scanner.next_item()? {
                    vector(scanner, found)?;
                }
            }
            ("usageMetadata", Kind::Object) => count(scanner, "promptTokenCount", found)?,
            _ => {
                scanner.skip()?;
            }
        }
    }
    scanner.end()
}

/// One vector: its members, or one more object around them.
fn vector(scanner: &mut Scanner<'_>, found: &mut Found) -> Result<(), Fault> {
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match (key.as_ref(), scanner.kind()?) {
            ("values", Kind::Array) => {
                let span = scanner.skip()?;
                found.vectors.push(span);
            }
            ("embeddings", Kind::Object) => vector(scanner, found)?,
            ("statistics", Kind::Object) => count(scanner, "token_count", found)?,
            _ => {
                scanner.skip()?;
            }
        }
    }
    Ok(())
}

fn count(scanner: &mut Scanner<'_>, name: &str, found: &mut Found) -> Result<(), Fault> {
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        if key == name && scanner.kind()? == Kind::Number {
            let span = scanner.skip()?;
            // Vertex writes the count as a fraction of zero.
            let whole = scanner.raw(span).split('.').next().unwrap_or_default();
            let so_far = found.tokens.unwrap_or(0);
            found.tokens = whole.parse().ok().map(|count: u64| so_far.saturating_add(count));
        } else {
            scanner.skip()?;
        }
    }
    Ok(())
}

/// The numbers of a JSON array as four bytes each.
fn little_endian(numbers: &str) -> Result<Vec<u8>, AnswerError> {
    let numbers: Vec<f32> = serde_json::from_str(numbers)
        .map_err(|_| AnswerError { at: 0, what: "expected numbers in a vector" })?;
    Ok(numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}
