//! The `usage` object of a response, to and from disjoint buckets. Here cached tokens are a part of
//! the input's and reasoning tokens a part of the output's. The images and realtime APIs state
//! theirs in the same words, the latter with other names for the details. Never adds two reports.

use serde_json::{Map, Value, json};

use super::search::is_hosted;
use crate::Usage;
use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};

/// The counters as they stand in the object.
#[derive(Debug, Default)]
struct Report {
    input: Option<u64>,
    output: Option<u64>,
    cached: u64,
    written: u64,
    audio_in: u64,
    image_in: u64,
    reasoning: u64,
    audio_out: u64,
    image_out: u64,
    /// Parts of `cached` by what they are.
    cached_audio: u64,
    cached_image: u64,
}

/// Reads a `usage` value on its own.
pub(crate) fn parse(raw: &str) -> Option<Usage> {
    read(&mut Scanner::new(raw, LoneSurrogate::Accept)).ok()?
}

/// Reads the `usage` value that comes next.
pub(super) fn read(scanner: &mut Scanner<'_>) -> Result<Option<Usage>, Fault> {
    if scanner.kind()? != Kind::Object {
        scanner.skip()?;
        return Ok(None);
    }
    let mut report = Report::default();
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match key.as_ref() {
            "input_tokens" => report.input = count(scanner)?,
            "output_tokens" => report.output = count(scanner)?,
            "input_tokens_details" | "input_token_details" => report.input_details(scanner)?,
            "output_tokens_details" | "output_token_details" => {
                details(scanner, |key, count| match key {
                    "reasoning_tokens" => report.reasoning = count,
                    "audio_tokens" => report.audio_out = count,
                    "image_tokens" => report.image_out = count,
                    _ => {}
                })?
            }
            _ => {
                scanner.skip()?;
            }
        }
    }
    Ok(report.usage())
}

fn details(scanner: &mut Scanner<'_>, mut take: impl FnMut(&str, u64)) -> Result<(), Fault> {
    if scanner.kind()? != Kind::Object {
        return scanner.skip().map(|_| ());
    }
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        take(&key, count(scanner)?.unwrap_or(0));
    }
    Ok(())
}

/// A count; a negative number, a fraction or another type is no count.
fn count(scanner: &mut Scanner<'_>) -> Result<Option<u64>, Fault> {
    if scanner.kind()? == Kind::Number {
        return scanner.whole_number();
    }
    scanner.skip().map(|_| None)
}

// === impl Report ===

impl Report {
    fn input_details(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
        if scanner.kind()? != Kind::Object {
            return scanner.skip().map(|_| ());
        }
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            let slot = match key.as_ref() {
                "cached_tokens" => &mut self.cached,
                "cache_write_tokens" => &mut self.written,
                "audio_tokens" => &mut self.audio_in,
                "image_tokens" => &mut self.image_in,
                "cached_tokens_details" => {
                    details(scanner, |key, count| match key {
                        "audio_tokens" => self.cached_audio = count,
                        "image_tokens" => self.cached_image = count,
                        _ => {}
                    })?;
                    continue;
                }
                _ => {
                    scanner.skip()?;
                    continue;
                }
            };
            *slot = count(scanner)?.unwrap_or(0);
        }
        Ok(())
    }

    fn usage(&self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() {
            return None;
        }
        let (mut input, mut output) = (self.input.unwrap_or(0), self.output.unwrap_or(0));
        let mut cached = part(&mut input, self.cached);
        let cache_read_audio = part(&mut cached, self.cached_audio);
        let cache_read_image = part(&mut cached, self.cached_image);
        Some(Usage {
            cache_read: cached,
            cache_read_audio,
            cache_read_image,
            cache_write_5m: part(&mut input, self.written),
            input_audio: part(&mut input, self.audio_in.saturating_sub(cache_read_audio)),
            input_image: part(&mut input, self.image_in.saturating_sub(cache_read_image)),
            input_uncached: input,
            output_reasoning: part(&mut output, self.reasoning),
            output_audio: part(&mut output, self.audio_out),
            output_image: part(&mut output, self.image_out),
            output_text: output,
            requests: 1,
            ..Usage::default()
        })
    }
}

/// Takes a part off a whole, at most what is left.
fn part(whole: &mut u64, size: u64) -> u64 {
    let taken = size.min(*whole);
    *whole -= taken;
    taken
}

/// Adds the searches and the calls of other tools of the provider's own, which are no part of the
/// object but items of the output.
pub(super) fn with_items(usage: &mut Option<Usage>, searches: usize, hosted_calls: usize) {
    if let Some(usage) = usage {
        usage.searches = u64::try_from(searches).unwrap_or(u64::MAX);
        usage.hosted_calls = u64::try_from(hosted_calls).unwrap_or(u64::MAX);
    }
}

/// The usage of a response in a tree.
pub(super) fn of_response(response: &Map<String, Value>) -> Option<Usage> {
    let mut usage = response.get("usage").and_then(|usage| parse(&usage.to_string()));
    let items = response.get("output").and_then(Value::as_array);
    let items = || items.into_iter().flatten();
    let kind = |item: &&Value| item.get("type").and_then(Value::as_str).is_some_and(is_hosted);
    let (searches, hosted) = (items().filter(|item| is_search(item)), items().filter(kind));
    with_items(&mut usage, searches.count(), hosted.count());
    usage
}

/// Whether an item of the output is a search of the web; pages that are opened are not charged.
fn is_search(item: &Value) -> bool {
    let action = item.pointer("/action/type").and_then(Value::as_str);
    let kind = item.get("type").and_then(Value::as_str);
    kind == Some("web_search_call") && action.is_none_or(|what| what == "search")
}

/// The object, whole counts with their parts inside.
pub(super) fn value(usage: &Usage) -> Value {
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens()},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.output_reasoning},
        "total_tokens": input.saturating_add(output),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitfall_39_cached_and_reasoning_tokens_are_parts_of_the_whole() {
        let usage = parse(
            r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60},
                "output_tokens":50,"output_tokens_details":{"reasoning_tokens":30},
                "total_tokens":150}"#,
        )
        .unwrap();
        assert_eq!((usage.input_uncached, usage.cache_read), (40, 60));
        assert_eq!((usage.output_text, usage.output_reasoning), (20, 30));
        assert_eq!(value(&usage)["total_tokens"], 150);
        assert_eq!(parse(&value(&usage).to_string()), Some(usage));
    }

    #[test]
    fn a_part_larger_than_its_whole_is_cut_and_no_counts_are_no_usage() {
        let usage = parse(r#"{"input_tokens":5,"input_tokens_details":{"cached_tokens":9}}"#);
        assert_eq!(usage.map(|usage| (usage.cache_read, usage.input_uncached)), Some((5, 0)));
        assert_eq!(parse("null"), None);
        assert_eq!(parse(r#"{"total_tokens":5}"#), None);
    }
}
