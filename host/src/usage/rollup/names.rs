//! Names as numbers, each kept once: rows are many and say the same few things. Zero is "none".

use std::collections::HashMap;
use std::sync::Arc;

/// A name's number.
pub(super) type NameId = u32;
/// The number of no name.
pub(super) const NONE: NameId = 0;
/// Bytes that a name or a set takes beside its own.
const BESIDE: usize = 80;
/// Tags of a request: their names and values, sorted.
pub(super) type TagSet = Arc<[(NameId, NameId)]>;

/// All names, and all sets of tags, by number.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<Arc<str>>,
    by_name: HashMap<Arc<str>, NameId>,
    sets: Vec<TagSet>,
    by_set: HashMap<TagSet, NameId>,
    bytes: usize,
}

// === impl Names ===

impl Names {
    /// The number of a name, which is made if it is new.
    pub(super) fn id(&mut self, name: &str) -> NameId {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let name: Arc<str> = name.into();
        self.bytes = self.bytes.saturating_add(name.len()).saturating_add(BESIDE);
        self.names.push(Arc::clone(&name));
        let id = NameId::try_from(self.names.len()).unwrap_or(NameId::MAX);
        self.by_name.insert(name, id);
        id
    }

    /// The number of a name that is there.
    pub(super) fn known(&self, name: &str) -> Option<NameId> {
        self.by_name.get(name).copied()
    }

    /// The name of a number; none for zero.
    pub(super) fn name(&self, id: NameId) -> Option<&Arc<str>> {
        let place = usize::try_from(id).ok()?.checked_sub(1)?;
        self.names.get(place)
    }

    /// The number of a set of tags; zero if there are none.
    pub(super) fn set(&mut self, tags: Vec<(NameId, NameId)>) -> NameId {
        if tags.is_empty() {
            return NONE;
        }
        let tags = sorted(tags);
        if let Some(known) = self.by_set.get(&*tags) {
            return *known;
        }
        let set: TagSet = tags.into();
        let own = std::mem::size_of_val(&*set);
        self.bytes = self.bytes.saturating_add(own).saturating_add(BESIDE);
        self.sets.push(Arc::clone(&set));
        let id = NameId::try_from(self.sets.len()).unwrap_or(NameId::MAX);
        self.by_set.insert(set, id);
        id
    }

    /// The number of a set of tags that is there.
    pub(super) fn known_set(&self, tags: Vec<(NameId, NameId)>) -> Option<NameId> {
        self.by_set.get(&*sorted(tags)).copied()
    }

    /// The tags of a number.
    pub(super) fn tags(&self, id: NameId) -> &[(NameId, NameId)] {
        let place = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        place.and_then(|place| self.sets.get(place)).map_or(&[], |set| set)
    }

    /// The value of a tag in a set; zero if it has none.
    pub(super) fn tag(&self, set: NameId, name: NameId) -> NameId {
        self.tags(set).iter().find(|(known, _)| *known == name).map_or(NONE, |(_, value)| *value)
    }

    /// How many names and sets there are.
    pub(super) fn len(&self) -> usize {
        self.names.len().saturating_add(self.sets.len())
    }

    /// About how many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn sorted(mut tags: Vec<(NameId, NameId)>) -> Vec<(NameId, NameId)> {
    tags.sort_unstable();
    tags.dedup();
    tags
}
