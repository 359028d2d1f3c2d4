//! What one organization's policies may take at a time, so that a noisy one takes nothing from its
//! neighbours. One [`Quota`] per organization, shared by all its bindings, old and new ones alike:
//! a change of a binding gives nobody a second share. What an operator allows one organization is
//! felt by its next instance and call. Knows no policy.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::engine::PolicyLimits;

/// Comparisons of one organization that may wait at a time, of all that may.
const COMPARISONS_MAX: usize = 16;

/// What an operator allows one organization's policies; the installation's own figure where there
/// is none. Who sets them sees to it that none is above the installation's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrgLimits {
    /// The longest processor time of one call, whatever a binding says.
    pub deadline: Option<Duration>,
    /// Bytes of linear memory of one instance.
    pub memory_bytes: Option<usize>,
    /// Instances alive at once.
    pub instances: Option<u32>,
    /// Lines that one instance may write to its log for a request.
    pub log_lines: Option<u32>,
    /// Bytes that one plugin may keep in its state.
    pub state_bytes: Option<usize>,
}

/// What one instance may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) memory_bytes: usize,
    pub(super) log_lines: u32,
}

/// The shares of all organizations.
#[derive(Debug)]
pub(super) struct Quotas {
    usual: Share,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    shares: HashMap<String, Weak<Quota>>,
    /// Only of organizations that have their own.
    limits: HashMap<String, OrgLimits>,
}

/// The figures of a share.
#[derive(Debug, Clone, Copy)]
struct Share {
    instances: usize,
    deadline: Duration,
    allowance: Allowance,
}

/// One organization's share.
#[derive(Debug)]
pub struct Quota {
    instances: Arc<Semaphore>,
    /// Held while the share changes.
    turn: Mutex<()>,
    /// Instances beyond a share that was made smaller while they were alive.
    surplus: AtomicUsize,
    /// What each call and instance reads, without the lock.
    deadline_ms: AtomicUsize,
    memory_bytes: AtomicUsize,
    log_lines: AtomicUsize,
    instances_max: AtomicUsize,
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
    pub(super) fn new(limits: &PolicyLimits) -> Self {
        let usual = Share {
            instances: permits(limits.org_instances_max),
            // A binding's own deadline counts, which is bounded where it is set.
            deadline: Duration::MAX,
            allowance: Allowance {
                memory_bytes: limits.memory_bytes_max,
                log_lines: limits.log_lines_max,
            },
        };
        Self { usual, known: Mutex::default() }
    }

    /// Sets an organization's limits, also for the instances and bindings that it has.
    pub(super) fn limit(&self, org: &str, limits: &OrgLimits) {
        let mut known = self.known.lock();
        match *limits == OrgLimits::default() {
            true => known.limits.remove(org),
            false => known.limits.insert(org.to_owned(), *limits),
        };
        if let Some(quota) = known.shares.get(org).and_then(Weak::upgrade) {
            quota.set(self.usual.within(limits));
        }
    }

    /// The organization's share, made at its first use.
    pub(super) fn of(&self, org: &str) -> Arc<Quota> {
        let mut known = self.known.lock();
        if let Some(quota) = known.shares.get(org).and_then(Weak::upgrade) {
            return quota;
        }
        known.shares.retain(|_, quota| quota.strong_count() > 0);
        let limits = known.limits.get(org).copied().unwrap_or_default();
        let quota = Arc::new(Quota::new(self.usual.within(&limits)));
        known.shares.insert(org.to_owned(), Arc::downgrade(&quota));
        quota
    }
}

fn permits(instances: u32) -> usize {
    usize::try_from(instances).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS)
}

// === impl Share ===

impl Share {
    fn within(self, limits: &OrgLimits) -> Self {
        let Allowance { memory_bytes, log_lines } = self.allowance;
        Self {
            instances: limits.instances.map_or(self.instances, permits),
            deadline: limits.deadline.unwrap_or(self.deadline),
            allowance: Allowance {
                memory_bytes: limits.memory_bytes.unwrap_or(memory_bytes),
                log_lines: limits.log_lines.unwrap_or(log_lines),
            },
        }
    }
}

// === impl Quota ===

impl Quota {
    fn new(share: Share) -> Self {
        let quota = Self {
            instances: Arc::new(Semaphore::new(share.instances)),
            instances_max: AtomicUsize::new(share.instances),
            surplus: AtomicUsize::new(0),
            deadline_ms: AtomicUsize::new(usize::MAX),
            memory_bytes: AtomicUsize::new(0),
            log_lines: AtomicUsize::new(0),
            comparisons: AtomicUsize::new(0),
            turn: Mutex::default(),
        };
        quota.set(share);
        quota
    }

