//! Which policy decides what for whom: a snapshot per organization, swapped as a whole, so that a
//! request keeps the one it began with. Who has no binding is served by the built-ins.

mod choice;
mod load;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::admin::{self, Admitted, BindingRefused, Observed, SignaturePolicy, Switch};
use crate::clock;
use crate::hook::{Hook, Mode};
use crate::policy::{
    self, Abilities, Ability, Binding, BindingSet, HostRule, OrgLimits, Policy, PolicyEngine,
};
use crate::store::{BindingRecord, Organization, PluginCheck, PluginFigures, Store};

use super::builtins::Builtins;
use choice::OrgBindings;
pub use choice::Wanted;

/// Where words leave room for an organization that the policy room does not know.
const ORG_PLACE: &str = "{org}";

type ByOrg = HashMap<Arc<str>, Arc<OrgBindings>>;

/// The bindings of every organization.
#[derive(Debug)]
pub struct Bindings {
    engine: Arc<PolicyEngine>,
    store: Arc<Store>,
    signatures: SignaturePolicy,
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
        signatures: SignaturePolicy,
        builtins: Builtins,
    ) -> anyhow::Result<Self> {
        let behind = policy::Builtins::combined(&builtins.combined);
        let bindings = Self {
            engine,
            store,
            signatures,
            builtins,
            default: Arc::new(BindingSet::defaults(behind)),
            by_org: Arc::default(),
            unguarded: Arc::default(),
            compiled: Mutex::default(),
        };
        for org in bindings.store.all_orgs()? {
            bindings.engine.grant(&org.id, abilities(&org));
            let hosts = org.fetch_hosts.iter().filter_map(|host| HostRule::parse(host)).collect();
            bindings.engine.allow_hosts(&org.id, hosts);
            bindings.engine.limit(&org.id, &admin::limits_of(&org.policy_limits));
        }
        let mut by_org: HashMap<String, Vec<BindingRecord>> = HashMap::new();
        for record in bindings.store.all_bindings()? {
            by_org.entry(record.org.clone()).or_default().push(record);
        }
        for (org, records) in by_org {
            match bindings.set(&org, &records) {
                Ok(set) => swap(&bindings.by_org, &org, Some(set)),
                Err(refused) => {
                    let error = refused.message;
                    tracing::error!(org, error, "its policies can't be loaded; built-ins decide");
                    let redacts =
                        |record: &BindingRecord| record.hook == Hook::Redact && decides(record);
                    if records.iter().any(redacts) {
                        tracing::error!(org, "its redaction is missing: requests are refused");
                        guard(&bindings.unguarded, &org, false);
                    }
                }
            }
        }
        Ok(bindings)
    }

    /// Whether an organization has bindings for some models only.
    pub fn go_by_model(&self, org: &str) -> bool {
        self.by_org.load().get(org).is_some_and(|own| own.go_by_model())
    }

    /// Who decides for a request, from its beginning to its end.
    pub fn of(&self, org: &str, wanted: &Wanted<'_>) -> Arc<BindingSet> {
        match self.by_org.load().get(org) {
            Some(own) => own.choose(wanted),
            None => Arc::clone(&self.default),
        }
    }

    /// Whether the component of that digest is the built-in router, alone or with the other
    /// built-ins.
    pub fn is_built_in_router(&self, digest: &str) -> bool {
        self.builtins.routes(digest)
    }

    /// Refuses new revisions whose policies import what they may not. Those that are in force
    /// already stay, and fail when they are asked.
    fn check_grants(
        &self,
        org: &str,
        records: &[BindingRecord],
        set: &OrgBindings,
    ) -> Result<(), BindingRefused> {
        let before = self.by_org.load();
        let before = before.get(org);
        let is_new = |record: &&BindingRecord| {
            before.is_none_or(|own| own.revision(record.revision).is_none())
        };
        for record in records.iter().filter(is_new) {
            let Some(bound) = set.revision(record.revision) else { continue };
            let mut links = std::iter::once(bound).chain(&bound.then);
            if let Some(message) = links.find_map(|link| barred(link, record.hook)) {
                let field = Some("plugin".to_owned());
                return Err(BindingRefused { field, message: message.replace(ORG_PLACE, org) });
            }
        }
        Ok(())
    }

    /// Whether the organization's own redaction is bound but could not be loaded.
    pub fn is_unguarded(&self, org: &str) -> bool {
        self.unguarded.load().contains(org)
    }
}

/// What an organization's record grants. A name that this program does not know grants nothing.
fn abilities(org: &Organization) -> Abilities {
    org.policy_imports.iter().filter_map(|name| Ability::from_label(name)).collect()
}

