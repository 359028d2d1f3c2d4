//! How bindings look on disk, those in force and those of before. Rows never leave this room. What
//! an earlier version wrote, which knew neither scopes nor modes, reads as the organization's
//! active binding.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::records::{BindingRecord, Hook, InstanceLife, LinkRecord, Mode, OnFailure, Scope};
use super::rows::{ROW_VERSION, Record, joined, readable};
use super::state::Table;

/// One of the latest revisions of a binding, also of one that is no longer in force.
pub(super) struct Revision(pub(super) BindingRecord);

#[derive(Serialize, Deserialize)]
struct LinkRow {
    plugin: String,
    version: String,
    digest: String,
    config: Option<Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BindingRow {
    v: u32,
    org: String,
    hook: String,
    #[serde(default)]
    scope: Option<String>,
    mode: String,
    #[serde(default)]
    percent: Option<u8>,
    plugin: String,
    version: String,
    digest: String,
    config: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    then: Vec<LinkRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instances: Option<String>,
    on_failure: String,
    deadline_ms: u32,
    revision: u64,
    #[serde(default)]
    restores: Option<u64>,
    bound_at_ms: u64,
}

/// The key of the binding in force.
pub(super) fn place(org: &str, hook: Hook, scope: &Scope, mode: Mode) -> String {
    match (scope, mode) {
        // As it was before there was anything else.
        (Scope::Organization, Mode::Active) => joined(&[org, hook.label()]),
        _ => joined(&[org, hook.label(), &scope.label(), mode.label()]),
    }
}

/// The prefix of the keys of all revisions at a place.
pub(super) fn history_of(org: &str, hook: Hook, scope: &Scope, mode: Mode) -> String {
    joined(&[org, hook.label(), &scope.label(), mode.label(), ""])
}

fn to_raw(config: &Option<String>) -> Result<Option<Box<RawValue>>, String> {
    let raw = |text: &String| RawValue::from_string(text.clone());
    config.as_ref().map(raw).transpose().map_err(|cause| cause.to_string())
}

fn from_raw(config: Option<Box<RawValue>>) -> Option<String> {
    config.map(|config| config.get().to_owned())
}

impl Record for BindingRecord {
    const TABLE: Table = Table::Bindings;
    type Row = BindingRow;

    fn key(&self) -> String {
        place(&self.org, self.hook, &self.scope, self.mode)
    }

    fn to_row(&self) -> Result<BindingRow, String> {
        let link = |link: &LinkRecord| {
            Ok::<_, String>(LinkRow {
                plugin: link.plugin.clone(),
                version: link.version.clone(),
                digest: link.digest.clone(),
                config: to_raw(&link.config)?,
            })
        };
        Ok(BindingRow {
            v: ROW_VERSION,
            org: self.org.clone(),
            hook: self.hook.label().to_owned(),
            scope: Some(self.scope.label()),
            mode: self.mode.label().to_owned(),
            percent: Some(self.percent),
            plugin: self.first.plugin.clone(),
            version: self.first.version.clone(),
            digest: self.first.digest.clone(),
            config: to_raw(&self.first.config)?,
            then: self.then.iter().map(link).collect::<Result<_, _>>()?,
            instances: self.instances.map(|life| life.label().to_owned()),
            on_failure: self.on_failure.label().to_owned(),
            deadline_ms: self.deadline_ms,
            revision: self.revision,
            restores: self.restores,
            bound_at_ms: self.bound_at_ms,
        })
    }

    fn from_row(row: BindingRow) -> Result<Self, String> {
        readable(row.v)?;
        let scope = match &row.scope {
            Some(label) => {
                Scope::from_label(label).ok_or_else(|| format!("unknown scope {label:?}"))?
            }
            None => Scope::Organization,
        };
        let link = |link: LinkRow| LinkRecord {
            plugin: link.plugin,
            version: link.version,
            digest: link.digest,
            config: from_raw(link.config),
        };
        Ok(Self {
            hook: Hook::from_label(&row.hook)
                .ok_or_else(|| format!("unknown hook {:?}", row.hook))?,
            on_failure: OnFailure::from_label(&row.on_failure)
                .ok_or_else(|| format!("unknown on_failure {:?}", row.on_failure))?,
            mode: Mode::from_label(&row.mode)
                .ok_or_else(|| format!("unknown mode {:?}", row.mode))?,
            instances: match &row.instances {
                Some(label) => Some(
                    InstanceLife::from_label(label)
                        .ok_or_else(|| format!("unknown instances {label:?}"))?,
                ),
                None => None,
            },
            org: row.org,
            scope,
            percent: row.percent.unwrap_or(100),
            first: LinkRecord {
                plugin: row.plugin,
                version: row.version,
                digest: row.digest,
                config: from_raw(row.config),
            },
            then: row.then.into_iter().map(link).collect(),
            deadline_ms: row.deadline_ms,
            revision: row.revision,
            restores: row.restores,
            bound_at_ms: row.bound_at_ms,
        })
    }
}

impl Record for Revision {
    const TABLE: Table = Table::BindingHistory;
    type Row = BindingRow;

    fn key(&self) -> String {
        let Self(of) = self;
        // Padded, so that the order of keys is that of numbers.
        format!("{}{:020}", history_of(&of.org, of.hook, &of.scope, of.mode), of.revision)
    }

    fn to_row(&self) -> Result<BindingRow, String> {
        self.0.to_row()
    }

    fn from_row(row: BindingRow) -> Result<Self, String> {
        BindingRecord::from_row(row).map(Self)
    }
}
