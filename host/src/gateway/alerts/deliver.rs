//! Sends alerts to the webhooks of their organizations: signed, tried again with growing pauses
//! within a bound, and kept in the store until taken or given up, so that a restart loses none. A
//! receiver that is slow delays its own organization's alerts and nobody else's.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::watch::Receiver;

use crate::clock;
use crate::secret::Secret;
use crate::store::{AlertRecord, Delivery, Store, Webhook};
use crate::tasks::within;
use crate::upstream::{Endpoint, PoolLimits, RequestHead, Timeouts, Upstream};

use super::super::Gateway;
use super::target::{Target, Targets};
use super::{payload, payload::SIGNATURE};

/// How often it is looked for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Pauses between tries; after the last one it is given up, most of a day after the event.
const PAUSES_MS: [u64; 9] =
    [1_000, 5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 21_600_000, 43_200_000];
/// Deliveries under way at a time, each to another organization: receivers that hang must not keep
/// all others waiting.
const AT_ONCE: usize = 64;
/// How long one try may take in all, however slowly something comes.
const TRY_MAX: Duration = Duration::from_secs(15);
/// Alerts that wait for delivery; what is beyond stays in the store, and is sent after a restart.
const PENDING_MAX: usize = 16_384;
/// The same of one organization: as many as are kept of it.
const PENDING_OF_ORG_MAX: usize = 1_000;
/// Bytes of a receiver's answer that are read, so that its connection can be used again.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 200;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(5),
};

/// What waits for delivery.
#[derive(Debug, Default)]
pub(in super::super) struct Pending(Mutex<Vec<AlertRecord>>);

// === impl Pending ===

impl Pending {
    /// What the store says is not delivered yet.
    pub(in super::super) fn of(store: &Store) -> Self {
        let this = Self::default();
        match store.living_alerts() {
            Ok(alerts) => this.add(alerts),
            Err(error) => tracing::error!(%error, "alerts that wait for delivery can't be read"),
        }
        this
    }

    pub(super) fn add(&self, alerts: Vec<AlertRecord>) {
        let mut waiting = self.0.lock();
        let mut counts: HashMap<String, usize> = HashMap::new();
        for known in waiting.iter() {
            let count = counts.entry(known.org.clone()).or_default();
            *count = count.saturating_add(1);
        }
        let waits = |alert: &AlertRecord| matches!(alert.delivery, Delivery::Pending { .. });
        let mut left_out = 0_u64;
        for alert in alerts.into_iter().filter(waits) {
            let own = counts.entry(alert.org.clone()).or_default();
            if waiting.len() >= PENDING_MAX || *own >= PENDING_OF_ORG_MAX {
                left_out = left_out.saturating_add(1);
                continue;
            }
            *own = own.saturating_add(1);
            waiting.push(alert);
        }
        if left_out > 0 {
            tracing::warn!(left_out, "too many alerts wait for delivery; these wait for a restart");
        }
    }

    /// Takes at most `free` of those that are due, the earliest of each organization that is sent
    /// nothing now.
    fn due(&self, now_ms: u64, receiving: &HashSet<String>, free: usize) -> Vec<AlertRecord> {
        let mut waiting = self.0.lock();
        let mut chosen: HashSet<String> = HashSet::new();
        let taken = waiting.extract_if(.., |alert| {
            let is_due = match alert.delivery {
                Delivery::Pending { next_at_ms, .. } => next_at_ms <= now_ms,
                _ => true,
            };
            is_due
                && chosen.len() < free
                && !receiving.contains(&alert.org)
                && chosen.insert(alert.org.clone())
        });
        taken.collect()
    }
}

/// Until the program stops; what is under way then is sent again after the next start.
pub(in super::super) async fn deliver(
    gateway: Arc<Gateway>,
    store: Arc<Store>,
    pending: Arc<Pending>,
    targets: Targets,
    mut stopped: Receiver<bool>,
) {
    let guard = targets.clone();
    let client = Upstream::guarded(
        PoolLimits::default(),
        Arc::new(move |to: &Endpoint, address| guard.admits(to.bare_host(), address)),
    );
    let sending = (&gateway, &store, &targets, &client);
    let mut running = FuturesUnordered::new();
    let mut receiving: HashSet<String> = HashSet::new();
    let mut stop = pin!(stopped.wait_for(|stop| *stop));
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        let ended: Option<AlertRecord> = tokio::select! {
            _ = &mut stop => return,
            _ = look.tick() => None,
            Some(ended) = running.next(), if !running.is_empty() => Some(ended),
        };
        if let Some(alert) = ended {
            receiving.remove(&alert.org);
            keep(&store, &pending, alert).await;
        }
        let free = AT_ONCE.saturating_sub(running.len());
        for alert in pending.due(clock::now_ms(), &receiving, free) {
            receiving.insert(alert.org.clone());
            running.push(one(sending, alert));
        }
        if running.is_empty() {
            client.sweep();
        }
    }
}

/// Keeps what became of an alert, and has it tried again where it is not taken yet.
async fn keep(store: &Arc<Store>, pending: &Pending, alert: AlertRecord) {
    let (to, kept) = (Arc::clone(store), [alert.clone()]);
    let stored = tokio::task::spawn_blocking(move || to.put_alerts(&kept)).await;
    if !matches!(stored, Ok(Ok(()))) {
        tracing::error!("what became of alerts can't be kept; they may be sent once more");
    }
    pending.add(vec![alert]);
}

type Sending<'a> = (&'a Arc<Gateway>, &'a Arc<Store>, &'a Targets, &'a Upstream);

