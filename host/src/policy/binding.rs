//! Which policy decides what for an organization, and what happens when it fails. Values only: a
//! request keeps the set that it began with, a change makes a new set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

pub use crate::hook::{Hook, OnFailure};

use super::abilities::{Abilities, Ability};
use super::admitted::Policy;
use super::breaker::{Breaker, Gate, Suspension};
use super::comparison::Beside;
use super::engine::PolicyEngine;
use super::guest_log::LogRing;
use super::home::{Fetches, Home};
use super::instance::Instance;
use super::quota::Quota;
use super::statistics::{Statistics, Tally};
use super::verdict::PolicyRef;
use super::warm::Shelf;

/// Bytes of a configuration's digest that are kept: enough to tell it from others of the policy.
const CONFIG_DIGEST_BYTES: usize = 8;

/// How many bindings this process has made.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// One policy bound to one hook (or several) of one organization.
#[derive(Debug)]
pub struct Binding {
    /// The component.
    pub policy: Arc<Policy>,
    /// JSON for `configure`, called once per fresh instance; `None`: never called.
    pub config: Option<Arc<str>>,
    /// What happens when it fails.
    pub on_failure: OnFailure,
    /// The processor time of one call.
    pub deadline: Duration,
    /// Grows with every change of the binding.
    pub revision: u64,
    /// Whether it is one of the four that ship with the host.
    pub builtin: bool,
    /// What the guest wrote to its log, in memory only.
    pub log: Arc<LogRing>,
    /// Further scanners of the same texts, in order; for redact only.
    pub then: Vec<Arc<Binding>>,
    /// The revision before, which decides while this one is suspended.
    pub earlier: Option<Arc<Binding>>,
    /// No other binding of this process has or had it.
    pub(super) serial: u64,
    pub(super) statistics: Statistics,
    pub(super) breaker: Breaker,
    pub(super) identity: Arc<PolicyRef>,
    /// Its organization's share; none for a built-in.
    pub(super) quota: Option<Arc<Quota>>,
    /// What it keeps between requests; only where it imports what must be granted.
    pub(super) home: Option<Arc<Home>>,
    /// Where its instances wait between requests; none if each request has a fresh one.
    pub(super) warm: Option<Arc<Shelf>>,
}

fn config_digest(config: &str) -> Arc<str> {
    let bytes = Sha256::digest(config.as_bytes());
    let digits = bytes.iter().take(CONFIG_DIGEST_BYTES).map(|byte| format!("{byte:02x}"));
    digits.collect::<String>().into()
}

impl Binding {
    /// Binds an organization's policy.
    pub fn new(
        policy: Arc<Policy>,
        config: Option<String>,
        on_failure: OnFailure,
        deadline: Duration,
        revision: u64,
    ) -> Self {
        let identity = Arc::new(PolicyRef {
            name: Arc::clone(&policy.name),
            version: Arc::clone(&policy.version),
            label: format!("{}@{}", policy.name, policy.version).into(),
            digest: Arc::clone(&policy.digest),
            config: config.as_deref().map(config_digest),
            revision,
        });
        Self {
            policy,
            config: config.map(Arc::from),
            on_failure,
            deadline,
            revision,
            builtin: false,
            log: Arc::default(),
            then: Vec::new(),
            earlier: None,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            statistics: Statistics::default(),
            breaker: Breaker::default(),
            identity,
            quota: None,
            home: None,
            warm: None,
        }
    }

    /// The same, with its instances counted to an organization's share.
    #[must_use]
    pub fn of_share(mut self, quota: Arc<Quota>) -> Self {
        self.quota = Some(quota);
        self
    }

    /// The same, at home where its plugin keeps what it keeps; a policy that imports nothing that
    /// must be granted needs none.
    #[must_use]
    pub fn at(mut self, home: impl FnOnce() -> Arc<Home>) -> Self {
        self.home = (!self.policy.abilities.is_empty()).then(home);
        self
    }

    /// The same, with its instances kept between requests. After [`Self::of_share`], to whose share
    /// they count also while they wait.
    #[must_use]
    pub fn kept_warm(mut self, engine: &PolicyEngine) -> Self {
        self.warm = Some(engine.shelf(self.quota.clone()));
        self
    }

    /// Instances that wait for their next call; `None` where none is kept.
    pub fn idle_instances(&self) -> Option<usize> {
        self.warm.as_ref().map(|shelf| shelf.idle())
    }

    /// An instance that waits for its next call; none of a policy that may not be asked any more.
    pub(super) fn spare(&self) -> Option<Instance> {
        let shelf = self.warm.as_ref()?;
        if !self.lacks().is_empty() {
            shelf.clear();
            return None;
        }
        shelf.take()
    }

    /// Whether it has a way to the network.
    pub(super) fn may_fetch(&self) -> bool {
        self.policy.abilities.has(Ability::Fetch)
    }

    /// How long a call may wait for others, beside its own time.
    pub(super) fn patience(&self) -> Duration {
        if self.may_fetch() { Fetches::WAIT_MAX } else { Duration::ZERO }
    }

    /// The processor time of one call: the binding's, or what its organization may have at most.
    pub(super) fn time(&self) -> Duration {
        let most = self.quota.as_ref().map(|quota| quota.deadline());
        most.map_or(self.deadline, |most| self.deadline.min(most))
    }

