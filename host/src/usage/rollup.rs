//! Statistics by the hour: what was used and what it cost, per organization and combination of
//! model, key, provider, task, team, project, user, alias, session, agent and tags. In memory and
//! bounded: when there are too many rows, the oldest hours first forget sessions, agents and tags,
//! then go; and every report says from when on it is complete, and from when on detailed.

mod anomaly;
mod kept;
mod names;
mod report;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;

use super::event::UsageEvent;
use super::row::buckets;
use names::{NONE, NameId, Names};

pub use anomaly::Anomaly;
pub(super) use kept::{EarlierRow, Rows};
pub use report::{BucketOf, Group, Query, UsageReport};

/// Rows kept in memory, about 300 bytes each.
const ROWS_MAX: usize = 300_000;
/// Rows above which the oldest hours forget what is fine about them.
const DETAILED_ROWS_MAX: usize = 250_000;
/// Names that may be there beyond those that rows need, before they are gone through.
const NAMES_SPARE: usize = 50_000;

const HOUR_MS: u64 = 3_600_000;

/// What stands for "and the rest" when one hour alone has too many rows.
const REST: &str = "(other)";

const ORG: usize = 0;
const MODEL: usize = 1;
const KEY: usize = 2;
const PROVIDER: usize = 3;
const TASK: usize = 4;
const TEAM: usize = 5;
const USER: usize = 6;
const PROJECT: usize = 7;
const ALIAS: usize = 8;
const SESSION: usize = 9;
const AGENT: usize = 10;
/// A number of a set of tags.
const TAGS: usize = 11;
const FIELDS: usize = 12;

/// What a row is about: the numbers of names, in the order above.
type RowKey = [NameId; FIELDS];

/// What usage can be grouped by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// The project.
    Project,
    /// What was asked for: a model's name, or an alias such as `auto`.
    Alias,
    /// The session.
    Session,
    /// The agent.
    Agent,
    /// The value of the tag of that name.
    Tag(Arc<str>),
}

/// How many dimensions there are besides tags.
const DIMENSIONS: usize = 10;

// === impl Dimension ===

impl Dimension {
    /// All of them but tags, which are `tag:NAME`.
    pub const ALL: [Self; DIMENSIONS] = [
        Self::Model,
        Self::Key,
        Self::Provider,
        Self::Task,
        Self::Team,
        Self::User,
        Self::Project,
        Self::Alias,
        Self::Session,
        Self::Agent,
    ];

    /// The name in the API.
    pub fn label(&self) -> String {
        let label = match self {
            Self::Model => "model",
            Self::Key => "key",
            Self::Provider => "provider",
            Self::Task => "task",
            Self::Team => "team",
            Self::User => "user",
            Self::Project => "project",
            Self::Alias => "alias",
            Self::Session => "session",
            Self::Agent => "agent",
            Self::Tag(name) => return format!("tag:{name}"),
        };
        label.to_owned()
    }

    /// The dimension of that name.
    pub fn from_label(label: &str) -> Option<Self> {
        match label.strip_prefix("tag:") {
            Some("") => None,
            Some(name) => Some(Self::Tag(name.into())),
            None => Self::ALL.into_iter().find(|one| one.label() == label),
        }
    }

    /// The field of a row, or the name of a tag.
    fn field(&self) -> Result<usize, &str> {
        Ok(match self {
            Self::Model => MODEL,
            Self::Key => KEY,
            Self::Provider => PROVIDER,
            Self::Task => TASK,
            Self::Team => TEAM,
            Self::User => USER,
            Self::Project => PROJECT,
            Self::Alias => ALIAS,
            Self::Session => SESSION,
            Self::Agent => AGENT,
            Self::Tag(name) => return Err(name),
        })
    }
}

/// Sums over requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// What it would have been at list prices.
    pub list_usd: PicoUsd,
    /// Requests of which it is known what the strongest candidate would have cost.
    pub routed: u64,
    /// What it would have cost for these.
    pub baseline_usd: PicoUsd,
    /// What was paid for these.
    pub baseline_paid_usd: PicoUsd,
    /// What was used, bucket by bucket.
    pub usage: Usage,
}

