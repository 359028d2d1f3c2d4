//! A stream whose provider has fallen silent is not waited for to the end of its time: where
//! several wait for the same offer and none has heard anything for long, the next of the plan is
//! asked. Only streams, whose first byte comes with the provider's attention and not with the last
//! word; and only where somebody else is left to ask. Never judges a single slow answer.

use std::pin::pin;
use std::time::Duration;

use crate::clock;

use super::super::flight::Flight;
use super::Asking;

/// How long a request waits before it looks whether it waits in vain.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks from then on.
const LOOK: Duration = Duration::from_secs(1);

/// What comes of an exchange; `None` when its offer has fallen silent.
pub(super) async fn unless<T>(
    flight: &Flight,
    asking: &Asking,
    exchange: impl Future<Output = T>,
) -> Option<T> {
    if !flight.call.stream || !has_others(flight) {
        return Some(exchange.await);
    }
    let mut exchange = pin!(exchange);
    let mut wait = PATIENCE;
    // Bounded by the exchange's own time for the first byte.
    loop {
        if let Ok(done) = tokio::time::timeout(wait, exchange.as_mut()).await {
            return Some(done);
        }
        if flight.gateway.health.has_fallen_silent(asking.index, clock::now_ms()) {
            return None;
        }
        wait = LOOK;
    }
}

/// Whether the plan has an offer that this request has not asked yet.
fn has_others(flight: &Flight) -> bool {
    flight.attempts.len().saturating_add(1) < flight.plan.len()
}
