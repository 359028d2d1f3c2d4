//! From the neutral model to the Responses dialect: requests, whole answers, streams. Never drops
//! anything without saying so.

mod citation;
mod custom;
mod item;
mod reply;
mod request;
mod stream;
mod tools;
mod turns;

pub(crate) use reply::reply;
pub(crate) use request::request;
pub(crate) use stream::Stream;
