//! A provider that has fallen silent is not waited for to the end of its time: where several wait
//! for the same offer and none has heard anything for long, and where a request is the probe of an
//! offer that rested, the next of the plan is asked. Only where somebody else is left to ask. Never
//! judges a single slow answer of an offer that is well.

use std::pin::pin;
use std::time::Duration;

use crate::clock;

use super::super::flight::Flight;
use super::Asking;

/// How long a request waits before it looks whether it waits in vain.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks from then on.
const LOOK: Duration = Duration::from_secs(1);

/// What comes of an exchange; `None` when its offer has fallen silent.
pub(super) async fn unless<T>(
    flight: &Flight,
    asking: &Asking,
    exchange: impl Future<Output = T>,
) -> Option<T> {
    if !has_others(flight) {
        return Some(exchange.await);
    }
    let probe = bound(flight, asking);
    let mut exchange = pin!(exchange);
    let left = probe.map(|patience| patience.saturating_sub(asking.watch.elapsed()));
    let mut wait = left.map_or(PATIENCE, |left| left.min(PATIENCE));
    // Bounded by the exchange's own time for the first byte.
    loop {
        if let Ok(done) = tokio::time::timeout(wait, exchange.as_mut()).await {
            return Some(done);
        }
        let in_vain = probe.is_some_and(|patience| asking.watch.elapsed() >= patience);
        if in_vain || asking.in_flight.leaves_silent(clock::now_ms()) {
            return None;
        }
        wait = LOOK;
    }
}

/// How long the probe of an offer that rested waits for a sign of life, where somebody else is left
/// to ask; `None` for any other attempt.
pub(in crate::pipeline) fn bound(flight: &Flight, asking: &Asking) -> Option<Duration> {
    let probed = &asking.in_flight;
    let bounded = probed.is_probe() && has_others(flight);
    bounded.then(|| Duration::from_millis(probed.patience_ms()))
}

/// Whether the plan has an offer that this request has not asked yet.
fn has_others(flight: &Flight) -> bool {
    flight.attempts.len().saturating_add(1) < flight.plan.len()
}
