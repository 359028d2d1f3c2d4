//! The admin room: the operator's API under `/admin/v1`, on a listener of its own. Every change is
//! written to the store (or posted to the ledger) first, and then to the snapshot that the data
//! plane reads, before it is answered: the next request sees it. May ask any room what it knows;
//! never calls an upstream, never shows a key again, and never sees a prompt.

mod access;
mod adjustments;
mod alerts;
mod aliases;
mod audit;
mod backtest;
mod bindings;
mod budgets;
mod credits;
mod error;
mod extract;
mod filters;
mod grants;
mod holds;
mod keys;
mod limits;
mod multipart;
mod nowhere;
mod offers;
mod orgs;
mod plans;
mod plugins;
mod policy_limits;
mod publish;
mod requests;
mod router;
mod rules;
mod signatures;
mod signing_keys;
mod system;
mod text;
mod usage;
mod warnings;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use turnpike_ledger::Ledger;

use crate::auth::{Directory, OperatorToken};
use crate::catalog::ConfiguredCatalog;
use crate::limits::Registry;
use crate::policy;
use crate::route::{Aliases, Answers, Health, Ratings, Rulebook};
use crate::store::{Acting, BindingRecord, PluginCheck, PluginFigures, Store};
use crate::usage::UsageLog;

pub use self::alerts::WebhookRule;
pub use self::aliases::aliases_of;
pub use self::backtest::{Backtest, BacktestOf, BacktestReport, Counts, Example};
pub use self::error::ApiError;
pub use self::policy_limits::limits_of;
pub use self::publish::{directory_of, ensure_budgets};
pub use self::router::router;
pub use self::rules::compiled_rules;
pub use self::signatures::{SignaturePolicy, may_be_bound};
pub use self::usage::UsageOfKey;

/// Uploads that are checked at the same time: compiling takes a whole core, and the data plane
/// needs the others. Further uploads wait without their body being read.
const ADMISSIONS_MAX: usize = 1;

/// What admission found out about a component.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// What the component calls itself.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// SHA-256 of the bytes, lower-case hex.
    pub digest: String,
    /// The decisions it can take, by the label of the hook.
    pub interfaces: Vec<String>,
    /// What was checked; all of it held.
    pub checks: Vec<PluginCheck>,
    /// What was measured.
    pub figures: PluginFigures,
}

/// What one policy of a binding did since it is there, and whether it is kept away.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Counts and times.
    pub tally: policy::Tally,
    /// Until when it is not asked, and why.
    pub suspension: Option<policy::Suspension>,
    /// The earlier revision that decides meanwhile; none where `on_failure` rules.
    pub stand_in: Option<Arc<policy::PolicyRef>>,
    /// What it imports and is not granted any more: until it is, it fails.
    pub lacks: policy::Abilities,
    /// Instances that wait for their next call; none where each request has fresh ones.
    pub idle_instances: Option<usize>,
}

/// How much may be uploaded and asked for.
#[derive(Debug, Clone, Copy)]
pub struct PolicyBounds {
    /// Bytes of a component.
    pub component_bytes: usize,
    /// Components of one organization: each is a file that stays until it is deleted.
    pub components_per_org: usize,
    /// Components of all organizations.
    pub components: usize,
    /// Milliseconds of the longest deadline of a call: a caller waits for it.
    pub deadline_ms: u32,
    /// Bytes of memory of an instance.
    pub memory_bytes: usize,
    /// Instances alive at once of all organizations.
    pub instances: u32,
    /// Instances alive at once of an organization that has no limit of its own.
    pub instances_per_org: u32,
    /// Log lines of an instance where there is no other limit.
    pub log_lines: u32,
}

/// Checks a component before it is stored. Runs off the async threads and may take seconds.
pub trait PolicyAdmission: Send + Sync {
    /// Looks at the bytes, for an organization, and asks what the cases ask; the error is every
    /// check, at least one of which failed.
    fn admit(
        &self,
        org: &str,
        bytes: &[u8],
        cases: Option<&policy::SelfTest>,
    ) -> Result<Admitted, Vec<PluginCheck>>;

    /// The policy of that name that is part of the program and needs no upload.
    fn builtin(&self, name: &str) -> Option<Admitted>;
}

/// Why a component could not be pulled; told to whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullRefused {
    /// It is named wrongly, is not there, or is no component.
    Reference(String),
    /// The registry did not answer as it should.
    Registry(String),
}

/// A component that is on its way.
pub type Pulling<'a> = Pin<Box<dyn Future<Output = Result<bytes::Bytes, PullRefused>> + Send + 'a>>;

/// Registries that components are pulled from.
pub trait ComponentSource: Send + Sync {
    /// The bytes behind `registry/repository@sha256:…`, checked against its digests.
    fn pull<'a>(&'a self, reference: &'a str) -> Pulling<'a>;
}

/// Makes prepared bindings visible to the next request. Must not block.
pub type Switch = Box<dyn FnOnce() + Send>;

/// Why bindings can't be used; told to whoever set them.
#[derive(Debug, Clone)]
pub struct BindingRefused {
    /// The field of the binding that is at fault, such as `config`.
    pub field: Option<String>,
    /// What is wrong and what to do about it.
    pub message: String,
}