// === impl Totals ===

impl Totals {
    fn of(event: &UsageEvent) -> Self {
        let paid = |_| event.cost_usd;
        Self {
            requests: 1,
            succeeded: u64::from(event.succeeded()),
            streamed: u64::from(event.stream),
            attempts: u64::from(event.attempts),
            cost_usd: event.cost_usd,
            list_usd: event.list_usd.unwrap_or(event.cost_usd),
            routed: u64::from(event.baseline_usd.is_some()),
            baseline_usd: event.baseline_usd.unwrap_or_default(),
            baseline_paid_usd: event.baseline_usd.map_or(PicoUsd::ZERO, paid),
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
        add(&mut self.routed, other.routed);
        let plus = |sum: &mut PicoUsd, more: PicoUsd| *sum = sum.saturating_add(more);
        plus(&mut self.cost_usd, other.cost_usd);
        plus(&mut self.list_usd, other.list_usd);
        plus(&mut self.baseline_usd, other.baseline_usd);
        plus(&mut self.baseline_paid_usd, other.baseline_paid_usd);
        let mut more = other.usage;
        for (sum, more) in buckets(&mut self.usage).into_iter().zip(buckets(&mut more)) {
            add(sum, *more);
        }
    }
}

/// The rows of an hour.
#[derive(Debug, Default)]
struct Hour {
    rows: HashMap<RowKey, Totals>,
    /// Sessions, agents and tags are not told apart any more.
    coarse: bool,
}

/// The rows.
#[derive(Debug, Default)]
pub(super) struct Rollup {
    hours: BTreeMap<u64, Hour>,
    rows: usize,
    complete_from_ms: u64,
    detailed_from_ms: u64,
    names: Names,
    /// The rows of the segment that is being written, to be kept beside it.
    open: BTreeMap<u64, HashMap<RowKey, Totals>>,
    open_rows: usize,
}

// === impl Rollup ===

impl Rollup {
    /// Counts a request.
    pub(super) fn count(&mut self, event: &UsageEvent) {
        let mut about = [NONE; FIELDS];
        let fields: [(usize, Option<&Arc<str>>); 11] = [
            (ORG, Some(&event.org)),
            (MODEL, event.model.as_ref()),
            (KEY, Some(&event.key)),
            (PROVIDER, event.provider.as_ref()),
            (TASK, event.task.as_ref()),
            (TEAM, event.team.as_ref()),
            (USER, event.user.as_ref()),
            (PROJECT, event.project.as_ref()),
            (ALIAS, Some(&event.model_asked)),
            (SESSION, event.session.as_ref()),
            (AGENT, event.agent.as_ref()),
        ];
        for (field, name) in fields {
            let id = name.map_or(NONE, |name| self.names.id(name));
            put(&mut about, field, id);
        }
        let tags = event.tags.iter();
        let tags = tags.map(|(name, value)| (self.names.id(name), self.names.id(value))).collect();
        let set = self.names.set(tags);
        put(&mut about, TAGS, set);
        let totals = Totals::of(event);
        self.add_open(event.at_ms, about, &totals);
        self.add(event.at_ms, about, &totals);
    }

    fn add(&mut self, at_ms: u64, mut about: RowKey, totals: &Totals) {
        let hour_ms = hour_of(at_ms);
        if hour_ms < self.complete_from_ms {
            return;
        }
        if hour_ms < self.detailed_from_ms {
            coarsen(&mut about);
        }
        let is_new = self.hours.get(&hour_ms).is_none_or(|hour| !hour.rows.contains_key(&about));
        if is_new && self.rows >= DETAILED_ROWS_MAX {
            self.coarsen_oldest_before(hour_ms);
        }
        if is_new && self.rows >= ROWS_MAX && !self.forget_oldest_before(hour_ms) {
            // One hour alone is at the limit.
            self.give_up(&mut about);
        }
        let hour = self.hours.entry(hour_ms).or_default();
        let before = hour.rows.len();
        hour.rows.entry(about).or_default().add(totals);
        self.rows = self.rows.saturating_add(hour.rows.len().saturating_sub(before));
    }

