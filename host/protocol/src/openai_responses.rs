//! OpenAI Responses: requests, whole answers, events of streams, usage and errors. Everything that
//! knows this dialect's field names is in this folder, and nothing else knows them.

pub(crate) mod answer;
pub(crate) mod chunk;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod error;
pub(crate) mod request;
pub(crate) mod usage;

mod input;
mod output;
mod search;
