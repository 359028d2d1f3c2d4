//! From the wire to the neutral model. A whole answer is read as a stream of one event, so that
//! both mean the same. Never writes.

mod config;
mod history;
mod piece;
mod reply;
mod request;
mod stream;
mod tools;

pub(super) use piece::only_google_reads;
pub(crate) use reply::reply;
pub(crate) use request::request;
pub(crate) use stream::Stream;
