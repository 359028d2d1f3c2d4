//! How long answers at each task are: of each organization for itself, since what one asks for is
//! no way of others, drawn towards what is common to all. That takes in little of what any of them
//! brings about. Bounded in number, in memory, no lock. A new organization copies the names of a
//! few others: all of them come within minutes of a start.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::bounded;
use super::tally::Tally;
use crate::catalog::TASKS;

/// What is common to all counts as much as so many answers of an organization's own.
const PRIOR_OF_TASK: f64 = 4.0;
/// What is believed beforehand counts as much as so many of all.
const PRIOR_OF_ALL: f64 = 30.0;
/// In what is common an answer of an organization's counts as one part in so many, and as less the
/// more of its own there were lately: ten of them move nothing that others would notice.
const COMMON_PARTS: f64 = 20.0;
/// Nor does any count there as more than so many times what is believed, or as less.
const COMMON_TIMES: f64 = 3.0;
/// Organizations with figures of their own, some 3 MB; one beyond has what is common.
const ORGS_MAX: usize = 16_384;
/// Parts that organizations are spread over by their names; a new one copies its part.
const PARTS: usize = 32;
/// As so many recent answers count those of an organization that has no figures of its own.
const RECENT_OF_OTHERS: f64 = 100.0;

/// Those that qualities are told apart by, and one for all others.
type ByTask = [Tally; TASKS.len() + 1];

/// Some of the organizations.
type Part = ArcSwap<HashMap<Arc<str>, Arc<ByTask>>>;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    common: ByTask,
    hasher: RandomState,
    parts: [Part; PARTS],
}

// === impl Tasks ===

impl Tasks {
    /// How many times as long an organization's answers at a task are as the difficulty alone lets
    /// expect.
    pub(super) fn times(&self, org: &str, task: usize) -> f64 {
        self.drawn(self.of(org).as_deref(), task)
    }

    /// One of its answers was so many times as long as its model's usually are, and counts as so
    /// many of the usual length.
    pub(super) fn add(&self, org: &str, task: usize, times: f64, answers: f64) {
        let own = self.of(org).or_else(|| self.begin(org));
        let own = own.as_deref().and_then(|own| own.get(task));
        if let Some(common) = self.common.get(task) {
            let believed = self.of_all(task);
            let sample = times.clamp(believed / COMMON_TIMES, believed * COMMON_TIMES);
            let recent = own.map_or(RECENT_OF_OTHERS, Tally::count);
            common.add(sample, 1.0 / (COMMON_PARTS + recent));
        }
        if let Some(own) = own {
            own.add(bounded(times), answers);
        }
    }

    /// The organization is gone.
    pub(super) fn forget(&self, org: &str) {
        let Some(part) = self.part(org) else { return };
        if part.load().contains_key(org) {
            part.rcu(|now| {
                let mut next = HashMap::clone(now);
                next.remove(org);
                next
            });
        }
    }

    fn drawn(&self, own: Option<&ByTask>, task: usize) -> f64 {
        let common = self.of_all(task);
        let own = own.and_then(|own| own.get(task));
        own.map_or(common, |own| bounded(own.mean(common, PRIOR_OF_TASK)))
    }

    fn of_all(&self, task: usize) -> f64 {
        self.common.get(task).map_or(1.0, |all| bounded(all.mean(1.0, PRIOR_OF_ALL)))
    }

    fn of(&self, org: &str) -> Option<Arc<ByTask>> {
        self.part(org)?.load().get(org).map(Arc::clone)
    }

    fn part(&self, org: &str) -> Option<&Part> {
        let hash = self.hasher.hash_one(org);
        self.parts.get(usize::try_from(hash % PARTS as u64).unwrap_or(0))
    }

    /// How many organizations have figures of their own.
    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.load().len()).sum()
    }

    /// The first answer of an organization.
    fn begin(&self, org: &str) -> Option<Arc<ByTask>> {
        if self.len() >= ORGS_MAX {
            return None;
        }
        self.part(org)?.rcu(|now| {
            let mut next = HashMap::clone(now);
            next.entry(Arc::from(org)).or_default();
            next
        });
        self.of(org)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(tasks: &Tasks, org: &str, times: f64, answers: u32) {
        (0..answers).for_each(|_| tasks.add(org, 0, times, 1.0));
    }

    #[test]
    fn one_organization_moves_itself_and_hardly_what_is_common() {
        let tasks = Tasks::default();
        learn(&tasks, "long", 20.0, 10);
        assert!(tasks.times("long", 0) > 10.0, "{}", tasks.times("long", 0));
        assert!((tasks.times("other", 0) - 1.0).abs() < 0.04, "{}", tasks.times("other", 0));
        learn(&tasks, "short", 0.001, 10);
        assert!(tasks.times("short", 0) < 0.5, "{}", tasks.times("short", 0));
        assert!((tasks.times("other", 0) - 1.0).abs() < 0.04, "{}", tasks.times("other", 0));
        assert!((tasks.times("long", 1) - 1.0).abs() < 1e-9, "nor at another task");
        learn(&tasks, "long", 20.0, 100);
        assert!(tasks.times("other", 0) < 1.25, "{}", tasks.times("other", 0));
    }

    #[test]
    fn what_many_see_is_where_others_begin() {
        let tasks = Tasks::default();
        (0..200).for_each(|org| learn(&tasks, &format!("org-{org}"), 3.0, 20));
        let common = tasks.times("new", 0);
        assert!((2.0..3.1).contains(&common), "{common}");
        learn(&tasks, "new", 1.0, 30);
        assert!(tasks.times("new", 0) < 1.5, "its own counts soon: {}", tasks.times("new", 0));
    }

    #[test]
    fn an_organization_is_forgotten_and_there_are_never_too_many() {
        let tasks = Tasks::default();
        learn(&tasks, "gone", 20.0, 10);
        tasks.forget("gone");
        tasks.forget("never seen");
        assert!((tasks.times("gone", 0) - 1.0).abs() < 0.04, "{}", tasks.times("gone", 0));
        assert_eq!(tasks.len(), 0);
        (0..ORGS_MAX).for_each(|org| learn(&tasks, &org.to_string(), 1.0, 1));
        assert_eq!(tasks.len(), ORGS_MAX);
        learn(&tasks, "late", 20.0, 10);
        assert_eq!(tasks.len(), ORGS_MAX);
        assert!((tasks.times("late", 0) - 1.0).abs() < 0.04, "it has what is common");
    }

    /// After a start all of them come at once, on the workers of the data plane.
    #[test]
    fn a_new_organization_copies_a_small_part_of_the_others() {
        let tasks = Tasks::default();
        (0..1_000).for_each(|org| learn(&tasks, &format!("org-{org}"), 1.0, 1));
        let seen = || tasks.parts.iter().map(Part::load_full).collect::<Vec<_>>();
        let before = seen();
        learn(&tasks, "new", 1.0, 1);
        let after = seen();
        let changed = before.iter().zip(&after).filter(|(old, new)| !Arc::ptr_eq(old, new));
        let copied: Vec<usize> = changed.map(|(old, _)| old.len()).collect();
        let [copied] = copied.as_slice() else { panic!("{copied:?}") };
        assert!(*copied < 150, "{copied} of 1000");
    }
}
