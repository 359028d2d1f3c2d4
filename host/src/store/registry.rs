//! The typed operations on organizations, keys, plugins and bindings: each is one atomic batch,
//! durable when it returns. Checks that need several rows run under the writer's lock. Knows no
//! HTTP, no ledger and no policy engine.

use super::records::{ApiKey, Organization, PluginRecord, PolicyLimitsRecord};
use super::rows::{Record, decode, encode, joined, prefix_of};
use super::spending::{AlertRecord, Delivery, SpendScope};
use super::spending_registry::ALERTS_KEPT_OF_DELETED;
use super::state::{Change, Table};
use super::{PAGE_ROWS_MAX, Store, StoreError, Writer};

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// At most the asked number of records, in key order.
    pub items: Vec<T>,
    /// Whether there are more after the last.
    pub more: bool,
}

// === impl Store: organizations ===

impl Store {
    /// Adds an organization; its id must never have been used.
    pub fn create_org(&self, org: &Organization) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        self.check_unused(&org.id)?;
        self.commit(&mut writer, vec![put(org)?])
    }

    /// Refuses an id that an organization has, or had.
    pub fn check_unused(&self, org: &str) -> Result<(), StoreError> {
        match self.read::<Organization>(org)? {
            None => Ok(()),
            Some(known) if known.deleted_at_ms.is_some() => {
                Err(StoreError::Deleted(org.to_owned()))
            }
            Some(_) => Err(StoreError::Exists(format!("the organization {org:?}"))),
        }
    }

    /// An organization that is not deleted.
    pub fn org(&self, id: &str) -> Result<Organization, StoreError> {
        match self.read::<Organization>(id)? {
            Some(org) if org.deleted_at_ms.is_none() => Ok(org),
            Some(_) => Err(StoreError::Closed(id.to_owned())),
            None => Err(StoreError::NotFound(format!("the organization {id:?}"))),
        }
    }

    /// An organization, also one that is deleted: what it spent and did can still be looked up.
    pub fn org_ever(&self, id: &str) -> Result<Organization, StoreError> {
        let found = self.read::<Organization>(id)?;
        found.ok_or_else(|| StoreError::NotFound(format!("the organization {id:?}")))
    }

    /// Organizations that are not deleted, by id, after the one named.
    pub fn orgs(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Organization>, StoreError> {
        self.page("", after, limit, |org: &Organization| org.deleted_at_ms.is_none())
    }

    /// Every organization that is not deleted.
    pub fn all_orgs(&self) -> Result<Vec<Organization>, StoreError> {
        let mut all = self.all_of::<Organization>("")?;
        all.retain(|org| org.deleted_at_ms.is_none());
        Ok(all)
    }

    /// Replaces an organization's record.
    pub fn update_org(&self, org: &Organization) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        self.org(&org.id)?;
        self.commit(&mut writer, vec![put(org)?])
    }

    /// Marks an organization as deleted and removes its keys and bindings, all at once; its newest
    /// alerts stay. Plugins go too; their files are swept when nothing names them.
    pub fn delete_org(&self, id: &str, at_ms: u64) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let mut org = self.org(id)?;
        org.deleted_at_ms = Some(at_ms);
        org.policy_imports.clear();
        org.fetch_hosts.clear();
        org.policy_limits = PolicyLimitsRecord::default();
        org.routing.clear();
        org.aliases.clear();
        let mut changes = vec![put(&org)?];
        let prefix = prefix_of(id);
        for table in [Table::Keys, Table::Bindings, Table::BindingHistory, Table::Plugins] {
            for (key, _) in self.state.scan(table, prefix.as_bytes(), None, usize::MAX)? {
                changes.push(Change::delete(table, key));
            }
        }
        for prefix in super::spending::prefixes_of(id) {
            let rows = self.state.scan(Table::Spending, prefix.as_bytes(), None, usize::MAX)?;
            changes.extend(rows.into_iter().map(|(key, _)| Change::delete(Table::Spending, key)));
        }
        let alerts = self.all_alerts(id)?;
        let old = alerts.len().saturating_sub(ALERTS_KEPT_OF_DELETED);
        for (place, alert) in alerts.into_iter().enumerate() {
            if place < old {
                changes.push(delete(&alert));
            } else if matches!(alert.delivery, Delivery::Pending { .. }) {
                // Nobody is told of it any more: where to is gone as well.
                changes.push(put(&AlertRecord { delivery: Delivery::None, ..alert })?);
            }
        }
        let digests: Vec<String> =
            self.all_of::<PluginRecord>(&prefix)?.into_iter().map(|one| one.digest).collect();
        self.commit(&mut writer, changes)?;
        for digest in digests {
            self.drop_unnamed_file(&digest)?;
        }
        Ok(())
    }
}