/// Why a policy may not be bound to a hook now, if it may not.
fn barred(bound: &Binding, hook: Hook) -> Option<String> {
    let label = &bound.identity().label;
    let lacks = bound.lacks();
    if !lacks.is_empty() {
        return Some(format!(
            "{label} imports {}, which the organization is not granted; have the operator grant \
             it (PUT /admin/v1/orgs/{{org}}/policy-grants)",
            lacks.names()
        ));
    }
    let unsuited = bound.policy.abilities.iter().find(|ability| !ability.suits_bill());
    unsuited.filter(|_| hook == Hook::Bill).map(|ability| {
        format!(
            "{label} imports {}, and a bill may not depend on it: the same call must cost the \
             same whenever it is asked about",
            ability.label()
        )
    })
}

/// Whether a binding may come to decide.
fn decides(record: &BindingRecord) -> bool {
    match record.mode {
        Mode::Active | Mode::Canary => true,
        Mode::Shadow => false,
    }
}

fn swap(by_org: &ArcSwap<ByOrg>, org: &str, set: Option<OrgBindings>) {
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
    fn admit(
        &self,
        org: &str,
        bytes: &[u8],
        cases: Option<&policy::SelfTest>,
    ) -> Result<Admitted, Vec<PluginCheck>> {
        let granted = self.engine.granted(org);
        let policy = self.engine.admit_granted(bytes, granted).map_err(|refused| {
            let mut checks = checks(&refused.checks);
            for check in &mut checks {
                check.detail = check.detail.replace(ORG_PLACE, org);
            }
            checks
        })?;
        let mut admitted = admitted(&policy);
        if let Some(cases) = cases {
            // Its calls have time-outs, so it needs the runtime; this thread is one for blocking.
            let runtime = tokio::runtime::Handle::current();
            let check = runtime.block_on(cases.run(&self.engine, &policy));
            let passed = check.passed;
            admitted.checks.extend(checks(&[check]));
            if !passed {
                return Err(admitted.checks);
            }
        }
        Ok(admitted)
    }

    fn builtin(&self, name: &str) -> Option<Admitted> {
        self.builtins.find(name).map(|policy| admitted(policy))
    }
}

impl admin::BindingsChanged for Bindings {
    fn prepare(&self, org: &str, records: &[BindingRecord]) -> Result<Switch, BindingRefused> {
        let set = self.set(org, records)?;
        self.check_grants(org, records, &set)?;
        let set = (!records.is_empty()).then_some(set);
        let (by_org, org) = (Arc::clone(&self.by_org), org.to_owned());
        let unguarded = Arc::clone(&self.unguarded);
        Ok(Box::new(move || {
            swap(&by_org, &org, set);
            guard(&unguarded, &org, true);
        }))
    }

    fn granted(&self, org: &str, granted: Option<Abilities>) {
        match granted {
            Some(granted) => self.engine.grant(org, granted),
            None => self.engine.forget(org),
        }
    }

    fn hosts_named(&self, org: &str, hosts: Vec<HostRule>) {
        self.engine.allow_hosts(org, hosts);
    }

    fn limited(&self, org: &str, limits: &OrgLimits) {
        self.engine.limit(org, limits);
    }

    fn deleted(&self, org: &str, plugin: &str) {
        self.engine.forget_plugin(org, plugin);
    }

    fn observed(&self, org: &str, revision: u64) -> Vec<Observed> {
        let by_org = self.by_org.load();
        let Some(bound) = by_org.get(org).and_then(|own| own.revision(revision)) else {
            return Vec::new();
        };
        let now_ms = clock::now_ms();
        std::iter::once(bound)
            .chain(&bound.then)
            .map(|one| Observed {
                tally: one.tally(),
                suspension: one.suspension(now_ms),
                stand_in: one.stand_in(now_ms),
                lacks: one.lacks(),
                idle_instances: one.idle_instances(),
            })
            .collect()
    }
}

fn admitted(policy: &Policy) -> Admitted {
    let serves = |hook: &Hook| policy.hooks.serves(*hook);
    let figures = policy.figures;
    Admitted {
        name: policy.name.to_string(),
        version: policy.version.to_string(),
        digest: policy.digest.to_string(),
        interfaces: Hook::ALL.iter().filter(|h| serves(h)).map(|h| h.label().to_owned()).collect(),
        checks: checks(&policy.checks),
        figures: PluginFigures {
            start_us: figures.start_us,
            fresh_us: figures.fresh_us,
            warm_us: figures.warm_us,
            memory_bytes: u64::try_from(figures.memory_bytes).unwrap_or(u64::MAX),
        },
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
