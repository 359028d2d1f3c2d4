//! The `usage` object of a chat completion, to and from disjoint buckets. Here cached, written,
//! audio, image and video tokens are parts of the prompt's; reasoning, audio and image tokens are
//! parts of the completion's. Each part is taken off the whole once. Where a server that copies the
//! dialect counts otherwise, what it states tells. Never adds two reports.

use crate::Usage;
use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};
use crate::usage::form::{Stated, Thinking};

/// The counters as they stand in the object.
#[derive(Debug, Default)]
struct Report {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    /// The largest of the names that servers give to tokens read from cache: aliases, not a sum.
    /// In the details, and beside the totals.
    cached: u64,
    cached_on_top: u64,
    missed: u64,
    written: u64,
    audio_in: u64,
    image_in: u64,
    video_in: u64,
    reasoning: u64,
    reasoning_on_top: u64,
    audio_out: u64,
    image_out: u64,
    searches: u64,
    /// Perplexity's: what it read for the answer, beside the completion as its thinking is.
    citations: Option<u64>,
    /// Cohere's: what it charges for, and what went through the model.
    billed: Option<Sides>,
    passed: Option<Sides>,
}

/// Cohere's counts of one kind: what it charges for, or what went through the model.
#[derive(Debug, Clone, Copy, Default)]
struct Sides {
    input: u64,
    output: u64,
    /// Of pictures that were embedded.
    image: u64,
    /// Of rankings.
    searches: u64,
}

/// Reads a `usage` value on its own.
pub(crate) fn parse(raw: &str) -> Option<Usage> {
    parse_as(raw, Stated::default())
}

/// Reads a `usage` value of a server of which something is known.
pub(crate) fn parse_as(raw: &str, stated: Stated) -> Option<Usage> {
    let mut scanner = Scanner::new(raw, LoneSurrogate::Accept);
    let report = report(&mut scanner).ok()??;
    scanner.end().ok()?;
    report.usage(stated)
}

/// What Cohere says went through the model, where it says so beside what it charges for.
pub(crate) fn parse_passed(raw: &str) -> Option<Usage> {
    let report = report(&mut Scanner::new(raw, LoneSurrogate::Accept)).ok()??;
    report.passed.map(|sides| sides.usage(report.cached_on_top))
}

/// Reads the `usage` value that comes next.
pub(crate) fn read(scanner: &mut Scanner<'_>) -> Result<Option<Usage>, Fault> {
    Ok(report(scanner)?.and_then(|report| report.usage(Stated::default())))
}

fn report(scanner: &mut Scanner<'_>) -> Result<Option<Report>, Fault> {
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
            // Mistral's `num_cached_tokens` is its engine's count, without a discount: what it
            // charges less for stands in the details.
            "cached_tokens"
            | "prompt_cache_hit_tokens"
            | "cached_prompt_text_tokens"
            | "cache_read_input_tokens" => largest(&mut report.cached_on_top, scanner)?,
            "prompt_cache_miss_tokens" => largest(&mut report.missed, scanner)?,
            "cache_creation_input_tokens" => largest(&mut report.written, scanner)?,
            "reasoning_tokens" => largest(&mut report.reasoning_on_top, scanner)?,
            // Perplexity's, xAI's and OpenRouter's names for it.
            "num_search_queries" | "num_sources_used" => largest(&mut report.searches, scanner)?,
            "citation_tokens" => report.citations = count(scanner)?,
            "billed_units" => report.billed = sides(scanner)?,
            "tokens" => report.passed = sides(scanner)?,
            "server_tool_use" | "server_tool_use_details" => tools(&mut report, scanner)?,
            "prompt_tokens_details" => prompt_details(&mut report, scanner)?,
            "completion_tokens_details" => completion_details(&mut report, scanner)?,
            _ => {
                scanner.skip()?;
            }
        }
    }
    Ok(Some(report))
}

/// Cohere's counts; anything else counts nothing.
fn sides(scanner: &mut Scanner<'_>) -> Result<Option<Sides>, Fault> {
    let (mut found, mut sides) = (false, Sides::default());
    details(scanner, |scanner, key| {
        let side = match key {
            "input_tokens" => &mut sides.input,
            "output_tokens" => &mut sides.output,
            "image_tokens" => &mut sides.image,
            "search_units" => &mut sides.searches,
            _ => return scanner.skip().map(|_| ()),
        };
        found = true;
        largest(side, scanner)
    })?;
    Ok(found.then_some(sides))
}

