//! How records look on disk: JSON with a version field, so that a later version can tell. Rows
//! never leave this room. A row that doesn't parse is an error that names it, never skipped.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use turnpike_ledger::PicoUsd;

use super::StoreError;
use super::records::{
    AliasRecord, ApiKey, BudgetMode, BudgetPeriod, BudgetRecord, FormerSecret, Organization,
    PluginCheck, PluginFigures, PluginRecord, PolicyLimitsRecord, RateLimits, Thresholds,
};
use super::routing::RuleRecord;
use super::signing::{PluginSignature, Signing};
use super::state::Table;

/// A record that has a place in a table.
pub(super) trait Record: Sized {
    /// Its table.
    const TABLE: Table;
    /// Its form on disk.
    type Row: Serialize + DeserializeOwned;
    /// Its key: parts joined by NUL, which no identifier contains.
    fn key(&self) -> String;
    /// To its form on disk.
    fn to_row(&self) -> Result<Self::Row, String>;
    /// From its form on disk; the error is what is wrong with it.
    fn from_row(row: Self::Row) -> Result<Self, String>;
}

/// The key made of these parts.
pub(super) fn joined(parts: &[&str]) -> String {
    parts.join("\0")
}

/// The prefix of all keys that belong to an organization.
pub(super) fn prefix_of(org: &str) -> String {
    format!("{org}\0")
}

/// A record as JSON bytes.
pub(super) fn encode<R: Record>(record: &R) -> Result<Vec<u8>, StoreError> {
    let failed = |cause: String| StoreError::io(format!("encoding {:?}", record.key()), cause);
    let row = record.to_row().map_err(failed)?;
    serde_json::to_vec(&row).map_err(|cause| failed(cause.to_string()))
}

/// A record from JSON bytes.
pub(super) fn decode<R: Record>(key: &[u8], value: &[u8]) -> Result<R, StoreError> {
    let unreadable = |cause: String| StoreError::Unreadable {
        table: R::TABLE.label(),
        key: String::from_utf8_lossy(key).replace('\0', "/"),
        cause,
    };
    let row = serde_json::from_slice(value).map_err(|cause| unreadable(cause.to_string()))?;
    R::from_row(row).map_err(unreadable)
}

/// The version that rows are written with.
pub(super) const ROW_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
pub(super) struct OrganizationRow {
    v: u32,
    id: String,
    name: String,
    created_at_ms: u64,
    #[serde(default)]
    deleted_at_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Signing::is_default")]
    signing: Signing,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    policy_imports: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fetch_hosts: Vec<String>,
    #[serde(default, skip_serializing_if = "is_usual")]
    policy_limits: PolicyLimitsRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    routing: Vec<RuleRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<AliasRecord>,
}

fn is_usual(limits: &PolicyLimitsRecord) -> bool {
    *limits == PolicyLimitsRecord::default()
}

impl Record for Organization {
    const TABLE: Table = Table::Organizations;
    type Row = OrganizationRow;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn to_row(&self) -> Result<OrganizationRow, String> {
        Ok(OrganizationRow {
            v: ROW_VERSION,
            id: self.id.clone(),
            name: self.name.clone(),
            created_at_ms: self.created_at_ms,
            deleted_at_ms: self.deleted_at_ms,
            signing: self.signing.clone(),
            policy_imports: self.policy_imports.clone(),
            fetch_hosts: self.fetch_hosts.clone(),
            policy_limits: self.policy_limits,
            time_zone: self.time_zone.clone(),
            plan: self.plan.clone(),
            routing: self.routing.clone(),
            aliases: self.aliases.clone(),
        })
    }

