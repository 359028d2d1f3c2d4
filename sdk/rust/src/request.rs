//! How a policy reads the request in hand and the candidates. Both are traits, so that the same
//! policy runs on the host's ambient request and on a mock in its unit tests.

use crate::types::Value;

/// The request in hand, read on demand. Content (`message_text`) is given only to classify and
/// redact.
pub trait Request {
    fn id(&self) -> String;
    /// openai-chat, openai-responses, anthropic-messages …
    fn protocol(&self) -> String;
    /// As the caller wrote it: "auto", "auto:fast", an alias or a model id.
    fn model(&self) -> String;
    fn streaming(&self) -> bool;
    /// Estimated upwards.
    fn input_tokens(&self) -> u32;
    fn output_tokens_limit(&self) -> Option<u32>;
    /// How many messages there are.
    fn messages(&self) -> u32;
    /// system, developer, user, assistant, tool.
    fn message_role(&self, index: u32) -> Option<String>;
    /// UTF-8 bytes of the message's text.
    fn message_length(&self, index: u32) -> u32;
    /// Text from `offset`, at most `length` bytes, cut at character boundaries.
    fn message_text(&self, index: u32, offset: u32, length: u32) -> String;
    /// How many tools are declared.
    fn tools(&self) -> u32;
    fn tool_name(&self, index: u32) -> Option<String>;
    fn tool_description(&self, index: u32) -> Option<String>;
    /// Everything else by name; the list is in docs/policies.
    fn attr(&self, name: &str) -> Option<Value>;
}

/// The offers in hand, by index; only for route.
pub trait Candidates {
    fn count(&self) -> u32;
    /// "vendor/model@provider"
    fn offer(&self, index: u32) -> String;
    fn attr(&self, index: u32, name: &str) -> Option<Value>;
}
