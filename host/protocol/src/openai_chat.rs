//! OpenAI Chat Completions: requests, whole answers, stream chunks, usage and errors. Everything
//! that knows this dialect's field names is in this folder, and nothing else knows them.

pub(crate) mod answer;
pub(crate) mod chunk;
pub(crate) mod error;
pub(crate) mod request;
pub(crate) mod usage;

mod draft;
mod labels;
mod message;
mod names;
pub(crate) mod spoken;
mod tools;
