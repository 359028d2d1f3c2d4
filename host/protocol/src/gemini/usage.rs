//! `usageMetadata`, to and from disjoint buckets. Cached tokens are a part of the prompt's; those
//! of thinking and of tools' results stand beside the others. Never adds two reports.

use serde_json::{Value, json};

use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};
use crate::{Usage, UsageUpdate};

/// What was used, and the tier that was served.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) usage: Option<Usage>,
    pub(super) service_tier: Option<String>,
}

/// Tokens of one modality each.
#[derive(Debug, Default, Clone, Copy)]
struct Details {
    audio: u64,
    /// Documents too: their pages are read as images.
    image: u64,
    video: u64,
}

#[derive(Debug, Default)]
struct Counters {
    prompt: Option<u64>,
    candidates: Option<u64>,
    cached: u64,
    thoughts: u64,
    tool_prompt: u64,
    total: Option<u64>,
    prompt_details: Details,
    tool_details: Details,
    cache_details: Details,
    candidate_details: Details,
}

/// Adds the searches, which are no part of the object but of the candidates. Without a report they
/// stand alone, to be laid over one that came before.
pub(super) fn searched(usage: &mut Option<Usage>, searches: u64) -> Option<UsageUpdate> {
    match usage {
        _ if searches == 0 => None,
        Some(usage) => {
            usage.searches = searches;
            None
        }
        None => Some(UsageUpdate { searches: Some(searches), ..UsageUpdate::default() }),
    }
}

/// The searches that stand in a candidate's `groundingMetadata`.
pub(super) fn searches(grounding: &Value) -> u64 {
    let queries = grounding.get("webSearchQueries").and_then(Value::as_array);
    queries.map_or(0, |queries| u64::try_from(queries.len()).unwrap_or(u64::MAX))
}

/// Reads a `usageMetadata` of a tree.
pub(crate) fn of(value: &Value) -> Report {
    let raw = value.to_string();
    read(&mut Scanner::new(&raw, LoneSurrogate::Accept)).unwrap_or_default()
}

/// Reads the `usageMetadata` that comes next.
pub(super) fn read(scanner: &mut Scanner<'_>) -> Result<Report, Fault> {
    let mut report = Report::default();
    if scanner.kind()? != Kind::Object {
        scanner.skip()?;
        return Ok(report);
    }
    let mut counters = Counters::default();
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match key.as_ref() {
            "promptTokenCount" => counters.prompt = count(scanner)?,
            "candidatesTokenCount" | "responseTokenCount" => counters.candidates = count(scanner)?,
            "cachedContentTokenCount" => counters.cached = count(scanner)?.unwrap_or(0),
            "thoughtsTokenCount" => counters.thoughts = count(scanner)?.unwrap_or(0),
            "toolUsePromptTokenCount" => counters.tool_prompt = count(scanner)?.unwrap_or(0),
            "totalTokenCount" => counters.total = count(scanner)?,
            "promptTokensDetails" => counters.prompt_details = details(scanner)?,
            "toolUsePromptTokensDetails" => counters.tool_details = details(scanner)?,
            "cacheTokensDetails" => counters.cache_details = details(scanner)?,
            "candidatesTokensDetails" | "responseTokensDetails" => {
                counters.candidate_details = details(scanner)?;
            }
            "serviceTier" | "trafficType" if scanner.kind()? == Kind::String => {
                report.service_tier = Some(tier(&scanner.string()?));
            }
            _ => {
                scanner.skip()?;
            }
        }
    }
    report.usage = counters.usage();
    Ok(report)
}

