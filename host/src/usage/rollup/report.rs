//! Answering "who used what": rows of an organization between two times, that pass the filters,
//! added up by the dimensions that were asked for.

use std::collections::HashMap;
use std::sync::Arc;

use super::names::{NONE, NameId};
use super::org::OrgRows;
use super::{Dimension, HOUR_MS, Rollup, RowKey, TAGS, Totals, get, hour_of};

/// The start of the bucket that an hour belongs to, both in milliseconds since the Unix epoch.
pub type BucketOf<'a> = &'a (dyn Fn(u64) -> u64 + Sync);

/// A dimension, and the values of it that are taken; none stands for requests that have none.
pub type Only = (Dimension, Vec<Option<String>>);

/// What is asked.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// Whose usage.
    pub org: &'a str,
    /// Group by these, in this order.
    pub by: &'a [Dimension],
    /// Milliseconds since the Unix epoch, widened to full hours.
    pub from_ms: u64,
    /// Exclusive.
    pub to_ms: u64,
    /// Only what has one of these values in each of these dimensions; no value is what has none.
    pub only: &'a [Only],
    /// Only what has a value in each of these.
    pub present: &'a [Dimension],
    /// Group by time as well.
    pub bucket: Option<BucketOf<'a>>,
    /// At most so many groups, the costliest, or the earliest where they are by time.
    pub groups_max: usize,
}

/// One group of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Where its bucket begins, if they are by time.
    pub bucket_ms: Option<u64>,
    /// The value of each dimension that was asked for, in that order; none where it isn't known.
    pub values: Vec<Option<Arc<str>>>,
    /// Its sums.
    pub totals: Totals,
}

/// An answer to "who used what".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReport {
    /// By time, and the costliest first.
    pub groups: Vec<Group>,
    /// Groups that were left out because there are too many.
    pub groups_left_out: usize,
    /// The sum over everything, also over what was left out.
    pub total: Totals,
    /// The start that was really used: the asked one at its full hour.
    pub from_ms: u64,
    /// The end that was really used, exclusive: the asked one up to its full hour.
    pub to_ms: u64,
    /// Requests before this are not in the figures any more.
    pub complete_from_ms: u64,
    /// Before this, sessions, agents and tags are not told apart any more.
    pub detailed_from_ms: u64,
    /// After the last of its hours in which something that it is grouped or filtered by was not
    /// told apart, because there was too much of it; zero where there is none.
    pub told_apart_from_ms: u64,
    /// Requests that began after this may be under way, and not be in the figures.
    pub complete_to_ms: u64,
}

/// A dimension as numbers: a field of the row, or a tag's name.
#[derive(Clone, Copy)]
enum Place {
    Field(usize),
    Tag(NameId),
}

// === impl Rollup: reports ===

impl Rollup {
    /// Groups the rows that are asked for: all of them, in any order. The rest is for whoever asks,
    /// who need not hold the sums for it: [`UsageReport::arranged`].
    pub(in super::super) fn gather(&self, query: &Query<'_>) -> UsageReport {
        match self.orgs.get(query.org) {
            Some(own) => own.gather(query),
            None => OrgRows::default().gather(query),
        }
    }
}

// === impl UsageReport ===

impl UsageReport {
    /// The groups in their order, and no more than are wanted.
    pub(in super::super) fn arranged(mut self, groups_max: usize) -> Self {
        self.groups.sort_by(|a, b| {
            let costlier = b.totals.cost_usd.cmp(&a.totals.cost_usd);
            a.bucket_ms
                .cmp(&b.bucket_ms)
                .then(costlier)
                .then_with(|| b.totals.requests.cmp(&a.totals.requests))
                .then_with(|| a.values.cmp(&b.values))
        });
        self.groups_left_out = self.groups.len().saturating_sub(groups_max);
        self.groups.truncate(groups_max);
        self
    }
}

// === impl OrgRows: reports ===

