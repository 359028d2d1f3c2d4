//! Everything a request needs, put together once at start from the configuration, and the start
//! and stop of the whole program. Decides nothing about a request.

mod alerts;
mod backtest;
mod bindings;
mod builtins;
mod credential;
mod families;
mod google;
mod ledger;
mod offer_metrics;
mod policy_metrics;
mod providers;
mod ratings;
mod registries;
mod running;
mod state;
mod web;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use turnpike_ledger::Ledger;

use crate::auth::Directory;
use crate::catalog::ConfiguredCatalog;
use crate::config::{Config, Durability, Timeouts};
use crate::pipeline::Repeats;
use crate::policy::PolicyEngine;
use crate::route::{
    Affinity, Aliases, Answers, Exploring, Feedback, Health, HedgeBudget, Rulebook,
};
use crate::tasks::{Aside, LastCall, Tasks, Turns};
use crate::telemetry::Metrics;
use crate::upstream::Upstream;
use crate::usage::Recorder;

pub use alerts::Exhausted;
pub use bindings::{Bindings, Wanted};
pub use builtins::builtin_component;
pub use credential::Unsigned;
pub use google::TokenError;
pub use providers::{Framing, Operation, Provider};
pub use ratings::{NotRated, Rated, RatingBook};
pub use running::{Running, resolve, start};
pub use state::{JOURNAL_DIR, USAGE_DIR};

/// The gateway of a configuration without listeners and loops, for tests of the request's order.
/// Blocks.
#[cfg(test)]
pub(crate) fn opened(config: &Config) -> Arc<Gateway> {
    state::open(config, None).unwrap().gateway
}

/// Numbers of the configuration that requests read.
#[derive(Debug, Clone)]
pub struct Settings {
    pub body_bytes: usize,
    pub answer_bytes: usize,
    pub event_bytes: usize,
    pub attempts: usize,
    /// 0: no rivals are asked.
    pub hedge_ms: u64,
    /// How often a quick choice tries an offer of unknown speed.
    pub exploring: Exploring,
    /// Whether a choice may take what a provider gives away, where no rule says.
    pub free_offers: bool,
    pub clamp_floor_tokens: u32,
    pub hold_ms: u64,
    pub read_on_ms: u64,
    pub read_on_bytes: usize,
    pub bill_partial: bool,
    pub strict: bool,
    /// Tags come from bodies too.
    pub body_tags: bool,
    pub timeouts: Timeouts,
}

/// Ratings that are looked up and kept at a time: each may read a segment of records.
const RATINGS_AT_ONCE: usize = 4;
/// Sets of rules that are compiled for a dry run at a time: each takes a processor for up to about
/// a second.
const TRIALS_AT_ONCE: usize = 2;

/// Reports of a key's own usage at a time: each reads the sums under the lock that the recorder
/// adds to them under.
const REPORTS_AT_ONCE: usize = 4;

/// Places for the long work of questions beside requests.
#[derive(Debug)]
pub struct QuestionTurns {
    pub ratings: Turns,
    /// Rules that are tried in a dry run.
    pub trials: Turns,
    /// Reports of a key's own usage.
    pub reports: Turns,
}

impl Default for QuestionTurns {
    fn default() -> Self {
        Self {
            ratings: Turns::new(RATINGS_AT_ONCE),
            trials: Turns::new(TRIALS_AT_ONCE),
            reports: Turns::new(REPORTS_AT_ONCE),
        }
    }
}

/// What the data plane shares. Reads of what can change go through snapshots.
pub struct Gateway {
    pub settings: Settings,
    pub directory: Arc<ArcSwap<Directory>>,
    pub bindings: Arc<Bindings>,
    pub policy_engine: Arc<PolicyEngine>,
    pub offers: Arc<ConfiguredCatalog>,
    /// Organizations' own names for models.
    pub aliases: Arc<Aliases>,
    pub health: Arc<Health>,
    /// How long models answer.
    pub answers: Arc<Answers>,
    /// How many requests may have a rival asked.
    pub hedges: HedgeBudget,
    /// What organizations ask of routing.
    pub rulebook: Arc<Rulebook>,
    /// What their ratings say of models.
    pub feedback: Arc<Feedback>,
    /// The ratings themselves.
    pub ratings: Arc<RatingBook>,
    pub affinity: Affinity,
    /// Requests under a key of the caller's, which are charged once.
    pub(crate) repeats: Arc<Repeats>,
    pub providers: HashMap<Box<str>, Provider>,
    pub ledger: Arc<Ledger>,
    /// Budgets that refused a request, for whoever raises alerts.
    pub exhausted: Exhausted,
    pub upstream: Upstream,
    /// The network as policies reach it.
    web: Arc<web::PolicyWeb>,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
    /// Settlements that outlive their connection.
    pub tasks: Tasks,
    /// A permit for each stream that is read on for a caller that has gone.
    pub drains: Arc<Semaphore>,
    /// When the program ends, and has waited long enough for what still goes on.
    pub last_call: LastCall,
    /// Work that is too long for a worker's other requests to wait for.
    pub aside: Aside,
    /// The same of questions beside requests: requests do not wait behind these.
    pub turns: QuestionTurns,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Settings {
    fn of(config: &Config) -> Self {
        Self {
            body_bytes: config.limits.body_bytes,
            answer_bytes: config.limits.answer_bytes,
            event_bytes: config.limits.event_bytes,
            attempts: config.routing.attempts,
            hedge_ms: config.routing.hedge_ms,
            exploring: Exploring(config.routing.explore_one_in),
            free_offers: config.routing.free_offers,
            clamp_floor_tokens: config.money.clamp_floor_tokens,
            hold_ms: config.money.hold_ms,
            read_on_ms: config.money.read_on_ms,
            read_on_bytes: config.money.read_on_bytes,
            bill_partial: config.money.bill_partial,
            strict: config.money.durability == Durability::Strict,
            body_tags: config.usage.body_tags,
            timeouts: config.timeouts.clone(),
        }
    }
}

impl Gateway {
    /// Under `durability = "strict"`, waits until the journal has entry `seq` on disk. Not for a
    /// stream's last bytes: its content has long been delivered.
    pub async fn wait_if_strict(&self, seq: u64) {
        if !self.settings.strict {
            return;
        }
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.ledger.on_durable(
            seq,
            Box::new(move |kept| {
                // Nobody waits any more when the caller has gone.
                sender.send(kept).ok();
            }),
        );
        if receiver.await != Ok(true) {
            tracing::error!(
                seq,
                "a capture is not safe on the disk; it waits for space or is lost"
            );
        }
    }
}