    fn from_row(row: OrganizationRow) -> Result<Self, String> {
        readable(row.v)?;
        Ok(Self {
            id: row.id,
            name: row.name,
            created_at_ms: row.created_at_ms,
            deleted_at_ms: row.deleted_at_ms,
            signing: row.signing,
            policy_imports: row.policy_imports,
            fetch_hosts: row.fetch_hosts,
            policy_limits: row.policy_limits,
            time_zone: row.time_zone,
            plan: row.plan,
            routing: row.routing,
            aliases: row.aliases,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct BudgetRow {
    amount_usd: PicoUsd,
    period: String,
    #[serde(default)]
    mode: BudgetMode,
    #[serde(default, skip_serializing_if = "Thresholds::is_empty")]
    alerts: Thresholds,
}

#[derive(Serialize, Deserialize)]
struct FormerRow {
    hash: String,
    prefix: String,
    until_ms: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeyRow {
    v: u32,
    id: String,
    org: String,
    hash: String,
    prefix: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<FormerRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotated_at_ms: Option<u64>,
    name: String,
    team: Option<String>,
    project: Option<String>,
    user: Option<String>,
    models: Vec<String>,
    clearance: String,
    budget: Option<BudgetRow>,
    #[serde(default, skip_serializing_if = "RateLimits::is_none")]
    limits: RateLimits,
    disabled: bool,
    expires_at_ms: Option<u64>,
    created_at_ms: u64,
}

const NO_HASH: &str = "the hash is not 64 hex digits";

impl FormerRow {
    fn of(former: &FormerSecret) -> Self {
        let FormerSecret { hash, prefix, until_ms } = former;
        Self { hash: to_hex(hash), prefix: prefix.clone(), until_ms: *until_ms }
    }

    fn read(self) -> Result<FormerSecret, String> {
        let hash = from_hex(&self.hash).ok_or(NO_HASH)?;
        Ok(FormerSecret { hash, prefix: self.prefix, until_ms: self.until_ms })
    }
}

impl Record for ApiKey {
    const TABLE: Table = Table::Keys;
    type Row = KeyRow;

    fn key(&self) -> String {
        joined(&[&self.org, &self.id])
    }

    fn to_row(&self) -> Result<KeyRow, String> {
        Ok(KeyRow {
            v: ROW_VERSION,
            id: self.id.clone(),
            org: self.org.clone(),
            hash: to_hex(&self.hash),
            prefix: self.prefix.clone(),
            former: self.former.iter().map(FormerRow::of).collect(),
            rotated_at_ms: self.rotated_at_ms,
            name: self.name.clone(),
            team: self.team.clone(),
            project: self.project.clone(),
            user: self.user.clone(),
            models: self.models.clone(),
            clearance: self.clearance.clone(),
            budget: self.budget.map(|budget| BudgetRow {
                amount_usd: budget.amount,
                period: budget.period.label().to_owned(),
                mode: budget.mode,
                alerts: budget.alerts,
            }),
            limits: self.limits,
            disabled: self.disabled,
            expires_at_ms: self.expires_at_ms,
            created_at_ms: self.created_at_ms,
        })
    }

    fn from_row(row: KeyRow) -> Result<Self, String> {
        readable(row.v)?;
        let budget = match row.budget {
            Some(budget) => Some(BudgetRecord {
                amount: budget.amount_usd,
                period: BudgetPeriod::from_label(&budget.period)
                    .ok_or_else(|| format!("unknown period {:?}", budget.period))?,
                mode: budget.mode,
                alerts: budget.alerts,
            }),
            None => None,
        };
        Ok(Self {
            id: row.id,
            org: row.org,
            hash: from_hex(&row.hash).ok_or(NO_HASH)?,
            prefix: row.prefix,
            former: row.former.into_iter().map(FormerRow::read).collect::<Result<_, _>>()?,
            rotated_at_ms: row.rotated_at_ms,
            name: row.name,
            team: row.team,
            project: row.project,
            user: row.user,
            models: row.models,
            clearance: row.clearance,
            budget,
            limits: row.limits,
            disabled: row.disabled,
            expires_at_ms: row.expires_at_ms,
            created_at_ms: row.created_at_ms,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct CheckRow {
    name: String,
    passed: bool,
    detail: String,
}

#[derive(Serialize, Deserialize)]
struct FiguresRow {
    start_us: u32,
    fresh_us: u32,
    warm_us: u32,
    memory_bytes: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PluginRow {
    v: u32,
    org: String,
    name: String,
    version: String,
    digest: String,
    size_bytes: u64,
    interfaces: Vec<String>,
    checks: Vec<CheckRow>,
    #[serde(default)]
    figures: Option<FiguresRow>,
    #[serde(default)]
    uploaded_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default)]
    signature: Option<PluginSignature>,
    uploaded_at_ms: u64,
}

impl Record for PluginRecord {
    const TABLE: Table = Table::Plugins;
    type Row = PluginRow;

    fn key(&self) -> String {
        joined(&[&self.org, &self.name, &self.version])
    }

    fn to_row(&self) -> Result<PluginRow, String> {
        let check = |check: &PluginCheck| CheckRow {
            name: check.name.clone(),
            passed: check.passed,
            detail: check.detail.clone(),
        };
        Ok(PluginRow {
            v: ROW_VERSION,
            org: self.org.clone(),
            name: self.name.clone(),
            version: self.version.clone(),
            digest: self.digest.clone(),
            size_bytes: self.size_bytes,
            interfaces: self.interfaces.clone(),
            checks: self.checks.iter().map(check).collect(),
            figures: self.figures.map(|it| FiguresRow {
                start_us: it.start_us,
                fresh_us: it.fresh_us,
                warm_us: it.warm_us,
                memory_bytes: it.memory_bytes,
            }),
            uploaded_by: self.uploaded_by.clone(),
            source: self.source.clone(),
            signature: self.signature.clone(),
            uploaded_at_ms: self.uploaded_at_ms,
        })
    }

    fn from_row(row: PluginRow) -> Result<Self, String> {
        readable(row.v)?;
        let check = |check: CheckRow| PluginCheck {
            name: check.name,
            passed: check.passed,
            detail: check.detail,
        };
        Ok(Self {
            org: row.org,
            name: row.name,
            version: row.version,
            digest: row.digest,
            size_bytes: row.size_bytes,
            interfaces: row.interfaces,
            checks: row.checks.into_iter().map(check).collect(),
            figures: row.figures.map(|it| PluginFigures {
                start_us: it.start_us,
                fresh_us: it.fresh_us,
                warm_us: it.warm_us,
                memory_bytes: it.memory_bytes,
            }),
            uploaded_by: row.uploaded_by,
            source: row.source,
            signature: row.signature,
            uploaded_at_ms: row.uploaded_at_ms,
        })
    }
}

pub(super) fn readable(version: u32) -> Result<(), String> {
    if version == ROW_VERSION {
        return Ok(());
    }
    Err(format!("row version {version}, this program reads {ROW_VERSION}"))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
