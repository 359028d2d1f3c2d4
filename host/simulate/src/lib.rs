//! Simulated model providers: they speak a provider's wire protocol over real sockets, from a
//! script of models, speeds, answers and failures. The demo, the tests, the bench and users' own
//! trials run on them.
//!
//! Never a gateway, and never content worth keeping: what the simulator is asked is kept in
//! memory only, bounded, so that a test can say what reached a provider.
//!
//! The dialects are siblings: each reads its request into an [`answer::Ask`], and writes an
//! [`answer::Reply`] as a whole body or as stream frames. Everything else (pace, failures, keys,
//! the log) knows no dialect.

mod answer;
mod clock;
mod control;
mod delivery;
mod dice;
mod failure;
mod http;
mod openai_chat;
mod schema;
mod script;
mod server;
mod simulator;
mod tokens;
mod world;

pub use failure::{Failure, Rule, When};
pub use script::{
    AnswerScript, Case, Dialect, ModelScript, Pace, ProviderScript, Script, ScriptError, ToolCalls,
};
pub use simulator::{SimulateError, Simulator, run, serve};
pub use world::{Counts, Outcome, Seen};
