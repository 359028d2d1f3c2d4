//! The newest requests by id, with where each is kept: in memory until it is written, in a segment
//! afterwards. Bounded; what fell out is found through the segments' times.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::query::Between;

/// Requests in the index, about 150 bytes each: what a console lists and a developer looks up.
pub(super) const RECENT_MAX: usize = 65_536;

/// Where a record is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Not written yet.
    Memory {
        /// The segment it will be in, whose dictionary it uses.
        number: u64,
        /// The payload.
        payload: Arc<[u8]>,
    },
    /// In a segment, by the payload's offset and length.
    Segment {
        /// The segment's number.
        number: u64,
        /// Where its payload starts.
        offset: u64,
        /// How long its payload is.
        len: u32,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) org: Arc<str>,
    pub(super) place: Place,
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Recent(BTreeMap<Uuid, Entry>);

// === impl Recent ===

impl Recent {
    /// Adds a request, letting the oldest go when there are too many.
    pub(super) fn add(&mut self, id: Uuid, entry: Entry) {
        self.0.insert(id, entry);
        while self.0.len() > RECENT_MAX {
            self.0.pop_first();
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells where a request is kept from now on; `None` forgets it.
    pub(super) fn moved(&mut self, id: Uuid, place: Option<Place>) {
        match place {
            Some(place) => {
                if let Some(entry) = self.0.get_mut(&id) {
                    entry.place = place;
                }
            }
            None => drop(self.0.remove(&id)),
        }
    }

    /// Forgets everything that is in a segment that was removed.
    pub(super) fn forget_segment(&mut self, gone: u64) {
        self.0.retain(
            |_, entry| !matches!(&entry.place, Place::Segment { number, .. } if *number == gone),
        );
    }

    /// Where a request is.
    pub(super) fn find(&self, id: Uuid) -> Option<Entry> {
        self.0.get(&id).cloned()
    }

    /// The newest requests of an organization between two, newest first, and whether there are
    /// more.
    pub(super) fn newest(
        &self,
        org: &str,
        between: Between,
        limit: usize,
    ) -> (Vec<(Uuid, Place)>, bool) {
        let first = between.first.unwrap_or(Uuid::nil());
        let end = between.before.unwrap_or(Uuid::max());
        if first >= end {
            return (Vec::new(), false);
        }
        let mut found: Vec<(Uuid, Place)> = self
            .0
            .range(first..end)
            .rev()
            .filter(|(_, entry)| &*entry.org == org)
            .take(limit.saturating_add(1))
            .map(|(id, entry)| (*id, entry.place.clone()))
            .collect();
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }
}
