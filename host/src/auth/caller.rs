//! A caller: what the data plane knows of whoever sent a request. A `Caller` reaches the pipeline
//! only through `authenticate`.

use std::borrow::Cow;
use std::sync::Arc;

use super::models::ModelRules;
use super::plan::PlanTerms;
use super::spending::CallerBudgets;
use crate::limits::Meter;

pub use crate::hook::Clearance;

/// Whoever presented a valid key, with all that the data plane needs to know of the key.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The organization that pays.
    pub org: Arc<str>,
    /// The key's id; not the key.
    pub key_id: Arc<str>,
    /// What people call the key.
    pub name: Arc<str>,
    /// The team its cost is attributed to.
    pub team: Option<Arc<str>>,
    /// The project its cost is attributed to.
    pub project: Option<Arc<str>>,
    /// The user its cost is attributed to.
    pub user: Option<Arc<str>>,
    /// Which models it may use.
    pub models: ModelRules,
    /// The highest class of data it may send.
    pub clearance: Clearance,
    /// The plan that its organization is on.
    pub plan: Option<Arc<PlanTerms>>,
    /// What its requests count on in the ledger.
    pub budgets: CallerBudgets,
    /// How fast it may ask; none where nothing is limited.
    pub limits: Option<Arc<[Arc<Meter>]>>,
    /// Switched off by an operator.
    pub disabled: bool,
    /// Milliseconds since the Unix epoch from which it no longer works.
    pub expires_at_ms: Option<u64>,
}

impl Caller {
    /// Whether the key may use a model, by its catalogue id.
    pub fn may_use(&self, model: &str) -> bool {
        self.models.may_use(model) && self.in_plan(model)
    }

    /// A scope of limits or money in words for people: its own key by the name that it has.
    pub fn shown<'a>(&self, scope: &'a str) -> Cow<'a, str> {
        match scope.strip_prefix("key:") {
            Some(id) if *id == *self.key_id && !self.name.is_empty() => {
                Cow::Owned(format!("key:{}", self.name))
            }
            _ => Cow::Borrowed(scope),
        }
    }

    /// Whether the plan of its organization includes a model.
    pub fn in_plan(&self, model: &str) -> bool {
        self.plan.as_ref().is_none_or(|plan| plan.includes(model))
    }
}
