//! What an organization sets about its spending: budgets of its scopes, rate limits, where alerts
//! are sent, the alerts that were raised, and the installation's plans. One table has them all,
//! told apart by the first part of the key.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use turnpike_ledger::PicoUsd;

use super::records::{BudgetMode, BudgetPeriod, RateLimits, Thresholds};
use super::rows::{ROW_VERSION, Record, joined, readable};
use super::state::Table;

/// Whose spending: what a budget or a limit is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpendScope {
    /// All of an organization's.
    Organization,
    /// That of keys with this team.
    Team(String),
    /// That of keys with this project.
    Project(String),
    /// That of keys with this user.
    User(String),
    /// That of one key, by its id.
    Key(String),
    /// That of requests with this tag, by name and value.
    Tag(String, String),
    /// That of answers by models whose catalogue id fits this pattern.
    Model(String),
}

// === impl SpendScope ===

impl SpendScope {
    /// As the API writes it: `organization`, `team:research`, `tag:job=nightly` …
    pub fn label(&self) -> String {
        match self {
            Self::Organization => "organization".to_owned(),
            Self::Team(name) => format!("team:{name}"),
            Self::Project(name) => format!("project:{name}"),
            Self::User(name) => format!("user:{name}"),
            Self::Key(id) => format!("key:{id}"),
            Self::Tag(name, value) => format!("tag:{name}={value}"),
            Self::Model(pattern) => format!("model:{pattern}"),
        }
    }

    /// The scope that is written so; none where nothing is.
    pub fn from_label(label: &str) -> Option<Self> {
        if matches!(label, "organization" | "org") {
            return Some(Self::Organization);
        }
        let (kind, name) = label.split_once(':')?;
        let name = Some(name.trim()).filter(|name| !name.is_empty())?.to_owned();
        match kind {
            "team" => Some(Self::Team(name)),
            "project" => Some(Self::Project(name)),
            "user" => Some(Self::User(name)),
            "key" => Some(Self::Key(name)),
            "tag" => {
                let (name, value) = name.split_once('=')?;
                (!name.is_empty()).then(|| Self::Tag(name.to_owned(), value.to_owned()))
            }
            "model" => Some(Self::Model(name)),
            _ => None,
        }
    }
}

impl fmt::Display for SpendScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())
    }
}

impl Serialize for SpendScope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpendScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = String::deserialize(deserializer)?;
        Self::from_label(&label).ok_or_else(|| serde::de::Error::custom("unknown scope"))
    }
}

/// A budget of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeBudget {
    pub v: u32,
    /// A time-ordered UUID as text.
    pub id: String,
    /// The organization.
    pub org: String,
    /// Whose spending it counts.
    pub scope: SpendScope,
    /// At most this much per period.
    pub amount_usd: PicoUsd,
    /// How long its counter runs.
    pub period: BudgetPeriod,
    /// Whether it refuses.
    pub mode: BudgetMode,
    /// Percentages at which an alert is raised.
    pub alerts: Thresholds,
    /// Milliseconds since the Unix epoch.
    pub created_at_ms: u64,
}

/// The rate limits of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeLimits {
    pub v: u32,
    /// The organization.
    pub org: String,
    /// Whose requests they count.
    pub scope: SpendScope,
    /// How many.
    pub limits: RateLimits,
}

/// Where an organization's alerts are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    pub v: u32,
    /// The organization.
    pub org: String,
    /// `https://…`.
    pub url: String,
    /// The secret that signs, sealed under the installation's pepper.
    pub sealed_secret: String,
    /// Milliseconds since the Unix epoch.
    pub changed_at_ms: u64,
}

/// How far the delivery of an alert has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Delivery {
    /// There was nowhere to send it.
    None,
    /// It is to be sent at this time, in milliseconds since the Unix epoch.
    Pending { attempts: u32, next_at_ms: u64, last_error: Option<String> },
    /// It was taken.
    Delivered { attempts: u32, at_ms: u64 },
    /// It was given up.
    Failed { attempts: u32, last_error: String },
}

