//! Amazon Bedrock: the Converse dialect, which only providers speak, and the wrapping of
//! Anthropic's events in `InvokeModelWithResponseStream`. Everything that knows these field names
//! is in this folder. Never signs a request, never reads a socket.

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod error;

mod invoke;

pub use invoke::anthropic_frame;

#[cfg(test)]
mod tests;
