//! The one place that spawns tasks, so that each has a name and is counted, and shutdown can wait
//! for those that finish a settlement; the time limit for what is usually done at once; and the
//! turn that a request gives to the others of its worker.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::AbortHandle;

/// Counts the running tasks of one kind of work; cloned into whoever spawns.
#[derive(Debug, Clone, Default)]
pub struct Tasks(Arc<Running>);

#[derive(Debug, Default)]
struct Running {
    count: AtomicUsize,
    idle: Notify,
}

struct Guard(Arc<Running>);

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

/// Told once, when the program has waited long enough for what still runs: it comes to its end now.
#[derive(Debug, Clone)]
pub struct LastCall(Arc<watch::Sender<bool>>);

impl Default for LastCall {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl LastCall {
    /// Tells everyone.
    pub fn call(&self) {
        self.0.send_replace(true);
    }

    /// Whether everyone was told.
    pub fn is_over(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until everyone is told.
    pub async fn over(&self) {
        // The sender is here, so it is never gone.
        drop(self.0.subscribe().wait_for(|over| *over).await);
    }
}

/// Long work of the data plane that runs on threads of their own at once, in the whole program:
/// with more, the workers would have to share their processors with it.
const ASIDE_MAX: usize = 2;

/// How long such work waits for its turn: what it is for has waited long enough then, and whoever
/// asked makes do without.
const TURN_WAIT_MAX: Duration = Duration::from_secs(10);

/// Runs what takes long beside the workers, a bounded number at a time; the others wait, for a
/// bounded time.
#[derive(Debug)]
pub struct Aside(Arc<Semaphore>);

impl Default for Aside {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ASIDE_MAX)))
    }
}

impl Aside {
    /// What `work` comes to; `None` where its turn did not come in time, it panicked, or the
    /// program is coming down. It is not given up when nobody waits any more, but nothing that
    /// waits for its turn is begun then.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.run_within(TURN_WAIT_MAX, work).await
    }

    async fn run_within<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let permit = within(limit, Arc::clone(&self.0).acquire_owned()).await?.ok()?;
        keeping(permit, work).await
    }
}

/// Runs work beside the workers with something that is given back at its end, also when nobody
/// waits for it any more.
async fn keeping<T: Send + 'static>(
    kept: impl Send + 'static,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(kept);
        done
    });
    done.await.ok()
}

/// Work of one kind beside the workers that nothing waits for: it is begun at once, or refused.
/// Half of the places at most are one organization's.
#[derive(Debug)]
pub struct Turns {
    at_once: usize,
    taken: Arc<Mutex<Vec<Arc<str>>>>,
}

/// All places are taken, or all that the organization may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

struct Place {
    taken: Arc<Mutex<Vec<Arc<str>>>>,
    org: Arc<str>,
}

impl Turns {
    /// With so many places, at least two.
    pub fn new(at_once: usize) -> Self {
        Self { at_once: at_once.max(2), taken: Arc::default() }
    }

    /// What `work` comes to; `None` only where it panicked or the program is coming down.
    ///
    /// # Errors
    /// When there is no place for it.
    pub async fn run<T: Send + 'static>(
        &self,
        org: &Arc<str>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, Busy> {
        let place = self.place(org).ok_or(Busy)?;
        Ok(keeping(place, work).await)
    }

    fn place(&self, org: &Arc<str>) -> Option<Place> {
        let mut taken = self.taken.lock();
        let own = taken.iter().filter(|other| *other == org).count();
        if taken.len() >= self.at_once || own >= self.at_once / 2 {
            return None;
        }
        taken.push(Arc::clone(org));
        Some(Place { taken: Arc::clone(&self.taken), org: Arc::clone(org) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        if let Some(place) = taken.iter().position(|org| *org == self.org) {
            taken.swap_remove(place);
        }
    }
}

/// Waits for `work`, at most for `limit` from the moment when it first has to wait; `None` when
/// that is over. Unlike Tokio's own time-out it makes no timer for work that is done at the first
/// look, as most of a request's is.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut timer = pin!(None);
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        if timer.is_none() {
            timer.set(Some(tokio::time::sleep(limit)));
        }
        match timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(context).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

impl Tasks {
    /// Runs `work` on the current runtime. Outside a runtime (only while a process is coming
    /// down) the future is dropped, which lets its own guards release what they hold.
    pub fn spawn<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.begin(name, work));
    }

