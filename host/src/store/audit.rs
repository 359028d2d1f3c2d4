//! The audit: who changed what, when, and what it was before and after. An entry is part of the
//! same batch as the change, so there is none without the other, and it is never changed; the
//! oldest go when there are too many. Holds no hash of a key and no value whose name says that it
//! is a secret.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::files::sha256_hex;
use super::state::{Change, Table};
use super::{Store, StoreError, Writer};

/// Entries that are kept: years of an operator's work, and a few megabytes.
pub(super) const AUDIT_ENTRIES_MAX: u64 = 10_000;
/// Changes that one entry names; how many more there were is said.
const CHANGES_MAX: usize = 16;
/// Bytes of a row before or after, as an entry has it; of a longer one its hash.
const ROW_BYTES_MAX: usize = 4 << 10;
/// Where the number of the last entry is kept.
const SEQ_KEY: &[u8] = b"audit-seq";
/// Entries that are read at a time when they are looked through.
const CHUNK: u64 = 200;
/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";
/// Parts of names of members whose values are nobody's to read.
const SECRET_NAMES: [&str; 4] = ["secret", "password", "credential", "authorization"];
/// Ends of such names; `max_tokens` is none.
const SECRET_ENDS: [&str; 4] = ["token", "apikey", "privatekey", "hash"];

/// Who is changing something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The principal's name.
    pub actor: String,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    v: u32,
    /// Grows by one with each.
    pub seq: u64,
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who.
    pub actor: String,
    /// How it was asked for.
    pub method: String,
    /// Where.
    pub path: String,
    /// The organization that it is about, if it is about one.
    pub org: Option<String>,
    /// What changed; nothing where what was asked for was there already.
    pub changes: Vec<AuditedChange>,
    /// Changes that are not among them.
    #[serde(default)]
    pub more: usize,
}

/// One row before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditedChange {
    /// The table: `keys`, `bindings` … or `credits`.
    pub what: String,
    /// The row's name, its parts joined by slashes.
    pub id: String,
    /// None where it is new.
    pub before: Value,
    /// None where it is gone.
    pub after: Value,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this organization.
    pub org: Option<String>,
    /// By this principal.
    pub actor: Option<String>,
    /// With this method.
    pub method: Option<String>,
    /// Under this path.
    pub path: Option<String>,
    /// Not before, in milliseconds since the Unix epoch.
    pub from_ms: Option<u64>,
    /// Before.
    pub to_ms: Option<u64>,
}

/// What is under way in one turn.
#[derive(Debug)]
pub(super) struct Turn {
    author: Author,
    noted: Vec<AuditedChange>,
    written: bool,
}

/// One author's turn; over when dropped.
#[derive(Debug)]
pub struct Acting<'a>(&'a Store);

impl Drop for Acting<'_> {
    fn drop(&mut self) {
        self.0.writer.lock().turn = None;
    }
}

// === impl Acting ===

impl Acting<'_> {
    /// Ends a turn that went well. What changed nothing in the tables is audited too.
    pub fn finish(self) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock();
        let open = writer.turn.as_ref().is_some_and(|turn| !turn.written || !turn.noted.is_empty());
        if open { self.0.commit(&mut writer, Vec::new()) } else { Ok(()) }
    }
}

// === impl AuditFilter ===

impl AuditFilter {
    fn lets(&self, entry: &AuditEntry) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|it| it == found);
        self.org.as_ref().is_none_or(|org| entry.org.as_ref() == Some(org))
            && is(&self.actor, &entry.actor)
            && is(&self.method, &entry.method)
            && self.path.as_ref().is_none_or(|path| entry.path.starts_with(path))
            && self.from_ms.is_none_or(|from| entry.at_ms >= from)
            && self.to_ms.is_none_or(|to| entry.at_ms < to)
    }
}

// === impl Store ===

