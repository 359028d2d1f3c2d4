//! The records an operator manages, as the rest of the host sees them. How they look on disk is
//! the business of `rows.rs`. A key's record holds a keyed hash of the key, never the key.

use serde::{Deserialize, Serialize};
use turnpike_ledger::PicoUsd;

use super::routing::RuleRecord;
use super::signing::{PluginSignature, Signing};

pub use crate::hook::{Hook, InstanceLife, Mode, OnFailure, Scope};

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
    /// What it asks of its policies' signatures.
    pub signing: Signing,
    /// What its policies may import beside the request and their log, by the interfaces' names.
    pub policy_imports: Vec<String>,
    /// The hosts that its policies may ask, where they may import `fetch`.
    pub fetch_hosts: Vec<String>,
    /// What its policies may take, where that is not what the installation allows everybody.
    pub policy_limits: PolicyLimitsRecord,
    /// In which its days, weeks and months begin: an IANA name; none is UTC.
    pub time_zone: Option<String>,
    /// The plan that it is on, by its id.
    pub plan: Option<String>,
    /// What it asks of routing; oldest first.
    pub routing: Vec<RuleRecord>,
    /// Its own names for models, sorted.
    pub aliases: Vec<AliasRecord>,
}

/// Limits of one organization's policies; none where the installation's own hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyLimitsRecord {
    /// Milliseconds of processor time of one call, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u32>,
    /// Bytes of memory of an instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<usize>,
    /// Instances alive at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// Lines that an instance may write to its log for a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_lines: Option<u32>,
    /// Bytes that a plugin may keep in its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_bytes: Option<usize>,
    /// Components that are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<usize>,
}

/// A name that stands for a model or a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasRecord {
    /// In lower case.
    pub name: String,
    /// As a caller would ask for it.
    pub model: String,
}

/// How long a budget's counter runs before it starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetPeriod {
    /// From each full hour.
    Hour,
    /// From midnight in the organization's time zone.
    Day,
    /// From Monday, midnight.
    Week,
    /// From the first of the month, midnight.
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

/// What a budget does when it is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetMode {
    /// Requests are refused.
    #[default]
    Hard,
    /// It only counts, and raises alerts.
    Alert,
}

/// Percentages of a budget at which an alert is raised, rising; unused places are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Thresholds([u16; Thresholds::MAX]);

impl Thresholds {
    /// How many a budget may have.
    pub const MAX: usize = 8;
    /// The highest percentage, for a budget that only counts.
    pub const PERCENT_MAX: u16 = 1_000;

    /// These percentages in rising order, each once; none where there are too many or one is out
    /// of 1 to 1000.
    pub fn of(percentages: &[u16]) -> Option<Self> {
        let mut sorted = percentages.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let valid = |percent: &u16| (1..=Self::PERCENT_MAX).contains(percent);
        if sorted.len() > Self::MAX || !sorted.iter().all(valid) {
            return None;
        }
        let mut places = [0; Self::MAX];
        for (place, percent) in places.iter_mut().zip(sorted) {
            *place = percent;
        }
        Some(Self(places))
    }

    /// The percentages.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.into_iter().filter(|percent| *percent > 0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// A key's spending limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetRecord {
    /// At most this much per period.
    pub amount: PicoUsd,
    /// The period.
    pub period: BudgetPeriod,
    /// Whether it refuses.
    pub mode: BudgetMode,
    /// When it raises alerts.
    pub alerts: Thresholds,
}

/// How much may be asked at a time; none is without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// Requests within a minute.
    pub rpm: Option<u32>,
    /// Tokens within a minute, of prompts and answers together.
    pub tpm: Option<u32>,
    /// Requests at the same time.
    pub concurrency: Option<u32>,
}

impl RateLimits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A secret that a key had before it was rotated, by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerSecret {
    /// HMAC-SHA256 of it under the installation's pepper.
    pub hash: [u8; 32],
    /// Its first characters.
    pub prefix: String,
    /// Milliseconds since the Unix epoch from which it no longer works.
    pub until_ms: u64,
}

