//! The view: the ledger's state as rows that the host can keep in any store. The journal stays the
//! truth; a view only makes the start fast, and may be dropped at any time. Never written here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::entry::{BudgetWindow, Entry, Period, TransferId};
use crate::money::PicoUsd;

/// Rows of state after the entry `applied_seq`. As an argument of [`crate::Ledger::open`] it is
/// the whole state; in a [`ViewDelta`] it is the rows that changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewSnapshot {
    /// The last entry that is in these rows.
    pub applied_seq: u64,
    /// The chained hash of that entry's frame: proves that the view is of this journal.
    pub applied_hash: [u8; 16],
    /// The platform's own accounts.
    pub platform: PlatformRow,
    /// Key: organization.
    pub orgs: Vec<OrgRow>,
    /// Key: channel.
    pub channels: Vec<ChannelRow>,
    /// Key: budget.
    pub budgets: Vec<BudgetRow>,
    /// Key: budget and window. Rows below the budget's `closed_below` are ignored and may be
    /// dropped; their last change may be missing.
    pub counters: Vec<CounterRow>,
    /// Key: id.
    pub holds: Vec<HoldRow>,
    /// Top-ups and adjustments; key: the event's id. Kept for ever.
    pub posted: Vec<PostedRow>,
}

/// What a durable batch changed. To be written in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViewDelta {
    /// Whether these rows replace the whole view: drop every row that is not among them.
    pub full: bool,
    /// The rows that are new or changed, and the new `applied_seq` and `applied_hash`.
    pub changed: ViewSnapshot,
    /// Holds that have ended: drop their rows.
    pub ended_holds: Vec<TransferId>,
}

/// Keeps the view. Called on the journal's writer thread, so a slow view delays durability.
pub trait ViewSink: Send {
    /// Stores a delta, all or nothing. After an error the same changes come again, merged with
    /// later ones, so a view never skips any.
    ///
    /// # Errors
    /// Any; the text is kept for [`crate::Health`].
    fn store(&mut self, delta: &ViewDelta) -> Result<(), String>;
}

/// An organization's accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgRow {
    /// The organization.
    pub org: Arc<str>,
    /// Free to spend.
    pub credit: PicoUsd,
    /// Set aside.
    pub held: PicoUsd,
    /// All captures so far.
    pub spent: PicoUsd,
}

/// Money that came in through one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRow {
    /// The channel.
    pub channel: Arc<str>,
    /// All top-ups so far.
    pub topped_up: PicoUsd,
}

/// The platform's accounts as running totals. `revenue` = earned − absorbed,
/// `adjustment` = adjusted down − adjusted up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformRow {
    /// All captures.
    pub earned: PicoUsd,
    /// All absorbed amounts.
    pub absorbed: PicoUsd,
    /// Corrections to the organizations' credit.
    pub adjusted_up: PicoUsd,
    /// Corrections from the organizations' credit.
    pub adjusted_down: PicoUsd,
}

/// A budget's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// The budget.
    pub budget: Arc<str>,
    /// The most per window; `None` counts without a limit.
    pub limit: Option<PicoUsd>,
    /// How often it starts again.
    pub period: Period,
    /// Windows below this take no more holds.
    pub closed_below: u64,
}

/// A budget's counter in one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterRow {
    /// The budget.
    pub budget: Arc<str>,
    /// The window.
    pub window: u64,
    /// Captured in this window.
    pub spent: PicoUsd,
    /// Set aside in this window.
    pub held: PicoUsd,
}

/// An open hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRow {
    /// The hold.
    pub id: TransferId,
    /// Whose credit.
    pub org: Arc<str>,
    /// What was reserved at first.
    pub reserved: PicoUsd,
    /// What is held now.
    pub amount: PicoUsd,
    /// When it was reserved.
    pub at_ms: u64,
    /// When it may be expired.
    pub expires_at_ms: u64,
    /// The budgets it counts on.
    pub budgets: Arc<[BudgetWindow]>,
    /// Its entry in the journal.
    pub seq: u64,
}

/// A top-up or an adjustment: its journal entry.
pub type PostedRow = Entry;
