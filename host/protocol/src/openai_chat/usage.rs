//! The `usage` object of a chat completion, to and from disjoint buckets. Here cached, written,
//! audio and image tokens are parts of the prompt's; reasoning, audio and image tokens are parts of
//! the completion's. Each part is taken off the whole once. Never adds two reports.

use crate::Usage;
use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};

/// The counters as they stand in the object.
#[derive(Debug, Default)]
struct Report {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    /// The largest of the names that servers give to tokens read from cache: aliases, not a sum.
    cached: u64,
    missed: u64,
    written: u64,
    audio_in: u64,
    image_in: u64,
    reasoning: u64,
    audio_out: u64,
    image_out: u64,
}

/// Reads a `usage` value on its own.
pub(crate) fn parse(raw: &str) -> Option<Usage> {
    let mut scanner = Scanner::new(raw, LoneSurrogate::Accept);
    let usage = read(&mut scanner).ok()?;
    scanner.end().ok()?;
    usage
}

/// Reads the `usage` value that comes next.
pub(crate) fn read(scanner: &mut Scanner<'_>) -> Result<Option<Usage>, Fault> {
    if scanner.kind()? != Kind::Object {
        scanner.skip()?;
        return Ok(None);
    }
    let mut report = Report::default();
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match key.as_ref() {
            "prompt_tokens" => report.prompt = count(scanner)?,
            "completion_tokens" => report.completion = count(scanner)?,
            "total_tokens" => report.total = count(scanner)?,
            "cached_tokens"
            | "num_cached_tokens"
            | "prompt_cache_hit_tokens"
            | "cache_read_input_tokens" => largest(&mut report.cached, scanner)?,
            "prompt_cache_miss_tokens" => largest(&mut report.missed, scanner)?,
            "cache_creation_input_tokens" => largest(&mut report.written, scanner)?,
            "reasoning_tokens" => largest(&mut report.reasoning, scanner)?,
            "prompt_tokens_details" => prompt_details(&mut report, scanner)?,
            "completion_tokens_details" => completion_details(&mut report, scanner)?,
            _ => {
                scanner.skip()?;
            }
        }
    }
    Ok(report.usage())
}

fn prompt_details(report: &mut Report, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
    details(scanner, |scanner, key| match key {
        "cached_tokens" => largest(&mut report.cached, scanner),
        "cache_write_tokens" | "cache_creation_tokens" => largest(&mut report.written, scanner),
        "audio_tokens" => largest(&mut report.audio_in, scanner),
        "image_tokens" => largest(&mut report.image_in, scanner),
        _ => scanner.skip().map(|_| ()),
    })
}

fn completion_details(report: &mut Report, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
    details(scanner, |scanner, key| match key {
        "reasoning_tokens" => largest(&mut report.reasoning, scanner),
        "audio_tokens" => largest(&mut report.audio_out, scanner),
        "image_tokens" => largest(&mut report.image_out, scanner),
        _ => scanner.skip().map(|_| ()),
    })
}

fn details<'a>(
    scanner: &mut Scanner<'a>,
    mut member: impl FnMut(&mut Scanner<'a>, &str) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if scanner.kind()? != Kind::Object {
        return scanner.skip().map(|_| ());
    }
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        member(scanner, &key)?;
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

fn largest(slot: &mut u64, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
    let count = count(scanner)?.unwrap_or(0);
    *slot = count.max(*slot);
    Ok(())
}

// === impl Report ===

impl Report {
    fn usage(&self) -> Option<Usage> {
        if self.prompt.is_none() && self.completion.is_none() {
            return None;
        }
        let prompt = self.prompt.unwrap_or_else(|| self.cached.saturating_add(self.missed));
        let completion = self.completion.unwrap_or(0);
        let (hidden, completion) = self.thinking(prompt, completion);
        let mut input = Whole(prompt);
        let mut output = Whole(completion);
        Some(Usage {
            cache_read: input.part(self.cached),
            cache_write_5m: input.part(self.written),
            cache_write_1h: 0,
            input_audio: input.part(self.audio_in),
            input_image: input.part(self.image_in),
            input_uncached: input.0,
            output_reasoning: output.part(self.reasoning.max(hidden)),
            output_audio: output.part(self.audio_out),
            output_image: output.part(self.image_out),
            output_text: output.0,
            requests: 1,
        })
    }

    /// Thinking that some servers leave out of `completion_tokens` and show only in the total: the
    /// tokens of it, and the whole completion with it. Nothing when the total says otherwise.
    fn thinking(&self, prompt: u64, completion: u64) -> (u64, u64) {
        let explained = prompt.saturating_add(completion);
        let beyond = self.total.unwrap_or(0).saturating_sub(explained);
        if beyond > 0 && (self.reasoning == 0 || self.reasoning == beyond) {
            return (beyond, completion.saturating_add(beyond));
        }
        (0, completion)
    }
}

/// What is left of a whole after its parts.
struct Whole(u64);

// === impl Whole ===

impl Whole {
    /// Takes a part off, at most what is left.
    fn part(&mut self, size: u64) -> u64 {
        let taken = size.min(self.0);
        self.0 -= taken;
        taken
    }
}

/// Writes the object, whole counts with their parts inside.
pub(crate) fn write(usage: &Usage) -> String {
    let (prompt, completion) = (usage.input_tokens(), usage.output_tokens());
    let total = prompt.saturating_add(completion);
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let Usage { cache_read, input_audio, input_image, .. } = usage;
    let Usage { output_reasoning, output_audio, output_image, .. } = usage;
    format!(
        "{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{total},\
         \"prompt_tokens_details\":{{\"cached_tokens\":{cache_read},\
         \"cache_write_tokens\":{written},\"audio_tokens\":{input_audio},\
         \"image_tokens\":{input_image}}},\
         \"completion_tokens_details\":{{\"reasoning_tokens\":{output_reasoning},\
         \"audio_tokens\":{output_audio},\"image_tokens\":{output_image}}}}}"
    )
}

#[cfg(test)]
mod tests;
