//! Writes Turnpike policies in Rust: a policy is a type that implements [`Plugin`] and the
//! decisions that it makes ([`Classify`], [`Route`], [`Redact`], [`Bill`]), and one `export_*!`
//! macro turns it into a WebAssembly component. The decision types are plain Rust, so a policy's
//! unit tests run natively against [`mock::MockRequest`]. This crate never decides anything.

#[cfg(target_arch = "wasm32")]
mod ambient;
mod export;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod glue;
pub mod granted;
#[cfg(any(target_arch = "wasm32", test))]
mod heap;
pub mod json;
pub mod mock;
mod policy;
mod request;
mod types;

#[cfg(target_arch = "wasm32")]
pub use ambient::{Ambient, log};
pub use policy::{Bill, Classify, Plugin, Redact, Route};
pub use request::{Candidates, Request};
pub use types::{
    Action, BillCall, Classification, Figures, Findings, Level, Line, MARK_PREFERRED,
    MARK_PRICE_ESTIMATED, MARK_QUALITY_ESTIMATED, MARK_WARM, Manifest, Objective, Place, Quantity,
    Refusal, Span, Value,
};

/// Writes a line to the host's log. Outside of a component there is no host, and it does nothing.
#[cfg(not(target_arch = "wasm32"))]
pub fn log(_level: Level, _message: &str) {}