/// Something that an organization should know about its spending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRecord {
    pub v: u32,
    /// Names it for good: the same event has the same id, also after a restart.
    pub id: String,
    /// The organization.
    pub org: String,
    /// `budget.threshold`, `budget.exhausted` or `spend.anomaly`.
    pub kind: String,
    /// Whose spending.
    pub scope: String,
    /// When it was noticed, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The budget it is about.
    pub budget: Option<String>,
    /// The percentage that was reached.
    pub threshold: Option<u16>,
    /// The budget's amount, or what would have been usual.
    pub limit_usd: PicoUsd,
    /// What was spent.
    pub spent_usd: PicoUsd,
    /// Of a budget that is exhausted, what the request needed that it refused: the least that would
    /// have done. None in records from before this was kept.
    #[serde(default)]
    pub needed_usd: Option<PicoUsd>,
    /// The window, in milliseconds since the Unix epoch; no end for a total budget.
    pub window_start_ms: u64,
    pub window_end_ms: Option<u64>,
    /// How far its delivery has come.
    pub delivery: Delivery,
}

const BUDGET: &str = "budget";
const LIMITS: &str = "limits";
const WEBHOOK: &str = "webhook";
const ALERT: &str = "alert";

/// The kinds of rows that go with their organization, each with its prefix. Its newest alerts stay:
/// like its usage and its money, they are what happened.
pub(super) fn prefixes_of(org: &str) -> [String; 3] {
    [BUDGET, LIMITS, WEBHOOK].map(|kind| joined(&[kind, org, ""]))
}

pub(super) fn budgets_of(org: Option<&str>) -> String {
    org.map_or_else(|| joined(&[BUDGET, ""]), |org| joined(&[BUDGET, org, ""]))
}

pub(super) fn limits_of(org: Option<&str>) -> String {
    org.map_or_else(|| joined(&[LIMITS, ""]), |org| joined(&[LIMITS, org, ""]))
}

pub(super) fn webhook_of(org: &str) -> String {
    joined(&[WEBHOOK, org, ""])
}

pub(super) fn alerts_of(org: &str) -> String {
    joined(&[ALERT, org, ""])
}

/// Writes the four parts of [`Record`] that are alike for records that are their own rows.
macro_rules! row_of_itself {
    ($record:ty, |$it:ident| $key:expr) => {
        impl Record for $record {
            const TABLE: Table = Table::Spending;
            type Row = Self;

            fn key(&self) -> String {
                let $it = self;
                $key
            }

            fn to_row(&self) -> Result<Self, String> {
                Ok(Self { v: ROW_VERSION, ..self.clone() })
            }

            fn from_row(row: Self) -> Result<Self, String> {
                readable(row.v)?;
                Ok(row)
            }
        }
    };
}
pub(super) use row_of_itself;

row_of_itself!(ScopeBudget, |it| joined(&[BUDGET, &it.org, &it.id]));
row_of_itself!(ScopeLimits, |it| joined(&[LIMITS, &it.org, &it.scope.label()]));
row_of_itself!(Webhook, |it| webhook_of(&it.org));
// By time, so that a page is of one age; the id behind it keeps two apart.
row_of_itself!(AlertRecord, |it| joined(&[ALERT, &it.org, &it.place()]));

impl AlertRecord {
    /// Its place among the organization's alerts, by age.
    pub fn place(&self) -> String {
        format!("{:015}-{}", self.at_ms, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::SpendScope;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for label in [
            "organization",
            "team:research",
            "project:x",
            "user:ada@example.com",
            "key:01a2",
            "tag:job=nightly",
            "model:openai/*",
        ] {
            assert_eq!(SpendScope::from_label(label).unwrap().label(), label);
        }
        for label in ["", "team", "team:", "squad:x", "tag:job", "tag:=x"] {
            assert_eq!(SpendScope::from_label(label), None, "{label}");
        }
    }
}
