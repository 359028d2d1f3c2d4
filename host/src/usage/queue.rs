//! What waits for the usage thread. A request pushes its record and goes on: nobody is woken for
//! it, because a wake-up costs the data plane a system call per request. The thread looks by
//! itself every few dozen milliseconds; only a query or the end wakes it at once.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::looked_at::Fresh;

/// Records that may wait: what comes within [`WAKE_EVERY`] at 400,000 requests a second, or within
/// a stall of the disk of a second at 8,000. As many again may be in the thread's hands. A record
/// is a few kilobytes: some dozens of megabytes.
pub(super) const WAITING_MAX: usize = 8_192;

/// How often the thread looks whether something waits. Longer would spare it wake-ups; but what
/// waits is memory that the workers cannot use again, and soon no cache holds it any more.
const WAKE_EVERY: Duration = Duration::from_millis(20);

/// How long a reader waits for the thread to write what it was handed.
const BARRIER_WAIT: Duration = Duration::from_secs(5);

/// Records in boxes: these are allocated before the lock is taken, and growing the list under it
/// moves pointers only.
#[allow(clippy::vec_box, reason = "records are large, and the list is grown under a lock")]
pub(super) type Batch = Vec<Box<Fresh>>;

/// The queue. One lock is enough: it is held for the push of a pointer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    orders: Mutex<Orders>,
    ordered: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Batch,
    closed: bool,
}

/// What the thread is to do besides taking records.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// To be answered when everything that was handed over before is written.
    pub(super) barriers: Vec<SyncSender<()>>,
    /// Write everything and end.
    pub(super) stop: bool,
}

/// Closes the queue when the thread ends, however it ends: nobody waits for a thread that is gone.
#[derive(Debug)]
pub(super) struct CloseAtEnd<'a>(pub(super) &'a Queue);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
        self.0.orders.lock().barriers.clear();
    }
}

// === impl Queue ===

impl Queue {
    /// Hands a record over. False if the queue is full or closed.
    pub(super) fn push(&self, record: Fresh) -> bool {
        let record = Box::new(record);
        let mut waiting = self.waiting.lock();
        if waiting.closed || waiting.records.len() >= WAITING_MAX {
            // The lock goes first: freeing a record takes longer than pushing one.
            drop(waiting);
            return false;
        }
        waiting.records.push(record);
        true
    }

    /// Exchanges what waits for an empty list.
    pub(super) fn swap(&self, empty: &mut Batch) {
        std::mem::swap(&mut self.waiting.lock().records, empty);
    }

    /// From now on nothing can be pushed.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
    }

    /// Waits for an order, at most until it is time to look at the queue.
    pub(super) fn orders(&self) -> Orders {
        let mut orders = self.orders.lock();
        if !orders.stop && orders.barriers.is_empty() {
            self.ordered.wait_for(&mut orders, WAKE_EVERY);
        }
        Orders { barriers: std::mem::take(&mut orders.barriers), stop: orders.stop }
    }

    /// Tells the thread to write everything and to end.
    pub(super) fn stop(&self) {
        self.orders.lock().stop = true;
        self.ordered.notify_one();
    }

    /// Waits, within a bound, until everything pushed so far is written, and says whether it is.
    pub(super) fn barrier(&self) -> bool {
        let (reply, replied) = sync_channel(1);
        {
            let mut orders = self.orders.lock();
            // With the orders locked: the thread closes the queue before it clears the barriers.
            if self.waiting.lock().closed {
                return false;
            }
            orders.barriers.push(reply);
        }
        self.ordered.notify_one();
        // Late or gone: the query then answers from what there is.
        replied.recv_timeout(BARRIER_WAIT).is_ok()
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.lock().records.len()
    }
}
