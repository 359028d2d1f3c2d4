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

mod agent;
mod answer;
mod anthropic;
mod bedrock;
mod clock;
mod control;
mod delivery;
mod dice;
mod encode;
mod failure;
mod frame;
mod gemini;
mod generate;
mod http;
mod limits;
mod memory;
mod openai_chat;
mod openai_embeddings;
mod openai_responses;
mod route;
mod schema;
mod script;
mod seal;
mod seen;
mod server;
mod simulator;
mod speech;
mod tally;
mod tokens;
mod world;

pub use failure::{Failure, Rule, When};
pub use script::{
    AnswerScript, Case, Dialect, ModelScript, Pace, ProviderScript, RateLimit, Script, ScriptError,
    ScriptedCall, Step, ThinkingScript, ToolCalls, UsageScript, WriteFile,
};
pub use seen::{Outcome, Seen};
pub use simulator::{SimulateError, Simulator, run, serve};
pub use world::Counts;
