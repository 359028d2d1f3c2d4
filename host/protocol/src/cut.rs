//! The legal end of a stream that stops before its provider would have ended it: as if the answer
//! had reached the bound on its length, which every client knows how to read. Joins a stream whose
//! frames passed as they came; a translated one is ended by its translator. Never decides when.

use serde_json::json;

use crate::chunk::ChunkHead;
use crate::sse::Frame;
use crate::translate::Naming;
use crate::{Dialect, Usage, anthropic, gemini, openai_chat, openai_responses};

/// What the end has to know of its stream.
#[derive(Debug, Clone, Copy)]
pub struct Cut<'a> {
    /// What the stream's chunks share, where one was seen.
    pub head: Option<&'a ChunkHead>,
    /// Choices that have begun and not ended.
    pub choices: &'a [u32],
    /// The block that is open, in dialects that number them.
    pub block: Option<u32>,
    /// What was used so far.
    pub usage: &'a Usage,
    /// What the answer calls itself where the stream did not say.
    pub naming: &'a Naming,
}

// === impl Cut ===

impl Cut<'_> {
    /// The last frames, in the dialect that the stream is in.
    pub fn frames(&self, dialect: Dialect) -> Vec<Frame> {
        match dialect {
            Dialect::OpenAiChat | Dialect::BedrockConverse => openai_chat::chunk::cut(self),
            Dialect::OpenAiResponses => openai_responses::error::cut(self),
            Dialect::AnthropicMessages => anthropic::chunk::cut(self),
            Dialect::Gemini => gemini::chunk::cut(self),
        }
    }

    /// The choices to end: at least the one that every answer has.
    pub(crate) fn ended(&self) -> impl Iterator<Item = u32> {
        let first = self.choices.is_empty().then_some(0);
        self.choices.iter().copied().chain(first)
    }

    /// The members that all chunks of OpenAI chat have.
    pub(crate) fn chat_members(&self) -> Vec<u8> {
        if let Some(head) = self.head {
            return head.members.to_vec();
        }
        let Naming { id, created_s, model, .. } = self.naming;
        let members = json!({
            "object": "chat.completion.chunk",
            "id": format!("chatcmpl-{id}"),
            "created": created_s,
            "model": model,
        });
        let members = members.to_string();
        members.trim_start_matches('{').trim_end_matches('}').as_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Chunk;

    fn texts(dialect: Dialect) -> Vec<String> {
        let naming = Naming {
            id: "0-1".to_owned(),
            created_s: 7,
            model: "m".to_owned(),
            include_usage: true,
            input_tokens: 5,
            custom_tools: Vec::new(),
            long_tools: Vec::new(),
        };
        let usage = Usage { input_uncached: 5, output_text: 3, requests: 1, ..Usage::default() };
        let cut = Cut { head: None, choices: &[0], block: Some(2), usage: &usage, naming: &naming };
        let frames = cut.frames(dialect);
        for frame in frames.iter().filter(|frame| !Chunk::done_marker(&frame.data)) {
            let chunk = Chunk::parse(dialect, &frame.data).unwrap();
            assert!(chunk.error.is_none(), "{}", String::from_utf8_lossy(&frame.data));
        }
        frames.iter().map(|frame| String::from_utf8(frame.raw.to_vec()).unwrap()).collect()
    }

    #[test]
    fn pitfall_50_every_dialect_has_an_end_that_says_the_length_was_reached() {
        let chat = texts(Dialect::OpenAiChat);
        assert!(chat[0].contains(r#""finish_reason":"length""#), "{chat:?}");
        assert!(chat[1].contains(r#""choices":[],"usage":"#), "{chat:?}");
        assert_eq!(chat[2], "data: [DONE]\n\n");
        let anthropic = texts(Dialect::AnthropicMessages);
        assert!(anthropic[0].contains(r#""index":2"#), "the open block is closed: {anthropic:?}");
        assert!(anthropic[1].contains(r#""stop_reason":"max_tokens""#), "{anthropic:?}");
        assert!(anthropic[2].starts_with("event: message_stop\n"), "{anthropic:?}");
        let gemini = texts(Dialect::Gemini);
        assert!(gemini[0].contains(r#""finishReason":"MAX_TOKENS""#), "{gemini:?}");
        let responses = texts(Dialect::OpenAiResponses);
        assert!(responses[0].starts_with("event: response.incomplete\n"), "{responses:?}");
        assert!(responses[0].contains(r#"{"reason":"max_output_tokens"}"#), "{responses:?}");
    }
}
