//! Statistics by the hour: what was used and what it cost, per organization and combination of
//! model, key, provider, task, team and user. In memory and bounded: when there are too many rows,
//! the oldest hours go, and every report says from when on it is complete.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;

use super::event::UsageEvent;

/// Rows kept in memory, about 300 bytes each.
const ROWS_MAX: usize = 200_000;

/// Groups in one report, the costliest first: more is not read by anyone, and an answer is bounded.
const GROUPS_MAX: usize = 1_000;

const HOUR_MS: u64 = 3_600_000;

/// What stands for "and the rest" when one hour alone has too many rows.
const REST: &str = "(other)";

/// What usage can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The served model's catalogue id.
    Model,
    /// The key's id.
    Key,
    /// The provider.
    Provider,
    /// The task.
    Task,
    /// The team.
    Team,
    /// The user.
    User,
}

/// How many dimensions there are.
const DIMENSIONS: usize = 6;

// === impl Dimension ===

impl Dimension {
    /// All of them.
    pub const ALL: [Self; DIMENSIONS] =
        [Self::Model, Self::Key, Self::Provider, Self::Task, Self::Team, Self::User];

    /// The name in the API.
    pub fn label(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Key => "key",
            Self::Provider => "provider",
            Self::Task => "task",
            Self::Team => "team",
            Self::User => "user",
        }
    }

    /// The dimension of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.label() == label)
    }

    fn of(self, row: &RowKey) -> &Option<Arc<str>> {
        match self {
            Self::Model => &row.model,
            Self::Key => &row.key,
            Self::Provider => &row.provider,
            Self::Task => &row.task,
            Self::Team => &row.team,
            Self::User => &row.user,
        }
    }
}

/// Sums over requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// All requests.
    pub requests: u64,
    /// Those whose caller got a result.
    pub succeeded: u64,
    /// Those that were streamed.
    pub streamed: u64,
    /// Offers that were tried.
    pub attempts: u64,
    /// What the callers paid.
    pub cost_usd: PicoUsd,
    /// What was used, bucket by bucket.
    pub usage: Usage,
}

// === impl Totals ===

impl Totals {
    fn of(event: &UsageEvent) -> Self {
        Self {
            requests: 1,
            succeeded: u64::from(event.succeeded()),
            streamed: u64::from(event.stream),
            attempts: u64::from(event.attempts),
            cost_usd: event.cost_usd,
            usage: event.usage,
        }
    }

    /// Adds another sum; figures for people, so an overflow sticks at the largest number.
    pub fn add(&mut self, other: &Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.requests, other.requests);
        add(&mut self.succeeded, other.succeeded);
        add(&mut self.streamed, other.streamed);
        add(&mut self.attempts, other.attempts);
        self.cost_usd = self.cost_usd.saturating_add(other.cost_usd);
        let (sum, more) = (&mut self.usage, &other.usage);
        add(&mut sum.input_uncached, more.input_uncached);
        add(&mut sum.cache_read, more.cache_read);
        add(&mut sum.cache_write_5m, more.cache_write_5m);
        add(&mut sum.cache_write_1h, more.cache_write_1h);
        add(&mut sum.output_text, more.output_text);
        add(&mut sum.output_reasoning, more.output_reasoning);
        add(&mut sum.input_audio, more.input_audio);
        add(&mut sum.output_audio, more.output_audio);
        add(&mut sum.input_image, more.input_image);
        add(&mut sum.output_image, more.output_image);
        add(&mut sum.requests, more.requests);
        add(&mut sum.searches, more.searches);
        add(&mut sum.cache_read_audio, more.cache_read_audio);
        add(&mut sum.cache_read_image, more.cache_read_image);
        add(&mut sum.cache_read_video, more.cache_read_video);
        add(&mut sum.input_video, more.input_video);
        add(&mut sum.output_video, more.output_video);
        add(&mut sum.citations, more.citations);
    }
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct RowKey {
    org: Arc<str>,
    model: Option<Arc<str>>,
    key: Option<Arc<str>>,
    provider: Option<Arc<str>>,
    task: Option<Arc<str>>,
    team: Option<Arc<str>>,
    user: Option<Arc<str>>,
}

/// One row as it is kept beside a finished segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HourRow {
    hour_ms: u64,
    about: RowKey,
    totals: Totals,
}

/// One group of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The value of each dimension that was asked for, in that order; none where it isn't known.
    pub values: Vec<Option<Arc<str>>>,
    /// Its sums.
    pub totals: Totals,
}

/// An answer to "who used what".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReport {
    /// The costliest first.
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
}