// === impl Store: keys ===

impl Store {
    /// Adds a key.
    pub fn create_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        self.org(&key.org)?;
        if self.read::<ApiKey>(&key.key())?.is_some() {
            return Err(StoreError::Exists(format!("the key {:?}", key.id)));
        }
        self.commit(&mut writer, vec![put(key)?])
    }

    /// One key of an organization.
    pub fn key(&self, org: &str, id: &str) -> Result<ApiKey, StoreError> {
        let found = self.read(&joined(&[org, id]))?;
        found.ok_or_else(|| StoreError::NotFound(format!("the key {id:?} of {org:?}")))
    }

    /// An organization's keys, by id (which is by age), after the one named.
    pub fn keys(
        &self,
        org: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ApiKey>, StoreError> {
        self.page(&prefix_of(org), after, limit, |_| true)
    }

    /// Every key there is, for the snapshot that the data plane reads.
    pub fn all_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.all_of("")
    }

    /// Replaces a key's record.
    pub fn update_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        self.key(&key.org, &key.id)?;
        self.commit(&mut writer, vec![put(key)?])
    }

    /// Removes a key, and the budgets that are for it alone: nothing would ever count on them
    /// again, and they would take the room of others.
    pub fn delete_key(&self, org: &str, id: &str) -> Result<ApiKey, StoreError> {
        let mut writer = self.writer.lock();
        let key = self.key(org, id)?;
        let mut changes = vec![delete(&key)];
        let own = SpendScope::Key(id.to_owned());
        let budgets = self.all_budgets(Some(org))?;
        changes.extend(budgets.iter().filter(|budget| budget.scope == own).map(delete));
        self.commit(&mut writer, changes)?;
        Ok(key)
    }
}

// === impl Store: plugins ===

impl Store {
    /// Adds a plugin whose file is already stored. The same name and version with the same digest
    /// is no error (an upload may be repeated, and bring a signature later) and returns `false`;
    /// with another digest it is.
    pub fn create_plugin(&self, plugin: &PluginRecord) -> Result<bool, StoreError> {
        let mut writer = self.writer.lock();
        self.org(&plugin.org)?;
        match self.read::<PluginRecord>(&plugin.key())? {
            Some(there) if there.digest == plugin.digest => {
                // A signature may come later; one that is there is not lost by a repeat.
                if plugin.signature.is_some() && there.signature != plugin.signature {
                    let signature = plugin.signature.clone();
                    let signed = PluginRecord { signature, ..there };
                    self.commit(&mut writer, vec![put(&signed)?])?;
                }
                Ok(false)
            }
            Some(there) => Err(StoreError::Exists(format!(
                "{}@{} with other content (digest {})",
                there.name, there.version, there.digest
            ))),
            None => {
                self.commit(&mut writer, vec![put(plugin)?])?;
                Ok(true)
            }
        }
    }

    /// One plugin of an organization.
    pub fn plugin(&self, org: &str, name: &str, version: &str) -> Result<PluginRecord, StoreError> {
        let found = self.read(&joined(&[org, name, version]))?;
        found.ok_or_else(|| StoreError::NotFound(format!("the plugin {name}@{version} of {org:?}")))
    }

