//! Rows as they are kept beside a finished segment: names once, then numbers. What a later version
//! adds to the numbers is zero in what an earlier one wrote.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;

use super::about::About;
use super::names::{NONE, NameId, Names};
use super::{Rollup, RowKey, Totals};
use crate::usage::row::buckets;

/// Rows with the names that they use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Rows {
    names: Vec<Arc<str>>,
    sets: Vec<Vec<(NameId, NameId)>>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    hour_ms: u64,
    about: Vec<NameId>,
    /// Counts, in the order of [`counts`]; a mask of those that are not zero comes first.
    counts: Vec<u64>,
    cost: PicoUsd,
    list: PicoUsd,
    baseline: PicoUsd,
    baseline_paid: PicoUsd,
}

/// A row as earlier versions kept it, in JSON.
#[derive(Debug, Deserialize)]
pub(in super::super) struct EarlierRow {
    hour_ms: u64,
    about: EarlierKey,
    totals: EarlierTotals,
}

#[derive(Debug, Deserialize)]
struct EarlierKey {
    org: Arc<str>,
    model: Option<Arc<str>>,
    key: Option<Arc<str>>,
    provider: Option<Arc<str>>,
    task: Option<Arc<str>>,
    team: Option<Arc<str>>,
    user: Option<Arc<str>>,
}

#[derive(Debug, Deserialize)]
struct EarlierTotals {
    requests: u64,
    succeeded: u64,
    streamed: u64,
    attempts: u64,
    cost_usd: PicoUsd,
    usage: Usage,
}

/// The counts of sums, in the order in which they are kept: new ones go to the end.
fn counts(totals: &mut Totals) -> Vec<&mut u64> {
    let Totals { requests, succeeded, streamed, attempts, routed, usage, .. } = totals;
    let mut all = vec![requests, succeeded, streamed, attempts, routed];
    all.extend(buckets(usage));
    all
}

// === impl Rollup: keeping ===

impl Rollup {
    /// The rows of what was counted since the last segment was finished, for keeping them beside
    /// this one; the next begins.
    pub(in super::super) fn finish_segment(&mut self) -> Rows {
        let mut names = Names::default();
        let mut rows = Vec::with_capacity(self.size.open);
        let orgs: Vec<Arc<str>> = self.orgs.keys().map(Arc::clone).collect();
        for org in orgs {
            self.change(&org, |own| {
                for (hour_ms, hour) in own.take_open() {
                    for (about, totals) in hour {
                        let about = moved(&about, &own.names, &mut names).to_vec();
                        rows.push(Row::of(hour_ms, about, totals));
                    }
                }
                own.tidy();
            });
        }
        Rows::of(&names, rows)
    }

    /// Adds rows that were kept beside a segment; `open`: of the one that is still being written.
    pub(in super::super) fn restore(&mut self, kept: &Rows, open: bool) {
        self.take(kept, true, open);
    }

    /// Takes back the rows of a segment that could not be finished.
    pub(in super::super) fn reopen(&mut self, kept: &Rows) {
        self.take(kept, false, true);
    }

    fn take(&mut self, kept: &Rows, hours: bool, open: bool) {
        let name = |id: &NameId| {
            let place = usize::try_from(*id).ok()?.checked_sub(1)?;
            kept.names.get(place).map(|name| &**name)
        };
        for row in &kept.rows {
            let mut about = About::default();
            for (field, id) in row.about.iter().enumerate().take(super::TAGS) {
                about.set(field, name(id));
            }
            let set = row.about.get(super::TAGS).and_then(|id| id.checked_sub(1));
            let set = set.and_then(|place| kept.sets.get(usize::try_from(place).ok()?));
            let tags = set.into_iter().flatten();
            about.tags = tags.filter_map(|(tag, of)| Some((name(tag)?, name(of)?))).collect();
            let totals = row.totals();
            if hours {
                self.add(row.hour_ms, &about, &totals);
            }
            if open {
                self.add_open(row.hour_ms, &about, &totals);
            }
        }
    }

    /// Adds a row of an earlier version.
    pub(in super::super) fn restore_earlier(&mut self, row: EarlierRow) {
        let EarlierRow { hour_ms, about, totals } = row;
        let EarlierKey { org, model, key, provider, task, team, user } = &about;
        let mut about = About::default();
        about.set(super::ORG, Some(org));
        let named = [
            (super::MODEL, model),
            (super::KEY, key),
            (super::PROVIDER, provider),
            (super::TASK, task),
            (super::TEAM, team),
            (super::USER, user),
        ];
        for (field, name) in named {
            about.set(field, name.as_deref());
        }
        let totals = Totals {
            requests: totals.requests,
            succeeded: totals.succeeded,
            streamed: totals.streamed,
            attempts: totals.attempts,
            cost_usd: totals.cost_usd,
            usage: totals.usage,
            ..Totals::default()
        };
        self.add(hour_ms, &about, &totals);
    }
}

/// The same row in the numbers of other names.
pub(super) fn moved(about: &RowKey, from: &Names, to: &mut Names) -> RowKey {
    let mut key = *about;
    let mut id = |id: NameId| from.name(id).map_or(NONE, |name| to.id(name));
    for (field, place) in key.iter_mut().enumerate() {
        if field != super::TAGS {
            *place = id(*place);
        }
    }
    let tags = from.tags(super::get(about, super::TAGS));
    let tags: Vec<_> = tags.iter().map(|(name, value)| (id(*name), id(*value))).collect();
    super::put(&mut key, super::TAGS, to.set(tags));
    key
}

// === impl Rows ===

impl Rows {
    fn of(names: &Names, rows: Vec<Row>) -> Self {
        let ids = 1..=NameId::try_from(names.len()).unwrap_or(NameId::MAX);
        let all = ids.clone().map_while(|id| names.name(id).cloned()).collect();
        let sets = ids.map(|id| names.tags(id).to_vec()).take_while(|set| !set.is_empty());
        Self { names: all, sets: sets.collect(), rows }
    }
}

// === impl Row ===

impl Row {
    fn of(hour_ms: u64, about: Vec<NameId>, mut totals: Totals) -> Self {
        let all = counts(&mut totals);
        let mask = (0_u32..).zip(&all).fold(0_u64, |mask, (bit, count)| {
            mask | (u64::from(**count != 0).checked_shl(bit).unwrap_or(0))
        });
        let mut counts = vec![mask];
        counts.extend(all.into_iter().map(|count| *count).filter(|count| *count != 0));
        Self {
            hour_ms,
            about,
            counts,
            cost: totals.cost_usd,
            list: totals.list_usd,
            baseline: totals.baseline_usd,
            baseline_paid: totals.baseline_paid_usd,
        }
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals {
            cost_usd: self.cost,
            list_usd: self.list,
            baseline_usd: self.baseline,
            baseline_paid_usd: self.baseline_paid,
            ..Totals::default()
        };
        let mut kept = self.counts.iter().copied();
        let mask = kept.next().unwrap_or(0);
        for (bit, count) in (0_u32..).zip(counts(&mut totals)) {
            if mask.checked_shr(bit).unwrap_or(0) & 1 == 1 {
                *count = kept.next().unwrap_or(0);
            }
        }
        totals
    }
}
