//! Which policy decides what for whom: a snapshot per organization, swapped as a whole, so that a
//! request keeps the one it began with. Who has no binding is served by the built-ins.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::admin::{self, Admitted, BindingRefused, Switch};
use crate::hook::Hook;
use crate::policy::{self, Binding, BindingSet, Policy, PolicyEngine};
use crate::store::{BindingRecord, PluginCheck, Store};

use super::builtins::Builtins;

type ByOrg = HashMap<Arc<str>, Arc<BindingSet>>;

/// The bindings of every organization.
#[derive(Debug)]
pub struct Bindings {
    engine: Arc<PolicyEngine>,
    store: Arc<Store>,
    builtins: Builtins,
    default: Arc<BindingSet>,
    by_org: Arc<ArcSwap<ByOrg>>,
    /// Organizations whose own redaction could not be loaded: their requests are refused, because
    /// the built-in would let through what they forbid.
    unguarded: Arc<ArcSwap<HashSet<Arc<str>>>>,
    /// Compiled policies by digest, as long as a binding uses them.
    compiled: Mutex<HashMap<String, Weak<Policy>>>,
}

impl Bindings {
    /// Compiles what the store says is bound. A binding whose policy can't be had any more is
    /// served by the built-in, loudly.
    pub(super) fn load(
        engine: Arc<PolicyEngine>,
        store: Arc<Store>,
        builtins: Builtins,
    ) -> anyhow::Result<Self> {
        let behind = policy::Builtins::combined(&builtins.combined);
        let bindings = Self {
            engine,
            store,
            builtins,
            default: Arc::new(BindingSet::defaults(behind)),
            by_org: Arc::default(),
            unguarded: Arc::default(),
            compiled: Mutex::default(),
        };
        let mut by_org: HashMap<String, Vec<BindingRecord>> = HashMap::new();
        for record in bindings.store.all_bindings()? {
            by_org.entry(record.org.clone()).or_default().push(record);
        }
        for (org, records) in by_org {
            match bindings.set(&records) {
                Ok(set) => bindings.swap(&org, Some(set)),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(org, error, "its policies can't be loaded; built-ins decide");
                    let redacts = |record: &BindingRecord| record.hook == Hook::Redact;
                    if records.iter().any(redacts) {
                        tracing::error!(org, "its redaction is missing: requests are refused");
                        guard(&bindings.unguarded, &org, false);
                    }
                }
            }
        }
        Ok(bindings)
    }

    /// The snapshot for an organization.
    pub fn of(&self, org: &str) -> Arc<BindingSet> {
        self.by_org.load().get(org).map_or_else(|| Arc::clone(&self.default), Arc::clone)
    }

    /// Whether the organization's own redaction is bound but could not be loaded.
    pub fn is_unguarded(&self, org: &str) -> bool {
        self.unguarded.load().contains(org)
    }

    fn swap(&self, org: &str, set: Option<BindingSet>) {
        swap(&self.by_org, org, set);
    }

    /// The set that these records make. Compiles what is not compiled yet.
    fn set(&self, records: &[BindingRecord]) -> anyhow::Result<BindingSet> {
        let mut set = BindingSet::clone(&self.default);
        for record in records {
            let binding = self.binding(record).with_context(|| {
                format!("{}@{} for {}", record.plugin, record.version, record.hook.label())
            })?;
            set = set.with(record.hook, Arc::new(binding));
        }
        Ok(set)
    }

    fn binding(&self, record: &BindingRecord) -> anyhow::Result<Binding> {
        let builtin = self.builtins.find(&record.plugin);
        let policy = match builtin.filter(|policy| *policy.digest == *record.digest) {
            Some(policy) => Arc::clone(policy),
            None => match (self.compile(&record.digest), builtin) {
                (Ok(policy), _) => policy,
                // Bound by name to the built-in of an earlier version of this program, whose bytes
                // were never uploaded: the present one takes its place.
                (Err(_), Some(policy)) => Arc::clone(policy),
                (Err(error), None) => return Err(error),
            },
        };
        let deadline = Duration::from_millis(u64::from(record.deadline_ms));
        let config = record.config.clone();
        if let Some(config) = &config {
            self.engine
                .check_config(&policy, config)
                .map_err(|why| anyhow::anyhow!("it refuses its configuration: {why}"))?;
        }
        Ok(Binding::new(policy, config, record.on_failure, deadline, record.revision))
    }

    fn compile(&self, digest: &str) -> anyhow::Result<Arc<Policy>> {
        if let Some(policy) = self.compiled.lock().get(digest).and_then(Weak::upgrade) {
            return Ok(policy);
        }
        let bytes = self.store.plugin_bytes(digest)?;
        let policy = self.engine.admit(&bytes)?;
        let mut compiled = self.compiled.lock();
        compiled.retain(|_, policy| policy.strong_count() > 0);
        compiled.insert(digest.to_owned(), Arc::downgrade(&policy));
        Ok(policy)
    }
}

fn swap(by_org: &ArcSwap<ByOrg>, org: &str, set: Option<BindingSet>) {
    let set = set.map(Arc::new);
    by_org.rcu(|now| {
        let mut next = ByOrg::clone(now);
        match &set {
            Some(set) => next.insert(Arc::from(org), Arc::clone(set)),
            None => next.remove(org),
        };
        next
    });
}

fn guard(unguarded: &ArcSwap<HashSet<Arc<str>>>, org: &str, guarded: bool) {
    unguarded.rcu(|now| {
        let mut next = HashSet::clone(now);
        if guarded {
            next.remove(org);
        } else {
            next.insert(Arc::from(org));
        }
        next
    });
}

impl admin::PolicyAdmission for Bindings {
    fn admit(&self, bytes: &[u8]) -> Result<Admitted, Vec<PluginCheck>> {
        let policy = self.engine.admit(bytes).map_err(|refused| checks(&refused.checks))?;
        Ok(admitted(&policy))
    }

    fn builtin(&self, name: &str) -> Option<Admitted> {
        self.builtins.find(name).map(|policy| admitted(policy))
    }
}

impl admin::BindingsChanged for Bindings {
    fn prepare(&self, org: &str, records: &[BindingRecord]) -> Result<Switch, BindingRefused> {
        let set = self
            .set(records)
            .map_err(|error| BindingRefused { field: None, message: format!("{error:#}") })?;
        let set = (!records.is_empty()).then_some(set);
        let (by_org, org) = (Arc::clone(&self.by_org), org.to_owned());
        let unguarded = Arc::clone(&self.unguarded);
        Ok(Box::new(move || {
            swap(&by_org, &org, set);
            guard(&unguarded, &org, true);
        }))
    }
}

fn admitted(policy: &Policy) -> Admitted {
    let serves = |hook: &Hook| policy.hooks.serves(*hook);
    Admitted {
        name: policy.name.to_string(),
        version: policy.version.to_string(),
        digest: policy.digest.to_string(),
        interfaces: Hook::ALL.iter().filter(|h| serves(h)).map(|h| h.label().to_owned()).collect(),
        checks: checks(&policy.checks),
    }
}

fn checks(checks: &[policy::Check]) -> Vec<PluginCheck> {
    let check = |check: &policy::Check| PluginCheck {
        name: check.name.to_string(),
        passed: check.passed,
        detail: check.detail.clone(),
    };
    checks.iter().map(check).collect()
}
