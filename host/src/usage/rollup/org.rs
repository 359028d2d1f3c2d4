//! The rows of one organization, with names of its own: what it says of itself takes its own room,
//! and what has to go is its own as well. Knows no other organization.

use std::collections::{BTreeMap, HashMap};

use super::about::{About, Detail, REST, given_up, lower};
use super::kept::moved;
use super::names::{NONE, Names};
use super::{HOUR_MS, RowKey, Size, Totals};

/// Names that may be there beyond those that rows need, before they are gone through.
const NAMES_SPARE: usize = 4_096;

/// The rows of an hour.
#[derive(Debug, Default)]
pub(super) struct Hour {
    pub(super) rows: HashMap<RowKey, Totals>,
    /// How much is told apart of what comes.
    detail: Detail,
    /// How little was of some request that is in it: of one for which there was no room.
    least: Detail,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct OrgRows {
    pub(super) hours: BTreeMap<u64, Hour>,
    rows: usize,
    pub(super) complete_from_ms: u64,
    pub(super) detailed_from_ms: u64,
    pub(super) names: Names,
    /// The rows of the segment that is being written, to be kept beside it.
    open: BTreeMap<u64, HashMap<RowKey, Totals>>,
    open_rows: usize,
}

// === impl Hour ===

impl Hour {
    /// Whether the values of a field are not those that its requests had.
    pub(super) fn has_given_up(&self, field: usize) -> bool {
        given_up(field).is_some_and(|from| self.least >= from)
    }
}

// === impl OrgRows ===

impl OrgRows {
    pub(super) fn size(&self) -> Size {
        Size { rows: self.rows, open: self.open_rows, names: self.names.bytes() }
    }

    /// Adds to a row that is there; true as well where the hour has been forgotten. False where it
    /// would take a new row.
    pub(super) fn add_known(&mut self, hour_ms: u64, about: &About<'_>, totals: &Totals) -> bool {
        if hour_ms < self.complete_from_ms {
            return true;
        }
        let Some(key) = about.known(self.detail_of(hour_ms), &self.names) else { return false };
        let row = self.hours.get_mut(&hour_ms).and_then(|hour| hour.rows.get_mut(&key));
        row.map(|row| row.add(totals)).is_some()
    }

    /// Adds to a row, which is made if it is new, and tells no more apart than `detail`.
    pub(super) fn add(&mut self, hour_ms: u64, about: &About<'_>, detail: Detail, totals: &Totals) {
        if hour_ms < self.complete_from_ms {
            return;
        }
        let detail = self.detail_of(hour_ms).max(detail);
        let key = about.key(detail, &mut self.names);
        let hour = self.hours.entry(hour_ms).or_default();
        hour.least = hour.least.max(detail).max(about.detail());
        let before = hour.rows.len();
        hour.rows.entry(key).or_default().add(totals);
        self.rows = self.rows.saturating_add(hour.rows.len().saturating_sub(before));
    }

    /// Adds to the rows of the segment that is being written.
    pub(super) fn add_open(
        &mut self,
        hour_ms: u64,
        about: &About<'_>,
        detail: Detail,
        totals: &Totals,
    ) {
        let key = about.key(detail, &mut self.names);
        let rows = self.open.entry(hour_ms).or_default();
        let before = rows.len();
        rows.entry(key).or_default().add(totals);
        self.open_rows = self.open_rows.saturating_add(rows.len().saturating_sub(before));
    }

    /// Takes the rows of the segment that is being written.
    pub(super) fn take_open(&mut self) -> BTreeMap<u64, HashMap<RowKey, Totals>> {
        self.open_rows = 0;
        std::mem::take(&mut self.open)
    }

    /// Gives up sessions, agents and tags of the oldest hour that has them, if there is a newer one
    /// or one begins at `hour_ms`.
    pub(super) fn coarsen_oldest(&mut self, hour_ms: u64) -> bool {
        let newest = self.newest(hour_ms);
        let detailed = self.hours.range(self.detailed_from_ms.min(newest)..newest);
        let oldest = detailed.filter(|(_, hour)| hour.detail == Detail::Full).map(|(at, _)| *at);
        let Some(oldest) = oldest.min() else { return false };
        self.lower(oldest, Detail::Coarse);
        self.detailed_from_ms = self.detailed_from_ms.max(oldest.saturating_add(HOUR_MS));
        true
    }

    /// Forgets the oldest hour, if there is a newer one or one begins at `hour_ms`.
    pub(super) fn forget_oldest(&mut self, hour_ms: u64) -> bool {
        let newest = self.newest(hour_ms);
        let oldest = self.hours.first_key_value().map(|(oldest, _)| *oldest);
        let Some(oldest) = oldest.filter(|oldest| *oldest < newest) else { return false };
        let gone = self.hours.remove(&oldest).map_or(0, |hour| hour.rows.len());
        self.rows = self.rows.saturating_sub(gone);
        self.complete_from_ms = oldest.saturating_add(HOUR_MS);
        self.tidy();
        true
    }

    /// Gives up all that callers can make as many of as they like in the newest hour, which alone
    /// is too large; the sums stay right.
    pub(super) fn give_up_newest(&mut self) -> bool {
        let newest = self.hours.last_key_value();
        let newest = newest.filter(|(_, hour)| hour.detail < Detail::Rest).map(|(at, _)| *at);
        let Some(newest) = newest else { return false };
        self.lower(newest, Detail::Rest);
        true
    }

    /// Gives up what names the most, and their names with it.
    pub(super) fn forget_names(&mut self, hour_ms: u64) -> bool {
        let less = self.coarsen_oldest(hour_ms) || self.give_up_newest();
        if less {
            self.rename();
        }
        less
    }

    /// Drops names that only forgotten rows had, once there are many.
    pub(super) fn tidy(&mut self) {
        let rows = self.rows.saturating_add(self.open_rows);
        if self.names.len() >= rows.saturating_mul(2).saturating_add(NAMES_SPARE) {
            self.rename();
        }
    }

    fn newest(&self, hour_ms: u64) -> u64 {
        self.hours.last_key_value().map_or(hour_ms, |(newest, _)| hour_ms.max(*newest))
    }

    fn detail_of(&self, hour_ms: u64) -> Detail {
        let detail = self.hours.get(&hour_ms).map_or(Detail::Full, |hour| hour.detail);
        if hour_ms < self.detailed_from_ms { detail.max(Detail::Coarse) } else { detail }
    }

    fn lower(&mut self, hour_ms: u64, detail: Detail) {
        let rest = if detail >= Detail::Rest { self.names.id(REST) } else { NONE };
        let Some(hour) = self.hours.get_mut(&hour_ms) else { return };
        let before = hour.rows.len();
        let mut rows: HashMap<RowKey, Totals> = HashMap::new();
        for (mut key, totals) in std::mem::take(&mut hour.rows) {
            lower(&mut key, detail, rest);
            rows.entry(key).or_default().add(&totals);
        }
        self.rows = self.rows.saturating_sub(before.saturating_sub(rows.len()));
        *hour = Hour { rows, detail, least: hour.least.max(detail) };
        self.tidy();
    }

    /// Numbers the names anew that rows have.
    fn rename(&mut self) {
        let (old, mut names) = (std::mem::take(&mut self.names), Names::default());
        let hours = self.hours.values_mut().map(|hour| &mut hour.rows);
        for rows in hours.chain(self.open.values_mut()) {
            let kept = std::mem::take(rows).into_iter();
            *rows = kept.map(|(key, totals)| (moved(&key, &old, &mut names), totals)).collect();
        }
        self.names = names;
    }
}
