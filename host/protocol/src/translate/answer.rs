//! A whole answer in another dialect. Never keeps anything.

use bytes::Bytes;

use crate::answer::AnswerError;
use crate::chunk::StreamError;
use crate::{Dialect, Losses, Usage, anthropic, bedrock, gemini, openai_chat, openai_responses};

use crate::neutral::Block;

use super::{Naming, tool_names};

/// An answer in the caller's dialect, and what the provider's own said.
#[derive(Debug, Clone)]
pub struct TranslatedAnswer {
    /// The body for the caller.
    pub body: Bytes,
    /// What the provider reported, in all its buckets.
    pub usage: Option<Usage>,
    /// The service tier that was served.
    pub service_tier: Option<String>,
    /// The model that the provider says it used.
    pub model: Option<String>,
    /// An error that came with a status of success; there is no answer then.
    pub error: Option<StreamError>,
    /// What could not be carried over.
    pub losses: Losses,
}

/// Writes an answer in another dialect.
///
/// # Errors
/// [`AnswerError`] when the provider's body cannot be read.
pub fn answer(
    from: Dialect,
    to: Dialect,
    body: &Bytes,
    naming: &Naming,
) -> Result<TranslatedAnswer, AnswerError> {
    let mut reply = match from {
        Dialect::OpenAiChat => openai_chat::decode::reply(body),
        Dialect::OpenAiResponses => openai_responses::decode::reply(body),
        Dialect::AnthropicMessages => anthropic::decode::reply(body),
        Dialect::Gemini => gemini::decode::reply(body),
        Dialect::BedrockConverse => bedrock::decode::reply(body),
    }?;
    let blocks = reply.choices.iter_mut().flat_map(|choice| &mut choice.blocks);
    for block in blocks {
        if let Block::ToolCall { name, .. } = block {
            tool_names::restore(name, &naming.long_tools, from);
        }
    }
    let mut losses = Losses::default();
    let body = match to {
        Dialect::OpenAiChat => openai_chat::encode::reply(&reply, naming, &mut losses),
        Dialect::OpenAiResponses => openai_responses::encode::reply(&reply, naming, &mut losses),
        Dialect::AnthropicMessages => anthropic::encode::reply(&reply, naming, &mut losses),
        Dialect::Gemini => gemini::encode::reply(&reply, naming, &mut losses),
        Dialect::BedrockConverse => return Err(AnswerError::TRANSLATED_ONLY),
    };
    Ok(TranslatedAnswer {
        body: Bytes::from(body),
        usage: reply.usage,
        service_tier: reply.service_tier,
        model: reply.model,
        error: reply.error,
        losses,
    })
}