    /// The same; the task can be cut off. `None` outside a runtime.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn begin<F>(&self, name: &'static str, work: F) -> Option<AbortHandle>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Ok(handle) = tokio::runtime::Handle::try_current() else {
            tracing::warn!(task = name, "no runtime left to run the task on");
            return None;
        };
        self.0.count.fetch_add(1, Ordering::AcqRel);
        let guard = Guard(Arc::clone(&self.0));
        let task = handle.spawn(async move {
            let _guard = guard;
            work.await;
        });
        Some(task.abort_handle())
    }

    /// How many are running now.
    pub fn running(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// Waits until none is running.
    pub async fn idle(&self) {
        loop {
            let notified = self.0.idle.notified();
            if self.running() == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// Lets what else is ready on this worker go first. Before a request is worked on and before
/// anything is sent: a send wakes its reader, who takes the processor at once, so requests that
/// are ready together are read together, worked on together and sent together. Costs one look at
/// the sockets where nothing else is ready.
pub async fn turn() {
    tokio::task::yield_now().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_work_runs_a_few_at_a_time_and_its_panic_is_nobodys() {
        let (aside, now) = (Aside::default(), Arc::new(AtomicUsize::new(0)));
        let one = || {
            let now = Arc::clone(&now);
            aside.run(move || {
                let others = now.fetch_add(1, Ordering::SeqCst);
                std::thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
                others
            })
        };
        let all = futures_util::future::join_all((0..64).map(|_| one())).await;
        assert!(all.iter().all(|others| others.is_some_and(|n| n < ASIDE_MAX)), "{all:?}");
        assert_eq!(aside.run(|| -> u8 { panic!("of the test") }).await, None);
        assert_eq!(aside.run(|| 7).await, Some(7));
    }

    #[tokio::test]
    async fn a_turn_that_does_not_come_is_not_waited_for_for_ever() {
        let aside = Aside::default();
        let all = aside.0.acquire_many(2).await.unwrap();
        assert_eq!(aside.run_within(Duration::from_millis(1), || 7).await, None);
        drop(all);
        assert_eq!(aside.run(|| 7).await, Some(7));
    }

    #[tokio::test]
    async fn one_organization_has_half_of_the_turns_and_each_comes_back() {
        let turns = Turns::new(4);
        let (acme, beta): (Arc<str>, Arc<str>) = ("acme".into(), "beta".into());
        let one = turns.place(&acme).unwrap();
        let _other = turns.place(&acme).unwrap();
        assert_eq!(turns.run(&acme, || 1).await, Err(Busy));
        assert_eq!(turns.run(&beta, || 2).await, Ok(Some(2)));
        let _third = turns.place(&beta).unwrap();
        drop(one);
        assert_eq!(turns.run(&acme, || 3).await, Ok(Some(3)));
        assert_eq!(turns.run(&acme, || -> u8 { panic!("of the test") }).await, Ok(None));
        assert_eq!(turns.taken.lock().len(), 2, "also after a panic");
    }

    #[tokio::test]
    async fn work_is_given_up_after_its_limit_and_not_before() {
        let (soon, late) = (Duration::from_millis(1), Duration::from_secs(60));
        let slow = |time| async move { tokio::time::sleep(time).await };
        assert_eq!(within(soon, async { 1 }).await, Some(1));
        assert_eq!(within(late, slow(soon)).await, Some(()));
        assert_eq!(within(soon, slow(late)).await, None);
    }
}
