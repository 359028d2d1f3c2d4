//! What a call used, in disjoint buckets: a unit is counted in exactly one of them, so that a price
//! list can multiply and sum. There is no addition of usages: what a provider reports later in a
//! stream replaces what it reported before, because the reports are cumulative.

use serde::{Deserialize, Serialize};

/// Units used by one call. Tokens, but for `requests` and `searches`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Prompt tokens read afresh, of text and of kinds that have no bucket of their own.
    pub input_uncached: u64,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache of about five minutes.
    pub cache_write_5m: u64,
    /// Prompt tokens written to a cache of about an hour.
    pub cache_write_1h: u64,
    /// Answer tokens that the caller sees.
    pub output_text: u64,
    /// Tokens spent thinking.
    pub output_reasoning: u64,
    /// Prompt tokens of audio, not cached.
    pub input_audio: u64,
    /// Answer tokens of audio.
    pub output_audio: u64,
    /// Prompt tokens of images, not cached.
    pub input_image: u64,
    /// Answer tokens of images.
    pub output_image: u64,
    /// Calls.
    pub requests: u64,
    /// Searches of the web that the provider made for the answer, each of which it charges for.
    #[serde(default)]
    pub searches: u64,
}

/// Counts that one event of a stream states outright. Each takes the place of what was reported
/// before; a count that the event does not state stays as it was. Never added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageUpdate {
    /// Prompt tokens read afresh.
    pub input_uncached: Option<u64>,
    /// Prompt tokens read from the cache.
    pub cache_read: Option<u64>,
    /// Prompt tokens written to a cache of whatever life.
    pub cache_write: Option<u64>,
    /// Those of them for about five minutes.
    pub cache_write_5m: Option<u64>,
    /// Those of them for about an hour.
    pub cache_write_1h: Option<u64>,
    /// Answer tokens, thinking included.
    pub output: Option<u64>,
    /// Those of them spent thinking.
    pub output_reasoning: Option<u64>,
    /// Searches of the web.
    pub searches: Option<u64>,
}

// === impl UsageUpdate ===

impl UsageUpdate {
    /// Whether the event states nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes the stated counts over those of `usage`, and counts the call.
    pub fn apply(&self, usage: &mut Usage) {
        usage.requests = 1;
        usage.input_uncached = self.input_uncached.unwrap_or(usage.input_uncached);
        usage.cache_read = self.cache_read.unwrap_or(usage.cache_read);
        self.apply_written(usage);
        usage.searches = self.searches.unwrap_or(usage.searches);
        let before = usage.output_text.saturating_add(usage.output_reasoning);
        let output = self.output.unwrap_or(before);
        usage.output_reasoning =
            self.output_reasoning.unwrap_or(usage.output_reasoning).min(output);
        usage.output_text = output.saturating_sub(usage.output_reasoning);
    }

    /// A total without its parts keeps the long-lived part that an earlier event stated; what the
    /// parts leave of the total is short-lived.
    fn apply_written(&self, usage: &mut Usage) {
        let parts = [self.cache_write_5m, self.cache_write_1h].into_iter().flatten();
        let stated = parts.reduce(u64::saturating_add);
        let total = match (self.cache_write, stated) {
            (None, None) => return,
            (Some(total), None) => total,
            (None, Some(parts)) => parts,
            (Some(total), Some(parts)) => total.max(parts),
        };
        let long = self.cache_write_1h.unwrap_or(usage.cache_write_1h).min(total);
        usage.cache_write_1h = long;
        usage.cache_write_5m = total.saturating_sub(long);
    }
}

// === impl Usage ===

impl Usage {
    /// Reads the `usage` object of an OpenAI chat completion, or of a server that copies it.
    /// `None` when it is `null`, no object, or counts neither prompt nor completion.
    pub fn from_openai_chat(raw: &str) -> Option<Self> {
        crate::openai_chat::usage::parse(raw)
    }

    /// The same as the `usage` object of an OpenAI chat completion, where cached, audio and
    /// reasoning tokens are parts of the prompt's and the completion's.
    pub fn to_openai_chat(&self) -> String {
        crate::openai_chat::usage::write(self)
    }

    /// Every bucket with the name of its billed item, zeros included, always in the same order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &u64)> {
        [
            ("input", &self.input_uncached),
            ("cache-read", &self.cache_read),
            ("cache-write-short", &self.cache_write_5m),
            ("cache-write-long", &self.cache_write_1h),
            ("output", &self.output_text),
            ("reasoning", &self.output_reasoning),
            ("input-audio", &self.input_audio),
            ("output-audio", &self.output_audio),
            ("input-image", &self.input_image),
            ("output-image", &self.output_image),
            ("request", &self.requests),
            ("search", &self.searches),
        ]
        .into_iter()
    }

    /// All tokens of the prompt, saturating.
    pub fn input_tokens(&self) -> u64 {
        [self.cache_read, self.cache_write_5m, self.cache_write_1h, self.input_audio]
            .into_iter()
            .chain([self.input_image])
            .fold(self.input_uncached, u64::saturating_add)
    }

    /// All tokens of the answer, saturating.
    pub fn output_tokens(&self) -> u64 {
        [self.output_reasoning, self.output_audio, self.output_image]
            .into_iter()
            .fold(self.output_text, u64::saturating_add)
    }
}
