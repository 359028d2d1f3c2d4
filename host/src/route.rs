//! Which offers can and may take a request, what each would cost and how fast it would be, and the
//! ordered plan. The order itself is the route policy's decision. Never calls a provider, never
//! touches money.

mod affinity;
mod aliases;
mod answers;
mod exploration;
mod feedback;
mod figures;
mod health;
mod hedge_budget;
mod matching;
mod planning;
mod rules;
mod selector;

pub use affinity::{Affinity, Conversation, Pin};
pub use aliases::{Aliases, OrgAliases};
pub use answers::{Answers, CompleteAnswer};
pub use exploration::Exploring;
pub use feedback::{
    CORRECTION_MAX, Corrections, Feedback, HALF_LIFE, HALFWAY_RATINGS, KEY_RATINGS_MAX, KeyRatings,
    Ratings,
};
pub use figures::{FigureRow, Particulars, Workload, figure_row, likely_tokens, ranking_usd};
pub use health::{
    Band, BandFigures, BreakerRule, Demand, Gate, Health, InFlight, Lane, NotNow, Observed,
    ObservedLane, Reach, Sample, Snapshot, Streamed,
};
pub use hedge_budget::HedgeBudget;
pub use matching::{Asked, Rejection, check, forbidden, over_ceiling};
pub use planning::{Planning, plan, plan_by};
pub use rules::{
    Forbidden, OrgRules, RULE_BYTES_MAX, RULES_BYTES_MAX, RULES_MAX, Rule, RuleFault, Rulebook,
    Situation, Terms, Unmatched, Weights, When, unmatched,
};
pub use selector::{Profile, Selector};

/// An offer that was looked at. Names it by its index and holds no reference: counting references
/// up and down for every candidate of every request makes the workers wait for each other.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Index in the configured catalogue, also of its health.
    pub index: usize,
    /// Why it can't or may not; `None` when it is in the running.
    pub rejection: Option<Rejection>,
    /// Set for those in the running.
    pub figures: Option<FigureRow>,
    /// The route policy's; below 0 it excluded the row.
    pub score: Option<f64>,
}