impl FormerSecret {
    /// Of one that was ended by a decision and not by the end of a grace: a time before every
    /// other, so that no clock that is put back makes it work again.
    const ENDED: u64 = 0;
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
    /// The secrets that this one took the place of, the latest first.
    pub former: Vec<FormerSecret>,
    /// When it got its present secret, in milliseconds since the Unix epoch; none if it has its
    /// first.
    pub rotated_at_ms: Option<u64>,
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
    /// How fast it may ask.
    pub limits: RateLimits,
    /// Switched off by an operator.
    pub disabled: bool,
    /// Milliseconds since the Unix epoch from which it no longer works.
    pub expires_at_ms: Option<u64>,
    /// Milliseconds since the Unix epoch.
    pub created_at_ms: u64,
}

impl ApiKey {
    /// Former secrets that are kept of a key, so that whoever still sends one is told why it does
    /// not work any more. Only the latest may still work.
    pub const FORMER_MAX: usize = 4;

    /// Puts a new secret in place of the present one, which goes on to work for a grace. The one
    /// before that ends now, as does this one without a grace.
    pub fn rotate(&mut self, hash: [u8; 32], prefix: String, now_ms: u64, grace_ms: u64) {
        self.end_former();
        let until_ms = match grace_ms {
            0 => FormerSecret::ENDED,
            grace_ms => now_ms.saturating_add(grace_ms),
        };
        let hash = std::mem::replace(&mut self.hash, hash);
        let prefix = std::mem::replace(&mut self.prefix, prefix);
        self.former.insert(0, FormerSecret { hash, prefix, until_ms });
        self.former.truncate(Self::FORMER_MAX);
        self.rotated_at_ms = Some(now_ms);
    }

    /// No former secret works from now on.
    pub fn end_former(&mut self) {
        for former in &mut self.former {
            former.until_ms = FormerSecret::ENDED;
        }
    }

    /// The former secret that still works, if there is one.
    pub fn still_working(&self, now_ms: u64) -> Option<&FormerSecret> {
        self.former.iter().find(|former| former.until_ms > now_ms)
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
    /// What admission measured; none for an upload of before it did.
    pub figures: Option<PluginFigures>,
    /// Who uploaded it; none for an upload of before that was kept.
    pub uploaded_by: Option<String>,
    /// Where it was pulled from; none if it was sent.
    pub source: Option<String>,
    /// The signature that came with it, verified.
    pub signature: Option<PluginSignature>,
    /// Milliseconds since the Unix epoch.
    pub uploaded_at_ms: u64,
}

/// What a policy cost when it was admitted, in microseconds on an idle processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PluginFigures {
    /// To start an instance.
    pub start_us: u32,
    /// To start an instance and make a decision, the middle of a few.
    pub fresh_us: u32,
    /// To make another decision in it, the middle of a few.
    pub warm_us: u32,
    /// Bytes of memory of the instance after that.
    pub memory_bytes: u64,
}

/// A policy and its configuration, as part of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRecord {
    /// The policy's name.
    pub plugin: String,
    /// The policy's version.
    pub version: String,
    /// The policy's digest.
    pub digest: String,
    /// Configuration handed to the policy: JSON text.
    pub config: Option<String>,
}

/// Which policy takes one decision of an organization: one revision. There is at most one for each
/// decision, scope and mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingRecord {
    /// The organization.
    pub org: String,
    /// The decision.
    pub hook: Hook,
    /// For which requests.
    pub scope: Scope,
    /// How it takes part.
    pub mode: Mode,
    /// The share of sessions that a canary decides for, of calls that a shadow is asked; 100 for an
    /// active one.
    pub percent: u8,
    /// The policy.
    pub first: LinkRecord,
    /// Further policies of a chain, for redact, in order.
    pub then: Vec<LinkRecord>,
    /// How long their instances live, where the owner says so; else as the host sees fit.
    pub instances: Option<InstanceLife>,
    /// What happens when one fails.
    pub on_failure: OnFailure,
    /// How long one call may take.
    pub deadline_ms: u32,
    /// Grows with every change of any binding; a request names the revision that decided.
    pub revision: u64,
    /// The earlier revision that this one brought back.
    pub restores: Option<u64>,
    /// Milliseconds since the Unix epoch.
    pub bound_at_ms: u64,
}

impl BindingRecord {
    /// The policies, in order.
    pub fn links(&self) -> impl Iterator<Item = &LinkRecord> {
        std::iter::once(&self.first).chain(&self.then)
    }
}
