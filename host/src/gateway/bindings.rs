//! Which policy decides what for whom: a snapshot per organization, swapped as a whole, so that a
//! request keeps the one it began with. Who has no binding is served by the built-ins.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::hook::Hook;
use crate::policy::{Binding, BindingSet, Policy, PolicyEngine};
use crate::store::{BindingRecord, Store};

use super::builtins::Builtins;

/// The bindings of every organization.
#[derive(Debug)]
pub struct Bindings {
    engine: Arc<PolicyEngine>,
    store: Arc<Store>,
    builtins: Builtins,
    default: Arc<BindingSet>,
    by_org: ArcSwap<HashMap<Arc<str>, Arc<BindingSet>>>,
    /// Compiled policies by digest, as long as a binding uses them.
    compiled: Mutex<HashMap<String, Weak<Policy>>>,
    /// Rebuilds come one after the other, so that the later one sees the earlier one's store.
    rebuilding: Mutex<()>,
}

impl Bindings {
    /// Compiles what the store says is bound. A binding whose policy can't be had any more is
    /// served by the built-in, loudly.
    pub(super) fn load(
        engine: Arc<PolicyEngine>,
        store: Arc<Store>,
        builtins: Builtins,
    ) -> anyhow::Result<Self> {
        let default = Arc::new(BindingSet::all_from(&builtin_binding(&builtins)));
        let bindings = Self {
            engine,
            store,
            builtins,
            default,
            by_org: ArcSwap::from_pointee(HashMap::new()),
            compiled: Mutex::new(HashMap::new()),
            rebuilding: Mutex::new(()),
        };
        let mut orgs: Vec<String> =
            bindings.store.all_bindings()?.into_iter().map(|record| record.org).collect();
        orgs.dedup();
        for org in orgs {
            if let Err(error) = bindings.rebuild(&org) {
                tracing::error!(org, error = format!("{error:#}"), "bindings can't be loaded");
            }
        }
        Ok(bindings)
    }

    /// The snapshot for an organization.
    pub fn of(&self, org: &str) -> Arc<BindingSet> {
        self.by_org.load().get(org).map_or_else(|| Arc::clone(&self.default), Arc::clone)
    }

    /// Reads the organization's bindings from the store and swaps its snapshot. Compiles what is
    /// not compiled yet, so it blocks for up to seconds.
    pub(super) fn rebuild(&self, org: &str) -> anyhow::Result<()> {
        let _one_at_a_time = self.rebuilding.lock();
        let records = self.store.bindings(org)?;
        let mut set = BindingSet::clone(&self.default);
        for record in &records {
            let binding = self.binding(record).with_context(|| {
                format!("the {} binding of {org} to {}", record.hook.label(), record.plugin)
            })?;
            set.put(record.hook, Arc::new(binding));
        }
        let mut next = HashMap::clone(&self.by_org.load());
        if records.is_empty() {
            next.remove(org);
        } else {
            next.insert(Arc::from(org), Arc::new(set));
        }
        self.by_org.store(Arc::new(next));
        Ok(())
    }

    fn binding(&self, record: &BindingRecord) -> anyhow::Result<Binding> {
        let builtin = self.builtins.find(&record.plugin);
        let builtin = builtin.filter(|policy| policy.digest == record.digest);
        let policy = match builtin {
            Some(policy) => Arc::clone(policy),
            None => self.compile(&record.digest)?,
        };
        Ok(Binding {
            policy,
            config: record.config.clone(),
            on_failure: record.on_failure,
            deadline: Duration::from_millis(u64::from(record.deadline_ms)),
            revision: record.revision,
            builtin: builtin.is_some(),
        })
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

    /// The built-in policy of that name.
    pub(super) fn builtin(&self, name: &str) -> Option<&Arc<Policy>> {
        self.builtins.find(name)
    }

    /// What an upload is checked by.
    pub(super) fn engine(&self) -> &PolicyEngine {
        &self.engine
    }
}

fn builtin_binding(builtins: &Builtins) -> impl Fn(Hook) -> Arc<Binding> {
    let policy = Arc::clone(&builtins.combined);
    move |hook| {
        Arc::new(Binding {
            policy: Arc::clone(&policy),
            config: None,
            on_failure: hook.default_on_failure(),
            deadline: Duration::from_millis(u64::from(hook.default_deadline_ms())),
            revision: 0,
            builtin: true,
        })
    }
}