    /// An organization's plugins, by name and version, after the named `name\0version`.
    pub fn plugins(
        &self,
        org: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<PluginRecord>, StoreError> {
        self.page(&prefix_of(org), after, limit, |_| true)
    }

    /// Whether an organization has any version of a plugin.
    pub fn has_plugin(&self, org: &str, name: &str) -> Result<bool, StoreError> {
        let prefix = joined(&[org, name, ""]);
        Ok(!self.state.scan(Table::Plugins, prefix.as_bytes(), None, 1)?.is_empty())
    }

    /// Every plugin there is.
    pub fn all_plugins(&self) -> Result<Vec<PluginRecord>, StoreError> {
        self.all_of("")
    }

    /// How many plugins there are, of all organizations.
    pub fn plugin_count(&self) -> Result<usize, StoreError> {
        Ok(self.state.scan(Table::Plugins, b"", None, usize::MAX)?.len())
    }

    /// Removes a plugin that no binding uses; the error names the bindings that do.
    pub fn delete_plugin(&self, org: &str, name: &str, version: &str) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let plugin = self.plugin(org, name, version)?;
        let bound: Vec<&str> = self
            .bindings(org)?
            .into_iter()
            .filter(|binding| binding.links().any(|it| it.plugin == name && it.version == version))
            .map(|binding| binding.hook.label())
            .collect();
        if !bound.is_empty() {
            return Err(StoreError::InUse(format!(
                "the plugin {name}@{version} is bound to {}",
                bound.join(", ")
            )));
        }
        self.commit(&mut writer, vec![delete(&plugin)])?;
        self.drop_unnamed_file(&plugin.digest)
    }

    /// The bytes of an uploaded plugin by digest, checked against it.
    pub fn plugin_bytes(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        self.files.get(digest)
    }

    fn drop_unnamed_file(&self, digest: &str) -> Result<(), StoreError> {
        let named = self.all_of::<PluginRecord>("")?.iter().any(|one| one.digest == digest);
        if !named {
            self.files.remove(digest);
        }
        Ok(())
    }
}

// === impl Store: what they share ===

impl Store {
    pub(super) fn read<R: Record>(&self, key: &str) -> Result<Option<R>, StoreError> {
        match self.state.get(R::TABLE, key.as_bytes())? {
            Some(value) => decode(key.as_bytes(), &value).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn all_of<R: Record>(&self, prefix: &str) -> Result<Vec<R>, StoreError> {
        let rows = self.state.scan(R::TABLE, prefix.as_bytes(), None, usize::MAX)?;
        rows.iter().map(|(key, value)| decode(key, value)).collect()
    }

    /// Up to `limit` records under a prefix that pass the filter, after the one named.
    pub(super) fn page<R: Record>(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        keep: impl Fn(&R) -> bool,
    ) -> Result<Page<R>, StoreError> {
        let limit = limit.clamp(1, PAGE_ROWS_MAX);
        let mut last: Option<Vec<u8>> = after.map(|after| format!("{prefix}{after}").into_bytes());
        let mut items = Vec::new();
        loop {
            let rows =
                self.state.scan(R::TABLE, prefix.as_bytes(), last.as_deref(), PAGE_ROWS_MAX)?;
            let exhausted = rows.len() < PAGE_ROWS_MAX;
            for (key, value) in rows {
                let record = decode::<R>(&key, &value)?;
                last = Some(key);
                if !keep(&record) {
                    continue;
                }
                if items.len() == limit {
                    return Ok(Page { items, more: true });
                }
                items.push(record);
            }
            if exhausted {
                return Ok(Page { items, more: false });
            }
        }
    }

    /// Makes the changes durable, then visible.
    pub(super) fn commit(
        &self,
        writer: &mut Writer,
        changes: Vec<Change>,
    ) -> Result<(), StoreError> {
        let changes = self.audited(writer, changes)?;
        super::state::check_sizes(&changes)?;
        match &mut writer.changes {
            Some(file) => file.commit(self.state.as_ref(), changes),
            None => self.state.apply(&changes),
        }
    }
}

pub(super) fn put<R: Record>(record: &R) -> Result<Change, StoreError> {
    Ok(Change::put(R::TABLE, record.key(), encode(record)?))
}

pub(super) fn delete<R: Record>(record: &R) -> Change {
    Change::delete(R::TABLE, record.key())
}

#[cfg(test)]
mod tests;
