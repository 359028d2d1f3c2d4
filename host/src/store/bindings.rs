//! The typed operations on bindings: those in force, and the latest revisions of each place, from
//! which one can be brought back. A revision number is never used twice. Knows no policy engine.

use std::collections::BTreeMap;

use super::binding_rows::{Revision, history_of, place};
use super::records::{BindingRecord, Hook, Mode, Scope};
use super::registry::{delete, put};
use super::rows::{Record, decode, prefix_of};
use super::state::{Change, Table};
use super::{Store, StoreError};

/// Where the revision counter of bindings is kept: it outlives deleted bindings, so that a revision
/// number never means two things.
const REVISION_KEY: &[u8] = b"binding-revision";
/// Revisions that are kept of one hook, scope and mode.
pub const REVISIONS_KEPT: usize = 20;

impl Store {
    /// An organization's bindings in force; a hook that is missing is decided by the built-in.
    pub fn bindings(&self, org: &str) -> Result<Vec<BindingRecord>, StoreError> {
        self.all_of(&prefix_of(org))
    }

    /// Every binding of every organization, for the snapshot that the data plane reads.
    pub fn all_bindings(&self) -> Result<Vec<BindingRecord>, StoreError> {
        self.all_of("")
    }

    /// One binding in force, if there is one.
    pub fn binding(
        &self,
        org: &str,
        hook: Hook,
        scope: &Scope,
        mode: Mode,
    ) -> Result<Option<BindingRecord>, StoreError> {
        self.read(&place(org, hook, scope, mode))
    }

    /// The latest revisions of a binding, oldest first, also when it is no longer in force.
    pub fn binding_history(
        &self,
        org: &str,
        hook: Hook,
        scope: &Scope,
        mode: Mode,
    ) -> Result<Vec<BindingRecord>, StoreError> {
        let revisions = self.all_of::<Revision>(&history_of(org, hook, scope, mode))?;
        Ok(revisions.into_iter().map(|Revision(binding)| binding).collect())
    }

    /// The number that the next stored binding will carry.
    pub fn next_revision(&self) -> Result<u64, StoreError> {
        let stored = self.state.get(Table::Meta, REVISION_KEY)?;
        let last = match &stored {
            Some(bytes) => {
                serde_json::from_slice::<u64>(bytes).map_err(|cause| StoreError::Unreadable {
                    table: Table::Meta.label(),
                    key: String::from_utf8_lossy(REVISION_KEY).into_owned(),
                    cause: cause.to_string(),
                })?
            }
            None => 0,
        };
        Ok(last.saturating_add(1))
    }

    /// Sets a binding; its revision must be greater than every one before.
    ///
    /// `uploaded`: names and versions that must be among the organization's plugins; a built-in is
    /// not.
    pub fn put_binding(
        &self,
        binding: &BindingRecord,
        uploaded: &[(String, String)],
    ) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        for (name, version) in uploaded {
            self.plugin(&binding.org, name, version)?;
        }
        if binding.revision < self.next_revision()? {
            return Err(StoreError::Exists(format!("the revision {}", binding.revision)));
        }
        let mut changes = vec![put(binding)?, put(&Revision(binding.clone()))?];
        // What an earlier version bound has no history yet.
        let in_force = self.read::<BindingRecord>(&binding.key())?;
        let BindingRecord { org, hook, scope, mode, .. } = binding;
        let mut known = self.binding_history(org, *hook, scope, *mode)?;
        if let Some(before) = in_force
            && !known.iter().any(|kept| kept.revision == before.revision)
        {
            changes.push(put(&Revision(before.clone()))?);
            known.push(before);
        }
        let surplus = known.len().saturating_add(1).saturating_sub(REVISIONS_KEPT);
        for old in known.into_iter().take(surplus) {
            changes.push(delete(&Revision(old)));
        }
        changes.push(Change::put(Table::Meta, REVISION_KEY, binding.revision.to_string()));
        self.commit(&mut writer, changes)
    }

    /// Brings what an earlier version bound to a model's name, in whatever case it was written, to
    /// the one place that the name has now. Of two that come to the same place the later revision
    /// is in force, and the other among those that can be brought back: each as a sentence.
    pub(super) fn unite_spellings(&self) -> Result<Vec<String>, StoreError> {
        let mut writer = self.writer.lock();
        let (mut changes, mut told) = (Vec::new(), Vec::new());
        let mut in_force: BTreeMap<String, (BindingRecord, bool)> = BTreeMap::new();
        for (key, value) in self.state.scan(Table::Bindings, b"", None, usize::MAX)? {
            // What can't be read is told to whoever asks for it.
            let Ok(found) = decode::<BindingRecord>(&key, &value) else { continue };
            let place = found.key();
            let mut moved = key != place.as_bytes();
            if moved {
                changes.push(Change::delete(Table::Bindings, key));
            }
            let mut kept = found;
            if let Some((mut other, _)) = in_force.remove(&place) {
                if other.revision > kept.revision {
                    std::mem::swap(&mut other, &mut kept);
                }
                moved = true;
                told.push(given_up(&kept, &other));
                changes.push(put(&Revision(other))?);
            }
            in_force.insert(place, (kept, moved));
        }
        for (kept, _) in in_force.values().filter(|(_, moved)| *moved) {
            changes.push(put(kept)?);
        }
        for (key, value) in self.state.scan(Table::BindingHistory, b"", None, usize::MAX)? {
            let Ok(revision) = decode::<Revision>(&key, &value) else { continue };
            if key != revision.key().as_bytes() {
                changes.push(Change::delete(Table::BindingHistory, key));
                changes.push(put(&revision)?);
            }
        }
        if !changes.is_empty() {
            self.commit(&mut writer, changes)?;
        }
        Ok(told)
    }

    /// Removes the bindings of a hook and scope, all or those of one mode; what stands behind them
    /// decides again. Their revisions stay.
    pub fn delete_bindings(
        &self,
        org: &str,
        hook: Hook,
        scope: &Scope,
        mode: Option<Mode>,
    ) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let modes = Mode::ALL.into_iter().filter(|one| mode.is_none_or(|only| only == *one));
        let mut changes = Vec::new();
        for mode in modes {
            let bound = self.binding(org, hook, scope, mode)?;
            changes.extend(bound.as_ref().map(delete));
        }
        if changes.is_empty() {
            let what = format!("a binding of {} in {org:?} for {}", hook.label(), scope.label());
            return Err(StoreError::NotFound(what));
        }
        self.commit(&mut writer, changes)
    }
}

fn given_up(kept: &BindingRecord, other: &BindingRecord) -> String {
    format!(
        "the organization {:?} had {} bound twice for {} ({}), in other capitals, which count no \
         more: revision {} ({}) stays in force, revision {} ({}) can be brought back",
        kept.org,
        kept.hook.label(),
        kept.scope.label(),
        kept.mode.label(),
        kept.revision,
        kept.first.plugin,
        other.revision,
        other.first.plugin
    )
}
