//! The policy room: admits WebAssembly components, runs them on behalf of one request, checks what
//! they answer, and falls back to the built-in policies when they fail. The only room that knows
//! wasmtime. It never acts on a verdict, never keeps content, and never lets a guest's memory
//! survive into another request.
//!
//! The way of one call: [`Session`] picks the request's instance of the bound component (or makes
//! a fresh one), arms its deadline, asks, checks the answer, and records what it cost.

mod admission;
mod binding;
mod breaker;
mod engine;
mod facts;
mod failure;
mod guest;
mod guest_log;
mod instance;
mod kit;
mod limiter;
mod questions;
mod session;
pub mod signature;
mod ticker;
mod usd;
mod v0_1;
mod validate;
mod verdict;

#[cfg(test)]
mod tests;

pub use admission::{AdmissionError, Check, Hooks, Policy};
pub use binding::{Binding, BindingSet, Builtins, Hook, OnFailure};
pub use engine::{PolicyEngine, PolicyLimits};
pub use facts::{AttrValue, Conversation, Offers, RequestFacts};
pub use failure::{FailureKind, PolicyFailure};
pub use guest_log::{Level, LogLine, LogRing};
pub use kit::{Measured, Outcome, Trial, measure};
pub use session::Session;
pub use verdict::{
    Action, BillCall, Classification, Figures, Findings, Line, Objective, Place, PolicyCallRecord,
    PolicyRef, Quantity, Span, Verdict,
};
