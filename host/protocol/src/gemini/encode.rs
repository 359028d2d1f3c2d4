//! From the neutral model to the wire. Says what it could not carry; never drops in silence.

mod config;
mod contents;
mod reply;
mod request;
mod stream;
mod tools;

pub(crate) use reply::reply;
pub(crate) use request::request;
pub(crate) use stream::Stream;
