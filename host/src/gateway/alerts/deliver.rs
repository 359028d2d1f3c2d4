//! Sends alerts to the webhooks of their organizations: signed, tried again with growing pauses
//! within a bound, and kept in the store until taken or given up, so that a restart loses none.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::watch::Receiver;

use crate::clock;
use crate::secret::Secret;
use crate::store::{AlertRecord, Delivery, Store, Webhook};
use crate::upstream::{Endpoint, PoolLimits, RequestHead, Timeouts, Upstream};

use super::super::Gateway;
use super::super::running::pause;
use super::target::{Target, Targets};
use super::{payload, payload::SIGNATURE};

/// How often it is looked for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Pauses between tries; after the last one it is given up, most of a day after the event.
const PAUSES_MS: [u64; 9] =
    [1_000, 5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 21_600_000, 43_200_000];
/// Deliveries under way at a time: receivers that hang must not keep all others waiting.
const AT_ONCE: usize = 8;
/// Alerts that wait for delivery; what is beyond stays in the store, and is sent after a restart.
const PENDING_MAX: usize = 16_384;
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
        match store.all_alerts(None) {
            Ok(alerts) => this.add(alerts),
            Err(error) => tracing::error!(%error, "alerts that wait for delivery can't be read"),
        }
        this
    }

    pub(super) fn add(&self, alerts: Vec<AlertRecord>) {
        let mut waiting = self.0.lock();
        let waits = |alert: &AlertRecord| matches!(alert.delivery, Delivery::Pending { .. });
        for alert in alerts.into_iter().filter(waits) {
            if waiting.len() >= PENDING_MAX {
                tracing::warn!("too many alerts wait for delivery; later ones wait for a restart");
                break;
            }
            waiting.push(alert);
        }
    }

    fn due(&self, now_ms: u64) -> Vec<AlertRecord> {
        let mut waiting = self.0.lock();
        let is_due = |alert: &AlertRecord| match alert.delivery {
            Delivery::Pending { next_at_ms, .. } => next_at_ms <= now_ms,
            _ => true,
        };
        let (due, later) = std::mem::take(&mut *waiting).into_iter().partition(is_due);
        *waiting = later;
        due
    }
}

/// Until the program stops.
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
    while pause(LOOK_EVERY, &mut stopped).await {
        let due = pending.due(clock::now_ms());
        if due.is_empty() {
            client.sweep();
            continue;
        }
        let tries = due.into_iter().map(|alert| {
            let sending = (&gateway, &store, &targets, &client);
            async move { one(sending, alert).await }
        });
        let done: Vec<AlertRecord> = stream::iter(tries).buffer_unordered(AT_ONCE).collect().await;
        let to = Arc::clone(&store);
        let kept = done.clone();
        let stored = tokio::task::spawn_blocking(move || to.put_alerts(&kept)).await;
        if !matches!(stored, Ok(Ok(()))) {
            tracing::error!("what became of alerts can't be kept; they may be sent once more");
        }
        pending.add(done);
    }
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
    let sent = client.send(&endpoint, &head, Bytes::from(body), &TIMEOUTS).await;
    let mut answer = sent.map_err(|error| error.to_string())?;
    let status = answer.status;
    // Only so that the connection can be used again.
    drop(answer.body.collect(ANSWER_BYTES_MAX).await);
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
