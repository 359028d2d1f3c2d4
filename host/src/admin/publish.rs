//! From the store to what the data plane reads: the directory of keys, and the ledger's budgets.
//! The bindings' way is the integrator's, through `BindingsChanged`.

use std::sync::Arc;

use turnpike_ledger::{Ledger, LedgerError};

use super::AdminParts;
use super::error::ApiError;
use crate::auth::{BudgetRef, Caller, Clearance, Directory, ModelRules, Pepper, Period};
use crate::store::{ApiKey, BudgetPeriod, Store, StoreError};

/// The directory of all keys in the store.
pub fn directory_of(store: &Store, pepper: Pepper) -> Result<Directory, StoreError> {
    let keys = store.all_keys()?;
    Ok(Directory::new(pepper, keys.iter().map(|key| (key.hash, caller_of(key)))))
}

/// Makes sure that the ledger knows every key's budget, which it refuses to reserve against
/// otherwise. For the start of the gateway; what the ledger knows already costs nothing.
pub fn ensure_budgets(store: &Store, ledger: &Ledger, at_ms: u64) -> Result<(), ApiError> {
    for key in store.all_keys()? {
        set_budget(ledger, &key, at_ms)?;
    }
    Ok(())
}

/// Brings the keys to the data plane: the next request sees them.
pub(super) fn publish_keys(parts: &AdminParts) -> Result<(), ApiError> {
    let pepper = parts.directory.load().pepper().clone();
    let directory = directory_of(&parts.store, pepper)?;
    parts.directory.store(Arc::new(directory));
    Ok(())
}

/// Sets a key's budget in the ledger, durably.
pub(super) fn set_budget(ledger: &Ledger, key: &ApiKey, at_ms: u64) -> Result<(), LedgerError> {
    let Some(budget) = key.budget else { return Ok(()) };
    let known = budget_ref(&key.id, budget.period);
    let period = match budget.period {
        BudgetPeriod::Hour => turnpike_ledger::Period::Hour,
        BudgetPeriod::Day => turnpike_ledger::Period::Day,
        BudgetPeriod::Week => turnpike_ledger::Period::Week,
        BudgetPeriod::Month => turnpike_ledger::Period::Month,
        BudgetPeriod::Total => turnpike_ledger::Period::Total,
    };
    let posted = ledger.set_budget(&known.id, Some(budget.amount), period, at_ms)?;
    ledger.wait_durable(posted.seq())
}

/// The ledger's budget of a key.
pub(super) fn budget_ref(key_id: &str, period: BudgetPeriod) -> BudgetRef {
    let period = match period {
        BudgetPeriod::Hour => Period::Hour,
        BudgetPeriod::Day => Period::Day,
        BudgetPeriod::Week => Period::Week,
        BudgetPeriod::Month => Period::Month,
        BudgetPeriod::Total => Period::Total,
    };
    BudgetRef::of_key(key_id, period)
}

fn caller_of(key: &ApiKey) -> Caller {
    let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
    // Both were checked when the key was stored. Should a row have been changed by hand into
    // something that can't be read, the key is switched off rather than widened.
    let models = ModelRules::parse(&key.models).ok();
    let clearance = Clearance::from_label(&key.clearance);
    let readable = models.is_some() && clearance.is_some();
    Caller {
        org: key.org.as_str().into(),
        key_id: key.id.as_str().into(),
        name: key.name.as_str().into(),
        team: shared(&key.team),
        project: shared(&key.project),
        user: shared(&key.user),
        models: models.unwrap_or_default(),
        clearance: clearance.unwrap_or(Clearance::Public),
        budget: key.budget.map(|budget| budget_ref(&key.id, budget.period)),
        disabled: key.disabled || !readable,
        expires_at_ms: key.expires_at_ms,
    }
}
