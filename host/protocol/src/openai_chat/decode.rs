//! From chat completions to the neutral model: requests of callers, answers and streams of
//! providers, OpenAI's and those of the many who copy it. Never writes this dialect.

mod citation;
mod ending;
mod message;
mod part;
mod reply;
mod request;
mod setting;
mod stream;
mod thinking;
mod tool;
mod toolcall;

pub(crate) use reply::reply;
pub(crate) use request::request;
pub(crate) use stream::Stream;

#[cfg(test)]
mod tests;
