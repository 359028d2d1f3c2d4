//! Instances that are kept between requests, for bindings that have them: each [`Shelf`] is one
//! binding's, so no organization, plugin or configuration ever gets another's. An instance serves
//! one call at a time and is let go after a while; what a guest keeps in its globals is a cache
//! that may be gone at any moment. Never starts an instance and never waits for one.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::binding::Binding;
use super::instance::Instance;
use super::quota::Quota;
use crate::clock;
use crate::hook::{Hook, InstanceLife};

/// Calls of one instance, drawn for each: what leaks or rots in a guest ends with it, and not in
/// all instances at once.
const CALLS: RangeInclusive<u32> = 500..=1_500;
/// How long an instance waits for its next call.
const IDLE_MS: u64 = 60_000;
/// Idle instances of one binding: as many calls at once are rare, and each keeps its memory.
const IDLE_MAX: usize = 8;
/// Bytes of linear memory that idle instances keep, of all organizations together: about forty
/// Python interpreters.
const IDLE_BYTES_MAX: usize = 512 << 20;
/// Microseconds of a fresh call above which keeping instances is worth it.
const SLOW_FRESH_US: u32 = 250;

/// Whether a binding's instances are kept. What its owner asks for counts; else they are where a
/// fresh call was measured slow, but never for a decision that reads content, because a guest's
/// memory would outlive the request.
pub fn keeps_warm(asked: Option<InstanceLife>, hook: Hook, fresh_us: u32) -> bool {
    match asked {
        Some(life) => life == InstanceLife::Warm,
        None => fresh_us > SLOW_FRESH_US && !hook.reads_content(),
    }
}

/// The account of all idle instances of an engine.
#[derive(Debug)]
pub(super) struct Shelves {
    idle_max: usize,
    idle: AtomicUsize,
    bytes: AtomicUsize,
    known: Mutex<Vec<Weak<Shelf>>>,
}

/// The idle instances of one binding.
pub(super) struct Shelf {
    all: Arc<Shelves>,
    quota: Option<Arc<Quota>>,
    own: Mutex<Vec<Idle>>,
}

/// An instance that waits for its next call, and its place in the account.
struct Idle {
    instance: Instance,
    since_ms: u64,
    _place: Place,
}

/// Given back to the account when dropped.
struct Place {
    all: Arc<Shelves>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.idle.fetch_sub(1, Ordering::AcqRel);
        self.all.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("idle", &self.idle()).finish_non_exhaustive()
    }
}

/// Gives the instances back that are kept for other requests too.
pub(super) fn give_back(instances: &mut Vec<(Arc<Binding>, Instance)>) {
    for (of, instance) in instances.extract_if(.., |(of, _)| of.warm.is_some()) {
        if let Some(shelf) = &of.warm {
            shelf.put(instance);
        }
    }
}

/// A number of calls for one instance.
pub(super) fn calls_of_one() -> u32 {
    rand::random_range(CALLS)
}

// === impl Shelves ===

impl Shelves {
    /// An account for an engine of so many instances: a quarter of them may be idle, so that two
    /// quarters of what organizations may have are left for whoever has none.
    pub(super) fn new(instances_max: usize) -> Self {
        Self {
            idle_max: instances_max / 4,
            idle: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            known: Mutex::default(),
        }
    }

    /// A shelf for a binding whose instances count to this share.
    pub(super) fn shelf(self: &Arc<Self>, quota: Option<Arc<Quota>>) -> Arc<Shelf> {
        let shelf = Arc::new(Shelf { all: Arc::clone(self), quota, own: Mutex::default() });
        let mut known = self.known.lock();
        known.retain(|shelf| shelf.strong_count() > 0);
        known.push(Arc::downgrade(&shelf));
        shelf
    }

    /// Idle instances now.
    pub(super) fn idle(&self) -> usize {
        self.idle.load(Ordering::Acquire)
    }

    /// Lets go what has waited too long; to be called now and then.
    pub(super) fn sweep(&self, now_ms: u64) {
        let known: Vec<Arc<Shelf>> = self.known.lock().iter().filter_map(Weak::upgrade).collect();
        for shelf in known {
            shelf.let_go(now_ms);
        }
    }

    /// A place for an instance of that size, if there is one.
    fn place(self: &Arc<Self>, bytes: usize) -> Option<Place> {
        let idle = self.idle.fetch_add(1, Ordering::AcqRel);
        let before = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let place = Place { all: Arc::clone(self), bytes };
        let fits = idle < self.idle_max && before.saturating_add(bytes) <= IDLE_BYTES_MAX;
        fits.then_some(place)
    }
}

// === impl Shelf ===

impl Shelf {
    /// An idle instance, the one that was used last, as if it had just been started.
    pub(super) fn take(&self) -> Option<Instance> {
        let now_ms = clock::now_ms();
        loop {
            let Idle { mut instance, since_ms, _place } = self.own.lock().pop()?;
            if now_ms.saturating_sub(since_ms) < IDLE_MS && self.fits(&instance) {
                instance.begin_anew();
                return Some(instance);
            }
        }
    }

    /// Keeps an instance for a later call, without anything of the request that it served; or lets
    /// it go, where it is worn or there is no room.
    pub(super) fn put(&self, mut instance: Instance) {
        instance.forget_request();
        let crowded = self.quota.as_ref().is_some_and(|quota| quota.is_crowded());
        if crowded || instance.is_worn() || !self.fits(&instance) {
            return;
        }
        let Some(place) = self.all.place(instance.memory_bytes()) else { return };
        let idle = Idle { instance, since_ms: clock::now_ms(), _place: place };
        let mut own = self.own.lock();
        if own.len() < IDLE_MAX {
            own.push(idle);
        } else {
            // Its memory is given back without the lock.
            drop(own);
            drop(idle);
        }
    }

    /// Lets go what may not be used any more.
    pub(super) fn clear(&self) {
        drop(std::mem::take(&mut *self.own.lock()));
    }

    /// Instances that wait here.
    pub(super) fn idle(&self) -> usize {
        self.own.lock().len()
    }

    fn let_go(&self, now_ms: u64) {
        let mut own = self.own.lock();
        let old = own.partition_point(|one| now_ms.saturating_sub(one.since_ms) >= IDLE_MS);
        let gone: Vec<Idle> = own.drain(..old).collect();
        drop(own);
        drop(gone);
    }

    /// Whether it was started under the limits that its organization has now.
    fn fits(&self, instance: &Instance) -> bool {
        let allowed = self.quota.as_ref().map(|quota| quota.allowance());
        allowed.is_none_or(|allowed| instance.allowance() == Some(allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_slow_and_sees_no_content_is_kept_by_itself() {
        for hook in Hook::ALL {
            let kept = keeps_warm(None, hook, SLOW_FRESH_US + 1);
            assert_eq!(kept, matches!(hook, Hook::Route | Hook::Bill), "{}", hook.label());
            assert!(!keeps_warm(None, hook, SLOW_FRESH_US));
            assert!(keeps_warm(Some(InstanceLife::Warm), hook, 1));
            assert!(!keeps_warm(Some(InstanceLife::Fresh), hook, 9_999));
        }
    }
}