/// One try. The alert with what came of it.
async fn one(
    (gateway, store, targets, client): Sending<'_>,
    mut alert: AlertRecord,
) -> AlertRecord {
    let Delivery::Pending { attempts, .. } = alert.delivery else { return alert };
    let (to, org) = (Arc::clone(store), alert.org.clone());
    let webhook = tokio::task::spawn_blocking(move || to.webhook(&org)).await;
    let webhook = match webhook {
        Ok(Ok(Some(webhook))) => webhook,
        Ok(Ok(None)) => {
            alert.delivery = Delivery::None;
            return alert;
        }
        _ => return again(alert, attempts, "the webhook's settings can't be read"),
    };
    match try_once(gateway, &webhook, targets, client, &alert).await {
        Ok(()) => {
            let attempts = attempts.saturating_add(1);
            alert.delivery = Delivery::Delivered { attempts, at_ms: clock::now_ms() };
            alert
        }
        Err(why) => again(alert, attempts, &why),
    }
}

async fn try_once(
    gateway: &Gateway,
    webhook: &Webhook,
    targets: &Targets,
    client: &Upstream,
    alert: &AlertRecord,
) -> Result<(), String> {
    let Target { endpoint, path } = targets.parse(&webhook.url)?;
    let secret = gateway.directory.load().pepper().unseal(&webhook.sealed_secret);
    let secret: Secret = secret.ok_or("the secret can't be read; set the webhook again")?;
    let body = payload::body(alert);
    let signature = payload::signature(&secret, clock::now_ms() / 1_000, &body);
    let headers = [
        ("content-type", "application/json"),
        ("user-agent", "turnpike-webhooks"),
        ("x-turnpike-event", alert.kind.as_str()),
        ("x-turnpike-event-id", alert.id.as_str()),
        (SIGNATURE, signature.as_str()),
    ];
    let head = RequestHead { method: "POST", path: &path, headers: &headers };
    let watch = clock::Stopwatch::start();
    let sent = within(TRY_MAX, client.send(&endpoint, &head, Bytes::from(body), &TIMEOUTS)).await;
    let sent = sent.ok_or_else(|| format!("no answer came within {} s", TRY_MAX.as_secs()))?;
    let mut answer = sent.map_err(|error| error.to_string())?;
    let status = answer.status;
    // Only so that the connection can be used again: what comes too slowly closes it.
    let left = TRY_MAX.saturating_sub(watch.elapsed());
    drop(within(left, answer.body.collect(ANSWER_BYTES_MAX)).await);
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
}

fn again(mut alert: AlertRecord, attempts: u32, why: &str) -> AlertRecord {
    let why: String = why.chars().take(ERROR_CHARS_MAX).collect();
    let pause = usize::try_from(attempts).ok().and_then(|tried| PAUSES_MS.get(tried));
    let attempts = attempts.saturating_add(1);
    alert.delivery = match pause {
        Some(pause_ms) => Delivery::Pending {
            attempts,
            next_at_ms: clock::now_ms().saturating_add(*pause_ms),
            last_error: Some(why),
        },
        None => {
            tracing::warn!(org = alert.org, id = alert.id, why, "an alert could not be delivered");
            Delivery::Failed { attempts, last_error: why }
        }
    };
    alert
}

#[cfg(test)]
mod tests {
    use super::*;
    use turnpike_ledger::PicoUsd;

    fn alert(org: &str, number: usize, next_at_ms: u64) -> AlertRecord {
        AlertRecord {
            v: 0,
            id: format!("evt_{org}{number}"),
            org: org.to_owned(),
            kind: "budget.exhausted".to_owned(),
            scope: "organization".to_owned(),
            at_ms: 0,
            budget: None,
            threshold: None,
            limit_usd: PicoUsd(1),
            spent_usd: PicoUsd(1),
            needed_usd: None,
            window_start_ms: 0,
            window_end_ms: None,
            delivery: Delivery::Pending { attempts: 0, next_at_ms, last_error: None },
        }
    }

    fn ids(alerts: &[AlertRecord]) -> Vec<&str> {
        alerts.iter().map(|alert| alert.id.as_str()).collect()
    }

    #[test]
    fn an_organization_is_sent_one_at_a_time_and_the_others_do_not_wait_for_it() {
        let pending = Pending::default();
        pending.add((0..100).map(|number| alert("acme", number, 0)).collect());
        pending.add(vec![alert("beta", 0, 0), alert("beta", 1, 0), alert("later", 0, 9)]);
        let nobody = HashSet::new();
        let first = pending.due(5, &nobody, 64);
        assert_eq!(ids(&first), ["evt_acme0", "evt_beta0"]);
        let receiving = HashSet::from(["acme".to_owned()]);
        assert_eq!(ids(&pending.due(5, &receiving, 64)), ["evt_beta1"]);
        assert!(pending.due(5, &receiving, 64).is_empty(), "acme's receiver is still at it");
        assert_eq!(ids(&pending.due(9, &nobody, 1)), ["evt_acme1"], "no more than have a place");
        assert_eq!(pending.due(9, &nobody, 64).len(), 2);
    }

    #[test]
    fn one_organizations_alerts_leave_room_for_the_others() {
        let pending = Pending::default();
        pending.add((0..20_000).map(|number| alert("acme", number, 0)).collect());
        assert_eq!(pending.0.lock().len(), PENDING_OF_ORG_MAX);
        pending.add(vec![alert("beta", 0, 0)]);
        assert_eq!(pending.0.lock().len(), PENDING_OF_ORG_MAX + 1);
    }
}
