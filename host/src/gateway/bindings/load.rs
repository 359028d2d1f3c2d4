//! From what the store says is bound to policies that can be asked. A binding that did not change
//! stays the same one, with its statistics and its breaker; a policy is compiled once for all that
//! use it. Makes nothing visible.

use std::sync::Arc;
use std::time::Duration;

use crate::admin::BindingRefused;
use crate::policy::{Abilities, Binding, Policy};
use crate::store::{BindingRecord, LinkRecord};

use super::Bindings;
use super::choice::OrgBindings;

impl Bindings {
    /// What these records of one organization make. Compiles what is not compiled yet.
    pub(super) fn set(
        &self,
        org: &str,
        records: &[BindingRecord],
    ) -> Result<OrgBindings, BindingRefused> {
        let by_org = self.by_org.load();
        let before = by_org.get(org);
        let mut bound = Vec::with_capacity(records.len());
        for record in records {
            let same = before.and_then(|own| own.revision(record.revision));
            let binding = match same {
                Some(same) => Arc::clone(same),
                None => Arc::new(self.binding(record)?),
            };
            bound.push((record.hook, record.scope.clone(), record.mode, record.percent, binding));
        }
        Ok(OrgBindings::new(org, &self.default, bound))
    }

    fn binding(&self, record: &BindingRecord) -> Result<Binding, BindingRefused> {
        let mut then = Vec::with_capacity(record.then.len());
        for (at, link) in (1..).zip(&record.then) {
            then.push(Arc::new(self.link(record, link, Some(at))?));
        }
        let at = (!record.then.is_empty()).then_some(0);
        Ok(self.link(record, &record.first, at)?.followed_by(then))
    }

    /// One policy of a binding; `at` is its place in a chain.
    fn link(
        &self,
        record: &BindingRecord,
        link: &LinkRecord,
        at: Option<usize>,
    ) -> Result<Binding, BindingRefused> {
        let name = format!("{}@{} for {}", link.plugin, link.version, record.hook.label());
        let policy = self.policy(link).map_err(|error| BindingRefused {
            field: None,
            message: format!("{name}: {error:#}"),
        })?;
        if let Some(config) = &link.config {
            let refused = |field: &str, why: &str| BindingRefused {
                field: Some(match at {
                    Some(at) => format!("plugins.{at}.{field}"),
                    None => field.to_owned(),
                }),
                message: format!("{name}: {why}"),
            };
            policy.check_schema(config).map_err(|fault| {
                let place = if fault.at.is_empty() { "it" } else { &fault.at };
                let why = format!("the configuration does not fit its schema: {place}: {fault}");
                refused(&format!("config{}", fault.at), &why)
            })?;
            self.engine.check_config(&policy, config).map_err(|why| {
                refused("config", &format!("it refuses its configuration: {why}"))
            })?;
        }
        let deadline = Duration::from_millis(u64::from(record.deadline_ms));
        let config = link.config.clone();
        Ok(Binding::new(policy, config, record.on_failure, deadline, record.revision)
            .of_share(self.engine.quota_of(&record.org))
            .at(|| self.engine.home_of(&record.org, &link.plugin)))
    }

    fn policy(&self, link: &LinkRecord) -> anyhow::Result<Arc<Policy>> {
        let builtin = self.builtins.find(&link.plugin);
        match builtin.filter(|policy| *policy.digest == *link.digest) {
            Some(policy) => Ok(Arc::clone(policy)),
            None => match (self.compile(&link.digest), builtin) {
                (Ok(policy), _) => Ok(policy),
                // Bound by name to the built-in of an earlier version of this program, whose bytes
                // were never uploaded: the present one takes its place.
                (Err(_), Some(policy)) => Ok(Arc::clone(policy)),
                (Err(error), None) => Err(error),
            },
        }
    }

    fn compile(&self, digest: &str) -> anyhow::Result<Arc<Policy>> {
        if let Some(policy) = self.compiled.lock().get(digest).and_then(std::sync::Weak::upgrade) {
            return Ok(policy);
        }
        let bytes = self.store.plugin_bytes(digest)?;
        // What of it the organization is granted is asked of each binding, now and later.
        let policy = self.engine.admit_granted(&bytes, Abilities::all())?;
        let mut compiled = self.compiled.lock();
        compiled.retain(|_, policy| policy.strong_count() > 0);
        compiled.insert(digest.to_owned(), Arc::downgrade(&policy));
        Ok(policy)
    }
}
