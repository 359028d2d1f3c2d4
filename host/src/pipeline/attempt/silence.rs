//! A provider that has fallen silent is not waited for to the end of its time: where several wait
//! for the same offer and none has heard anything for long, and where a request is the probe of an
//! offer that rested, the next of the plan is asked. Only where somebody else is left to ask. Never
//! judges a single slow answer of an offer that is well.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock;

use super::super::decide;
use super::super::flight::Flight;
use super::Asking;

/// How long a request waits before it looks whether it waits in vain.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks from then on.
const LOOK: Duration = Duration::from_secs(1);

/// Who of a plan is left to ask when one is given up. Two that are asked side by side share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Left {
    /// Rows, the next one last.
    rows: Arc<[usize]>,
    /// The next one is asked beside the one that is: neither of them is left to the other.
    next_is_taken: Arc<AtomicBool>,
    /// Nobody was asked before.
    pub(super) is_of_the_first: bool,
}

// === impl Left ===

impl Left {
    pub(super) fn of(queue: &[usize], is_of_the_first: bool) -> Self {
        Self { rows: queue.into(), is_of_the_first, ..Self::default() }
    }

    pub(super) fn next(&self) -> Option<usize> {
        self.rows.last().copied()
    }

    /// The next one is asked beside this one.
    pub(super) fn take_next(&self) {
        self.next_is_taken.store(true, Ordering::Relaxed);
    }

    /// It is not asked any more, and has not failed.
    pub(super) fn give_next_back(&self) {
        self.next_is_taken.store(false, Ordering::Relaxed);
    }

    /// Whether there is one that may be asked now.
    fn is_open(&self, flight: &Flight) -> bool {
        let taken = usize::from(self.next_is_taken.load(Ordering::Relaxed));
        self.rows.iter().rev().skip(taken).any(|row| decide::open(flight, *row))
    }
}

/// What comes of an exchange; `None` when its offer has fallen silent.
pub(super) async fn unless<T>(
    flight: &Flight,
    asking: &Asking,
    exchange: impl Future<Output = T>,
) -> Option<T> {
    if asking.left.rows.is_empty() {
        return Some(exchange.await);
    }
    let probed = &asking.in_flight;
    let patience = probed.is_probe().then(|| Duration::from_millis(probed.patience_ms()));
    let mut exchange = pin!(exchange);
    let left = patience.map(|patience| patience.saturating_sub(asking.watch.elapsed()));
    let mut wait = left.map_or(PATIENCE, |left| left.min(PATIENCE));
    // Bounded by the exchange's own time for the first byte.
    loop {
        if let Ok(done) = tokio::time::timeout(wait, exchange.as_mut()).await {
            return Some(done);
        }
        let in_vain = patience.is_some_and(|patience| asking.watch.elapsed() >= patience);
        // Who else there is may have changed since it began.
        if asking.left.is_open(flight) && (in_vain || probed.leaves_silent(clock::steady_ms())) {
            return None;
        }
        wait = LOOK;
    }
}

/// How long the probe of an offer that rested waits for a sign of life, where somebody else is left
/// to ask; `None` for any other attempt.
pub(in crate::pipeline) fn bound(flight: &Flight, asking: &Asking) -> Option<Duration> {
    let probed = &asking.in_flight;
    let bounded = probed.is_probe() && asking.left.is_open(flight);
    bounded.then(|| Duration::from_millis(probed.patience_ms()))
}
