//! The one place that spawns tasks, so that each has a name and is counted, and shutdown can wait
//! for those that finish a settlement.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
