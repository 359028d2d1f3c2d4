//! The plan that a caller's organization is on, as the data plane needs it: which models, how much
//! is given each day, and the discount. What was given and spent is in the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::tz::TimeZone;
use turnpike_ledger::PicoUsd;

use super::budget::{BudgetRef, Period};
use super::models::ModelRules;
use crate::store::{Discount, PlanRecord};

/// See the head of this file.
#[derive(Debug)]
pub struct PlanTerms {
    /// The plan's id.
    pub id: Arc<str>,
    models: ModelRules,
    /// What is given each day.
    pub allowance: Option<Allowance>,
    /// What is spent within a month, and the discounts that this brings; none without discounts.
    pub volume: Option<Volume>,
    /// The counter of what may be spent on a day.
    pub daily: Option<Arc<BudgetRef>>,
}

/// What is given each day.
#[derive(Debug)]
pub struct Allowance {
    /// The credit is raised to this.
    pub amount: PicoUsd,
    /// Its days.
    pub day: BudgetRef,
    /// The day that it was given for last, as far as this process knows.
    given: AtomicU64,
}

/// Discounts by volume.
#[derive(Debug)]
pub struct Volume {
    /// Counts the month's spending.
    pub month: Arc<BudgetRef>,
    steps: Vec<Discount>,
}

// === impl PlanTerms ===

impl PlanTerms {
    /// The terms of a plan for one organization.
    pub fn new(plan: &PlanRecord, org: &str, zone: &TimeZone) -> Self {
        let counter = |period| BudgetRef::of_plan(org, period, zone.clone());
        let allowance = plan.daily_allowance_usd.map(|amount| Allowance {
            amount,
            day: counter(Period::Day),
            given: AtomicU64::new(0),
        });
        let volume = (!plan.discounts.is_empty()).then(|| Volume {
            month: Arc::new(counter(Period::Month)),
            steps: plan.discounts.clone(),
        });
        // An allowance is given with the first request of a day: what counts tells whether one was.
        let counts = plan.daily_limit_usd.is_some() || plan.daily_allowance_usd.is_some();
        let daily = counts.then(|| Arc::new(counter(Period::Day)));
        Self {
            id: plan.id.as_str().into(),
            // They were read when the plan was stored. Should a row have been changed by hand into
            // something that can't be read, the plan includes nothing rather than everything.
            models: ModelRules::parse(&plan.models).unwrap_or_else(|_| ModelRules::nothing()),
            allowance,
            volume,
            daily,
        }
    }

    /// Whether the plan includes a model, by its catalogue id.
    pub fn includes(&self, model: &str) -> bool {
        self.models.may_use(model)
    }
}

// === impl Allowance ===

impl Allowance {
    /// The day of that moment, if it was not given for it yet.
    pub fn due(&self, now_ms: u64) -> Option<u64> {
        let day = self.day.window(now_ms).start_ms;
        (self.given.load(Ordering::Relaxed) != day).then_some(day)
    }

    /// It was given for that day. A second gift under the same id books nothing in the ledger, so
    /// nothing depends on this but time.
    pub fn given(&self, day: u64) {
        self.given.store(day, Ordering::Relaxed);
    }
}

// === impl Volume ===

impl Volume {
    /// The discount that so much spending within the month brings, in hundredths of a percent.
    pub fn discount(&self, spent: PicoUsd) -> u32 {
        let reached = self.steps.iter().filter(|step| step.from_usd <= spent);
        reached.map(|step| step.permyriad).max().unwrap_or(0)
    }
}