/// The rows.
#[derive(Debug, Default)]
pub(super) struct Rollup {
    hours: BTreeMap<u64, HashMap<RowKey, Totals>>,
    rows: usize,
    complete_from_ms: u64,
    /// Each name once, shared by all rows.
    names: HashSet<Arc<str>>,
}

// === impl Rollup ===

impl Rollup {
    /// Counts a request.
    pub(super) fn count(&mut self, event: &UsageEvent) {
        let about = RowKey {
            org: self.name(&event.org),
            model: event.model.as_ref().map(|name| self.name(name)),
            key: Some(self.name(&event.key)),
            provider: event.provider.as_ref().map(|name| self.name(name)),
            task: event.task.as_ref().map(|name| self.name(name)),
            team: event.team.as_ref().map(|name| self.name(name)),
            user: event.user.as_ref().map(|name| self.name(name)),
        };
        self.add(event.at_ms, about, &Totals::of(event));
    }

    /// Adds a row that was kept beside a segment.
    pub(super) fn restore(&mut self, row: HourRow) {
        self.add(row.hour_ms, row.about, &row.totals);
    }

    /// All rows, for keeping them beside a segment.
    pub(super) fn rows(&self) -> Vec<HourRow> {
        let of_hour = |(hour_ms, rows): (&u64, &HashMap<RowKey, Totals>)| {
            let hour_ms = *hour_ms;
            let row = move |(about, totals): (&RowKey, &Totals)| HourRow {
                hour_ms,
                about: about.clone(),
                totals: *totals,
            };
            rows.iter().map(row).collect::<Vec<_>>()
        };
        self.hours.iter().flat_map(of_hour).collect()
    }

    /// The sums of one organization between two times, grouped.
    pub(super) fn report(
        &self,
        org: &str,
        by: &[Dimension],
        from_ms: u64,
        to_ms: u64,
    ) -> UsageReport {
        let from_ms = hour_of(from_ms);
        let to_ms = to_ms.checked_next_multiple_of(HOUR_MS).unwrap_or(u64::MAX);
        let mut groups: HashMap<Vec<Option<Arc<str>>>, Totals> = HashMap::new();
        let mut total = Totals::default();
        if from_ms < to_ms {
            for (about, totals) in self.hours.range(from_ms..to_ms).flat_map(|(_, rows)| rows) {
                if &*about.org != org {
                    continue;
                }
                total.add(totals);
                let values = by.iter().map(|one| one.of(about).clone()).collect();
                groups.entry(values).or_default().add(totals);
            }
        }
        let mut groups: Vec<Group> =
            groups.into_iter().map(|(values, totals)| Group { values, totals }).collect();
        groups.sort_by(|a, b| {
            let costlier = b.totals.cost_usd.cmp(&a.totals.cost_usd);
            costlier
                .then_with(|| b.totals.requests.cmp(&a.totals.requests))
                .then_with(|| a.values.cmp(&b.values))
        });
        let groups_left_out = groups.len().saturating_sub(GROUPS_MAX);
        groups.truncate(GROUPS_MAX);
        let complete_from_ms = self.complete_from_ms;
        UsageReport { groups, groups_left_out, total, from_ms, to_ms, complete_from_ms }
    }

    fn add(&mut self, at_ms: u64, mut about: RowKey, totals: &Totals) {
        let hour_ms = hour_of(at_ms);
        if hour_ms < self.complete_from_ms {
            return;
        }
        let is_new = self.hours.get(&hour_ms).is_none_or(|rows| !rows.contains_key(&about));
        if is_new && self.rows >= ROWS_MAX && !self.forget_oldest_hour_before(hour_ms) {
            // One hour alone is at the limit: the finest names are given up, the sums stay right.
            about.key = Some(self.name(REST));
            about.user = Some(self.name(REST));
        }
        let rows = self.hours.entry(hour_ms).or_default();
        let before = rows.len();
        rows.entry(about).or_default().add(totals);
        self.rows = self.rows.saturating_add(rows.len().saturating_sub(before));
    }

    fn forget_oldest_hour_before(&mut self, hour_ms: u64) -> bool {
        let Some(oldest) = self.hours.first_key_value().map(|(oldest, _)| *oldest) else {
            return false;
        };
        if oldest >= hour_ms {
            return false;
        }
        let gone = self.hours.remove(&oldest).map_or(0, |rows| rows.len());
        self.rows = self.rows.saturating_sub(gone);
        self.complete_from_ms = oldest.saturating_add(HOUR_MS);
        // Names that only forgotten rows had.
        self.names.retain(|name| Arc::strong_count(name) > 1);
        true
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }
}

fn hour_of(at_ms: u64) -> u64 {
    at_ms.saturating_sub(at_ms % HOUR_MS)
}

#[cfg(test)]
mod tests;
