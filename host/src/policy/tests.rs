//! The room's tests: what bad guests can't do, what good ones decide, and who gets in.

mod admission;
mod clean;
mod decisions;
mod fetched;
mod granted;
pub(crate) mod guests;
mod sandbox;
mod shipped;
mod stand_in;
mod trials;
mod warm;
mod wasi;