    /// What the policy imports and its organization is not granted now.
    pub fn lacks(&self) -> Abilities {
        let wanted = self.policy.abilities;
        if wanted.is_empty() {
            return wanted;
        }
        self.home.as_ref().map_or(wanted, |home| home.lacks(wanted))
    }

    /// Binds one of the policies that ship with the host: it may use the whole pool of instances
    /// and is never suspended, because nothing stands behind it.
    pub fn builtin(policy: Arc<Policy>, hook: Hook) -> Self {
        let mut binding =
            Self::new(policy, None, hook.default_on_failure(), hook.default_deadline(), 0);
        binding.builtin = true;
        binding
    }

    /// The same, followed by further scanners of the same texts.
    #[must_use]
    pub fn followed_by(mut self, then: Vec<Arc<Self>>) -> Self {
        self.then = then;
        self
    }

    /// The same, with the revision before it in reserve.
    #[must_use]
    pub fn behind(mut self, earlier: Option<Arc<Self>>) -> Self {
        self.earlier = earlier;
        self
    }

    /// Counts a failure that is its own, and says so where it is one too many.
    pub(super) fn failed(&self, now_ms: u64, because: &str, gate: Gate) {
        if self.breaker.failed(now_ms, because, gate) {
            let earlier = self.earlier.as_ref().map(|it| &*it.identity.label);
            let (policy, revision) = (&*self.identity.label, self.revision);
            tracing::warn!(policy, revision, because, earlier, "a policy is suspended");
        }
    }

    /// Who decides in its place now; none while it decides itself, or where `on_failure` rules.
    pub fn stand_in(&self, now_ms: u64) -> Option<Arc<PolicyRef>> {
        self.breaker.suspended_for_ms(now_ms)?;
        let earlier = self.earlier.as_ref()?;
        earlier.breaker.suspended_for_ms(now_ms).is_none().then(|| earlier.identity())
    }

    /// What it did since it is there.
    pub fn tally(&self) -> Tally {
        self.statistics.tally()
    }

    /// Until when it is not asked, and why; `None` while it is.
    pub fn suspension(&self, now_ms: u64) -> Option<Suspension> {
        self.breaker.suspension(now_ms)
    }

    /// Who this is, for a verdict.
    pub fn identity(&self) -> Arc<PolicyRef> {
        Arc::clone(&self.identity)
    }

    /// Whether an instance made for `other` serves this binding too. One that outlives the request
    /// serves only the binding that keeps it: a decision that sees content may be another's.
    pub(super) fn shares_instance_with(&self, other: &Self) -> bool {
        if self.warm.is_some() || other.warm.is_some() {
            return std::ptr::eq(self, other);
        }
        Arc::ptr_eq(&self.policy, &other.policy)
            && self.config == other.config
            && self.builtin == other.builtin
    }
}

/// The built-ins that stand behind every binding.
#[derive(Debug, Clone)]
pub struct Builtins {
    /// Behind classify.
    pub classify: Arc<Binding>,
    /// Behind route.
    pub route: Arc<Binding>,
    /// Behind redact.
    pub redact: Arc<Binding>,
    /// Behind bill.
    pub bill: Arc<Binding>,
}

impl Builtins {
    /// All four from one component, so that the default path pays for one instance.
    pub fn combined(policy: &Arc<Policy>) -> Self {
        let bind = |hook| Arc::new(Binding::builtin(Arc::clone(policy), hook));
        Self {
            classify: bind(Hook::Classify),
            route: bind(Hook::Route),
            redact: bind(Hook::Redact),
            bill: bind(Hook::Bill),
        }
    }

    /// The built-in of a hook.
    pub fn of(&self, hook: Hook) -> &Arc<Binding> {
        match hook {
            Hook::Classify => &self.classify,
            Hook::Route => &self.route,
            Hook::Redact => &self.redact,
            Hook::Bill => &self.bill,
        }
    }
}

/// An organization's snapshot: who decides now, and who stands behind.
#[derive(Debug, Clone)]
pub struct BindingSet {
    /// Who decides the task.
    pub classify: Arc<Binding>,
    /// Who ranks the offers.
    pub route: Arc<Binding>,
    /// Who scans the texts.
    pub redact: Arc<Binding>,
    /// Who prices the call.
    pub bill: Arc<Binding>,
    /// Who stands behind them.
    pub builtins: Builtins,
    /// Who is asked beside them, at most one for each decision.
    pub beside: Vec<Beside>,
}

impl BindingSet {
    /// The built-ins decide everything.
    pub fn defaults(builtins: Builtins) -> Self {
        Self {
            classify: Arc::clone(&builtins.classify),
            route: Arc::clone(&builtins.route),
            redact: Arc::clone(&builtins.redact),
            bill: Arc::clone(&builtins.bill),
            builtins,
            beside: Vec::new(),
        }
    }

    /// The same set with another binding for one hook.
    #[must_use]
    pub fn with(mut self, hook: Hook, binding: Arc<Binding>) -> Self {
        match hook {
            Hook::Classify => self.classify = binding,
            Hook::Route => self.route = binding,
            Hook::Redact => self.redact = binding,
            Hook::Bill => self.bill = binding,
        }
        self
    }

    /// Who decides a hook.
    pub fn of(&self, hook: Hook) -> &Arc<Binding> {
        match hook {
            Hook::Classify => &self.classify,
            Hook::Route => &self.route,
            Hook::Redact => &self.redact,
            Hook::Bill => &self.bill,
        }
    }
}
