//! A streamed answer in another dialect: frames in, frames out, nothing kept but the state of the
//! two codecs. Never reads a socket, never waits.

use std::fmt;

use crate::answer::AnswerError;
use crate::chunk::StreamError;
use crate::neutral::{Event, Finish, Opening};
use crate::sse::Frame;
use crate::{Dialect, Losses, Usage, anthropic, bedrock, gemini, openai_chat, openai_responses};

use super::{Naming, tool_names};

/// What the provider's own frames said, which the caller's dialect may not be able to say.
#[derive(Debug, Clone, Default)]
pub struct StreamFacts {
    /// Reports replace one another.
    pub usage: Option<Usage>,
    /// The service tier that was served.
    pub service_tier: Option<String>,
    /// The model that the provider says it uses.
    pub model: Option<String>,
    /// The error with which it ended, in the provider's own words.
    pub error: Option<StreamError>,
}

/// Translates one stream.
pub struct StreamTranslator {
    from: Dialect,
    long_tools: Vec<String>,
    decoder: Decoder,
    encoder: Encoder,
    facts: StreamFacts,
    losses: Losses,
    events: Vec<Event>,
    /// Blocks that are open, and choices that are, to end them before their provider does.
    blocks: Vec<u32>,
    choices: Vec<u32>,
    over: bool,
}

enum Decoder {
    Chat(openai_chat::decode::Stream),
    Responses(openai_responses::decode::Stream),
    Anthropic(anthropic::decode::Stream),
    Gemini(gemini::decode::Stream),
    Bedrock(bedrock::decode::Stream),
}

enum Encoder {
    Chat(openai_chat::encode::Stream),
    Responses(openai_responses::encode::Stream),
    Anthropic(anthropic::encode::Stream),
    Gemini(gemini::encode::Stream),
}

// === impl StreamTranslator ===

impl StreamTranslator {
    /// A translator for one answer.
    pub fn new(from: Dialect, to: Dialect, mut naming: Naming) -> Self {
        let long_tools = std::mem::take(&mut naming.long_tools);
        let decoder = match from {
            Dialect::OpenAiChat => Decoder::Chat(openai_chat::decode::Stream::default()),
            Dialect::OpenAiResponses => {
                Decoder::Responses(openai_responses::decode::Stream::default())
            }
            Dialect::AnthropicMessages => Decoder::Anthropic(anthropic::decode::Stream::default()),
            Dialect::Gemini => Decoder::Gemini(gemini::decode::Stream::default()),
            Dialect::BedrockConverse => Decoder::Bedrock(bedrock::decode::Stream::default()),
        };
        let encoder = match to {
            // No caller speaks Converse; whoever asks for it reads the plainest dialect.
            Dialect::OpenAiChat | Dialect::BedrockConverse => {
                Encoder::Chat(openai_chat::encode::Stream::new(naming))
            }
            Dialect::OpenAiResponses => {
                Encoder::Responses(openai_responses::encode::Stream::new(naming))
            }
            Dialect::AnthropicMessages => {
                Encoder::Anthropic(anthropic::encode::Stream::new(naming))
            }
            Dialect::Gemini => Encoder::Gemini(gemini::encode::Stream::new(naming)),
        };
        let (facts, losses) = (StreamFacts::default(), Losses::default());
        let (events, blocks, choices) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            from,
            long_tools,
            decoder,
            encoder,
            facts,
            losses,
            events,
            blocks,
            choices,
            over: false,
        }
    }

    /// What the provider said so far.
    pub fn facts(&self) -> &StreamFacts {
        &self.facts
    }

    /// What could not be carried over so far.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Takes the provider's frames of one read, and adds the caller's to `out`.
    ///
    /// # Errors
    /// [`AnswerError`] for a frame that cannot be read; the stream is then at its end.
    pub fn push(&mut self, frames: &[Frame], out: &mut Vec<Frame>) -> Result<(), AnswerError> {
        for frame in frames {
            let read = match &mut self.decoder {
                Decoder::Chat(decoder) => decoder.push(frame, &mut self.events),
                Decoder::Responses(decoder) => decoder.push(frame, &mut self.events),
                Decoder::Anthropic(decoder) => decoder.push(frame, &mut self.events),
                Decoder::Gemini(decoder) => decoder.push(frame, &mut self.events),
                Decoder::Bedrock(decoder) => decoder.push(frame, &mut self.events),
            };
            self.write(out);
            read?;
        }
        Ok(())
    }

    /// The provider's body has ended: a dialect without an end mark ends its stream here, if the
    /// answer was complete.
    pub fn finish(&mut self, out: &mut Vec<Frame>) {
        match &mut self.decoder {
            Decoder::Chat(decoder) => decoder.finish(&mut self.events),
            Decoder::Responses(decoder) => decoder.finish(&mut self.events),
            Decoder::Anthropic(decoder) => decoder.finish(&mut self.events),
            Decoder::Gemini(decoder) => decoder.finish(&mut self.events),
            Decoder::Bedrock(decoder) => decoder.finish(&mut self.events),
        }
        self.write(out);
    }

    /// Ends the stream here, as if the answer had reached the bound on its length; `usage` is what
    /// was used so far.
    pub fn cut(&mut self, usage: Usage, out: &mut Vec<Frame>) {
        let blocks = std::mem::take(&mut self.blocks);
        self.events.extend(blocks.into_iter().map(|block| Event::Close { block }));
        for choice in std::mem::take(&mut self.choices) {
            let (reason, stop_sequence) = (Finish::Length, None);
            self.events.push(Event::Finish { choice, reason, stop_sequence });
        }
        self.events.push(Event::Usage { usage, service_tier: None });
        self.events.push(Event::End);
        self.write(out);
    }

    fn write(&mut self, out: &mut Vec<Frame>) {
        for mut event in std::mem::take(&mut self.events) {
            if let Event::Open { opening: Opening::ToolCall { name, .. }, .. } = &mut event {
                tool_names::restore(name, &self.long_tools, self.from);
            }
            // Nothing follows an end; some servers send it twice.
            if self.over {
                return;
            }
            self.note(&event);
            let losses = &mut self.losses;
            match &mut self.encoder {
                Encoder::Chat(encoder) => encoder.push(event, losses, out),
                Encoder::Responses(encoder) => encoder.push(event, losses, out),
                Encoder::Anthropic(encoder) => encoder.push(event, losses, out),
                Encoder::Gemini(encoder) => encoder.push(event, losses, out),
            }
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Start { model: Some(model), .. } => self.facts.model = Some(model.clone()),
            Event::Usage { usage, service_tier } => {
                self.facts.usage = Some(*usage);
                if service_tier.is_some() {
                    self.facts.service_tier.clone_from(service_tier);
                }
            }
            Event::Open { block, choice, .. } => {
                self.blocks.push(*block);
                if !self.choices.contains(choice) {
                    self.choices.push(*choice);
                }
            }
            Event::Close { block } => self.blocks.retain(|open| open != block),
            Event::Finish { choice, .. } => self.choices.retain(|open| open != choice),
            Event::End => self.over = true,
            Event::Error(error) => {
                self.facts.error = Some(error.clone());
                self.over = true;
            }
            _ => {}
        }
    }
}

impl fmt::Debug for StreamTranslator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamTranslator").field("facts", &self.facts).finish_non_exhaustive()
    }
}
