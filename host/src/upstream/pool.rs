//! Idle connections, waiting to be used again: per endpoint and per runtime, bounded in number and
//! in time. The locks are short and spread out, and no lock is held across an await. Never opens a
//! connection.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime;

use super::Endpoint;
use super::connection::Connection;
use crate::clock::Stopwatch;

/// Locks the pool is spread over: more than any machine's threads that meet at one endpoint.
const SHARDS: usize = 16;
/// Pairs of endpoint and runtime in one shard: a catalogue has dozens of endpoints, not thousands.
const SLOTS_PER_SHARD_MAX: usize = 64;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Idle connections per endpoint and runtime.
    pub idle_per_endpoint: usize,
    /// How long a connection may lie idle. Shorter than what providers and load balancers
    /// usually grant (60 s and more), so that we hang up first.
    pub idle_for: Duration,
}

#[derive(Debug)]
pub(super) struct Pool {
    limits: PoolLimits,
    hasher: RandomState,
    shards: [Mutex<Vec<Slot>>; SHARDS],
}

/// The idle connections of one endpoint on one runtime, the longest idle first.
#[derive(Debug)]
struct Slot {
    runtime: runtime::Id,
    endpoint: Endpoint,
    idle: Vec<Idle>,
}

#[derive(Debug)]
struct Idle {
    since: Stopwatch,
    connection: Connection,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { idle_per_endpoint: 256, idle_for: Duration::from_secs(50) }
    }
}

// === impl Pool ===

impl Pool {
    pub(super) fn new(limits: PoolLimits) -> Self {
        let shards = std::array::from_fn(|_| Mutex::new(Vec::new()));
        Self { limits, hasher: RandomState::new(), shards }
    }

    /// The connection that was used last, if one is fresh and still open. A connection is woken
    /// by the reactor it was registered with, so only those of this runtime are considered.
    pub(super) fn take(&self, endpoint: &Endpoint) -> Option<Connection> {
        let runtime = runtime::Handle::current().id();
        let shard = self.shard(runtime, endpoint)?;
        loop {
            let candidate = {
                let mut slots = shard.lock();
                let slot = slots.iter_mut().find(|slot| slot.serves(runtime, endpoint))?;
                slot.idle.pop()?
            };
            let mut connection = candidate.connection;
            if candidate.since.elapsed() < self.limits.idle_for && connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(super) fn put(&self, connection: Connection) {
        let (runtime, endpoint) = (connection.runtime(), connection.endpoint());
        let Some(shard) = self.shard(runtime, endpoint) else { return };
        // Dropped after the lock is given back: closing a socket is a system call.
        let mut surplus = Vec::new();
        let mut slots = shard.lock();
        let at = slots.iter().position(|slot| slot.serves(runtime, endpoint));
        if at.is_none() && slots.len() >= SLOTS_PER_SHARD_MAX {
            slots.retain(|slot| !slot.idle.is_empty());
            if slots.len() >= SLOTS_PER_SHARD_MAX {
                surplus.push(slots.swap_remove(0));
            }
        }
        let idle = Idle { since: Stopwatch::start(), connection };
        let slot = at.and_then(|at| slots.get_mut(at));
        let oldest = match slot {
            Some(slot) => {
                slot.idle.push(idle);
                let full = slot.idle.len() > self.limits.idle_per_endpoint;
                full.then(|| slot.idle.remove(0))
            }
            None => {
                let endpoint = idle.connection.endpoint().clone();
                slots.push(Slot { runtime, endpoint, idle: vec![idle] });
                None
            }
        };
        drop(slots);
        drop((oldest, surplus));
    }

    /// Closes what has been idle for too long.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            let mut stale = Vec::new();
            let mut slots = shard.lock();
            for slot in slots.iter_mut() {
                let limit = self.limits.idle_for;
                let fresh = slot.idle.partition_point(|idle| idle.since.elapsed() >= limit);
                stale.extend(slot.idle.drain(..fresh));
            }
            slots.retain(|slot| !slot.idle.is_empty());
            drop(slots);
            drop(stale);
        }
    }

    /// Idle connections in all.
    pub(super) fn len(&self) -> usize {
        let count = |shard: &Mutex<Vec<Slot>>| {
            shard.lock().iter().map(|slot| slot.idle.len()).sum::<usize>()
        };
        self.shards.iter().map(count).sum()
    }

    fn shard(&self, runtime: runtime::Id, endpoint: &Endpoint) -> Option<&Mutex<Vec<Slot>>> {
        let hash = self.hasher.hash_one((runtime, endpoint));
        self.shards.get(usize::try_from(hash % SHARDS as u64).unwrap_or(0))
    }
}

// === impl Slot ===

impl Slot {
    fn serves(&self, runtime: runtime::Id, endpoint: &Endpoint) -> bool {
        self.runtime == runtime && self.endpoint == *endpoint
    }
}
