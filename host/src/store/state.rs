//! The narrow contract every storage engine fulfils: small values under byte keys in a handful of
//! named tables, with an atomic batch over all of them. Knows nothing of what the rows mean.

use super::StoreError;

/// The named tables. At most twelve, because sled's space use grows with the number of trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Small facts about the store itself: versions, counters.
    Meta,
    /// Organizations by id.
    Organizations,
    /// API keys by organization and id.
    Keys,
    /// Plugin records by organization, name and version.
    Plugins,
    /// Bindings by organization and hook, and scope and mode where they are not the usual ones.
    Bindings,
    /// The latest revisions of bindings, by organization, hook, scope, mode and revision.
    BindingHistory,
    /// Who changed what, by number.
    Audit,
    /// Budgets, rate limits, webhooks and alerts by kind and organization; plans.
    Spending,
    /// The ledger's accounts.
    LedgerAccounts,
    /// The ledger's budget settings and counters.
    LedgerBudgets,
    /// The ledger's open holds.
    LedgerHolds,
    /// The ledger's top-ups and adjustments.
    LedgerPosted,
    /// The journal position that the ledger's views reflect.
    LedgerMeta,
}

impl Table {
    /// All of them, in a fixed order.
    pub const ALL: [Self; 13] = [
        Self::Meta,
        Self::Organizations,
        Self::Keys,
        Self::Plugins,
        Self::Bindings,
        Self::BindingHistory,
        Self::Audit,
        Self::Spending,
        Self::LedgerAccounts,
        Self::LedgerBudgets,
        Self::LedgerHolds,
        Self::LedgerPosted,
        Self::LedgerMeta,
    ];

    /// The tables of the ledger's view.
    pub const LEDGER: [Self; 5] = [
        Self::LedgerAccounts,
        Self::LedgerBudgets,
        Self::LedgerHolds,
        Self::LedgerPosted,
        Self::LedgerMeta,
    ];

    /// The tables that hold what an operator changed; they are kept in the changes file as well.
    pub const ADMINISTRATIVE: [Self; 8] = [
        Self::Meta,
        Self::Organizations,
        Self::Keys,
        Self::Plugins,
        Self::Bindings,
        Self::BindingHistory,
        Self::Audit,
        Self::Spending,
    ];

    /// The name on disk. Never changes.
    pub fn label(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Organizations => "organizations",
            Self::Keys => "keys",
            Self::Plugins => "plugins",
            Self::Bindings => "bindings",
            Self::BindingHistory => "binding-history",
            Self::Audit => "audit",
            Self::Spending => "spending",
            Self::LedgerAccounts => "ledger-accounts",
            Self::LedgerBudgets => "ledger-budgets",
            Self::LedgerHolds => "ledger-holds",
            Self::LedgerPosted => "ledger-posted",
            Self::LedgerMeta => "ledger-meta",
        }
    }

    /// The table of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.label() == label)
    }
}

/// The largest value of a row: sled moves big values into files of their own, which its log does
/// not protect.
pub const VALUE_BYTES_MAX: usize = 256 * 1024;

/// One row: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// One step of an atomic batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which table.
    pub table: Table,
    /// The row's key.
    pub key: Vec<u8>,
    /// The new value; none deletes the row.
    pub value: Option<Vec<u8>>,
}

impl Change {
    /// Sets a row.
    pub fn put(table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { table, key: key.into(), value: Some(value.into()) }
    }

    /// Removes a row; a row that isn't there is no error.
    pub fn delete(table: Table, key: impl Into<Vec<u8>>) -> Self {
        Self { table, key: key.into(), value: None }
    }
}

/// A storage engine. Every implementation passes the same contract tests.
pub trait State: Send + Sync + std::fmt::Debug {
    /// The value under a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` rows whose key starts with `prefix` and is greater than `after`, in key order.
    fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// Applies all changes or none, in order. Survives a crash of the process once it returned; a
    /// power loss only after `sync`.
    fn apply(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// Brings everything applied so far onto the disk.
    fn sync(&self) -> Result<(), StoreError>;

    /// Sets one row.
    fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.apply(&[Change::put(table, key, value)])
    }

    /// Removes one row.
    fn delete(&self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.apply(&[Change::delete(table, key)])
    }
}

/// Refuses a batch with a row that is too large, before anything of it is written.
pub(super) fn check_sizes(changes: &[Change]) -> Result<(), StoreError> {
    for change in changes {
        let bytes = change.value.as_ref().map_or(0, Vec::len);
        if bytes > VALUE_BYTES_MAX {
            return Err(StoreError::TooLarge { bytes, limit: VALUE_BYTES_MAX });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
