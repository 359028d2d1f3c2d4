//! From what the store says is bound to policies that can be asked. A binding that did not change
//! stays the same one, with its statistics and its breaker; a policy is compiled once for all that
//! use it. Makes nothing visible.

use std::sync::Arc;
use std::time::Duration;

use crate::admin::{self, BindingRefused};
use crate::hook::Mode;
use crate::policy::{Abilities, Binding, Policy, keeps_warm};
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
        let earlier = self.earlier(record).map(Arc::new);
        Ok(self.link(record, &record.first, at)?.followed_by(then).behind(earlier))
    }

    /// The revision that decides while this one is suspended: the latest before it at the same
    /// place that is another policy or configuration. Of one policy each: what one scanner of a
    /// chain is to another is nobody's to guess. It was configured when it was bound; should it
    /// refuse now, `on_failure` rules.
    fn earlier(&self, record: &BindingRecord) -> Option<Binding> {
        let BindingRecord { org, hook, scope, mode, .. } = record;
        if *mode != Mode::Active || !record.then.is_empty() {
            return None;
        }
        // One that was brought back counts as what it is.
        let as_if = record.restores.unwrap_or(record.revision);
        let is_earlier = |one: &BindingRecord| {
            let other = one.then.is_empty() && one.first != record.first;
            other && one.restores.is_none() && one.revision < as_if
        };
        let history = self.store.binding_history(org, *hook, scope, *mode).ok()?;
        let earlier = history.into_iter().rev().find(is_earlier)?;
        let link = &earlier.first;
        if let Ok(plugin) = self.store.plugin(org, &link.plugin, &link.version) {
            let owner = self.store.org(org).ok()?;
            if !admin::may_be_bound(&self.signatures, &owner, &plugin) {
                return None;
            }
        }
        let policy = match self.policy(link) {
            Ok(policy) => policy,
            Err(error) => {
                let (name, revision) = (&link.plugin, earlier.revision);
                tracing::info!(org, name, revision, %error, "an earlier policy is not in reserve");
                return None;
            }
        };
        let deadline = Duration::from_millis(u64::from(earlier.deadline_ms));
        let config = link.config.clone();
        let binding = Binding::new(policy, config, earlier.on_failure, deadline, earlier.revision);
        let binding = binding
            .of_share(self.engine.quota_of(org))
            .at(|| self.engine.home_of(org, &link.plugin));
        Some(self.living(binding, &earlier, link))
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
        self.check_config(&policy, link.config.as_deref(), &name, at)?;
        let deadline = Duration::from_millis(u64::from(record.deadline_ms));
        let config = link.config.clone();
        let binding = Binding::new(policy, config, record.on_failure, deadline, record.revision)
            .of_share(self.engine.quota_of(&record.org))
            .at(|| self.engine.home_of(&record.org, &link.plugin));
        Ok(self.living(binding, record, link))
    }

    /// The binding with instances that live as long as its owner says, or as what they cost when
    /// the policy was uploaded suggests.
    fn living(&self, binding: Binding, record: &BindingRecord, link: &LinkRecord) -> Binding {
        let uploaded = self.store.plugin(&record.org, &link.plugin, &link.version).ok();
        let measured = uploaded.and_then(|plugin| plugin.figures).map(|figures| figures.fresh_us);
        let fresh_us = measured.unwrap_or(binding.policy.figures.fresh_us);
        match keeps_warm(record.instances, record.hook, fresh_us) {
            true => binding.kept_warm(&self.engine),
            false => binding,
        }
    }

    /// Whether a policy takes a configuration; `name` is for the words, `at` its place in a chain.
    fn check_config(
        &self,
        policy: &Policy,
        config: Option<&str>,
        name: &str,
        at: Option<usize>,
    ) -> Result<(), BindingRefused> {
        let Some(config) = config else { return Ok(()) };
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
        self.engine
            .check_config(policy, config)
            .map_err(|why| refused("config", &format!("it refuses its configuration: {why}")))
    }

    /// A policy that is not bound, with a configuration that it takes.
    pub(in crate::gateway) fn unbound(
        &self,
        link: &LinkRecord,
    ) -> Result<Arc<Policy>, BindingRefused> {
        let name = format!("{}@{}", link.plugin, link.version);
        let policy = self.policy(link).map_err(|error| BindingRefused {
            field: None,
            message: format!("{name}: {error:#}"),
        })?;
        self.check_config(&policy, link.config.as_deref(), &name, None)?;
        Ok(policy)
    }

    /// The policy that stands behind every binding.
    pub(in crate::gateway) fn combined(&self) -> &Arc<Policy> {
        &self.builtins.combined
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
