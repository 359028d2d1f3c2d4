//! The usage room: what happened to each request, as facts. A request hands its event over without
//! waiting; one thread appends events to segment files and adds them up by the hour. Never holds a
//! prompt or an answer, and never money that counts: the ledger's journal is the truth of that,
//! and losing events here loses statistics only.

mod board;
mod codec;
mod event;
mod explanation;
mod load;
mod looked_at;
mod query;
mod queue;
mod recent;
mod recorder;
mod rollup;
mod roster;
mod row;
mod segment;
mod segments;
mod template;
mod unrecorded;
mod wire;
mod words;

pub use self::event::{Record, SETTLEMENTS, UsageEvent};
pub use self::explanation::{
    AttemptFact, CandidateFact, ExpectedFact, Explanation, Failure, FiguresFact, Label, LineItem,
    LossFact, ObjectiveFact, PolicyFact, RedactionFact, TaskFact, Timing,
};
pub use self::looked_at::{Fresh, LookedAt, LookedAtFigures, LookedAtRow, OfferNames};
pub use self::query::{Between, RecordsPage, RequestsPage, UsageLog};
pub use self::recorder::{Options, Recorder};
pub use self::rollup::{Anomaly, BucketOf, Dimension, Group, Only, Query, Totals, UsageReport};
pub use self::unrecorded::Unrecorded;

/// Why usage can't be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("{what} failed: {cause}; check disk space and permissions of the usage folder")]
pub struct UsageError {
    /// The operation that failed, in words.
    pub what: String,
    /// What the operating system said.
    pub cause: String,
}

impl UsageError {
    fn new(what: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self { what: what.into(), cause: cause.to_string() }
    }
}