impl Store {
    /// Everything that is changed until the guard is dropped is this author's. There must be only
    /// one at a time.
    pub fn acting(&self, author: Author) -> Acting<'_> {
        self.writer.lock().turn = Some(Turn { author, noted: Vec::new(), written: false });
        Acting(self)
    }

    /// Adds a change that is kept elsewhere, such as in the ledger, to the present turn's entry.
    pub fn note(&self, what: &str, id: &str, before: Value, after: Value) {
        if let Some(turn) = &mut self.writer.lock().turn {
            let (what, id) = (what.to_owned(), id.to_owned());
            // What was there already is no change: a top-up that is sent twice books once.
            if before != after {
                turn.noted.push(AuditedChange { what, id, before, after });
            }
        }
    }

    /// Entries that pass, the latest first, from before the one named; and whether there are more.
    pub fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<AuditEntry>, bool), StoreError> {
        let last = self.last_audit()?;
        let mut end = before.map_or(last, |before| before.saturating_sub(1).min(last));
        let mut found = Vec::new();
        while end > 0 {
            let start = end.saturating_sub(CHUNK);
            let many = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
            let rows = self.state.scan(Table::Audit, b"", Some(key(start).as_bytes()), many)?;
            if rows.is_empty() {
                break;
            }
            for (row_key, value) in rows.iter().rev() {
                let entry: AuditEntry = serde_json::from_slice(value).map_err(|cause| {
                    let (table, key) = (Table::Audit.label(), String::from_utf8_lossy(row_key));
                    StoreError::Unreadable { table, key: key.into(), cause: cause.to_string() }
                })?;
                if entry.seq > end || !filter.lets(&entry) {
                    continue;
                }
                if found.len() == limit {
                    return Ok((found, true));
                }
                found.push(entry);
            }
            end = start;
        }
        Ok((found, false))
    }

    fn last_audit(&self) -> Result<u64, StoreError> {
        let value = self.state.get(Table::Meta, SEQ_KEY)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&value).parse().unwrap_or(0))
    }

    /// Adds the entry of these changes to them, if somebody is acting.
    pub(super) fn audited(
        &self,
        writer: &mut Writer,
        mut changes: Vec<Change>,
    ) -> Result<Vec<Change>, StoreError> {
        let Some(turn) = &mut writer.turn else { return Ok(changes) };
        let mut told = std::mem::take(&mut turn.noted);
        let mut more = 0_usize;
        for change in changes.iter().filter(|change| is_told(change.table)) {
            if told.len() < CHANGES_MAX {
                told.push(self.told(change)?);
            } else {
                more = more.saturating_add(1);
            }
        }
        let seq = self.last_audit()?.saturating_add(1);
        let Author { actor, method, path, at_ms } = turn.author.clone();
        let org = org_of(&path, &told);
        let entry = AuditEntry { v: 1, seq, at_ms, actor, method, path, org, changes: told, more };
        let text = serde_json::to_vec(&entry)
            .map_err(|cause| StoreError::io("writing an audit entry", cause))?;
        changes.push(Change::put(Table::Audit, key(seq), text));
        changes.push(Change::put(Table::Meta, SEQ_KEY, seq.to_string()));
        // Numbers have no gaps, so one goes for each that comes.
        if let Some(oldest) = seq.checked_sub(AUDIT_ENTRIES_MAX) {
            changes.push(Change::delete(Table::Audit, key(oldest)));
        }
        turn.written = true;
        Ok(changes)
    }

    fn told(&self, change: &Change) -> Result<AuditedChange, StoreError> {
        let before = self.state.get(change.table, &change.key)?;
        Ok(AuditedChange {
            what: change.table.label().to_owned(),
            id: String::from_utf8_lossy(&change.key).replace('\0', "/"),
            before: readable(before.as_deref()),
            after: readable(change.value.as_deref()),
        })
    }
}

/// Whether an entry tells of a table: not of itself, of counters, or of what repeats another.
fn is_told(table: Table) -> bool {
    !matches!(table, Table::Audit | Table::Meta | Table::BindingHistory)
}

/// The order of keys is that of numbers.
fn key(seq: u64) -> String {
    format!("{seq:020}")
}

/// The organization in the path, or the one that is made or changed.
fn org_of(path: &str, told: &[AuditedChange]) -> Option<String> {
    let in_path = path.split("/orgs/").nth(1).and_then(|rest| rest.split('/').next());
    let org = in_path.filter(|org| !org.is_empty()).map(str::to_owned);
    org.or_else(|| told.iter().find(|it| it.what == "organizations").map(|it| it.id.clone()))
}

/// A row without its secrets; of a long one how long it is and its hash.
fn readable(row: Option<&[u8]>) -> Value {
    let Some(bytes) = row else { return Value::Null };
    if bytes.len() > ROW_BYTES_MAX {
        return json!({"bytes": bytes.len(), "sha256": sha256_hex(bytes)});
    }
    let mut value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    hide(&mut value);
    value
}

/// Whether it is what redaction does to a kind: its kinds are called `token` and `api-key`, and
/// that one was switched off is what an audit is for.
fn is_action(value: &Value) -> bool {
    let actions = ["off", "count", "mask", "pseudonymize", "block"];
    value.as_str().is_some_and(|value| actions.contains(&value))
}

/// Hides values whose names say that they are secrets, at any depth; what nests deeper than a row
/// can is not there.
fn hide(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.to_ascii_lowercase().replace(['-', '_'], "");
                let secret = SECRET_NAMES.iter().any(|part| name.contains(part))
                    || SECRET_ENDS.iter().any(|end| name.ends_with(end));
                if secret && !member.is_null() && !is_action(member) {
                    *member = HIDDEN.into();
                } else {
                    hide(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
