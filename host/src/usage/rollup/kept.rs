//! Rows as they are kept beside a finished segment: names once, then numbers. What a later version
//! adds to the numbers is zero in what an earlier one wrote.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;

use super::about::About;
use super::names::{NONE, NameId, Names};
use super::{HOUR_MS, Rollup, RowKey, Totals};
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
    /// Full hours since the Unix epoch, by which bits they are not those of the row before. An
    /// earlier version wrote milliseconds here, which are far more, and all numbers as they are.
    hour: u64,
    about: Vec<NameId>,
    /// Counts, in the order of [`counts`]; a mask of those that are not zero comes first. How many
    /// succeeded, were asked for and were routed by which bits it is not how many there were.
    counts: Vec<u64>,
    cost: PicoUsd,
    /// By which bits it is not the cost: none where that is by the list, as it usually is.
    list: PicoUsd,
    baseline: PicoUsd,
    /// The same where all requests were routed; else as it is.
    baseline_paid: PicoUsd,
}

/// From here on an hour is told in milliseconds: it is far in the future in hours, and in
/// milliseconds long before there was any.
const MILLISECONDS_FROM: u64 = 1_000_000_000;

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

/// Counts that usually are that of all requests, by which bits they are not; and back.
fn beside_requests(totals: &mut Totals) {
    let Totals { requests, succeeded, attempts, routed, .. } = totals;
    for count in [succeeded, attempts, routed] {
        *count ^= *requests;
    }
}

// === impl Rollup: keeping ===

impl Rollup {
    /// The rows of what was counted since the last segment was finished, for keeping them beside
    /// this one; the next begins.
    pub(in super::super) fn finish_segment(&mut self) -> Rows {
        let mut names = Names::default();
        let mut rows = Vec::with_capacity(self.size.open);
        let orgs: Vec<Arc<str>> = self.orgs.keys().map(Arc::clone).collect();
        let mut before = 0;
        for org in orgs {
            self.change(&org, |own| {
                for (hour_ms, of_hour) in own.take_open() {
                    let hour = hour_ms / HOUR_MS;
                    for (about, totals) in of_hour {
                        let about = moved(&about, &own.names, &mut names).to_vec();
                        rows.push(Row::of(hour ^ before, about, totals));
                        before = hour;
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
        let mut before = 0;
        for row in &kept.rows {
            let hour_ms = match row.is_earlier() {
                true => row.hour,
                false => {
                    before ^= row.hour;
                    before.saturating_mul(HOUR_MS)
                }
            };
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
                self.add(hour_ms, &about, &totals);
            }
            if open {
                self.add_open(hour_ms, &about, &totals);
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
    fn of(hour: u64, about: Vec<NameId>, totals: Totals) -> Self {
        let mut beside = totals;
        beside_requests(&mut beside);
        let all = counts(&mut beside);
        let mask = (0_u32..).zip(&all).fold(0_u64, |mask, (bit, count)| {
            mask | (u64::from(**count != 0).checked_shl(bit).unwrap_or(0))
        });
        let mut counts = vec![mask];
        counts.extend(all.into_iter().map(|count| *count).filter(|count| *count != 0));
        let mut row = Self { hour, about, counts, cost: totals.cost_usd, ..Self::default() };
        row.list = row.beside_cost(totals.list_usd);
        row.baseline = totals.baseline_usd;
        row.baseline_paid = match totals.routed == totals.requests {
            true => row.beside_cost(totals.baseline_paid_usd),
            false => totals.baseline_paid_usd,
        };
        row
    }

    fn is_earlier(&self) -> bool {
        self.hour >= MILLISECONDS_FROM
    }

    /// An amount by the bits in which it is not the cost, and back; as it is in an earlier row.
    fn beside_cost(&self, amount: PicoUsd) -> PicoUsd {
        if self.is_earlier() { amount } else { PicoUsd(amount.0 ^ self.cost.0) }
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals {
            cost_usd: self.cost,
            list_usd: self.beside_cost(self.list),
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
        if !self.is_earlier() {
            beside_requests(&mut totals);
        }
        if totals.routed == totals.requests {
            totals.baseline_paid_usd = self.beside_cost(self.baseline_paid);
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(requests: u64, routed: u64, amounts: [u128; 4]) -> Totals {
        let [cost_usd, list_usd, baseline_usd, baseline_paid_usd] = amounts.map(PicoUsd);
        let usage = Usage { output_text: 7, ..Usage::default() };
        let of_them = Totals { requests, routed, usage, ..Totals::default() };
        Totals { cost_usd, list_usd, baseline_usd, baseline_paid_usd, ..of_them }
    }

    #[test]
    fn a_row_is_read_as_it_was_kept_whatever_its_amounts_are() {
        for (requests, routed) in [(3, 3), (3, 1), (1, 0), (0, 0)] {
            for amounts in [[9, 9, 20, 9], [9, 7, 20, 0], [0, 7, 0, 5], [u128::MAX, 0, 1, 2]] {
                let kept = Row::of(490_000, vec![1, 2], totals(requests, routed, amounts));
                assert!(!kept.is_earlier());
                assert_eq!(kept.totals(), totals(requests, routed, amounts), "{kept:?}");
            }
        }
        let usual = Row::of(490_000, Vec::new(), totals(2, 2, [9, 9, 20, 9]));
        assert_eq!((usual.list, usual.baseline_paid), (PicoUsd::ZERO, PicoUsd::ZERO));
    }

    /// As versions wrote it that kept milliseconds.
    #[test]
    fn an_earlier_row_has_its_amounts_as_they_are() {
        let (cost, list, baseline, baseline_paid) =
            (PicoUsd(9), PicoUsd(9), PicoUsd(20), PicoUsd(9));
        let counts = vec![0b1_0001, 3, 3];
        let row = Row {
            hour: 490_000 * HOUR_MS,
            about: Vec::new(),
            counts,
            cost,
            list,
            baseline,
            baseline_paid,
        };
        assert!(row.is_earlier());
        let read = row.totals();
        assert_eq!((read.requests, read.routed), (3, 3));
        let amounts = [read.cost_usd, read.list_usd, read.baseline_usd, read.baseline_paid_usd];
        assert_eq!(amounts.map(|amount| amount.0), [9, 9, 20, 9]);
    }
}
