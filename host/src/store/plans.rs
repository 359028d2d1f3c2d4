//! Plans: what organizations may use and on which terms. Data of the installation: free,
//! pay-as-you-go and enterprise are values of the same fields.

use serde::{Deserialize, Serialize};
use turnpike_ledger::PicoUsd;

use super::records::Organization;
use super::registry::{Page, delete, put};
use super::rows::{ROW_VERSION, Record, joined, readable};
use super::spending::row_of_itself;
use super::state::Table;
use super::{Store, StoreError};

const PLAN: &str = "plan";

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    pub v: u32,
    /// A lower-case identifier.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Which models it includes: patterns as a key's. Empty includes all.
    pub models: Vec<String>,
    /// The credit is raised to this much with the first request of each day.
    pub daily_allowance_usd: Option<PicoUsd>,
    /// At most this much is spent on each day.
    pub daily_limit_usd: Option<PicoUsd>,
    /// By how much a month has come to, rising.
    pub discounts: Vec<Discount>,
    /// On which terms it is invoiced; none is prepaid.
    pub invoice: Option<InvoiceTerms>,
    /// Milliseconds since the Unix epoch.
    pub created_at_ms: u64,
}

/// A discount from some volume on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    /// What the organization has spent within the month.
    pub from_usd: PicoUsd,
    /// In hundredths of a percent of list prices.
    pub permyriad: u32,
}

/// How a plan is invoiced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceTerms {
    /// Days until it is due.
    pub due_days: u32,
    /// What is written on it.
    pub note: String,
}

row_of_itself!(PlanRecord, |it| joined(&[PLAN, &it.id]));

// === impl Store: plans ===

impl Store {
    /// Adds a plan whose id is new.
    pub fn create_plan(&self, plan: &PlanRecord) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        if self.read::<PlanRecord>(&plan.key())?.is_some() {
            return Err(StoreError::Exists(format!("the plan {:?}", plan.id)));
        }
        self.commit(&mut writer, vec![put(plan)?])
    }

    /// Replaces a plan.
    pub fn update_plan(&self, plan: &PlanRecord) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        self.plan(&plan.id)?;
        self.commit(&mut writer, vec![put(plan)?])
    }

    /// One plan.
    pub fn plan(&self, id: &str) -> Result<PlanRecord, StoreError> {
        let found = self.read(&joined(&[PLAN, id]))?;
        found.ok_or_else(|| StoreError::NotFound(format!("the plan {id:?}")))
    }

    /// Plans by id, after the one named.
    pub fn plans(&self, after: Option<&str>, limit: usize) -> Result<Page<PlanRecord>, StoreError> {
        self.page(&joined(&[PLAN, ""]), after, limit, |_| true)
    }

    /// Every plan.
    pub fn all_plans(&self) -> Result<Vec<PlanRecord>, StoreError> {
        self.all_of(&joined(&[PLAN, ""]))
    }

    /// Removes a plan that no organization is on.
    pub fn delete_plan(&self, id: &str) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let plan = self.plan(id)?;
        let on_it = |org: &&Organization| org.plan.as_deref() == Some(id);
        if let Some(org) = self.all_orgs()?.iter().find(on_it) {
            return Err(StoreError::InUse(format!("the organization {:?} is on it", org.id)));
        }
        self.commit(&mut writer, vec![delete(&plan)])
    }
}