impl OrgRows {
    fn gather(&self, query: &Query<'_>) -> UsageReport {
        let from_ms = hour_of(query.from_ms);
        let to_ms = query.to_ms.checked_next_multiple_of(HOUR_MS).unwrap_or(u64::MAX);
        let by: Vec<Place> = query.by.iter().map(|one| self.place(one)).collect();
        let only: Vec<(Place, Vec<Option<NameId>>)> =
            query.only.iter().map(|(one, values)| (self.place(one), self.ids(values))).collect();
        let present: Vec<Place> = query.present.iter().map(|one| self.place(one)).collect();
        let told_by = query.by.iter().chain(query.only.iter().map(|(one, _)| one));
        let told_by: Vec<usize> =
            told_by.chain(query.present).map(|one| one.field().unwrap_or(TAGS)).collect();
        let mut told_apart_from_ms = 0;
        let mut groups: HashMap<(u64, Vec<NameId>), Totals> = HashMap::new();
        let mut total = Totals::default();
        // Reused from row to row: most rows fall into a group that is there.
        let mut at = (0, Vec::with_capacity(by.len()));
        for (hour_ms, hour) in self.hours.range(from_ms..to_ms.max(from_ms)) {
            at.0 = query.bucket.map_or(0, |bucket| bucket(*hour_ms));
            if told_by.iter().any(|field| hour.has_given_up(*field)) {
                told_apart_from_ms = hour_ms.saturating_add(HOUR_MS);
            }
            for (about, totals) in &hour.rows {
                let wanted = |(place, ids): &(Place, Vec<Option<NameId>>)| {
                    ids.contains(&Some(self.value(about, *place)))
                };
                let has = |place: &Place| self.value(about, *place) != NONE;
                if !only.iter().all(wanted) || !present.iter().all(has) {
                    continue;
                }
                at.1.clear();
                at.1.extend(by.iter().map(|place| self.value(about, *place)));
                total.add(totals);
                match groups.get_mut(&at) {
                    Some(sums) => sums.add(totals),
                    None => drop(groups.insert(at.clone(), *totals)),
                }
            }
        }
        UsageReport {
            groups: self.named(groups, query),
            groups_left_out: 0,
            total,
            from_ms,
            to_ms,
            complete_from_ms: self.complete_from_ms,
            detailed_from_ms: self.detailed_from_ms.max(self.complete_from_ms),
            told_apart_from_ms,
            // For whoever knows what is under way.
            complete_to_ms: u64::MAX,
        }
    }

    fn named(&self, groups: HashMap<(u64, Vec<NameId>), Totals>, query: &Query<'_>) -> Vec<Group> {
        let by_time = query.bucket.is_some();
        let name = |id: NameId| self.names.name(id).cloned();
        let named = groups.into_iter().map(|((bucket_ms, values), totals)| Group {
            bucket_ms: by_time.then_some(bucket_ms),
            values: values.into_iter().map(name).collect(),
            totals,
        });
        named.collect()
    }

    fn place(&self, dimension: &Dimension) -> Place {
        match dimension.field() {
            Ok(field) => Place::Field(field),
            // A name that no request has ever had is no tag of any.
            Err(tag) => Place::Tag(self.names.known(tag).unwrap_or(NameId::MAX)),
        }
    }

    /// The numbers of values; one that nothing has ever had has none, and matches nothing.
    fn ids(&self, values: &[Option<String>]) -> Vec<Option<NameId>> {
        let known = values.iter().map(|value| match value {
            Some(value) => self.names.known(value),
            None => Some(NONE),
        });
        known.filter(Option::is_some).collect()
    }

    fn value(&self, about: &RowKey, place: Place) -> NameId {
        match place {
            Place::Field(field) => get(about, field),
            Place::Tag(name) => self.names.tag(get(about, TAGS), name),
        }
    }
}

impl std::fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query")
            .field("org", &self.org)
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}
