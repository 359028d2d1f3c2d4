//! From the neutral model to chat completions: requests to providers with their quirks, answers and
//! streams to callers. Never drops a thing without saying so, and never writes an empty text.

mod annotation;
mod chosen;
mod history;
mod media;
mod reply;
mod request;
mod setting;
mod stream;
mod thinking;
mod tool;

pub(crate) use reply::{reply, tier_word};
pub(crate) use request::request;
pub(crate) use stream::Stream;
pub(crate) use tool::parameters;

#[cfg(test)]
mod tests;