fn prompt_details(report: &mut Report, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
    details(scanner, |scanner, key| match key {
        "cached_tokens" => largest(&mut report.cached, scanner),
        "cache_write_tokens" | "cache_creation_tokens" => largest(&mut report.written, scanner),
        "audio_tokens" => largest(&mut report.audio_in, scanner),
        "image_tokens" => largest(&mut report.image_in, scanner),
        "video_tokens" => largest(&mut report.video_in, scanner),
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

fn tools(report: &mut Report, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
    details(scanner, |scanner, key| match key {
        "web_search_requests" => largest(&mut report.searches, scanner),
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
    fn usage(&self, stated: Stated) -> Option<Usage> {
        if self.prompt.is_none() && self.completion.is_none() {
            // What is charged for counts, not what went through the model.
            return self.billed.or(self.passed).map(|sides| sides.usage(self.cached_of(&sides)));
        }
        let pick = |details: u64, on_top: u64, only_on_top: bool| match only_on_top {
            true => on_top,
            false => details.max(on_top),
        };
        let cached = pick(self.cached, self.cached_on_top, stated.cached_on_top);
        let reasoning = pick(self.reasoning, self.reasoning_on_top, stated.thinking_on_top);
        let prompt = self.prompt.unwrap_or_else(|| cached.saturating_add(self.missed));
        let completion = self.completion.unwrap_or(0);
        let beside = self.beside(stated.thinking, reasoning, prompt, completion);
        let mut input = Whole(prompt);
        let mut output = Whole(completion.saturating_add(beside));
        Some(Usage {
            cache_read: input.part(cached),
            cache_write_5m: input.part(self.written),
            input_audio: input.part(self.audio_in),
            input_image: input.part(self.image_in),
            input_video: input.part(self.video_in),
            input_uncached: input.0,
            output_reasoning: output.part(reasoning.max(beside)),
            output_audio: output.part(self.audio_out),
            output_image: output.part(self.image_out),
            output_text: output.0,
            requests: 1,
            searches: self.searches,
            citations: self.citations.unwrap_or(0),
            ..Usage::default()
        })
    }

    /// Tokens of thinking that are not among those of the completion. Some servers leave them out,
    /// and show it by the total, or by counts of their own beside which thinking always stands.
    fn beside(&self, thinking: Thinking, reasoning: u64, prompt: u64, completion: u64) -> u64 {
        let explained = prompt.saturating_add(completion);
        let beyond = self.total.unwrap_or(0).saturating_sub(explained);
        match thinking {
            Thinking::Inside => 0,
            Thinking::Beside => reasoning,
            Thinking::Told if self.citations.is_some() => reasoning,
            Thinking::Told if reasoning == 0 || reasoning == beyond => beyond,
            Thinking::Told => 0,
        }
    }

    /// Cohere counts what it read from its cache among what went through the model, of which only
    /// a part is charged for.
    fn cached_of(&self, sides: &Sides) -> u64 {
        match self.billed {
            Some(_) => 0,
            None => self.cached_on_top.min(sides.input),
        }
    }
}

// === impl Sides ===

impl Sides {
    fn usage(&self, cached: u64) -> Usage {
        let mut input = Whole(self.input);
        Usage {
            cache_read: input.part(cached),
            input_uncached: input.0,
            input_image: self.image,
            output_text: self.output,
            searches: self.searches,
            requests: 1,
            ..Usage::default()
        }
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
    let Usage { input_audio, input_image, .. } = usage;
    let cached = usage.cached_tokens();
    let Usage { output_reasoning, output_audio, output_image, .. } = usage;
    format!(
        "{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{total},\
         \"prompt_tokens_details\":{{\"cached_tokens\":{cached},\
         \"cache_write_tokens\":{written},\"audio_tokens\":{input_audio},\
         \"image_tokens\":{input_image}}},\
         \"completion_tokens_details\":{{\"reasoning_tokens\":{output_reasoning},\
         \"audio_tokens\":{output_audio},\"image_tokens\":{output_image}}}}}"
    )
}

#[cfg(test)]
mod tests;
