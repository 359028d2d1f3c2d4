//! The typed operations on what an organization sets about its spending. Knows no HTTP and no
//! ledger.

use super::records::Organization;
use super::registry::{Page, delete, put};
use super::rows::joined;
use super::spending::{
    AlertRecord, ScopeBudget, ScopeLimits, SpendScope, Webhook, alerts_of, budgets_of, limits_of,
    webhook_of,
};
use super::state::{Change, Table};
use super::{Store, StoreError};

/// Alerts kept of one organization: the oldest go. Some weeks of many budgets.
pub const ALERTS_KEPT: usize = 1_000;

/// The same of one that is deleted: what was last told of it. An installation may make and delete
/// thousands of them.
pub(super) const ALERTS_KEPT_OF_DELETED: usize = 50;

// === impl Store: budgets ===

impl Store {
    /// Adds or replaces a budget.
    pub fn put_budget(&self, budget: &ScopeBudget) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        self.org(&budget.org)?;
        self.commit(&mut writer, vec![put(budget)?])
    }

    /// One budget of an organization.
    pub fn budget(&self, org: &str, id: &str) -> Result<ScopeBudget, StoreError> {
        let found = self.read(&format!("{}{id}", budgets_of(Some(org))))?;
        found.ok_or_else(|| StoreError::NotFound(format!("the budget {id:?} of {org:?}")))
    }

    /// An organization's budgets, by age, after the one named.
    pub fn budgets(
        &self,
        org: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ScopeBudget>, StoreError> {
        self.page(&budgets_of(Some(org)), after, limit, |_| true)
    }

    /// Every budget of an organization, or of all.
    pub fn all_budgets(&self, org: Option<&str>) -> Result<Vec<ScopeBudget>, StoreError> {
        self.all_of(&budgets_of(org))
    }

    /// Removes a budget.
    pub fn delete_budget(&self, org: &str, id: &str) -> Result<ScopeBudget, StoreError> {
        let mut writer = self.writer.lock();
        let budget = self.budget(org, id)?;
        self.commit(&mut writer, vec![delete(&budget)])?;
        Ok(budget)
    }
}

// === impl Store: rate limits ===

impl Store {
    /// Sets the rate limits of a scope.
    pub fn put_limits(&self, limits: &ScopeLimits) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        self.org(&limits.org)?;
        self.commit(&mut writer, vec![put(limits)?])
    }

    /// The rate limits of a scope.
    pub fn limits(&self, org: &str, scope: &SpendScope) -> Result<ScopeLimits, StoreError> {
        let found = self.read(&format!("{}{scope}", limits_of(Some(org))))?;
        found.ok_or_else(|| StoreError::NotFound(format!("limits of {scope} in {org:?}")))
    }

    /// All rate limits of an organization, or of all.
    pub fn all_limits(&self, org: Option<&str>) -> Result<Vec<ScopeLimits>, StoreError> {
        self.all_of(&limits_of(org))
    }

    /// Removes the rate limits of a scope.
    pub fn delete_limits(&self, org: &str, scope: &SpendScope) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let limits = self.limits(org, scope)?;
        self.commit(&mut writer, vec![delete(&limits)])
    }
}

// === impl Store: alerts ===

impl Store {
    /// Sets where an organization's alerts are sent.
    pub fn put_webhook(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        self.org(&webhook.org)?;
        self.commit(&mut writer, vec![put(webhook)?])
    }

    /// Where an organization's alerts are sent, if anywhere.
    pub fn webhook(&self, org: &str) -> Result<Option<Webhook>, StoreError> {
        self.read(&webhook_of(org))
    }

    /// Sends an organization's alerts nowhere any more.
    pub fn delete_webhook(&self, org: &str) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        match self.webhook(org)? {
            Some(webhook) => self.commit(&mut writer, vec![delete(&webhook)]),
            None => Err(StoreError::NotFound(format!("a webhook of {org:?}"))),
        }
    }

    /// Adds alerts, or replaces those that are there; the oldest beyond [`ALERTS_KEPT`] of an
    /// organization go. Those of organizations that are gone are left out.
    pub fn put_alerts(&self, alerts: &[AlertRecord]) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let mut changes = Vec::with_capacity(alerts.len());
        let mut orgs: Vec<&str> = Vec::new();
        for alert in alerts {
            let known = self.read::<Organization>(&alert.org)?;
            if known.is_some_and(|org| org.deleted_at_ms.is_none()) {
                changes.push(put(alert)?);
                orgs.push(&alert.org);
            }
        }
        orgs.sort_unstable();
        orgs.dedup();
        for org in orgs {
            let prefix = alerts_of(org);
            let rows = self.state.scan(Table::Spending, prefix.as_bytes(), None, usize::MAX)?;
            let excess = rows.len().saturating_sub(ALERTS_KEPT);
            let gone = rows.into_iter().take(excess);
            changes.extend(gone.map(|(key, _)| Change::delete(Table::Spending, key)));
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.commit(&mut writer, changes)
    }

    /// The alerts of an organization, the oldest first.
    pub fn all_alerts(&self, org: &str) -> Result<Vec<AlertRecord>, StoreError> {
        self.all_of(&alerts_of(org))
    }

    /// Those of every organization that is not deleted, in any order: of the others nothing is
    /// raised or sent any more.
    pub fn living_alerts(&self) -> Result<Vec<AlertRecord>, StoreError> {
        let mut alerts = Vec::new();
        for org in self.all_orgs()? {
            alerts.extend(self.all_alerts(&org.id)?);
        }
        Ok(alerts)
    }

    /// One alert by its place among the organization's.
    pub fn alert(&self, org: &str, place: &str) -> Result<Option<AlertRecord>, StoreError> {
        self.read(&joined(&["alert", org, place]))
    }
}
