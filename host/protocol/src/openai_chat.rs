//! OpenAI Chat Completions: requests, whole answers, stream chunks, usage and errors. Everything
//! that knows this dialect's field names is in this folder, and nothing else knows them.

pub(crate) mod answer;
pub(crate) mod chunk;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod error;
pub(crate) mod request;
pub(crate) mod usage;

pub(crate) mod message;
pub(crate) mod place;
pub(crate) mod refusal;
pub(crate) mod spoken;
pub(crate) mod tools;
pub(crate) mod tree;
