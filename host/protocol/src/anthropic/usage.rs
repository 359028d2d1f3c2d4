//! The `usage` object of a message: cached tokens stand beside those read afresh, not among them,
//! so that its counts are disjoint as they are. Reports of a stream are cumulative and partial: a
//! count that is there replaces the one before. Never adds two reports.

use serde_json::{Value, json};

use crate::scan::{Fault, Kind, LoneSurrogate, Scanner};
use crate::{Usage, UsageUpdate};

/// What one `usage` object says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(super) update: UsageUpdate,
    pub(super) service_tier: Option<String>,
}

/// Reads the `usage` value that comes next; anything but an object says nothing.
pub(super) fn read(scanner: &mut Scanner<'_>) -> Result<Report, Fault> {
    let mut report = Report::default();
    let update = &mut report.update;
    let (mut fast, mut iterations) = (false, Iterations::default());
    if scanner.kind()? != Kind::Object {
        scanner.skip()?;
        return Ok(report);
    }
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match (key.as_ref(), scanner.kind()?) {
            ("input_tokens", _) => update.input_uncached = count(scanner)?,
            ("cache_read_input_tokens", _) => update.cache_read = count(scanner)?,
            ("cache_creation_input_tokens", _) => update.cache_write = count(scanner)?,
            ("output_tokens", _) => update.output = count(scanner)?,
            ("cache_creation" | "output_tokens_details" | "server_tool_use", Kind::Object) => {
                details(update, scanner)?;
            }
            ("service_tier", Kind::String) => {
                report.service_tier = Some(scanner.string()?.into_owned());
            }
            ("iterations", Kind::Array) => iterations = Iterations::read(scanner)?,
            // The fast mode has a price of its own, as a tier has.
            ("speed", Kind::String) => fast = scanner.string()? == "fast",
            _ => {
                scanner.skip()?;
            }
        }
    }
    iterations.add_to(&mut report.update);
    if fast {
        report.service_tier = Some("fast".to_owned());
    }
    Ok(report)
}

fn details(update: &mut UsageUpdate, scanner: &mut Scanner<'_>) -> Result<(), Fault> {
    scanner.open_object()?;
    while let Some(key) = scanner.next_key()? {
        match key.as_ref() {
            "ephemeral_5m_input_tokens" => update.cache_write_5m = count(scanner)?,
            "ephemeral_1h_input_tokens" => update.cache_write_1h = count(scanner)?,
            "thinking_tokens" => update.output_reasoning = count(scanner)?,
            "web_search_requests" => update.searches = count(scanner)?,
            "code_execution_requests" => update.hosted_calls = count(scanner)?,
            _ => {
                scanner.skip()?;
            }
        }
    }
    Ok(())
}

/// What the rounds of one answer have cost.
#[derive(Debug, Default)]
struct Iterations {
    /// Tokens read and written in rounds that the counts of the whole message leave out: those in
    /// which the conversation was compacted, or another model was asked.
    beside: [u64; 2],
    /// The same of all other rounds.
    counted: [u64; 2],
}

// === impl Iterations ===

impl Iterations {
    fn read(scanner: &mut Scanner<'_>) -> Result<Self, Fault> {
        let mut all = Self::default();
        scanner.open_array()?;
        while scanner.next_item()? {
            if scanner.kind()? != Kind::Object {
                scanner.skip()?;
                continue;
            }
            let (mut beside, mut tokens) = (false, [0_u64; 2]);
            scanner.open_object()?;
            while let Some(key) = scanner.next_key()? {
                match (key.as_ref(), scanner.kind()?) {
                    ("type", Kind::String) => {
                        let kind = scanner.string()?;
                        beside = matches!(kind.as_ref(), "compaction" | "advisor_message");
                    }
                    ("input_tokens", _) => tokens[0] = count(scanner)?.unwrap_or(0),
                    ("output_tokens", _) => tokens[1] = count(scanner)?.unwrap_or(0),
                    _ => {
                        scanner.skip()?;
                    }
                }
            }
            let totals = if beside { &mut all.beside } else { &mut all.counted };
            for (total, tokens) in totals.iter_mut().zip(tokens) {
                *total = total.saturating_add(tokens);
            }
        }
        Ok(all)
    }

    /// Adds what the counts of the message leave out. Where those are not stated beside the rounds,
    /// the other rounds tell them.
    fn add_to(&self, update: &mut UsageUpdate) {
        let counts = [&mut update.input_uncached, &mut update.output];
        for ((count, beside), counted) in counts.into_iter().zip(self.beside).zip(self.counted) {
            if beside > 0 {
                *count = Some(count.unwrap_or(counted).saturating_add(beside));
            }
        }
    }
}

/// A count; `null`, a negative number, a fraction or another type is none.
fn count(scanner: &mut Scanner<'_>) -> Result<Option<u64>, Fault> {
    if scanner.kind()? == Kind::Number {
        return scanner.whole_number();
    }
    scanner.skip().map(|_| None)
}

/// Reads a `usage` value out of a tree.
pub(crate) fn from_value(value: &Value) -> Report {
    let raw = value.to_string();
    read(&mut Scanner::new(&raw, LoneSurrogate::Accept)).unwrap_or_default()
}

// === impl Report ===

impl Report {
    /// The whole usage of an answer that is not streamed; `None` if nothing is counted.
    pub(crate) fn usage(&self) -> Option<Usage> {
        if self.update.is_empty() {
            return None;
        }
        let mut usage = Usage::default();
        self.update.apply(&mut usage);
        Some(usage)
    }
}

/// The object as Anthropic itself writes it, every member there: clients read them without looking.
pub(super) fn write(usage: &Usage, service_tier: Option<&str>) -> Value {
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let cached = usage.cached_tokens().saturating_add(written);
    let known = service_tier.filter(|tier| matches!(*tier, "priority" | "batch"));
    let tier = known.unwrap_or("standard");
    let searches = (usage.searches > 0)
        .then(|| json!({ "web_search_requests": usage.searches, "web_fetch_requests": 0 }));
    json!({
        "input_tokens": usage.input_tokens().saturating_sub(cached),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached_tokens(),
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output_tokens(),
        "server_tool_use": searches,
        "service_tier": tier,
    })
}