    /// Adds to the rows of the segment that is being written.
    fn add_open(&mut self, at_ms: u64, mut about: RowKey, totals: &Totals) {
        if self.open_rows >= ROWS_MAX {
            self.give_up(&mut about);
        }
        let rows = self.open.entry(hour_of(at_ms)).or_default();
        let before = rows.len();
        rows.entry(about).or_default().add(totals);
        self.open_rows = self.open_rows.saturating_add(rows.len().saturating_sub(before));
    }

    /// Gives up the finest names of a row that there is no room for; the sums stay right.
    fn give_up(&mut self, about: &mut RowKey) {
        let rest = self.names.id(REST);
        for field in [KEY, USER, SESSION, AGENT] {
            put(about, field, rest);
        }
        put(about, TAGS, NONE);
    }

    /// Gives up sessions, agents and tags of the oldest hour that has them, if it is older.
    fn coarsen_oldest_before(&mut self, hour_ms: u64) {
        let oldest = self.hours.range(..hour_ms).find(|(_, hour)| !hour.coarse);
        let Some(oldest) = oldest.map(|(oldest, _)| *oldest) else { return };
        let Some(hour) = self.hours.get_mut(&oldest) else { return };
        let before = hour.rows.len();
        let mut rows: HashMap<RowKey, Totals> = HashMap::new();
        for (mut about, totals) in std::mem::take(&mut hour.rows) {
            coarsen(&mut about);
            rows.entry(about).or_default().add(&totals);
        }
        self.rows = self.rows.saturating_sub(before.saturating_sub(rows.len()));
        *hour = Hour { rows, coarse: true };
        self.detailed_from_ms = self.detailed_from_ms.max(oldest.saturating_add(HOUR_MS));
        self.tidy_names();
    }

    fn forget_oldest_before(&mut self, hour_ms: u64) -> bool {
        let Some(oldest) = self.hours.first_key_value().map(|(oldest, _)| *oldest) else {
            return false;
        };
        if oldest >= hour_ms {
            return false;
        }
        let gone = self.hours.remove(&oldest).map_or(0, |hour| hour.rows.len());
        self.rows = self.rows.saturating_sub(gone);
        self.complete_from_ms = oldest.saturating_add(HOUR_MS);
        self.tidy_names();
        true
    }

    /// Drops names that only forgotten rows had, once there are many.
    fn tidy_names(&mut self) {
        let rows = self.rows.saturating_add(self.open_rows);
        if self.names.len() < rows.saturating_mul(2).saturating_add(NAMES_SPARE) {
            return;
        }
        let mut names = Names::default();
        let mut hours = BTreeMap::new();
        for (hour_ms, hour) in &self.hours {
            let rows = hour.rows.iter();
            let rows = rows.map(|(about, totals)| (self.moved(about, &mut names), *totals));
            hours.insert(*hour_ms, Hour { rows: rows.collect(), coarse: hour.coarse });
        }
        let mut open = BTreeMap::new();
        for (hour_ms, rows) in &self.open {
            let rows = rows.iter();
            let rows = rows.map(|(about, totals)| (self.moved(about, &mut names), *totals));
            open.insert(*hour_ms, rows.collect());
        }
        (self.hours, self.open, self.names) = (hours, open, names);
    }
}

/// Gives up what is fine about a row.
fn coarsen(about: &mut RowKey) {
    for field in [SESSION, AGENT, TAGS] {
        put(about, field, NONE);
    }
}

fn get(about: &RowKey, field: usize) -> NameId {
    about.get(field).copied().unwrap_or(NONE)
}

fn put(about: &mut RowKey, field: usize, id: NameId) {
    if let Some(place) = about.get_mut(field) {
        *place = id;
    }
}

fn hour_of(at_ms: u64) -> u64 {
    at_ms.saturating_sub(at_ms % HOUR_MS)
}

#[cfg(test)]
mod tests;
