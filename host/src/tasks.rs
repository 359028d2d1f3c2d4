//! The one place that spawns tasks, so that each has a name and is counted, and shutdown can wait
//! for those that finish a settlement; the time limit for what is usually done at once; and the
//! turn that a request gives to the others of its worker.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;

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
    #[allow(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn spawn<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Ok(handle) = tokio::runtime::Handle::try_current() else {
            tracing::warn!(task = name, "no runtime left to run the task on");
            return;
        };
        self.0.count.fetch_add(1, Ordering::AcqRel);
        let guard = Guard(Arc::clone(&self.0));
        drop(handle.spawn(async move {
            let _guard = guard;
            work.await;
        }));
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
    async fn work_is_given_up_after_its_limit_and_not_before() {
        let (soon, late) = (Duration::from_millis(1), Duration::from_secs(60));
        let slow = |time| async move { tokio::time::sleep(time).await };
        assert_eq!(within(soon, async { 1 }).await, Some(1));
        assert_eq!(within(late, slow(soon)).await, Some(()));
        assert_eq!(within(soon, slow(late)).await, None);
    }
}
