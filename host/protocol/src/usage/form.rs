//! Which API a `usage` was stated by, for whoever has a body and no request: checks of price lists,
//! imports. Reads with the same readers as the request path; never guesses the form.

use serde_json::Value;

use crate::{Usage, anthropic, bedrock, gemini, openai_chat, openai_responses};

/// Where a server that copies OpenAI's chat counts the tokens of thinking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Thinking {
    /// Its own counts tell: inside the completion, unless the total says otherwise.
    #[default]
    Told,
    /// Among those of the completion; a larger total means nothing.
    Inside,
    /// Beside them, as xAI.
    Beside,
}

/// What is known of how a server that copies OpenAI's chat states its counts. The default: nothing,
/// as on the request path, where every place is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stated {
    /// Where thinking is counted.
    pub thinking: Thinking,
    /// Thinking stands beside the totals, not in their details.
    pub thinking_on_top: bool,
    /// So do cached tokens.
    pub cached_on_top: bool,
}

/// The API that a body comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageForm {
    /// A chat completion, by OpenAI or whoever copied it.
    OpenAiChat(Stated),
    /// Embeddings of OpenAI and its copies.
    OpenAiEmbeddings,
    /// A response, or a picture of the images API.
    OpenAiResponses,
    /// The `response.done` event of the realtime API.
    OpenAiRealtime,
    /// A message of Anthropic, whoever serves it.
    AnthropicMessages,
    /// Google's `generateContent`.
    Gemini,
    /// Amazon Bedrock's Converse.
    BedrockConverse,
    /// Cohere's own API: what it charges for.
    Cohere,
    /// Cohere's own API: what went through the model, which it does not charge for as it is.
    CoherePassed,
}

// === impl UsageForm ===

impl UsageForm {
    /// What a whole body says was used. `None`: it is no JSON, or says nothing in this form.
    pub fn read(self, body: &str) -> Option<Usage> {
        let body: Value = serde_json::from_str(body).ok()?;
        let usage = body.get("usage");
        match self {
            Self::OpenAiChat(stated) => {
                let groq = body.pointer("/x_groq/usage");
                let raw = usage.filter(|usage| usage.is_object()).or(groq)?.to_string();
                openai_chat::usage::parse_as(&raw, stated)
            }
            Self::OpenAiEmbeddings => {
                openai_chat::usage::parse(&usage?.to_string()).map(|usage| usage.of_prompt())
            }
            Self::OpenAiResponses => openai_responses::usage::parse(&usage?.to_string()),
            Self::OpenAiRealtime => {
                openai_responses::usage::parse(&body.pointer("/response/usage")?.to_string())
            }
            Self::AnthropicMessages => anthropic::usage::from_value(usage?).usage(),
            Self::Gemini => gemini::usage::of(body.get("usageMetadata")?).usage,
            Self::BedrockConverse => bedrock::decode::usage::read(usage?),
            Self::Cohere => openai_chat::usage::parse(&usage.or(body.get("meta"))?.to_string()),
            Self::CoherePassed => openai_chat::usage::parse_passed(&usage?.to_string()),
        }
    }
}
