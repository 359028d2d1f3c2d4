//! Which budgets a caller's requests count on, worked out once when the directory is made. Those
//! of the organization, the team, the project, the user and the key always count; those of tags and
//! models where a request has the tag, or may be answered by the model. Never says what is left.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use turnpike_ledger::PicoUsd;

use super::budget::{BudgetRef, Period};
use super::models::ModelRules;
use super::plan::PlanTerms;
use crate::store::{ApiKey, BudgetPeriod, ScopeBudget, SpendScope, Thresholds};

/// The budgets of one organization.
#[derive(Debug, Default)]
pub struct OrgBudgets {
    zone: Option<TimeZone>,
    by_label: HashMap<Arc<str>, Vec<Arc<BudgetRef>>>,
    sometimes: Option<Arc<Sometimes>>,
}

/// Budgets that count for some requests of an organization.
#[derive(Debug, Default)]
pub struct Sometimes {
    /// By tag: name and value.
    pub tags: Vec<(Arc<str>, Arc<str>, Arc<BudgetRef>)>,
    /// By the catalogue ids of models.
    pub models: Vec<(ModelRules, Arc<BudgetRef>)>,
}

/// What a caller's requests count on.
#[derive(Debug, Clone, Default)]
pub struct CallerBudgets {
    /// Always, from the organization down to the key.
    pub always: Arc<[Arc<BudgetRef>]>,
    /// By tag and by model; none where there are no such budgets.
    pub sometimes: Option<Arc<Sometimes>>,
    /// In which its organization's days begin; none is UTC.
    pub zone: Option<TimeZone>,
}

/// A budget that alerts may be raised about.
#[derive(Debug)]
pub struct Watched {
    /// Whose it is.
    pub org: Arc<str>,
    /// As the ledger knows it.
    pub budget: BudgetRef,
    /// What may be spent in a window; the ledger knows none of one that only counts.
    pub amount: PicoUsd,
    /// At which percentages.
    pub thresholds: Thresholds,
}

// === impl OrgBudgets ===

impl OrgBudgets {
    /// The budgets of these records, all of one organization.
    pub fn new<'a>(zone: &TimeZone, records: impl IntoIterator<Item = &'a ScopeBudget>) -> Self {
        let mut this = Self { zone: Some(zone.clone()), ..Self::default() };
        let mut sometimes = Sometimes::default();
        for record in records {
            let label: Arc<str> = record.scope.label().into();
            let period = period_of(record.period);
            let budget = BudgetRef::of_scope(&record.id, &label, period, zone.clone());
            let budget = Arc::new(budget.set_to(record.amount_usd, record.mode));
            match &record.scope {
                SpendScope::Tag(name, value) => {
                    let (name, value) = (name.as_str().into(), value.as_str().into());
                    sometimes.tags.push((name, value, budget));
                }
                SpendScope::Model(pattern) => match ModelRules::parse(&[pattern]) {
                    Ok(rules) => sometimes.models.push((rules, budget)),
                    // It was read when it was set.
                    Err(error) => tracing::error!(%error, "a budget's model can't be read"),
                },
                _ => this.by_label.entry(label).or_default().push(budget),
            }
        }
        let any = !sometimes.tags.is_empty() || !sometimes.models.is_empty();
        this.sometimes = any.then(|| Arc::new(sometimes));
        this
    }

    /// In which zone its days begin.
    pub fn zone(&self) -> TimeZone {
        self.zone.clone().unwrap_or(TimeZone::UTC)
    }

    /// What the requests of a key count on.
    pub fn of_key(&self, key: &ApiKey, plan: Option<&PlanTerms>) -> CallerBudgets {
        let named = |label: Option<String>| label.and_then(|label| self.by_label.get(&*label));
        let part = |kind: &str, name: &Option<String>| {
            named(name.as_ref().map(|name| format!("{kind}:{name}")))
        };
        let scopes = [
            named(Some(SpendScope::Organization.label())),
            part("team", &key.team),
            part("project", &key.project),
            part("user", &key.user),
            part("key", &Some(key.id.clone())),
        ];
        let volume = plan.and_then(|plan| plan.volume.as_ref()).map(|volume| &volume.month);
        let daily = plan.and_then(|plan| plan.daily.as_ref());
        let mut always: Vec<Arc<BudgetRef>> = volume.into_iter().chain(daily).cloned().collect();
        always.extend(scopes.into_iter().flatten().flatten().cloned());
        if let Some(own) = key.budget {
            let known = BudgetRef::of_key(&key.id, period_of(own.period), self.zone());
            let mut known = known.set_to(own.amount, own.mode);
            // For the words of a refusal: people know a key by its name.
            if !key.name.is_empty() {
                known.scope = format!("key:{}", key.name).into();
            }
            always.push(Arc::new(known));
        }
        let zone = self.zone.clone();
        CallerBudgets { always: always.into(), sometimes: self.sometimes.clone(), zone }
    }
}

// === impl CallerBudgets ===

impl CallerBudgets {
    /// The budgets of a request with these tags, without those of models.
    pub fn of_tags<'a, 'b>(
        &'a self,
        tags: &'b [(String, String)],
    ) -> impl Iterator<Item = &'a Arc<BudgetRef>> + use<'a, 'b> {
        let tagged = self.sometimes.iter().flat_map(|it| &it.tags);
        let has = |name: &str, value: &str| tags.iter().any(|(n, v)| n == name && v == value);
        let tagged = tagged.filter(move |(name, value, _)| has(name, value));
        self.always.iter().chain(tagged.map(|(_, _, budget)| budget))
    }

    /// The budgets that an answer of this model counts on, beside the others.
    pub fn of_model<'a, 'b>(
        &'a self,
        model: &'b str,
    ) -> impl Iterator<Item = &'a Arc<BudgetRef>> + use<'a, 'b> {
        let by_model = self.sometimes.iter().flat_map(|it| &it.models);
        by_model.filter(|(rules, _)| rules.may_use(model)).map(|(_, budget)| budget)
    }

    /// Whether some budgets count only for some models.
    pub fn by_model(&self) -> bool {
        self.sometimes.as_ref().is_some_and(|it| !it.models.is_empty())
    }

    /// The budget of that id in the ledger, if it is one of these.
    pub fn find(&self, id: &str) -> Option<&Arc<BudgetRef>> {
        let sometimes = self.sometimes.iter();
        let others = sometimes.flat_map(|it| {
            let tags = it.tags.iter().map(|(_, _, budget)| budget);
            tags.chain(it.models.iter().map(|(_, budget)| budget))
        });
        self.always.iter().chain(others).find(|budget| *budget.id == *id)
    }
}

/// The period as this room names it.
pub fn period_of(period: BudgetPeriod) -> Period {
    match period {
        BudgetPeriod::Hour => Period::Hour,
        BudgetPeriod::Day => Period::Day,
        BudgetPeriod::Week => Period::Week,
        BudgetPeriod::Month => Period::Month,
        BudgetPeriod::Total => Period::Total,
    }
}
