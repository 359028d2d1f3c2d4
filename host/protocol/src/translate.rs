//! Between two dialects: a request on its way to a provider that speaks another one, and the whole
//! or streamed answer on its way back. Each side goes through the neutral model, so that there is
//! one codec a dialect and none a pair. What cannot be carried over is reported as data.
//!
//! Never used where both sides speak one dialect: there the original bytes pass.

mod answer;
mod fit;
mod stream;
mod tool_names;

use bytes::Bytes;

use crate::neutral::Request;
use crate::{
    Addressed, Call, Dialect, Losses, Outgoing, RequestError, anthropic, bedrock, embeddings,
    gemini, openai_chat, openai_responses,
};

pub use answer::{TranslatedAnswer, answer};
pub use stream::{StreamFacts, StreamTranslator};

/// What a made answer calls itself.
#[derive(Debug, Clone)]
pub struct Naming {
    /// The request's id: letters, digits and hyphens. Ids of answers, items and tool calls that the
    /// caller's dialect wants and the provider did not give are made from it.
    pub id: String,
    /// Seconds since 1970, for answers whose provider does not say.
    pub created_s: u64,
    /// The model, where the provider does not name one.
    pub model: String,
    /// Whether an OpenAI chat caller wants the usage chunk.
    pub include_usage: bool,
    /// The prompt's tokens as estimated, for dialects that state usage before the provider does.
    pub input_tokens: u64,
    /// Names of the request's custom tools: their calls come back as custom calls also from
    /// providers that know only functions.
    pub custom_tools: Vec<String>,
    /// Names of the request's tools that are longer than some dialect takes: the provider may know
    /// them by a shorter one, and the caller gets its own back.
    pub long_tools: Vec<String>,
}

/// A request in the provider's dialect.
#[derive(Debug, Clone)]
pub struct TranslatedRequest {
    /// The body to send.
    pub body: Bytes,
    /// What could not be carried over.
    pub losses: Losses,
}

/// Writes a call in another dialect, with its redacted texts. Model and limit are those of `out`.
///
/// # Errors
/// [`RequestError`] for what the caller's dialect forbids and its view lets pass, such as a part
/// without the member that its type needs.
pub fn request(
    call: &Call,
    to: Dialect,
    out: &Outgoing<'_>,
) -> Result<TranslatedRequest, RequestError> {
    if call.embeds() {
        return embeddings::translate(call, to, out);
    }
    Ok(write(call, decode(call)?, to, out))
}

/// A call that has been read, to be written in several dialects or ways.
#[derive(Clone)]
pub struct Understood(Option<Request>);

impl std::fmt::Debug for Understood {
    /// Without the request, which is content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Understood").finish_non_exhaustive()
    }
}

impl Understood {
    /// Reads a call, with its redacted texts.
    ///
    /// # Errors
    /// Those of [`request`].
    pub fn of(call: &Call) -> Result<Self, RequestError> {
        let request = if call.embeds() { None } else { Some(decode(call)?) };
        Ok(Self(request))
    }

    /// Writes `call`, which this was read from, as [`request`] does.
    ///
    /// # Errors
    /// Those of [`request`].
    pub fn written(
        &self,
        call: &Call,
        to: Dialect,
        out: &Outgoing<'_>,
    ) -> Result<TranslatedRequest, RequestError> {
        match &self.0 {
            Some(request) => Ok(write(call, request.clone(), to, out)),
            None => embeddings::translate(call, to, out),
        }
    }
}

fn write(call: &Call, mut request: Request, to: Dialect, out: &Outgoing<'_>) -> TranslatedRequest {
    request.betas.clone_from(&call.betas);
    tool_names::fit_all(&mut request, to);
    let mut losses = Losses::default();
    fit::to_model(&mut request, out, &mut losses);
    if call.dialect == Dialect::AnthropicMessages && to != Dialect::AnthropicMessages {
        fit::from_anthropic(&mut request, &mut losses);
    }
    if to != Dialect::OpenAiResponses {
        fit::shown_thinking(&request, &mut losses);
    }
    let body = encode(&request, to, out, &mut losses);
    TranslatedRequest { body: Bytes::from(body), losses }
}

fn decode(call: &Call) -> Result<Request, RequestError> {
    let body = call.redacted_body();
    let addressed = Addressed { model: Some(&call.model), stream: Some(call.stream) };
    match call.dialect {
        Dialect::OpenAiChat => openai_chat::decode::request(&body),
        Dialect::OpenAiResponses => openai_responses::decode::request(&body),
        Dialect::AnthropicMessages => anthropic::decode::request(&body),
        Dialect::Gemini => gemini::decode::request(&body, &addressed),
        Dialect::BedrockConverse => Err(RequestError::not_spoken()),
    }
}

fn encode(request: &Request, to: Dialect, out: &Outgoing<'_>, losses: &mut Losses) -> Vec<u8> {
    match to {
        Dialect::OpenAiChat => openai_chat::encode::request(request, out, losses),
        Dialect::OpenAiResponses => openai_responses::encode::request(request, out, losses),
        Dialect::AnthropicMessages => anthropic::encode::request(request, out, losses),
        Dialect::Gemini => gemini::encode::request(request, out, losses),
        Dialect::BedrockConverse => bedrock::encode::request(request, out, losses),
    }
}
