//! Rules of an organization as they are kept: the rule's own JSON text, which this room does not
//! read, with its id and its revision.

use serde::{Deserialize, Serialize};

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// A time-ordered UUID as text.
    pub id: String,
    /// Grows with every change of any rule of the organization.
    pub revision: u64,
    /// The rule: JSON text.
    pub rule: String,
    /// Who wrote it last.
    pub changed_by: String,
    /// Milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// Milliseconds since the Unix epoch.
    pub changed_at_ms: u64,
}
