//! The records an operator manages, as the rest of the host sees them. How they look on disk is
//! the business of `rows.rs`. A key's record holds a keyed hash of the key, never the key.

use turnpike_ledger::PicoUsd;

/// An organization: the owner of credit, keys, plugins and bindings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Lower-case identifier; never reused, because the ledger's accounts are named after it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// When it was deleted; its money stays in the ledger, and its id stays taken.
    pub deleted_at_ms: Option<u64>,
}

/// How long a budget's counter runs before it starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetPeriod {
    /// From each full hour.
    Hour,
    /// From midnight UTC.
    Day,
    /// From Monday, midnight UTC.
    Week,
    /// From the first of the month, midnight UTC.
    Month,
    /// Never starts again.
    Total,
}

impl BudgetPeriod {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Total];

    /// The name in the API and on disk.
    pub fn label(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The period of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.label() == label)
    }
}

/// A hard spending limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetRecord {
    /// At most this much per period.
    pub amount: PicoUsd,
    /// The period.
    pub period: BudgetPeriod,
}

/// An API key's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// A time-ordered UUID as text.
    pub id: String,
    /// The organization it belongs to.
    pub org: String,
    /// HMAC-SHA256 of the key under the installation's pepper.
    pub hash: [u8; 32],
    /// The key's first characters, for recognising it in a list.
    pub prefix: String,
    /// What people call it.
    pub name: String,
    /// The team its cost is attributed to.
    pub team: Option<String>,
    /// The project its cost is attributed to.
    pub project: Option<String>,
    /// The user its cost is attributed to.
    pub user: Option<String>,
    /// Which models it may use: patterns, a leading `!` excludes. Empty allows all.
    pub models: Vec<String>,
    /// The highest class of data it may send: public, internal, confidential or restricted.
    pub clearance: String,
    /// Its spending limit.
    pub budget: Option<BudgetRecord>,
    /// Switched off by an operator.
    pub disabled: bool,
    /// Milliseconds since the Unix epoch from which it no longer works.
    pub expires_at_ms: Option<u64>,
    /// Milliseconds since the Unix epoch.
    pub created_at_ms: u64,
}

/// The decisions that a policy can take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// What kind of task a request is.
    Classify,
    /// Which of the candidates should do it.
    Route,
    /// What must not leave the building.
    Redact,
    /// What it costs.
    Bill,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Classify, Self::Route, Self::Redact, Self::Bill];

    /// The name in the API and on disk.
    pub fn label(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Route => "route",
            Self::Redact => "redact",
            Self::Bill => "bill",
        }
    }

    /// The hook of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.label() == label)
    }
}

/// What happens when a policy fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The built-in policy decides.
    Builtin,
    /// The request goes on as if there were no policy.
    Open,
    /// The request is refused.
    Closed,
}

impl OnFailure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Builtin, Self::Open, Self::Closed];

    /// The name in the API and on disk.
    pub fn label(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    /// The choice of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.label() == label)
    }
}

/// One check that an upload passed or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginCheck {
    /// What was checked.
    pub name: String,
    /// Whether it held.
    pub passed: bool,
    /// What was found.
    pub detail: String,
}

/// An uploaded policy. The bytes are a file named after the digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginRecord {
    /// The organization it belongs to.
    pub org: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the bytes, lower-case hex.
    pub digest: String,
    /// How many bytes.
    pub size_bytes: u64,
    /// The decisions it can take.
    pub interfaces: Vec<String>,
    /// What admission checked.
    pub checks: Vec<PluginCheck>,
    /// Milliseconds since the Unix epoch.
    pub uploaded_at_ms: u64,
}

/// Which policy takes one decision of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingRecord {
    /// The organization.
    pub org: String,
    /// The decision.
    pub hook: Hook,
    /// The policy's name.
    pub plugin: String,
    /// The policy's version.
    pub version: String,
    /// The policy's digest.
    pub digest: String,
    /// Configuration handed to the policy: JSON text.
    pub config: Option<String>,
    /// What happens when it fails.
    pub on_failure: OnFailure,
    /// How long one call may take.
    pub deadline_ms: u32,
    /// Grows with every change of any binding; a request names the revision that decided.
    pub revision: u64,
    /// Milliseconds since the Unix epoch.
    pub bound_at_ms: u64,
}
