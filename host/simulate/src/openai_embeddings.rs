//! `POST /embeddings`: vectors that are the same for the same text and of length one, as floats or
//! as base64. Alike texts get alike vectors, by the words that they share.

use serde_json::{Value, json};

use crate::encode::base64;
use crate::openai_chat::invalid;
use crate::script::ModelScript;
use crate::server::Visit;
use crate::speech::{ErrorBody, Peek};
use crate::{dice, openai_chat, tokens};

/// Numbers of a vector where nobody says otherwise.
const DIMENSIONS: u32 = 1536;
/// Texts of one request.
const INPUTS_MAX: usize = 2048;
/// Members of a request.
const MEMBERS: [&str; 5] = ["model", "input", "encoding_format", "dimensions", "user"];

/// The body of an answer, and its prompt's tokens.
pub(crate) fn answer(visit: &Visit<'_>) -> Result<(String, Value), ErrorBody> {
    let name = Peek::at(&visit.request.body)
        .map(|peek| peek.model)
        .map_err(|_| invalid("you must provide a model parameter", Some("model"), None))?;
    let model = visit.provider.model(&name);
    let model = model.ok_or_else(|| openai_chat::unknown_model(&name))?.live();
    visit.scripted(&openai_chat::Chat, &model, &name)?;
    let body: Value = serde_json::from_slice(&visit.request.body)
        .map_err(|error| invalid(&error.to_string(), None, None))?;
    check(&body)?;
    let inputs = inputs(body.get("input"))?;
    let own = model.script.dimensions.unwrap_or(DIMENSIONS);
    let size = dimensions(&body, own)?;
    let coded = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let mut used = 0u64;
    let mut data = Vec::with_capacity(inputs.len());
    for (index, input) in inputs.iter().enumerate() {
        used = used.saturating_add(input.tokens);
        let vector = vector(&input.text, size);
        let embedding = if coded {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            json!(base64(&bytes))
        } else {
            json!(vector)
        };
        data.push(json!({ "object": "embedding", "index": index, "embedding": embedding }));
    }
    let usage = json!({ "prompt_tokens": used, "total_tokens": used });
    let served = model.script.served_as.as_deref().unwrap_or(&name);
    let body = json!({ "object": "list", "data": data, "model": served, "usage": usage });
    Ok((name.into_owned(), body))
}

struct Input {
    text: String,
    tokens: u64,
}

fn check(body: &Value) -> Result<(), ErrorBody> {
    let mut names = body.as_object().into_iter().flat_map(|members| members.keys());
    if let Some(name) = names.find(|name| !MEMBERS.contains(&name.as_str())) {
        let text = format!("Unknown parameter: '{name}'.");
        return Err(invalid(&text, Some(name), Some("unknown_parameter")));
    }
    match body.get("encoding_format").and_then(Value::as_str) {
        None | Some("float" | "base64") => Ok(()),
        Some(other) => {
            let text =
                format!("Invalid value: '{other}'. Supported values are: 'float' and 'base64'.");
            Err(invalid(&text, Some("encoding_format"), Some("invalid_value")))
        }
    }
}

/// A text, a list of texts, a list of tokens, or a list of such lists.
fn inputs(input: Option<&Value>) -> Result<Vec<Input>, ErrorBody> {
    let refuse = |text: &str| Err(invalid(text, Some("input"), None));
    let all: Vec<Input> = match input {
        Some(Value::String(_)) => one(input).into_iter().collect(),
        Some(Value::Array(items)) if items.first().is_some_and(Value::is_number) => {
            one(input).into_iter().collect()
        }
        Some(Value::Array(items)) => items.iter().filter_map(|item| one(Some(item))).collect(),
        _ => return refuse("'$.input' is invalid. Please check the API reference."),
    };
    let wanted =
        input.and_then(Value::as_array).filter(|items| !items.iter().any(Value::is_number));
    if all.is_empty() || wanted.is_some_and(|items| items.len() != all.len()) {
        return refuse("'$.input' is invalid. Please check the API reference.");
    }
    if all.iter().any(|input| input.tokens == 0) {
        return refuse("Invalid 'input': input cannot be an empty string.");
    }
    if all.len() > INPUTS_MAX {
        return refuse(
            "Invalid 'input': array too long. Expected an array with maximum length 2048.",
        );
    }
    Ok(all)
}

fn one(item: Option<&Value>) -> Option<Input> {
    match item? {
        Value::String(text) => Some(Input { text: text.clone(), tokens: tokens::count(text) }),
        Value::Array(numbers) if numbers.iter().all(Value::is_number) => {
            let text: Vec<String> = numbers.iter().map(Value::to_string).collect();
            let tokens = u64::try_from(text.len()).unwrap_or(u64::MAX);
            Some(Input { text: text.join(" "), tokens })
        }
        _ => None,
    }
}

fn dimensions(body: &Value, own: u32) -> Result<u32, ErrorBody> {
    let Some(value) = body.get("dimensions").filter(|value| !value.is_null()) else {
        return Ok(own);
    };
    let wanted = value.as_u64().and_then(|wanted| u32::try_from(wanted).ok());
    wanted.filter(|wanted| (1..=own).contains(wanted)).ok_or_else(|| {
        let text = format!(
            "Invalid value for 'dimensions' = {value}. Must be less than or equal to {own}."
        );
        invalid(&text, Some("dimensions"), None)
    })
}

/// The vector of a text by a model, or of the length that is wanted.
pub(crate) fn vector_of(text: &str, model: &ModelScript, wanted: Option<u32>) -> Vec<f32> {
    vector(text, wanted.or(model.dimensions).unwrap_or(DIMENSIONS))
}

/// The sum of a direction for each word, brought to length one.
fn vector(text: &str, size: u32) -> Vec<f32> {
    let mut sum = vec![0f32; usize::try_from(size).unwrap_or(0)];
    for word in text.split_whitespace().map(str::to_lowercase) {
        let seed = word.bytes().fold(0u64, |seed, byte| dice::roll(seed, byte.into()));
        for (number, nth) in sum.iter_mut().zip(0u64..) {
            // The top 16 bits, from -1 to 1.
            let bits = u16::try_from(dice::roll(seed, nth) >> 48).unwrap_or(0);
            *number += f32::from(bits) / 32_768.0 - 1.0;
        }
    }
    let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        sum.iter_mut().for_each(|number| *number /= length);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_texts_are_near_and_others_far() {
        let near = |a: &str, b: &str| {
            let (a, b) = (vector(a, 256), vector(b, 256));
            a.iter().zip(&b).map(|(a, b)| a * b).sum::<f32>()
        };
        assert!((near("the cat sat", "the cat sat") - 1.0).abs() < 1e-4);
        let (alike, other) = (near("the cat sat", "the cat ran"), near("the cat sat", "blue moon"));
        assert!(alike > 0.5 && other < 0.3, "{alike} {other}");
    }
}
