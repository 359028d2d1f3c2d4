//! How many tokens a call comes to before any provider has counted it: estimated upwards, for a
//! hold. Never a measurement, and never too low for what it can see.

use std::ops::Range;

use crate::estimate::{frame_tokens_upper, text_tokens_upper};

use super::{Call, Media, Message, Role};

/// What providers add around each message, rounded up.
const TOKENS_PER_MESSAGE: usize = 8;
/// What OpenAI's models have around each message, and in front of the answer.
const TOKENS_AROUND_MESSAGE: usize = 4;
const TOKENS_BEFORE_ANSWER: usize = 3;
/// An image at full detail: the small OpenAI models, which count each of 1536 patches two and a
/// half times, stay below this, and so do tiles and pixels of others. (`gpt-4o-mini` counts far
/// more.)
const TOKENS_PER_IMAGE: usize = 4_096;
/// A file known only by its id, or a short one.
const TOKENS_PER_FILE_MIN: usize = 2_048;
/// Bytes of text for one token in [`Call::said_tokens`]: as the upward estimate has it for prose.
const BYTES_PER_SAID_TOKEN: usize = 2;
/// Bytes of base64 for one token of audio: 32 tokens a second at 32 kbit/s, rounded up.
const AUDIO_BYTES_PER_TOKEN: usize = 128;
/// Bytes of base64 for one token of a document.
const FILE_BYTES_PER_TOKEN: usize = 4;
/// The same for thinking that its provider has sealed: three bytes of text.
const SEALED_BYTES_PER_TOKEN: usize = 4;

/// Prompt tokens that are not text, estimated upwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MediaTokens {
    /// Of audio clips.
    pub audio: u32,
    /// Of images.
    pub image: u32,
    /// Of files; for those that are named only, a small constant.
    pub file: u32,
}

// === impl Media ===

impl Media {
    pub(crate) fn add_named(&mut self) {
        self.named = self.named.saturating_add(1);
    }
}

// === impl Call ===

impl Call {
    /// Prompt tokens, estimated upwards: the texts by what they are made of, what stands between
    /// them, and constants for each message, image, audio clip and file. A hold, not a measurement.
    pub fn input_tokens_upper(&self) -> u32 {
        let texts = self.texts.iter().map(|text| text_tokens_upper(text.content.expose()));
        let texts = texts.fold(0, usize::saturating_add);
        let [audio, image, file] = self.media_tokens();
        let parts = [
            texts,
            self.frames(frame_tokens_upper),
            self.messages.len().saturating_mul(TOKENS_PER_MESSAGE),
            audio,
            image,
            file,
            self.media.sealed_bytes.div_ceil(SEALED_BYTES_PER_TOKEN),
            self.token_ids(),
        ];
        bounded(parts.into_iter().fold(0, usize::saturating_add))
    }

    /// Prompt tokens with the texts counted by `count`, which knows a model's own vocabulary. What
    /// stands between the texts becomes a few tokens a message, and where tools are described it
    /// is counted as it is written; what is no text is estimated as for a hold.
    pub fn input_tokens_by(&self, count: impl Fn(&str) -> usize) -> u32 {
        let texts = self.texts.iter().map(|text| count(text.content.expose()));
        let mut parts = texts.fold(TOKENS_BEFORE_ANSWER, usize::saturating_add);
        parts = parts.saturating_add(self.messages.len().saturating_mul(TOKENS_AROUND_MESSAGE));
        if !self.tools.is_empty() {
            let frame = |part: &[u8]| std::str::from_utf8(part).map_or(0, &count);
            parts = parts.saturating_add(self.frames(frame));
        }
        let [audio, image, file] = self.media_tokens();
        let sealed = self.media.sealed_bytes.div_ceil(SEALED_BYTES_PER_TOKEN);
        let others = [audio, image, file, sealed, self.token_ids()];
        bounded(others.into_iter().fold(parts, usize::saturating_add))
    }

    /// The size of what is said, in tokens, about as the upward estimate would have it, but the
    /// same in every dialect: without the members between the texts, which differ, and counted
    /// by bytes, which costs nothing.
    pub fn said_tokens(&self) -> u32 {
        let texts = self.texts.iter().map(|text| text.content.len().div_ceil(BYTES_PER_SAID_TOKEN));
        let said = |message: &&Message| !matches!(message.role, Role::System | Role::Developer);
        let [audio, image, file] = self.media_tokens();
        let messages = self.messages.iter().filter(said).count();
        let parts = [
            texts.fold(0, usize::saturating_add),
            messages.saturating_mul(TOKENS_PER_MESSAGE),
            audio,
            image,
            file,
        ];
        bounded(parts.into_iter().fold(0, usize::saturating_add))
    }

    /// The part of [`Self::input_tokens_upper`] that is audio, images and files.
    pub fn media_tokens_upper(&self) -> MediaTokens {
        let [audio, image, file] = self.media_tokens().map(bounded);
        MediaTokens { audio, image, file }
    }

    /// Whether there are files or sounds that the request only names: how many tokens they come to
    /// is known to nobody before the provider has read them.
    pub fn names_media(&self) -> bool {
        self.media.named > 0
    }

    fn media_tokens(&self) -> [usize; 3] {
        let files = self.count(|message| message.files).saturating_mul(TOKENS_PER_FILE_MIN);
        let file = files.max(self.media.file_bytes.div_ceil(FILE_BYTES_PER_TOKEN));
        let image = self.count(|message| message.images).saturating_mul(TOKENS_PER_IMAGE);
        [self.media.audio_bytes.div_ceil(AUDIO_BYTES_PER_TOKEN), image, file]
    }

    /// Tokens of what is neither text nor base64, piece by piece as `count` has them.
    fn frames(&self, count: impl Fn(&[u8]) -> usize) -> usize {
        let body = self.source.0.as_bytes();
        let mut media = self.media.spans.iter().peekable();
        let mut tokens = 0_usize;
        let mut at = 0;
        let mut frame = |at: usize, span: &Range<usize>| {
            let part = body.get(at..span.start).unwrap_or_default();
            tokens = tokens.saturating_add(count(part));
            span.end.max(at)
        };
        for text in &self.texts {
            while let Some(span) = media.next_if(|span| span.start < text.span.start) {
                at = frame(at, span);
            }
            at = frame(at, &text.span);
        }
        for span in media {
            at = frame(at, span);
        }
        frame(at, &(body.len()..body.len()));
        tokens
    }

    fn count(&self, pick: fn(&Message) -> u32) -> usize {
        let total: u64 = self.messages.iter().map(|message| u64::from(pick(message))).sum();
        usize::try_from(total).unwrap_or(usize::MAX)
    }
}

fn bounded(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