/// Brings an organization's bindings to the data plane.
pub trait BindingsChanged: Send + Sync {
    /// Loads and configures everything the bindings need, without making it visible yet. Hooks
    /// without a binding are decided by the built-ins. Runs off the async threads.
    fn prepare(&self, org: &str, bindings: &[BindingRecord]) -> Result<Switch, BindingRefused>;

    /// What an organization's policies may import from now on; `None`: it is gone, and what they
    /// kept with it.
    fn granted(&self, org: &str, granted: Option<policy::Abilities>);

    /// The hosts that an organization's policies may ask from now on.
    fn hosts_named(&self, org: &str, hosts: Vec<policy::HostRule>);

    /// What an organization's policies may take from now on.
    fn limited(&self, org: &str, limits: &policy::OrgLimits);

    /// The last version of a plugin is deleted, and what it kept with it.
    fn deleted(&self, org: &str, plugin: &str);

    /// What the policies of a revision in force did, in their order; none if it is not in force.
    fn observed(&self, org: &str, revision: u64) -> Vec<Observed>;
}

/// Numbers of other rooms for `/system`.
pub trait SystemNumbers: Send + Sync {
    /// Names and values, such as `requests_running`.
    fn numbers(&self) -> Vec<(&'static str, u64)>;
}

/// What routing goes by, shared with the data plane.
#[derive(Debug, Clone)]
pub struct Routing {
    /// The offers of the configured providers.
    pub offers: Arc<ConfiguredCatalog>,
    /// Their live figures.
    pub health: Arc<Health>,
    /// How long answers are, also those of each organization.
    pub answers: Arc<Answers>,
    /// What organizations ask of routing.
    pub rulebook: Arc<Rulebook>,
    /// What people's ratings say of models.
    pub rated: Arc<dyn RatedModels>,
}

/// Ratings of answers.
pub trait RatedModels: Send + Sync + std::fmt::Debug {
    /// Those of one model: organization, task, and what they come to.
    fn of_model(&self, model: &str) -> Vec<(Arc<str>, Arc<str>, Ratings)>;
}

/// What the admin API works on.
#[derive(Clone)]
pub struct AdminParts {
    /// Organizations, keys, plugins, bindings.
    pub store: Arc<Store>,
    /// Money.
    pub ledger: Arc<Ledger>,
    /// What was used.
    pub usage: UsageLog,
    /// The keys as the data plane sees them; replaced after every change.
    pub directory: Arc<ArcSwap<Directory>>,
    /// What the scopes with rate limits have used.
    pub limits: Arc<Registry>,
    /// Whoever has it may do everything here.
    pub operator: OperatorToken,
    /// Checks uploads.
    pub admission: Arc<dyn PolicyAdmission>,
    /// Brings bindings to the data plane.
    pub bindings: Arc<dyn BindingsChanged>,
    /// Names for models, as the data plane sees them.
    pub aliases: Arc<Aliases>,
    /// Where components can be pulled from.
    pub registries: Arc<dyn ComponentSource>,
    /// Replays requests through a policy.
    pub backtests: Arc<dyn Backtest>,
    /// Where webhooks may be sent.
    pub webhook_rule: Arc<WebhookRule>,
    /// What routing goes by.
    pub routing: Routing,
    /// Numbers of other rooms.
    pub numbers: Arc<dyn SystemNumbers>,
    /// What the installation asks of policies' signatures.
    pub signatures: SignaturePolicy,
    /// How much policies may come to.
    pub bounds: PolicyBounds,
    /// When the process started, in milliseconds since the Unix epoch.
    pub started_at_ms: u64,
}

impl std::fmt::Debug for AdminParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminParts").finish_non_exhaustive()
    }
}

/// The parts, and the order of changes. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    parts: Arc<AdminParts>,
    /// Held by a change from its first check to the new snapshot, so that changes of store, ledger
    /// and snapshot happen in one order.
    turn: Arc<Mutex<()>>,
    admissions: Arc<Semaphore>,
    /// Organizations whose requests are being replayed.
    replaying: backtest::Replaying,
}

impl std::fmt::Debug for AdminState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminState").finish_non_exhaustive()
    }
}

// === impl AdminState ===

impl AdminState {
    /// The state of one admin API. There must be only one per store.
    pub fn new(parts: AdminParts) -> Self {
        Self {
            parts: Arc::new(parts),
            turn: Arc::new(Mutex::new(())),
            admissions: Arc::new(Semaphore::new(ADMISSIONS_MAX)),
            replaying: backtest::Replaying::default(),
        }
    }

    /// Reads, off the async threads.
    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AdminParts) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let parts = Arc::clone(&self.parts);
        let done = tokio::task::spawn_blocking(move || work(&parts)).await;
        done.unwrap_or_else(|cause| Err(ApiError::internal("a reading task", &cause)))
    }

    /// Changes something, off the async threads, one change at a time. A caller who hangs up does
    /// not interrupt it.
    async fn changing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AdminParts) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = Arc::clone(&self.turn);
        let author = access::author();
        self.reading(move |parts| {
            let _turn = turn.lock();
            let acting = author.map(|author| parts.store.acting(author));
            let done = work(parts)?;
            acting.map_or(Ok(()), Acting::finish)?;
            Ok(done)
        })
        .await
    }
}
