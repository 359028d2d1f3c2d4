//! The policy room: admits WebAssembly components, runs them on behalf of one request, checks what
//! they answer, and falls back to the built-in policies when they fail. The only room that knows
//! wasmtime. It never acts on a verdict, never keeps content, and never lets a guest's memory
//! survive into another request, unless its binding keeps instances warm.
//!
//! The way of one call: [`Session`] picks the request's instance of the bound component (or makes
//! a fresh one), arms its deadline, asks, checks the answer, and records what it cost.

mod abilities;
mod admission;
mod admitted;
mod binding;
mod breaker;
mod chain;
mod clean_texts;
mod comparison;
mod compiler;
mod engine;
mod facts;
mod failure;
mod fetched;
mod granted;
mod guest;
mod guest_log;
mod home;
mod instance;
pub(crate) mod kit;
mod limiter;
mod measure;
mod questions;
mod quota;
mod schema;
mod session;
pub mod signature;
mod statistics;
mod ticker;
mod usd;
mod v0_1;
mod validate;
mod verdict;
mod warm;
mod wasi;

#[cfg(test)]
pub(crate) mod tests;

pub use abilities::{Abilities, Ability};
pub use admitted::{AdmissionError, AdmissionFigures, Check, Hooks, Policy};
pub use binding::{Binding, BindingSet, Builtins, Hook, OnFailure};
pub use breaker::Suspension;
pub use comparison::{Beside, Comparer};
pub use compiler::{ChildLimits, Compiling, SUBCOMMAND, compile_as_child};
pub use engine::{PolicyEngine, PolicyLimits};
pub use facts::{AttrValue, Conversation, Offers, RequestFacts};
pub use failure::{FailureKind, PolicyFailure};
pub use guest_log::{Level, LogLine, LogRing};
pub use home::{
    ANSWER_BYTES_MAX, Asked, Beginnings, Counted, Fetched, Home, HostRule, Web, WebAnswer,
    WebRequest,
};
pub use kit::{CASES_BYTES_MAX, Measured, Outcome, SelfTest, Trial, measure};
pub use quota::{OrgLimits, Quota};
pub use schema::SchemaFault;
pub use session::Session;
pub use statistics::{Compared, Difference, Tally};
pub use verdict::{
    Action, BillCall, Classification, Figures, Findings, Line, Objective, Place, PolicyCallRecord,
    PolicyRef, Quantity, Span, Verdict,
};
pub use warm::keeps_warm;