    /// Takes other figures. Who has more instances than he may have now gets none until enough of
    /// them have ended.
    fn set(&self, share: Share) {
        let _turn = self.turn.lock();
        let before = self.instances_max.swap(share.instances, Ordering::AcqRel);
        match share.instances.checked_sub(before) {
            Some(more) => {
                let owed = self.surplus.load(Ordering::Acquire);
                let settled = owed.min(more);
                self.surplus.fetch_sub(settled, Ordering::AcqRel);
                self.instances.add_permits(more.saturating_sub(settled));
            }
            None => {
                let less = before.saturating_sub(share.instances);
                let gone = self.instances.forget_permits(less);
                self.surplus.fetch_add(less.saturating_sub(gone), Ordering::AcqRel);
            }
        }
        let ms = usize::try_from(share.deadline.as_millis()).unwrap_or(usize::MAX);
        self.deadline_ms.store(ms, Ordering::Release);
        self.memory_bytes.store(share.allowance.memory_bytes, Ordering::Release);
        let lines = usize::try_from(share.allowance.log_lines).unwrap_or(usize::MAX);
        self.log_lines.store(lines, Ordering::Release);
    }

    /// Instances that the organization has now.
    pub fn live_instances(&self) -> usize {
        let most = self.instances_max.load(Ordering::Acquire);
        let most = most.saturating_add(self.surplus.load(Ordering::Acquire));
        most.saturating_sub(self.instances.available_permits())
    }

    pub(super) fn instances(&self) -> Arc<Semaphore> {
        self.settle();
        Arc::clone(&self.instances)
    }

    /// Takes back what has ended of the instances beyond the share.
    fn settle(&self) {
        if self.surplus.load(Ordering::Acquire) == 0 {
            return;
        }
        let _turn = self.turn.lock();
        let gone = self.instances.forget_permits(self.surplus.load(Ordering::Acquire));
        self.surplus.fetch_sub(gone, Ordering::AcqRel);
    }

    /// The longest processor time of one call.
    pub(super) fn deadline(&self) -> Duration {
        let ms = self.deadline_ms.load(Ordering::Relaxed);
        Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// What one instance may take now.
    pub(super) fn allowance(&self) -> Allowance {
        let lines = self.log_lines.load(Ordering::Relaxed);
        Allowance {
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
            log_lines: u32::try_from(lines).unwrap_or(u32::MAX),
        }
    }

    /// Whether the organization's own instances are getting scarce.
    pub(super) fn is_crowded(&self) -> bool {
        self.live_instances() > self.instances_max.load(Ordering::Acquire) / 2
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

    fn of_two() -> Quotas {
        Quotas::new(&PolicyLimits { org_instances_max: 2, ..PolicyLimits::default() })
    }

    #[test]
    fn a_smaller_share_is_felt_when_instances_end_and_a_larger_one_at_once() {
        let quotas = of_two();
        let mine = quotas.of("a");
        let take = || mine.instances().try_acquire_owned();
        let mut held = vec![take().unwrap(), take().unwrap()];
        quotas.limit("a", &OrgLimits { instances: Some(1), ..OrgLimits::default() });
        assert_eq!(mine.live_instances(), 2);
        held.pop();
        assert!(take().is_err(), "one of one is alive");
        assert_eq!(mine.live_instances(), 1);
        held.pop();
        held.push(take().unwrap());
        assert!(take().is_err());
        quotas.limit("a", &OrgLimits { instances: Some(3), ..OrgLimits::default() });
        held.extend([take().unwrap(), take().unwrap()]);
        assert!(take().is_err());
        quotas.limit("a", &OrgLimits::default());
        assert_eq!(mine.live_instances(), 3);
        held.truncate(1);
        assert!(take().is_ok());
    }

    #[test]
    fn limits_are_one_organizations_and_outlive_its_bindings() {
        let quotas = of_two();
        let (memory_bytes, deadline) = (Some(1 << 20), Some(Duration::from_millis(7)));
        quotas.limit("a", &OrgLimits { memory_bytes, deadline, ..OrgLimits::default() });
        let (mine, other) = (quotas.of("a"), quotas.of("b"));
        assert_eq!((mine.allowance().memory_bytes, mine.deadline().as_millis()), (1 << 20, 7));
        assert_eq!(mine.allowance().log_lines, other.allowance().log_lines);
        assert_eq!(other.allowance().memory_bytes, PolicyLimits::default().memory_bytes_max);
        assert!(other.deadline() > Duration::from_secs(3_600));
        quotas.limit("a", &OrgLimits::default());
        assert_eq!(mine.allowance(), other.allowance());
    }

    #[test]
    fn a_share_is_one_organizations_and_lives_as_long_as_it_is_held() {
        let quotas = of_two();
        let mine = quotas.of("a");
        let held = mine.instances().try_acquire_owned().unwrap();
        assert_eq!(quotas.of("a").live_instances(), 1, "the same share");
        assert_eq!(quotas.of("b").live_instances(), 0);
        assert!(!mine.is_crowded());
        let _second = mine.instances().try_acquire_owned().unwrap();
        assert!(mine.is_crowded() && mine.instances().try_acquire_owned().is_err());
        drop((mine, held));
        assert_eq!(quotas.of("b").live_instances(), 0);
        assert_eq!(quotas.known.lock().shares.len(), 1, "what nobody holds is forgotten");
    }

    #[test]
    fn comparisons_are_bounded_and_given_back() {
        let quota = of_two().of("a");
        let mut held: Vec<_> = (0..COMPARISONS_MAX).map(|_| quota.comparison().unwrap()).collect();
        assert!(quota.comparison().is_none());
        held.pop();
        assert!(quota.comparison().is_some());
    }
}
