//! What a call used, in disjoint buckets: a unit is counted in exactly one of them, so that a price
//! list can multiply and sum. There is no addition of usages: what a provider reports later in a
//! stream replaces what it reported before, because the reports are cumulative.

use serde::{Deserialize, Serialize};

pub mod form;

pub use form::UsageForm;

/// Units used by one call. Tokens, but for `requests`, `searches` and
/// `hosted_calls`.
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
    /// Prompt tokens of audio, read from the provider's cache.
    #[serde(default)]
    pub cache_read_audio: u64,
    /// Prompt tokens of images and documents, read from the provider's cache.
    #[serde(default)]
    pub cache_read_image: u64,
    /// Prompt tokens of video, read from the provider's cache.
    #[serde(default)]
    pub cache_read_video: u64,
    /// Prompt tokens of video, not cached.
    #[serde(default)]
    pub input_video: u64,
    /// Answer tokens of video.
    #[serde(default)]
    pub output_video: u64,
    /// Tokens of sources that the provider read for the answer and charges for, as Perplexity does.
    #[serde(default)]
    pub citations: u64,
    /// Calls of other tools of the provider's own that it charges by the piece: code that it runs,
    /// files that it searches, pictures that it draws.
    #[serde(default)]
    pub hosted_calls: u64,
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
    /// Calls of other tools of the provider's own.
    pub hosted_calls: Option<u64>,
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
        // What was read stays read: some servers repeat these counts as 0 at the end.
        let stated =
            |count: Option<u64>, before| count.filter(|count| *count > 0).unwrap_or(before);
        usage.input_uncached = stated(self.input_uncached, usage.input_uncached);
        usage.cache_read = stated(self.cache_read, usage.cache_read);
        self.apply_written(usage);
        usage.searches = self.searches.unwrap_or(usage.searches);
        usage.hosted_calls = self.hosted_calls.unwrap_or(usage.hosted_calls);
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
        if total == 0 {
            return;
        }
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
            ("cache-read-audio", &self.cache_read_audio),
            ("cache-read-image", &self.cache_read_image),
            ("cache-read-video", &self.cache_read_video),
            ("input-video", &self.input_video),
            ("output-video", &self.output_video),
            ("citation", &self.citations),
            ("hosted-call", &self.hosted_calls),
        ]
        .into_iter()
    }

    /// All tokens of the prompt, saturating.
    pub fn input_tokens(&self) -> u64 {
        [self.cache_write_5m, self.cache_write_1h, self.input_audio, self.input_image]
            .into_iter()
            .chain([self.input_video, self.cached_tokens()])
            .fold(self.input_uncached, u64::saturating_add)
    }

    /// The same as a call without an answer: vectors are no tokens, and none of them is cached.
    pub fn of_prompt(&self) -> Self {
        Self {
            input_uncached: self.input_tokens(),
            requests: self.requests,
            searches: self.searches,
            ..Self::default()
        }
    }

    /// Tokens of the prompt that were read from the provider's cache, of whatever kind, saturating.
    pub fn cached_tokens(&self) -> u64 {
        [self.cache_read_audio, self.cache_read_image, self.cache_read_video]
            .into_iter()
            .fold(self.cache_read, u64::saturating_add)
    }

    /// All tokens of the answer, saturating.
    pub fn output_tokens(&self) -> u64 {
        [self.output_reasoning, self.output_audio, self.output_image]
            .into_iter()
            .chain([self.output_video, self.citations])
            .fold(self.output_text, u64::saturating_add)
    }
}
