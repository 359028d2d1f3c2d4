//! Statistics by the hour: what was used and what it cost, per organization and combination of
//! model, key, provider, task, team, project, user, alias, session, agent and tags. In memory and
//! bounded, rows and names: when there are too many, the oldest hours first forget sessions, agents
//! and tags, then go; and every report says from when on it is complete, and from when on detailed.
//! It is always the organization with the most that has to give something up.

mod about;
mod anomaly;
mod kept;
mod names;
mod org;
mod report;

use std::collections::HashMap;
use std::sync::Arc;

use turnpike_ledger::PicoUsd;
use turnpike_protocol::Usage;

use super::event::UsageEvent;
use super::row::buckets;
use about::{About, Detail};
use names::{NONE, NameId};
use org::OrgRows;

pub use anomaly::Anomaly;
pub(super) use kept::{EarlierRow, Rows};
pub use report::{BucketOf, Group, Only, Query, UsageReport};

/// Rows kept in memory, about 300 bytes each.
const ROWS_MAX: usize = 300_000;
/// Rows above which the oldest hours forget what is fine about them.
const DETAILED_ROWS_MAX: usize = 250_000;
/// Bytes of the names that rows have.
const NAMES_BYTES_MAX: usize = 96 << 20;

const HOUR_MS: u64 = 3_600_000;

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

    /// What it is of one request.
    pub fn value_in<'a>(&self, event: &'a UsageEvent) -> Option<&'a str> {
        match self.field() {
            Ok(field) => About::of(event).fields.get(field).copied().flatten(),
            Err(name) => {
                let tags = &mut event.tags.iter();
                tags.find(|(known, _)| **known == *name).map(|(_, value)| &**value)
            }
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

/// How much there is.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    rows: usize,
    /// Rows of the segment that is being written.
    open: usize,
    /// Bytes of names.
    names: usize,
}

/// How much there may be.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    rows: usize,
    detailed_rows: usize,
    names_bytes: usize,
}

/// The rows.
#[derive(Debug, Default)]
pub(super) struct Rollup {
    bounds: Bounds,
    orgs: HashMap<Arc<str>, OrgRows>,
    /// Of all of them.
    size: Size,
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        Self { rows: ROWS_MAX, detailed_rows: DETAILED_ROWS_MAX, names_bytes: NAMES_BYTES_MAX }
    }
}

impl Bounds {
    /// Rows of one organization that are kept beside a segment in full.
    fn open_rows_of_org(self) -> usize {
        self.rows / 3 * 2
    }

    /// Bytes of one organization's names.
    fn names_bytes_of_org(self) -> usize {
        self.names_bytes / 3 * 2
    }

    /// Rows and bytes of names from which on a new row tells nothing apart that there could be many
    /// of.
    fn least(self) -> (usize, usize) {
        let beyond = |bound: usize| bound.saturating_add(bound / 10);
        (beyond(self.rows), beyond(self.names_bytes))
    }
}

// === impl Rollup ===

impl Rollup {
    /// Counts a request.
    pub(super) fn count(&mut self, event: &UsageEvent) {
        let (about, totals) = (About::of(event), Totals::of(event));
        self.add(event.at_ms, &about, &totals);
        self.add_open(event.at_ms, &about, &totals);
    }

    fn add(&mut self, at_ms: u64, about: &About<'_>, totals: &Totals) {
        let hour_ms = hour_of(at_ms);
        if self.change(about.org(), |own| own.add_known(hour_ms, about, totals)) {
            return;
        }
        // Whether there is room is settled before any of its names is kept.
        self.make_room(about.org(), hour_ms);
        let detail = self.room(about.org(), self.size.rows);
        self.change(about.org(), |own| own.add(hour_ms, about, detail, totals));
    }

    /// Adds to the rows of the segment that is being written.
    fn add_open(&mut self, at_ms: u64, about: &About<'_>, totals: &Totals) {
        let mut detail = self.room(about.org(), self.size.open);
        let most = self.bounds.open_rows_of_org();
        if self.orgs.get(about.org()).is_some_and(|own| own.size().open >= most) {
            detail = detail.max(Detail::Rest);
        }
        self.change(about.org(), |own| own.add_open(hour_of(at_ms), about, detail, totals));
    }

    /// How much of a new row there is room for, beside so many rows.
    fn room(&self, org: &str, rows: usize) -> Detail {
        let own = self.orgs.get(org).map(OrgRows::size).unwrap_or_default();
        let names = self.size.names;
        let (rows_least, names_least) = self.bounds.least();
        if rows >= rows_least || names >= names_least {
            Detail::Least
        } else if rows >= self.bounds.rows
            || names >= self.bounds.names_bytes
            || own.names >= self.bounds.names_bytes_of_org()
        {
            Detail::Rest
        } else {
            Detail::Full
        }
    }

    /// Before a new row: takes a step towards fewer of them where there are too many.
    fn make_room(&mut self, org: &str, hour_ms: u64) {
        if self.size.rows >= self.bounds.detailed_rows {
            self.change_largest(|size| size.rows, |own| own.coarsen_oldest(hour_ms));
        }
        if self.size.rows >= self.bounds.rows {
            let less = |own: &mut OrgRows| own.forget_oldest(hour_ms) || own.give_up_newest();
            self.change_largest(|size| size.rows, less);
        }
        let own = self.orgs.get(org).map(OrgRows::size).unwrap_or_default();
        if own.names >= self.bounds.names_bytes_of_org() {
            self.change(org, |own| own.forget_names(hour_ms));
        } else if self.size.names >= self.bounds.names_bytes {
            self.change_largest(|size| size.names, |own| own.forget_names(hour_ms));
        }
    }

    fn change_largest(
        &mut self,
        by: impl Fn(Size) -> usize,
        change: impl FnOnce(&mut OrgRows) -> bool,
    ) {
        let largest = self.orgs.iter().max_by_key(|(_, own)| by(own.size()));
        if let Some(largest) = largest.map(|(org, _)| Arc::clone(org)) {
            self.change(&largest, change);
        }
    }

    /// Changes one organization's rows, and counts them anew.
    fn change<T>(&mut self, org: &str, change: impl FnOnce(&mut OrgRows) -> T) -> T {
        let own = match self.orgs.get_mut(org) {
            Some(own) => own,
            None => self.orgs.entry(org.into()).or_default(),
        };
        let before = own.size();
        let done = change(own);
        let after = own.size();
        let moved = |all: usize, before: usize, after: usize| {
            all.saturating_add(after).saturating_sub(before)
        };
        self.size = Size {
            rows: moved(self.size.rows, before.rows, after.rows),
            open: moved(self.size.open, before.open, after.open),
            names: moved(self.size.names, before.names, after.names),
        };
        done
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

/// The full hour of UTC in which that was.
pub(super) fn hour_of(at_ms: u64) -> u64 {
    at_ms.saturating_sub(at_ms % HOUR_MS)
}

#[cfg(test)]
mod tests;
