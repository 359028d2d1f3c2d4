//! Real usage bodies against what others make of them: each body is read with the readers of the
//! request path, priced with the same arithmetic as a bill, and compared count by count and, to the
//! pico-dollar, amount by amount. Pure: text in, findings out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use turnpike_protocol::Usage;
use turnpike_protocol::usage::UsageForm;
use turnpike_protocol::usage::form::{Stated, Thinking};

use crate::catalog::Side;
use crate::catalog::genai::{PriceBook, PriceList};

mod amount;
mod counts;

pub use amount::Amount;
use counts::COUNTS;

/// One body that was read as one provider's, by one kind of its API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The body's id in the file.
    pub body: u64,
    pub provider: String,
    pub api: String,
    /// Whether the file has a price for it.
    pub priced: bool,
    /// What differs; empty where both agree.
    pub differences: Vec<String>,
    /// Why it differs, where the body itself shows it.
    pub reason: Option<&'static str>,
    /// As an unknown server's, which the request path takes it for, it reads the same.
    pub same_unknown: bool,
    /// With the counts that the other project does not read for this provider, the bill is another.
    pub more_is_billed: bool,
}

/// One line of the file.
#[derive(Deserialize)]
struct Line<'a> {
    id: u64,
    #[serde(borrow)]
    body: &'a RawValue,
    model: Option<String>,
    extracted: Vec<Extracted>,
}

#[derive(Deserialize)]
struct Extracted {
    usage: BTreeMap<String, u64>,
    extractors: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    provider_id: String,
    api_flavor: String,
    input_price: Option<String>,
    output_price: Option<String>,
    total_price: Option<String>,
}

/// Why a file can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("line {line} is no usage body with expectations: {cause}")]
    Line { line: usize, cause: serde_json::Error },
}

/// Compares every reading of every body, with the price lists in force at `at`.
///
/// # Errors
/// Names the first line that can't be read.
pub fn readings(book: &PriceBook, lines: &str, at: Timestamp) -> Result<Vec<Reading>, CheckError> {
    let mut all = Vec::new();
    for (index, text) in lines.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let line: Line<'_> = serde_json::from_str(text)
            .map_err(|cause| CheckError::Line { line: index.saturating_add(1), cause })?;
        for extracted in &line.extracted {
            let one = |expected| reading(book, &line, &extracted.usage, expected, at);
            all.extend(extracted.extractors.iter().map(one));
        }
    }
    Ok(all)
}

fn reading(
    book: &PriceBook,
    line: &Line<'_>,
    counts: &BTreeMap<String, u64>,
    expected: &Expected,
    at: Timestamp,
) -> Reading {
    let (provider, api) = (expected.provider_id.as_str(), expected.api_flavor.as_str());
    let form = form(provider, api);
    let usage = form.read(line.body.get());
    let seller = book.provider(provider);
    let known = |name: &str| {
        let reads = seller.is_some_and(|seller| seller.counts(api, name));
        reads || counts.contains_key(name)
    };
    let mut differences = differing_counts(&known, counts, usage.as_ref());
    let list = line.model.as_deref().and_then(|name| book.find(provider, name));
    let list = list.and_then(|model| model.at(at));
    let limited = usage.map(|usage| counts::limited(usage, &known));
    differences.extend(differing_amounts(expected, limited.as_ref(), list));
    let bill = |usage: Option<Usage>| {
        usage.zip(list).map(|(usage, list)| list.card.billed(&usage, None).total())
    };
    let unknown = match form {
        UsageForm::OpenAiChat(_) => UsageForm::OpenAiChat(Stated::default()).read(line.body.get()),
        _ => usage,
    };
    let reason = if differences.is_empty() { None } else { reason(line.body.get()) };
    Reading {
        body: line.id,
        provider: provider.to_owned(),
        api: api.to_owned(),
        priced: expected.input_price.is_some(),
        differences,
        reason,
        same_unknown: unknown == usage,
        more_is_billed: bill(usage) != bill(limited),
    }
}

/// The form in which a provider states usage, by the file's names for it and its APIs.
fn form(provider: &str, api: &str) -> UsageForm {
    match (provider, api) {
        (_, "anthropic") | ("anthropic" | "minimax", "default") => UsageForm::AnthropicMessages,
        ("google", "default") => UsageForm::Gemini,
        ("aws", "default") => UsageForm::BedrockConverse,
        ("cohere", "tokens") => UsageForm::CoherePassed,
        ("cohere", _) => UsageForm::Cohere,
        (_, "responses" | "images") => UsageForm::OpenAiResponses,
        (_, "realtime") => UsageForm::OpenAiRealtime,
        (_, "embeddings") => UsageForm::OpenAiEmbeddings,
        _ => UsageForm::OpenAiChat(stated(provider, api)),
    }
}

