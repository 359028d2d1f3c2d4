//! What one organization's policies may take at a time, so that a noisy one takes nothing from its
//! neighbours. One [`Quota`] per organization, shared by all its bindings, old and new ones alike:
//! a change of a binding gives nobody a second share. Knows no policy.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// Comparisons of one organization that may wait at a time, of all that may.
const COMPARISONS_MAX: usize = 16;

/// The shares of all organizations.
#[derive(Debug)]
pub(super) struct Quotas {
    instances_max: usize,
    known: Mutex<HashMap<String, Weak<Quota>>>,
}

/// One organization's share.
#[derive(Debug)]
pub struct Quota {
    instances: Arc<Semaphore>,
    instances_max: usize,
    comparisons: AtomicUsize,
}

/// A comparison that waits or runs; counted until it is dropped.
#[derive(Debug)]
pub(super) struct Comparing(Arc<Quota>);

impl Drop for Comparing {
    fn drop(&mut self) {
        self.0.comparisons.fetch_sub(1, Ordering::AcqRel);
    }
}

// === impl Quotas ===

impl Quotas {
    pub(super) fn new(instances_max: u32) -> Self {
        let instances_max = usize::try_from(instances_max).unwrap_or(usize::MAX);
        let instances_max = instances_max.clamp(1, Semaphore::MAX_PERMITS);
        Self { instances_max, known: Mutex::default() }
    }

    /// The organization's share, made at its first use.
    pub(super) fn of(&self, org: &str) -> Arc<Quota> {
        let mut known = self.known.lock();
        if let Some(quota) = known.get(org).and_then(Weak::upgrade) {
            return quota;
        }
        known.retain(|_, quota| quota.strong_count() > 0);
        let quota = Arc::new(Quota {
            instances: Arc::new(Semaphore::new(self.instances_max)),
            instances_max: self.instances_max,
            comparisons: AtomicUsize::new(0),
        });
        known.insert(org.to_owned(), Arc::downgrade(&quota));
        quota
    }
}

// === impl Quota ===

impl Quota {
    /// Instances that the organization has now.
    pub fn live_instances(&self) -> usize {
        self.instances_max.saturating_sub(self.instances.available_permits())
    }

    pub(super) fn instances(&self) -> Arc<Semaphore> {
        Arc::clone(&self.instances)
    }

    /// Whether the organization's own instances are getting scarce.
    pub(super) fn is_crowded(&self) -> bool {
        self.live_instances() > self.instances_max / 2
    }

    /// The right to one more comparison; `None` when too many wait already.
    pub(super) fn comparison(self: &Arc<Self>) -> Option<Comparing> {
        let room = |count: usize| (count < COMPARISONS_MAX).then_some(count.saturating_add(1));
        let taken =
            self.comparisons.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_ok();
        taken.then(|| Comparing(Arc::clone(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_one_organizations_and_lives_as_long_as_it_is_held() {
        let quotas = Quotas::new(2);
        let mine = quotas.of("a");
        let held = mine.instances().try_acquire_owned().unwrap();
        assert_eq!(quotas.of("a").live_instances(), 1, "the same share");
        assert_eq!(quotas.of("b").live_instances(), 0);
        assert!(!mine.is_crowded());
        let _second = mine.instances().try_acquire_owned().unwrap();
        assert!(mine.is_crowded() && mine.instances().try_acquire_owned().is_err());
        drop((mine, held));
        assert_eq!(quotas.of("b").live_instances(), 0);
        assert_eq!(quotas.known.lock().len(), 1, "what nobody holds is forgotten");
    }

    #[test]
    fn comparisons_are_bounded_and_given_back() {
        let quota = Quotas::new(1).of("a");
        let mut held: Vec<_> = (0..COMPARISONS_MAX).map(|_| quota.comparison().unwrap()).collect();
        assert!(quota.comparison().is_none());
        held.pop();
        assert!(quota.comparison().is_some());
    }
}