/// The tier in the words of the other providers.
fn tier(word: &str) -> String {
    match word {
        "ON_DEMAND" => "standard".to_owned(),
        "ON_DEMAND_FLEX" => "flex".to_owned(),
        "ON_DEMAND_PRIORITY" => "priority".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

fn details(scanner: &mut Scanner<'_>) -> Result<Details, Fault> {
    let mut details = Details::default();
    if scanner.kind()? != Kind::Array {
        scanner.skip()?;
        return Ok(details);
    }
    scanner.open_array()?;
    while scanner.next_item()? {
        if scanner.kind()? != Kind::Object {
            scanner.skip()?;
            continue;
        }
        let (mut modality, mut tokens) = (String::new(), 0);
        scanner.open_object()?;
        while let Some(key) = scanner.next_key()? {
            match key.as_ref() {
                "modality" if scanner.kind()? == Kind::String => {
                    modality = scanner.string()?.into_owned();
                }
                "tokenCount" => tokens = count(scanner)?.unwrap_or(0),
                _ => {
                    scanner.skip()?;
                }
            }
        }
        let part = match modality.as_str() {
            "AUDIO" => &mut details.audio,
            "IMAGE" | "DOCUMENT" => &mut details.image,
            "VIDEO" => &mut details.video,
            _ => continue,
        };
        *part = part.saturating_add(tokens);
    }
    Ok(details)
}

/// A count; a negative number, a fraction or another type is no count.
fn count(scanner: &mut Scanner<'_>) -> Result<Option<u64>, Fault> {
    if scanner.kind()? == Kind::Number {
        return scanner.whole_number();
    }
    scanner.skip().map(|_| None)
}

// === impl Details ===

impl Details {
    fn each(&self, other: &Self, with: fn(u64, u64) -> u64) -> Self {
        Self {
            audio: with(self.audio, other.audio),
            image: with(self.image, other.image),
            video: with(self.video, other.video),
        }
    }

    fn less(&self, other: &Self) -> Self {
        self.each(other, u64::saturating_sub)
    }

    fn and(&self, other: &Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// Takes the parts off a whole, each at most what is left.
    fn within(&self, whole: &mut u64) -> Self {
        Self {
            audio: part(whole, self.audio),
            image: part(whole, self.image),
            video: part(whole, self.video),
        }
    }
}

// === impl Counters ===

impl Counters {
    fn usage(&self) -> Option<Usage> {
        if self.prompt.is_none() && self.candidates.is_none() {
            return None;
        }
        let prompt = self.prompt.unwrap_or(0);
        let candidates = self.candidates.unwrap_or_else(|| self.unexplained(prompt));
        let (mut input, mut output) = (prompt, candidates);
        let mut cached = part(&mut input, self.cached);
        let from_cache = self.cache_details.within(&mut cached);
        // What tools brought stands beside the prompt, and is never cached.
        let mut input = input.saturating_add(self.tool_prompt);
        let fresh = self.prompt_details.less(&from_cache).and(&self.tool_details);
        let fresh = fresh.within(&mut input);
        let made = self.candidate_details.within(&mut output);
        Some(Usage {
            input_uncached: input,
            cache_read: cached,
            cache_read_audio: from_cache.audio,
            cache_read_image: from_cache.image,
            cache_read_video: from_cache.video,
            input_audio: fresh.audio,
            input_image: fresh.image,
            input_video: fresh.video,
            output_reasoning: self.thoughts,
            output_audio: made.audio,
            output_image: made.image,
            output_video: made.video,
            output_text: output,
            requests: 1,
            ..Usage::default()
        })
    }

    /// Tokens of the total that nothing else accounts for.
    fn unexplained(&self, prompt: u64) -> u64 {
        let known = prompt.saturating_add(self.thoughts).saturating_add(self.tool_prompt);
        self.total.unwrap_or(0).saturating_sub(known)
    }
}

/// Takes a part off a whole, at most what is left.
fn part(whole: &mut u64, size: u64) -> u64 {
    let taken = size.min(*whole);
    *whole -= taken;
    taken
}

/// Writes the object, with the parts inside their wholes again.
pub(super) fn write(usage: &Usage, service_tier: Option<&str>) -> Value {
    let prompt = usage.input_tokens();
    let candidates = usage.output_tokens().saturating_sub(usage.output_reasoning);
    let total = prompt.saturating_add(usage.output_tokens());
    let mut out = json!({"promptTokenCount": prompt, "candidatesTokenCount": candidates});
    let mut set = |name: &str, value: Value| {
        if let Some(members) = out.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    if usage.cached_tokens() > 0 {
        set("cachedContentTokenCount", json!(usage.cached_tokens()));
    }
    if usage.output_reasoning > 0 {
        set("thoughtsTokenCount", json!(usage.output_reasoning));
    }
    set("totalTokenCount", json!(total));
    let media = usage.input_audio.saturating_add(usage.input_image);
    let text = prompt.saturating_sub(media);
    set("promptTokensDetails", modalities(text, usage.input_audio, usage.input_image));
    let (audio, image) = (usage.output_audio, usage.output_image);
    if audio > 0 || image > 0 {
        set("candidatesTokensDetails", modalities(usage.output_text, audio, image));
    }
    if let Some(tier) = service_tier {
        set("serviceTier", json!(tier));
    }
    out
}

fn modalities(text: u64, audio: u64, image: u64) -> Value {
    let all = [("TEXT", text), ("AUDIO", audio), ("IMAGE", image)];
    let some = all.into_iter().filter(|(_, tokens)| *tokens > 0);
    some.map(|(modality, tokens)| json!({"modality": modality, "tokenCount": tokens})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitfall_39_cached_is_a_part_and_thoughts_are_not() {
        let report = of(&json!({"promptTokenCount": 1200, "cachedContentTokenCount": 1000,
            "candidatesTokenCount": 40, "thoughtsTokenCount": 60, "toolUsePromptTokenCount": 7,
            "totalTokenCount": 1307, "trafficType": "ON_DEMAND_FLEX"}));
        let usage = report.usage.unwrap();
        let expected = Usage {
            input_uncached: 207,
            cache_read: 1000,
            output_text: 40,
            output_reasoning: 60,
            requests: 1,
            ..Usage::default()
        };
        assert_eq!((usage, report.service_tier.as_deref()), (expected, Some("flex")));
        assert_eq!(usage.input_tokens() + usage.output_tokens(), 1307);
    }

    #[test]
    fn modalities_have_their_buckets_less_what_was_cached() {
        let usage = of(&json!({"promptTokenCount": 100, "cachedContentTokenCount": 30,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 40},
                {"modality": "AUDIO", "tokenCount": 50}, {"modality": "IMAGE", "tokenCount": 10}],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}],
            "candidatesTokenCount": 1290,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}]}));
        let usage = usage.usage.unwrap();
        assert_eq!((usage.cache_read, usage.cache_read_audio), (0, 30));
        assert_eq!((usage.input_audio, usage.input_image), (20, 10));
        assert_eq!((usage.input_uncached, usage.output_text, usage.output_image), (40, 0, 1290));
        let again = of(&write(&usage, None)).usage.unwrap();
        assert_eq!((again.input_tokens(), again.output_tokens()), (100, 1290));
        assert_eq!((again.input_audio, again.output_image), (20, 1290));
    }

    #[test]
    fn without_a_count_of_candidates_the_total_tells() {
        let usage = of(&json!({"promptTokenCount": 8, "totalTokenCount": 12,
            "thoughtsTokenCount": 4}));
        assert_eq!(usage.usage.unwrap().output_text, 0);
        assert!(of(&json!({"totalTokenCount": 12})).usage.is_none());
        assert!(of(&json!(null)).usage.is_none());
    }
}