/// How a provider that copies OpenAI's chat states its counts.
fn stated(provider: &str, api: &str) -> Stated {
    let inside = Stated { thinking: Thinking::Inside, ..Stated::default() };
    match (provider, api) {
        ("x-ai", "chat") => Stated { thinking: Thinking::Beside, ..inside },
        ("x-ai" | "perplexity", _) => {
            Stated { thinking: Thinking::Beside, thinking_on_top: true, cached_on_top: true }
        }
        ("modal", _) => Stated { thinking_on_top: true, ..inside },
        ("anthropic", _) => Stated { cached_on_top: true, ..inside },
        // Google's compatible endpoint shows thinking in the total alone.
        ("google", _) => Stated::default(),
        _ => inside,
    }
}

/// Counts that differ, of those that the file reads in this provider's usage: about others it says
/// nothing.
fn differing_counts(
    known: &impl Fn(&str) -> bool,
    counts: &BTreeMap<String, u64>,
    usage: Option<&Usage>,
) -> Vec<String> {
    let none = Usage::default();
    let usage = usage.unwrap_or(&none);
    let mut differences = Vec::new();
    for (name, count) in COUNTS.iter().filter(|(name, _)| known(name)) {
        let (ours, theirs) = (count(usage), counts.get(*name).copied().unwrap_or(0));
        if ours != theirs {
            differences.push(format!("{name} {ours}, expected {theirs}"));
        }
    }
    differences
}

fn differing_amounts(
    expected: &Expected,
    usage: Option<&Usage>,
    list: Option<&PriceList>,
) -> Vec<String> {
    let prices = expected.input_price.as_deref().zip(expected.output_price.as_deref());
    let Some((input, output)) = prices else {
        return match list {
            Some(_) => vec!["a price, expected none".to_owned()],
            None => Vec::new(),
        };
    };
    let Some((usage, list)) = usage.zip(list) else {
        return vec!["no price, expected one".to_owned()];
    };
    let billed = list.card.billed(usage, None);
    let rounded = if list.rounded { usage.input_tokens() + usage.output_tokens() } else { 0 };
    let (input, output) = (Amount::parse(input), Amount::parse(output));
    let total = match &expected.total_price {
        Some(total) => Amount::parse(total),
        None => input.zip(output).and_then(|(input, output)| input.plus(output)),
    };
    let sides = [
        ("input price", billed.of_side(Side::Prompt), input),
        ("output price", billed.of_side(Side::Answer), output),
        ("total price", billed.total(), total),
    ];
    let mut differences = Vec::new();
    for (name, ours, theirs) in sides {
        match theirs {
            Some(theirs) if theirs.is(ours, rounded) => {}
            Some(theirs) => differences.push(format!("{name} {ours}, expected {theirs}")),
            None => differences.push(format!("{name}: the expected one is no amount")),
        }
    }
    differences
}

/// What in the body explains a difference; see `docs/prices.md`.
fn reason(body: &str) -> Option<&'static str> {
    let body: Value = serde_json::from_str(body).ok()?;
    let rounds = body.pointer("/usage/iterations").and_then(Value::as_array);
    let beside = |round: &Value| {
        let kind = round.get("type").and_then(Value::as_str);
        matches!(kind, Some("compaction" | "advisor_message"))
    };
    if rounds.is_some_and(|rounds| rounds.iter().any(beside)) {
        return Some("rounds-beside");
    }
    if body.pointer("/usage/prompt_cache_hit_tokens").is_some() {
        return Some("names-of-another");
    }
    let hour = body.pointer("/usage/cache_creation/ephemeral_1h_input_tokens");
    if hour.and_then(Value::as_u64).is_some_and(|tokens| tokens > 0) {
        return Some("hour-long-writes");
    }
    let count = |name: &str| body.pointer(&format!("/usage/{name}")).and_then(Value::as_u64);
    let sum = count("prompt_tokens")?.saturating_add(count("completion_tokens").unwrap_or(0));
    (count("total_tokens")? > sum).then_some("thinking-in-the-total")
}

#[cfg(test)]
mod tests;
