//! Gemini's `generateContent` and `streamGenerateContent`, of Google AI and of Vertex: requests,
//! whole answers, stream chunks, usage and errors. Everything that knows this dialect's field names
//! is in this folder, and nothing else knows them.
//!
//! Model and streaming are in the URL. Members may be written in camel case or in snake case, and
//! one item may stand where a list is expected, as Google's servers accept.

pub(crate) mod answer;
pub(crate) mod array;
pub(crate) mod chunk;
pub(crate) mod count;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod error;
pub(crate) mod request;
pub(crate) mod usage;

mod content;
mod finish;
mod keys;
mod schema;
mod signature;
mod spoken;
mod tools;
mod tree;

#[cfg(test)]
mod tests;
